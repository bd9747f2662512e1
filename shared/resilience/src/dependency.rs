//! Something that may fail by itself, and what stands before the calls of it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use thiserror::Error;
use tintype_telemetry as telemetry;

use crate::breaker::{Breaker, Pass, State, Verdict};

/// How many calls of one dependency may be under way at once in a process, if nothing else is said. Workers run some tens; more means
/// that answers come slower than calls, and that memory fills with those who wait.
const ROOM: usize = 200;

/// A table, a queue, a bucket, a function: what is called, and fails by itself. Clones are handles of the same.
#[derive(Clone)]
pub struct Dependency(Arc<Inner>);

struct Inner {
    name: String,
    room: usize,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    breaker: Breaker,
    under_way: usize,
}

/// Why a call was not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It has failed too often just now.
    #[error("{dependency} has failed too often: nothing is asked of it for {} ms", retry_in.as_millis())]
    Open {
        /// What would have been called.
        dependency: String,
        /// When the next call may be made; zero while probes are under way.
        retry_in: Duration,
    },
    /// Too many calls of it are under way.
    #[error("too many calls of {dependency} are under way")]
    Full {
        /// What would have been called.
        dependency: String,
    },
}

/// Why a call has no result.
#[derive(Debug, Error)]
pub enum Refusal<E> {
    /// It was not made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It did not end in time.
    #[error("{dependency} did not answer within {} ms", within.as_millis())]
    Late {
        /// What was called.
        dependency: String,
        /// The time it had.
        within: Duration,
    },
    /// It failed, or answered that it won't.
    #[error("{0}")]
    Failed(E),
}

impl Dependency {
    /// A dependency by its name in logs: few words in `snake_case`, `users_table`.
    pub fn new(name: impl Into<String>) -> Self {
        Self::with_room(name, ROOM)
    }

    /// One of which at most `room` calls may be under way at once.
    pub fn with_room(name: impl Into<String>, room: usize) -> Self {
        Self(Arc::new(Inner { name: name.into(), room, calls: Mutex::default() }))
    }

    /// Its name in logs.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What its breaker lets through now.
    pub fn state(&self) -> State {
        self.lock().breaker.state(now())
    }

    /// Does `work`, unless the breaker is open or there is no room; gives up after `within`. `is_failure` says which results mean that the
    /// dependency fails (5xx, throttled), and not that it refuses this one request. Whoever drops the future gives the place back; a
    /// call that was under way for `within` by then counts as failed.
    pub async fn call<T, E>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&Result<T, E>) -> bool,
    ) -> Result<T, Refusal<E>> {
        self.call_in_what_is_left(within, within, work, is_failure).await
    }

    /// The same, where others have had their part of the time: lateness counts as a failure only if there were at least `fair` `left`.
    pub async fn call_in_what_is_left<T, E>(
        &self,
        left: Duration,
        fair: Duration,
        work: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&Result<T, E>) -> bool,
    ) -> Result<T, Refusal<E>> {
        let ticket = self.enter(fair)?;
        let Ok(result) = tokio::time::timeout(left, work).await else {
            ticket.settle(if left < fair { Verdict::Unknown } else { Verdict::Failed });
            return Err(Refusal::Late { dependency: self.0.name.clone(), within: left });
        };
        ticket.settle(if is_failure(&result) { Verdict::Failed } else { Verdict::Answered });
        result.map_err(Refusal::Failed)
    }

    /// A place for a call, which the caller settles. One that is dropped unsettled gives its place back, and counts as failed if it was held for
    /// `patience`.
    pub fn enter(&self, patience: Duration) -> Result<Ticket, Refused> {
        let now = now();
        let mut calls = self.lock();
        let admitted = if calls.under_way >= self.0.room {
            Err(Refused::Full { dependency: self.0.name.clone() })
        } else {
            calls.breaker.admit(now).map_err(|retry_in| Refused::Open { dependency: self.0.name.clone(), retry_in })
        };
        match admitted {
            Ok(pass) => {
                calls.under_way += 1;
                Ok(Ticket { dependency: self.clone(), pass, overdue: now + patience, settled: false })
            }
            Err(refused) => {
                let state = calls.breaker.state(now);
                drop(calls);
                match refused {
                    Refused::Open { .. } => {
                        telemetry::count("breaker.refused", 1);
                        self.tell(state);
                    }
                    // Which says nothing of the breaker.
                    Refused::Full { .. } => telemetry::count("bulkhead.refused", 1),
                }
                Err(refused)
            }
        }
    }

    fn settle(&self, pass: Pass, verdict: Verdict, now: Instant) {
        let mut calls = self.lock();
        calls.under_way -= 1;
        let before = calls.breaker.state(now);
        calls.breaker.settle(pass, verdict, now, fastrand::f64());
        let after = calls.breaker.state(now);
        drop(calls);
        if after == State::Open && before != State::Open {
            telemetry::count("breaker.opened", 1);
        }
        // Also that it has closed again: it may have been said earlier in the line that it has not.
        if before != State::Closed || after != State::Closed {
            self.tell(after);
        }
    }

    fn tell(&self, state: State) {
        telemetry::field(&format!("breaker.{}", self.0.name), state.name());
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dependency").field(&self.0.name).finish()
    }
}

/// A place for one call.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Ticket {
    dependency: Dependency,
    pass: Pass,
    overdue: Instant,
    settled: bool,
}

impl Ticket {
    /// Gives the place back, and says what became of the call.
    pub fn settle(mut self, verdict: Verdict) {
        self.end(verdict, now());
    }

    fn end(&mut self, verdict: Verdict, now: Instant) {
        if !std::mem::replace(&mut self.settled, true) {
            self.dependency.settle(self.pass, verdict, now);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = now();
        self.end(if now >= self.overdue { Verdict::Failed } else { Verdict::Unknown }, now);
    }
}

/// Tokio's clock: a test's may stand still.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
#[path = "dependency_tests.rs"]
mod tests;
