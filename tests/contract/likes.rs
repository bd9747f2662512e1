//! Likes: given once, counted exactly, shown right wherever a post is, and to whoever may see it.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, small_photo},
    until,
};

/// How long lists may lag, on a machine that is busy with other tests.
const SHOWS: Duration = Duration::from_secs(20);
const CLIENTS: usize = 32;

async fn post_of(author: &Person) -> String {
    format!("/posts/{}", publish(author, "to be liked").await["id"].as_str().expect("an id"))
}

async fn like(person: &Person, post: &str) {
    let answer = person.put(&format!("{post}/like")).await.expect(200);
    assert_eq!(answer.body, json!({"liked": true}));
}

async fn unlike(person: &Person, post: &str) {
    let answer = person.delete(&format!("{post}/like")).await.expect(200);
    assert_eq!(answer.body, json!({"liked": false}));
}

/// Of the post's own page, which shows at once what has been done: the count, and whether this viewer likes it.
async fn seen(viewer: &Caller, post: &str) -> (u64, Option<bool>) {
    let post = viewer.get(post).await.expect(200);
    (post["counts"]["likes"].as_u64().expect("a count"), post["viewer"]["liked"].as_bool())
}

/// Waits until a list, which lags a little, has these likers, in any order.
async fn likers_become(viewer: &Person, post: &str, wanted: &[&Person]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|person| person.id.clone()).collect();
    until("the list has those who like it", SHOWS, async || {
        let likers = ids(&viewer.list(&format!("{post}/likes")).await);
        (likers.len() == wanted.len() && likers.into_iter().collect::<BTreeSet<_>>() == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_like_counts_once_however_often_it_is_given_and_so_does_taking_it_back() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post_of(&ada).await;
    unlike(&bob, &post).await;
    assert_eq!(seen(&bob, &post).await, (0, Some(false)));
    for _ in 0..3 {
        like(&bob, &post).await;
        assert_eq!(seen(&bob, &post).await, (1, Some(true)), "whoever has just liked it sees it");
    }
    like(&ada, &post).await;
    assert_eq!((seen(&ada, &post).await, seen(&Caller::nobody(), &post).await), ((2, Some(true)), (2, None)));
    likers_become(&bob, &post, &[&ada, &bob]).await;
    for _ in 0..2 {
        unlike(&bob, &post).await;
        assert_eq!((seen(&bob, &post).await, seen(&ada, &post).await), ((1, Some(false)), (1, Some(true))));
    }
    likers_become(&bob, &post, &[&ada]).await;
}

#[tokio::test]
async fn a_card_tells_each_viewer_what_they_have_marked_wherever_it_is_shown() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    bob.follow(&ada).await;
    cyd.follow(&ada).await;
    let posts = [post_of(&ada).await, post_of(&ada).await, post_of(&ada).await];
    until("the feeds have the posts", SHOWS, async || (bob.feed().await.len() == 3 && cyd.feed().await.len() == 3).then_some(())).await;
    like(&bob, &posts[0]).await;
    like(&bob, &posts[2]).await;
    like(&cyd, &posts[0]).await;
    for post in &posts[1..] {
        bob.put(&format!("{post}/save")).await.expect(200);
    }
    let profile = format!("/users/{}/posts", ada.username);
    let marks = |liked, saved| json!({"liked": liked, "saved": saved});
    // Newest first.
    let expected = [(1, marks(true, true)), (0, marks(false, true)), (2, marks(true, false))];
    for list in ["/feed", &profile, "/me/saved"] {
        until("the counts are there", SHOWS, async || {
            let cards = bob.list(list).await;
            assert_eq!(cards.len(), if list == "/me/saved" { 2 } else { 3 });
            // What one has done oneself shows at once.
            cards.iter().zip(&expected).for_each(|(card, (_, marks))| assert_eq!(card["viewer"], *marks, "{list}"));
            cards.iter().zip(&expected).all(|(card, (likes, _))| card["counts"] == json!({"likes": likes, "comments": 0})).then_some(())
        })
        .await;
    }
    let hers: Vec<Value> = cyd.list("/feed").await.into_iter().map(|card| card["viewer"].clone()).collect();
    assert_eq!(hers, [marks(false, false), marks(false, false), marks(true, false)]);
    for card in Caller::nobody().list(&profile).await.into_iter().chain([Caller::nobody().get(&posts[0]).await.expect(200).body]) {
        assert!(card.get("viewer").is_none(), "{card}");
    }
    for (post, (likes, marks)) in posts.iter().rev().zip(&expected) {
        let post = bob.get(post).await.expect(200);
        assert_eq!((&post["viewer"], &post["counts"]["likes"]), (marks, &json!(likes)));
    }
}

#[tokio::test]
async fn likers_are_listed_newest_first_in_pages_of_any_size() {
    let ada = Person::sign_up("ada").await;
    let post = post_of(&ada).await;
    let mut fans = Vec::new();
    for _ in 0..5 {
        let fan = Person::sign_up("fan").await;
        like(&fan, &post).await;
        fans.insert(0, fan);
    }
    likers_become(&ada, &post, &fans.iter().collect::<Vec<_>>()).await;
    let expected: Vec<String> = fans.iter().map(|fan| fan.id.clone()).collect();
    for limit in [1, 2, 4, 5, 6] {
        let pages = ada.pages(&format!("{post}/likes"), limit).await;
        assert_eq!(ids(&pages.concat()), expected, "by {limit}");
        assert!(pages.iter().all(|page| page.len() <= limit), "by {limit}");
    }
    let first = &ada.list(&format!("{post}/likes")).await[0];
    assert_eq!(*first, json!({"id": fans[0].id, "username": fans[0].username, "display_name": fans[0].username, "avatar": null}));
    Caller::nobody().get(&format!("{post}/likes")).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn who_blocks_and_who_is_blocked_do_not_meet_among_likers_nor_in_a_cursor() {
    let (ada, bob, cyd, dan) =
        (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await, Person::sign_up("dan").await);
    let post = post_of(&ada).await;
    for person in [&bob, &cyd, &dan] {
        like(person, &post).await;
    }
    likers_become(&ada, &post, &[&bob, &cyd, &dan]).await;
    bob.put(&format!("/users/{}/block", cyd.username)).await.expect(200);
    let list = format!("{post}/likes");
    for (viewer, hidden) in [(&bob, &cyd), (&cyd, &bob)] {
        assert_eq!(ids(&viewer.list(&list).await), [&dan, viewer].map(|person| person.id.clone()));
        let mut next = Some(format!("{list}?limit=1"));
        while let Some(path) = next {
            let answer = viewer.get(&path).await.expect(200);
            let cursor = answer["next_cursor"].as_str();
            let inside = cursor.map(|cursor| crate::pages::inside(cursor).to_string()).unwrap_or_default();
            assert!(!answer.text.contains(&hidden.id) && !inside.contains(&hidden.id), "{inside}");
            next = cursor.map(|cursor| format!("{list}?limit=1&cursor={cursor}"));
        }
    }
    assert_eq!(ids(&dan.list(&list).await).len(), 3, "others see both");
    assert_eq!(seen(&bob, &post).await, (3, Some(true)), "and the count is what it is");
}

#[tokio::test]
async fn nobody_likes_or_saves_what_they_may_not_see() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post_of(&ada).await;
    let refused = async |person: &Person| {
        for mark in ["like", "save"] {
            person.put(&format!("{post}/{mark}")).await.problem(404, "not-found");
        }
        person.get(&format!("{post}/likes")).await.problem(404, "not-found");
        person.get(&post).await.problem(404, "not-found");
        assert!(person.list("/me/saved").await.is_empty());
    };
    bob.follow(&ada).await;
    for person in [&bob, &cyd] {
        like(person, &post).await;
        person.put(&format!("{post}/save")).await.expect(200);
        assert_eq!(ids(&person.list("/me/saved").await).len(), 1);
    }
    // Private: from now on for followers alone.
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    refused(&cyd).await;
    assert_eq!((seen(&bob, &post).await, ids(&bob.list("/me/saved").await).len()), ((2, Some(true)), 1));
    bob.unfollow(&ada).await;
    refused(&bob).await;
    ada.patch("/me", json!({"is_private": false})).await.expect(200);
    assert_eq!(ids(&bob.list("/me/saved").await).len(), 1, "it is still saved");
    // Blocked, either way.
    ada.put(&format!("/users/{}/block", bob.username)).await.expect(200);
    cyd.put(&format!("/users/{}/block", ada.username)).await.expect(200);
    refused(&bob).await;
    refused(&cyd).await;
    assert_eq!(seen(&ada, &post).await, (2, Some(false)));
}

#[tokio::test]
async fn whoever_has_marked_what_is_out_of_sight_by_now_can_take_that_back_and_learns_nothing() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let dan = Person::sign_up("dan").await;
    let post = post_of(&ada).await;
    for person in [&bob, &cyd] {
        like(person, &post).await;
        person.put(&format!("{post}/save")).await.expect(200);
    }
    // Of a private account, and across a block.
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    cyd.put(&format!("/users/{}/block", ada.username)).await.expect(200);
    for (person, likes) in [(&dan, 2), (&bob, 1), (&bob, 1), (&cyd, 0)] {
        for mark in ["like", "save"] {
            person.delete(&format!("{post}/{mark}")).await.problem(404, "not-found");
        }
        assert_eq!(seen(&ada, &post).await, (likes, Some(false)));
    }
    likers_become(&ada, &post, &[]).await;
    ada.patch("/me", json!({"is_private": false})).await.expect(200);
    cyd.delete(&format!("/users/{}/block", ada.username)).await.expect(200);
    for person in [&bob, &cyd] {
        assert_eq!(seen(person, &post).await, (0, Some(false)));
        assert!(person.list("/me/saved").await.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_published_can_not_be_liked_and_what_is_deleted_is_not_there() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let photo = small_photo();
    let waiting = Ticket::of(&ada, "not yet", &[("image/jpeg", &photo)]).await;
    for mark in ["like", "save"] {
        let path = format!("{}/{mark}", waiting.path());
        ada.put(&path).await.problem(409, "not-published");
        ada.delete(&path).await.problem(409, "not-published");
        bob.put(&path).await.problem(404, "not-found");
    }
    assert!(ada.list(&format!("{}/likes", waiting.path())).await.is_empty());
    let draft = &ada.list("/me/posts?status=unpublished").await[0];
    assert_eq!((&draft["counts"], &draft["viewer"]), (&json!({"likes": 0, "comments": 0}), &json!({"liked": false, "saved": false})));
    let post = post_of(&ada).await;
    like(&bob, &post).await;
    bob.put(&format!("{post}/save")).await.expect(200);
    ada.delete(&post).await.expect(204);
    for person in [&ada, &bob] {
        for mark in ["like", "save"] {
            person.put(&format!("{post}/{mark}")).await.problem(404, "not-found");
            person.delete(&format!("{post}/{mark}")).await.problem(404, "not-found");
        }
        person.get(&format!("{post}/likes")).await.problem(404, "not-found");
        assert!(person.list("/me/saved").await.is_empty());
    }
    bob.put("/posts/nonsense/like").await.problem(404, "not-found");
}

#[tokio::test]
async fn thirty_two_clients_of_one_person_that_like_and_unlike_one_post_leave_a_count_that_equals_the_likes() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post_of(&ada).await;
    let path = format!("{post}/like");
    join_all((0..CLIENTS).map(async |number| if number % 2 == 0 { bob.put(&path).await } else { bob.delete(&path).await }.expect(200)))
        .await;
    let (likes, liked) = seen(&bob, &post).await;
    assert_eq!(likes, u64::from(liked == Some(true)));
    let likers: Vec<&Person> = [&bob].into_iter().filter(|_| likes == 1).collect();
    likers_become(&ada, &post, &likers).await;
}

#[tokio::test]
async fn thirty_two_who_like_and_unlike_one_post_at_once_are_counted_exactly() {
    let ada = Person::sign_up("ada").await;
    let post = post_of(&ada).await;
    let crowd = join_all((0..CLIENTS).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| like(fan, &post))).await;
    assert_eq!(seen(&ada, &post).await.0, CLIENTS as u64);
    likers_become(&ada, &post, &crowd.iter().collect::<Vec<_>>()).await;
    let (gone, left) = crowd.split_at(20);
    join_all(gone.iter().flat_map(|fan| [fan, fan]).map(|fan| unlike(fan, &post))).await;
    assert_eq!(seen(&ada, &post).await.0, left.len() as u64);
    likers_become(&ada, &post, &left.iter().collect::<Vec<_>>()).await;
    for fan in &crowd {
        assert_eq!(seen(fan, &post).await.1, Some(left.iter().any(|other| other.id == fan.id)));
    }
}
