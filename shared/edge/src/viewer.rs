//! Who is calling: from the gateway's authorizer where it was asked, else from the token itself, by the same code.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;
use serde_json::Value;
use tintype_auth::{Identity, Verifier, bearer};
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

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::request::LambdaRequest;
    use serde_json::json;

    /// What a handler finds of an event whose authorizer said that the token ends then.
    async fn viewer(ends_in_seconds: i64) -> Result<Viewer, Problem> {
        let mut event: Value = serde_json::from_str(include_str!("../../../events/users/follow.json")).unwrap();
        event["requestContext"]["authorizer"]["exp"] = json!((Time::now().as_seconds() + ends_in_seconds).to_string());
        let event: LambdaRequest = serde_json::from_value(event).unwrap();
        let (mut parts, _) = http::Request::from(event).into_parts();
        Viewer::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn the_authorizer_says_who_calls() {
        let Viewer(identity) = viewer(60).await.unwrap();
        assert_eq!(identity.user_id.to_string(), "0193a1f0-0000-7000-8000-00000000000b");
    }

    #[tokio::test]
    async fn a_token_that_has_ended_since_the_gateway_cached_the_authorizers_answer_is_refused() {
        for ended in [0, -1, -30] {
            assert_eq!(viewer(ended).await.unwrap_err().code, "unauthorized");
        }
    }
}
