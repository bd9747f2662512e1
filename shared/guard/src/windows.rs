//! The sliding window, made of two fixed ones and settled in blocks: what one environment knows of one subject.
//!
//! The last window counts for the part of it that still lies within a window's length of now. Requests are let pass on credit: an
//! environment owes the table up to [`MOST_OWED`], and the next one settles them all, by one `ADD` whose answer tells what all
//! environments have settled.
//!
//! Why n environments let no more than `quota + 9 (n - 1)` pass: nobody passes on a sum above the quota that they know. Take the one
//! whose last requests build on the latest settlement: it knows all that the others have settled, and its own. Above that is only what
//! each of the others owes, or owed when it was refused. A request that comes with a settlement and is refused has been counted all the
//! same: its environment is owed one.
//!
//! All times are in milliseconds since 1970.

use std::time::Duration;

use crate::policy::Policy;

/// The most that passes without being settled.
const MOST_OWED: i64 = 9;

/// What is known of a subject's requests, in this window and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    window: i64,
    this: Count,
    last: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// As the table last said.
    settled: i64,
    /// What this environment has let pass since; -1 if it has settled one that it refused.
    owed: i64,
}

impl Count {
    fn sum(self) -> i64 {
        self.settled + self.owed
    }
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Pass.
    Pass,
    /// Pass, if the table agrees.
    Settle(Settlement),
    /// Not pass. If nobody asked until then, one could pass at this time.
    Refuse { at: i64 },
}

/// What is to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settlement {
    pub(crate) window: i64,
    /// To the count of the window, with the request that asks.
    pub(crate) this: i64,
    /// To the count of the window before.
    pub(crate) last: i64,
}

impl Tally {
    pub(crate) fn new(policy: &Policy, now: i64) -> Self {
        Self { window: now.div_euclid(length(policy)), this: Count::default(), last: Count::default() }
    }

    /// Whether this still says something at `now`.
    pub(crate) fn is_current(&self, policy: &Policy, now: i64) -> bool {
        self.window + 1 >= now.div_euclid(length(policy))
    }

    /// What a request at `now` may do. One that passes is noted.
    pub(crate) fn ask(&mut self, policy: &Policy, now: i64) -> Step {
        self.move_to(policy, now);
        if let Some(at) = self.refusal(policy, now, 1) {
            return Step::Refuse { at };
        }
        // What the table owes for the last window weighs less by now: it can't be set off against this one.
        if self.this.owed + self.last.owed.max(0) < MOST_OWED {
            self.this.owed += 1;
            return Step::Pass;
        }
        self.settlement()
    }

    /// Of all that is owed, and the request that asks.
    fn settlement(&self) -> Step {
        Step::Settle(Settlement { window: self.window, this: self.this.owed + 1, last: self.last.owed })
    }

    /// The table's answer to a settlement, at `now`: the counts of the window and of the one before.
    pub(crate) fn settled(&mut self, policy: &Policy, settlement: Settlement, this: i64, last: i64, now: i64) -> Step {
        (self.this, self.last) = (Count { settled: this, owed: 0 }, Count { settled: last, owed: 0 });
        if now.div_euclid(length(policy)) > settlement.window {
            // That window has ended meanwhile. The request belongs to this one, of which nothing is known yet: nothing passes on credit
            // before the table has told, else what was settled here by others and what is owed there would both come on top.
            self.this.owed = -1;
            self.move_to(policy, now);
            return self.settlement();
        }
        let Some(at) = self.refusal(policy, now, 0) else { return Step::Pass };
        self.this.owed = -1;
        Step::Refuse { at }
    }

    /// The table has not answered: the request that would have settled passes, and is owed like those before it.
    pub(crate) fn not_settled(&mut self) {
        self.this.owed += 1;
    }

    /// How many more would pass now, as far as is known.
    pub(crate) fn remaining(&self, policy: &Policy, now: i64) -> u64 {
        let length = length(policy);
        let room = (i64::from(policy.quota) * length - self.sum(policy, now)) / length;
        u64::try_from(room).unwrap_or(0)
    }

    /// Until this window ends.
    pub(crate) fn reset(&self, policy: &Policy, now: i64) -> Duration {
        Duration::from_millis(u64::try_from((self.window + 1) * length(policy) - now).unwrap_or(0))
    }

    fn move_to(&mut self, policy: &Policy, now: i64) {
        // A clock that goes back stays in the window that it has seen.
        let window = now.div_euclid(length(policy)).max(self.window);
        if window > self.window {
            self.last = if window == self.window + 1 { self.this } else { Count::default() };
            self.this = Count::default();
            self.window = window;
        }
    }

    /// Requests that count now, times the window's length.
    fn sum(&self, policy: &Policy, now: i64) -> i64 {
        let length = length(policy);
        let elapsed = (now - self.window * length).clamp(0, length);
        self.last.sum() * (length - elapsed) + self.this.sum() * length
    }

    /// Why `more` requests can't pass: when they could.
    fn refusal(&self, policy: &Policy, now: i64, more: i64) -> Option<i64> {
        let (length, quota) = (length(policy), i64::from(policy.quota));
        if self.sum(policy, now) + more * length <= quota * length {
            return None;
        }
        let (start, end) = (self.window * length, (self.window + 1) * length);
        let room = (quota - 1 - self.this.sum()) * length;
        Some(if room >= 0 {
            // This window has room once enough of the last one is too long ago.
            start + length - room / self.last.sum().max(1)
        } else {
            end + length - ((quota - 1) * length / self.this.sum().max(1)).min(length)
        })
    }
}

fn length(policy: &Policy) -> i64 {
    i64::try_from(policy.window.as_millis()).unwrap_or(i64::MAX / 4).max(1)
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
