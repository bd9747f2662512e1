//! Leaving: at once for everybody, and in the end without a trace.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    avatars::{self, portray_anyhow},
    export,
    harness::{
        Caller, Person, Ticket,
        client::Answer,
        inside::Inside,
        notifications::{new, told},
        people::{PASSWORD, ids},
        photographs::{publish, small_photo},
        until,
    },
};

/// The whole course of a deletion, while the machine is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(4);
/// A file of which no item tells, as somebody who was killed leaves it.
const LEFT_BEHIND: &str = "left-behind";
/// What is on its way when a deletion is done ends soon after.
const SETTLES: Duration = Duration::from_secs(30);

/// Asks for one's deletion with this password.
pub(crate) async fn leave(person: &Person, password: &str) -> Answer {
    Answer::to(person.request(Method::DELETE, "/me").json(&json!({"password": password}))).await
}

fn id(post: &Value) -> String {
    post["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn whoever_leaves_is_gone_at_once_for_everybody() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = format!("/posts/{}", id(&publish(&ada, "farewell").await));
    until("the follower gets the post", SETTLES, async || (!bob.feed().await.is_empty()).then_some(())).await;

    leave(&ada, "not the password").await.problem(403, "wrong-password");
    Answer::to(ada.request(Method::DELETE, "/me")).await.problem(415, "unsupported-media-type");
    ada.get("/me").await.expect(200);

    let answer = leave(&ada, PASSWORD).await.expect(202);
    assert_eq!(answer["status"], "running");
    // Whoever did not get that answer asks again, and is told the same.
    let again = leave(&ada, PASSWORD).await.expect(202);
    assert_eq!((&again["id"], again.header("location")), (&answer["id"], answer.header("location")));
    let location = answer.header("location").expect("a location").to_owned();
    assert_eq!(location, format!("/v1/deletions/{}", answer["id"].as_str().expect("an id")));
    let nobody = Caller::nobody();
    for caller in [&nobody, &*bob] {
        caller.get(&format!("/users/{}", ada.username)).await.problem(404, "not-found");
        caller.get(&format!("/users/{}/followers", ada.username)).await.problem(404, "not-found");
        caller.get(&format!("/users/{}/posts", ada.username)).await.problem(404, "not-found");
        caller.get(&post).await.problem(404, "not-found");
    }
    // A card may be remembered for ten seconds.
    until("the feed does not show the posts", Duration::from_secs(15), async || bob.feed().await.is_empty().then_some(())).await;
    bob.put(&format!("/users/{}/follow", ada.username)).await.problem(404, "not-found");
    nobody.post("/sessions/refresh", json!({"refresh_token": ada.refresh_token})).await.problem(401, "unauthorized");
    nobody.post("/sessions", json!({"login": ada.email, "password": PASSWORD})).await.problem(401, "invalid-credentials");
    // Her name is not free before all of hers is gone.
    let again = json!({"username": ada.username, "email": "ada.again@example.com", "password": PASSWORD});
    nobody.post("/accounts", again).await.problem(409, "username-taken");
    until("the token ends", Duration::from_secs(61), async || (ada.get("/me").await.status == 401).then_some(())).await;

    let status = nobody.get(location.strip_prefix("/v1").expect("it is root-relative")).await.expect(200);
    assert!(!status.text.contains(&ada.id) && !status.text.contains(&ada.username), "{}", status.text);
    nobody.get(&format!("/deletions/{}", ada.id)).await.problem(404, "not-found");
}

/// The first two like and save the first one's posts, and two of the three a new one of the second's: its id.
async fn mark_posts([ada, bob, cyd]: [&Person; 3], [kept, deleted]: [&Value; 2]) -> String {
    let his = publish(bob, "his").await;
    for (person, post) in [(bob, kept), (bob, deleted), (ada, &his), (cyd, &his), (ada, kept)] {
        for mark in ["like", "save"] {
            person.put(&format!("/posts/{}/{mark}", id(post))).await.expect(200);
        }
    }
    id(&his)
}

/// Of the post whose other likers have left one is there, and counted; and nothing that has gone is saved.
async fn marks_are_exact(bob: &Person, cyd: &Person, his: &str) {
    assert_eq!(bob.get(&format!("/posts/{his}")).await.expect(200)["counts"]["likes"], 1);
    assert_eq!(ids(&bob.list(&format!("/posts/{his}/likes")).await), [&*cyd.id]);
    assert!(bob.list("/me/saved").await.is_empty());
}

/// What is in the tables of that, of her who leaves and of him, of her posts and of his.
fn marks([ada, bob]: [&Person; 2], [kept, deleted, his]: [&str; 3]) -> Vec<(String, String)> {
    let of = |person: &Person, sk: String| (format!("VIEWER#{}", person.id), sk);
    let count = |post: &str| (format!("COUNTS#{post}"), "LIKES#".to_owned());
    vec![
        of(ada, format!("MARK#{his}#LIKED")),
        of(ada, format!("MARK#{his}#SAVED")),
        of(ada, "\"SAVED#".to_owned()),
        of(bob, format!("MARK#{kept}#LIKED")),
        of(bob, format!("MARK#{deleted}#SAVED")),
        count(kept),
        count(deleted),
    ]
}

/// Two private accounts, each of which waits for the other's approval.
async fn ask_each_other(ada: &Person, dan: &Person) {
    for person in [ada, dan] {
        person.patch("/me", json!({"is_private": true})).await.expect(200);
    }
    for (follower, followee) in [(ada, dan), (dan, ada)] {
        let answer = follower.put(&format!("/users/{}/follow", followee.username)).await.expect(200);
        assert_eq!(answer["requested"], true);
    }
}

/// What others are told of her who leaves, and she of others.
async fn all_are_told([ada, bob, dan]: [&Person; 3]) {
    for (person, line) in [(bob, new("mention", &[ada])), (ada, new("follow_request", &[dan]))] {
        until("both are told", SETTLES, async || told(person).await.contains(&line).then_some(())).await;
    }
    until("his followers are told", SETTLES, async || {
        told(bob).await.iter().any(|line| line.starts_with("follow") && line.ends_with("of 2*")).then_some(())
    })
    .await;
}

/// What is in the tables of that.
fn causes([ada, bob, dan]: [&Person; 3], kept: &str) -> Vec<(String, String)> {
    let inbox = |person: &Person| format!("INBOX#{}", person.id);
    vec![
        (inbox(ada), "STATE".to_owned()),
        (inbox(ada), format!("CAUSE#{}#follow_request", dan.id)),
        (inbox(bob), format!("CAUSE#{}#follow#", ada.id)),
        (inbox(bob), format!("CAUSE#{}#mention#{kept}", ada.id)),
    ]
}

#[tokio::test]
async fn in_the_end_nothing_of_the_person_is_left_in_any_table_or_bucket_and_others_counts_are_exact() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let (dan, eve) = (Person::sign_up("dan").await, Person::sign_up("eve").await);
    let Some(inside) = Inside::of(&ada).await else { return };
    let people = format!("/users/{}", ada.username);
    let of = |person: &Person, what: &str| format!("/users/{}/{what}", person.username);
    ada.follow(&bob).await;
    bob.follow(&ada).await;
    cyd.follow(&bob).await;
    cyd.follow(&ada).await;
    ask_each_other(&ada, &dan).await;
    let (kept, deleted) = (publish(&ada, &format!("kept, @{}", bob.username)).await, publish(&ada, "deleted").await);
    until("followers get the posts", SETTLES, async || (bob.feed().await.len() == 2).then_some(())).await;
    // Hers are liked and saved by others, the deleted one too, and his by her.
    let his = mark_posts([&ada, &bob, &cyd], [&kept, &deleted]).await;
    ada.delete(&format!("/posts/{}", id(&deleted))).await.expect(204);
    cyd.unfollow(&ada).await;
    for (person, whom, what) in [(&ada, &bob, "mute"), (&dan, &ada, "mute"), (&ada, &eve, "block"), (&cyd, &ada, "block")] {
        person.put(&of(whom, what)).await.expect(200);
    }
    let photo = small_photo();
    let waiting = Ticket::of(&ada, "never uploaded", &[("image/jpeg", &photo)]).await;
    portray_anyhow(&ada).await;
    let portrait = avatars::ticket(&ada, "image/jpeg", &photo).await;
    inside.put("uploads", &format!("uploads/avatars/{}/{LEFT_BEHIND}", ada.id)).await;
    inside.put("exports", &format!("exports/{}/{LEFT_BEHIND}", ada.id)).await;
    inside.begin("exports", &format!("exports/{}/{LEFT_BEHIND}.tar", ada.id)).await;
    let export = Answer::to(ada.request(Method::POST, "/me/export").header("idempotency-key", "once")).await.expect(202);
    export::done(&ada, export.header("location").expect("a location")).await;
    Caller::nobody().post("/sessions", json!({"login": ada.username, "password": PASSWORD})).await.expect(201);

    let kept = id(&kept);
    let deleted = id(&deleted);
    let needles = [&*ada.id, &ada.username, &ada.email, &kept, &deleted, &waiting.post_id];
    all_are_told([&ada, &bob, &dan]).await;
    let traces = inside.traces_of(&needles).await;
    // What is not there before can't be missed afterwards.
    let (user, me) = (format!("USER#{}", ada.id), &ada.id);
    let pair = |pk: &str, sk: String| (pk.to_owned(), sk);
    let partition = |person: &Person| format!("USER#{}", person.id);
    let marks = marks([&ada, &bob], [&kept, &deleted, &his]).into_iter();
    let before = marks.chain(causes([&ada, &bob, &dan], &kept)).chain([
        pair(&user, "SESSION#".to_owned()),
        pair(&user, format!("FOLLOWING#{}", bob.id)),
        pair(&user, format!("FOLLOWER#{}", bob.id)),
        pair(&user, format!("REQUESTED#{}", dan.id)),
        pair(&user, format!("REQUEST#{}", dan.id)),
        pair(&user, format!("FENCE#{}#MUTING", bob.id)),
        pair(&user, format!("FENCE#{}#BLOCKING", eve.id)),
        pair(&user, format!("FENCE#{}#BLOCKED", cyd.id)),
        pair(&user, format!("MUTED_BY#{}", dan.id)),
        pair(&user, format!("FENCED_BY#{}", cyd.id)),
        pair(&user, format!("EXPORT#{}", export["id"].as_str().expect("an id"))),
        pair(&user, "KEY#".to_owned()),
        pair(&user, "LIMIT#".to_owned()),
        pair(&user, "avatar_upload".to_owned()),
        pair(&partition(&bob), format!("FOLLOWING#{me}")),
        pair(&partition(&bob), format!("FOLLOWER#{me}")),
        pair(&partition(&bob), format!("MUTED_BY#{me}")),
        pair(&partition(&dan), format!("REQUESTED#{me}")),
        pair(&partition(&dan), format!("REQUEST#{me}")),
        pair(&partition(&dan), format!("FENCE#{me}#MUTING")),
        pair(&partition(&eve), format!("FENCE#{me}#BLOCKED")),
        pair(&partition(&cyd), format!("FENCE#{me}#BLOCKING")),
        pair("COUNTS#", me.clone()),
        pair("private/", kept.clone()),
        pair("public/avatars/", me.clone()),
        pair("uploads/avatars/", LEFT_BEHIND.to_owned()),
        pair(&format!("exports/{me}/"), ".tar".to_owned()),
        pair(&format!("exports/{me}/"), LEFT_BEHIND.to_owned()),
    ]);
    for (one, another) in before {
        assert!(traces.iter().any(|trace| trace.contains(&one) && trace.contains(&another)), "{one} {another} in {traces:#?}");
    }
    let location = leave(&ada, PASSWORD).await.expect(202).header("location").expect("a location").to_owned();
    inside.see_deleted(&location, PATIENCE).await;
    let nothing_is_left = async || {
        until("nothing is left", SETTLES, async || {
            let traces = inside.traces_of(&needles).await;
            traces.is_empty().then_some(()).or_else(|| {
                println!("{traces:#?}");
                None
            })
        })
        .await;
    };
    nothing_is_left().await;
    // Her tickets are still good for some minutes: what comes by them goes again.
    waiting.upload(&ada, 0, &photo).await.expect(200);
    avatars::upload(&ada, &portrait, &photo).await.expect(200);
    nothing_is_left().await;

    bob.counts_become([1, 1, 0]).await;
    cyd.counts_become([0, 0, 1]).await;
    marks_are_exact(&bob, &cyd, &his).await;
    assert_eq!(bob.list(&format!("/users/{}/followers", bob.username)).await[0]["id"], cyd.id);
    // Name and address are as good as new.
    let again = json!({"username": ada.username, "email": ada.email, "password": PASSWORD});
    let ada = Caller::nobody().post("/accounts", again).await.expect(201);
    assert_eq!(ada["user"]["username"], needles[1]);
    let profile = bob.get(&people).await.expect(200);
    assert_eq!(profile["counts"], json!({"posts": 0, "followers": 0, "following": 0}));
    assert_eq!((&profile["relationship"]["following"], &profile["relationship"]["muting"]), (&json!(false), &json!(false)));
}
