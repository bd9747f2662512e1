//! Configuration from environment variables, read once at the start: what is missing stops the function in its init.

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
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

/// An attempt of a call takes no longer than this, if nothing else is said.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Region, credentials and endpoint from the environment; three attempts with backoff, each of at most two seconds.
///
/// All clients that are made of it share one pool of connections: each table, queue and bucket has a client of its own
/// ([`tintype_resilience::Guard`]), and would else open its own connections.
pub async fn aws() -> SdkConfig {
    let connections = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(connections)
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .load()
        .await
}
