//! What stands before every outgoing call of every function: a circuit breaker, a bulkhead, a deadline, and a budget of retries.
//!
//! A [`Dependency`] is one thing that may fail by itself: a table, a queue, a bucket, a function. Calls of an AWS SDK go through its
//! [`Guard`], all others through [`Dependency::call`]. An environment serves one request at a time, so that it sees few calls: the
//! numbers (see [`breaker`]) are for tens of calls, not for thousands.

pub mod breaker;
mod dependency;
mod sdk;

pub use dependency::{Dependency, Refusal, Refused, Ticket};
pub use sdk::{Guard, MOST_RETRIES, RETRIES_EARNED};
