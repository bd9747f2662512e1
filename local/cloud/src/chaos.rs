//! Faults on demand at the endpoint: those that every service has, and the switch at `/_tintype/chaos`.
//!
//! Around each request of a service stand its place's `delay_ms`, `error` and `throttle`, which leave it undone, and
//! `lost_answer`, which does it and closes the connection without an answer. What only one service can
//! do wrong lies with that service.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{CONTENT_TYPE, ORIGIN},
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;
use tintype_chaos::{Chaos, Fault, Place, Turn};

use crate::connection::Scissors;

/// Reads and changes the specification in force, in text.
pub(crate) const PATH: &str = "/_tintype/chaos";

const MAX_SPEC_BYTES: usize = 64 * 1024;

/// Why a request is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something went wrong inside.
    Error,
    /// There were too many requests.
    Throttle,
}

/// What the place does to a request before it is looked at: it waits, and may refuse. The turn knows what else strikes it.
pub(crate) async fn before(place: &Place) -> (Turn, Option<Refusal>) {
    before_all(place, &[]).await
}

/// The same where the request comes to several places, one after the other.
pub(crate) async fn before_all(place: &Place, others: &[Place]) -> (Turn, Option<Refusal>) {
    let turn = others.iter().fold(place.turn(), |turn, other| turn.and(other.turn()));
    place.delay().await;
    for other in others {
        other.delay().await;
    }
    let error = turn.strikes(Fault::Error).then_some(Refusal::Error);
    let refusal = error.or_else(|| turn.strikes(Fault::Throttle).then_some(Refusal::Throttle));
    (turn, refusal)
}

/// What happens to an answer: it may be lost on its way.
pub(crate) fn after(turn: &Turn, connection: &Scissors) {
    if turn.strikes(Fault::LostAnswer) {
        connection.cut();
    }
}

/// SQS' answer to a request that is not done.
pub(crate) fn queue_refusal(refusal: Refusal) -> Response {
    let (status, kind, query_code, message) = match refusal {
        Refusal::Error => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "com.amazon.coral.service#InternalFailure",
            "InternalFailure;Receiver",
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
        Refusal::Throttle => (
            StatusCode::BAD_REQUEST,
            "com.amazonaws.sqs#RequestThrottled",
            "RequestThrottled;Sender",
            "The request was denied due to request throttling.",
        ),
    };
    let mut response = (status, json!({"__type": kind, "message": message}).to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    // Where SDKs look for the code, as they did before the JSON protocol.
    response.headers_mut().insert("x-amzn-query-error", HeaderValue::from_static(query_code));
    response
}

/// Reads the specification in force (GET), puts another in its place (PUT), or ends all faults (DELETE).
pub(crate) async fn switch(chaos: &Chaos, request: Request<Body>) -> Response {
    // Any page that a browser on this machine shows could ask for it.
    if request.headers().contains_key(ORIGIN) {
        return text(StatusCode::FORBIDDEN, "not for web pages");
    }
    let spec = match *request.method() {
        Method::GET => return in_force(chaos),
        Method::DELETE => String::new(),
        Method::PUT => match Limited::new(request.into_body(), MAX_SPEC_BYTES).collect().await.map(|body| body.to_bytes().to_vec()) {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(_) => return text(StatusCode::PAYLOAD_TOO_LARGE, "the specification is too long"),
        },
        _ => return text(StatusCode::METHOD_NOT_ALLOWED, "GET, PUT or DELETE"),
    };
    match chaos.set(&spec) {
        Ok(()) => in_force(chaos),
        Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn in_force(chaos: &Chaos) -> Response {
    text(StatusCode::OK, &chaos.to_string())
}

/// One line; nothing if there is nothing to say.
fn text(status: StatusCode, line: &str) -> Response {
    let end = if line.is_empty() { "" } else { "\n" };
    let mut response = (status, format!("{line}{end}")).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
