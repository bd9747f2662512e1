//! What functions remember of others' doings they forget within ten seconds, and of one's own they show nothing old.
//!
//! Each function is several processes, each with a memory of its own: what is changed in one is read in another.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    people::{PASSWORD, ids},
    photographs::publish,
    unique, until,
};

/// What others have changed shows within this time, the promise of `CardSeconds`.
const SHOWS: Duration = Duration::from_secs(10);
/// Until a post is in a feed, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);
/// So often something is looked at, so that more than one process remembers it.
const LOOKS: usize = 6;

/// Two people, one of whom follows the other and sees this post of theirs in the feed.
async fn followed() -> (Person, Person, String) {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = publish(&ada, "to be remembered").await["id"].as_str().expect("an id").to_owned();
    until("the feed shows the post", PATIENCE, async || bob.feed().await.contains(&post).then_some(())).await;
    (ada, bob, post)
}

/// The post as each of the places shows it to this person: their feed, and its author's list.
async fn shown(viewer: &Person, author: &Person, post: &str) -> Vec<Value> {
    let mut shown = Vec::new();
    for path in ["/feed".to_owned(), format!("/users/{}/posts", author.username)] {
        shown.extend(viewer.list(&path).await.into_iter().filter(|item| item["id"] == post));
    }
    shown
}

async fn remember(viewer: &Person, author: &Person, post: &str) {
    for _ in 0..LOOKS {
        assert_eq!(shown(viewer, author, post).await.len(), 2);
        viewer.get(&format!("/users/{}", author.username)).await.expect(200);
    }
}

#[tokio::test]
async fn a_post_that_is_deleted_is_gone_for_its_author_at_once_and_for_everybody_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    let deleted = Instant::now();
    ada.delete(&format!("/posts/{post}")).await.expect(204);
    for _ in 0..LOOKS {
        assert_eq!(shown(&ada, &ada, &post).await, Vec::<Value>::new());
    }
    until("it is gone for bob", SHOWS.saturating_sub(deleted.elapsed()), async || shown(&bob, &ada, &post).await.is_empty().then_some(()))
        .await;
    bob.get(&format!("/posts/{post}")).await.expect(404);
}

#[tokio::test]
async fn a_post_that_is_edited_is_so_for_its_author_at_once_and_for_everybody_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    ada.patch(&format!("/posts/{post}"), json!({"caption": "edited"})).await.expect(200);
    let is_edited = async |viewer: &Person| shown(viewer, &ada, &post).await.iter().all(|post| post["caption"] == "edited");
    for _ in 0..LOOKS {
        assert!(is_edited(&ada).await);
    }
    until("bob sees it", SHOWS, async || is_edited(&bob).await.then_some(())).await;
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
    assert_eq!(counts(&bob).await, [[1, 1], [1, 1]]);
    until("ada sees both", SHOWS, async || (counts(&ada).await == [[1, 1], [1, 1]]).then_some(())).await;
    bob.delete(&format!("{path}/like")).await.expect(200);
    assert_eq!(counts(&bob).await, [[0, 1], [0, 1]]);
    bob.delete(&format!("/comments/{}", comment["id"].as_str().expect("an id"))).await.expect(204);
    assert_eq!(counts(&bob).await, [[0, 0], [0, 0]]);
    until("ada sees that", SHOWS, async || (counts(&ada).await == [[0, 0], [0, 0]]).then_some(())).await;
}

#[tokio::test]
async fn whoever_follows_or_unfollows_is_counted_at_once_for_themselves_and_who_is_followed_and_within_ten_seconds_for_others() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let path = format!("/users/{}", ada.username);
    let followers = async |viewer: &Caller| viewer.get(&path).await.expect(200)["counts"]["followers"].as_u64().expect("a count");
    let nobody = Caller::nobody();
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&nobody).await), (0, 0));
    }
    bob.follow(&ada).await;
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&ada).await), (1, 1));
    }
    until("others see it", SHOWS, async || (followers(&nobody).await == 1).then_some(())).await;
    bob.unfollow(&ada).await;
    for _ in 0..LOOKS {
        assert_eq!((followers(&bob).await, followers(&ada).await), (0, 0));
    }
    until("others see that", SHOWS, async || (followers(&nobody).await == 0).then_some(())).await;
}

#[tokio::test]
async fn whoever_changes_their_profile_sees_it_so_at_once_and_others_within_ten_seconds() {
    let (ada, bob, post) = followed().await;
    remember(&bob, &ada, &post).await;
    ada.post(&format!("/posts/{post}/comments"), json!({"text": "mine"})).await.expect(201);
    let named = async |viewer: &Person| {
        let mut names = vec![viewer.get(&format!("/users/{}", ada.username)).await.expect(200)["display_name"].clone()];
        names.extend(shown(viewer, &ada, &post).await.iter().map(|post| post["author"]["display_name"].clone()));
        names.extend(viewer.list(&format!("/posts/{post}/comments")).await.iter().map(|comment| comment["author"]["display_name"].clone()));
        names
    };
    assert_eq!(named(&bob).await.len(), 4);
    ada.patch("/me", json!({"display_name": "Countess"})).await.expect(200);
    for _ in 0..LOOKS {
        assert!(named(&ada).await.iter().all(|name| name == "Countess"));
    }
    until("bob sees it", SHOWS, async || named(&bob).await.iter().all(|name| name == "Countess").then_some(())).await;
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
    for _ in 0..LOOKS {
        bob.get(&path).await.expect(404);
    }
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    let answer = Caller::nobody().post("/accounts", body).await.expect(201);
    let ada = Caller::nobody().with_token(answer["access_token"].as_str().expect("a token"));
    for path in [path.clone(), format!("{path}/posts"), format!("{path}/followers")] {
        for _ in 0..LOOKS {
            ada.get(&path).await.expect(200);
        }
    }
    until("bob finds her", SHOWS, async || (bob.get(&path).await.status == 200).then_some(())).await;
}
