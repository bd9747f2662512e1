//! A storm of retries: a thousand environments call one dependency, which fails wholly for a while.
//!
//! The clock stands still but for the simulation, and the dice have a seed: every run is the same. Before each environment's calls stands the
//! real [`Dependency`]; its retries are paid from the reference of the budget, which `budget.rs` holds against the SDK's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tintype_resilience::{Dependency, MOST_RETRIES, breaker::Verdict};
use tokio::time::{Instant, sleep, sleep_until};

use crate::reference::Budget;

const ENVIRONMENTS: usize = 1_000;
/// How long all is well before.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(10);
/// How long an attempt takes, whatever becomes of it.
const ATTEMPT: Duration = Duration::from_millis(10);
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// Three attempts for each call, as SDKs make them.
    None,
    Budget,
    BudgetAndBreaker,
}

/// What was counted while the dependency failed.
#[derive(Debug, Default)]
struct Counted {
    /// Calls that somebody wanted to make.
    wanted: AtomicUsize,
    /// Those that were made.
    made: AtomicUsize,
    /// Requests that reached the dependency.
    attempts: AtomicUsize,
    /// Milliseconds from its end until the last environment had an answer.
    recovered: AtomicUsize,
}

impl Counted {
    fn ratio(counter: &AtomicUsize, of: &AtomicUsize) -> f64 {
        let number = |counter: &AtomicUsize| f64::from(u32::try_from(counter.load(Ordering::Relaxed)).unwrap());
        number(counter) / number(of)
    }

    /// Requests for each call that was made: what retries add.
    fn of_calls(&self) -> f64 {
        Self::ratio(&self.attempts, &self.made)
    }

    /// Requests for each call that was wanted: what the dependency has to bear.
    fn of_wishes(&self) -> f64 {
        Self::ratio(&self.attempts, &self.wanted)
    }
}

struct Environment {
    protection: Protection,
    dependency: Dependency,
    budget: Budget,
    down: (Instant, Instant),
    counted: Arc<Counted>,
}

impl Environment {
    fn is_down(&self, at: Instant) -> bool {
        self.down.0 <= at && at < self.down.1
    }

    /// One call a turn, from a random moment of the first turn on.
    async fn work(mut self, from: Instant, every: Duration, until: Instant) {
        let mut next = from + every.mul_f64(fastrand::f64());
        let mut answered_since = None;
        while next < until {
            sleep_until(next).await;
            let answered = self.call().await;
            if answered && Instant::now() >= self.down.1 && answered_since.is_none() {
                answered_since = Some(Instant::now());
                let millis = usize::try_from((Instant::now() - self.down.1).as_millis()).unwrap();
                self.counted.recovered.fetch_max(millis, Ordering::Relaxed);
            }
            next = (next + every).max(Instant::now());
        }
        assert!(answered_since.is_some(), "an environment never got an answer again");
    }

    async fn call(&mut self) -> bool {
        let counts = usize::from(self.is_down(Instant::now()));
        self.counted.wanted.fetch_add(counts, Ordering::Relaxed);
        let ticket = if self.protection == Protection::BudgetAndBreaker {
            let Ok(ticket) = self.dependency.enter(Duration::from_secs(2)) else { return false };
            Some(ticket)
        } else {
            None
        };
        self.counted.made.fetch_add(counts, Ordering::Relaxed);
        let mut answered = false;
        for attempt in 0..3 {
            self.counted.attempts.fetch_add(counts, Ordering::Relaxed);
            answered = !self.is_down(Instant::now());
            sleep(ATTEMPT).await;
            if answered {
                self.budget.answered();
                break;
            }
            if attempt == 2 || (self.protection != Protection::None && !self.budget.take()) {
                break;
            }
            sleep((FIRST_BACK_OFF * 2_u32.pow(attempt)).mul_f64(fastrand::f64())).await;
        }
        if let Some(ticket) = ticket {
            ticket.settle(if answered { Verdict::Answered } else { Verdict::Failed });
        }
        answered
    }
}

/// When environments start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Before,
    /// In the middle of the failure, as many do where slow answers make Lambda start more.
    Meanwhile,
}

async fn storm(protection: Protection, start: Start, every: Duration, outage: Duration) -> Arc<Counted> {
    fastrand::seed(7);
    let counted = Arc::new(Counted::default());
    let down = (Instant::now() + BEFORE, Instant::now() + BEFORE + outage);
    let from = match start {
        Start::Before => Instant::now(),
        Start::Meanwhile => down.0 + outage / 2,
    };
    let environments: Vec<_> = (0..ENVIRONMENTS)
        .map(|_| {
            let (dependency, counted) = (Dependency::new("table"), Arc::clone(&counted));
            let environment = Environment { protection, dependency, budget: Budget::empty(), down, counted };
            tokio::spawn(environment.work(from, every, down.1 + AFTER))
        })
        .collect();
    for environment in environments {
        environment.await.unwrap();
    }
    counted
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_retries_does_not_come() {
    let minute = Duration::from_mins(1);
    println!("{ENVIRONMENTS} environments; requests for each call made | for each call wanted | back after");
    for (every, name) in [(Duration::from_millis(250), "4 calls a second"), (Duration::from_secs(1), "1 call a second")] {
        for protection in [Protection::None, Protection::Budget, Protection::BudgetAndBreaker] {
            let counted = storm(protection, Start::Before, every, minute).await;
            let recovered = Duration::from_millis(u64::try_from(counted.recovered.load(Ordering::Relaxed)).unwrap());
            println!("  {name}, {protection:?}: {:.3} | {:.3} | {recovered:?}", counted.of_calls(), counted.of_wishes());
            if protection == Protection::None {
                assert!(counted.of_calls() > 2.9, "the simulation shows the storm, where nothing holds it");
            } else {
                assert!(counted.of_calls() <= 1.1, "{protection:?}, {name}: {:.3}", counted.of_calls());
                assert!(counted.of_wishes() <= 1.1, "{protection:?}, {name}: {:.3}", counted.of_wishes());
            }
            assert!(recovered <= Duration::from_secs(4), "{protection:?}, {name}: {recovered:?}");
        }
    }
}

/// What an environment has saved up are two retries, whatever it calls: a tenth of its calls from twenty on, and more of fewer. Of a short failure it
/// makes few calls, for the breaker refuses the others; and one that calls every ten seconds has made six when a minute is over.
#[tokio::test(start_paused = true)]
async fn each_environment_adds_two_requests_to_its_calls_and_no_more() {
    let (seconds, minute) = (Duration::from_secs(5), Duration::from_mins(1));
    for (every, outage, of_calls, of_wishes) in [
        (Duration::from_millis(100), seconds, 1.2, 0.5),
        (Duration::from_secs(10), minute, 1.34, 1.34),
        (Duration::from_secs(2), minute, 1.1, 1.1),
    ] {
        let counted = storm(Protection::BudgetAndBreaker, Start::Before, every, outage).await;
        println!("a call every {every:?}, {outage:?}: {:.3} | {:.3}", counted.of_calls(), counted.of_wishes());
        let added = counted.attempts.load(Ordering::Relaxed) - counted.made.load(Ordering::Relaxed);
        assert!(added <= MOST_RETRIES * ENVIRONMENTS, "{added} requests more than calls");
        assert!(counted.of_calls() <= of_calls, "every {every:?}: {:.3}", counted.of_calls());
        assert!(counted.of_wishes() <= of_wishes, "every {every:?}: {:.3}", counted.of_wishes());
    }
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_starts_meanwhile_adds_nothing() {
    for every in [Duration::from_millis(250), Duration::from_secs(10)] {
        let counted = storm(Protection::BudgetAndBreaker, Start::Meanwhile, every, Duration::from_mins(1)).await;
        let (made, attempts) = (counted.made.load(Ordering::Relaxed), counted.attempts.load(Ordering::Relaxed));
        assert!(made >= ENVIRONMENTS && attempts == made, "{attempts} requests of {made} calls");
    }
}
