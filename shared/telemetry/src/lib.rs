//! What a function says of itself: one canonical JSON line for every request or message, with its metrics inside.
//!
//! The line is at the same time CloudWatch's embedded metric format (the `_aws` member), so that what is counted and what is
//! logged can't differ: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! `docs/LOGGING.md` says which fields there are and what must never be in one.

use std::{
    cell::RefCell,
    future::Future,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::{Map, Value};

/// What a unit of work is called in its line.
#[derive(Debug, Clone)]
pub struct Work {
    /// The function, for example `posts`.
    pub service: &'static str,
    /// The route or kind of message, for example `GET /posts/{post_id}` or `post.published`: few values, it is a metric's dimension.
    pub operation: String,
    /// The gateway's request id, or the message's id.
    pub request_id: String,
    /// The `X-Amzn-Trace-Id` that this work belongs to; empty if there is none.
    pub trace_id: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// The caller's fault: 4xx, or a message that can never succeed.
    Rejected,
    /// Ours, or a dependency's: 5xx, or a message that will be tried again.
    Failed,
}

struct Line {
    work: Work,
    started: Instant,
    fields: Map<String, Value>,
}

tokio::task_local! {
    static LINE: RefCell<Line>;
}

/// Does `work`, then writes its line to the standard output. `outcome` judges the result.
pub async fn observe<T>(work: Work, body: impl Future<Output = T>, outcome: impl FnOnce(&T) -> Outcome) -> T {
    let line = RefCell::new(Line { work, started: Instant::now(), fields: Map::new() });
    LINE.scope(line, async {
        let result = body.await;
        let outcome = outcome(&result);
        LINE.with(|line| println!("{}", render(&line.borrow(), outcome)));
        result
    })
    .await
}

/// Puts a field on the current line (outside of one: nothing). Names are dotted and carry their unit, `feed.items`, `photo.decode_ms`.
pub fn field(name: &str, value: impl Into<Value>) {
    let _ = LINE.try_with(|line| line.borrow_mut().fields.insert(name.to_owned(), value.into()));
}

/// Adds to a number on the current line.
pub fn add(name: &str, amount: f64) {
    let _ = LINE.try_with(|line| {
        let fields = &mut line.borrow_mut().fields;
        let sum = fields.get(name).and_then(Value::as_f64).unwrap_or(0.0) + amount;
        fields.insert(name.to_owned(), sum.into());
    });
}

/// Adds to a whole number on the current line.
pub fn count(name: &str, amount: usize) {
    let _ = LINE.try_with(|line| {
        let fields = &mut line.borrow_mut().fields;
        let sum = fields.get(name).and_then(Value::as_u64).unwrap_or(0) + amount as u64;
        fields.insert(name.to_owned(), sum.into());
    });
}

/// Says on the current line that `what` of the answer is old or missing, because what it comes from fails just now.
pub fn degrade(what: &str) {
    let _ = LINE.try_with(|line| {
        let fields = &mut line.borrow_mut().fields;
        if let Value::Array(all) = fields.entry("degraded").or_insert_with(|| Value::Array(Vec::new()))
            && !all.iter().any(|said| said == what)
        {
            all.push(what.into());
        }
    });
}

/// What was said to be old or missing on the current line, each once.
pub fn degraded() -> Vec<String> {
    let all = LINE.try_with(|line| line.borrow().fields.get("degraded").and_then(Value::as_array).cloned()).ok().flatten();
    all.unwrap_or_default().iter().filter_map(|what| what.as_str().map(str::to_owned)).collect()
}

/// A number on the current line, as it is by now; zero if it is not there.
pub fn number(name: &str) -> f64 {
    LINE.try_with(|line| line.borrow().fields.get(name).and_then(Value::as_f64)).ok().flatten().unwrap_or_default()
}

/// Says what the work turned out to be, where it is only known once it has begun.
pub fn operation(name: &str) {
    let _ = LINE.try_with(|line| name.clone_into(&mut line.borrow_mut().work.operation));
}

/// How long the current work has been going on; nothing outside of one.
pub fn elapsed() -> Duration {
    LINE.try_with(|line| line.borrow().started.elapsed()).unwrap_or_default()
}

/// The current work's trace id; empty outside of one.
pub fn trace_id() -> String {
    LINE.try_with(|line| line.borrow().work.trace_id.clone()).unwrap_or_default()
}

/// The current work's request id; empty outside of one.
pub fn request_id() -> String {
    LINE.try_with(|line| line.borrow().work.request_id.clone()).unwrap_or_default()
}

/// A line as it is written. Its metrics are always the same, but for those of outgoing calls that go wrong.
#[derive(Serialize)]
struct Written<'l> {
    #[serde(flatten)]
    fields: &'l Map<String, Value>,
    service: &'static str,
    operation: &'l str,
    request_id: &'l str,
    trace_id: &'l str,
    outcome: &'static str,
    duration_ms: f64,
    count: u8,
    rejected: u8,
    failed: u8,
    #[serde(rename = "_aws")]
    aws: Aws,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    timestamp: u64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 2],
    metrics: Vec<Metric>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

const NAMESPACE: &str = "Tintype";

const OF_EVERY_LINE: [Metric; 4] = [
    Metric { name: "duration_ms", unit: "Milliseconds" },
    Metric { name: "count", unit: "Count" },
    Metric { name: "rejected", unit: "Count" },
    Metric { name: "failed", unit: "Count" },
];

/// Of lines that have them: what the breakers of outgoing calls did, and what was tried again.
const OF_CALLS: [Metric; 4] = [
    Metric { name: "breaker.opened", unit: "Count" },
    Metric { name: "breaker.refused", unit: "Count" },
    Metric { name: "bulkhead.refused", unit: "Count" },
    Metric { name: "dependency.retries", unit: "Count" },
];

fn directives(fields: &Map<String, Value>) -> Vec<Directive> {
    let of_every_line =
        Directive { namespace: NAMESPACE, dimensions: [&["service"], &["service", "operation"]], metrics: OF_EVERY_LINE.to_vec() };
    let of_calls: Vec<Metric> = OF_CALLS.into_iter().filter(|metric| fields.contains_key(metric.name)).collect();
    let of_calls = (!of_calls.is_empty()).then_some(Directive { namespace: NAMESPACE, dimensions: [&[], &["service"]], metrics: of_calls });
    [of_every_line].into_iter().chain(of_calls).collect()
}

fn render(line: &Line, outcome: Outcome) -> String {
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let written = Written {
        fields: &line.fields,
        service: line.work.service,
        operation: &line.work.operation,
        request_id: &line.work.request_id,
        trace_id: &line.work.trace_id,
        outcome: name(outcome),
        duration_ms: line.started.elapsed().as_secs_f64() * 1000.0,
        count: 1,
        rejected: u8::from(outcome == Outcome::Rejected),
        failed: u8::from(outcome == Outcome::Failed),
        aws: Aws { timestamp: u64::try_from(timestamp).unwrap_or(0), cloud_watch_metrics: directives(&line.fields) },
    };
    serde_json::to_string(&written).expect("texts and numbers are JSON")
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Rejected => "rejected",
        Outcome::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_has_the_fields_and_every_metric_that_it_declares() {
        let work = Work {
            service: "posts",
            operation: "GET /posts/{post_id}".to_owned(),
            request_id: "r-1".to_owned(),
            trace_id: "Root=1".to_owned(),
        };
        let line = RefCell::new(Line { work, started: Instant::now(), fields: Map::new() });
        let rendered = LINE
            .scope(line, async {
                field("post.photos", 3);
                add("dynamodb.read_units", 0.5);
                add("dynamodb.read_units", 1.0);
                assert_eq!((number("dynamodb.read_units"), number("dynamodb.write_units")), (1.5, 0.0));
                degrade("likes");
                degrade("posts");
                degrade("likes");
                assert_eq!(degraded(), ["likes", "posts"]);
                assert_eq!((trace_id().as_str(), request_id().as_str()), ("Root=1", "r-1"));
                LINE.with(|line| render(&line.borrow(), Outcome::Rejected))
            })
            .await;
        let line: Value = serde_json::from_str(&rendered).expect("one line of JSON");
        assert!(!rendered.contains('\n'));
        assert_eq!(line["post.photos"], 3);
        assert_eq!(line["dynamodb.read_units"], 1.5);
        assert_eq!((line["rejected"].clone(), line["failed"].clone()), (1.into(), 0.into()));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().expect("metrics") {
            assert!(line[metric["Name"].as_str().expect("a name")].is_number(), "{metric}");
        }
        for dimension in directive["Dimensions"][1].as_array().expect("dimensions") {
            assert!(line[dimension.as_str().expect("a name")].is_string(), "{dimension}");
        }
    }

    #[test]
    fn what_the_breakers_did_is_a_metric_of_the_lines_that_say_it() {
        let fields = Map::from_iter([("breaker.refused".to_owned(), 2.into()), ("breaker.posts_table".to_owned(), "open".into())]);
        let written = serde_json::to_value(directives(&fields)).expect("JSON");
        assert_eq!(written[1]["Metrics"], serde_json::json!([{"Name": "breaker.refused", "Unit": "Count"}]));
        assert_eq!(written[1]["Dimensions"], serde_json::json!([[], ["service"]]));
        assert_eq!(directives(&Map::new()).len(), 1);
    }

    #[test]
    fn outside_of_work_nothing_happens() {
        field("lost", 1);
        degrade("lost");
        assert_eq!((trace_id(), number("lost"), degraded()), (String::new(), 0.0, vec![]));
    }
}
