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

#[tokio::test]
async fn an_event_too_old_for_another_attempt_is_given_up() {
    let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
    let (spawn, _) = failing_at_first(u32::MAX);
    let asynchronous = deployment::Asynchronous { max_retries: 2, max_age: Duration::ZERO, on_failure: Some(fake::queue_arn("failed")) };
    let lambda = lambda(&state, Function { asynchronous, ..fake::function("resizer") }, spawn).await;
    lambda.deliver_pending();
    lambda.invoke_later("resizer", b"{}").unwrap();
    let record = fake::received(&state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
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
