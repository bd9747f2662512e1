//! Home: what its three sections answer by themselves, in one answer.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    client::Answer,
    notifications::{is_told, new, read},
    photographs::publish,
    until,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// All of it. A section may miss its deadline while the machine runs all tests at once: whoever asks again gets it.
async fn home(person: &Person, path: &str) -> Answer {
    until("home has all sections", PATIENCE, async || {
        let answer = person.get(path).await.expect(200);
        (answer["degraded"] == json!([])).then_some(answer)
    })
    .await
}

/// Somebody who follows somebody with posts, and is followed.
async fn follower_of_somebody_with_posts(posts: usize) -> (Person, Person, Vec<Value>) {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    ada.follow(&bob).await;
    let mut published = Vec::new();
    for _ in 0..posts {
        published.insert(0, publish(&ada, "news").await);
    }
    until("the posts are there", PATIENCE, async || (bob.feed().await.len() == posts).then_some(())).await;
    is_told(&bob, &[new("follow", &[&ada])]).await;
    (ada, bob, published)
}

#[tokio::test]
async fn home_is_what_its_sections_answer_by_themselves() {
    let (_, bob, _) = follower_of_somebody_with_posts(2).await;
    let home = home(&bob, "/home").await;
    let mut names: Vec<&String> = home.body.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["degraded", "feed", "notifications", "suggestions"]);
    assert_eq!(home["feed"], bob.get("/feed").await.expect(200).body);
    let told = bob.get("/notifications?limit=5").await.expect(200);
    assert_eq!(home["notifications"], json!({"unread_count": 1, "latest": told["items"]}));
    // Other tests' people become popular meanwhile: of whom is suggested only how it looks is sure.
    let suggestions = home["suggestions"]["items"].as_array().expect("suggestions");
    assert!(suggestions.len() <= 5 && suggestions.iter().all(|person| person["username"].is_string()), "{suggestions:?}");
    assert_eq!(home["suggestions"]["next_cursor"], Value::Null);
}

#[tokio::test]
async fn what_was_read_is_new_no_more() {
    let (_, bob, _) = follower_of_somebody_with_posts(0).await;
    let latest = home(&bob, "/home").await["notifications"]["latest"][0]["updated_at"].clone();
    read(&bob, &latest).await.expect(200);
    let notifications = home(&bob, "/home").await["notifications"].clone();
    assert_eq!((&notifications["unread_count"], &notifications["latest"][0]["read"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn the_feed_of_home_goes_on_at_the_feeds_own_route() {
    let (_, bob, published) = follower_of_somebody_with_posts(3).await;
    let home = home(&bob, "/home?limit=2").await;
    let first = home["feed"]["items"].as_array().expect("items").clone();
    let cursor = home["feed"]["next_cursor"].as_str().expect("there is more");
    let rest = bob.get(&format!("/feed?cursor={cursor}")).await.expect(200)["items"].as_array().expect("items").clone();
    let ids = |posts: &[Value]| posts.iter().map(|post| post["id"].clone()).collect::<Vec<_>>();
    assert_eq!([ids(&first), ids(&rest)].concat(), ids(&published));
}

#[tokio::test]
async fn whoever_has_home_already_is_not_sent_it_again_until_something_changes() {
    let (ada, bob, _) = follower_of_somebody_with_posts(1).await;
    let asked = async |had: &str| Answer::to(bob.request(Method::GET, "/home").header("if-none-match", had)).await;
    // Suggestions change while other tests' people sign up and are followed.
    let tag = until("home is as it was", PATIENCE, async || {
        let first = home(&bob, "/home").await;
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));
        let tag = first.header("etag").expect("a tag").to_owned();
        let again = asked(&tag).await;
        (again.status == 304 && again.text.is_empty()).then_some(tag)
    })
    .await;
    publish(&ada, "more").await;
    until("home has changed", PATIENCE, async || {
        let answer = asked(&tag).await;
        (answer.status == 200 && answer["feed"]["items"].as_array().is_some_and(|items| items.len() == 2)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn home_is_for_whoever_is_logged_in_and_takes_a_limit_alone() {
    Caller::nobody().get("/home").await.problem(401, "unauthorized");
    let bob = Person::sign_up("bob").await;
    for (query, pointer) in [("limit=0", "?limit"), ("limit=101", "?limit"), ("limit=x", "?limit"), ("cursor=x", "?cursor")] {
        bob.get(&format!("/home?{query}")).await.invalid(&[pointer]);
    }
}

/// What home asks of the functions is none of the person's requests: the one that they have made is.
#[tokio::test]
async fn home_is_one_request_of_the_persons_quota() {
    let bob = Person::sign_up("bob").await;
    let left = async || {
        let answer = bob.get("/home").await.expect(200);
        assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 1);
        let limit = answer.header("ratelimit").expect("a limit");
        limit.split(';').find_map(|part| part.strip_prefix("r=")).expect("what is left").parse::<u64>().expect("a number")
    };
    let before = left().await;
    for _ in 0..30 {
        left().await;
    }
    // Each of up to ten environments may owe up to nine; with the sections counted it would be 120 at least.
    let spent = before.saturating_sub(left().await);
    assert!(spent < 90, "{spent}");
}

/// The gateway has no route to what home asks of the notifications.
#[tokio::test]
async fn the_summary_is_for_home_alone() {
    Person::sign_up("bob").await.get("/notifications/summary").await.problem(404, "not-found");
}
