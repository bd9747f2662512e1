//! Promise 7 for files: a private account's photographs are opened to approved followers alone, and for minutes; and they follow the account
//! when it turns private or public.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person, Ticket,
    client::Answer,
    photographs::{publish, publish_files, small_photo, telephone_photo},
    until,
};

/// How long an account's photographs may take to follow it.
const MOVES: Duration = Duration::from_secs(30);

async fn turn(person: &Person, is_private: bool) {
    let me = person.patch("/me", json!({"is_private": is_private})).await.expect(200);
    assert_eq!(me["is_private"], is_private);
}

/// `follower` asks, `followee` approves.
async fn approve(follower: &Person, followee: &Person) {
    let asked = follower.put(&format!("/users/{}/follow", followee.username)).await.expect(200);
    assert_eq!(asked.body, json!({"following": false, "requested": true}));
    let approved = followee.put(&format!("/me/follow-requests/{}", follower.username)).await;
    assert!(approved.status < 300, "{}", approved.text);
}

fn urls(post: &Value) -> Vec<String> {
    let photos = post["photos"].as_array().expect("photos").iter();
    let variants = photos.flat_map(|photo| photo["variants"].as_array().expect("variants"));
    variants.map(|variant| variant["url"].as_str().expect("a URL").to_owned()).collect()
}

async fn status(url: &str) -> u16 {
    let nobody = Caller::nobody();
    let url = if url.starts_with('/') { nobody.url(url) } else { url.to_owned() };
    nobody.plain(Method::GET, &url).send().await.expect("an answer").status().as_u16()
}

/// Waits until all of the post's URLs, as `viewer` reads it, are signed ones, or none is; answers them.
async fn become_private(viewer: &Person, path: &str, is_private: bool) -> Vec<String> {
    until(&format!("the files are private: {is_private}"), MOVES, async || {
        let urls = urls(&viewer.get(path).await.expect(200).body);
        assert!(!urls.is_empty());
        urls.iter().all(|url| url.starts_with("/media/") != is_private).then_some(urls)
    })
    .await
}

async fn go(urls: &[String]) {
    for url in urls {
        until(&format!("{url} is gone"), MOVES, async || (status(url).await == 404).then_some(())).await;
    }
}

fn path(post: &Value) -> String {
    format!("/posts/{}", post["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn when_an_account_turns_private_the_old_urls_die_and_approved_followers_get_new_ones_that_open() {
    let (ada, bob, eve) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("eve").await);
    bob.follow(&ada).await;
    let (one, two) = (telephone_photo(1, 700, 500), small_photo());
    let post = publish_files(&ada, "soon private", &[("image/jpeg", &one), ("image/jpeg", &two)]).await;
    let old = urls(&post);
    assert!(old.len() >= 5 && old.iter().all(|url| url.starts_with("/media/")), "{old:?}");

    turn(&ada, true).await;
    let signed = become_private(&bob, &path(&post), true).await;
    assert_eq!(signed.len(), old.len());
    go(&old).await;
    let nobody = Caller::nobody();
    for (url, variant) in signed
        .iter()
        .zip(post["photos"].as_array().expect("photos").iter().flat_map(|photo| photo["variants"].as_array().expect("variants")))
    {
        let answer = nobody.plain(Method::GET, url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{url}");
        assert_eq!(answer.headers()["content-type"], "image/jpeg");
        assert_eq!(answer.headers()["cache-control"], "private, max-age=300");
        assert_eq!(variant["bytes"], answer.bytes().await.expect("a file").len());
    }

    // Nobody else is shown them, and a signature opens one file.
    for answer in [eve.get(&path(&post)).await, nobody.get(&path(&post)).await] {
        answer.problem(404, "not-found");
    }
    let url = Url::parse(&signed[0]).expect("absolute");
    let unsigned = format!("{}{}", url.origin().ascii_serialization(), url.path());
    assert_eq!(status(&unsigned).await, 403);
    let mut other = Url::parse(&signed[1]).expect("absolute");
    other.set_query(url.query());
    assert_eq!(status(other.as_str()).await, 403);
    // The CDN has no way to them, whatever the path.
    let key = url.path().split_once("/private/").expect("it lies there").1;
    for way in [
        format!("/media/{key}"),
        format!("/media/private/{key}"),
        format!("/media/..%2fprivate/{key}"),
        format!("/media/%2e%2e/private/{key}"),
    ] {
        assert!(matches!(status(&way).await, 403 | 404), "{way}");
    }

    // The feed shows followers the same, and lists do.
    let in_feed = bob.list("/feed").await.into_iter().find(|item| item["id"] == post["id"]).expect("it is in the feed");
    assert_eq!(status(&urls(&in_feed)[0]).await, 200);
    let listed = ada.list(&format!("/users/{}/posts", ada.username)).await;
    assert!(urls(&listed[0]).iter().all(|url| url.starts_with("http")), "{listed:?}");
}

#[tokio::test]
async fn when_it_turns_public_again_the_files_are_with_the_cdn_under_names_that_nobody_knew() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "there and back").await;
    let first = urls(&post);
    turn(&ada, true).await;
    let signed = become_private(&ada, &path(&post), true).await;
    go(&first).await;
    turn(&ada, false).await;
    let second = become_private(&ada, &path(&post), false).await;
    for url in &second {
        assert_eq!(status(url).await, 200, "{url}");
    }
    assert!(first.iter().all(|url| !second.contains(url)));
    let id = |url: &str| url.split('?').next().and_then(|path| path.rsplit('/').nth(1)).expect("an id").to_owned();
    assert!(signed.iter().all(|url| !second.iter().any(|other| id(other) == id(url))), "a signed URL tells nobody a public one");
    go(&signed).await;
}

#[tokio::test]
async fn what_is_posted_while_private_never_was_public() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    turn(&ada, true).await;
    approve(&bob, &ada).await;
    let post = publish(&ada, "private from the start").await;
    let signed = urls(&post);
    assert!(signed.iter().all(|url| url.starts_with("http") && url.contains("/private/")), "{signed:?}");
    for url in urls(&bob.get(&path(&post)).await.expect(200).body) {
        assert_eq!(status(&url).await, 200, "{url}");
    }
    ada.delete(&path(&post)).await.expect(204);
}

#[tokio::test]
async fn a_photograph_that_is_worked_on_while_the_account_turns_ends_where_the_account_is() {
    let ada = Person::sign_up("ada").await;
    let photo = telephone_photo(2, 900, 700);
    let mut is_private = false;
    for moment in [0, 30, 100, 250] {
        let ticket = Ticket::of(&ada, "between", &[("image/jpeg", &photo)]).await;
        is_private = !is_private;
        let turning = async {
            // The race's moment, not a wait for anything.
            tokio::time::sleep(Duration::from_millis(moment)).await;
            turn(&ada, is_private).await;
        };
        let uploading = async {
            ticket.upload(&ada, 0, &photo).await.expect(200);
        };
        tokio::join!(turning, uploading);
        let settled = ticket.settled(&ada).await;
        assert_eq!(settled["status"], "published", "{settled}");
        for url in become_private(&ada, &ticket.path(), is_private).await {
            assert_eq!(status(&url).await, 200, "{url}");
        }
    }
}

#[tokio::test]
async fn the_same_post_read_twice_within_a_minute_is_answered_alike_so_that_a_browser_need_not_read_it_again() {
    let ada = Person::sign_up("ada").await;
    turn(&ada, true).await;
    let post = publish(&ada, "asked twice").await;
    // A minute may end between two answers, but not twice.
    let read = async || Answer::to(ada.request(Method::GET, &path(&post))).await.expect(200);
    let (one, two, three) = (read().await, read().await, read().await);
    assert!(one.text == two.text || two.text == three.text, "{} differs from {}", one.text, two.text);
}
