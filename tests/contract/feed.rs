//! The home timeline: every post of those whom one follows, once, in order, and none of the others.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, small_photo},
    throughout, until,
};

/// The promise, from publication to the follower's feed.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);
/// The same for tests about something else, on a machine that runs all of them at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// From a deletion to the feeds of others.
const DELETED_WITHIN: Duration = Duration::from_secs(10);
/// How long a post that must not come back is watched for.
const WATCH: Duration = Duration::from_secs(2);

fn id(post: &Value) -> String {
    post["id"].as_str().expect("an id").to_owned()
}

async fn shows(viewer: &Person, post: &str) {
    until("the feed shows the post", PATIENCE, async || viewer.feed().await.iter().any(|id| id == post).then_some(())).await;
}

#[tokio::test]
async fn a_post_is_in_its_followers_feed_within_two_seconds_of_its_publication() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let mut delays = Vec::new();
    for _ in 0..5 {
        let post = id(&publish(&ada, "news").await);
        let published = Instant::now();
        shows(&bob, &post).await;
        delays.push(published.elapsed());
    }
    delays.sort_unstable();
    // The middle one of five: a single one may have met the other tests' burst.
    assert!(delays[2] <= SHOWS_WITHIN, "{delays:?}");
}

#[tokio::test]
async fn a_feed_shows_a_post_as_its_own_page_does() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = publish(&ada, "the same").await;
    shows(&bob, &id(&post)).await;
    assert_eq!(bob.list("/feed").await, [bob.get(&format!("/posts/{}", id(&post))).await.expect(200).body]);
}

#[tokio::test]
async fn posts_of_several_authors_stand_once_each_newest_first() {
    let authors = [Person::sign_up("ada").await, Person::sign_up("grace").await];
    let bob = Person::sign_up("bob").await;
    for author in &authors {
        bob.follow(author).await;
    }
    let mut published = Vec::new();
    for number in 0..6 {
        published.push(id(&publish(&authors[number % 2], "in turn").await));
    }
    published.reverse();
    until("all six are there", PATIENCE, async || (bob.feed().await.len() >= 6).then_some(())).await;
    assert_eq!(bob.feed().await, published);
    let page_by_page: Vec<String> = ids(&bob.pages("/feed", 1).await.concat());
    assert_eq!(page_by_page, published);
    assert!(bob.list("/feed").await.is_sorted_by(|newer, older| newer["published_at"].as_str() >= older["published_at"].as_str()));
}

#[tokio::test]
async fn authors_find_their_own_posts_and_strangers_do_not() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = id(&publish(&ada, "mine").await);
    shows(&ada, &post).await;
    assert!(bob.feed().await.is_empty());
}

#[tokio::test]
async fn a_new_follower_gets_what_was_published_before() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let (first, second) = (id(&publish(&ada, "first").await), id(&publish(&ada, "second").await));
    bob.follow(&ada).await;
    shows(&bob, &first).await;
    shows(&bob, &second).await;
    assert_eq!(bob.feed().await, [second, first]);
}

/// Promise 2, where it is hardest: the fan-out and the follow's backfill read past each other, or both write.
#[tokio::test]
async fn who_follows_while_a_post_is_published_gets_it_exactly_once() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    for round in 0..12 {
        let bob = Person::sign_up("bob").await;
        let ticket = Ticket::of(&ada, "race", &[("image/jpeg", &bytes)]).await;
        ticket.upload(&ada, 0, &bytes).await.expect(200);
        // From before the publication to after it.
        let settled = ticket.settled(&ada);
        let follow = async {
            tokio::time::sleep(Duration::from_millis(15 * round)).await;
            bob.follow(&ada).await;
        };
        let (post, ()) = tokio::join!(settled, follow);
        shows(&bob, &id(&post)).await;
        let feed = bob.feed().await;
        assert_eq!(feed.iter().filter(|other| **other == ticket.post_id).count(), 1, "round {round}: {feed:?}");
    }
}

#[tokio::test]
async fn after_an_unfollow_the_next_read_hides_the_posts_and_they_never_return() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let old = id(&publish(&ada, "old").await);
    shows(&bob, &old).await;
    // The last post's fan-out is on its way when the unfollow is answered.
    publish(&ada, "late").await;
    bob.unfollow(&ada).await;
    throughout(WATCH, async || assert!(bob.feed().await.is_empty())).await;
    publish(&ada, "later").await;
    throughout(WATCH, async || assert!(bob.feed().await.is_empty())).await;
}

#[tokio::test]
async fn who_unfollows_while_a_post_is_published_does_not_get_it() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    for round in 0..6 {
        let bob = Person::sign_up("bob").await;
        bob.follow(&ada).await;
        let ticket = Ticket::of(&ada, "race", &[("image/jpeg", &bytes)]).await;
        ticket.upload(&ada, 0, &bytes).await.expect(200);
        let unfollow = async {
            tokio::time::sleep(Duration::from_millis(30 * round)).await;
            bob.unfollow(&ada).await;
            bob.feed().await
        };
        let (_, first_read) = tokio::join!(ticket.settled(&ada), unfollow);
        assert!(first_read.is_empty(), "round {round}");
        throughout(WATCH, async || assert!(bob.feed().await.is_empty(), "round {round}")).await;
    }
}

#[tokio::test]
async fn who_follows_again_sees_everything_again() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let first = id(&publish(&ada, "first").await);
    shows(&bob, &first).await;
    bob.unfollow(&ada).await;
    let meanwhile = id(&publish(&ada, "meanwhile").await);
    bob.follow(&ada).await;
    shows(&bob, &first).await;
    shows(&bob, &meanwhile).await;
    assert_eq!(bob.feed().await, [meanwhile, first]);
}

#[tokio::test]
async fn follows_and_unfollows_in_a_row_end_as_the_last_one_says() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = id(&publish(&ada, "one").await);
    for _ in 0..4 {
        bob.follow(&ada).await;
        bob.unfollow(&ada).await;
    }
    bob.follow(&ada).await;
    shows(&bob, &post).await;
    throughout(WATCH, async || assert_eq!(bob.feed().await, [post.as_str()])).await;
    bob.unfollow(&ada).await;
    throughout(WATCH, async || assert!(bob.feed().await.is_empty())).await;
}

#[tokio::test]
async fn a_deleted_post_leaves_the_feeds_of_others_within_ten_seconds_and_does_not_return() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let (kept, deleted) = (id(&publish(&ada, "kept").await), id(&publish(&ada, "deleted").await));
    shows(&bob, &deleted).await;
    shows(&bob, &kept).await;
    ada.delete(&format!("/posts/{deleted}")).await.expect(204);
    // Each process forgets for itself: not only the first that is asked, all of them have by then.
    throughout(DELETED_WITHIN, async || drop(bob.feed().await)).await;
    throughout(WATCH, async || assert_eq!(bob.feed().await, [kept.as_str()])).await;
}

#[tokio::test]
async fn a_feed_is_personal() {
    Caller::nobody().get("/feed").await.problem(401, "unauthorized");
    let answer = Person::sign_up("ada").await.get("/feed").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
}
