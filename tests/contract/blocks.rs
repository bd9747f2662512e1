//! Blocks: who blocks and who is blocked do not find each other anywhere, from the answer on.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Caller, Person, people::ids, photographs::publish, throughout, until};

const PATIENCE: Duration = Duration::from_secs(20);
const WATCH: Duration = Duration::from_secs(2);

async fn block(blocker: &Person, blocked: &Person) {
    let answer = blocker.put(&format!("/users/{}/block", blocked.username)).await.expect(200);
    assert_eq!(answer.body, json!({"blocking": true}));
}

async fn unblock(blocker: &Person, blocked: &Person) {
    let answer = blocker.delete(&format!("/users/{}/block", blocked.username)).await.expect(200);
    assert_eq!(answer.body, json!({"blocking": false}));
}

async fn post(author: &Person) -> String {
    publish(author, "seen").await["id"].as_str().expect("an id").to_owned()
}

async fn shows(viewer: &Person, post: &str) {
    until("the feed shows the post", PATIENCE, async || viewer.feed().await.iter().any(|id| id == post).then_some(())).await;
}

#[tokio::test]
async fn a_block_hides_each_from_the_other_at_once_and_nothing_returns() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    ada.follow(&bob).await;
    bob.follow(&ada).await;
    let (hers, his) = (post(&ada).await, post(&bob).await);
    shows(&ada, &his).await;
    shows(&bob, &hers).await;
    // Its fan-out is on its way when the block is answered.
    post(&ada).await;
    block(&ada, &bob).await;
    assert!(!ada.feed().await.contains(&his), "the blocker's very next read");
    assert!(bob.feed().await.iter().all(|id| *id == his), "the blocked one's very next read");
    bob.get(&format!("/posts/{hers}")).await.problem(404, "not-found");
    ada.get(&format!("/posts/{his}")).await.problem(404, "not-found");
    throughout(WATCH, async || {
        assert!(!ada.feed().await.contains(&his));
        assert!(bob.feed().await.iter().all(|id| *id == his));
    })
    .await;
    ada.counts_become([2, 0, 0]).await;
    let counts = &bob.get(&format!("/users/{}", bob.username)).await.expect(200)["counts"];
    assert_eq!(*counts, json!({"posts": 1, "followers": 0, "following": 0}));

    // Nothing is restored by the unblock.
    unblock(&ada, &bob).await;
    throughout(WATCH, async || {
        assert!(!ada.feed().await.contains(&his));
        assert!(!bob.feed().await.contains(&hers));
    })
    .await;
    bob.follow(&ada).await;
    shows(&bob, &hers).await;
}

#[tokio::test]
async fn who_is_blocked_finds_nobody_and_can_neither_follow_nor_mute() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    block(&ada, &bob).await;
    let of_ada = format!("/users/{}", ada.username);
    for path in ["", "/followers", "/following", "/posts"] {
        bob.get(&format!("{of_ada}{path}")).await.problem(404, "not-found");
        Caller::nobody().get(&format!("{of_ada}{path}")).await.expect(200);
    }
    bob.get(&format!("/posts/{post}")).await.problem(404, "not-found");
    bob.delete(&format!("/posts/{post}")).await.problem(404, "not-found");
    bob.put(&format!("{of_ada}/follow")).await.problem(404, "not-found");
    bob.delete(&format!("{of_ada}/follow")).await.problem(404, "not-found");
    bob.put(&format!("{of_ada}/mute")).await.problem(404, "not-found");
    bob.delete(&format!("{of_ada}/mute")).await.problem(404, "not-found");
    bob.put(&format!("/me/follow-requests/{}", ada.username)).await.problem(404, "not-found");
    bob.delete(&format!("/me/follow-requests/{}", ada.username)).await.problem(404, "not-found");
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    bob.put(&format!("{of_ada}/follow")).await.problem(404, "not-found");
    assert!(ada.list("/me/follow-requests").await.is_empty());
}

#[tokio::test]
async fn who_blocks_still_finds_the_profile_to_undo_it_and_nothing_else() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    for _ in 0..2 {
        block(&ada, &bob).await;
    }
    let of_bob = format!("/users/{}", bob.username);
    assert_eq!(ada.get(&of_bob).await.expect(200)["relationship"]["blocking"], true);
    for path in ["/followers", "/following", "/posts"] {
        ada.get(&format!("{of_bob}{path}")).await.problem(404, "not-found");
    }
    ada.put(&format!("{of_bob}/follow")).await.problem(403, "blocking");
    assert_eq!(ids(&ada.list("/me/blocks").await), [bob.id.as_str()]);
    assert!(bob.list("/me/blocks").await.is_empty(), "nobody is told who blocks them");
    for _ in 0..2 {
        unblock(&ada, &bob).await;
    }
    assert!(ada.list("/me/blocks").await.is_empty());
    assert_eq!(ada.get(&of_bob).await.expect(200)["relationship"]["blocking"], false);
    bob.get(&format!("/users/{}", ada.username)).await.expect(200);
}

#[tokio::test]
async fn who_is_blocked_may_block_as_well_and_each_undoes_only_their_own() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    block(&ada, &bob).await;
    block(&bob, &ada).await;
    unblock(&ada, &bob).await;
    ada.get(&format!("/users/{}", bob.username)).await.problem(404, "not-found");
    assert_eq!(ids(&bob.list("/me/blocks").await), [ada.id.as_str()]);
    unblock(&bob, &ada).await;
    ada.get(&format!("/users/{}", bob.username)).await.expect(200);
}

#[tokio::test]
async fn a_block_takes_requests_away_both_ways() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    for person in [&ada, &bob] {
        person.patch("/me", json!({"is_private": true})).await.expect(200);
    }
    for (follower, followee) in [(&ada, &bob), (&bob, &ada)] {
        follower.put(&format!("/users/{}/follow", followee.username)).await.expect(200);
    }
    block(&ada, &bob).await;
    assert!(ada.list("/me/follow-requests").await.is_empty() && bob.list("/me/follow-requests").await.is_empty());
    ada.put(&format!("/me/follow-requests/{}", bob.username)).await.problem(404, "not-found");
}

#[tokio::test]
async fn lists_of_others_leave_out_whom_the_viewer_blocks_and_who_blocks_the_viewer() {
    let (ada, bob, star) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("star").await);
    ada.follow(&star).await;
    bob.follow(&star).await;
    star.follow(&ada).await;
    star.follow(&bob).await;
    block(&ada, &bob).await;
    for list in ["followers", "following"] {
        let path = format!("/users/{}/{list}", star.username);
        assert_eq!(ids(&ada.list(&path).await), [ada.id.as_str()]);
        assert_eq!(ids(&bob.list(&path).await), [bob.id.as_str()]);
        assert_eq!(Caller::nobody().list(&path).await.len(), 2);
        // Page by page, too: no page is empty because of who is left out, and no cursor names them.
        assert_eq!(bob.get(&format!("{path}?limit=1")).await.expect(200)["items"].as_array().expect("items").len(), 1);
    }
}

#[tokio::test]
async fn nobody_blocks_themselves_or_somebody_who_is_not_there() {
    let ada = Person::sign_up("ada").await;
    ada.put(&format!("/users/{}/block", ada.username)).await.problem(403, "cannot-block-yourself");
    let nobody = format!("/users/{}/block", crate::harness::unique("nobody"));
    ada.put(&nobody).await.problem(404, "not-found");
    ada.delete(&nobody).await.problem(404, "not-found");
}
