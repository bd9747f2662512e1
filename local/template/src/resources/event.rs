//! The events of a function: routes of the API, notifications of buckets, and triggers.

use std::{ops::RangeInclusive, time::Duration};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Identity, Kind, function::on_failure, schedule};
use crate::{
    deployment::{Api, Deployment, Notification, QueueTrigger, Route, StartingPosition, StreamTrigger, Trigger},
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

/// Filters of a mapping: five, and ten for who asks AWS for more. The characters of each.
const MOST_FILTERS: usize = 10;
const LONGEST_PATTERN: usize = 4096;

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
        "SQS" => Ok(fields::read(&properties, what, scope, |fields| queue(fields, id))?.map(Trigger::Queue)),
        "DynamoDB" => Ok(fields::read(&properties, what, scope, |fields| stream(fields, id))?.map(Trigger::Stream)),
        "Schedule" => Ok(fields::read(&properties, what, scope, |fields| schedule::read(fields, id))?.map(Trigger::Schedule)),
        _ => Err(node.error(format!("events of type {kind} are not known to the local host"))),
    }
}

/// `ANY` stands for those that the path has not.
const METHODS: [&str; 8] = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

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
    let rule = |wanted| rules.iter().find(|(name, _)| name == wanted).map(|(_, value)| decoded(value)).unwrap_or_default();
    let notification = Notification { function: function.name.clone(), events, prefix: rule("prefix"), suffix: rule("suffix") };
    Ok((bucket.name.clone(), notification))
}

/// Filters are written as keys are in events: `My+photos%2F` is `My photos/`.
fn decoded(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// `None` if the mapping is switched off.
fn queue(fields: &mut Fields<'_>, id: String) -> Result<Option<QueueTrigger>, Error> {
    let queue = fields.resource("Queue", Kind::Queue, "Arn")?.ok_or_else(|| fields.missing("Queue"))?;
    let window = fields.seconds("MaximumBatchingWindowInSeconds", 0..=MOST_WINDOW)?.unwrap_or_default();
    // A larger batch has to be waited for.
    let most = if window.is_zero() { QUEUE_BATCH_SIZE } else { MOST_BATCH_SIZE };
    let enabled = fields.boolean("Enabled")?.unwrap_or(true);
    let trigger = QueueTrigger {
        id,
        queue_arn: queue.arn(),
        batch_size: fields.whole("BatchSize", 1..=most)?.unwrap_or(QUEUE_BATCH_SIZE) as usize,
        window,
        max_concurrency: fields.nested("ScalingConfig", |scaling| scaling.whole("MaximumConcurrency", 2..=1000))?.flatten(),
        filters: filters(fields)?,
        partial_failures: partial_failures(fields)?,
    };
    Ok(enabled.then_some(trigger))
}

/// `None` if the mapping is switched off.
fn stream(fields: &mut Fields<'_>, id: String) -> Result<Option<StreamTrigger>, Error> {
    let table = fields.resource("Stream", Kind::Table, "StreamArn")?.ok_or_else(|| fields.missing("Stream"))?;
    let start = match fields.required("StartingPosition")?.as_str() {
        "TRIM_HORIZON" => StartingPosition::Oldest,
        "LATEST" => StartingPosition::Latest,
        other => return Err(fields.place.error(format!("a DynamoDB stream is read from TRIM_HORIZON or LATEST, not from {other}"))),
    };
    let enabled = fields.boolean("Enabled")?.unwrap_or(true);
    let trigger = StreamTrigger {
        id,
        table: table.name.clone(),
        start,
        batch_size: fields.whole("BatchSize", 1..=MOST_BATCH_SIZE)?.unwrap_or(STREAM_BATCH_SIZE) as usize,
        window: fields.seconds("MaximumBatchingWindowInSeconds", 0..=MOST_WINDOW)?.unwrap_or_default(),
        filters: filters(fields)?,
        max_retries: limited(fields, "MaximumRetryAttempts", 0..=10_000)?,
        max_age: limited(fields, "MaximumRecordAgeInSeconds", 60..=604_800)?.map(|seconds| Duration::from_secs(seconds.into())),
        bisect: fields.boolean("BisectBatchOnFunctionError")?.unwrap_or_default(),
        partial_failures: partial_failures(fields)?,
        on_failure: on_failure(fields)?,
    };
    Ok(enabled.then_some(trigger))
}

/// A whole number, or -1 for no limit.
fn limited(fields: &mut Fields<'_>, name: &str, allowed: RangeInclusive<u32>) -> Result<Option<u32>, Error> {
    let Some(node) = fields.node(name)? else { return Ok(None) };
    let text = node.text()?;
    match text.parse() {
        Ok(number) if allowed.contains(&number) => Ok(Some(number)),
        _ if text == "-1" => Ok(None),
        _ => Err(node.error(format!("`{text}` is neither from {} to {} nor -1", allowed.start(), allowed.end()))),
    }
}

/// The patterns of `FilterCriteria`.
fn filters(fields: &mut Fields<'_>) -> Result<Vec<Value>, Error> {
    let filters = fields.nested("FilterCriteria", |criteria| criteria.each("Filters", pattern))?.unwrap_or_default();
    if filters.len() > MOST_FILTERS {
        return Err(fields.place.error(format!("a mapping has at most {MOST_FILTERS} filters")));
    }
    Ok(filters)
}

fn pattern(filter: &mut Fields<'_>) -> Result<Value, Error> {
    let pattern = filter.required("Pattern")?;
    if pattern.len() > LONGEST_PATTERN {
        return Err(filter.place.error(format!("a pattern has at most {LONGEST_PATTERN} characters")));
    }
    serde_json::from_str(&pattern).map_err(|error| filter.place.error(format!("the pattern is no JSON: {error}")))
}

fn partial_failures(fields: &mut Fields<'_>) -> Result<bool, Error> {
    let types = fields.texts("FunctionResponseTypes")?;
    match types.iter().find(|name| *name != "ReportBatchItemFailures") {
        Some(unknown) => Err(fields.place.error(format!("the response type {unknown} is not known to the local host"))),
        None => Ok(!types.is_empty()),
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
