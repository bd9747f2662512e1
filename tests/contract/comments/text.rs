//! What a comment's text may be, and what is found in it: graphemes are what counts.

use serde_json::json;

use super::{on, post, say};
use crate::harness::Person;

const FAMILY: &str = "👩‍👩‍👧‍👦";

#[tokio::test]
async fn a_text_has_one_to_two_thousand_two_hundred_graphemes_however_many_bytes_these_are() {
    let ada = Person::sign_up("ada").await;
    let post = post(&ada).await;
    for grapheme in ["a", "é", "🇺🇦", FAMILY] {
        let text = grapheme.repeat(2200);
        assert_eq!(say(&ada, &post, &text).await["text"], text);
        ada.post(&on(&post), json!({"text": format!("{text}{grapheme}")})).await.invalid(&["/text"]);
    }
    for empty in ["", "  \n", "\u{200B}\u{FEFF}"] {
        ada.post(&on(&post), json!({"text": empty})).await.problem(422, "validation-failed");
    }
    for forbidden in ["a\u{0}b", "a\u{202E}b", &format!("Z{}", "\u{301}".repeat(40))] {
        ada.post(&on(&post), json!({"text": forbidden})).await.invalid(&["/text"]);
    }
    ada.post(&on(&post), json!({})).await.invalid(&["/text"]);
    ada.post(&on(&post), json!({"text": "a", "colour": "red"})).await.invalid(&["/colour"]);
    // Tidied: composed, trimmed, with plain line breaks.
    assert_eq!(say(&ada, &post, "  Cafe\u{301}\r\nau lait ").await["text"], "Café\nau lait");
}

#[tokio::test]
async fn mentions_and_links_are_found_and_stand_where_their_spans_say_in_graphemes() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let text =
        format!("{FAMILY} @{} and @{}: https://example.org/a_(b)?c=é. Not me@example.org, @x", bob.username.to_uppercase(), ada.username);
    let comment = say(&ada, &post, &text).await;
    assert_eq!(comment["mentions"], json!([bob.username, ada.username]));
    assert_eq!(comment["links"], json!(["https://example.org/a_(b)?c=é"]));
    // The family is one, and so is every letter after it.
    let (first, second) = (bob.username.len() + 1, ada.username.len() + 1);
    let after = 2 + first + " and ".len();
    let link = after + second + ": ".len();
    assert_eq!(
        comment["spans"],
        json!([
            {"kind": "mention", "start": 2, "end": 2 + first},
            {"kind": "mention", "start": after, "end": after + second},
            {"kind": "link", "start": link, "end": link + "https://example.org/a_(b)?c=e".len()},
        ])
    );
    // Twenty count, each once; a name within a link is none.
    let names: Vec<String> = (0..25).map(|number| format!("somebody.{number}")).collect();
    let text = format!(
        "https://social.example/@{} {}",
        bob.username,
        [format!("@{}", names.join(" @")), format!("@{}", names.join(" @"))].join(" ")
    );
    let comment = say(&ada, &post, &text).await;
    assert_eq!(comment["mentions"], json!(names[..20]));
    assert_eq!(ada.get(&super::at(&comment)).await.expect(200).body, comment);
}
