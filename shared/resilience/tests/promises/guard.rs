//! What stands before the SDK's calls.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use tintype_resilience::{
    Dependency, Guard,
    breaker::{LEAST, OPEN, State},
};

use crate::service::{Attempt, Service, call};

const PATIENCE: Duration = Duration::from_secs(2);

fn guarded(service: &Service, dependency: &Dependency) -> Client {
    let guard = Guard::new(dependency.clone(), PATIENCE);
    service.client(|config| config.retry_partition(guard.retries()).interceptor(guard))
}

/// Behind an open breaker.
async fn opened() -> (Service, Dependency, Client) {
    let (service, dependency) = (Service::new([Attempt::Internal]), Dependency::new("posts_table"));
    let client = guarded(&service, &dependency);
    for _ in 0..LEAST {
        call(&client).await.unwrap_err();
    }
    assert_eq!(dependency.state(), State::Open);
    (service, dependency, client)
}

#[tokio::test(start_paused = true)]
async fn what_the_service_fails_at_opens_the_breaker_and_then_nothing_is_asked_of_it() {
    let (service, _, client) = opened().await;
    let before = service.attempts();
    let refused = call(&client).await.unwrap_err();
    assert!(refused.contains("posts_table has failed too often"), "{refused}");
    assert_eq!(service.attempts(), before);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_counts_and_a_condition_does_not() {
    for (attempt, state) in [
        (Attempt::Throttled, State::Open),
        (Attempt::Disconnected, State::Open),
        (Attempt::Internal, State::Open),
        (Attempt::Condition, State::Closed),
        (Attempt::Answered, State::Closed),
    ] {
        let (service, dependency) = (Service::new([attempt]), Dependency::new("table"));
        let client = guarded(&service, &dependency);
        for _ in 0..LEAST {
            let _ = call(&client).await;
        }
        assert_eq!(dependency.state(), state, "{attempt:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_closes_it_when_the_service_is_back() {
    let (service, dependency, client) = opened().await;
    service.becomes(Attempt::Answered);
    tokio::time::sleep(2 * OPEN).await;
    call(&client).await.unwrap();
    assert_eq!(dependency.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_gives_up_makes_room_for_the_next() {
    let (service, dependency, client) = opened().await;
    service.becomes(Attempt::Hangs);
    tokio::time::sleep(2 * OPEN).await;
    tokio::time::timeout(PATIENCE / 2, call(&client)).await.unwrap_err();
    assert_eq!(dependency.state(), State::HalfOpen);
    // Whoever waited for as long as a call may take knows that it has failed.
    tokio::time::timeout(PATIENCE, call(&client)).await.unwrap_err();
    assert_eq!(dependency.state(), State::Open);
}

/// Where it is nobody knows: it was not asked.
#[tokio::test(start_paused = true)]
async fn what_never_got_as_far_as_the_service_says_nothing_about_it() {
    let (service, dependency) = (Service::new([Attempt::Answered]), Dependency::new("table"));
    let guard = Guard::new(dependency.clone(), PATIENCE);
    let client = service.client(|config| config.region(None).retry_partition(guard.retries()).interceptor(guard));
    for _ in 0..2 * LEAST {
        call(&client).await.unwrap_err();
    }
    assert_eq!(service.attempts(), 0);
    assert_eq!(dependency.state(), State::Closed);
}
