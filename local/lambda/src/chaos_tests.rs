use std::{collections::HashSet, sync::Mutex as StdMutex};

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::{
    Lambda,
    fake::{self, Answer, Call, error_type, invoke, invoke_as, pool_with, until},
    worker::Spawn,
};

/// Workers that succeed, and the calls that reached them.
fn noting() -> (Spawn, Arc<StdMutex<Vec<Call>>>) {
    let calls = Arc::<StdMutex<Vec<Call>>>::default();
    let noted = Arc::clone(&calls);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(call.clone());
        async move { Answer::Succeed(call.event) }
    });
    (spawn, calls)
}

async fn pool_that(faults: &str) -> (Arc<Pool>, Arc<StdMutex<Vec<Call>>>) {
    let (spawn, calls) = noting();
    (pool_with(fake::function("posts"), spawn, faults).await, calls)
}

#[tokio::test]
async fn an_error_is_the_functions_and_the_function_knows_nothing() {
    let (pool, calls) = pool_that("error=1").await;
    let error = invoke(&pool, json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::FunctionError { .. }));
    assert_eq!(error_type(&error), "Chaos");
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_throttled_event_has_not_begun() {
    let (pool, calls) = pool_that("throttle=1").await;
    assert_eq!(invoke(&pool, json!({})).await, Err(InvokeError::Throttled));
    assert!(calls.lock().unwrap().is_empty());
    assert_eq!(pool.lock().alive, 0);
}

#[tokio::test]
async fn a_delayed_event_is_handed_over_late_and_given_up_when_the_host_stops() {
    let (pool, calls) = pool_that("delay_ms=300").await;
    let begun = Instant::now();
    invoke(&pool, json!({})).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(calls.lock().unwrap().len(), 1);

    let (pool, _) = pool_that("delay_ms=3600000").await;
    let event = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke(&pool, json!({})).await })
    };
    until("it waits", || pool.stop.receiver_count() == 1).await;
    pool.stop().await;
    assert_eq!(event.await.unwrap(), Err(InvokeError::Stopping));
}

#[tokio::test]
async fn a_lost_answer_is_an_error_of_an_event_that_was_worked_on() {
    let (pool, calls) = pool_that("lost_answer=1").await;
    let error = invoke(&pool, json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::Crashed { .. }));
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_killed_worker_took_the_event_and_the_caller_sees_a_crash_though_it_may_be_repeated() {
    for repeatable in [true, false] {
        let (pool, calls) = pool_that("kill=1").await;
        for _ in 0..3 {
            let error = invoke_as(&pool, json!({}), repeatable).await.unwrap_err();
            assert_eq!(error_type(&error), "Runtime.ExitError");
        }
        until("the workers are gone", || pool.lock().alive == 0).await;
        let calls = calls.lock().unwrap();
        assert!(calls.len() <= 3, "each ran once at most");
        let workers: HashSet<_> = calls.iter().map(|call| call.worker.clone()).collect();
        assert_eq!(workers.len(), calls.len(), "each had a worker of its own");
    }
}

#[tokio::test]
async fn a_worker_is_killed_in_the_middle_of_a_long_event_not_at_its_end() {
    let spawn = fake::workers(|_| async { Answer::Hang });
    let pool = pool_with(fake::function("posts"), spawn, "kill=1").await;
    let begun = Instant::now();
    assert_eq!(error_type(&invoke(&pool, json!({})).await.unwrap_err()), "Runtime.ExitError");
    assert!(begun.elapsed() < Duration::from_secs(30), "long before its timeout of a minute");
}

#[tokio::test]
async fn only_events_that_are_delivered_at_least_once_run_twice_under_one_id() {
    let (pool, calls) = pool_that("duplicate=1").await;
    let payload = || Bytes::from_static(b"{}");
    pool.invoke(Invocation::synchronous(payload(), "", true)).await.unwrap();
    pool.invoke(Invocation::synchronous(payload(), "", false)).await.unwrap();
    assert_eq!(calls.lock().unwrap().len(), 2);
    pool.invoke(Invocation::batch(payload())).await.unwrap();
    pool.invoke(Invocation::stored(uuid::Uuid::now_v7(), payload())).await.unwrap();
    let ids: Vec<_> = calls.lock().unwrap().iter().skip(2).map(|call| call.request_id.clone()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
}

#[tokio::test]
async fn a_stored_event_survives_whatever_goes_wrong_with_its_function() {
    let state = fake::state(&[]);
    let (spawn, calls) = noting();
    let mut function = fake::function("resizer");
    function.asynchronous.max_retries = 1000;
    let chaos = fake::chaos_of(&function, "error=0.2,throttle=0.2,kill=0.2,lost_answer=0.2,duplicate=0.2");
    let lambda = Lambda::with_spawn(&[function], state.dir.control(), state.queues.clone(), spawn, &chaos).await.unwrap();
    lambda.deliver_pending();
    for n in 0..20 {
        lambda.invoke_later("resizer", json!(n).to_string().as_bytes()).unwrap();
    }
    let stored = || -> i64 {
        state.dir.control().with(|database| database.query_row("SELECT COUNT(*) FROM invocations", [], |row| row.get(0))).unwrap()
    };
    // Then without: what is tried again every second would take long.
    until("some have come through", || calls.lock().unwrap().len() >= 5).await;
    chaos.set("").unwrap();
    until("all are done", || stored() == 0).await;
    let done: HashSet<_> = calls.lock().unwrap().iter().map(|call| call.event.as_u64()).collect();
    assert_eq!(done.len(), 20);
    lambda.stop().await;
}
