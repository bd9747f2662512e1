//! What functions remember of others' doings they forget within ten seconds, and of one's own they show nothing old.
//!
//! Each function is several processes, each with a memory of its own: what is changed in one is read in another.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    client::Answer,
    people::{PASSWORD, ids},
    photographs::publish,
    unique, until,
};

/// What others have changed shows within this time, the promise of `CardSeconds`.
const SHOWS: Duration = Duration::from_secs(10);
/// Until a post is in a feed, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);
/// So often something is looked at at once, so that more than one process remembers it, and is asked whether it still does.
const LOOKS: usize = 6;
/// So many times in a row all of them must see it.
const ROUNDS: usize = 3;
/// Six looks at two places each, and a person may read 600 times a minute.
const PAUSE: Duration = Duration::from_secs(1);

/// Two people, one of whom follows the other and sees this post of theirs in the feed.
async fn followed() -> (Person, Person, String) {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = publish(&ada, "to be remembered").await["id"].as_str().expect("an id").to_owned();
    until("the feed shows the post", PATIENCE, async || bob.feed().await.contains(&post).then_some(())).await;
    (ada, bob, post)
}

/// An answer that is not old because a table was too slow: what is promised is promised while tables answer.
async fn look(viewer: &Caller, path: &str) -> Answer {
    until("the tables answer", PATIENCE, async || {
        let answer = viewer.get(path).await;
        answer.header("tintype-degraded").is_none().then_some(answer)
    })
    .await
}

/// The post as each of the places shows it to this person: their feed, and its author's list.
async fn shown(viewer: &Person, author: &Person, post: &str) -> Vec<Value> {
    let mut shown = Vec::new();
    for path in ["/feed".to_owned(), format!("/users/{}/posts", author.username)] {
        let answer = look(viewer, &path).await.expect(200);
        shown.extend(answer["items"].as_array().expect("items").iter().filter(|item| item["id"] == post).cloned());
    }
    shown
}

/// Several processes remember the post, its author and what was made of it.
async fn remember(viewer: &Person, author: &Person, post: &str) {
    join_all((0..LOOKS).map(async |_| {
        assert_eq!(shown(viewer, author, post).await.len(), 2);
        viewer.get(&format!("/users/{}", author.username)).await.expect(200);
    }))
    .await;
}

/// Waits until what was changed `since` then is seen by everybody, whichever process is asked. Who begins to look once the time is over must
/// see it.
async fn shows(what: &str, since: Instant, is_seen: impl AsyncFn() -> bool) {
    let mut in_a_row = 0;
    while in_a_row < ROUNDS {
        let began = since.elapsed();
        let seen = join_all((0..LOOKS).map(|_| is_seen())).await;
        in_a_row = if seen.iter().all(|seen| *seen) { in_a_row + 1 } else { 0 };
        assert!(in_a_row > 0 || began < SHOWS, "not after {began:?}: {what}: {seen:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn a_post_that_is_deleted_is_gone_for_its_author_at_once_and_for_everybody_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    ada.delete(&format!("/posts/{post}")).await.expect(204);
    let deleted = Instant::now();
    for _ in 0..LOOKS {
        assert_eq!(shown(&ada, &ada, &post).await, Vec::<Value>::new());
    }
    shows("it is gone for bob", deleted, async || shown(&bob, &ada, &post).await.is_empty()).await;
    bob.get(&format!("/posts/{post}")).await.expect(404);
}

#[tokio::test]
async fn a_post_that_is_edited_is_so_for_its_author_at_once_and_for_everybody_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    ada.patch(&format!("/posts/{post}"), json!({"caption": "edited"})).await.expect(200);
    let edited = Instant::now();
    let is_edited = async |viewer: &Person| shown(viewer, &ada, &post).await.iter().all(|post| post["caption"] == "edited");
    for _ in 0..LOOKS {
        assert!(is_edited(&ada).await);
    }
    shows("bob sees it", edited, async || is_edited(&bob).await).await;
}

#[tokio::test]
async fn what_one_has_made_of_a_post_is_counted_at_once_wherever_one_looks_and_for_others_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    let counts = async |viewer: &Person| {
        let shown = shown(viewer, &ada, &post).await;
        assert_eq!(shown.len(), 2);
        shown
            .iter()
            .map(|post| [post["counts"]["likes"].as_u64(), post["counts"]["comments"].as_u64()].map(|count| count.expect("a count")))
            .collect::<Vec<_>>()
    };
    let path = format!("/posts/{post}");
    bob.put(&format!("{path}/like")).await.expect(200);
    assert_eq!(counts(&bob).await, [[1, 0], [1, 0]]);
    let comment = bob.post(&format!("{path}/comments"), json!({"text": "Lovely"})).await.expect(201);
    let commented = Instant::now();
    assert_eq!(counts(&bob).await, [[1, 1], [1, 1]]);
    shows("ada sees both", commented, async || counts(&ada).await == [[1, 1], [1, 1]]).await;
    bob.delete(&format!("{path}/like")).await.expect(200);
    assert_eq!(counts(&bob).await, [[0, 1], [0, 1]]);
    bob.delete(&format!("/comments/{}", comment["id"].as_str().expect("an id"))).await.expect(204);
    let taken_back = Instant::now();
    assert_eq!(counts(&bob).await, [[0, 0], [0, 0]]);
    shows("ada sees that", taken_back, async || counts(&ada).await == [[0, 0], [0, 0]]).await;
}

#[tokio::test]
async fn whoever_follows_or_unfollows_is_counted_at_once_for_themselves_and_who_is_followed_and_within_ten_seconds_for_others() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let path = format!("/users/{}", ada.username);
    let followers = async |viewer: &Caller| look(viewer, &path).await.expect(200)["counts"]["followers"].as_u64().expect("a count");
    let nobody = Caller::nobody();
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&nobody).await), (0, 0));
    }
    join_all((0..LOOKS).map(|_| followers(&nobody))).await;
    bob.follow(&ada).await;
    let followed = Instant::now();
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&ada).await), (1, 1));
    }
    shows("others see it", followed, async || followers(&nobody).await == 1).await;
    bob.unfollow(&ada).await;
    let unfollowed = Instant::now();
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&ada).await), (0, 0));
    }
    shows("others see that", unfollowed, async || followers(&nobody).await == 0).await;
}

#[tokio::test]
async fn whoever_changes_their_profile_sees_it_so_at_once_and_others_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    ada.post(&format!("/posts/{post}/comments"), json!({"text": "mine"})).await.expect(201);
    let named = async |viewer: &Person| {
        let mut names = vec![look(viewer, &format!("/users/{}", ada.username)).await.expect(200)["display_name"].clone()];
        names.extend(shown(viewer, &ada, &post).await.iter().map(|post| post["author"]["display_name"].clone()));
        let comments = look(viewer, &format!("/posts/{post}/comments")).await.expect(200);
        names.extend(comments["items"].as_array().expect("items").iter().map(|comment| comment["author"]["display_name"].clone()));
        names
    };
    assert!(join_all((0..LOOKS).map(|_| named(&bob))).await.iter().all(|names| names.len() == 4));
    ada.patch("/me", json!({"display_name": "Countess"})).await.expect(200);
    let called = Instant::now();
    for _ in 0..LOOKS {
        assert!(named(&ada).await.iter().all(|name| name == "Countess"));
    }
    shows("bob sees it", called, async || named(&bob).await.iter().all(|name| name == "Countess")).await;
}

#[tokio::test]
async fn who_may_see_what_is_never_remembered() {
    let (ada, bob, post) = followed().await;
    let stranger = Person::sign_up("eve").await;
    let list = format!("/users/{}/posts", ada.username);
    for _ in 0..LOOKS {
        assert_eq!((ids(&stranger.list(&list).await).len(), ids(&bob.list(&list).await).len()), (1, 1));
        stranger.get(&format!("/users/{}", ada.username)).await.expect(200);
    }
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    for _ in 0..LOOKS {
        stranger.get(&list).await.problem(403, "private-account");
        stranger.get(&format!("/posts/{post}")).await.expect(404);
        assert_eq!(bob.list(&list).await.len(), 1);
    }
    ada.put(&format!("/users/{}/block", bob.username)).await.expect(200);
    for _ in 0..LOOKS {
        bob.get(&list).await.expect(404);
        bob.get(&format!("/users/{}", ada.username)).await.expect(404);
        assert_eq!(bob.feed().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_name_that_nobody_had_is_found_by_who_has_taken_it_at_once_and_by_others_within_ten_seconds() {
    let (bob, name) = (Person::sign_up("bob").await, unique("ada"));
    let path = format!("/users/{name}");
    join_all((0..LOOKS).map(async |_| bob.get(&path).await.expect(404))).await;
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    let answer = Caller::nobody().post("/accounts", body).await.expect(201);
    let taken = Instant::now();
    let ada = Caller::nobody().with_token(answer["access_token"].as_str().expect("a token"));
    for path in [path.clone(), format!("{path}/posts"), format!("{path}/followers")] {
        for _ in 0..LOOKS {
            ada.get(&path).await.expect(200);
        }
    }
    shows("bob finds her", taken, async || bob.get(&path).await.status == 200).await;
}
