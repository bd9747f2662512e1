//! The AWS endpoints of this machine (DynamoDB, S3, SQS, Secrets Manager) and the state they keep.
//!
//! One folder holds everything ([`state::StateDir`]); each service opens its part of it from what the
//! template declares, and [`endpoint::serve`] answers for all of them on one port, like AWS behind
//! `AWS_ENDPOINT_URL`. Whatever was answered survives `kill -9`.

pub mod dynamodb;
pub mod endpoint;
pub mod s3;
pub mod secrets;
pub mod sqs;
pub mod state;

/// The access key that requests are signed with; S3 verifies signatures with it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_key: String,
}
