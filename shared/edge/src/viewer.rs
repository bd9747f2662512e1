//! Who is calling: from the gateway's authorizer where it was asked, else from the token itself, by the same code.

use std::{collections::HashMap, sync::Arc};

use aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use axum::extract::FromRequestParts;
use http::{Extensions, HeaderMap, request::Parts};
use lambda_http::request::RequestContext;
use serde_json::Value;
use tintype_auth::{AuthError, Identity, Verifier, bearer};
use tintype_core::{Time, UserId};

use crate::problem::Problem;

/// Which function asks, in an authorizer's context that is none.
const AGGREGATED: &str = "aggregated";

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
        let caller = match parts.extensions.get::<Caller>() {
            Some(caller) => caller.clone(),
            None => Caller::of(&parts.headers, &parts.extensions).await,
        };
        caller.0.map(Self).map_err(|unidentified| unidentified.problem)
    }
}

/// Who calls, found out once: by the edge, which counts requests by it; the handlers find it among a request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Result<Option<Identity>, Unidentified>);

/// Why nobody can tell who calls, though the caller says it. Routes that do not ask answer all the same.
#[derive(Debug, Clone)]
struct Unidentified {
    problem: Problem,
    /// The token is none of ours.
    is_forged: bool,
}

impl Caller {
    pub(crate) async fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let now = Time::now();
        if let Some(identity) = extensions.get::<RequestContext>().and_then(from_authorizer) {
            // The gateway caches the authorizer's answer: the token may have ended since.
            return Self(if identity.expires_at > now.as_seconds() { Ok(Some(identity)) } else { Err(AuthError::Ended.into()) });
        }
        let token = match bearer(headers) {
            Ok(Some(token)) => token,
            Ok(None) => return Self(Ok(None)),
            Err(error) => return Self(Err(error.into())),
        };
        let Some(verifier) = extensions.get::<Arc<Verifier>>() else {
            return Self(Err(Unidentified { problem: Problem::internal("this function verifies no tokens"), is_forged: false }));
        };
        Self(verifier.identify(token, now).await.map(Some).map_err(Unidentified::from))
    }

    /// Who it is, if they have said it and it is true.
    pub(crate) fn person(&self) -> Option<UserId> {
        self.0.as_ref().ok()?.map(|identity| identity.user_id)
    }

    /// Whether they have said it with a token that is none of ours.
    pub(crate) fn is_forged(&self) -> bool {
        self.0.as_ref().is_err_and(|unidentified| unidentified.is_forged)
    }
}

impl From<AuthError> for Unidentified {
    fn from(error: AuthError) -> Self {
        Self { is_forged: matches!(error, AuthError::Refused), problem: error.into() }
    }
}

/// What a function says in an authorizer's place when it asks another one for somebody: the same, and who asks.
///
/// The edge of the one that is asked believes it, as it believes the gateway: nobody else can send it an event with such a context.
pub fn on_behalf_of(identity: &Identity, aggregator: &str) -> HashMap<&'static str, String> {
    HashMap::from([
        ("user_id", identity.user_id.to_string()),
        ("session_id", identity.session_id.to_string()),
        ("exp", identity.expires_at.to_string()),
        (AGGREGATED, aggregator.to_owned()),
    ])
}

/// The function of ours that asks for somebody, if it is one: its own edge has counted them, and let them pass.
pub(crate) fn aggregator(extensions: &Extensions) -> Option<&str> {
    let RequestContext::ApiGatewayV1(context) = extensions.get()? else { return None };
    context.authorizer.fields.get(AGGREGATED)?.as_str()
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
