//! The endpoint as AWS' own SDK meets it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dynamodb;
mod endpoint;
mod host;
mod s3;
mod s3_uploads;
mod secrets;
mod sqs;
