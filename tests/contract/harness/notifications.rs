//! What people are told, written down so that tests can say what they expect.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{client::Answer, people::Person, until};

/// How long somebody waits to be told.
const TOLD: Duration = Duration::from_secs(40);

/// What somebody was told, newest first: `like by bob.123, cyd.456 of 2`, and with a star what they have not read.
pub(crate) async fn told(person: &Person) -> Vec<String> {
    person.list("/notifications").await.iter().map(line).collect()
}

/// A notification, in a line.
pub(crate) fn line(note: &Value) -> String {
    let names = note["actors"].as_array().expect("actors").iter().map(|actor| actor["username"].as_str().expect("a name"));
    let names: Vec<&str> = names.collect();
    let star = if note["read"] == false { "*" } else { "" };
    let kind = note["kind"].as_str().expect("a kind");
    if names.is_empty() { format!("{kind}{star}") } else { format!("{kind} by {} of {}{star}", names.join(", "), note["actor_count"]) }
}

/// A line that says that these, all of them, did something, and that it has not been read.
pub(crate) fn new(kind: &str, actors: &[&Person]) -> String {
    let names: Vec<&str> = actors.iter().map(|actor| actor.username.as_str()).collect();
    format!("{kind} by {} of {}*", names.join(", "), actors.len())
}

/// Waits until somebody was told exactly this, in this order, and so much of it is new.
pub(crate) async fn is_told(person: &Person, expected: &[String]) {
    let mut last = Vec::new();
    let news = expected.iter().filter(|line| line.ends_with('*')).count() as u64;
    until(&format!("{} is told {expected:?}", person.username), TOLD, async || {
        let now = told(person).await;
        if now != last {
            println!("{}: {now:?}", person.username);
            last.clone_from(&now);
        }
        (now == expected && unread(person).await == news).then_some(())
    })
    .await;
}

/// The same, but in whatever order.
pub(crate) async fn is_told_somehow(person: &Person, expected: &[String]) {
    let mut expected = expected.to_vec();
    let news = expected.iter().filter(|line| line.ends_with('*')).count() as u64;
    expected.sort();
    until(&format!("{} is told {expected:?} in any order", person.username), TOLD, async || {
        let mut now = told(person).await;
        now.sort();
        (now == expected && unread(person).await == news).then_some(())
    })
    .await;
}

/// How much somebody has not read.
pub(crate) async fn unread(person: &Person) -> u64 {
    person.get("/notifications/unread-count").await.expect(200)["count"].as_u64().expect("a number")
}

/// Somebody has read up to a time.
pub(crate) async fn read(person: &Person, up_to: &Value) -> Answer {
    Answer::to(person.request(Method::PUT, "/notifications/read").json(&json!({"up_to": up_to}))).await
}
