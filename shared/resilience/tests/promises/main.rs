//! What the crate promises of retries and of the SDK's calls: with a service that answers what a test says, and a clock that a test drives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod budget;
mod guard;
mod reference;
mod service;
mod storm;
