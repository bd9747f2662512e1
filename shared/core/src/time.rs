//! Points in time, in whole milliseconds.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Prints three fractional digits always, so that times sort as text: keys of tables rely on it.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A point in time in UTC, to the millisecond; as text RFC 3339, for example `2026-11-20T12:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Time(Timestamp);

impl Time {
    /// The system clock, cut to the millisecond.
    pub fn now() -> Self {
        let now = Timestamp::now().as_millisecond();
        Self::from_millis(now).expect("the system clock is within year 9999")
    }

    /// Milliseconds since 1970; `None` beyond the years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Timestamp::from_millisecond(millis).ok().map(Self)
    }

    /// Seconds since 1970; `None` beyond the years -9999 to 9999.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        Timestamp::from_second(seconds).ok().map(Self)
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Whole seconds since 1970: what a token's `exp` and a table's TTL attribute want.
    pub fn as_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration).unwrap_or(Timestamp::MAX))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration).unwrap_or(Timestamp::MIN))
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.as_millis().saturating_sub(earlier.as_millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = text.parse::<Timestamp>()?.as_millisecond();
        Timestamp::from_millisecond(millis).map(Self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_always_has_milliseconds_and_sorts_as_time_does() {
        let whole = Time::from_millis(1_790_000_000_000).unwrap();
        let later = Time::from_millis(1_790_000_000_120).unwrap();
        assert_eq!(whole.to_string(), "2026-09-21T14:13:20.000Z");
        assert_eq!(later.to_string(), "2026-09-21T14:13:20.120Z");
        assert!(whole.to_string() < later.to_string());
        assert_eq!(later.to_string().parse::<Time>().unwrap(), later);
    }
}
