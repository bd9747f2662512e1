//! Deleting comments: by whoever wrote them or whose post it is, with their replies, and in the end without a trace.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::{at, counted, id, on, post, reply, say};
use crate::{
    deletion::leave,
    harness::{
        Caller, Person,
        inside::Inside,
        people::{PASSWORD, ids},
        unique, until,
    },
};

/// The queue's own delay, and a busy machine.
const SWEPT: Duration = Duration::from_secs(90);
/// As long as others' cards are remembered.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// The whole course of a person's deletion, likewise.
const LEFT: Duration = Duration::from_mins(5);

#[tokio::test]
async fn its_author_and_the_posts_author_delete_a_comment_with_its_replies_and_nobody_else_does() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post(&ada).await;
    let (by_author, by_host, stays) = (say(&bob, &post, "one").await, say(&bob, &post, "two").await, say(&bob, &post, "three").await);
    let replies = join_all([&by_author, &by_host, &stays].map(|comment| reply(&cyd, comment, "reply"))).await;
    for caller in [&cyd, &Person::sign_up("dan").await] {
        caller.delete(&at(&by_author)).await.problem(403, "not-the-author");
    }
    // That a comment was replied to makes the reply nobody else's.
    bob.delete(&at(&replies[0])).await.problem(403, "not-the-author");
    Caller::nobody().delete(&at(&by_author)).await.problem(401, "unauthorized");

    bob.delete(&at(&by_author)).await.expect(204);
    ada.delete(&at(&by_host)).await.expect(204);
    cyd.delete(&at(&replies[2])).await.expect(204);
    for gone in [&by_author, &by_host, &replies[0], &replies[1], &replies[2]] {
        for caller in [&ada, &bob, &cyd] {
            caller.get(&at(gone)).await.problem(404, "not-found");
            caller.delete(&at(gone)).await.problem(404, "not-found");
            caller.put(&format!("{}/like", at(gone))).await.problem(404, "not-found");
            caller.get(&format!("{}/replies", at(gone))).await.problem(404, "not-found");
        }
        cyd.post(&on(&post), json!({"text": "too late", "parent_id": gone["id"]})).await.invalid(&["/parent_id"]);
    }
    assert_eq!(ids(&ada.list(&on(&post)).await), [id(&stays)]);
    assert_eq!(counted(&ada, &post).await, 1);
}

#[tokio::test]
async fn thirty_two_at_once_reply_to_like_and_delete_and_counts_are_exact() {
    let people = join_all((0..8).map(|_| Person::sign_up("ada"))).await;
    let post = post(&people[0]).await;
    for _ in 0..2 {
        let top = say(&people[1], &post, "top").await;
        let other = say(&people[1], &post, "other").await;
        let body = json!({"text": "reply", "parent_id": top["id"]});
        join_all((0..32).map(async |number| {
            let person = &people[number % 8];
            match number / 8 {
                0 => drop(reply(person, &other, "reply").await),
                1 if number % 8 < 2 => drop(person.delete(&at(&top)).await),
                1 => drop(person.post(&on(&post), body.clone()).await),
                2 => drop(person.put(&format!("{}/like", at(&other))).await.expect(200)),
                _ => drop(person.put(&format!("{}/like", at(&top))).await),
            }
        }))
        .await;
        people[2].get(&at(&top)).await.problem(404, "not-found");
        let other = people[2].get(&at(&other)).await.expect(200);
        assert_eq!((&other["reply_count"], &other["counts"]["likes"]), (&json!(8), &json!(8)));
    }
    assert_eq!(counted(&people[3], &post).await, 2 * 9);
}

#[tokio::test]
async fn of_deleted_comments_and_of_deleted_posts_nothing_is_left_in_any_table() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let Some(inside) = Inside::of(&ada).await else { return };
    let (kept, gone) = (post(&ada).await, post(&ada).await);
    let secret = unique("secret");
    let mut comments = Vec::new();
    for post in [&kept, &gone] {
        let top = say(&bob, post, &secret).await;
        let under = reply(&ada, &top, &secret).await;
        for comment in [&top, &under] {
            for person in [&ada, &bob] {
                person.put(&format!("{}/like", at(comment))).await.expect(200);
            }
        }
        comments.extend([top, under]);
    }
    bob.delete(&at(&comments[0])).await.expect(204);
    ada.delete(&format!("/posts/{gone}")).await.expect(204);
    let needles: Vec<String> = comments.iter().map(id).chain([secret]).collect();
    let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
    // That there was a comment with this id is known for two days.
    let remembered = format!("COMMENT#{}", id(&comments[0]));
    until("nothing is left of them", SWEPT, async || {
        let mut traces = inside.traces_of(&needles).await;
        traces.retain(|trace| !format!("{trace:?}").contains(&remembered));
        traces.is_empty().then_some(())
    })
    .await;
    assert_eq!(counted(&ada, &kept).await, 0);
}

#[tokio::test]
async fn of_a_person_who_leaves_no_comment_and_no_like_is_left_and_others_counts_are_exact() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let Some(inside) = Inside::of(&ada).await else { return };
    let (hers, his) = (post(&ada).await, post(&bob).await);
    let mut comments = Vec::new();
    for post in [&hers, &his] {
        for author in [&ada, &bob] {
            let top = say(author, post, "something").await;
            for replier in [&ada, &cyd] {
                let under = reply(replier, &top, "something else").await;
                ada.put(&format!("{}/like", at(&under))).await.expect(200);
                bob.put(&format!("{}/like", at(&under))).await.expect(200);
            }
            ada.put(&format!("{}/like", at(&top))).await.expect(200);
            comments.push(top);
        }
    }
    let answer = leave(&ada, PASSWORD).await.expect(202);
    // Within ten seconds nobody sees what she wrote: whoever has no card any more.
    until("nobody sees what she wrote", FORGOTTEN, async || (ids(&bob.list(&on(&his)).await) == [id(&comments[3])]).then_some(())).await;
    inside.see_deleted(answer.header("location").expect("a location"), LEFT).await;
    let needles = [ada.id.as_str(), ada.username.as_str(), hers.as_str()];
    until("nothing is left of her", SWEPT, async || {
        let traces = inside.traces_of(&needles).await;
        if !traces.is_empty() {
            println!("{traces:#?}");
        }
        traces.is_empty().then_some(())
    })
    .await;
    // Of his comment one reply, cyd's, is left, with his like.
    let left = bob.list(&on(&his)).await;
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["reply_count"], &left[0]["counts"]["likes"]), (&json!(1), &json!(0)));
    let replies = bob.list(&format!("{}/replies", at(&left[0]))).await;
    assert_eq!((replies.len(), &replies[0]["counts"]["likes"]), (1, &json!(1)));
    assert_eq!(counted(&bob, &his).await, 2);
}
