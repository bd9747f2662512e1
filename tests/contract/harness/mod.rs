//! What the suites need to talk to a host: the host itself, a client, people and photographs.

pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod inside;
pub(crate) mod notifications;
pub(crate) mod people;
pub(crate) mod photographs;
pub(crate) mod polling;
pub(crate) mod secrets;

pub(crate) use client::Caller;
pub(crate) use people::{Person, unique};
pub(crate) use photographs::Ticket;
pub(crate) use polling::{throughout, until};
