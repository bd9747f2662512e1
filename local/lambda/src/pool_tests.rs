use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::fake::{self, Answer, error_type, invoke, invoke_in_turn, pool, until};

/// Workers that answer once the gate has a permit for each event, and how many events they were given.
fn held_workers() -> (Spawn, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, held) = (Arc::clone(&calls), Arc::clone(&gate));
    let spawn = fake::workers(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::Succeed(json!(null))
        }
    });
    (spawn, calls, gate)
}

#[tokio::test]
async fn no_more_workers_run_than_the_template_allows() {
    let cores = thread::available_parallelism().unwrap().get();
    for (concurrency, memory_mb, expected) in
        [(None, 256, MOST_WORKERS), (None, WHOLE_CPU_MB, cores.min(MOST_WORKERS)), (Some(2), 256, 2), (Some(20), WHOLE_CPU_MB, 20)]
    {
        let gate = Arc::new(Semaphore::new(0));
        let running = Arc::new(AtomicUsize::new(0));
        let (held, count) = (Arc::clone(&gate), Arc::clone(&running));
        let spawn = fake::workers(move |_| {
            let (gate, running) = (Arc::clone(&held), Arc::clone(&count));
            async move {
                running.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Answer::Succeed(json!(null))
            }
        });
        let pool = pool(Function { concurrency, memory_mb, ..fake::function("posts") }, spawn).await;
        let events: Vec<_> = (0..25)
            .map(|n| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { invoke_in_turn(&pool, json!(n)).await })
            })
            .collect();
        until("all workers have an event", || running.load(Ordering::SeqCst) == expected).await;
        assert_eq!(pool.lock().alive, expected);
        assert_eq!(pool.lock().waiting.len(), 25 - expected, "the others wait");
        gate.add_permits(25);
        for event in events {
            event.await.unwrap().unwrap();
        }
        assert_eq!(pool.lock().alive, expected);
    }
}

#[tokio::test]
async fn more_workers_than_there_are_cores_start_only_for_jobs_that_have_waited() {
    let cores = thread::available_parallelism().unwrap().get();
    let (spawn, calls, gate) = held_workers();
    let most = cores + 3;
    let pool = pool(Function { concurrency: u32::try_from(most).ok(), ..fake::function("posts") }, spawn).await;
    let events: Vec<_> = (0..most)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { invoke_in_turn(&pool, json!(n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(pool.lock().alive, cores);
    assert_eq!(pool.lock().waiting.len(), most);
    until("each has a worker", || calls.load(Ordering::SeqCst) == most).await;
    gate.add_permits(most);
    for event in events {
        event.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_function_without_concurrency_is_off() {
    let spawn = fake::workers(|_| async { Answer::Succeed(json!(null)) });
    let pool = pool(Function { concurrency: Some(0), ..fake::function("posts") }, spawn).await;
    assert_eq!(invoke(&pool, json!({})).await, Err(InvokeError::Throttled));
    assert_eq!(pool.lock().alive, 0);
}

#[tokio::test]
async fn events_that_wait_are_limited_and_those_that_nobody_awaits_any_more_make_room() {
    let (spawn, calls, gate) = held_workers();
    let pool = pool(Function { concurrency: Some(1), ..fake::function("posts") }, spawn).await;
    let start = || {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke_in_turn(&pool, json!({})).await })
    };
    let first = start();
    until("the worker has an event", || calls.load(Ordering::SeqCst) == 1).await;
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| start()).collect();
    until("the others wait", || pool.lock().waiting.len() == MOST_WAITING).await;
    assert_eq!(invoke_in_turn(&pool, json!({})).await, Err(InvokeError::Throttled));

    for event in &waiting {
        event.abort();
    }
    until("nobody awaits them", || waiting.iter().all(tokio::task::JoinHandle::is_finished)).await;
    let last = start();
    until("they made room", || pool.lock().waiting.len() == 1).await;
    gate.add_permits(2);
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2, "the function knows nothing of those that were given up");
}

#[tokio::test]
async fn with_a_reserved_concurrency_whoever_awaits_an_answer_is_throttled_at_once_and_batches_wait() {
    let (spawn, calls, gate) = held_workers();
    let pool = pool(Function { concurrency: Some(2), ..fake::function("posts") }, spawn).await;
    let running: Vec<_> = (0..2)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { invoke(&pool, json!(n)).await })
        })
        .collect();
    until("both have a worker", || calls.load(Ordering::SeqCst) == 2).await;
    for repeatable in [true, false] {
        assert_eq!(fake::invoke_as(&pool, json!({}), repeatable).await, Err(InvokeError::Throttled));
    }
    let batch = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke_in_turn(&pool, json!({})).await })
    };
    until("the batch waits", || pool.lock().waiting.len() == 1).await;
    gate.add_permits(3);
    for event in running.into_iter().chain([batch]) {
        event.await.unwrap().unwrap();
    }
    // One after another is one at a time.
    gate.add_permits(20);
    for n in 0..20 {
        invoke(&pool, json!(n)).await.unwrap();
    }
}

#[test]
fn a_function_that_cannot_start_is_reported_once_until_it_can_whatever_its_words() {
    let mut workers = Workers::default();
    let mut breaks = |process: u32| workers.broke(&format!("process {process} ended").into());
    assert_eq!([breaks(1), breaks(2), breaks(3)], [true, false, false]);
    workers.starting = 1;
    workers.started();
    assert!(workers.broke(&"process 4 ended".into()));
}

#[tokio::test]
async fn the_worker_used_last_is_used_next() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let spawn = fake::workers(move |call| {
        let gate = Arc::clone(&held);
        async move {
            if call.event == "wait" {
                gate.acquire().await.unwrap().forget();
            }
            Answer::Succeed(call.worker.into())
        }
    });
    let pool = pool(fake::function("posts"), spawn).await;
    let waiting = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke(&pool, json!("wait")).await.unwrap() })
    };
    until("the first worker has its event", || pool.lock().alive == 1 && pool.lock().starting == 0).await;
    let second = invoke(&pool, json!("go")).await.unwrap();
    until("the second worker is free", || pool.lock().free.len() == 1).await;
    gate.add_permits(1);
    let first = waiting.await.unwrap();
    until("both are free", || pool.lock().free.len() == 2).await;
    assert_ne!(first, second);
    for _ in 0..3 {
        assert_eq!(invoke(&pool, json!("go")).await.unwrap(), first);
        until("both are free", || pool.lock().free.len() == 2).await;
    }
}

#[tokio::test]
async fn events_for_a_function_that_cannot_start_fail_with_the_reason_and_it_is_tried_again_later() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let spawn: Spawn = Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(fake::process(|_| async { fake::ended("exit status: 1: USERS_TABLE is not set") }))
    });
    let pool = pool(fake::function("posts"), spawn).await;
    let error = invoke(&pool, json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::Crashed { .. }));
    assert!(String::from_utf8_lossy(&error.payload()).contains("USERS_TABLE is not set"));
    // At once again: the same answer, without another process.
    for _ in 0..100 {
        assert_eq!(invoke(&pool, json!({})).await.unwrap_err(), error);
    }
    assert!(attempts.load(Ordering::SeqCst) < 10);
    let before = attempts.load(Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    while attempts.load(Ordering::SeqCst) == before {
        assert!(Instant::now() < deadline, "no further attempt");
        let _ = invoke(&pool, json!({})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_and_an_init_error_are_told() {
    let missing: Spawn = Arc::new(|_, _| Err(io::Error::from(io::ErrorKind::NotFound)));
    let pool_without = pool(fake::function("posts"), missing).await;
    let error = invoke(&pool_without, json!({})).await.unwrap_err();
    assert_eq!(error_type(&error), "Runtime.InvalidEntrypoint");

    let reporting: Spawn = Arc::new(|_, session| {
        let address = session.address.clone();
        Ok(fake::process(|_| async move {
            let url = format!("{address}/2018-06-01/runtime/init/error");
            reqwest::Client::new().post(url).json(&fake::refusal()).send().await.unwrap();
            fake::ended("exit status: 1")
        }))
    });
    let pool_failing = pool(fake::function("posts"), reporting).await;
    let error = invoke(&pool_failing, json!({})).await.unwrap_err();
    assert_eq!(error_type(&error), "Refused");
}

#[tokio::test]
async fn stopping_ends_every_worker_and_answers_everyone_who_waits() {
    let spawn = fake::workers(|_| async { Answer::Hang });
    let pool = pool(Function { concurrency: Some(1), ..fake::function("posts") }, spawn).await;
    let events: Vec<_> = (0..3)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { invoke_in_turn(&pool, json!(n)).await })
        })
        .collect();
    until("two events wait for the only worker", || {
        let workers = pool.lock();
        workers.starting == 0 && workers.waiting.len() == 2
    })
    .await;
    pool.stop().await;
    for event in events {
        assert_eq!(event.await.unwrap(), Err(InvokeError::Stopping));
    }
    assert_eq!(pool.lock().alive, 0);
    assert_eq!(invoke(&pool, json!({})).await, Err(InvokeError::Stopping));
}
