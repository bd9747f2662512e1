//! The Lambda runtime's loop around an axum router.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderValue, StatusCode, Uri, header};
use lambda_http::{Error, RequestExt, request::RequestContext, service_fn, tower::ServiceExt};
use tintype_auth::Verifier;
use tintype_telemetry::{self as telemetry, Outcome, Work};

use crate::problem::Problem;

/// Answers the gateway's events with `router`, whose paths are those of the API without stage, until the runtime ends.
pub async fn serve(name: &'static str, router: Router, verifier: Option<Verifier>) -> Result<(), Error> {
    let router = service(router, verifier);
    lambda_http::run(service_fn(move |event: lambda_http::Request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(name, router, event).await) }
    }))
    .await
}

/// `router` with what every function adds: the viewer's verifier, the log line's operation, problems for what has no route, cache rules.
pub fn service(router: Router, verifier: Option<Verifier>) -> Router {
    let verifier = verifier.map(Arc::new);
    router
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This can't be done here.")
        })
        .fallback(|| async { Problem::not_found() })
        .layer(middleware::from_fn(move |request, next| edge(verifier.clone(), request, next)))
}

async fn edge(verifier: Option<Arc<Verifier>>, mut request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        telemetry::operation(&format!("{} {}", request.method(), path.as_str()));
    }
    if let Some(verifier) = verifier {
        request.extensions_mut().insert(verifier);
    }
    let mut response = next.run(request).await;
    // What is not said to be public or secret is personal: nobody between us and the person may keep it.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
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

    #[tokio::test]
    async fn an_answer_leaves_its_length_to_the_gateway() {
        let event = include_str!("../../../events/home/health.json");
        let router = service(Router::new().route("/health", get(|| async { "ok" })), None);
        let response = answer("test", router, lambda_http::request::from_str(event).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get(header::CONTENT_LENGTH), None);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
    }
}
