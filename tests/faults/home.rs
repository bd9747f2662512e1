//! Promise 9: home answers within its deadline while any section can be had, says which are missing, and is whole again soon after.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Caller, Person, client::Answer, photographs::publish, until},
    operator::Operator,
    process::{Host, folder},
};

const PATIENCE: Duration = Duration::from_secs(40);
/// From the end of a fault to the first whole answer.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);
/// The whole: from the request to the answer, gateway and all.
const WHOLE: Duration = Duration::from_secs(1);
/// What home may take beyond its sections' deadlines, in milliseconds.
const OWN_MS: f64 = 5.0;
const SECTIONS: [&str; 3] = ["feed", "notifications", "suggestions"];

/// A host, and somebody on it whose home has something in each section.
struct Stage {
    bob: Person,
    operator: Operator,
    log: PathBuf,
    whole: Value,
    _host: Host,
    _folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let folder = folder();
        let host = Host::start(folder.path());
        let nobody = Caller::nobody_at(&host.addresses);
        let (ada, bob, cyd) =
            (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await, Person::sign_up_at(&nobody, "cyd").await);
        bob.follow(&ada).await;
        ada.follow(&bob).await;
        ada.follow(&cyd).await;
        publish(&ada, "news").await;
        let whole = until("home has everything", PATIENCE, async || {
            let home = bob.get("/home").await;
            let is_whole = home.status == 200
                && home["degraded"] == json!([])
                && home["feed"]["items"].as_array().is_some_and(|items| items.len() == 1)
                && home["notifications"]["unread_count"] == 1
                && home["suggestions"]["items"][0]["id"] == cyd.id.as_str();
            is_whole.then_some(home.body)
        })
        .await;
        let log = folder.path().join("state").join("functions.log");
        Self { bob, operator: Operator::of(&host.addresses), log, whole, _host: host, _folder: folder }
    }

    /// Home, and how long it took.
    async fn home(&self) -> (Answer, Duration) {
        let started = Instant::now();
        let answer = self.bob.get("/home").await;
        (answer, started.elapsed())
    }

    /// That these sections are missing and named, and that the others are as they were.
    fn misses(&self, home: &Answer, missing: &[&str]) {
        assert_eq!(home.status, 200, "{}", home.text);
        assert_eq!(home["degraded"], json!(missing), "{:?}", self.lines().pop());
        for section in SECTIONS {
            let expected = if missing.contains(&section) { &Value::Null } else { &self.whole[section] };
            assert_eq!(&home[section], expected, "{section}");
        }
    }

    /// Waits until nothing is missing any more, whichever worker is asked: each has breakers of its own.
    async fn recovers(&self) {
        self.operator.set_chaos("").await;
        let mut in_a_row = 0;
        until("home is whole again", RECOVERS_WITHIN, async || {
            let (home, _) = self.home().await;
            in_a_row = if home.body == self.whole { in_a_row + 1 } else { 0 };
            (in_a_row == 3).then_some(())
        })
        .await;
    }

    /// Home's own lines of the log.
    fn lines(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.log).expect("the functions' log");
        let lines = log.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok());
        lines.filter(|line: &Value| line["operation"] == "GET /home").collect()
    }

    /// The middle of what the last `count` answers took beyond their sections: one alone may have met a busy machine.
    async fn own_ms(&self, before: usize, count: usize) -> f64 {
        let lines = until("the lines are written", PATIENCE, async || {
            let lines = self.lines();
            (lines.len() >= before + count).then(|| lines[before..].to_vec())
        })
        .await;
        let mut own: Vec<f64> = lines.iter().map(|line| line["home.own_ms"].as_f64().expect("a time")).collect();
        own.sort_by(f64::total_cmp);
        println!("home.own_ms {own:?}");
        own[own.len() / 2]
    }
}

#[tokio::test]
async fn a_section_that_is_down_or_throttled_is_missing_and_named_and_the_others_are_untouched() {
    let stage = Stage::set().await;
    for (fault, section) in [
        ("feed:error=1.0", "feed"),
        ("feed:throttle=1.0", "feed"),
        ("notifications:error=1.0", "notifications"),
        ("notifications:throttle=1.0", "notifications"),
        ("users:error=1.0", "suggestions"),
        ("users:throttle=1.0", "suggestions"),
        ("users:lost_answer=1.0", "suggestions"),
    ] {
        stage.operator.set_chaos(fault).await;
        for _ in 0..3 {
            let (home, took) = stage.home().await;
            stage.misses(&home, &[section]);
            assert!(took < WHOLE, "{fault}: {took:?}");
        }
        stage.recovers().await;
    }
}

#[tokio::test]
async fn a_section_over_its_deadline_is_not_waited_for() {
    let stage = Stage::set().await;
    for (fault, section) in
        [("feed:delay_ms=3000", "feed"), ("notifications:delay_ms=3000", "notifications"), ("users:delay_ms=3000", "suggestions")]
    {
        let before = stage.lines().len();
        stage.operator.set_chaos(fault).await;
        for _ in 0..5 {
            let (home, took) = stage.home().await;
            stage.misses(&home, &[section]);
            assert!(took < WHOLE, "{fault}: {took:?}");
        }
        let own = stage.own_ms(before, 5).await;
        assert!(own <= OWN_MS, "{fault}: {own} ms beyond the deadline");
        stage.recovers().await;
    }
}

#[tokio::test]
async fn a_section_that_fails_half_of_the_time_is_there_or_named_and_the_others_are_always_there() {
    let stage = Stage::set().await;
    stage.operator.set_chaos("feed:error=0.5;seed=11").await;
    let mut seen = [0, 0];
    for _ in 0..20 {
        let (home, took) = stage.home().await;
        let is_missing = home["feed"].is_null();
        stage.misses(&home, if is_missing { &["feed"] } else { &[] });
        assert!(took < WHOLE, "{took:?}");
        seen[usize::from(is_missing)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    stage.recovers().await;
}

#[tokio::test]
async fn nobody_waits_for_a_section_that_fails_again_and_again_until_it_answers_again() {
    let stage = Stage::set().await;
    stage.operator.set_chaos("users:delay_ms=3000").await;
    let line = until("the breaker is open", PATIENCE, async || {
        let (home, _) = stage.home().await;
        stage.misses(&home, &["suggestions"]);
        let last = stage.lines().pop()?;
        (last["breaker.users_function"] == "open" && last["breaker.refused"] == 1).then_some(last)
    })
    .await;
    assert!(line["home.suggestions_ms"].as_f64().is_some_and(|took| took < OWN_MS), "it was not asked: {line}");
    assert_eq!(line.get("breaker.feed_function"), None, "{line}");
    stage.recovers().await;
    let closed = stage.lines().iter().rev().any(|line| line["breaker.users_function"] == "closed");
    assert!(closed, "the line of the probe says that it is closed");
}

/// Tables are what functions fail of: the sections that do not read one that is down are untouched.
#[tokio::test]
async fn a_table_that_is_down_takes_only_the_sections_that_read_it() {
    let stage = Stage::set().await;
    for (fault, section) in [("FeedsTable:error=1.0", "feed"), ("NotificationsTable:error=1.0", "notifications")] {
        stage.operator.set_chaos(fault).await;
        for _ in 0..3 {
            let (home, took) = stage.home().await;
            stage.misses(&home, &[section]);
            assert!(took < WHOLE, "{fault}: {took:?}");
        }
        stage.recovers().await;
    }
}

#[tokio::test]
async fn two_sections_may_be_missing_and_only_when_all_are_the_answer_is_503_within_a_second() {
    let stage = Stage::set().await;
    stage.operator.set_chaos("feed:delay_ms=3000;users:error=1.0").await;
    let (home, took) = stage.home().await;
    stage.misses(&home, &["feed", "suggestions"]);
    assert!(took < WHOLE, "{took:?}");
    for fault in [
        "feed:error=1.0;notifications:error=1.0;users:error=1.0",
        "feed:throttle=1.0;notifications:throttle=1.0;users:throttle=1.0",
        "feed:delay_ms=3000;notifications:delay_ms=3000;users:delay_ms=3000",
    ] {
        stage.operator.set_chaos(fault).await;
        for _ in 0..3 {
            let (home, took) = stage.home().await;
            assert_eq!(home.header("retry-after"), Some("1"), "{fault}");
            home.problem(503, "unavailable");
            assert!(took < WHOLE, "{fault}: {took:?}");
        }
        stage.recovers().await;
    }
}
