use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tintype_template::deployment::{self, Function};

use super::*;
use crate::{
    Lambda,
    fake::{self, Answer, until},
    worker::Spawn,
};

fn stored(control: &Control) -> i64 {
    control.with(|database| database.query_row("SELECT COUNT(*) FROM invocations", [], |row| row.get(0))).unwrap()
}

async fn lambda(state: &fake::State, function: Function, spawn: Spawn) -> Lambda {
    Lambda::with_spawn(&[function], state.dir.control(), state.queues.clone(), spawn, &tintype_chaos::Chaos::new([])).await.unwrap()
}

/// A worker that fails the first events it gets, and the request ids it has seen.
fn failing_at_first(failures: u32) -> (Spawn, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&seen);
    let spawn = fake::workers(move |call| {
        let mut calls = calls.lock().unwrap();
        calls.push(call.request_id);
        let answer = if calls.len() > failures as usize { Answer::Succeed(json!(null)) } else { Answer::Fail(fake::refusal()) };
        async move { answer }
    });
    (spawn, seen)
}

#[tokio::test]
async fn a_failed_event_is_tried_again_under_the_same_id_until_it_succeeds() {
    let state = fake::state(&[]);
    let (spawn, seen) = failing_at_first(2);
    let lambda = lambda(&state, fake::function("resizer"), spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", b"{}").unwrap();
    until("the event is done", || stored(&state.dir.control()) == 0).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1, "one request id");
}

#[tokio::test]
async fn an_event_that_fails_to_the_end_goes_to_the_destination_with_its_payload_and_reason() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let (spawn, seen) = failing_at_first(u32::MAX);
    let asynchronous =
        deployment::Asynchronous { max_retries: 1, on_failure: Some(fake::queue_arn("failed")), ..fake::function("resizer").asynchronous };
    let function = Function { asynchronous, ..fake::function("resizer") };
    let lambda = lambda(&state, function, spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", br#"{"key":"a b"}"#).unwrap();
    let record = fake::received(&state.queues, "failed").await;
    assert_eq!(record["version"], "1.0");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record["requestContext"]["requestId"], seen.lock().unwrap()[0]);
    assert_eq!(record["requestContext"]["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:resizer:$LATEST");
    assert_eq!(record["requestPayload"], json!({ "key": "a b" }));
    assert_eq!(record["responsePayload"], fake::refusal());
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    until("the event is gone", || stored(&state.dir.control()) == 0).await;
}

/// A function whose failed events go to this queue, without a retry.
fn function_with_destination(queue: &str) -> Function {
    let asynchronous =
        deployment::Asynchronous { max_retries: 0, on_failure: Some(fake::queue_arn(queue)), ..fake::function("resizer").asynchronous };
    Function { asynchronous, ..fake::function("resizer") }
}

fn untold(control: &Control) -> i64 {
    control.with(|database| database.query_row("SELECT COUNT(*) FROM failed_invocations", [], |row| row.get(0))).unwrap()
}

#[tokio::test]
async fn a_destination_that_refuses_the_payload_gets_the_rest_and_the_function_is_not_asked_again() {
    let small = deployment::Queue { max_message_bytes: 1024, ..fake::queue("failed", Duration::from_secs(30)) };
    // Too large for the queue, and a character that no message may carry.
    for payload in [json!("x".repeat(2000)), json!("\u{fffe}")] {
        let state = fake::state(std::slice::from_ref(&small));
        let (spawn, seen) = failing_at_first(u32::MAX);
        let lambda = lambda(&state, function_with_destination("failed"), spawn).await;
        lambda.deliver_pending();
        lambda.invoke_later("resizer", payload.to_string().as_bytes()).unwrap();
        let record = fake::received(&state.queues, "failed").await;
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["responseContext"]["functionError"], "Unhandled");
        assert!(record.get("requestPayload").is_none() && record.get("responsePayload").is_none());
        until("nothing is left to tell", || untold(&state.dir.control()) == 0).await;
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_event_whose_destination_is_gone_is_dropped() {
    let state = fake::state(&[]);
    let (spawn, seen) = failing_at_first(u32::MAX);
    let lambda = lambda(&state, function_with_destination("gone"), spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", b"{}").unwrap();
    let control = state.dir.control();
    until("it is dropped", || seen.lock().unwrap().len() == 1 && stored(&control) == 0 && untold(&control) == 0).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_verdict_that_the_destination_has_not_heard_is_told_after_a_restart() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let control = state.dir.control();
    Failures::open(control.clone(), state.queues.clone()).unwrap();
    control
        .with(|database| {
            let tx = database.transaction()?;
            Failures::store(&tx, Uuid::now_v7(), "resizer", &fake::queue_arn("failed"), &json!({ "version": "1.0" }))?;
            tx.commit()
        })
        .unwrap();
    let (spawn, seen) = failing_at_first(0);
    let lambda = lambda(&state, fake::function("resizer"), spawn).await;
    lambda.deliver_pending();
    assert_eq!(fake::received(&state.queues, "failed").await["version"], "1.0");
    assert_eq!(seen.lock().unwrap().len(), 0);
}

fn with_age(function: Function, max_age: Duration) -> Function {
    let asynchronous = deployment::Asynchronous { max_age, max_retries: 2, ..function.asynchronous };
    Function { asynchronous, ..function }
}

#[tokio::test]
async fn an_event_too_old_for_another_attempt_is_given_up() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let (spawn, _) = failing_at_first(u32::MAX);
    let lambda = lambda(&state, with_age(function_with_destination("failed"), Duration::from_millis(900)), spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", b"{}").unwrap();
    let record = fake::received(&state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
}

/// What the destination is told of an event that the function never got.
fn assert_untried(record: &Value, condition: &str) {
    assert_eq!(record["requestContext"]["condition"], condition);
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["requestPayload"], json!({ "n": 2 }));
    assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none());
}

#[tokio::test]
async fn an_event_that_grows_too_old_while_it_waits_for_a_worker_is_given_up() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Arc::clone(&gate);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let spawn = fake::workers(move |_| {
        let gate = Arc::clone(&held);
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::Succeed(Value::Null)
        }
    });
    let one_at_a_time = Function { concurrency: Some(1), ..function_with_destination("failed") };
    let lambda = lambda(&state, with_age(one_at_a_time, Duration::from_secs(1)), spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", br#"{"n":1}"#).unwrap();
    until("the first has the only worker", || calls.load(Ordering::SeqCst) == 1).await;
    lambda.invoke_later("resizer", br#"{"n":2}"#).unwrap();
    let stored_at = now();
    until("the second is too old", || now() - stored_at > 1100).await;
    gate.add_permits(2);
    assert_untried(&fake::received(&state.queues, "failed").await, "EventAgeExceeded");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_event_that_is_throttled_until_it_is_too_old_is_given_up() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let (spawn, seen) = failing_at_first(0);
    let function = with_age(function_with_destination("failed"), Duration::from_secs(2));
    let chaos = fake::chaos_of(&function, "throttle=1");
    let lambda = Lambda::with_spawn(&[function], state.dir.control(), state.queues.clone(), spawn, &chaos).await.unwrap();
    lambda.deliver_pending();
    lambda.invoke_later("resizer", br#"{"n":2}"#).unwrap();
    assert_untried(&fake::received(&state.queues, "failed").await, "EventAgeExceeded");
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[test]
fn a_throttled_event_is_tried_again_after_a_second_and_then_ever_later() {
    let pauses = [0, 1, 2, 8, 9, u32::MAX].map(|times| throttle_pause(times).as_secs());
    assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
}

#[tokio::test]
async fn the_events_of_a_function_that_is_off_go_to_its_destination_untried() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let (spawn, seen) = failing_at_first(0);
    let off = Function { concurrency: Some(0), ..function_with_destination("failed") };
    let lambda = lambda(&state, off, spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", br#"{"n":2}"#).unwrap();
    assert_untried(&fake::received(&state.queues, "failed").await, "ZeroReservedConcurrency");
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn an_event_grows_no_older_while_the_host_is_off() {
    let state = fake::state(&[]);
    let (spawn, _) = failing_at_first(0);
    let before = lambda(&state, fake::function("resizer"), spawn).await;
    before.invoke_later("resizer", b"{}").unwrap();
    let week = millis(Duration::from_hours(7 * 24));
    state.dir.control().with(|database| database.execute("UPDATE invocations SET created_at = created_at - ?1", [week])).unwrap();
    let (spawn, seen) = failing_at_first(0);
    let after = lambda(&state, fake::function("resizer"), spawn).await;
    after.deliver_pending();
    until("it is done", || stored(&state.dir.control()) == 0).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn events_survive_a_restart_whether_or_not_they_were_in_hand() {
    let state = fake::state(&[]);
    let in_hand = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&in_hand);
    let hanging = fake::workers(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Answer::Hang }
    });
    let function = || Function { concurrency: Some(1), ..fake::function("resizer") };
    let before = lambda(&state, function(), hanging).await;
    for n in 0..3 {
        before.invoke_later("resizer", json!(n).to_string().as_bytes()).unwrap();
    }
    before.deliver_pending();
    until("an event is in hand", || in_hand.load(Ordering::SeqCst) == 1).await;
    before.stop().await;
    assert_eq!(stored(&state.dir.control()), 3);

    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let delivered = Arc::clone(&seen);
    let spawn = fake::workers(move |call| {
        delivered.lock().unwrap().insert(call.event.as_u64().unwrap());
        async { Answer::Succeed(Value::Null) }
    });
    let after = lambda(&state, function(), spawn).await;
    after.deliver_pending();
    until("all events are done", || stored(&state.dir.control()) == 0).await;
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([0, 1, 2]));
    after.stop().await;
}

#[tokio::test]
async fn a_source_has_one_stored_event_at_a_time() {
    let state = fake::state(&[]);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let spawn = fake::workers(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Answer::Succeed(Value::Null) }
    });
    let lambda = lambda(&state, fake::function("janitor"), spawn).await;
    for _ in 0..3 {
        lambda.invoke_later_once("janitor", b"{}", "every-minute").unwrap();
    }
    assert_eq!(stored(&state.dir.control()), 1);
    lambda.deliver_pending();
    until("it is done", || stored(&state.dir.control()) == 0).await;
    lambda.invoke_later_once("janitor", b"{}", "every-minute").unwrap();
    until("it is done again", || stored(&state.dir.control()) == 0).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_event_for_a_function_that_is_not_there_is_refused() {
    let state = fake::state(&[]);
    let (spawn, _) = failing_at_first(0);
    let lambda = lambda(&state, fake::function("resizer"), spawn).await;
    let error = lambda.invoke_later("other", b"{}").unwrap_err();
    assert_eq!(error.to_string(), "there is no function other");
}
