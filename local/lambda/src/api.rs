//! Lambda's own API, as any AWS SDK or CLI calls it: `Invoke`, and as much of the descriptions of
//! functions as tools ask for before they invoke one.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, ORIGIN},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use tintype_template::deployment::Function;

use crate::{InvokeError, Lambda, invocation::Invocation, output::Tail};

/// Lambda's limits of an event: 6 MB if the caller waits, 1 MB if not.
const SYNCHRONOUS_LIMIT: usize = 6 * 1024 * 1024;
const ASYNCHRONOUS_LIMIT: usize = 1024 * 1024;

/// The one version of a function that there is.
const VERSION: &str = "$LATEST";

const REQUEST_ID: &str = "x-amzn-requestid";

pub(crate) fn router(lambda: Lambda) -> Router {
    Router::new()
        .route("/2015-03-31/functions", get(list))
        .route("/2015-03-31/functions/", get(list))
        .route("/2015-03-31/functions/{name}", get(describe))
        .route("/2015-03-31/functions/{name}/configuration", get(describe_configuration))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .fallback(async || not_emulated())
        .method_not_allowed_fallback(async || not_emulated())
        .layer(middleware::from_fn(refuse_web_pages))
        .with_state(lambda)
}

/// Nothing is signed here: any page that a browser on this machine shows could invoke functions. A browser says so.
async fn refuse_web_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        let message = "Functions are not invoked by web pages on this machine.";
        return refuse(StatusCode::FORBIDDEN, "AccessDeniedException", message).into_response();
    }
    next.run(request).await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Options {
    qualifier: Option<String>,
}

async fn list(State(lambda): State<Lambda>) -> Response {
    let mut functions: Vec<_> = lambda.functions().collect();
    functions.sort_by_key(|function| &function.name);
    let functions: Vec<_> = functions.into_iter().map(configuration).collect();
    json_response(&json!({ "Functions": functions, "NextMarker": null }))
}

async fn describe(State(lambda): State<Lambda>, Path(name): Path<String>, Query(options): Query<Options>) -> Response {
    let function = match find(&lambda, &name, options.qualifier.as_deref()) {
        Ok(function) => function,
        Err(refusal) => return refusal.into_response(),
    };
    let mut description = json!({ "Configuration": configuration(function), "Code": {} });
    if let Some(reserved) = function.concurrency {
        description["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    json_response(&description)
}

async fn describe_configuration(State(lambda): State<Lambda>, Path(name): Path<String>, Query(options): Query<Options>) -> Response {
    find(&lambda, &name, options.qualifier.as_deref())
        .map_or_else(IntoResponse::into_response, |function| json_response(&configuration(function)))
}

/// What is known of a function here, in Lambda's words.
fn configuration(function: &Function) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { std::env::consts::ARCH };
    json!({
        "FunctionName": function.name,
        "FunctionArn": function.arn,
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "PackageType": "Zip",
        "Architectures": [architecture],
        "Version": VERSION,
        "Timeout": function.timeout.as_secs(),
        "MemorySize": function.memory_mb,
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}

async fn invoke(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let name = match find(&lambda, &name, options.qualifier.as_deref()) {
        Ok(function) => &function.name,
        Err(refusal) => return refusal.into_response(),
    };
    let kind = header("x-amz-invocation-type").unwrap_or("RequestResponse");
    if !["RequestResponse", "Event", "DryRun"].contains(&kind) {
        return invalid("X-Amz-Invocation-Type must be RequestResponse, Event or DryRun").into_response();
    }
    let wants_log = match header("x-amz-log-type") {
        None | Some("None") => false,
        Some("Tail") => true,
        Some(_) => return invalid("X-Amz-Log-Type must be None or Tail").into_response(),
    };
    let payload = match event(body, if kind == "Event" { ASYNCHRONOUS_LIMIT } else { SYNCHRONOUS_LIMIT }).await {
        Ok(payload) => payload,
        Err(refusal) => return refusal.into_response(),
    };
    match kind {
        "Event" => match lambda.accept(name, &payload) {
            Ok(id) => (StatusCode::ACCEPTED, [(REQUEST_ID, id.to_string())]).into_response(),
            Err(error) => unavailable(&error.to_string()).into_response(),
        },
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        _ => {
            let mut invocation = Invocation::synchronous(payload, header("x-amzn-trace-id").unwrap_or_default(), false);
            invocation.tail = wants_log.then(Tail::default);
            let (id, tail) = (invocation.request_id.clone(), invocation.tail.clone());
            let mut response = answer(name, lambda.run(name, invocation).await);
            let log = tail.map(|tail| ("x-amz-log-result", BASE64_STANDARD.encode(tail.bytes())));
            for (name, value) in [(REQUEST_ID, id)].into_iter().chain(log) {
                // Hexadecimal and base64: always values of headers.
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            response
        }
    }
}

/// The event of a request: JSON, `{}` if there is none.
async fn event(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let Ok(payload) = to_bytes(body, limit).await else {
        let message = format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message));
    };
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(error) => {
            let message = format!("Could not parse request body into json: {error}");
            Err(refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &message))
        }
    }
}

/// The function of a name: its own, its ARN or the end of that, and perhaps a qualifier, which may also be given besides.
fn find<'a>(lambda: &'a Lambda, given: &str, qualifier: Option<&str>) -> Result<&'a Function, Refusal> {
    let is_part_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.:$".contains(letter);
    if !given.chars().all(is_part_of_a_name) {
        let message = format!("1 validation error detected: Value '{given}' at 'functionName' is neither a name nor an ARN");
        return Err(refuse(StatusCode::BAD_REQUEST, "ValidationException", &message));
    }
    let named = |name: &str| {
        lambda.functions().find(|function| {
            let before = function.arn.strip_suffix(name);
            function.name == name || before.is_some_and(|before| before.is_empty() || before.ends_with(':'))
        })
    };
    let (function, within) = match (named(given), given.rsplit_once(':')) {
        (None, Some((name, qualifier))) => (named(name), Some(qualifier)),
        (function, _) => (function, None),
    };
    let qualifier = match (within, qualifier) {
        (Some(within), Some(besides)) if within != besides => {
            return Err(invalid("The derived qualifier from the function name does not match the specified qualifier."));
        }
        (within, besides) => within.or(besides),
    };
    match (function, qualifier) {
        (Some(function), None | Some(VERSION)) => Ok(function),
        (Some(function), Some(qualifier)) => Err(no_such_function(&format!("{}:{qualifier}", function.arn))),
        (None, _) => Err(no_such_function(given)),
    }
}

fn answer(name: &str, result: Result<Bytes, InvokeError>) -> Response {
    let executed = [("x-amz-executed-version", VERSION), (CONTENT_TYPE.as_str(), "application/json")];
    let refusal = match result {
        Ok(answer) => return (executed, answer).into_response(),
        Err(InvokeError::UnknownFunction) => no_such_function(name),
        Err(error @ InvokeError::Throttled) => refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &error.to_string()),
        Err(error @ InvokeError::Stopping) => unavailable(&error.to_string()),
        Err(error) => return (executed, [("x-amz-function-error", "Unhandled")], error.payload()).into_response(),
    };
    refusal.into_response()
}

fn json_response(body: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Why Lambda does not do what it was asked for.
struct Refusal {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = if self.status.is_server_error() { "Service" } else { "User" };
        let body = json!({ "Type": kind, "Message": self.message }).to_string();
        let headers = [("x-amzn-errortype", self.error_type), (CONTENT_TYPE.as_str(), "application/json")];
        (self.status, headers, body).into_response()
    }
}

fn refuse(status: StatusCode, error_type: &'static str, message: &str) -> Refusal {
    Refusal { status, error_type, message: message.to_owned() }
}

fn no_such_function(name: &str) -> Refusal {
    refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &format!("Function not found: {name}"))
}

fn invalid(message: &str) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
}

fn not_emulated() -> Refusal {
    refuse(StatusCode::NOT_FOUND, "UnknownOperationException", "This operation of Lambda is not emulated on this machine.")
}

fn unavailable(message: &str) -> Refusal {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", message)
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
