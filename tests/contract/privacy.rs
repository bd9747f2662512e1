//! Private accounts: promise 7, and the requests that lead around it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, small_photo},
    until,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn turn(person: &Person, is_private: bool) {
    let me = person.patch("/me", json!({"is_private": is_private})).await.expect(200);
    assert_eq!(me["is_private"], is_private);
}

async fn private(name: &str) -> Person {
    let person = Person::sign_up(name).await;
    turn(&person, true).await;
    person
}

async fn request(follower: &Person, followee: &Person) {
    let answer = follower.put(&format!("/users/{}/follow", followee.username)).await.expect(200);
    assert_eq!(answer.body, json!({"following": false, "requested": true}));
}

async fn approve(followee: &Person, follower: &Person) {
    followee.put(&format!("/me/follow-requests/{}", follower.username)).await.expect(204);
}

async fn relationship(viewer: &Person, other: &Person) -> Value {
    viewer.get(&format!("/users/{}", other.username)).await.expect(200)["relationship"].clone()
}

#[tokio::test]
async fn a_private_accounts_posts_and_lists_are_for_approved_followers_alone() {
    let (ada, friend, stranger) = (private("ada").await, Person::sign_up("friend").await, Person::sign_up("stranger").await);
    let post = format!("/posts/{}", publish(&ada, "for friends").await["id"].as_str().expect("an id"));
    let lists = ["posts", "followers", "following"].map(|list| format!("/users/{}/{list}", ada.username));
    let nobody = Caller::nobody();
    request(&friend, &ada).await;
    for caller in [&*stranger, &*friend] {
        caller.delete(&post).await.problem(404, "not-found");
    }
    // A request opens nothing.
    for caller in [&nobody, &*stranger, &*friend] {
        caller.get(&post).await.problem(404, "not-found");
        for list in &lists {
            caller.get(list).await.problem(403, "private-account");
        }
    }
    approve(&ada, &friend).await;
    for caller in [&*friend, &*ada] {
        caller.get(&post).await.expect(200);
        for list in &lists {
            caller.get(list).await.expect(200);
        }
    }
    assert_eq!(friend.list(&lists[0]).await.len(), 1);
    friend.unfollow(&ada).await;
    friend.get(&post).await.problem(404, "not-found");
    friend.get(&lists[0]).await.problem(403, "private-account");
}

#[tokio::test]
async fn a_profile_says_that_it_is_private_and_shows_who_they_are_and_how_many_know_them() {
    let ada = private("ada").await;
    ada.patch("/me", json!({"bio": "quiet"})).await.expect(200);
    let profile = Caller::nobody().get(&format!("/users/{}", ada.username)).await.expect(200);
    assert_eq!((&profile["is_private"], &profile["bio"]), (&json!(true), &json!("quiet")));
    assert_eq!(profile["counts"], json!({"posts": 0, "followers": 0, "following": 0}));
    assert!(profile["avatar"].is_null());
    assert_eq!(ada.get("/me").await.expect(200)["is_private"], true);
}

#[tokio::test]
async fn what_was_public_is_closed_to_the_next_read_once_the_account_is_private() {
    let (ada, friend, stranger) = (Person::sign_up("ada").await, Person::sign_up("friend").await, Person::sign_up("stranger").await);
    friend.follow(&ada).await;
    let post = format!("/posts/{}", publish(&ada, "once for all").await["id"].as_str().expect("an id"));
    stranger.get(&post).await.expect(200);
    turn(&ada, true).await;
    stranger.get(&post).await.problem(404, "not-found");
    stranger.get(&format!("/users/{}/posts", ada.username)).await.problem(403, "private-account");
    // Who followed before stays.
    friend.get(&post).await.expect(200);
}

/// Promise 7: from the answer on nobody follows whom the account has not approved, also those whose follow was on its way.
#[tokio::test]
async fn whoever_follows_while_the_account_turns_private_has_followed_before_it_or_waits() {
    let ada = Person::sign_up("ada").await;
    let crowd = join_all((0..16).map(|_| Person::sign_up("fan"))).await;
    let followers = async || {
        let stands = join_all(crowd.iter().map(async |fan| relationship(&ada, fan).await["followed_by"] == true)).await;
        stands.into_iter().filter(|follows| *follows).count()
    };
    let follows = join_all(crowd.iter().map(async |fan| fan.put(&format!("/users/{}/follow", ada.username)).await.expect(200)));
    let at_the_turn = async {
        turn(&ada, true).await;
        followers().await
    };
    let (answers, at_the_turn) = tokio::join!(follows, at_the_turn);
    for answer in &answers {
        assert_ne!(answer["following"], answer["requested"], "the one or the other");
    }
    let followed = answers.iter().filter(|answer| answer["following"] == true).count();
    assert_eq!((followed, followers().await), (at_the_turn, at_the_turn));
    assert_eq!(ada.list("/me/follow-requests").await.len(), crowd.len() - followed);
}

#[tokio::test]
async fn a_request_repeated_is_one_and_can_be_withdrawn_refused_and_approved() {
    let (ada, bob) = (private("ada").await, Person::sign_up("bob").await);
    let answer = format!("/me/follow-requests/{}", bob.username);
    for _ in 0..2 {
        request(&bob, &ada).await;
    }
    assert_eq!(ids(&ada.list("/me/follow-requests").await), [bob.id.as_str()]);
    assert_eq!(relationship(&bob, &ada).await["requested"], true);

    bob.unfollow(&ada).await;
    assert!(ada.list("/me/follow-requests").await.is_empty());
    ada.put(&answer).await.problem(404, "not-found");

    request(&bob, &ada).await;
    for _ in 0..2 {
        ada.delete(&answer).await.expect(204);
    }
    assert_eq!(relationship(&bob, &ada).await["requested"], false);
    bob.counts_become([0, 0, 0]).await;

    request(&bob, &ada).await;
    for _ in 0..2 {
        approve(&ada, &bob).await;
    }
    let edges = relationship(&bob, &ada).await;
    assert_eq!((&edges["following"], &edges["requested"]), (&json!(true), &json!(false)));
    ada.counts_become([0, 1, 0]).await;
    bob.counts_become([0, 0, 1]).await;
    bob.follow(&ada).await;
}

#[tokio::test]
async fn an_approved_follower_finds_the_posts_in_the_feed() {
    let (ada, bob) = (private("ada").await, Person::sign_up("bob").await);
    let post = publish(&ada, "before").await["id"].as_str().expect("an id").to_owned();
    request(&bob, &ada).await;
    assert!(bob.feed().await.is_empty());
    approve(&ada, &bob).await;
    until("the feed has the post", PATIENCE, async || (bob.feed().await == [post.as_str()]).then_some(())).await;
}

#[tokio::test]
async fn requests_are_listed_page_by_page() {
    let ada = private("ada").await;
    let crowd = join_all((0..5).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| request(fan, &ada))).await;
    let mut fans: Vec<String> = crowd.into_iter().map(|fan| fan.id).collect();
    fans.sort();
    assert_eq!(ids(&ada.pages("/me/follow-requests", 2).await.concat()), fans);
}

#[tokio::test]
async fn all_who_wait_are_approved_when_the_account_turns_public() {
    let ada = private("ada").await;
    let crowd = join_all((0..6).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| request(fan, &ada))).await;
    turn(&ada, false).await;
    until("nobody waits", PATIENCE, async || ada.list("/me/follow-requests").await.is_empty().then_some(())).await;
    ada.counts_become([0, 6, 0]).await;
    for fan in &crowd {
        let edges = relationship(fan, &ada).await;
        assert_eq!((&edges["following"], &edges["requested"]), (&json!(true), &json!(false)));
    }
}

/// Requests that cross the turn are written before it, and approved, or are follows.
#[tokio::test]
async fn who_asks_while_the_account_turns_public_follows_in_the_end() {
    let ada = private("ada").await;
    let crowd = join_all((0..16).map(|_| Person::sign_up("fan"))).await;
    let asking = join_all(crowd.iter().map(async |fan| fan.put(&format!("/users/{}/follow", ada.username)).await.expect(200)));
    tokio::join!(asking, turn(&ada, false));
    until("nobody waits", PATIENCE, async || ada.list("/me/follow-requests").await.is_empty().then_some(())).await;
    ada.counts_become([0, 16, 0]).await;
}

#[tokio::test]
async fn a_post_that_waits_for_its_photos_is_nobody_elses_whatever_the_account() {
    let (ada, friend) = (private("ada").await, Person::sign_up("friend").await);
    request(&friend, &ada).await;
    approve(&ada, &friend).await;
    let ticket = Ticket::of(&ada, "not yet", &[("image/jpeg", &small_photo())]).await;
    friend.get(&ticket.path()).await.problem(404, "not-found");
    ada.get(&ticket.path()).await.expect(200);
}
