//! The endpoint as AWS' own SDK meets it. [`data_plane`] can be run against another endpoint as well; all else is about ours.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod data_plane;
mod dynamodb;
mod endpoint;
mod host;
mod s3;
mod s3_uploads;
mod secrets;
mod sqs;
