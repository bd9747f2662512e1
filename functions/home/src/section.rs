//! A section of home: which function is asked for it, for what, and for how long.

use std::time::{Duration, Instant};

use aws_lambda_events::encodings::Body;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json, value::RawValue};
use tintype_auth::Identity;
use tintype_edge::{DEGRADED, on_behalf_of};
use tintype_guard::Address;
use tintype_resilience::Dependency;
#[cfg(test)]
use tintype_resilience::breaker::State;
use tintype_telemetry as telemetry;

use crate::lambda::{Failure, Lambda};

/// A part of home that another function knows.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// As the answer calls it.
    pub(crate) name: &'static str,
    function: String,
    /// What stands before the function: while it fails again and again nobody waits for it.
    dependency: Dependency,
    /// The route of that function.
    path: &'static str,
    /// Since the request came, so that all are over within a second whatever was slow before.
    deadline: Duration,
}

/// What came of a section.
#[derive(Debug)]
pub(crate) struct Part {
    /// The function's answer, as it is; `None`: it is missing.
    pub(crate) body: Option<Box<RawValue>>,
    /// It is missing, or made of what may be old.
    pub(crate) is_degraded: bool,
    /// How long it was waited for, up to the deadline.
    pub(crate) waited: Duration,
}

/// For whom a section is asked.
pub(crate) struct Asker<'r> {
    pub(crate) identity: &'r Identity,
    /// Of the request that the person has made.
    pub(crate) headers: &'r HeaderMap,
    /// What the gateway saw.
    pub(crate) source_ip: Option<&'r str>,
}

impl Section {
    /// Asked of `function`, which logs call `dependency`.
    pub(crate) fn new(name: &'static str, function: String, dependency: &str, path: &'static str, deadline: Duration) -> Self {
        Self { name, function, dependency: Dependency::new(dependency), path, deadline }
    }

    /// What the function's breaker lets through now.
    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.dependency.state()
    }

    /// Asks for up to `limit` items, and says in the log how long it took and what went wrong.
    pub(crate) async fn ask(&self, lambda: &Lambda, asker: &Asker<'_>, limit: usize) -> Part {
        let started = Instant::now();
        let left = self.deadline.saturating_sub(telemetry::elapsed());
        let event = self.event(asker, limit);
        // A call that hangs is dropped with its connection. If others have had most of the time, it is not the function that is slow.
        let answer = self.dependency.call_in_what_is_left(left, self.deadline / 2, self.call(lambda, &event), is_failure).await;
        let took = started.elapsed();
        telemetry::field(&format!("home.{}_ms", self.name), milliseconds(took));
        let waited = took.min(left);
        match answer {
            Ok((body, is_degraded)) => Part { body: Some(body), is_degraded, waited },
            Err(refusal) => {
                telemetry::field(&format!("home.{}_error", self.name), refusal.to_string());
                Part { body: None, is_degraded: true, waited }
            }
        }
    }

    /// Its body, and whether the function says that it is degraded.
    async fn call(&self, lambda: &Lambda, event: &Value) -> Result<(Box<RawValue>, bool), Failure> {
        let answer = lambda.invoke(&self.function, event, &telemetry::trace_id()).await?;
        if answer.status_code != 200 {
            return Err(Failure::Status(answer.status_code));
        }
        let body = match answer.body {
            Some(Body::Text(text)) => text,
            _ => String::new(),
        };
        let is_degraded = [&answer.headers, &answer.multi_value_headers].iter().any(|headers| headers.contains_key(&DEGRADED));
        Ok((RawValue::from_string(body).map_err(Failure::Unreadable)?, is_degraded))
    }

    /// What the gateway would send for `GET {path}?limit=` (payload 1.0), had it this request to pass on. Its id is that of the person's
    /// request, so that one id finds the lines of all functions.
    fn event(&self, asker: &Asker<'_>, limit: usize) -> Value {
        let passed_on = [header::USER_AGENT.as_str()].into_iter().chain(Address::HEADERS);
        let given = passed_on.filter_map(|name| Some((name, asker.headers.get(name)?.to_str().ok()?.to_owned())));
        let headers: Vec<(&str, String)> = given.chain([("x-amzn-trace-id", telemetry::trace_id())]).collect();
        let one_each: Map<String, Value> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let lists: Map<String, Value> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
        let limit = limit.to_string();
        json!({
            "resource": self.path,
            "path": self.path,
            "httpMethod": "GET",
            "headers": one_each,
            "multiValueHeaders": lists,
            "queryStringParameters": {"limit": limit},
            "multiValueQueryStringParameters": {"limit": [limit]},
            "pathParameters": null,
            "stageVariables": null,
            "requestContext": {
                "authorizer": on_behalf_of(asker.identity, "home"),
                "httpMethod": "GET",
                "identity": {"sourceIp": asker.source_ip, "userAgent": one_each.get(header::USER_AGENT.as_str())},
                "path": format!("/v1{}", self.path),
                "protocol": "HTTP/1.1",
                "requestId": telemetry::request_id(),
                "resourcePath": self.path,
                "stage": "v1",
            },
            "body": null,
            "isBase64Encoded": false,
        })
    }
}

/// Whether the function fails, whoever asks. What it answers about one person (4xx), or always gets wrong about them (500, what can't be read),
/// is an answer: else one person who comes again and again would shut a section for everybody.
fn is_failure(answer: &Result<(Box<RawValue>, bool), Failure>) -> bool {
    match answer {
        Ok(_) | Err(Failure::Unreadable(_)) => false,
        Err(Failure::Status(status)) => matches!(status, 503 | 504),
        Err(Failure::Refused(status)) => *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
        Err(Failure::Unanswered(_) | Failure::Failed(_)) => true,
    }
}

/// With one decimal.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
