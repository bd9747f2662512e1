//! The contract suite: what `docs/API.md` promises, tried over HTTP.
//!
//! It knows a base URL and nothing else. Without `TINTYPE_URL` it starts a host of its own on free ports; with it, it runs against
//! whatever listens there, as `tests/targets/` does. `TINTYPE_AWS_URL` then names the emulator's AWS endpoints, and
//! `TINTYPE_TOKEN_SECRET` the secret of the access tokens, for the few tests that hasten what a host does in its own time or make what
//! only a host can. All tests run side by side against one host, each with people of its own.

#[allow(dead_code, reason = "the suite of faults uses the rest")]
mod harness;

mod accounts;
mod cors;
mod errors;
mod feed;
mod follows;
mod leaks;
mod openapi;
mod pages;
mod photos;
mod posts;
mod readme;
mod refusals;
mod sessions;
mod tokens;
