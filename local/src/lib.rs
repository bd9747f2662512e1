//! The whole of Tintype on this machine: `template.yaml`, emulated.
//!
//! [`host`] starts the parts in their order and stops them; what they are made of lies in the crates beside this one
//! (`template`, `cloud`, `lambda`, `gateway`). The binary is multi-call: [`function`] is what a worker process runs.

pub mod cli;
pub mod demo;
mod dynamic_references;
pub mod environment;
pub mod function;
pub mod host;
pub mod keys;
pub mod openapi;

#[cfg(test)]
mod watch_tests;
