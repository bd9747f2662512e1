//! How much of an invocation's time is left.

use std::time::{Duration, Instant};

/// How long a job goes on in one invocation, which may take 60 s: what comes after saves where it is, and what is under way ends.
const TIME: Duration = Duration::from_secs(40);

/// The time that a job has in this invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    ends: Instant,
}

impl Budget {
    /// A budget that is spent from `now` on.
    pub(crate) fn of(now: Instant) -> Self {
        Self { ends: now + TIME }
    }

    /// Nothing left.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { ends: Instant::now() }
    }

    pub(crate) fn is_spent(&self) -> bool {
        Instant::now() >= self.ends
    }
}
