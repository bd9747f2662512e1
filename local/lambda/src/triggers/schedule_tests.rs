use std::sync::{Arc, Mutex};

use super::*;
use crate::fake::{self, Answer, until};

/// A schedule that runs, and what its function has got.
struct Running {
    events: Arc<Mutex<Vec<Value>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _state: fake::State,
}

async fn running(schedule: Schedule, input: Option<Value>) -> Running {
    let state = fake::state(&[]);
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&events);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(call.event);
        async { Answer::Succeed(Value::Null) }
    });
    let janitor = fake::function("janitor");
    let functions = std::slice::from_ref(&janitor);
    let lambda =
        Lambda::with_spawn(functions, state.dir.control(), state.queues.clone(), spawn, &tintype_chaos::Chaos::new([])).await.unwrap();
    lambda.deliver_pending();
    let (stop, stopping) = watch::channel(false);
    let trigger = ScheduleTrigger { id: "JanitorEvery".to_owned(), name: "every-moment".to_owned(), schedule, input };
    let task = start(&trigger, &janitor, &lambda, &stopping);
    Running { events, stop, task, _state: state }
}

#[tokio::test]
async fn a_function_is_invoked_soon_after_the_start_and_then_at_the_rate() {
    let running = running(Schedule::Every(Duration::from_millis(50)), None).await;
    until("it has run thrice", || running.events.lock().unwrap().len() >= 3).await;
    running.stop.send_replace(true);
    running.task.await.unwrap();
    let event = running.events.lock().unwrap()[0].clone();
    let mut fields: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["account", "detail", "detail-type", "id", "region", "resources", "source", "time", "version"]);
    // The sample event, which tests/targets/sam-events compares with AWS', is what we send.
    let sample: Value = serde_json::from_str(include_str!("../../../../events/janitor/schedule.json")).unwrap();
    assert!(sample.as_object().unwrap().len() == fields.len() && fields.iter().all(|name| sample.get(name).is_some()));
    assert_eq!((&event["version"], &event["account"], &event["region"]), (&json!("0"), &json!("000000000000"), &json!("us-east-1")));
    assert_eq!((&event["source"], &event["detail-type"], &event["detail"]), (&json!("aws.events"), &json!("Scheduled Event"), &json!({})));
    assert_eq!(event["resources"], json!(["arn:aws:events:us-east-1:000000000000:rule/every-moment"]));
    let time = event["time"].as_str().unwrap();
    assert!(time.parse::<Timestamp>().is_ok() && time.len() == "1970-01-01T00:00:00Z".len(), "{time}");
    assert!(event["id"].as_str().unwrap().parse::<Uuid>().is_ok());
}

#[tokio::test]
async fn an_input_takes_the_events_place() {
    let running = running(Schedule::Every(Duration::from_millis(50)), Some(json!({ "sweep": ["all"] }))).await;
    until("it has run", || !running.events.lock().unwrap().is_empty()).await;
    assert_eq!(running.events.lock().unwrap()[0], json!({ "sweep": ["all"] }));
}

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When a daily cron, due at noon, comes to run and for which time, if its timer looks at these moments.
fn runs(looks: &[&str]) -> Vec<(String, String)> {
    let mut clock = CronClock::new(Cron::parse("0 12 * * ? *").unwrap(), timestamp("2026-02-25T11:00:00Z"));
    let mut runs = Vec::new();
    for look in looks {
        if let Look::Due(time) = clock.look(timestamp(look)) {
            runs.push(((*look).to_owned(), time.to_string()));
        }
    }
    runs
}

#[test]
fn a_cron_runs_at_its_time_and_does_not_make_up_what_was_missed() {
    let due = |look: &str, time: &str| (look.to_owned(), time.to_owned());
    let (noon, next) = ("2026-02-25T12:00:00Z", "2026-02-26T12:00:00Z");
    // In time, and once.
    assert_eq!(runs(&["2026-02-25T11:59:59.9Z", noon, "2026-02-25T12:00:01Z", next]), [due(noon, noon), due(next, next)]);
    // A moment late.
    assert_eq!(runs(&["2026-02-25T12:00:29Z"]), [due("2026-02-25T12:00:29Z", noon)]);
    // The machine was asleep at noon, for two days, and woke in time.
    assert_eq!(runs(&["2026-02-25T12:05:00Z", next]), [due(next, next)]);
    assert_eq!(runs(&["2026-02-28T12:00:10Z"]), [due("2026-02-28T12:00:10Z", "2026-02-28T12:00:00Z")]);
}

#[test]
fn a_timer_sleeps_until_the_next_time_but_never_long() {
    let cron = Cron::parse("0 12 * * ? 2026").unwrap();
    let mut clock = CronClock::new(cron.clone(), timestamp("2026-02-25T11:00:00Z"));
    assert_eq!(clock.look(timestamp("2026-02-25T11:00:00Z")), Look::Later(LONGEST_SLEEP));
    assert_eq!(clock.look(timestamp("2026-02-25T11:59:59Z")), Look::Later(Duration::from_secs(1)));
    let mut over = CronClock::new(cron, timestamp("2026-12-31T12:00:00Z"));
    assert_eq!(over.look(timestamp("2026-12-31T12:00:00Z")), Look::Never);
}
