//! The DynamoDB tables of Tintype: who writes what under which key, and the operations that several functions share.
//!
//! One service writes a table; what others may read of it is said in the table's own module.

pub(crate) mod among;
pub mod batches;
pub mod cards;
pub mod comments;
pub mod config;
pub mod counters;
pub mod edge;
pub mod feeds;
pub mod graph;
mod guarded;
pub mod jobs;
pub mod memory;
pub mod notifications;
pub mod outbox;
pub mod popular;
pub mod posts;
pub mod reception;
pub mod table;
pub mod users;
pub mod visibility;
pub mod writes;

pub use table::{Error, Key, Page, Table};
