//! Addresses that keep failing (tokens that nobody has signed, wrong passwords, routes that do not exist) are sent away for a growing while.

use std::time::Duration;

use tintype_tables::table::Item;

use crate::{policy::Policy, store::whole};

/// What is forgiven: 20 failures at once, and one each 15 s from then on.
pub(crate) const FAILURES: Policy = Policy::gcra("failures", 20, Duration::from_mins(5));
/// The first ban; each further one is twice as long.
const FIRST: Duration = Duration::from_mins(1);
/// The longest ban, and how long after its end an offence is remembered.
const DAY: Duration = Duration::from_hours(24);

/// What the table says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// Microseconds since 1970: how the failures are counted.
    pub(crate) tat: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) banned_until: Option<i64>,
    offences: u32,
}

/// A ban that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// Milliseconds since 1970.
    pub(crate) until: i64,
    pub(crate) offences: u32,
}

impl Record {
    pub(crate) fn of(item: &Item) -> Self {
        let offences = whole(item, "offences").and_then(|offences| u32::try_from(offences).ok()).unwrap_or(0);
        Self { tat: whole(item, "tat"), banned_until: whole(item, "banned_until"), offences }
    }

    /// How long the address is banned still, at `now` in milliseconds since 1970.
    pub(crate) fn left(&self, now: i64) -> Option<Duration> {
        let left = u64::try_from(self.banned_until?.saturating_sub(now)).ok().filter(|&left| left > 0)?;
        Some(Duration::from_millis(left))
    }

    /// What one failure too many brings.
    pub(crate) fn sentence(&self, now: i64) -> Sentence {
        let is_remembered = self.banned_until.is_some_and(|until| until.saturating_add(millis(DAY)) > now);
        let before = if is_remembered { self.offences } else { 0 };
        let length = millis(FIRST).saturating_mul(1 << before.min(20)).min(millis(DAY));
        Sentence { until: now + length, offences: before + 1 }
    }
}

impl Sentence {
    pub(crate) fn record(self) -> Record {
        Record { tat: None, banned_until: Some(self.until), offences: self.offences }
    }
}

/// When a record says nothing any more, in seconds since 1970.
pub(crate) fn expires_at(now: i64) -> i64 {
    // The longest ban, and as long again during which it is remembered.
    now.saturating_add(2 * millis(DAY)) / 1000 + 3600
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_grows_with_each_offence_up_to_a_day() {
        let (mut record, mut now, mut minutes) = (Record::default(), 1_000_000, Vec::new());
        for _ in 0..14 {
            let sentence = record.sentence(now);
            minutes.push((sentence.until - now) / 60_000);
            record = sentence.record();
            now = sentence.until + millis(DAY) - 1;
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440]);
    }

    #[test]
    fn after_a_day_without_offence_all_is_forgotten() {
        let first = Record::default().sentence(0);
        let record = Record::default().sentence(first.until).record();
        let after = first.until + millis(DAY) + millis(FIRST);
        assert_eq!(record.sentence(after + millis(DAY)).offences, 1);
    }

    #[test]
    fn a_ban_ends_at_its_time() {
        let record = Sentence { until: 5_000, offences: 1 }.record();
        assert_eq!(record.left(4_999), Some(Duration::from_millis(1)));
        assert_eq!((record.left(5_000), record.left(6_000), Record::default().left(0)), (None, None, None));
    }
}
