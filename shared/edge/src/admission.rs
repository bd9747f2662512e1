//! Who may pass: bans, rate limits, and what an answer says of them.
//!
//! An address that is banned may still do what a living session does, so that nobody is shut out by a neighbour behind the same
//! address; but it signs nobody up and in. Limits are told as draft-ietf-httpapi-ratelimit-headers-10 has it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts};
use lambda_http::request::RequestContext;
use tintype_guard::{Address, Allowance, Class, Exceeded, Guard, Policy};
use tintype_telemetry as telemetry;

use crate::{
    problem::Problem,
    viewer::{self, Caller},
};

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What goes on a session with a secret that nobody can guess: a ban would shut out all who share the address.
const REFRESH: &str = "/sessions/refresh";

/// The function's guard, for handlers that count something of their own; one that lets all pass where there is none.
#[derive(Clone)]
pub struct Guarded(pub Arc<Guard>);

/// Where the request came from.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Address);

impl<S: Sync> FromRequestParts<S> for Guarded {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(Arc::default())))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(Address::Unknown)))
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", "Too many requests; try again later.");
        Self { exceeded: Some(Box::new(exceeded)), ..problem.retry_after(seconds(exceeded.retry_after).max(1)) }
    }
}

/// Lets the request pass, or answers why not.
pub(crate) async fn admit(guard: Arc<Guard>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let class = route.as_deref().and_then(|route| Class::of(request.method(), route));
    let address = guard.address(request.headers(), source_ip(request.extensions().get()));
    let caller = match class {
        // Who signs in is nobody yet, whatever stale token an app sends along.
        Some(class) if !class.is_by_address() => Some(Caller::of(request.headers(), request.extensions()).await),
        _ => None,
    };
    let person = caller.as_ref().and_then(Caller::person);
    let is_forged = caller.as_ref().is_some_and(Caller::is_forged);
    let extensions = request.extensions_mut();
    extensions.insert(Guarded(Arc::clone(&guard)));
    extensions.insert(ClientAddress(address));
    if let Some(caller) = caller {
        extensions.insert(caller);
    }

    // One request of a person is one, however many functions it takes.
    if let Some(aggregator) = viewer::aggregator(request.extensions()) {
        telemetry::field("aggregator", aggregator);
        return next.run(request).await;
    }
    if may_be_banned(request.method(), route.as_deref(), class)
        && person.is_none()
        && let Some(left) = guard.banned(address).await
    {
        telemetry::field("ban.seconds_left", left.as_secs());
        return banned(left).into_response();
    }
    let Some(class) = class else {
        let is_by_a_page = is_by_a_page_of_elsewhere(request.headers());
        let response = next.run(request).await;
        if route.is_none() && response.status() == StatusCode::NOT_FOUND && !is_by_a_page {
            guard.failed(address).await;
        }
        return response;
    };
    match guard.admit(class, person, address).await {
        Ok(allowance) => {
            let mut response = next.run(request).await;
            if is_forged && response.status() == StatusCode::UNAUTHORIZED {
                guard.failed(address).await;
            }
            if let Some(Allowance { policy, remaining, reset }) = allowance {
                tell(response.headers_mut(), &policy, remaining, reset);
            }
            response
        }
        Err(exceeded) => Problem::from(exceeded).into_response(),
    }
}

/// Whether a browser says that a page of another site has it ask (Fetch Metadata): an `<img>` that leads here is no scan, and must not
/// get those banned who visit the page. Scanners could say the same; then they are not counted, and find nothing still.
fn is_by_a_page_of_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// What is free stays free; what has no route is what bans are for.
fn may_be_banned(method: &Method, route: Option<&str>, class: Option<Class>) -> bool {
    match route {
        Some(route) => class.is_some() && (method, route) != (&Method::POST, REFRESH),
        None => true,
    }
}

fn banned(left: Duration) -> Problem {
    let detail = "Too many requests from this address have failed; try again later, or with the token of a session.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "address-banned", detail).retry_after(seconds(left).max(1))
}

/// What the gateway saw.
pub fn source_ip(context: Option<&RequestContext>) -> Option<&str> {
    match context? {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        _ => None,
    }
}

pub(crate) fn tell(headers: &mut HeaderMap, policy: &Policy, remaining: u64, reset: Duration) {
    let Policy { name, quota, window, .. } = policy;
    let values = [
        (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={}", window.as_secs())),
        (RATE_LIMIT, format!("\"{name}\";r={remaining};t={}", seconds(reset))),
    ];
    for (header, value) in values {
        // A route that has limits of its own has said something already: both hold.
        headers.append(header, HeaderValue::from_str(&value).expect("names of policies are plain text"));
    }
}

/// Rounded up: who comes a moment too early is refused again.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
