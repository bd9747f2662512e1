use std::{
    collections::HashSet,
    io,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::fake::{self, Answer, Call, until};

async fn pool(function: Function, spawn: Spawn) -> Arc<Pool> {
    Pool::new(function, Arc::new(RuntimeApi::start().await.unwrap()), spawn)
}

async fn invoke(pool: &Arc<Pool>, event: Value) -> Result<Value, InvokeError> {
    invoke_as(pool, event, true).await
}

async fn invoke_as(pool: &Arc<Pool>, event: Value, repeatable: bool) -> Result<Value, InvokeError> {
    let answer = pool.invoke(Invocation::synchronous(event.to_string().into(), "", repeatable)).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn error_type(error: &InvokeError) -> String {
    let payload: Value = serde_json::from_slice(&error.payload()).unwrap();
    assert!(payload["errorMessage"].is_string());
    payload["errorType"].as_str().unwrap().to_owned()
}

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
            let process = lively(function, session)?;
            if started.fetch_add(1, Ordering::SeqCst) > 0 {
                return Ok(process);
            }
            let mut dead = kill.subscribe();
            Ok(Process::follow(|killed, mut questions| async move {
                loop {
                    tokio::select! {
                        () = stopped(&mut dead) => break,
                        Some(running) = questions.recv() => drop(running.send(())),
                    }
                }
                drop(questions);
                // Its connection is open still, and the word of its end is late.
                let _ = killed.await;
                process.kill().await;
                fake::killed_from_outside()
            }))
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
        let process = lively(function, session)?;
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
                tokio::spawn(async move { invoke(&pool, json!(n)).await })
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
async fn a_function_without_concurrency_is_off() {
    let spawn = fake::workers(|_| async { Answer::Succeed(json!(null)) });
    let pool = pool(Function { concurrency: Some(0), ..fake::function("posts") }, spawn).await;
    assert_eq!(invoke(&pool, json!({})).await, Err(InvokeError::Throttled));
    assert_eq!(pool.lock().alive, 0);
}

#[tokio::test]
async fn events_that_wait_are_limited_and_those_that_nobody_awaits_any_more_make_room() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, gate) = (Arc::clone(&calls), Arc::new(Semaphore::new(0)));
    let held = Arc::clone(&gate);
    let spawn = fake::workers(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::Succeed(json!(null))
        }
    });
    let pool = pool(Function { concurrency: Some(1), ..fake::function("posts") }, spawn).await;
    let start = || {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { invoke(&pool, json!({})).await })
    };
    let first = start();
    until("the worker has an event", || calls.load(Ordering::SeqCst) == 1).await;
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| start()).collect();
    until("the others wait", || pool.lock().waiting.len() == MOST_WAITING).await;
    assert_eq!(invoke(&pool, json!({})).await, Err(InvokeError::Throttled));

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
            tokio::spawn(async move { invoke(&pool, json!(n)).await })
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
