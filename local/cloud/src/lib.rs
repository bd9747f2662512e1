//! The AWS endpoints of this machine (DynamoDB, S3, SQS, Secrets Manager) and the state they keep.
//!
//! One folder holds everything ([`state::StateDir`]); each service opens its part of it from what the
//! template declares, and [`endpoint::serve`] answers for all of them on one port, like AWS behind
//! `AWS_ENDPOINT_URL`. Whatever was answered survives `kill -9`.

use std::io::{self, Write as _};

mod chaos;
mod connection;
pub mod dynamodb;
pub mod endpoint;
mod log;
pub mod s3;
pub mod secrets;
pub mod sqs;
pub mod state;

pub use log::Log;

/// The account and the region that everything on this machine is said to belong to.
pub const ACCOUNT_ID: &str = "000000000000";
/// See [`ACCOUNT_ID`].
pub const REGION: &str = "us-east-1";

/// Milliseconds since 1970.
pub fn unix_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// One line about a part of the system on the host's standard error.
pub fn say(part: &str, line: &str) {
    // Nobody may listen any more, and that is no reason to panic.
    let _ = writeln!(io::stderr(), "[{part}] {line}");
}

/// The access key that requests are signed with; S3 verifies signatures with it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_key: String,
}
