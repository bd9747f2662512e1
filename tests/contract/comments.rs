//! Comments: written, replied to, liked, listed and deleted; for whoever sees the post, and nobody else.

mod deletion;
mod lists;
mod sight;
mod text;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    client::Answer,
    people::ids,
    photographs::{publish, small_photo},
    until,
};

/// The id of what was answered.
pub(crate) fn id(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

/// A post of `author`, published.
pub(crate) async fn post(author: &Person) -> String {
    id(&publish(author, "to be spoken of").await)
}

/// Where a post's comments are.
pub(crate) fn on(post: &str) -> String {
    format!("/posts/{post}/comments")
}

pub(crate) fn at(comment: &Value) -> String {
    format!("/comments/{}", id(comment))
}

pub(crate) async fn say(author: &Person, post: &str, text: &str) -> Value {
    author.post(&on(post), json!({"text": text})).await.expect(201).body
}

pub(crate) async fn reply(author: &Person, comment: &Value, text: &str) -> Value {
    let post = comment["post_id"].as_str().expect("a post");
    author.post(&on(post), json!({"text": text, "parent_id": comment["id"]})).await.expect(201).body
}

/// How many comments a post has, replies included, as its own count says; and that its lists and their `reply_count`s agree.
pub(crate) async fn counted(reader: &Caller, post: &str) -> usize {
    let comments = reader.list(&on(post)).await;
    let mut all = comments.len();
    for comment in &comments {
        let replies = reader.list(&format!("{}/replies", at(comment))).await.len();
        assert_eq!(comment["reply_count"], replies, "{comment}");
        all += replies;
    }
    assert_eq!(reader.get(&format!("/posts/{post}")).await.expect(200)["counts"]["comments"], all);
    all
}

/// Sends a comment with an `Idempotency-Key`.
async fn say_with_key(author: &Person, post: &str, key: &str, body: &Value) -> Answer {
    Answer::to(author.request(reqwest::Method::POST, &on(post)).header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn a_comment_is_answered_whole_and_is_where_its_location_says() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let answer = bob.post(&on(&post), json!({"text": "What a light"})).await.expect(201);
    let comment = answer.body.clone();
    assert_eq!(answer.header("location"), Some(format!("/v1{}", at(&comment)).as_str()));
    let author = json!({"id": bob.id, "username": bob.username, "display_name": bob.username, "avatar": null});
    let expected = json!({
        "id": comment["id"], "post_id": post, "parent_id": null, "author": author, "text": "What a light", "mentions": [], "links": [],
        "spans": [], "counts": {"likes": 0}, "reply_count": 0, "viewer": {"liked": false}, "created_at": comment["created_at"],
    });
    assert_eq!(comment, expected);
    assert_eq!(bob.get(&at(&comment)).await.expect(200).body, expected);
    assert_eq!(bob.list(&on(&post)).await, std::slice::from_ref(&expected));
    let mut for_nobody = expected;
    for_nobody.as_object_mut().expect("an object").remove("viewer");
    assert_eq!(Caller::nobody().get(&at(&comment)).await.expect(200).body, for_nobody);
    assert_eq!(Caller::nobody().list(&on(&post)).await, [for_nobody]);
}

#[tokio::test]
async fn replies_are_one_level_deep_and_on_the_same_post() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let (post, other) = (post(&ada).await, post(&ada).await);
    let top = say(&bob, &post, "top").await;
    let answer = reply(&ada, &top, "reply").await;
    assert_eq!((&answer["parent_id"], answer["post_id"].as_str()), (&top["id"], Some(post.as_str())));
    assert_eq!(bob.get(&at(&top)).await.expect(200)["reply_count"], 1);
    for (on_post, parent) in [(&post, &answer["id"]), (&other, &top["id"]), (&post, &json!("0193a1f0-0000-7000-8000-000000000001"))] {
        bob.post(&on(on_post), json!({"text": "too deep", "parent_id": parent})).await.invalid(&["/parent_id"]);
    }
    bob.post(&on(&post), json!({"text": "no id", "parent_id": "1"})).await.invalid(&["/parent_id"]);
    // A reply has none, and none of them is among the post's own.
    assert!(bob.list(&format!("{}/replies", at(&answer))).await.is_empty());
    assert_eq!(bob.list(&on(&post)).await.len(), 1);
    assert_eq!(counted(&bob, &post).await, 2);
}

#[tokio::test]
async fn likes_are_said_once_and_counted_exactly_by_thirty_two_at_once() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let (one, other) = (say(&bob, &post, "one").await, say(&bob, &post, "other").await);
    let like = format!("{}/like", at(&one));
    let liking = |liked: bool| json!({"liked": liked});
    for _ in 0..2 {
        assert_eq!(ada.put(&like).await.expect(200).body, liking(true));
    }
    let shown = ada.list(&on(&post)).await;
    assert_eq!((&shown[0]["counts"]["likes"], &shown[0]["viewer"]["liked"]), (&json!(1), &json!(true)));
    assert_eq!((&shown[1]["counts"]["likes"], &shown[1]["viewer"]["liked"]), (&json!(0), &json!(false)));
    assert_eq!(bob.get(&at(&one)).await.expect(200)["viewer"], liking(false));
    for _ in 0..2 {
        assert_eq!(ada.delete(&like).await.expect(200).body, liking(false));
    }
    assert_eq!(ada.get(&at(&one)).await.expect(200)["counts"]["likes"], 0);

    // A reply is liked like any other, and so is one's own.
    let answer = reply(&bob, &one, "reply").await;
    bob.put(&format!("{}/like", at(&answer))).await.expect(200);
    assert_eq!(bob.list(&format!("{}/replies", at(&one))).await[0]["viewer"], liking(true));

    let fans = futures::future::join_all((0..8).map(|_| Person::sign_up("fan"))).await;
    let like = format!("{}/like", at(&other));
    let crowd = (0..32).map(|number| (number, &fans[number % 8]));
    futures::future::join_all(crowd.map(async |(number, fan)| {
        fan.put(&like).await.expect(200);
        // Half of them think better of it.
        if number % 2 == 1 {
            fan.delete(&like).await.expect(200);
        }
    }))
    .await;
    for fan in fans.iter().skip(1).step_by(2) {
        fan.delete(&like).await.expect(200);
    }
    assert_eq!(bob.get(&at(&other)).await.expect(200)["counts"]["likes"], 4);
    for (number, fan) in fans.iter().enumerate() {
        assert_eq!(fan.get(&at(&other)).await.expect(200)["viewer"], liking(number % 2 == 0));
    }
}

#[tokio::test]
async fn a_post_that_takes_no_comments_takes_none_from_anybody() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let photo = small_photo();
    let body = json!({"photos": [{"content_type": "image/jpeg", "bytes": photo.len()}], "comments_enabled": false});
    let answer = ada.post("/posts", body).await.expect(202);
    let ticket = Ticket { post_id: id(&answer.body), uploads: vec![answer["photos"][0]["upload"].clone()] };
    // Before it is published there is nothing to speak of, but for its author.
    ada.post(&on(&ticket.post_id), json!({"text": "first"})).await.problem(409, "not-published");
    bob.post(&on(&ticket.post_id), json!({"text": "first"})).await.problem(404, "not-found");
    ticket.upload(&ada, 0, &photo).await.expect(200);
    ticket.settled(&ada).await;
    for person in [&ada, &bob] {
        person.post(&on(&ticket.post_id), json!({"text": "first"})).await.problem(403, "comments-disabled");
    }
    assert!(bob.list(&on(&ticket.post_id)).await.is_empty());
}

#[tokio::test]
async fn an_author_lets_people_comment_and_thinks_better_of_it_and_what_is_there_stays() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let path = format!("/posts/{post}");
    let (kept, taken) = (say(&bob, &post, "while I may").await, say(&bob, &post, "better not").await);
    let under = reply(&ada, &kept, "you may").await;

    let closed = ada.patch(&path, json!({"comments_enabled": false})).await.expect(200).body;
    assert_eq!(closed["comments_enabled"], false);
    for person in [&ada, &bob] {
        for body in [json!({"text": "more"}), json!({"text": "more", "parent_id": kept["id"]})] {
            person.post(&on(&post), body).await.problem(403, "comments-disabled");
        }
    }
    ada.put(&format!("{}/like", at(&kept))).await.expect(200);
    bob.delete(&at(&taken)).await.expect(204);
    let listed = bob.list(&on(&post)).await;
    assert_eq!((ids(&listed), &listed[0]["counts"]["likes"]), (vec![id(&kept)], &json!(1)));
    assert_eq!(ids(&bob.list(&format!("{}/replies", at(&kept))).await), [id(&under)]);
    assert_eq!(counted(&bob, &post).await, 2);

    ada.patch(&path, json!({"comments_enabled": true})).await.expect(200);
    say(&bob, &post, "again").await;
    reply(&bob, &kept, "and again").await;
    assert_eq!(counted(&bob, &post).await, 4);
}

#[tokio::test]
async fn every_card_of_a_post_says_how_much_was_said_of_it() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = post(&ada).await;
    let comment = say(&bob, &post, "one").await;
    reply(&ada, &comment, "and two").await;
    bob.put(&format!("/posts/{post}/save")).await.expect(200);
    for list in ["/feed", "/me/saved", &format!("/users/{}/posts", ada.username)] {
        until("the card has the count", Duration::from_secs(20), async || {
            let cards = bob.list(list).await;
            cards.first().is_some_and(|card| card["counts"] == json!({"likes": 0, "comments": 2})).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_is_sent_again_with_its_key_comments_once() {
    let (ada, key) = (Person::sign_up("ada").await, crate::harness::unique("key"));
    let (one, another) = (post(&ada).await, post(&ada).await);
    let body = json!({"text": "once"});
    let first = say_with_key(&ada, &one, &key, &body).await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    ada.put(&format!("{}/like", at(&first.body))).await.expect(200);
    let again = say_with_key(&ada, &one, &key, &body).await.expect(201);
    assert_eq!((again.header("idempotent-replayed"), again.header("location")), (Some("true"), first.header("location")));
    assert_eq!((&again["id"], &again["viewer"]["liked"]), (&first["id"], &json!(true)), "as it is by now");
    say_with_key(&ada, &another, &key, &body).await.problem(422, "idempotency-key-reused");
    say_with_key(&ada, &one, &key, &json!({"text": "twice"})).await.problem(422, "idempotency-key-reused");
    assert_eq!((counted(&ada, &one).await, counted(&ada, &another).await), (1, 0));
    // Thirty-two at once: one comment.
    let key = crate::harness::unique("key");
    let body = json!({"text": "reply, once", "parent_id": first["id"]});
    let answers = futures::future::join_all((0..32).map(|_| say_with_key(&ada, &one, &key, &body))).await;
    for answer in answers {
        assert!(answer.status == 201 || answer["code"] == "idempotency-in-progress", "{}", answer.text);
    }
    assert_eq!(counted(&ada, &one).await, 2);
    // What is deleted since is not written anew.
    ada.delete(&at(&first.body)).await.expect(204);
    say_with_key(&ada, &one, &key, &body).await.problem(404, "not-found");
    assert_eq!(counted(&ada, &one).await, 0);
}
