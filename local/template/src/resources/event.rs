//! The events of a function: routes of the API, notifications of buckets, and triggers.

use std::time::Duration;

use serde_json::Value;

use super::{Identity, Kind, function::on_failure};
use crate::{
    deployment::{Api, Deployment, Notification, QueueTrigger, Route, ScheduleTrigger, StreamTrigger, Trigger},
    error::Error,
    fields::{self, Fields},
    intrinsics::Scope,
    yaml::Node,
};

/// Records of a batch unless told, of streams and of queues.
const STREAM_BATCH_SIZE: u32 = 100;
const QUEUE_BATCH_SIZE: u32 = 10;

/// The most records of a batch, and the most seconds to wait for them.
const MOST_BATCH_SIZE: u32 = 10_000;
const MOST_WINDOW: u32 = 300;

/// Reads the event `name` of `function`, whose logical id is `logical_id`. A route goes to the API of `deployment` and a notification
/// to its bucket; anything else is a trigger.
pub(super) fn read(
    name: &str,
    node: &Node,
    logical_id: &str,
    function: &Identity,
    scope: &Scope,
    deployment: &mut Deployment,
) -> Result<Option<Trigger>, Error> {
    let (kind, properties) = fields::read(node, "Event", scope, |fields| {
        let properties = fields.node("Properties")?.ok_or_else(|| fields.missing("Properties"))?;
        Ok((fields.required("Type")?, properties))
    })?;
    // What SAM calls the mapping or the rule that it makes of the event.
    let id = format!("{logical_id}{name}");
    let what = format!("Event.{kind}");
    match kind.as_str() {
        "Api" => {
            let route = fields::read(&properties, what, scope, |fields| route(fields, function, &deployment.api))?;
            deployment.api.routes.push(route);
            Ok(None)
        }
        "S3" => {
            let (bucket, notification) = fields::read(&properties, what, scope, |fields| notification(fields, function))?;
            deployment.buckets.iter_mut().filter(|known| known.name == bucket).for_each(|known| {
                known.notifications.push(notification.clone());
            });
            Ok(None)
        }
        "SQS" => fields::read(&properties, what, scope, queue).map(|trigger| Some(Trigger::Queue(trigger))),
        "DynamoDB" => fields::read(&properties, what, scope, |fields| stream(fields, id)).map(|trigger| Some(Trigger::Stream(trigger))),
        "Schedule" => fields::read(&properties, what, scope, |fields| schedule(fields, id)).map(|trigger| Some(Trigger::Schedule(trigger))),
        _ => Err(node.error(format!("events of type {kind} are not known to the local host"))),
    }
}

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

fn route(fields: &mut Fields<'_>, function: &Identity, api: &Api) -> Result<Route, Error> {
    fields.resource("RestApiId", Kind::Api, Identity::REF)?.ok_or_else(|| fields.missing("RestApiId"))?;
    let path = fields.required("Path")?;
    let method = fields.required("Method")?.to_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(fields.place.error(format!("the method {method} is not known to the local host")));
    }
    if api.routes.iter().any(|route| route.path == path && route.method == method) {
        return Err(fields.place.error(format!("the route {method} {path} is there twice")));
    }
    let authorizer = fields.nested("Auth", |auth| auth.required("Authorizer"))?;
    let authorized = match (authorizer.as_deref(), &api.authorizer) {
        (Some("NONE"), _) => false,
        (None, default) => default.is_some(),
        (Some(name), Some(authorizer)) if authorizer.name == name => true,
        (Some(name), _) => return Err(fields.place.error(format!("the API has no authorizer {name}"))),
    };
    Ok(Route { method, path, function: function.name.clone(), authorized })
}

/// The name of the bucket, and what it is to tell.
fn notification(fields: &mut Fields<'_>, function: &Identity) -> Result<(String, Notification), Error> {
    let bucket = fields.resource("Bucket", Kind::Bucket, Identity::REF)?.ok_or_else(|| fields.missing("Bucket"))?;
    let events = fields.texts("Events")?;
    let rules = fields.nested("Filter", |filter| {
        filter.nested("S3Key", |key| {
            key.each("Rules", |rule| {
                let name = rule.required("Name")?;
                if !matches!(name.as_str(), "prefix" | "suffix") {
                    return Err(rule.place.error(format!("filters by {name} are not known to the local host")));
                }
                Ok((name, rule.required("Value")?))
            })
        })
    })?;
    let rules = rules.flatten().unwrap_or_default();
    let rule = |wanted| rules.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap_or_default();
    let notification = Notification { function: function.name.clone(), events, prefix: rule("prefix"), suffix: rule("suffix") };
    Ok((bucket.name.clone(), notification))
}

fn queue(fields: &mut Fields<'_>) -> Result<QueueTrigger, Error> {
    let queue = fields.resource("Queue", Kind::Queue, "Arn")?.ok_or_else(|| fields.missing("Queue"))?;
    let window = fields.seconds("MaximumBatchingWindowInSeconds", 0..=MOST_WINDOW)?.unwrap_or_default();
    // A larger batch has to be waited for.
    let most = if window.is_zero() { QUEUE_BATCH_SIZE } else { MOST_BATCH_SIZE };
    Ok(QueueTrigger {
        queue_arn: queue.arn(),
        batch_size: fields.whole("BatchSize", 1..=most)?.unwrap_or(QUEUE_BATCH_SIZE) as usize,
        window,
        max_concurrency: fields.nested("ScalingConfig", |scaling| scaling.whole("MaximumConcurrency", 2..=1000))?.flatten(),
        partial_failures: partial_failures(fields)?,
    })
}

fn stream(fields: &mut Fields<'_>, id: String) -> Result<StreamTrigger, Error> {
    let table = fields.resource("Stream", Kind::Table, "StreamArn")?.ok_or_else(|| fields.missing("Stream"))?;
    fields.fixed("StartingPosition", "TRIM_HORIZON")?;
    let filters = fields.nested("FilterCriteria", |criteria| criteria.each("Filters", pattern))?;
    Ok(StreamTrigger {
        id,
        table: table.name.clone(),
        batch_size: fields.whole("BatchSize", 1..=MOST_BATCH_SIZE)?.unwrap_or(STREAM_BATCH_SIZE) as usize,
        window: fields.seconds("MaximumBatchingWindowInSeconds", 0..=MOST_WINDOW)?.unwrap_or_default(),
        filters: filters.unwrap_or_default(),
        max_retries: fields.whole("MaximumRetryAttempts", 0..=10_000)?,
        bisect: fields.boolean("BisectBatchOnFunctionError")?.unwrap_or_default(),
        partial_failures: partial_failures(fields)?,
        on_failure: on_failure(fields)?,
    })
}

fn pattern(filter: &mut Fields<'_>) -> Result<Value, Error> {
    let pattern = filter.required("Pattern")?;
    serde_json::from_str(&pattern).map_err(|error| filter.place.error(format!("the pattern is no JSON: {error}")))
}

fn partial_failures(fields: &mut Fields<'_>) -> Result<bool, Error> {
    let types = fields.texts("FunctionResponseTypes")?;
    match types.iter().find(|name| *name != "ReportBatchItemFailures") {
        Some(unknown) => Err(fields.place.error(format!("the response type {unknown} is not known to the local host"))),
        None => Ok(!types.is_empty()),
    }
}

fn schedule(fields: &mut Fields<'_>, name: String) -> Result<ScheduleTrigger, Error> {
    let schedule = fields.required("Schedule")?;
    let every = rate(&schedule)
        .ok_or_else(|| fields.place.error(format!("the local host knows schedules like `rate(1 minute)`, not `{schedule}`")))?;
    Ok(ScheduleTrigger { name, every })
}

/// `rate(5 minutes)`
fn rate(schedule: &str) -> Option<Duration> {
    let (count, unit) = schedule.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => Duration::from_mins(1),
        "hour" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        _ => return None,
    };
    Some(unit * count)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rate;

    #[test]
    fn rates_are_read() {
        assert_eq!(rate("rate(1 minute)"), Some(Duration::from_mins(1)));
        assert_eq!(rate("rate(2 hours)"), Some(Duration::from_hours(2)));
        assert_eq!(rate("rate(1 day)"), Some(Duration::from_hours(24)));
        for unknown in ["rate(0 minutes)", "rate(1 month)", "rate(minute)", "cron(0 12 * * ? *)", ""] {
            assert_eq!(rate(unknown), None, "{unknown}");
        }
    }
}
