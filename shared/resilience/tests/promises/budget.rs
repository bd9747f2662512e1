//! The budget of retries: the SDK's token bucket, with our numbers, does what the documentation says.

use std::time::Duration;

use proptest::prelude::*;
use tintype_resilience::{Dependency, Guard, MOST_RETRIES};
use tokio::runtime;

use crate::{
    reference::Budget,
    service::{Attempt, Service, call},
};

const ATTEMPTS: usize = 3;

fn guard() -> Guard {
    Guard::new(Dependency::new("table"), Duration::from_secs(2))
}

fn attempt() -> impl Strategy<Value = Attempt> {
    use Attempt::{Answered, Condition, Disconnected, Internal, Throttled};
    prop_oneof![4 => Just(Answered), 1 => Just(Condition), 2 => Just(Throttled), 2 => Just(Internal), 1 => Just(Disconnected)]
}

/// How many attempts each call makes of what the service does, by the documentation.
fn expected(script: &[Attempt]) -> Vec<usize> {
    let (mut budget, mut calls) = (Budget::full(), Vec::new());
    let mut script = script.iter();
    while script.len() > 0 {
        let mut made = 0;
        for attempt in script.by_ref() {
            made += 1;
            if *attempt == Attempt::Answered {
                budget.answered();
            }
            if !attempt.is_tried_again() || made == ATTEMPTS || !budget.take() {
                break;
            }
        }
        calls.push(made);
    }
    calls
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn retries_are_paid_by_answers(script in proptest::collection::vec(attempt(), 1..60)) {
        let clock = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        clock.block_on(async {
            // The last call of the script may have more attempts than there are in it: one that is answered ends it.
            let script: Vec<_> = script.into_iter().chain([Attempt::Answered]).collect();
            let service = Service::new(script.clone());
            let client = service.client(|config| config.retry_partition(guard().retries()));
            let (mut retries, mut answers) = (0, 0);
            for expected in expected(&script) {
                let before = service.attempts();
                answers += usize::from(call(&client).await.is_ok());
                prop_assert_eq!(service.attempts() - before, expected);
                retries += expected - 1;
                prop_assert!(2 * retries <= 4 + answers + 1, "{} retries after {} answers", retries, answers);
            }
            Ok(())
        })?;
    }
}

/// Half an hour without an answer: the first call is tried thrice, and all others once.
#[tokio::test(start_paused = true)]
async fn while_all_fails_nothing_is_tried_again_beyond_what_was_saved_up() {
    for failure in [Attempt::Internal, Attempt::Throttled, Attempt::Disconnected] {
        let service = Service::new([failure]);
        let client = service.client(|config| config.retry_partition(guard().retries()));
        for _ in 0..100 {
            call(&client).await.unwrap_err();
        }
        assert_eq!(service.attempts(), 102, "{failure:?}");
    }
}

/// One that starts while all fails knows nothing better than to ask once.
#[tokio::test(start_paused = true)]
async fn an_environment_that_has_never_had_an_answer_tries_nothing_again() {
    for first in [Attempt::Answered, Attempt::Condition] {
        let service = Service::new([Attempt::Internal]);
        let guard = guard();
        let client = service.client(|config| config.retry_partition(guard.retries()).interceptor(guard));
        for _ in 0..3 {
            call(&client).await.unwrap_err();
        }
        assert_eq!(service.attempts(), 3);
        service.becomes(first);
        let _ = call(&client).await;
        service.becomes(Attempt::Internal);
        call(&client).await.unwrap_err();
        assert_eq!(service.attempts(), 4 + 1 + MOST_RETRIES, "after {first:?}");
    }
}
