//! The Lambda proxy integration: the function is asked with an event, and its answer becomes the response.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use serde_json::{Map, Value};
use tintype_cloud::say;
use tintype_lambda::InvokeError;

use crate::{call::Call, context::Journey, event, refusal::Refusal};

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);
/// The largest payload of a synchronous invocation.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// Invokes a function: Lambda, or what a test puts in its place.
pub(crate) type Invoke = Arc<dyn Fn(Invocation) -> Answer + Send + Sync>;
/// The answer to come.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Bytes, InvokeError>> + Send>>;

/// What a function is asked.
pub(crate) struct Invocation {
    /// Physical name.
    pub(crate) function: String,
    /// The event.
    pub(crate) payload: Bytes,
    /// Trace header.
    pub(crate) trace: String,
    /// Whether asking twice does no harm.
    pub(crate) repeatable: bool,
}

/// Headers of a function's answer that API Gateway writes itself: the function's go on as `x-amzn-Remapped-{name}`.
const REMAPPED: [&str; 11] = [
    "connection",
    "content-length",
    "content-md5",
    "date",
    "host",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "trailer",
    "upgrade",
    "www-authenticate",
];
const DROPPED: [&str; 2] = ["expect", "transfer-encoding"];

/// Asks the function behind a route and makes a response of its answer.
pub(crate) async fn respond(
    invoke: &Invoke,
    function: &str,
    payload: Bytes,
    call: &Call,
    binary_media_types: &[String],
    journey: &mut Journey<'_>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Refusal::RequestTooLarge);
    }
    // API Gateway repeats nothing. What only looks is repeated here where its worker is killed; of anything else the first attempt may
    // have been done, and the second would tell the client otherwise: that what it deleted was never there.
    let repeatable = matches!(call.method, Method::GET | Method::HEAD);
    let invocation = Invocation { function: function.to_owned(), payload, trace: call.trace_header(), repeatable };
    let asked = Instant::now();
    let answer = tokio::time::timeout(INTEGRATION_TIMEOUT, invoke(invocation)).await;
    journey.integration_latency = Some(asked.elapsed());
    let answer = answer.map_err(|_| Refusal::IntegrationTimeout)?.map_err(|error| refusal(function, &error))?;

    let answer = ProxyResponse::parse(&answer).map_err(|what| {
        say("gateway", &format!("{function}: malformed Lambda proxy response: {what}"));
        Refusal::IntegrationFailure
    })?;
    // Only a client whose (first) `Accept` is a binary media type gets bytes; any other gets the base64.
    let decode = answer.is_base64_encoded && event::is_binary(binary_media_types, call.headers.get(ACCEPT));
    let body =
        if decode { BASE64_STANDARD.decode(&answer.body).map_err(|_| Refusal::ApiConfigurationError)? } else { answer.body.into_bytes() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Whatever goes wrong in a function, its own timeout too, is a failed integration; what Lambda does not take is not the function's.
fn refusal(function: &str, error: &InvokeError) -> Refusal {
    match error {
        InvokeError::TimedOut { .. } | InvokeError::Crashed { .. } | InvokeError::FunctionError { .. } => Refusal::IntegrationFailure,
        InvokeError::UnknownFunction => {
            say("gateway", &format!("{function}: no such function"));
            Refusal::InvocationRejected
        }
        InvokeError::Throttled | InvokeError::Stopping => Refusal::InvocationRejected,
    }
}

/// A function's answer, read.
#[derive(Debug)]
struct ProxyResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    is_base64_encoded: bool,
}

impl ProxyResponse {
    /// Reads an answer. Nothing in it is required, but what is not known is malformed; the error says what.
    fn parse(answer: &[u8]) -> Result<Self, &'static str> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(answer) else {
            return Err("it is not a JSON object");
        };
        let mut take = |name: &str| fields.remove(name).unwrap_or(Value::Null);
        let response = Self {
            status: status(&take("statusCode"))?,
            headers: headers(take("headers"), take("multiValueHeaders"))?,
            body: match take("body") {
                Value::Null => String::new(),
                Value::String(text) => text,
                _ => return Err("body is not a string"),
            },
            is_base64_encoded: match take("isBase64Encoded") {
                Value::Null => false,
                Value::Bool(encoded) => encoded,
                _ => return Err("isBase64Encoded is not a boolean"),
            },
        };
        if fields.is_empty() { Ok(response) } else { Err("it has a field that no proxy response has") }
    }
}

/// An integer, or a string of one; 200 if there is none.
fn status(value: &Value) -> Result<StatusCode, &'static str> {
    let code = match value {
        Value::Null => Some(200),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    code.and_then(|code| u16::try_from(code).ok())
        .filter(|code| (200..=599).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or("statusCode is not an integer from 200 to 599")
}

/// Both kinds of headers in one list, a pair that both have once.
fn headers(single: Value, multiple: Value) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    for (name, values) in object(multiple, "multiValueHeaders is not an object")? {
        let Value::Array(values) = values else { return Err("a value of multiValueHeaders is not a list") };
        for value in &values {
            add(&mut headers, &name, value)?;
        }
    }
    for (name, value) in object(single, "headers is not an object")? {
        add(&mut headers, &name, &value)?;
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(headers)
}

fn object(value: Value, otherwise: &'static str) -> Result<Map<String, Value>, &'static str> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(fields) => Ok(fields),
        _ => Err(otherwise),
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &Value) -> Result<(), &'static str> {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return Err("a header's value is not a string"),
    };
    let name = name.to_ascii_lowercase();
    if DROPPED.contains(&name.as_str()) {
        return Ok(());
    }
    let name = if REMAPPED.contains(&name.as_str()) { format!("x-amzn-remapped-{name}") } else { name };
    let name: HeaderName = name.parse().map_err(|_| "a header's name is invalid")?;
    let value: HeaderValue = value.parse().map_err(|_| "a header's value has characters that no header can have")?;
    if !headers.get_all(&name).iter().any(|present| present == value) {
        headers.append(name, value);
    }
    Ok(())
}
