//! Leaving: at once for everybody, and in the end without a trace.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    client::Answer,
    inside::Inside,
    people::PASSWORD,
    photographs::{publish, small_photo},
    until,
};

/// The whole course of a deletion, while the machine is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(4);
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

#[tokio::test]
async fn in_the_end_nothing_of_the_person_is_left_in_any_table_or_bucket_and_others_counts_are_exact() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let Some(inside) = Inside::of(&ada).await else { return };
    let people = format!("/users/{}", ada.username);
    ada.follow(&bob).await;
    bob.follow(&ada).await;
    cyd.follow(&bob).await;
    cyd.follow(&ada).await;
    cyd.put(&format!("{people}/mute")).await.expect(200);
    let (kept, deleted) = (publish(&ada, "kept").await, publish(&ada, "deleted").await);
    until("followers get the posts", SETTLES, async || (bob.feed().await.len() == 2).then_some(())).await;
    ada.delete(&format!("/posts/{}", id(&deleted))).await.expect(204);
    cyd.unfollow(&ada).await;
    ada.put(&format!("/users/{}/mute", bob.username)).await.expect(200);
    cyd.put(&format!("{people}/block")).await.expect(200);
    let photo = small_photo();
    let waiting = Ticket::of(&ada, "never uploaded", &[("image/jpeg", &photo)]).await;
    ada.post("/me/export", json!({})).await.expect(202);
    Caller::nobody().post("/sessions", json!({"login": ada.username, "password": PASSWORD})).await.expect(201);

    let kept = id(&kept);
    let deleted = id(&deleted);
    let needles = [&*ada.id, &ada.username, &ada.email, &kept, &deleted, &waiting.post_id];
    assert!(inside.traces_of(&needles).await.len() > 10, "there is something to remove");
    let location = leave(&ada, PASSWORD).await.expect(202).header("location").expect("a location").to_owned();
    inside.see_deleted(&location, PATIENCE).await;
    // Her ticket is still good for some minutes: what comes by it goes again.
    waiting.upload(&ada, 0, &photo).await.expect(200);
    until("nothing is left", SETTLES, async || {
        let traces = inside.traces_of(&needles).await;
        traces.is_empty().then_some(()).or_else(|| {
            println!("{traces:#?}");
            None
        })
    })
    .await;

    bob.counts_become([0, 1, 0]).await;
    cyd.counts_become([0, 0, 1]).await;
    assert_eq!(bob.list(&format!("/users/{}/followers", bob.username)).await[0]["id"], cyd.id);
    // Name and address are as good as new.
    let again = json!({"username": ada.username, "email": ada.email, "password": PASSWORD});
    let ada = Caller::nobody().post("/accounts", again).await.expect(201);
    assert_eq!(ada["user"]["username"], needles[1]);
    let profile = bob.get(&people).await.expect(200);
    assert_eq!(profile["counts"], json!({"posts": 0, "followers": 0, "following": 0}));
    assert_eq!((&profile["relationship"]["following"], &profile["relationship"]["muting"]), (&json!(false), &json!(false)));
}
