//! What stands before the calls of an AWS SDK's client.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket, classifiers::run_classifiers_on_ctx};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext},
        },
        retries::{RequestAttempts, classifiers::RetryAction},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::{ConfigBag, Storable, StoreReplace},
    retry::RetryConfig,
};
use tintype_telemetry as telemetry;

use crate::{Dependency, Ticket, breaker::Verdict};

/// How many retries an environment may save up for a dependency: those of one call.
pub const MOST_RETRIES: usize = 2;
/// The first answer of all earns [`MOST_RETRIES`], and every second one that follows earns one. While there are answers, calls are tried three
/// times; when there are none, no more than [`MOST_RETRIES`] are made in vain until one comes, and none where there has never been one.
pub const RETRIES_EARNED: f32 = 0.5;

/// Stands before all calls of one client: an interceptor, and the budget that its retries are paid from.
///
/// The SDK's standard strategy does the retries, each after a random while of at most 50 ms, 100 ms, ... (full jitter). The breaker counts calls as their
/// callers see them, after retries; what the strategy's classifiers would try again is a failure. A condition that did not hold, or an object
/// that is not there, is an answer.
#[derive(Debug)]
pub struct Guard {
    dependency: Dependency,
    patience: Duration,
    /// There has been an answer. The SDK's bucket begins full: an environment that starts while all fails would have its retries in vain.
    has_answered: AtomicBool,
}

impl Guard {
    /// Before the calls of `dependency`. One that is given up by its caller counts as failed if it took `patience` by then: where callers
    /// wait for less than an attempt may take, that must be less too, or nobody notices a dependency that hangs.
    pub fn new(dependency: Dependency, patience: Duration) -> Self {
        Self { dependency, patience, has_answered: AtomicBool::new(false) }
    }

    /// The budget of the client's retries. To be made once a client.
    pub fn retries(&self) -> RetryPartition {
        let budget = TokenBucket::builder()
            .capacity(MOST_RETRIES)
            .retry_cost(1)
            .throttling_retry_cost(1)
            .timeout_retry_cost(1)
            .success_reward(RETRIES_EARNED)
            .build();
        RetryPartition::custom(self.dependency.name().to_owned()).token_bucket(budget).build()
    }
}

/// Where a call's ticket is kept while it is under way: it goes with the call's state when the caller gives up.
#[derive(Debug)]
struct Held(Mutex<Option<Ticket>>);

impl Storable for Held {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_execution(&self, _: &BeforeSerializationInterceptorContextRef<'_>, config: &mut ConfigBag) -> Result<(), BoxError> {
        let ticket = self.dependency.enter(self.patience)?;
        let state = config.interceptor_state();
        state.store_put(Held(Mutex::new(Some(ticket))));
        if !self.has_answered.load(Ordering::Relaxed) {
            state.store_put(RetryConfig::standard().with_max_attempts(1));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // It has none if it was refused.
        let held = config.load::<Held>().and_then(|held| held.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(ticket) = held {
            let attempts = config.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts);
            if attempts > 1 {
                telemetry::count("dependency.retries", attempts as usize - 1);
            }
            let verdict = verdict(context.inner(), components);
            if verdict == Verdict::Answered {
                self.has_answered.store(true, Ordering::Relaxed);
            }
            ticket.settle(verdict);
        }
        Ok(())
    }
}

fn verdict(context: &InterceptorContext, components: &RuntimeComponents) -> Verdict {
    match run_classifiers_on_ctx(components.retry_classifiers(), context) {
        RetryAction::RetryIndicated(_) => Verdict::Failed,
        _ if context.response().is_some_and(|response| response.status().is_server_error()) => Verdict::Failed,
        _ if context.response().is_some() => Verdict::Answered,
        // It never got as far as the dependency: there are no credentials, or the request makes no sense.
        _ => Verdict::Unknown,
    }
}
