//! Configuration from environment variables, read once at the start: what is missing stops the function in its init.

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use std::{env, time::Duration};
use thiserror::Error;

/// A variable that the template should have set.
#[derive(Debug, Error)]
#[error("environment variable {0} is not set")]
pub struct Missing(String);

/// The value of a variable; an empty one counts as missing.
pub fn variable(name: &str) -> Result<String, Missing> {
    env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| Missing(name.to_owned()))
}

/// Region, credentials and endpoint from the environment; three attempts with backoff, each of at most two seconds.
pub async fn aws() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).operation_attempt_timeout(Duration::from_secs(2)).build(),
        )
        .load()
        .await
}
