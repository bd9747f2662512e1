//! Edits: an author changes what a post says, and where it stands stays.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, small_photo},
    until,
};

const SHOWS: Duration = Duration::from_secs(20);

fn path(post: &Value) -> String {
    format!("/posts/{}", post["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_what_null_names_is_cleared() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "First #one by @bob").await;
    let path = path(&post);
    assert!(post.get("edited_at").is_none());
    let place = json!({"name": " Null Island ", "lat": 0.0, "lng": 1.5});
    let edit = json!({"caption": "Second #two", "location": place, "photos": [{"index": 0, "alt_text": "Waves"}]});
    let edited = ada.patch(&path, edit).await.expect(200).body;
    assert_eq!((&edited["caption"], &edited["hashtags"], &edited["mentions"]), (&json!("Second #two"), &json!(["two"]), &json!([])));
    assert_eq!(edited["location"], json!({"name": "Null Island", "lat": 0.0, "lng": 1.5}));
    assert_eq!(edited["photos"][0]["alt_text"], "Waves");
    assert!(edited["edited_at"].as_str() > edited["published_at"].as_str(), "{edited}");
    for unchanged in ["id", "author", "status", "created_at", "published_at", "comments_enabled"] {
        assert_eq!(edited[unchanged], post[unchanged], "{unchanged}");
    }
    for reader in [Caller::clone(&ada), Caller::nobody()] {
        let mut read = reader.get(&path).await.expect(200).body;
        read["viewer"] = edited["viewer"].clone();
        assert_eq!(read, edited);
    }
    // Said once more, it is no edit; and whether others may comment is nothing that it says.
    for same in [json!({}), json!({"caption": "Second #two"}), json!({"comments_enabled": true})] {
        assert_eq!(ada.patch(&path, same).await.expect(200).body, edited);
    }
    let closed = ada.patch(&path, json!({"comments_enabled": false})).await.expect(200).body;
    assert_eq!((&closed["comments_enabled"], &closed["edited_at"]), (&json!(false), &edited["edited_at"]));
    let cleared = json!({"caption": null, "location": null, "photos": [{"index": 0, "alt_text": null}]});
    let cleared = ada.patch(&path, cleared).await.expect(200).body;
    assert_eq!((&cleared["caption"], &cleared["location"], &cleared["photos"][0]["alt_text"]), (&json!(""), &Value::Null, &Value::Null));
    assert!(cleared["edited_at"].as_str() > edited["edited_at"].as_str());
}

#[tokio::test]
async fn an_edit_reaches_every_card_and_keeps_the_posts_place() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let (first, second) = (publish(&ada, "first").await, publish(&ada, "second").await);
    until("the feed has both", SHOWS, async || (bob.feed().await.len() == 2).then_some(())).await;
    ada.patch(&path(&first), json!({"caption": "edited"})).await.expect(200);
    let expected = [&second, &first].map(|post| post["id"].as_str().expect("an id").to_owned());
    for list in ["/feed", &format!("/users/{}/posts", ada.username)] {
        until("the card says it", SHOWS, async || {
            let cards = bob.list(list).await;
            assert_eq!(ids(&cards), expected, "{list}");
            (cards[1]["caption"] == "edited" && cards[1]["edited_at"].is_string()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn only_its_author_changes_a_post_and_whoever_may_not_see_it_is_not_told_that_it_is_there() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = path(&publish(&ada, "hers").await);
    let edit = || json!({"caption": "not hers"});
    bob.patch(&post, edit()).await.problem(403, "not-the-author");
    Caller::nobody().patch(&post, edit()).await.problem(401, "unauthorized");
    cyd.put(&format!("/users/{}/block", ada.username)).await.expect(200);
    cyd.patch(&post, edit()).await.problem(404, "not-found");
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    bob.patch(&post, edit()).await.problem(404, "not-found");
    assert_eq!(ada.get(&post).await.expect(200)["caption"], "hers");
    ada.delete(&post).await.expect(204);
    ada.patch(&post, edit()).await.problem(404, "not-found");
}

#[tokio::test]
async fn an_edit_that_makes_no_sense_is_refused_whole() {
    let ada = Person::sign_up("ada").await;
    let post = path(&publish(&ada, "as it was").await);
    for (edit, pointer) in [
        (json!({"caption": "x".repeat(2201)}), "/caption"),
        (json!({"caption": "new", "location": {"name": "Here", "lat": 91, "lng": 0}}), "/location/lat"),
        (json!({"caption": "new", "photos": [{"index": 1, "alt_text": "There is none"}]}), "/photos/0/index"),
        (json!({"caption": "new", "photos": [{"index": 0, "alt_text": "One"}, {"index": 0, "alt_text": "Two"}]}), "/photos/1/index"),
        (json!({"caption": "new", "photos": [{"index": 0}, {"index": 9, "alt_text": "There is none"}]}), "/photos/1/index"),
        (json!({"caption": "new", "photos": (0..11).map(|index| json!({"index": index})).collect::<Vec<_>>()}), "/photos"),
        (json!({"caption": "new", "comments_enabled": null}), "/comments_enabled"),
        (json!({"caption": "new", "status": "failed"}), "/status"),
    ] {
        ada.patch(&post, edit).await.invalid(&[pointer]);
    }
    let read = ada.get(&post).await.expect(200);
    assert_eq!((&read["caption"], read.body.get("edited_at")), (&json!("as it was"), None));
}

#[tokio::test]
async fn a_post_that_is_not_published_yet_can_be_changed_too_and_is_no_edited_one() {
    let ada = Person::sign_up("ada").await;
    let photo = small_photo();
    let ticket = Ticket::of(&ada, "a draft", &[("image/jpeg", &photo)]).await;
    ada.patch(&ticket.path(), json!({"caption": "a better one"})).await.expect(200);
    ticket.upload(&ada, 0, &photo).await.expect(200);
    let post = ticket.settled(&ada).await;
    assert_eq!((&post["status"], &post["caption"], post.get("edited_at")), (&json!("published"), &json!("a better one"), None));
}
