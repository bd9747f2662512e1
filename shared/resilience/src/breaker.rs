//! The breaker's state machine. It knows no clock and no dice: both are handed in.
//!
//! ```text
//!          at least LEAST calls in the window, and half of them failed
//!   closed ------------------------------------------------------------> open
//!     ^                                                                   |  one to two seconds
//!     |  a probe succeeds                                                 v
//!     +------------------------------------------------------------- half-open
//!                                 a probe fails: open again
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Of how many calls the results count: the latest.
pub const WINDOW: usize = 20;
/// How long a result counts.
pub const MEMORY: Duration = Duration::from_secs(10);
/// Fewer results than this prove nothing. A dependency that hangs takes two seconds a call: five of them are what is known of it in
/// [`MEMORY`], from one request at a time.
pub const LEAST: usize = 5;
/// How long it stays open at least, and at most that much longer: a random while, so that not all environments come back at once, and
/// short, so that an end of the failure is seen within seconds.
pub const OPEN: Duration = Duration::from_secs(1);

/// How many calls are let through at once when it is half-open: those of one request. One alone would let nobody in: what a request asks side
/// by side is given up whole when a part is refused, and with it the probe.
pub const PROBES: usize = 25;

/// What is let through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every call.
    Closed,
    /// None.
    Open,
    /// As many calls as one request makes, to see whether they succeed.
    HalfOpen,
}

impl State {
    /// As it is written in a log line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There was an answer, if perhaps an unwelcome one.
    Answered,
    /// The dependency failed: nothing came, or came too late, or it said that it can't.
    Failed,
    /// Nobody waited for it, so that nothing is known.
    Unknown,
}

/// A call that was let through, to be settled once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    era: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing { under_way: usize },
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    phase: Phase,
    /// Grows with every change of the phase: what was let through in an earlier one says nothing about this one.
    era: u64,
    /// When each call ended, and whether it failed; oldest first.
    results: VecDeque<(Instant, bool)>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed, era: 0, results: VecDeque::with_capacity(WINDOW) }
    }
}

impl Breaker {
    /// Lets a call through, or says how long none will be; zero while probes are under way.
    pub fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match self.phase {
            Phase::Closed => {}
            Phase::Open { until } if now < until => return Err(until - now),
            Phase::Open { .. } => self.turn(Phase::Probing { under_way: 1 }),
            Phase::Probing { under_way: PROBES.. } => return Err(Duration::ZERO),
            Phase::Probing { under_way } => self.phase = Phase::Probing { under_way: under_way + 1 },
        }
        Ok(Pass { era: self.era })
    }

    /// Takes note of what became of a call. `dice` is a random number from 0 up to 1: how long it stays open, should it open now.
    pub fn settle(&mut self, pass: Pass, verdict: Verdict, now: Instant, dice: f64) {
        if pass.era != self.era {
            return;
        }
        let opened = Phase::Open { until: now + OPEN + OPEN.mul_f64(dice) };
        match (self.phase, verdict) {
            (Phase::Probing { .. }, Verdict::Answered) => self.turn(Phase::Closed),
            (Phase::Probing { .. }, Verdict::Failed) => self.turn(opened),
            // The next call is a probe in its place.
            (Phase::Probing { under_way }, Verdict::Unknown) => self.phase = Phase::Probing { under_way: under_way - 1 },
            (Phase::Closed, Verdict::Answered | Verdict::Failed) => {
                self.note(now, verdict == Verdict::Failed);
                if self.is_failing() {
                    self.turn(opened);
                }
            }
            (Phase::Closed, Verdict::Unknown) | (Phase::Open { .. }, _) => {}
        }
    }

    /// What is let through at this moment.
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } if now < until => State::Open,
            Phase::Open { .. } | Phase::Probing { .. } => State::HalfOpen,
        }
    }

    fn note(&mut self, now: Instant, failed: bool) {
        if self.results.len() == WINDOW {
            self.results.pop_front();
        }
        self.results.push_back((now, failed));
        while self.results.front().is_some_and(|(ended, _)| now.saturating_duration_since(*ended) > MEMORY) {
            self.results.pop_front();
        }
    }

    fn is_failing(&self) -> bool {
        let failed = self.results.iter().filter(|(_, failed)| *failed).count();
        self.results.len() >= LEAST && 2 * failed >= self.results.len()
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
        self.results.clear();
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
