//! `EventBridge`'s cron expressions: minutes, hours, day of the month, month, day of the week, year; in UTC.
//!
//! The dialect is its own: six fields, Sunday is 1, one of the two day fields is `?`, and `L`, `W` and `#` as in Quartz.
//! What its documentation does not allow is refused, so that nothing works here that a deployment would not take.

use std::collections::BTreeSet;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::Offset,
};

/// A cron expression that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    days: Days,
    months: BTreeSet<i16>,
    years: BTreeSet<i16>,
}

/// Which days of a month. One of the two fields for days is always `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Counted from the month's first.
    OfMonth(BTreeSet<i16>),
    /// `L`
    Last,
    /// `LW`
    LastWorkday,
    /// `3W`: the day from Monday to Friday that is nearest to it, in the same month.
    WorkdayNear(i16),
    /// Sunday is 1.
    OfWeek(BTreeSet<i16>),
    /// `6L`: the month's last Friday.
    LastOfWeek(i16),
    /// `3#2`: the month's second Tuesday.
    Nth(i16, i16),
}

/// A field: its name, its values, and what they may be called.
struct Field {
    name: &'static str,
    least: i16,
    most: i16,
    names: &'static [&'static str],
    /// Whether the least follows the most, so that hours may go from 20 to 2.
    comes_round: bool,
}

const MINUTES: Field = Field { comes_round: true, name: "minutes", least: 0, most: 59, names: &[] };
const HOURS: Field = Field { comes_round: true, name: "hours", least: 0, most: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { comes_round: true, name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    comes_round: true,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const DAY_OF_WEEK: Field =
    Field { comes_round: true, name: "day of week", least: 1, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
const YEAR: Field = Field { name: "year", least: 1970, most: 2199, names: &[], comes_round: false };

impl Cron {
    /// Reads what stands between the parentheses of `cron(...)`. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            return Err(format!("it has {} fields, not the six: minutes hours day-of-month month day-of-week year", fields.len()));
        };
        let days = match (*day_of_month, *day_of_week) {
            ("?", "?") => return Err("one of the day fields says when, the other is `?`".to_owned()),
            ("?", day) => days_of_week(day)?,
            (day, "?") => days_of_month(day)?,
            _ => return Err("one of the day fields must be `?`".to_owned()),
        };
        Ok(Self {
            minutes: MINUTES.values(minutes)?,
            hours: HOURS.values(hours)?,
            days,
            months: MONTH.values(month)?,
            years: YEAR.values(year)?,
        })
    }

    /// The first time that is later than `time`; none if the years are over.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let first = Offset::UTC.to_datetime(time).checked_add(1.minute()).ok()?.with().second(0).subsec_nanosecond(0).build().ok()?;
        for year in self.years.range(first.year()..) {
            for month in &self.months {
                let Ok(start) = Date::new(*year, i8::try_from(*month).ok()?, 1) else { continue };
                if start.last_of_month() < first.date() {
                    continue;
                }
                for date in self.days_in(start).into_iter().filter(|date| *date >= first.date()) {
                    for (hour, minute) in self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute))) {
                        let at = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                        if at >= first {
                            return Offset::UTC.to_timestamp(at).ok();
                        }
                    }
                }
            }
        }
        None
    }

    /// The days in the month that begins with `start`, in order.
    fn days_in(&self, start: Date) -> Vec<Date> {
        let last = start.last_of_month();
        let of_month =
            |wanted: &dyn Fn(Date) -> bool| start.series(1.day()).take_while(|date| *date <= last).filter(|date| wanted(*date)).collect();
        let is = |date: Date, day: i16| i16::from(date.weekday().to_sunday_one_offset()) == day;
        match &self.days {
            Days::OfMonth(days) => of_month(&|date| days.contains(&date.day().into())),
            Days::Last => vec![last],
            Days::LastWorkday => vec![workday_near(last)],
            Days::WorkdayNear(day) => of_month(&|date| i16::from(date.day()) == *day).into_iter().map(workday_near).collect(),
            Days::OfWeek(days) => of_month(&|date| days.contains(&date.weekday().to_sunday_one_offset().into())),
            Days::LastOfWeek(day) => of_month(&|date| is(date, *day) && date.day() + 7 > last.day()),
            Days::Nth(day, nth) => of_month(&|date| is(date, *day) && i16::from((date.day() - 1) / 7 + 1) == *nth),
        }
    }
}

/// The day from Monday to Friday nearest to this one, without leaving its month.
fn workday_near(date: Date) -> Date {
    let away = match date.weekday() {
        Weekday::Saturday if date.day() == 1 => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if date == date.last_of_month() => -2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    date.saturating_add(away.days())
}

fn days_of_month(text: &str) -> Result<Days, String> {
    match text {
        "L" => Ok(Days::Last),
        "LW" => Ok(Days::LastWorkday),
        _ => match text.strip_suffix('W') {
            Some(day) => DAY_OF_MONTH.value(day).map(Days::WorkdayNear),
            None => DAY_OF_MONTH.values(text).map(Days::OfMonth),
        },
    }
}

fn days_of_week(text: &str) -> Result<Days, String> {
    if let Some((day, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
        return Ok(Days::Nth(DAY_OF_WEEK.value(day)?, nth.ok_or_else(|| format!("`{text}`: behind `#` stands a number from 1 to 5"))?));
    }
    match text.strip_suffix('L') {
        // The last day of the week.
        Some("") => Ok(Days::OfWeek([DAY_OF_WEEK.most].into())),
        Some(day) => DAY_OF_WEEK.value(day).map(Days::LastOfWeek),
        None => DAY_OF_WEEK.values(text).map(Days::OfWeek),
    }
}

impl Field {
    /// A list of values, ranges, and steps through them.
    fn values(&self, text: &str) -> Result<BTreeSet<i16>, String> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => {
                    let step = step.parse().ok().filter(|step| (1..=self.most).contains(step));
                    (range, Some(step.ok_or_else(|| format!("{}: `{part}` has no step from 1 to {}", self.name, self.most))?))
                }
                None => (part, None),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((from, to)) => (self.value(from)?, self.value(to)?),
                // `5/15`: on to the end.
                None if step.is_some() => (self.value(range)?, self.most),
                None => (self.value(range)?, self.value(range)?),
            };
            let size = self.most - self.least + 1;
            let to = match (from > to, self.comes_round) {
                (false, _) => to,
                (true, true) => to + size,
                (true, false) => return Err(format!("{}: `{part}` ends before it begins", self.name)),
            };
            let passed = (from..=to).step_by(step.map_or(1, i16::unsigned_abs).into());
            values.extend(passed.map(|value| if value > self.most { value - size } else { value }));
        }
        Ok(values)
    }

    fn value(&self, text: &str) -> Result<i16, String> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| value);
        let value = named.or_else(|| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())));
        value
            .filter(|value| (self.least..=self.most).contains(value))
            .ok_or_else(|| format!("{}: `{text}` is not from {} to {}", self.name, self.least, self.most))
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
