//! What stands before a table's calls: its breaker, and the budget of its retries.

use aws_sdk_dynamodb::{
    Client,
    config::{
        SharedInterceptor,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    operation::transact_write_items::TransactWriteItemsError,
};
use aws_smithy_runtime_api::client::{orchestrator::OrchestratorError, retries::classifiers::SharedRetryClassifier};
use tintype_resilience::{Dependency, Guard};

use crate::{
    config::ATTEMPT_TIMEOUT,
    table::{CONFLICT, codes},
};

/// A client like `client` for the table that logs call `dependency`. What stands before another table stays there.
pub(crate) fn guarded(client: &Client, dependency: &str) -> Client {
    let guard = Guard::new(Dependency::new(dependency), ATTEMPT_TIMEOUT);
    let mut config = client.config().to_builder().retry_partition(guard.retries());
    config.set_interceptors([SharedInterceptor::new(guard)]);
    config.set_retry_classifiers([SharedRetryClassifier::new(ThrottledTransaction)]);
    Client::from_conf(config.build())
}

/// The SDK sees in a transaction that was cancelled an answer like others; if one of its items was throttled, the table has had too much.
#[derive(Debug)]
struct ThrottledTransaction;

impl ClassifyRetry for ThrottledTransaction {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(OrchestratorError::as_operation_error);
        match error.and_then(|error| error.downcast_ref::<TransactWriteItemsError>()) {
            Some(error) if is_throttled(error) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ThrottledTransaction"
    }
}

const THROTTLED: [&str; 2] = ["ThrottlingError", "ProvisionedThroughputExceeded"];

/// Whether it was cancelled because some of its items were throttled, if by rivals too, and by nothing that lasts.
pub(crate) fn is_throttled(error: &TransactWriteItemsError) -> bool {
    codes(error).any(|code| THROTTLED.contains(&code)) && codes(error).all(|code| code == CONFLICT || THROTTLED.contains(&code))
}
