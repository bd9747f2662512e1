//! Whom a request counts against, how many may come, and who is sent away for a while.
//!
//! What is decided is apart from what is asked of the table: [`address`], [`policy`], `gcra`, `windows` and `bans` do no input or output.
//! The guard fails open: where the Edge table is down or slow, an environment goes on by what it has seen itself, with the same numbers.

mod address;
mod bans;
mod gcra;
mod guard;
mod memory;
mod policy;
mod store;
mod windows;

pub use address::Address;
pub use guard::{Allowance, Exceeded, Guard};
pub use policy::{Class, Policies, Policy};
