//! Who is calling: from the gateway's authorizer where it was asked, else from the token itself, by the same code.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use lambda_http::request::RequestContext;
use serde_json::Value;
use tintype_auth::{Identity, Verifier};
use tintype_core::Time;

use crate::problem::Problem;

/// The person who calls; without one the answer is 401.
#[derive(Debug, Clone, Copy)]
pub struct Viewer(pub Identity);

/// The person who calls, if the caller says who they are; a bad token is 401 all the same.
#[derive(Debug, Clone, Copy)]
pub struct MaybeViewer(pub Option<Identity>);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let MaybeViewer(viewer) = MaybeViewer::from_request_parts(parts, state).await?;
        viewer.map(Self).ok_or_else(Problem::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeViewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let now = Time::now();
        if let Some(identity) = parts.extensions.get::<RequestContext>().and_then(from_authorizer) {
            // The gateway caches the authorizer's answer: the token may have ended since.
            return if identity.expires_at > now.as_seconds() { Ok(Self(Some(identity))) } else { Err(Problem::unauthorized()) };
        }
        let Some(token) = bearer(&parts.headers)? else { return Ok(Self(None)) };
        let verifier = parts.extensions.get::<Arc<Verifier>>().ok_or_else(|| Problem::internal("this function verifies no tokens"))?;
        Ok(Self(Some(verifier.identify(token, now).await?)))
    }
}

/// The `Authorization` header's bearer token (RFC 6750 §2.1); another scheme is 401.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(Problem::unauthorized)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(Problem::unauthorized()) }
}

/// What `functions/authorizer` put into its answer's context.
fn from_authorizer(context: &RequestContext) -> Option<Identity> {
    let RequestContext::ApiGatewayV1(context) = context else { return None };
    let ApiGatewayRequestAuthorizer { fields, .. } = &context.authorizer;
    let text = |name: &str| match fields.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(Identity {
        user_id: text("user_id")?.parse().ok()?,
        session_id: text("session_id")?.parse().ok()?,
        expires_at: text("exp")?.parse().ok()?,
    })
}
