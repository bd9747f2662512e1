//! Mutes: out of sight from the next read on, back at the next read after, and nobody is told.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Person, people::ids, photographs::publish, throughout, until};

const PATIENCE: Duration = Duration::from_secs(20);
const WATCH: Duration = Duration::from_secs(2);

async fn post(author: &Person) -> String {
    publish(author, "loud").await["id"].as_str().expect("an id").to_owned()
}

async fn shows(viewer: &Person, post: &str) {
    until("the feed shows the post", PATIENCE, async || viewer.feed().await.iter().any(|id| id == post).then_some(())).await;
}

#[tokio::test]
async fn a_mute_hides_the_posts_from_the_next_read_on_and_an_unmute_brings_all_back() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let mute = format!("/users/{}/mute", ada.username);
    bob.follow(&ada).await;
    let before = post(&ada).await;
    shows(&bob, &before).await;
    for _ in 0..2 {
        assert_eq!(bob.put(&mute).await.expect(200).body, json!({"muting": true}));
    }
    assert!(bob.feed().await.is_empty(), "the very next read");
    let meanwhile = post(&ada).await;
    shows(&ada, &meanwhile).await;
    throughout(WATCH, async || assert!(bob.feed().await.is_empty())).await;
    assert_eq!(ids(&bob.list("/me/mutes").await), [ada.id.as_str()]);
    for _ in 0..2 {
        assert_eq!(bob.delete(&mute).await.expect(200).body, json!({"muting": false}));
    }
    assert_eq!(bob.feed().await, [meanwhile, before], "the very next read");
    assert!(bob.list("/me/mutes").await.is_empty());
}

#[tokio::test]
async fn who_is_muted_can_not_tell() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let path = format!("/users/{}", bob.username);
    let (before, own) = (ada.get(&path).await.expect(200).body, ada.get("/me").await.expect(200).body);
    bob.put(&format!("/users/{}/mute", ada.username)).await.expect(200);
    assert_eq!(bob.get(&format!("/users/{}", ada.username)).await.expect(200)["relationship"]["muting"], true);
    assert_eq!(ada.get(&path).await.expect(200)["relationship"], before["relationship"]);
    assert_eq!(ada.get("/me").await.expect(200).body, own);
    for list in ["/me/mutes", "/me/blocks", "/me/follow-requests"] {
        assert!(ada.list(list).await.is_empty(), "{list}");
    }
    assert_eq!(ids(&ada.list(&format!("/users/{}/followers", ada.username)).await), [bob.id.as_str()]);
    // Profile, lists and single posts of who is muted stay open to the one who has muted.
    let post = post(&ada).await;
    bob.get(&format!("/posts/{post}")).await.expect(200);
}

#[tokio::test]
async fn who_blocks_the_viewer_is_in_no_list_of_mutes_and_is_there_again_afterwards() {
    let (bob, mut muted) = (Person::sign_up("bob").await, Vec::new());
    for _ in 0..3 {
        let person = Person::sign_up("ada").await;
        bob.put(&format!("/users/{}/mute", person.username)).await.expect(200);
        muted.push(person);
    }
    let block = format!("/users/{}/block", bob.username);
    let listed = async || ids(&bob.pages("/me/mutes", 1).await.concat());
    let all: Vec<_> = muted.iter().map(|person| person.id.clone()).collect();
    assert_eq!(listed().await, all);
    muted[1].put(&block).await.expect(200);
    assert_eq!(listed().await, [all[0].clone(), all[2].clone()]);
    // What the viewer has done, and may undo, the viewer sees.
    bob.put(&format!("/users/{}/block", muted[0].username)).await.expect(200);
    assert_eq!(listed().await, [all[0].clone(), all[2].clone()]);
    muted[1].delete(&block).await.expect(200);
    assert_eq!(listed().await, all);
}

#[tokio::test]
async fn an_unfollow_outlasts_an_unmute() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = post(&ada).await;
    shows(&bob, &post).await;
    bob.put(&format!("/users/{}/mute", ada.username)).await.expect(200);
    bob.unfollow(&ada).await;
    bob.delete(&format!("/users/{}/mute", ada.username)).await.expect(200);
    throughout(WATCH, async || assert!(bob.feed().await.is_empty())).await;
}

#[tokio::test]
async fn nobody_mutes_themselves_or_somebody_who_is_not_there() {
    let ada = Person::sign_up("ada").await;
    ada.put(&format!("/users/{}/mute", ada.username)).await.problem(403, "cannot-mute-yourself");
    ada.put(&format!("/users/{}/mute", crate::harness::unique("nobody"))).await.problem(404, "not-found");
}
