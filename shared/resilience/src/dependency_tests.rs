use std::future::pending;

use super::*;
use crate::breaker::{LEAST, OPEN};

const WITHIN: Duration = Duration::from_millis(300);

async fn failing(dependency: &Dependency) -> Result<(), Refusal<&'static str>> {
    dependency.call(WITHIN, async { Err("down") }, Result::is_err).await
}

async fn answering(dependency: &Dependency) -> Result<(), Refusal<&'static str>> {
    dependency.call(WITHIN, async { Ok(()) }, Result::is_err).await
}

async fn opened() -> Dependency {
    let dependency = Dependency::new("feed");
    for _ in 0..LEAST {
        assert!(matches!(failing(&dependency).await, Err(Refusal::Failed("down"))));
    }
    assert_eq!(dependency.state(), State::Open);
    dependency
}

/// Begins a call that would never end.
async fn hanging(dependency: &Dependency) {
    dependency.call(WITHIN, pending::<Result<(), ()>>(), Result::is_err).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_at_once_and_lets_through_again_within_seconds() {
    let dependency = opened().await;
    let refused = failing(&dependency).await.unwrap_err();
    assert!(matches!(&refused, Refusal::Refused(Refused::Open { .. })), "{refused}");
    assert!(refused.to_string().starts_with("feed has failed too often"), "{refused}");
    tokio::time::sleep(2 * OPEN).await;
    answering(&dependency).await.unwrap();
    assert_eq!(dependency.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_refuses_one_request_is_no_failure() {
    let dependency = Dependency::new("feed");
    for _ in 0..3 * LEAST {
        let answer: Result<(), _> = dependency.call(WITHIN, async { Err(404) }, |result| matches!(result, Err(500..))).await;
        assert!(matches!(answer, Err(Refusal::Failed(404))));
    }
    assert_eq!(dependency.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_deadline_and_counts_as_failed() {
    let dependency = Dependency::new("feed");
    for _ in 0..LEAST {
        let started = tokio::time::Instant::now();
        hanging(&dependency).await;
        assert_eq!(started.elapsed(), WITHIN);
    }
    assert_eq!(dependency.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn who_was_given_little_time_has_not_failed() {
    let dependency = Dependency::new("feed");
    for left in [Duration::ZERO, WITHIN / 4] {
        for _ in 0..2 * LEAST {
            let late = dependency.call_in_what_is_left(left, WITHIN / 2, pending::<Result<(), ()>>(), Result::is_err).await;
            assert!(matches!(late, Err(Refusal::Late { within, .. }) if within == left));
        }
        assert_eq!(dependency.state(), State::Closed, "{left:?}");
    }
    for _ in 0..LEAST {
        dependency.call_in_what_is_left(WITHIN / 2, WITHIN / 2, pending::<Result<(), ()>>(), Result::is_err).await.unwrap_err();
    }
    assert_eq!(dependency.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_a_call_too_soon_says_nothing_and_too_late_that_it_failed() {
    let dependency = Dependency::new("feed");
    for _ in 0..LEAST {
        let soon = tokio::time::timeout(WITHIN / 2, dependency.call(WITHIN, pending::<Result<(), ()>>(), Result::is_err));
        soon.await.unwrap_err();
    }
    assert_eq!(dependency.state(), State::Closed);
    for _ in 0..LEAST {
        let ticket = dependency.enter(WITHIN).unwrap();
        tokio::time::sleep(WITHIN).await;
        drop(ticket);
    }
    assert_eq!(dependency.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_makes_room_for_the_next() {
    let dependency = opened().await;
    tokio::time::sleep(2 * OPEN).await;
    drop(dependency.enter(WITHIN).unwrap());
    assert_eq!(dependency.state(), State::HalfOpen);
    answering(&dependency).await.unwrap();
    assert_eq!(dependency.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_calls_and_dropped_ones_give_theirs_back() {
    let dependency = Dependency::with_room("feed", 2);
    for _ in 0..3 {
        let both = [dependency.enter(WITHIN).unwrap(), dependency.enter(WITHIN).unwrap()];
        assert!(matches!(dependency.enter(WITHIN), Err(Refused::Full { .. })));
        drop(both);
    }
    answering(&dependency).await.unwrap();
    answering(&dependency).await.unwrap();
    answering(&dependency).await.unwrap();
    assert_eq!(dependency.state(), State::Closed, "no room is no failure");
}
