use std::{
    collections::HashSet,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tintype_template::deployment::Function;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    fake::{self, Answer, Call, error_type, invoke, invoke_as, pool, until},
    invocation::Invocation,
    output::{Output, Tail},
    worker::Spawn,
};

#[tokio::test]
async fn an_event_reaches_the_function_with_its_context_and_its_answer_comes_back() {
    let calls = Arc::new(StdMutex::new(Vec::<Call>::new()));
    let seen = Arc::clone(&calls);
    let spawn = fake::workers(move |call| {
        seen.lock().unwrap().push(call.clone());
        async move { Answer::Succeed(json!({ "echo": call.event })) }
    });
    let pool = pool(fake::function("posts"), spawn).await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let payload = json!({ "n": 1 }).to_string();
    let answer = pool.invoke(Invocation::synchronous(payload.into(), trace, false)).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "echo": { "n": 1 } }));

    let calls = calls.lock().unwrap();
    assert_eq!(calls[0].trace_id, trace);
    assert_eq!(calls[0].function_arn, "arn:aws:lambda:us-east-1:000000000000:function:posts");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = calls[0].deadline_ms - now.as_millis();
    assert!((50_000..=60_000).contains(&left), "{left} ms left of a minute");
}

#[tokio::test]
async fn an_error_of_the_function_is_handed_on_and_its_worker_stays() {
    let workers = Arc::new(StdMutex::new(HashSet::new()));
    let seen = Arc::clone(&workers);
    let spawn = fake::workers(move |call| {
        seen.lock().unwrap().insert(call.worker);
        async { Answer::Fail(fake::refusal()) }
    });
    let pool = pool(fake::function("posts"), spawn).await;
    for _ in 0..3 {
        let error = invoke(&pool, json!({})).await.unwrap_err();
        assert!(matches!(error, InvokeError::FunctionError { .. }));
        assert_eq!(error_type(&error), "Refused");
    }
    assert_eq!(workers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_takes_too_long_ends_its_worker_and_the_next_is_served() {
    let spawn =
        fake::workers(|call| async move { if call.event["hang"] == true { Answer::Hang } else { Answer::Succeed(call.worker.into()) } });
    let function = Function { timeout: Duration::from_millis(300), ..fake::function("posts") };
    let pool = pool(function, spawn).await;
    let first = invoke(&pool, json!({})).await.unwrap();
    let error = invoke(&pool, json!({ "hang": true })).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { .. }));
    assert_eq!(error_type(&error), "Sandbox.Timedout");
    assert_ne!(invoke(&pool, json!({})).await.unwrap(), first, "the hanging worker is gone");
}

#[tokio::test]
async fn a_crash_fails_the_event_in_hand_and_the_next_is_served_by_a_fresh_worker() {
    let spawn =
        fake::workers(|call| async move { if call.event["exit"] == true { Answer::Exit } else { Answer::Succeed(call.worker.into()) } });
    let pool = pool(fake::function("posts"), spawn).await;
    let first = invoke(&pool, json!({})).await.unwrap();
    let error = invoke(&pool, json!({ "exit": true })).await.unwrap_err();
    assert!(matches!(error, InvokeError::Crashed { .. }));
    assert_eq!(error_type(&error), "Runtime.ExitError");
    assert_ne!(invoke(&pool, json!({})).await.unwrap(), first);
}

#[tokio::test]
async fn an_event_that_a_dying_worker_has_not_taken_goes_to_another() {
    let (started, hung_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (end, _) = watch::channel(false);
    let lively = fake::workers(|call| async move { Answer::Succeed(call.worker.into()) });
    let spawn: Spawn = {
        let (started, hung_up, end) = (Arc::clone(&started), Arc::clone(&hung_up), end.clone());
        Arc::new(move |function, session| {
            if started.fetch_add(1, Ordering::SeqCst) > 0 {
                return lively(function, session);
            }
            let (runtime, hung_up, mut end) = (format!("{}/2018-06-01/runtime", session.address), Arc::clone(&hung_up), end.subscribe());
            Ok(fake::process(|_| async move {
                fake::serve_once(&runtime).await;
                fake::ask_and_hang_up(&format!("{runtime}/invocation/next")).await;
                hung_up.fetch_add(1, Ordering::SeqCst);
                stopped(&mut end).await;
                fake::ended("exit status: 1")
            }))
        })
    };
    let pool = pool(fake::function("posts"), spawn).await;
    assert_eq!(invoke(&pool, json!({})).await.unwrap(), "once");
    until("the worker waits no more, unnoticed", || hung_up.load(Ordering::SeqCst) == 1 && pool.lock().free.len() == 1).await;
    let event = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke(&pool, json!({})).await })
    };
    until("the event is given to it", || pool.lock().free.is_empty()).await;
    end.send_replace(true);
    assert_ne!(event.await.unwrap().unwrap(), "once");
    assert_eq!(started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_event_that_a_dying_worker_seems_to_have_taken_gets_one_more_worker_if_it_may_be_repeated() {
    for (deaths, repeatable, served, workers) in [(1, true, true, 2), (2, true, false, 2), (1, false, false, 1)] {
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        let lively = fake::workers(|_| async { Answer::Succeed(json!("served")) });
        let spawn: Spawn = Arc::new(move |function, session| {
            if count.fetch_add(1, Ordering::SeqCst) >= deaths {
                return lively(function, session);
            }
            let next = format!("{}/2018-06-01/runtime/invocation/next", session.address);
            Ok(fake::process(|_| async move {
                reqwest::get(next).await.unwrap();
                fake::killed_from_outside()
            }))
        });
        let pool = pool(fake::function("posts"), spawn).await;
        let answer = invoke_as(&pool, json!({}), repeatable).await;
        assert_eq!(answer.is_ok(), served);
        assert_eq!(started.load(Ordering::SeqCst), workers);
    }
}

#[tokio::test]
async fn nothing_is_handed_to_a_worker_that_is_dead_though_nobody_has_noticed() {
    let (kill, _) = watch::channel(false);
    let started = Arc::new(AtomicUsize::new(0));
    let lively = fake::workers(|call| async move { Answer::Succeed(call.worker.into()) });
    let spawn: Spawn = {
        let (kill, started) = (kill.clone(), Arc::clone(&started));
        Arc::new(move |function, session| {
            let mut process = lively(function, session)?;
            if started.fetch_add(1, Ordering::SeqCst) > 0 {
                return Ok(process);
            }
            let dead = kill.subscribe();
            // Its connection is open still, and the word of its end is late.
            Ok(Process::follow(
                Output::default(),
                move || !*dead.borrow(),
                |killed| async move {
                    let _ = killed.await;
                    process.kill().await;
                    fake::killed_from_outside()
                },
            ))
        })
    };
    let pool = pool(fake::function("posts"), spawn).await;
    let first = invoke_as(&pool, json!({}), false).await.unwrap();
    until("the worker is free", || pool.lock().free.len() == 1).await;
    kill.send_replace(true);
    assert_ne!(invoke_as(&pool, json!({}), false).await.unwrap(), first);
}

#[tokio::test]
async fn a_worker_killed_while_it_is_free_costs_no_event() {
    let (kill, _) = tokio::sync::broadcast::channel::<()>(1);
    let killer = kill.clone();
    let lively = fake::workers(|call| async move { Answer::Succeed(call.worker.into()) });
    let spawn: Spawn = Arc::new(move |function, session| {
        let mut process = lively(function, session)?;
        let mut killed = kill.subscribe();
        Ok(fake::process(|_| async move {
            let _ = killed.recv().await;
            process.kill().await;
            fake::killed_from_outside()
        }))
    });
    let pool = pool(fake::function("posts"), spawn).await;
    let mut before = invoke(&pool, json!({})).await.unwrap();
    for _ in 0..5 {
        until("the worker is free", || pool.lock().free.len() == 1).await;
        killer.send(()).unwrap();
        until("the worker is gone", || pool.lock().alive == 0).await;
        let after = invoke(&pool, json!({})).await.unwrap();
        assert_ne!(after, before);
        before = after;
    }
}

#[tokio::test]
async fn workers_that_have_nothing_to_do_are_ended_those_used_least_first() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let spawn = fake::workers(move |call| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::Succeed(call.worker.into())
        }
    });
    let pool = pool(fake::function("posts"), spawn).await;
    let events: Vec<_> = (0..3)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { invoke(&pool, json!(n)).await })
        })
        .collect();
    until("all have their event", || pool.lock().alive == 3 && pool.lock().free.is_empty()).await;
    gate.add_permits(3);
    for event in events {
        event.await.unwrap().unwrap();
    }
    until("all are free", || pool.lock().free.len() == 3).await;

    tokio::time::pause();
    tokio::time::advance(IDLE_LIMIT.checked_sub(Duration::from_secs(1)).unwrap()).await;
    tokio::time::resume();
    gate.add_permits(1);
    let busy = invoke(&pool, json!({})).await.unwrap();
    until("it is free again", || pool.lock().free.len() == 3).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    until("the others are gone", || pool.lock().alive == 1).await;
    assert_eq!(pool.lock().free.len(), 1);
    gate.add_permits(1);
    assert_eq!(invoke(&pool, json!({})).await.unwrap(), busy);

    until("it is free again", || pool.lock().free.len() == 1).await;
    tokio::time::pause();
    tokio::time::advance(IDLE_LIMIT + Duration::from_secs(1)).await;
    tokio::time::resume();
    until("it is gone too", || pool.lock().alive == 0).await;
    gate.add_permits(1);
    assert_ne!(invoke(&pool, json!({})).await.unwrap(), busy, "the next event gets a fresh one");
}

/// Workers of which the first so many are killed before they are up, and how many were started.
fn killed_at_start(kills: usize) -> (Spawn, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let lively = fake::workers(|_| async { Answer::Succeed(json!("served")) });
    let spawn: Spawn = Arc::new(move |function, session| {
        if count.fetch_add(1, Ordering::SeqCst) >= kills {
            return lively(function, session);
        }
        Ok(fake::process(|_| async { fake::killed_from_outside() }))
    });
    (spawn, started)
}

#[tokio::test]
async fn a_worker_killed_while_it_starts_is_replaced_at_once() {
    for repeatable in [true, false] {
        let (spawn, started) = killed_at_start(3);
        let pool = pool(fake::function("posts"), spawn).await;
        assert_eq!(invoke_as(&pool, json!({}), repeatable).await, Ok(json!("served")));
        assert_eq!(started.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn a_worker_that_is_always_killed_while_it_starts_is_tried_again_later() {
    let (spawn, started) = killed_at_start(usize::MAX);
    let pool = pool(Function { concurrency: Some(2), ..fake::function("posts") }, spawn).await;
    for _ in 0..50 {
        let error = invoke(&pool, json!({})).await.unwrap_err();
        assert!(String::from_utf8_lossy(&error.payload()).contains("SIGKILL"), "{error:?}");
    }
    let started = started.load(Ordering::SeqCst);
    assert!(started < 15, "{started} processes");
}

#[tokio::test]
async fn who_asks_for_the_log_of_an_invocation_gets_what_was_printed_in_it_alone() {
    let spawn = fake::workers(|call| async move {
        let line = format!("event {}", call.event);
        if call.event == 3 { Answer::PrintAndHang(line) } else { Answer::Print(line, json!(null)) }
    });
    let function = Function { timeout: Duration::from_millis(500), ..fake::function("posts") };
    let pool = pool(function, spawn).await;
    invoke(&pool, json!(1)).await.unwrap();
    for (event, succeeds) in [(2, true), (3, false)] {
        let tail = Tail::default();
        let invocation = Invocation { tail: Some(tail.clone()), ..Invocation::synchronous(json!(event).to_string().into(), "", false) };
        let id = invocation.request_id.clone();
        assert_eq!(pool.invoke(invocation).await.is_ok(), succeeds);
        let log = String::from_utf8_lossy(tail.bytes()).into_owned();
        let begin = format!("START RequestId: {id} Version: $LATEST\nevent {event}\nEND RequestId: {id}\nREPORT RequestId: {id}\t");
        assert!(log.starts_with(&begin), "{log}");
    }
}

#[tokio::test]
async fn who_asks_for_the_log_of_a_worker_that_prints_without_end_gets_an_answer_all_the_same() {
    let spawn = fake::workers(|call| async move { if call.event == "hang" { Answer::Hang } else { Answer::Succeed(json!(null)) } });
    let function = Function { timeout: Duration::from_millis(500), ..fake::function("posts") };
    let pool = pool(function, fake::flooding(spawn)).await;
    for (event, succeeds) in [("go", true), ("hang", false)] {
        let tail = Tail::default();
        let invocation = Invocation { tail: Some(tail.clone()), ..Invocation::synchronous(json!(event).to_string().into(), "", false) };
        let answer = timeout(Duration::from_secs(20), pool.invoke(invocation)).await.expect("an answer in time");
        assert_eq!(answer.is_ok(), succeeds);
        assert!(tail.bytes().starts_with(b"START"));
    }
    pool.stop().await;
}
