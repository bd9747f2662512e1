//! A table of cards fails, or does not answer: feed and home show what is remembered, say so, and are whole again soon after.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Caller, Person, client::Answer, photographs::publish, until},
    operator::Operator,
    process::{Host, folder},
};

const PATIENCE: Duration = Duration::from_secs(40);
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);
/// So much of the feed is asked for at once, so that each process of the function has it.
const LOOKS: usize = 4;
/// What the gateway and home may take.
const HOME: Duration = Duration::from_secs(1);

/// A host, and somebody on it in whose feed there is a post that all processes remember.
struct Stage {
    bob: Person,
    post: String,
    operator: Operator,
    _host: Host,
    _folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let folder = folder();
        let host = Host::start(folder.path());
        let nobody = Caller::nobody_at(&host.addresses);
        let (ada, bob) = (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await);
        bob.follow(&ada).await;
        let post = publish(&ada, "to be remembered").await["id"].as_str().expect("an id").to_owned();
        let operator = Operator::of(&host.addresses);
        let stage = Self { bob, post, operator, _host: host, _folder: folder };
        until("all is well", PATIENCE, async || stage.is_whole().await.then_some(())).await;
        stage
    }

    fn shows(&self, feed: &Value) -> bool {
        feed["items"].as_array().is_some_and(|items| items.len() == 1 && items[0]["id"] == self.post.as_str())
    }

    /// Several looks at once, which several processes answer.
    async fn feeds(&self) -> Vec<Answer> {
        join_all((0..LOOKS).map(|_| self.bob.get("/feed"))).await
    }

    async fn is_whole(&self) -> bool {
        let (feeds, home) = (self.feeds().await, self.bob.get("/home").await);
        let is_whole = |feed: &Answer| feed.status == 200 && feed.header("tintype-degraded").is_none() && self.shows(&feed.body);
        feeds.iter().all(is_whole) && home.status == 200 && home["degraded"] == json!([]) && self.shows(&home["feed"])
    }

    /// That feed and home show the post while the fault lasts, and say each time that `missing` is missing, or what of them is old.
    async fn bears(&self, fault: &'static str, missing: &str, feed_takes: Duration) {
        self.operator.set_chaos(fault).await;
        for _ in 0..3 {
            let started = Instant::now();
            let feed = self.bob.get("/feed").await.expect(200);
            assert!(self.shows(&feed.body), "{fault}: {}", feed.text);
            let degraded = feed.header("tintype-degraded").unwrap_or_default();
            assert!(degraded.split(", ").any(|what| what == missing), "{fault}: {degraded}");
            assert!(started.elapsed() < feed_takes, "{fault}: {:?}", started.elapsed());
            let started = Instant::now();
            let home = self.bob.get("/home").await.expect(200);
            assert!(self.shows(&home["feed"]), "{fault}: {}", home.text);
            let degraded = home["degraded"].as_array().expect("a list");
            assert!(degraded.contains(&json!("feed")), "{fault}: {degraded:?}");
            assert!(started.elapsed() < HOME, "{fault}: {:?}", started.elapsed());
        }
        self.operator.set_chaos("").await;
        until("feed and home are whole again", RECOVERS_WITHIN, async || self.is_whole().await.then_some(())).await;
    }
}

#[tokio::test]
async fn while_the_posts_fail_feed_and_home_show_what_is_remembered_and_say_so_until_they_are_back() {
    Stage::set().await.bears("PostsTable:error=1", "viewer", HOME).await;
}

#[tokio::test]
async fn while_the_posts_do_not_answer_feed_and_home_show_what_is_remembered_and_do_not_wait_for_them() {
    Stage::set().await.bears("PostsTable:delay_ms=3000", "viewer", HOME).await;
}

#[tokio::test]
async fn while_comments_fail_or_do_not_answer_feed_and_home_have_the_posts_with_the_counts_that_are_remembered() {
    let stage = Stage::set().await;
    stage.bears("CommentsTable:error=1", "comments", HOME).await;
    stage.bears("CommentsTable:delay_ms=3000", "comments", HOME).await;
}
