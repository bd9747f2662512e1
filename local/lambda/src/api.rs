//! `Invoke`, as any AWS SDK or CLI calls it.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::{InvokeError, Lambda};

/// Lambda's limits of an event: 6 MB if the caller waits, 1 MB if not.
const SYNCHRONOUS_LIMIT: usize = 6 * 1024 * 1024;
const ASYNCHRONOUS_LIMIT: usize = 1024 * 1024;

pub(crate) fn router(lambda: Lambda) -> Router {
    Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke)).with_state(lambda)
}

async fn invoke(State(lambda): State<Lambda>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let name = function_name(&name);
    if lambda.pool(name).is_none() {
        return no_such_function(name);
    }
    let kind = header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let limit = if kind == "Event" { ASYNCHRONOUS_LIMIT } else { SYNCHRONOUS_LIMIT };
    let Ok(payload) = to_bytes(body, limit).await else {
        return refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            &format!("Request must be smaller than {limit} bytes for the Invoke operation"),
        );
    };
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&payload) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            &format!("Could not parse request body into json: {error}"),
        );
    }
    match kind {
        "RequestResponse" => {
            let trace_id = header("x-amzn-trace-id").unwrap_or_default();
            answer(name, lambda.invoke(name, payload, trace_id, false).await)
        }
        "Event" => match lambda.invoke_later(name, &payload) {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(error) => unavailable(&error.to_string()),
        },
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        _ => refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "X-Amz-Invocation-Type must be RequestResponse, Event or DryRun",
        ),
    }
}

/// A function is named by its name or its ARN, perhaps with a qualifier (there is one version).
fn function_name(name: &str) -> &str {
    let name = name.rsplit_once("function:").map_or(name, |(_, name)| name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

fn answer(name: &str, result: Result<Bytes, InvokeError>) -> Response {
    let executed = [("x-amz-executed-version", "$LATEST"), (CONTENT_TYPE.as_str(), "application/json")];
    match result {
        Ok(answer) => (executed, answer).into_response(),
        Err(InvokeError::UnknownFunction) => no_such_function(name),
        Err(InvokeError::Throttled) => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &InvokeError::Throttled.to_string())
        }
        Err(InvokeError::Stopping) => unavailable(&InvokeError::Stopping.to_string()),
        Err(error) => (executed, [("x-amz-function-error", "Unhandled")], error.payload()).into_response(),
    }
}

fn no_such_function(name: &str) -> Response {
    refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &format!("Function not found: {name}"))
}

fn unavailable(message: &str) -> Response {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", message)
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response {
    let kind = if status.is_server_error() { "Service" } else { "User" };
    let body = json!({ "Type": kind, "Message": message }).to_string();
    let headers = [("x-amzn-errortype", error_type), (CONTENT_TYPE.as_str(), "application/json")];
    (status, headers, body).into_response()
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
