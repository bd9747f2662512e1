//! Schedules: an asynchronous invocation at a fixed rate, or at the times of a cron expression.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tintype_cloud::say;
use tintype_template::{
    cron::Cron,
    deployment::{Function, Schedule, ScheduleTrigger},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep},
};
use uuid::Uuid;

use super::region_and_account;
use crate::{Lambda, stop::stopped};

/// The first run of a rate comes soon: what a crash left unfinished need not wait for a whole period.
const FIRST_RUN: Duration = Duration::from_secs(1);

/// How long a cron's timer sleeps at most: a machine that was asleep, or whose clock was set, finds its way back.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A cron's time that passed longer ago than this was missed, and is not made up.
const MISSED: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn start(trigger: &ScheduleTrigger, function: &Function, lambda: &Lambda, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    let (trigger, function) = (trigger.clone(), function.clone());
    let (lambda, mut stop) = (lambda.clone(), stop.clone());
    tokio::spawn(async move {
        let mut times = Times::new(&trigger.schedule);
        loop {
            let time = tokio::select! {
                () = stopped(&mut stop) => return,
                time = times.next() => time,
            };
            let event = trigger.input.clone().unwrap_or_else(|| event(&trigger.name, &function.arn, time)).to_string();
            // The rule is the source: a function that is slower than its rate gets no backlog.
            let stored = lambda.invoke_later_once(&function.name, event.as_bytes(), &trigger.id);
            if let Err(error) = stored {
                say(&function.binary, &format!("schedule {}: {error}", trigger.name));
            }
        }
    })
}

/// The times at which a rule runs.
enum Times {
    Rate(Interval),
    Cron(CronClock),
}

impl Times {
    fn new(schedule: &Schedule) -> Self {
        match schedule {
            Schedule::Every(every) => {
                let every = (*every).max(Duration::from_millis(1));
                let mut ticks = interval_at(Instant::now() + every.min(FIRST_RUN), every);
                // After a machine's sleep one run is enough.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                Self::Rate(ticks)
            }
            Schedule::Cron(cron) => Self::Cron(CronClock::new(cron.clone(), Timestamp::now())),
        }
    }

    /// Waits for the next, for ever if there is none.
    async fn next(&mut self) -> Timestamp {
        match self {
            Self::Rate(ticks) => {
                ticks.tick().await;
                Timestamp::now()
            }
            Self::Cron(clock) => loop {
                match clock.look(Timestamp::now()) {
                    Look::Due(time) => return time,
                    Look::Later(pause) => sleep(pause).await,
                    Look::Never => std::future::pending().await,
                }
            },
        }
    }
}

/// Tells when a cron expression is due.
struct CronClock {
    cron: Cron,
    next: Option<Timestamp>,
}

/// What a clock says.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is this time.
    Due(Timestamp),
    /// Look again after so long.
    Later(Duration),
    /// There is no time left.
    Never,
}

impl CronClock {
    fn new(cron: Cron, now: Timestamp) -> Self {
        Self { next: cron.next_after(now), cron }
    }

    fn look(&mut self, now: Timestamp) -> Look {
        let Some(mut time) = self.next else { return Look::Never };
        if time > now {
            return Look::Later(Duration::try_from(time.duration_since(now)).unwrap_or_default().min(LONGEST_SLEEP));
        }
        self.next = self.cron.next_after(now);
        if now.duration_since(time) >= MISSED {
            let Some(recent) = now.checked_sub(MISSED).ok().and_then(|since| self.cron.next_after(since)) else { return Look::Never };
            time = recent;
        }
        if time > now { self.look(now) } else { Look::Due(time) }
    }
}

/// As `EventBridge` sends it.
fn event(rule: &str, function_arn: &str, time: Timestamp) -> Value {
    let (region, account) = region_and_account(function_arn);
    json!({
        "version": "0",
        "id": Uuid::now_v7(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": region,
        "resources": [format!("arn:aws:events:{region}:{account}:rule/{rule}")],
        "detail": {},
    })
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
