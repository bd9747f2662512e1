//! What the crate promises of retries and of the SDK's calls: with a service that answers what a test says, and a clock that a test drives.

mod budget;
mod guard;
mod reference;
mod service;
mod storm;
