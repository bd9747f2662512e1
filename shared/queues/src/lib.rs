//! Queues of events: what every function that consumes one does, and sending into one.
//!
//! Messages come at least once and in any order. One that can never be processed is buried in the dead-letter queue with its reason
//! and acknowledged, so that it blocks no other; one that fails for now is named, and comes again.

mod client;
mod consumer;
mod dead_letters;
mod sender;

pub use client::client;
pub use consumer::{Failure, consume, serve};
pub use dead_letters::DeadLetters;
pub use sender::{SendError, Sender};
