//! Schedules: an asynchronous invocation at a fixed rate.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tintype_cloud::say;
use tintype_template::deployment::{Function, ScheduleTrigger};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};
use uuid::Uuid;

use super::region_and_account;
use crate::{Lambda, stop::stopped};

/// The first run comes soon: what a crash left unfinished need not wait for a whole period.
const FIRST_RUN: Duration = Duration::from_secs(1);

pub(super) fn start(trigger: &ScheduleTrigger, function: &Function, lambda: &Lambda, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    let (trigger, function) = (trigger.clone(), function.clone());
    let (lambda, mut stop) = (lambda.clone(), stop.clone());
    tokio::spawn(async move {
        let every = trigger.every.max(Duration::from_millis(1));
        let mut ticks = interval_at(Instant::now() + every.min(FIRST_RUN), every);
        // After a machine's sleep one run is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = ticks.tick() => {}
            }
            let event = event(&trigger.name, &function.arn).to_string();
            // The rule is the source: a function that is slower than its rate gets no backlog.
            let stored = lambda.invoke_later_once(&function.name, event.as_bytes(), &trigger.name);
            if let Err(error) = stored {
                say(&function.binary, &format!("schedule {}: {error}", trigger.name));
            }
        }
    })
}

/// As EventBridge sends it.
fn event(rule: &str, function_arn: &str) -> Value {
    let (region, account) = region_and_account(function_arn);
    json!({
        "version": "0",
        "id": Uuid::now_v7(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": region,
        "resources": [format!("arn:aws:events:{region}:{account}:rule/{rule}")],
        "detail": {},
    })
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
