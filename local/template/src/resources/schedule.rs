//! A function's `Schedule` events: rules of `EventBridge`.

use std::time::Duration;

use crate::{
    cron::Cron,
    deployment::{Schedule, ScheduleTrigger},
    error::Error,
    fields::Fields,
};

/// What the rule becomes whose logical id is `id`; `None` if it is disabled.
pub(super) fn read(fields: &mut Fields<'_>, id: String) -> Result<Option<ScheduleTrigger>, Error> {
    let expression = fields.required("Schedule")?;
    let schedule = schedule(&expression).map_err(|why| fields.place.error(format!("the schedule `{expression}`: {why}")))?;
    let name = fields.text("Name")?.unwrap_or_else(|| id.clone());
    // For people.
    fields.text("Description")?;
    let input = match fields.text("Input")? {
        Some(input) => Some(serde_json::from_str(&input).map_err(|error| fields.place.error(format!("Input is no JSON: {error}")))?),
        None => None,
    };
    let enabled = is_enabled(fields)?;
    Ok(enabled.then_some(ScheduleTrigger { id, name, schedule, input }))
}

/// A rule says it in one of two ways.
fn is_enabled(fields: &mut Fields<'_>) -> Result<bool, Error> {
    let state = match fields.text("State")?.as_deref() {
        None => None,
        Some("ENABLED") => Some(true),
        Some("DISABLED") => Some(false),
        Some(other) => return Err(fields.place.error(format!("State is ENABLED or DISABLED, not `{other}`"))),
    };
    match (fields.boolean("Enabled")?, state) {
        (Some(_), Some(_)) => Err(fields.place.error("either State or Enabled says whether the rule is on")),
        (enabled, state) => Ok(enabled.or(state).unwrap_or(true)),
    }
}

/// The error says what is wrong.
fn schedule(expression: &str) -> Result<Schedule, String> {
    let between = |start| expression.strip_prefix(start).and_then(|rest| rest.strip_suffix(')'));
    match (between("rate("), between("cron(")) {
        (Some(rate), _) => rate_of(rate).map(Schedule::Every),
        (_, Some(fields)) => Cron::parse(fields).map(Schedule::Cron),
        _ => Err("it is neither `rate(...)` nor `cron(...)`".to_owned()),
    }
}

/// `5 minutes`
fn rate_of(rate: &str) -> Result<Duration, String> {
    let unknown = || "a rate is `1 minute`, `5 hours`, `2 days` or the like".to_owned();
    let (count, unit) = rate.split_once(' ').ok_or_else(unknown)?;
    let count: u32 = count.parse().ok().filter(|count| *count > 0).ok_or_else(unknown)?;
    let unit = match (unit, count) {
        ("minute", 1) | ("minutes", 2..) => Duration::from_mins(1),
        ("hour", 1) | ("hours", 2..) => Duration::from_hours(1),
        ("day", 1) | ("days", 2..) => Duration::from_hours(24),
        _ => return Err(unknown()),
    };
    unit.checked_mul(count).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_crons_are_read() {
        for (expression, every) in [
            ("rate(1 minute)", Duration::from_mins(1)),
            ("rate(5 minutes)", Duration::from_mins(5)),
            ("rate(1 hour)", Duration::from_hours(1)),
            ("rate(2 hours)", Duration::from_hours(2)),
            ("rate(1 day)", Duration::from_hours(24)),
            ("rate(10 days)", Duration::from_hours(240)),
        ] {
            assert_eq!(schedule(expression), Ok(Schedule::Every(every)), "{expression}");
        }
        assert_eq!(schedule("cron(0 12 * * ? *)"), Cron::parse("0 12 * * ? *").map(Schedule::Cron));
    }

    #[test]
    fn what_eventbridge_does_not_take_is_refused() {
        for expression in
            ["rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(-1 minute)", "rate(1 month)", "rate(minute)", "rate(1  day)"]
        {
            assert_eq!(schedule(expression), Err("a rate is `1 minute`, `5 hours`, `2 days` or the like".to_owned()), "{expression}");
        }
        for expression in ["", "cron", "at(2026-01-01T00:00:00)", "rate(1 minute", "every minute"] {
            assert_eq!(schedule(expression), Err("it is neither `rate(...)` nor `cron(...)`".to_owned()), "{expression}");
        }
        assert!(schedule("cron(0 12 * * * *)").is_err());
    }
}
