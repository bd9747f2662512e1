//! The contract suite: what `docs/API.md` promises, tried over HTTP.
//!
//! It knows a base URL and nothing else. Without `TINTYPE_URL` it starts a host of its own on free ports; with it, it runs against
//! whatever listens there, as `tests/targets/` does. `TINTYPE_AWS_URL` then names the emulator's AWS endpoints, and
//! `TINTYPE_TOKEN_SECRET` and `TINTYPE_ORIGIN_SECRET` its secrets, for the few tests that hasten what a host does in its own time or make what
//! only a host can. All tests run side by side against one host, each with people of its own.

#[allow(dead_code, reason = "the suite of faults uses the rest")]
mod harness;

mod accounts;
mod avatars;
mod blocks;
mod bola;
mod caching;
mod comments;
mod cors;
mod credentials;
mod deletion;
mod edits;
mod errors;
mod export;
mod feed;
mod follows;
mod graph;
mod home;
mod idempotency;
mod leaks;
mod likes;
mod limits;
mod log_ins;
mod memory;
mod mutes;
mod notifications;
mod openapi;
mod pages;
mod photos;
mod posts;
mod privacy;
mod private_media;
mod readme;
mod refusals;
mod rotation;
mod saves;
mod second_factor;
mod sessions;
mod suggested;
mod tokens;
mod validation;
