//! The Lambda runtime's loop around an axum router.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use lambda_http::{Error, RequestExt, request::RequestContext, service_fn, tower::ServiceExt};
use tintype_auth::Verifier;
use tintype_guard::Guard;
use tintype_telemetry::{self as telemetry, Outcome, Work};

use crate::{admission, conditional, idempotency::Claims, problem::Problem, security};

/// What pages of other origins may read of an answer, besides its body and type.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("ETag, Idempotent-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, Tintype-Degraded");

/// What of an answer is old or missing, because a table fails just now: the names that the log line has, too.
pub const DEGRADED: HeaderName = HeaderName::from_static("tintype-degraded");

/// Who tells at a function's edge who calls, and who may pass.
#[derive(Clone, Default)]
pub struct Edge {
    verifier: Option<Arc<Verifier>>,
    guard: Arc<Guard>,
}

impl Edge {
    /// With a guard of one's own.
    pub fn of(verifier: Verifier, guard: Guard) -> Self {
        Self { verifier: Some(Arc::new(verifier)), guard: Arc::new(guard) }
    }
}

/// With the guard of the environment, which uses the verifier's connection. Without a verifier, as in tests, nobody is held up.
impl From<Option<Verifier>> for Edge {
    fn from(verifier: Option<Verifier>) -> Self {
        let guard = verifier.as_ref().map(|verifier| Guard::from_env(&verifier.users().client)).unwrap_or_default();
        Self { verifier: verifier.map(Arc::new), guard: Arc::new(guard) }
    }
}

/// Where nobody needs to say who they are.
impl From<Guard> for Edge {
    fn from(guard: Guard) -> Self {
        Self { verifier: None, guard: Arc::new(guard) }
    }
}

/// Answers the gateway's events with `router`, whose paths are those of the API without stage, until the runtime ends.
pub async fn serve(name: &'static str, router: Router, edge: impl Into<Edge>) -> Result<(), Error> {
    let router = service(router, edge);
    lambda_http::run(service_fn(move |event: lambda_http::Request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(name, router, event).await) }
    }))
    .await
}

/// `router` with what every function adds: who calls and whether they may, the log line's operation, problems for what has no route,
/// rules for caches, for browsers and for pages of other origins.
pub fn service(router: Router, edge: impl Into<Edge>) -> Router {
    let edge = edge.into();
    router
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This can't be done here.")
        })
        // As the gateway says it of a method that a route does not have.
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not-found", "No such route.") })
        .layer(middleware::from_fn(move |request, next| pass(edge.clone(), request, next)))
        .layer(middleware::from_fn(conditional::layer))
        .layer(middleware::from_fn(security::layer))
}

async fn pass(edge: Edge, mut request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        telemetry::operation(&format!("{} {}", request.method(), path.as_str()));
    }
    let extensions = request.extensions_mut();
    if let Some(verifier) = edge.verifier {
        extensions.insert(verifier);
    }
    if let Some(table) = edge.guard.table() {
        extensions.insert(Claims::new(table.clone()));
    }
    let mut response = admission::admit(edge.guard, request, next).await;
    let is_success = response.status().is_success();
    let headers = response.headers_mut();
    // Any origin, as the template's `Cors` says to preflights: only the token that a page has gives access, and no browser adds it
    // by itself. The gateway passes on what we say and adds nothing.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    // Of an error nothing is old: it is missing whole, and says so.
    let degraded = if is_success { telemetry::degraded() } else { Vec::new() };
    if !degraded.is_empty()
        && let Ok(degraded) = HeaderValue::from_str(&degraded.join(", "))
    {
        headers.insert(DEGRADED, degraded);
    }
    response
}

/// Answers one event of the gateway, and writes its log line. `router` is one that [`service`] has made.
pub async fn answer(name: &'static str, router: Router, event: lambda_http::Request) -> Response {
    let work = Work {
        service: name,
        operation: "unmatched".to_owned(),
        request_id: request_id(&event),
        trace_id: event.lambda_context_ref().and_then(|context| context.xray_trace_id.clone()).unwrap_or_default(),
    };
    let request = to_axum(event);
    let mut response =
        telemetry::observe(work, async move { router.oneshot(request).await.unwrap_or_else(|never| match never {}) }, outcome).await;
    // The gateway sets its own; ours, which axum sets last of all, would reach the client as `x-amzn-remapped-content-length`.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// The gateway's request id: the one that its own answers and access log carry.
fn request_id(event: &lambda_http::Request) -> String {
    let from_gateway = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.request_id.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    from_gateway.or_else(|| event.lambda_context_ref().map(|context| context.request_id.clone())).unwrap_or_default()
}

/// One path whatever the host: no stage, no base path.
fn to_axum(event: lambda_http::Request) -> Request {
    let raw = event.raw_http_path();
    let path = raw.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(raw);
    let path_and_query = match event.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let (mut parts, body) = event.into_parts();
    parts.uri = path_and_query.parse().unwrap_or_else(|_| Uri::from_static("/"));
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    Request::from_parts(parts, body)
}

fn outcome(response: &Response) -> Outcome {
    telemetry::field("http.status", response.status().as_u16());
    match response.status() {
        status if status.is_server_error() => Outcome::Failed,
        status if status.is_client_error() => Outcome::Rejected,
        _ => Outcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use serde_json::json;

    #[tokio::test]
    async fn an_answer_leaves_its_length_to_the_gateway() {
        let event = include_str!("../../../events/home/health.json");
        let router = service(Router::new().route("/health", get(|| async { "ok" })), None);
        let response = answer("test", router, lambda_http::request::from_str(event).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get(header::CONTENT_LENGTH), None);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
    }

    #[tokio::test]
    async fn pages_of_every_origin_may_read_every_answer() {
        let event = include_str!("../../../events/home/health.json");
        let found = Router::new().route("/health", get(|| async { "ok" }));
        for (router, status) in [(found, 200), (Router::new(), 404)] {
            let response = answer("test", service(router, None), lambda_http::request::from_str(event).unwrap()).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(response.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS], EXPOSED_HEADERS);
        }
    }

    /// As `cargo lambda watch` puts it, and Lambda's function URLs do: payload 2.0, no stage, and the path as it was asked for.
    #[tokio::test]
    async fn an_event_of_payload_2_finds_its_route_with_and_without_the_base_path() {
        for path in ["/v1/me", "/me"] {
            let event = json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "limit=2", "isBase64Encoded": false,
                "headers": {"host": "127.0.0.1:9000"}, "queryStringParameters": {"limit": "2"},
                "requestContext": {
                    "stage": "$default", "routeKey": "$default", "timeEpoch": 0,
                    "http": {"method": "GET", "path": path, "protocol": "http", "sourceIp": "127.0.0.1", "userAgent": "curl"},
                },
            });
            let whole = |uri: Uri| async move { uri.to_string() };
            let router = service(Router::new().route("/me", get(whole)), None);
            let response = answer("test", router, lambda_http::request::from_str(&event.to_string()).unwrap()).await;
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, "/me?limit=2", "{path}");
        }
    }
}
