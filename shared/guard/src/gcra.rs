//! The generic cell rate algorithm (ITU-T I.371), as the exact limits use it.
//!
//! One number tells all: the theoretical arrival time (`tat`), at which everything that was let pass would have been spent at an even
//! pace. It never goes back. Times and durations are in microseconds.

use std::time::Duration;

use crate::policy::Policy;

/// The numbers of a policy, and a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gcra {
    pub(crate) now: i64,
    /// Between two requests at an even pace; rounded up, so that no more than the quota fits into a window.
    pub(crate) interval: i64,
    /// How far `tat` may be ahead of the clock for one more to pass: the quota, less the one that asks.
    tolerance: i64,
}

/// What is to be written, or that nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing that counts lies ahead of the clock: `tat` becomes this, if it still is not after `now`.
    Begin(i64),
    /// `tat` goes on by one interval, if it still lies after `now`, and not after `latest`.
    GoOn { latest: i64 },
    /// Too many. At this time one more could pass.
    Refuse { at: i64 },
}

impl Gcra {
    pub(crate) fn new(policy: &Policy, now: i64) -> Self {
        let quota = i64::from(policy.quota.max(1));
        let interval = micros(policy.window).saturating_add(quota - 1) / quota;
        Self { now, interval, tolerance: interval.saturating_mul(quota - 1) }
    }

    /// What follows if the table holds this.
    pub(crate) fn step(&self, tat: Option<i64>) -> Step {
        match tat {
            Some(tat) if tat > self.now + self.tolerance => Step::Refuse { at: tat - self.tolerance },
            Some(tat) if tat > self.now => self.go_on(),
            _ => Step::Begin(self.now + self.interval),
        }
    }

    /// The step of somebody who is on.
    pub(crate) fn go_on(&self) -> Step {
        Step::GoOn { latest: self.now + self.tolerance }
    }

    /// What `tat` is after a request has passed without the table.
    pub(crate) fn pass(&self, tat: Option<i64>) -> i64 {
        tat.unwrap_or(self.now).max(self.now) + self.interval
    }

    /// How many more would pass now.
    pub(crate) fn remaining(&self, tat: i64) -> u64 {
        let room = self.now + self.tolerance - tat.max(self.now);
        if room < 0 { 0 } else { u64::try_from(room / self.interval).unwrap_or(0) + 1 }
    }

    /// Until the whole quota is there again.
    pub(crate) fn reset(&self, tat: i64) -> Duration {
        between(self.now, tat)
    }

    /// When the item says nothing any more, in seconds since 1970.
    pub(crate) fn expires_at(&self) -> i64 {
        // `tat` is never further ahead than tolerance and one interval; an hour for clocks that differ.
        (self.now + self.tolerance + self.interval) / 1_000_000 + 3600
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4).max(1)
}

pub(crate) fn between(now: i64, later: i64) -> Duration {
    Duration::from_micros(u64::try_from(later.saturating_sub(now)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the table does with a step: nothing if the condition does not hold.
    fn write(table: &mut Option<i64>, step: Step, now: i64, interval: i64) -> bool {
        match step {
            Step::Begin(tat) if table.is_none_or(|tat| tat <= now) => *table = Some(tat),
            Step::GoOn { latest } if table.is_some_and(|tat| tat > now && tat <= latest) => *table = table.map(|tat| tat + interval),
            _ => return false,
        }
        true
    }

    /// An environment's request: reads its memory, writes, and where the condition does not hold goes on with what the table holds.
    fn ask(table: &mut Option<i64>, memory: &mut Option<i64>, gcra: Gcra) -> bool {
        loop {
            let step = gcra.step(*memory);
            if let Step::Refuse { .. } = step {
                return false;
            }
            let passes = write(table, step, gcra.now, gcra.interval);
            *memory = *table;
            if passes {
                return true;
            }
        }
    }

    proptest! {
        /// Environments that remember different things, in any order, their clocks in step.
        #[test]
        fn no_window_lets_more_pass_than_the_burst_and_what_grows_since(
            quota in 1u32..40,
            requests in prop::collection::vec((0i64..30_000, 0usize..4), 1..400),
        ) {
            let policy = Policy::gcra("p", quota, Duration::from_millis(500));
            let (mut table, mut memories, mut now, mut passed) = (None, [None; 4], 1_000_000, Vec::new());
            for (pause, environment) in requests {
                now += pause;
                let gcra = Gcra::new(&policy, now);
                // One alone would decide the same by the table's number: memory changes nothing but the cost.
                let alone = !matches!(gcra.step(table), Step::Refuse { .. });
                let passes = ask(&mut table, &mut memories[environment], gcra);
                prop_assert_eq!(passes, alone);
                if passes {
                    passed.push(now);
                }
            }
            let interval = Gcra::new(&policy, 0).interval;
            for (first, &from) in passed.iter().enumerate() {
                for (count, &to) in (1i64..).zip(&passed[first..]) {
                    let most = i64::from(quota) + (to - from) / interval;
                    prop_assert!(count <= most, "{count} in {} us, at most {most}", to - from);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_pace_is_never_refused(quota in 1u32..1000, pauses in prop::collection::vec(0i64..1_000_000, 1..300)) {
            let policy = Policy::gcra("p", quota, Duration::from_mins(1));
            let (mut table, mut memory, mut now) = (None, None, 0);
            for more in pauses {
                let gcra = Gcra::new(&policy, now);
                prop_assert!(ask(&mut table, &mut memory, gcra));
                now += gcra.interval + more;
            }
        }

        #[test]
        fn after_the_time_that_a_refusal_names_one_passes_and_not_before(quota in 1u32..50) {
            let policy = Policy::gcra("p", quota, Duration::from_mins(1));
            let (mut table, mut memory) = (None, None);
            for left in (0..quota).rev() {
                prop_assert!(ask(&mut table, &mut memory, Gcra::new(&policy, 0)));
                prop_assert_eq!(Gcra::new(&policy, 0).remaining(table.unwrap()), u64::from(left));
            }
            let Step::Refuse { at } = Gcra::new(&policy, 0).step(table) else { panic!("the quota is spent") };
            prop_assert!(!ask(&mut table, &mut memory, Gcra::new(&policy, at - 1)));
            prop_assert!(ask(&mut table, &mut memory, Gcra::new(&policy, at)));
        }
    }
}
