//! Faults: hosts and workers that are killed, answers that fail on demand, starts that can't succeed; and the demo, which wants a host alone.
//!
//! Each test has hosts of its own, on free ports with a folder of their own. Processes are watched through `/proc`: Linux only.
#![cfg(target_os = "linux")]

#[allow(dead_code, unused_imports, reason = "the contract suite uses the rest")]
#[path = "../contract/harness/mod.rs"]
mod harness;

mod chaos;
mod comments;
mod crashes;
mod demo;
mod graph;
mod home;
mod leaving;
mod likes;
mod memory;
mod notifications;
mod operator;
mod private_media;
mod process;
mod races;
mod resilience;
mod rotation;
mod starts;
mod workers;
