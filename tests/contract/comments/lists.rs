//! Pages of comments, which stay what they are whatever is written meanwhile.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{at, id, on, post, reply, say};
use crate::harness::{Person, people::ids};

#[tokio::test]
async fn comments_and_replies_are_listed_newest_last() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let (mut comments, mut replies) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let author = [&ada, &bob][number % 2];
        comments.push(id(&say(author, &post, &format!("comment {number}")).await));
        let top = ada.get(&format!("/comments/{}", comments[0])).await.expect(200).body;
        replies.push(id(&reply(author, &top, &format!("reply {number}")).await));
    }
    for (path, expected) in [(on(&post), &comments), (format!("/comments/{}/replies", comments[0]), &replies)] {
        let pages = ada.pages(&path, 2).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(ids(&pages.concat()), **expected);
        assert_eq!(ids(&ada.list(&path).await), **expected);
        ada.get(&format!("{path}?limit=101")).await.invalid(&["?limit"]);
    }
    // A cursor is of its list.
    let cursor = ada.get(&format!("{}?limit=1", on(&post))).await.expect(200)["next_cursor"].as_str().expect("a cursor").to_owned();
    ada.get(&format!("/comments/{}/replies?cursor={cursor}", comments[0])).await.invalid(&["?cursor"]);
}

#[tokio::test]
async fn whoever_pages_sees_each_comment_that_stays_once_while_others_come_and_go() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let mut stay = Vec::new();
    for number in 0..12 {
        stay.push(say(&ada, &post, &format!("stays {number}")).await);
    }
    let goes: Vec<Value> = join_all((0..6).map(|_| say(&bob, &post, "goes"))).await;
    let (mut next, mut seen, mut round) = (Some(format!("{}?limit=2", on(&post))), Vec::new(), 0);
    while let Some(path) = next {
        let page = ada.get(&path).await.expect(200);
        let items = page["items"].as_array().expect("items");
        seen.extend(ids(items));
        next = page["next_cursor"].as_str().map(|cursor| format!("{}?limit=2&cursor={cursor}", on(&post)));
        // Between two pages somebody speaks, and somebody takes back what they said: what the cursor names, too.
        if round < 6 {
            say(&bob, &post, "comes").await;
            bob.delete(&at(&goes[round])).await.expect(204);
        }
        if round == 3 {
            let last = items.last().expect("one").clone();
            ada.delete(&at(&last)).await.expect(204);
        }
        round += 1;
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "each once");
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!(seen, sorted, "in order");
    for comment in &stay {
        assert!(seen.contains(&id(comment)), "{comment}");
    }
    let comes = ids(&ada.list(&on(&post)).await).into_iter().filter(|id| !stay.iter().any(|it| super::id(it) == *id));
    assert!(comes.into_iter().all(|id| seen.contains(&id)), "whoever has not come to the end sees what comes");
}

#[tokio::test]
async fn a_page_is_filled_up_where_comments_are_deleted_or_hidden() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post(&ada).await;
    let mut shown = Vec::new();
    for number in 0..9 {
        let author = [&ada, &bob, &cyd][number % 3];
        let comment = say(author, &post, "something").await;
        match number % 3 {
            0 => shown.push(id(&comment)),
            1 => drop(bob.delete(&at(&comment)).await.expect(204)),
            _ => {}
        }
    }
    ada.put(&format!("/users/{}/block", cyd.username)).await.expect(200);
    let pages = ada.pages(&on(&post), 2).await;
    assert_eq!(pages[0].len(), 2);
    assert_eq!(ids(&pages.concat()), shown);
    let expected = json!(shown[..2]);
    assert_eq!(json!(ids(&pages[0])), expected);
}
