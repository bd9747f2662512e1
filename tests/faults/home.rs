//! Promise 9: home answers within its deadline while any section can be had, says which are missing, and is whole again soon after.
//!
//! One test at a time, and nothing is judged by one answer alone: on a busy machine any section may be late once. What home takes beyond a
//! section's deadline is measured with a clock that stands still, in `functions/home`.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    harness::{Caller, Person, client::Answer, photographs::publish, until},
    operator::Operator,
    process::{Host, folder},
};

const PATIENCE: Duration = Duration::from_mins(1);
/// From the end of a fault to the first whole answer.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);
/// The whole, from the request to the answer: a second, and what a busy machine adds, with the gateway and a client in it.
const WHOLE: Duration = Duration::from_millis(1_000 + 500);
/// How often a dependency that fails half of the time is really asked.
const ASKED: usize = 20;
/// The sections, and the function that each is asked of.
const SECTIONS: [(&str, &str); 3] = [("feed", "feed"), ("notifications", "notifications"), ("suggestions", "users")];
/// What goes wrong with a function until it is left alone.
const LASTING: [&str; 4] = ["error=1.0", "throttle=1.0", "lost_answer=1.0", "delay_ms=3000"];

/// Each test has a host, and measures what it answers in time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A host, and somebody on it whose home has something in each section.
struct Stage {
    bob: Person,
    operator: Operator,
    log: PathBuf,
    whole: Value,
    _host: Host,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    async fn set() -> Self {
        let alone = ALONE.lock().await;
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
        Self { bob, operator: Operator::of(&host.addresses), log, whole, _host: host, _folder: folder, _alone: alone }
    }

    /// Home, in time.
    async fn home(&self) -> Answer {
        let started = Instant::now();
        let home = self.bob.get("/home").await;
        let took = started.elapsed();
        assert!(took < WHOLE, "{took:?}: {}", home.text);
        home
    }

    /// Home, of which at least these sections are missing, and named.
    async fn without(&self, missing: &[&str]) -> Answer {
        let home = self.home().await;
        assert_eq!(home.status, 200, "{}", home.text);
        let named = home["degraded"].as_array().expect("a list");
        for section in missing {
            assert!(home[*section].is_null() && named.contains(&json!(section)), "{section}: {}", home.text);
        }
        home
    }

    /// Whether nothing but these is missing, and the others are as they were.
    fn is_else_untouched(&self, home: &Answer, missing: &[&str]) -> bool {
        let is_whole = |section| missing.contains(&section) || home[section] == self.whole[section];
        home["degraded"] == json!(missing) && SECTIONS.iter().all(|(section, _)| is_whole(section))
    }

    /// Waits until nothing is missing any more, whichever worker is asked: each has breakers of its own.
    async fn recovers(&self) {
        self.operator.set_chaos("").await;
        let mut in_a_row = 0;
        until("home is whole again", RECOVERS_WITHIN, async || {
            let home = self.bob.get("/home").await;
            in_a_row = if home.body == self.whole { in_a_row + 1 } else { 0 };
            if in_a_row == 0 {
                println!("{} {} {:?}", home.status, home["degraded"], self.lines().pop());
            }
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

    /// Waits until a line that comes after the first `before` says so.
    async fn says(&self, what: &str, before: usize, is_it: impl Fn(&Value) -> bool) {
        until(what, PATIENCE, async || self.lines()[before..].iter().any(&is_it).then_some(())).await;
    }
}

/// Whether a section was not asked for, because its function has failed too often.
fn is_left_alone(line: &Value, section: &str) -> bool {
    line[format!("home.{section}_error")].as_str().is_some_and(|why| why.contains("has failed too often"))
}

fn is_breaker(line: &Value, function: &str, state: &str) -> bool {
    line[format!("breaker.{function}_function")] == state
}

#[tokio::test]
async fn a_function_that_fails_takes_its_section_alone_is_left_alone_and_is_back_soon_after() {
    let stage = Stage::set().await;
    for (section, function) in SECTIONS {
        for fault in LASTING {
            let before = stage.lines().len();
            stage.operator.set_chaos(&format!("{function}:{fault}")).await;
            let mut is_else_untouched = false;
            until(&format!("{function}:{fault}: its breaker opens, and all else is there"), PATIENCE, async || {
                let home = stage.without(&[section]).await;
                is_else_untouched |= stage.is_else_untouched(&home, &[section]);
                let is_open = |line: &Value| is_left_alone(line, section) && is_breaker(line, function, "open");
                (is_else_untouched && stage.lines()[before..].iter().any(is_open)).then_some(())
            })
            .await;
            stage.recovers().await;
            stage.says(&format!("{function}:{fault}: its breaker closes"), before, |line| is_breaker(line, function, "closed")).await;
        }
    }
}

#[tokio::test]
async fn a_function_that_fails_half_of_the_time_has_its_section_there_or_named_and_its_breaker_opens_and_closes() {
    let stage = Stage::set().await;
    for (section, function) in SECTIONS {
        let before = stage.lines().len();
        stage.operator.set_chaos(&format!("{function}:error=0.5;seed=11")).await;
        let (mut there, mut missing, mut is_else_untouched) = (0, 0, false);
        until(&format!("{function} is asked often, opens its breaker and closes it"), PATIENCE, async || {
            let home = stage.home().await;
            assert_eq!(home.status, 200, "{}", home.text);
            if home[section].is_null() {
                missing += 1;
                is_else_untouched |= stage.is_else_untouched(&home, &[section]);
            } else {
                there += 1;
                assert_eq!(home[section], stage.whole[section]);
            }
            let lines = &stage.lines()[before..];
            let asked = lines.iter().filter(|line| !is_left_alone(line, section)).count();
            let has_been = |state| lines.iter().any(|line| is_breaker(line, function, state));
            let is_seen = asked >= ASKED && there > 0 && missing > 0 && is_else_untouched;
            (is_seen && has_been("open") && has_been("closed")).then_some(())
        })
        .await;
        stage.recovers().await;
    }
}

/// Tables are what functions fail of: the sections that do not read one that is down are untouched.
#[tokio::test]
async fn a_table_that_is_down_takes_only_the_sections_that_read_it() {
    let stage = Stage::set().await;
    for (table, section) in [("FeedsTable", "feed"), ("NotificationsTable", "notifications")] {
        stage.operator.set_chaos(&format!("{table}:error=1.0")).await;
        until(&format!("without {table} all but {section} is there"), PATIENCE, async || {
            let home = stage.without(&[section]).await;
            stage.is_else_untouched(&home, &[section]).then_some(())
        })
        .await;
        stage.recovers().await;
    }
}

/// It counts requests and knows bans: who comes is let in without.
#[tokio::test]
async fn home_is_whole_without_the_edge_table() {
    let stage = Stage::set().await;
    for fault in ["EdgeTable:error=1.0", "EdgeTable:delay_ms=3000"] {
        stage.operator.set_chaos(fault).await;
        let mut whole = 0;
        until(&format!("{fault}: home is whole"), PATIENCE, async || {
            let home = stage.without(&[]).await;
            whole += usize::from(stage.is_else_untouched(&home, &[]));
            (whole == 5).then_some(())
        })
        .await;
        stage.recovers().await;
    }
}

/// Who calls can't be told, or, where the gateway has kept it, nothing else.
#[tokio::test]
async fn without_any_table_the_answer_is_an_error_in_time() {
    let stage = Stage::set().await;
    stage.operator.set_chaos("dynamodb:error=1.0").await;
    for _ in 0..5 {
        let home = stage.home().await;
        assert!(matches!(home.status, 500 | 503), "{} {}", home.status, home.text);
    }
    stage.recovers().await;
}

#[tokio::test]
async fn two_sections_may_be_missing_and_only_when_all_are_the_answer_is_503_within_a_second() {
    let stage = Stage::set().await;
    stage.operator.set_chaos("feed:delay_ms=3000;users:error=1.0").await;
    let missing = ["feed", "suggestions"];
    until("the third is there", PATIENCE, async || {
        let home = stage.without(&missing).await;
        stage.is_else_untouched(&home, &missing).then_some(())
    })
    .await;
    for fault in LASTING {
        let faults = SECTIONS.map(|(_, function)| format!("{function}:{fault}")).join(";");
        stage.operator.set_chaos(&faults).await;
        for _ in 0..3 {
            let home = stage.home().await;
            assert_eq!(home.header("retry-after"), Some("1"), "{fault}: {}", home.text);
            home.problem(503, "unavailable");
        }
        stage.recovers().await;
    }
}
