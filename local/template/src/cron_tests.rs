use proptest::{collection::vec, prelude::*};

use super::*;

/// The times after `from`, as far as there are so many.
fn next(expression: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression).unwrap();
    let mut time: Timestamp = from.parse().unwrap();
    let mut times = Vec::new();
    while times.len() < count
        && let Some(next) = cron.next_after(time)
    {
        times.push(next.strftime("%Y-%m-%dT%H:%M").to_string());
        time = next;
    }
    times
}

/// The examples of `EventBridge`'s documentation, and every sign of the dialect.
#[test]
fn expressions_mean_what_eventbridge_says() {
    for (expression, expected) in [
        ("0 10 * * ? *", ["2026-02-26T10:00", "2026-02-27T10:00", "2026-02-28T10:00"]),
        ("15 12 * * ? *", ["2026-02-25T12:15", "2026-02-26T12:15", "2026-02-27T12:15"]),
        ("0 18 ? * MON-FRI *", ["2026-02-25T18:00", "2026-02-26T18:00", "2026-02-27T18:00"]),
        ("0 8 1 * ? *", ["2026-03-01T08:00", "2026-04-01T08:00", "2026-05-01T08:00"]),
        ("0/15 * * * ? *", ["2026-02-25T12:15", "2026-02-25T12:30", "2026-02-25T12:45"]),
        ("0/10 * ? * MON-FRI *", ["2026-02-25T12:10", "2026-02-25T12:20", "2026-02-25T12:30"]),
        ("0/5 8-17 ? * MON-FRI *", ["2026-02-25T12:05", "2026-02-25T12:10", "2026-02-25T12:15"]),
        ("0/30 20-2 ? * MON-FRI *", ["2026-02-25T20:00", "2026-02-25T20:30", "2026-02-25T21:00"]),
        ("30 22-1/3 ? * 7-2 *", ["2026-02-28T01:30", "2026-02-28T22:30", "2026-03-01T01:30"]),
        ("0 0 L * ? *", ["2026-02-28T00:00", "2026-03-31T00:00", "2026-04-30T00:00"]),
        // The last of February is a Saturday, that of May a Sunday.
        ("0 0 LW 2,5 ? *", ["2026-02-27T00:00", "2026-05-29T00:00", "2027-02-26T00:00"]),
        // The 1st of August is a Saturday: not back into July. The 1st of November is a Sunday.
        ("0 0 1W 8,11 ? *", ["2026-08-03T00:00", "2026-11-02T00:00", "2027-08-02T00:00"]),
        ("0 0 31W * ? *", ["2026-03-31T00:00", "2026-05-29T00:00", "2026-07-31T00:00"]),
        ("0 0 ? * 3#2 *", ["2026-03-10T00:00", "2026-04-14T00:00", "2026-05-12T00:00"]),
        ("0 0 ? * SUN#5 *", ["2026-03-29T00:00", "2026-05-31T00:00", "2026-08-30T00:00"]),
        ("15 10 ? * 6L 2026-2027", ["2026-02-27T10:15", "2026-03-27T10:15", "2026-04-24T10:15"]),
        ("0 0 ? * L *", ["2026-02-28T00:00", "2026-03-07T00:00", "2026-03-14T00:00"]),
        ("0 0 29 feb ? *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
        ("0 0 30 FEB ? *", ["", "", ""]),
        ("59 23 31 12 ? 2030/10", ["2030-12-31T23:59", "2040-12-31T23:59", "2050-12-31T23:59"]),
        ("0 12 1 1 ? 2020", ["", "", ""]),
    ] {
        let times = next(expression, "2026-02-25T12:00:30Z", 3);
        let expected: Vec<_> = expected.into_iter().filter(|time| !time.is_empty()).collect();
        assert_eq!(times, expected, "{expression}");
    }
}

#[test]
fn the_next_time_is_later_never_the_same() {
    assert_eq!(next("0 10 * * ? *", "2026-02-25T10:00:00Z", 1), ["2026-02-26T10:00"]);
    assert_eq!(next("0 10 * * ? *", "2026-02-25T09:59:59.999Z", 1), ["2026-02-25T10:00"]);
}

#[test]
fn what_eventbridge_does_not_take_is_refused_with_the_reason() {
    let six = "not the six: minutes hours day-of-month month day-of-week year";
    for (expression, reason) in [
        ("", format!("it has 0 fields, {six}")),
        ("0 10 * * ?", format!("it has 5 fields, {six}")),
        ("0 0 10 * * ? *", format!("it has 7 fields, {six}")),
        ("0 10 * * * *", "one of the day fields must be `?`".to_owned()),
        ("0 10 1 * MON *", "one of the day fields must be `?`".to_owned()),
        ("0 10 ? * ? *", "one of the day fields says when, the other is `?`".to_owned()),
        ("60 10 * * ? *", "minutes: `60` is not from 0 to 59".to_owned()),
        ("? 10 * * ? *", "minutes: `?` is not from 0 to 59".to_owned()),
        ("0 24 * * ? *", "hours: `24` is not from 0 to 23".to_owned()),
        ("0 10 0 * ? *", "day of month: `0` is not from 1 to 31".to_owned()),
        ("0 10 L-3 * ? *", "day of month: `L` is not from 1 to 31".to_owned()),
        ("0 10 1,L * ? *", "day of month: `L` is not from 1 to 31".to_owned()),
        ("0 10 1-5W * ? *", "day of month: `1-5` is not from 1 to 31".to_owned()),
        ("0 10 * 13 ? *", "month: `13` is not from 1 to 12".to_owned()),
        ("0 10 * MONDAY ? *", "month: `MONDAY` is not from 1 to 12".to_owned()),
        ("0 10 ? * 0 *", "day of week: `0` is not from 1 to 7".to_owned()),
        ("0 10 ? * 3#6 *", "`3#6`: behind `#` stands a number from 1 to 5".to_owned()),
        ("0 10 ? * 3#1,6#3 *", "`3#1,6#3`: behind `#` stands a number from 1 to 5".to_owned()),
        ("0 10 * * ? 1969", "year: `1969` is not from 1970 to 2199".to_owned()),
        ("0/0 10 * * ? *", "minutes: `0/0` has no step from 1 to 59".to_owned()),
        ("*/60 10 * * ? *", "minutes: `*/60` has no step from 1 to 59".to_owned()),
        ("/5 10 * * ? *", "minutes: `` is not from 0 to 59".to_owned()),
        ("1, 10 * * ? *", "minutes: `` is not from 0 to 59".to_owned()),
        ("+1 10 * * ? *", "minutes: `+1` is not from 0 to 59".to_owned()),
        ("0 10 * * ? 2030-2029", "year: `2030-2029` ends before it begins".to_owned()),
    ] {
        assert_eq!(Cron::parse(expression).unwrap_err(), reason, "{expression}");
    }
}

/// One part of a field, and whether a value is of it, said in the plainest way.
#[derive(Debug, Clone)]
enum Part {
    All,
    Value(i16),
    Range(i16, i16),
    From(i16, i16),
    Every(i16),
    Through(i16, i16, i16),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Value(value) => value.to_string(),
            Self::Range(from, to) => format!("{from}-{to}"),
            Self::From(from, step) => format!("{from}/{step}"),
            Self::Every(step) => format!("*/{step}"),
            Self::Through(from, to, step) => format!("{from}-{to}/{step}"),
        }
    }

    /// Whether a field of `size` values from `least` on has this value: ranges go round.
    fn has(&self, value: i16, least: i16, size: i16) -> bool {
        let between = |from: i16, to: i16| (value - from).rem_euclid(size) <= (to - from).rem_euclid(size);
        match *self {
            Self::All => true,
            Self::Value(only) => value == only,
            Self::Range(from, to) => between(from, to),
            Self::From(from, step) => value >= from && (value - from) % step == 0,
            Self::Every(step) => (value - least) % step == 0,
            Self::Through(from, to, step) => between(from, to) && (value - from).rem_euclid(size) % step == 0,
        }
    }
}

fn field(least: i16, most: i16) -> impl Strategy<Value = Vec<Part>> {
    // Years do not come round.
    let range = (least..=most, least..=most).prop_map(move |(a, b)| if least > 1 { (a.min(b), a.max(b)) } else { (a, b) });
    let step = 1..=most.min(59);
    let part = prop_oneof![
        2 => Just(Part::All),
        3 => (least..=most).prop_map(Part::Value),
        2 => range.clone().prop_map(|(from, to)| Part::Range(from, to)),
        1 => (least..=most, step.clone()).prop_map(|(from, step)| Part::From(from, step)),
        1 => step.clone().prop_map(Part::Every),
        1 => (range, step).prop_map(|((from, to), step)| Part::Through(from, to, step)),
    ];
    vec(part, 1..4)
}

fn text(parts: &[Part]) -> String {
    parts.iter().map(Part::text).collect::<Vec<_>>().join(",")
}

fn has(parts: &[Part], value: i16, least: i16, size: i16) -> bool {
    parts.iter().any(|part| part.has(value, least, size))
}

#[derive(Debug, Clone)]
enum Day {
    OfMonth(Vec<Part>),
    Last,
    LastWorkday,
    WorkdayNear(i16),
    OfWeek(Vec<Part>),
    LastOfWeek(i16),
    Nth(i16, usize),
}

fn day() -> impl Strategy<Value = Day> {
    prop_oneof![
        field(1, 31).prop_map(Day::OfMonth),
        Just(Day::Last),
        Just(Day::LastWorkday),
        (1..=31_i16).prop_map(Day::WorkdayNear),
        field(1, 7).prop_map(Day::OfWeek),
        (1..=7_i16).prop_map(Day::LastOfWeek),
        (1..=7_i16, 1..=5_usize).prop_map(|(day, nth)| Day::Nth(day, nth)),
    ]
}

impl Day {
    /// Both fields.
    fn text(&self) -> (String, String) {
        let (of_month, of_week) = match self {
            Self::OfMonth(parts) => (text(parts), "?".to_owned()),
            Self::Last => ("L".to_owned(), "?".to_owned()),
            Self::LastWorkday => ("LW".to_owned(), "?".to_owned()),
            Self::WorkdayNear(day) => (format!("{day}W"), "?".to_owned()),
            Self::OfWeek(parts) => ("?".to_owned(), text(parts)),
            Self::LastOfWeek(day) => ("?".to_owned(), format!("{day}L")),
            Self::Nth(day, nth) => ("?".to_owned(), format!("{day}#{nth}")),
        };
        (of_month, of_week)
    }

    fn has(&self, date: Date) -> bool {
        let length = i16::from(date.days_in_month());
        let day = i16::from(date.day());
        let weekday = |day: i16| i16::from(date.with().day(i8::try_from(day).unwrap()).build().unwrap().weekday().to_sunday_one_offset());
        let works = |day: i16| !matches!(weekday(day), 1 | 7);
        match self {
            Self::OfMonth(parts) => has(parts, day, 1, 31),
            Self::Last => day == length,
            Self::LastWorkday => works(day) && (day + 1..=length).all(|later| !works(later)),
            Self::WorkdayNear(wanted) => {
                let nearest = (1..=length).filter(|day| works(*day)).min_by_key(|day| (day - wanted).abs());
                *wanted <= length && nearest == Some(day)
            }
            Self::OfWeek(parts) => has(parts, weekday(day), 1, 7),
            Self::LastOfWeek(wanted) => weekday(day) == *wanted && day + 7 > length,
            Self::Nth(wanted, nth) => weekday(day) == *wanted && (1..=day).filter(|day| weekday(*day) == *wanted).count() == *nth,
        }
    }
}

/// How far the reference looks.
const DAYS: i64 = 100;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_next_time_is_the_first_minute_that_fits(
        minutes in field(0, 59),
        hours in field(0, 23),
        day in day(),
        months in field(1, 12),
        years in field(2020, 2040),
        start in 1_577_836_800_i64..2_240_000_000,
    ) {
        let (of_month, of_week) = day.text();
        // From the least year that there is, a step would be another than from 2020.
        let years: Vec<_> = years.into_iter().map(|part| if let Part::Every(step) = part { Part::From(2020, step) } else { part }).collect();
        let expression = format!("{} {} {of_month} {} {of_week} {}", text(&minutes), text(&hours), text(&months), text(&years));
        let start = Timestamp::from_second(start).unwrap();
        let civil = Offset::UTC.to_datetime(start);

        let mut first = None;
        'minutes: for date in civil.date().series(1.day()).take(usize::try_from(DAYS).unwrap()) {
            if !has(&years, date.year(), 1970, 230) || !has(&months, date.month().into(), 1, 12) || !day.has(date) {
                continue;
            }
            for minute in 0..24 * 60_i16 {
                let at = date.at(i8::try_from(minute / 60).unwrap(), i8::try_from(minute % 60).unwrap(), 0, 0);
                if has(&hours, minute / 60, 0, 24) && has(&minutes, minute % 60, 0, 60) && at > civil {
                    first = Some(at);
                    break 'minutes;
                }
            }
        }

        let next = Cron::parse(&expression).unwrap().next_after(start).map(|time| Offset::UTC.to_datetime(time));
        match first {
            Some(_) => prop_assert_eq!(next, first, "{}", expression),
            None => prop_assert!(next.is_none_or(|next| next.date() >= civil.date().saturating_add(DAYS.days())), "{} {:?}", expression, next),
        }
    }

    #[test]
    fn no_text_makes_it_panic(expression in "[0-9*?,/#LW A-Z-]{0,24}") {
        if let Ok(cron) = Cron::parse(&expression) {
            cron.next_after(Timestamp::UNIX_EPOCH);
        }
    }
}
