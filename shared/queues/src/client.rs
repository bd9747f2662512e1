//! The client of one queue.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, config::Builder};
use tintype_resilience::{Dependency, Guard};
use tintype_tables::config::ATTEMPT_TIMEOUT;

/// A client for the queue whose URL is in environment variable `name` (`USERS_QUEUE_URL`), behind a breaker of its own.
pub fn client(aws: &SdkConfig, name: &str) -> Client {
    let dependency = Dependency::new(name.trim_end_matches("_URL").to_lowercase());
    let guard = Guard::new(dependency, ATTEMPT_TIMEOUT);
    Client::from_conf(Builder::from(aws).retry_partition(guard.retries()).interceptor(guard).build())
}
