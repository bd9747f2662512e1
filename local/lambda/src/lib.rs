//! Lambda on this machine.
//!
//! Each function is a pool of worker processes that speak the real Lambda Runtime API to this
//! process ([`Lambda`]). They are invoked at once (the gateway, `Invoke`), later (S3, schedules:
//! stored, at least once) or by what they poll ([`triggers`]: queues and streams).

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod api;
mod asynchronous;
mod chaos;
mod destination;
mod environment;
mod failures;
#[cfg(test)]
mod fake;
mod invocation;
mod lambda;
mod life;
mod output;
mod pool;
mod runtime_api;
mod stop;
pub mod triggers;
mod worker;

use std::io;

use tintype_cloud::{sqs, state};

pub use environment::WorkerEnvironment;
pub use invocation::InvokeError;
pub use lambda::Lambda;
pub use triggers::PatternError;
pub use worker::end_with_host;

/// Why Lambda, or a trigger, cannot start. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port for the Runtime API.
    #[error("the Lambda Runtime API cannot listen on 127.0.0.1: {0}")]
    Listen(#[source] io::Error),
    /// What is stored cannot be read.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A queue that triggers a function cannot be used.
    #[error("a queue: {0}")]
    Queue(#[from] sqs::Error),
    /// A filter that this machine does not know how to apply.
    #[error("the event source {id} of {function} has a filter that is not supported: {source}")]
    Filter {
        /// The event source mapping.
        id: String,
        /// The function that it invokes.
        function: String,
        /// What is wrong with the pattern.
        source: PatternError,
    },
    /// The stream of a table that triggers a function cannot be read.
    #[error("the event source {id}: {why}")]
    Stream {
        /// The event source mapping.
        id: String,
        /// What the database says.
        why: String,
    },
    /// An event source, or a destination, that the template does not declare.
    #[error("{function} names {arn}, which the template does not declare")]
    Undeclared {
        /// The function that names it.
        function: String,
        /// What it names.
        arn: String,
    },
}
