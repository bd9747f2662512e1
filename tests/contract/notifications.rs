//! Notifications: of every kind, once, to those who want them, and to nobody else.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    export,
    harness::{
        Caller, Person, Ticket,
        client::Answer,
        notifications::{is_told, is_told_somehow, new, read, told, unread},
        photographs::{publish, small_photo},
        throughout, until,
    },
};

/// How long what must not come is watched for.
const WATCH: Duration = Duration::from_secs(2);

fn id(thing: &Value) -> String {
    thing["id"].as_str().expect("an id").to_owned()
}

async fn like(person: &Person, post: &Value) {
    person.put(&format!("/posts/{}/like", id(post))).await.expect(200);
}

async fn comment(person: &Person, post: &Value, text: &str, parent: Option<&Value>) -> Value {
    let parent = parent.map(|parent| parent["id"].clone());
    let body = parent.map_or_else(|| json!({"text": text}), |parent| json!({"text": text, "parent_id": parent}));
    person.post(&format!("/posts/{}/comments", id(post)), body).await.expect(201).body
}

async fn change(person: &Person, whom: &Person, what: &str) {
    person.put(&format!("/users/{}/{what}", whom.username)).await.expect(200);
}

#[tokio::test]
async fn a_follow_a_like_a_comment_a_reply_and_a_like_of_a_comment_are_told_to_whom_they_concern() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = publish(&ada, "one").await;
    assert_eq!((told(&ada).await, unread(&ada).await), (vec![], 0));
    let mut expected = Vec::new();
    bob.follow(&ada).await;
    expected.insert(0, new("follow", &[&bob]));
    is_told(&ada, &expected).await;
    like(&bob, &post).await;
    expected.insert(0, new("like", &[&bob]));
    is_told(&ada, &expected).await;
    let first = comment(&bob, &post, "well\n\n done", None).await;
    expected.insert(0, new("comment", &[&bob]));
    is_told(&ada, &expected).await;

    let notes = ada.list("/notifications").await;
    let thumb = &post["photos"][0]["variants"][0];
    assert_eq!(thumb["name"], "thumb");
    assert_eq!(notes[0]["post"], json!({"id": post["id"], "thumb": thumb["url"]}));
    assert_eq!(notes[0]["comment"], json!({"id": first["id"], "excerpt": "well done"}));
    assert_eq!((notes[1]["comment"].as_object(), notes[2]["post"].as_object()), (None, None));
    let bob_is = bob.get("/me").await.expect(200);
    assert_eq!(
        notes[0]["actors"],
        json!([{"id": bob.id, "username": bob.username, "display_name": bob_is["display_name"], "avatar": null}])
    );

    let reply = comment(&ada, &post, "thanks", Some(&first)).await;
    is_told(&bob, &[new("reply", &[&ada])]).await;
    ada.put(&format!("/comments/{}/like", id(&first))).await.expect(200);
    is_told(&bob, &[new("comment_like", &[&ada]), new("reply", &[&ada])]).await;
    bob.put(&format!("/comments/{}/like", id(&reply))).await.expect(200);
    expected.insert(0, new("comment_like", &[&bob]));
    is_told(&ada, &expected).await;
}

#[tokio::test]
async fn mentions_in_captions_and_comments_are_told_once_to_each() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = publish(&ada, &format!("with @{} and @{} and @{}", bob.username, ada.username, bob.username)).await;
    is_told(&bob, &[new("mention", &[&ada])]).await;
    // Edited, it is told to whom it did not mention before.
    let caption = json!({"caption": format!("with @{} and @{}", bob.username, cyd.username)});
    ada.patch(&format!("/posts/{}", id(&post)), caption).await.expect(200);
    is_told(&cyd, &[new("mention", &[&ada])]).await;
    comment(&cyd, &post, &format!("@{} @{} look, @{}", bob.username, ada.username, cyd.username), None).await;
    is_told(&bob, &[new("mention", &[&cyd]), new("mention", &[&ada])]).await;
    is_told(&ada, &[new("mention", &[&cyd])]).await;
    throughout(WATCH, async || {
        assert_eq!((told(&ada).await.len(), told(&bob).await.len(), told(&cyd).await.len()), (1, 2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_request_is_told_while_it_waits_and_an_approval_to_whoever_asked() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    let follow = format!("/users/{}/follow", ada.username);
    bob.put(&follow).await.expect(200);
    is_told(&ada, &[new("follow_request", &[&bob])]).await;
    bob.delete(&follow).await.expect(200);
    assert!(told(&ada).await.is_empty(), "the very next read");
    is_told(&ada, &[]).await;
    bob.put(&follow).await.expect(200);
    is_told(&ada, &[new("follow_request", &[&bob])]).await;
    ada.delete(&format!("/me/follow-requests/{}", bob.username)).await.expect(204);
    is_told(&ada, &[]).await;
    bob.put(&follow).await.expect(200);
    is_told(&ada, &[new("follow_request", &[&bob])]).await;
    ada.put(&format!("/me/follow-requests/{}", bob.username)).await.expect(204);
    is_told(&bob, &[new("follow_accepted", &[&ada])]).await;
    is_told(&ada, &[]).await;
    // A follow that ends takes that back; another approval is told anew.
    bob.unfollow(&ada).await;
    is_told(&bob, &[]).await;
    bob.put(&follow).await.expect(200);
    is_told(&ada, &[new("follow_request", &[&bob])]).await;
    ada.put(&format!("/me/follow-requests/{}", bob.username)).await.expect(204);
    is_told(&bob, &[new("follow_accepted", &[&ada])]).await;
}

#[tokio::test]
async fn a_post_that_failed_and_an_archive_that_is_ready_are_told_to_whose_they_are() {
    let ada = Person::sign_up("ada").await;
    let ticket = Ticket::of(&ada, "no photograph", &[("image/jpeg", b"this is no image at all")]).await;
    ticket.upload(&ada, 0, b"this is no image at all").await.expect(200);
    assert_eq!(ticket.settled(&ada).await["status"], "failed");
    is_told(&ada, &["post_failed*".to_owned()]).await;
    let note = &ada.list("/notifications").await[0];
    assert_eq!((&note["post"], &note["actors"], &note["actor_count"]), (&json!({"id": ticket.post_id}), &json!([]), &json!(0)));
    let export = ada.post("/me/export", json!({})).await.expect(202);
    export::done(&ada, export.header("location").expect("a location")).await;
    is_told(&ada, &["export_ready*".to_owned(), "post_failed*".to_owned()]).await;
}

#[tokio::test]
async fn likes_of_one_post_and_follows_are_one_notification_that_moves_up_when_it_grows_and_repeats_count_once() {
    let ada = Person::sign_up("ada").await;
    let (one, other) = (publish(&ada, "one").await, publish(&ada, "other").await);
    let mut fans = Vec::new();
    for _ in 0..4 {
        fans.push(Person::sign_up("fan").await);
    }
    let [bob, cyd, dan, eve] = fans.iter().collect::<Vec<_>>().try_into().expect("four");
    like(bob, &one).await;
    is_told(&ada, &[new("like", &[bob])]).await;
    like(bob, &other).await;
    is_told(&ada, &[new("like", &[bob]), new("like", &[bob])]).await;
    bob.follow(&ada).await;
    is_told(&ada, &[new("follow", &[bob]), new("like", &[bob]), new("like", &[bob])]).await;
    // Taken back and given again it is told no more.
    for _ in 0..2 {
        bob.delete(&format!("/posts/{}/like", id(&one))).await.expect(200);
        like(bob, &one).await;
        bob.unfollow(&ada).await;
        bob.follow(&ada).await;
    }
    like(cyd, &one).await;
    is_told(&ada, &[new("like", &[cyd, bob]), new("follow", &[bob]), new("like", &[bob])]).await;
    assert_eq!(ada.list("/notifications").await[0]["post"]["id"], one["id"]);
    cyd.follow(&ada).await;
    is_told(&ada, &[new("follow", &[cyd, bob]), new("like", &[cyd, bob]), new("like", &[bob])]).await;
    let before = ada.list("/notifications").await;
    like(dan, &one).await;
    is_told(&ada, &[new("like", &[dan, cyd, bob]), new("follow", &[cyd, bob]), new("like", &[bob])]).await;
    like(eve, &one).await;
    // Three are named, all are counted.
    let four = format!("like by {}, {}, {} of 4*", eve.username, dan.username, cyd.username);
    is_told(&ada, &[four.clone(), new("follow", &[cyd, bob]), new("like", &[bob])]).await;
    let after = ada.list("/notifications").await;
    assert_eq!((&after[0]["id"], &after[1]), (&before[1]["id"], &before[0]), "it has moved, and the other has not");
    assert!(after[0]["updated_at"].as_str() > before[0]["updated_at"].as_str());
    throughout(WATCH, async || assert_eq!((told(&ada).await.len(), unread(&ada).await), (3, 3))).await;
}

#[tokio::test]
async fn nobody_is_told_what_they_do_themselves_or_what_those_do_whom_they_have_muted_or_blocked() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = publish(&ada, &format!("I am @{}", ada.username)).await;
    like(&ada, &post).await;
    let own = comment(&ada, &post, &format!("@{}", ada.username), None).await;
    comment(&ada, &post, "and again", Some(&own)).await;
    ada.put(&format!("/comments/{}/like", id(&own))).await.expect(200);
    change(&ada, &bob, "mute").await;
    like(&bob, &post).await;
    comment(&bob, &post, &format!("hello @{}", ada.username), None).await;
    bob.follow(&ada).await;
    change(&ada, &cyd, "block").await;
    publish(&cyd, &format!("@{} has blocked me", ada.username)).await;
    // Somebody else, who comes after them all.
    let dan = Person::sign_up("dan").await;
    like(&dan, &post).await;
    is_told(&ada, &[new("like", &[&dan])]).await;
    throughout(WATCH, async || assert_eq!((told(&ada).await.len(), unread(&ada).await), (1, 1))).await;
}

#[tokio::test]
async fn each_kind_has_a_switch_and_what_is_off_is_not_told() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = publish(&ada, "one").await;
    let off = json!({"notifications": {"like": false, "follow": false, "mention": false}});
    ada.patch("/me", off).await.expect(200);
    like(&bob, &post).await;
    bob.follow(&ada).await;
    publish(&bob, &format!("@{}", ada.username)).await;
    comment(&bob, &post, "well", None).await;
    is_told(&ada, &[new("comment", &[&bob])]).await;
    throughout(WATCH, async || assert_eq!((told(&ada).await.len(), unread(&ada).await), (1, 1))).await;
}

#[tokio::test]
async fn what_is_about_a_deleted_post_or_comment_goes_for_everybody() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let (kept, deleted) = (publish(&ada, "kept").await, publish(&ada, &format!("for @{}", cyd.username)).await);
    for person in [&bob, &cyd] {
        like(person, &deleted).await;
    }
    like(&bob, &kept).await;
    let first = comment(&bob, &kept, "first", None).await;
    let reply = comment(&cyd, &kept, "second", Some(&first)).await;
    bob.put(&format!("/comments/{}/like", id(&reply))).await.expect(200);
    let other = comment(&bob, &kept, "third", None).await;
    let likes = [format!("like by {} of 1*", bob.username), new("comment", &[&bob]), new("comment", &[&cyd]), new("comment", &[&bob])];
    until("Ada is told it all", Duration::from_secs(40), async || (told(&ada).await.len() == 5).then_some(())).await;
    is_told(&bob, &[new("reply", &[&cyd])]).await;
    is_told_somehow(&cyd, &[new("comment_like", &[&bob]), new("mention", &[&ada])]).await;

    ada.delete(&format!("/posts/{}", id(&deleted))).await.expect(204);
    is_told(&cyd, &[new("comment_like", &[&bob])]).await;
    is_told_somehow(&ada, &likes).await;
    // The comment goes with its replies.
    bob.delete(&format!("/comments/{}", id(&first))).await.expect(204);
    is_told(&cyd, &[]).await;
    is_told(&bob, &[]).await;
    is_told_somehow(&ada, &likes[..2]).await;
    ada.delete(&format!("/comments/{}", id(&other))).await.expect(204);
    is_told(&ada, &likes[..1]).await;
}

#[tokio::test]
async fn a_block_or_a_mute_takes_out_what_was_told_of_the_other_and_leaves_the_rest_of_a_group() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = publish(&ada, "one").await;
    like(&bob, &post).await;
    is_told(&ada, &[new("like", &[&bob])]).await;
    like(&cyd, &post).await;
    is_told(&ada, &[new("like", &[&cyd, &bob])]).await;
    comment(&bob, &post, "well", None).await;
    is_told(&ada, &[new("comment", &[&bob]), new("like", &[&cyd, &bob])]).await;
    ada.follow(&bob).await;
    is_told(&bob, &[new("follow", &[&ada])]).await;
    change(&ada, &bob, "block").await;
    assert_eq!(told(&ada).await, [new("like", &[&cyd])], "the very next read");
    is_told(&ada, &[new("like", &[&cyd])]).await;
    is_told(&bob, &[]).await;
    change(&ada, &cyd, "mute").await;
    assert!(told(&ada).await.is_empty(), "the very next read");
    is_told(&ada, &[]).await;
}

#[tokio::test]
async fn nothing_of_a_private_account_is_told_to_whoever_may_not_see_it() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    bob.follow(&ada).await;
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    let post = publish(&ada, &format!("@{} and @{}", bob.username, cyd.username)).await;
    is_told(&bob, &[new("mention", &[&ada])]).await;
    comment(&bob, &post, &format!("hello @{}", cyd.username), None).await;
    until("the author is told", Duration::from_secs(40), async || told(&ada).await.contains(&new("comment", &[&bob])).then_some(())).await;
    throughout(WATCH, async || assert_eq!((told(&cyd).await.len(), unread(&cyd).await), (0, 0))).await;
    // Nor is what was told shown to whoever follows no more, until they do again.
    bob.unfollow(&ada).await;
    assert!(told(&bob).await.is_empty(), "the very next read");
    bob.put(&format!("/users/{}/follow", ada.username)).await.expect(200);
    throughout(WATCH, async || assert!(told(&bob).await.is_empty())).await;
    ada.put(&format!("/me/follow-requests/{}", bob.username)).await.expect(204);
    is_told(&bob, &[new("follow_accepted", &[&ada]), new("mention", &[&ada])]).await;
}

#[tokio::test]
async fn what_was_read_up_to_a_point_is_read_and_a_group_that_grows_is_new_again() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = publish(&ada, "one").await;
    like(&bob, &post).await;
    is_told(&ada, &[new("like", &[&bob])]).await;
    let older = ada.list("/notifications").await[0]["updated_at"].clone();
    bob.follow(&ada).await;
    is_told(&ada, &[new("follow", &[&bob]), new("like", &[&bob])]).await;
    let newest = ada.list("/notifications").await[0]["updated_at"].clone();

    let path = "/notifications/unread-count";
    let polled = ada.get(path).await.expect(200);
    assert_eq!((&polled.body, polled.header("cache-control")), (&json!({"count": 2}), Some("private, no-cache")));
    let tag = polled.header("etag").expect("an ETag").to_owned();
    let poll = async || Answer::to(ada.request(Method::GET, path).header("if-none-match", &tag)).await;
    assert_eq!(poll().await.status, 304);

    for _ in 0..2 {
        assert_eq!(read(&ada, &older).await.expect(200).body, json!({"count": 1}));
    }
    is_told(&ada, &[new("follow", &[&bob]), format!("like by {} of 1", bob.username)]).await;
    assert_eq!(poll().await.expect(200).body, json!({"count": 1}));
    assert_eq!(read(&ada, &newest).await.expect(200).body, json!({"count": 0}));
    assert_eq!(read(&ada, &older).await.expect(200).body, json!({"count": 0}), "nothing is unread by it");
    is_told(&ada, &[format!("follow by {} of 1", bob.username), format!("like by {} of 1", bob.username)]).await;
    like(&cyd, &post).await;
    is_told(&ada, &[new("like", &[&cyd, &bob]), format!("follow by {} of 1", bob.username)]).await;

    read(&ada, &json!("2999-01-01T00:00:00.000Z")).await.invalid(&["/up_to"]);
    read(&ada, &json!("yesterday")).await.invalid(&["/up_to"]);
    read(&ada, &Value::Null).await.invalid(&["/up_to"]);
    assert_eq!(read(&bob, &newest).await.expect(200).body, json!({"count": 0}), "where nothing was told");
}

#[tokio::test]
async fn pages_hold_all_of_it_once_in_order() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = publish(&ada, "one").await;
    for number in 0..7 {
        comment(&bob, &post, &number.to_string(), None).await;
    }
    until("all are there", Duration::from_secs(40), async || (told(&ada).await.len() == 7).then_some(())).await;
    let all = ada.list("/notifications").await;
    let pages = ada.pages("/notifications", 3).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), all);
    assert!(all.is_sorted_by(|newer, older| newer["updated_at"].as_str() > older["updated_at"].as_str()));
    // Pages of others are no pages of theirs.
    let cursor = ada.get("/notifications?limit=3").await.expect(200)["next_cursor"].as_str().expect("a cursor").to_owned();
    bob.get(&format!("/notifications?cursor={cursor}")).await.invalid(&["?cursor"]);
    for path in ["/notifications", "/notifications/unread-count"] {
        Caller::nobody().get(path).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_post_that_goes_through_is_no_failure() {
    let ada = Person::sign_up("ada").await;
    let photo = small_photo();
    let ticket = Ticket::of(&ada, "fine", &[("image/jpeg", &photo)]).await;
    ticket.upload(&ada, 0, &photo).await.expect(200);
    assert_eq!(ticket.settled(&ada).await["status"], "published");
    throughout(WATCH, async || assert_eq!((told(&ada).await.len(), unread(&ada).await), (0, 0))).await;
}
