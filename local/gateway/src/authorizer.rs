//! The Lambda authorizer of type REQUEST: who is calling, and may they?

use std::{sync::Arc, time::Instant};

use http::HeaderName;
use serde_json::{Map, Value};
use tintype_cloud::say;
use tintype_lambda::InvokeError;
use tintype_template::deployment;

use crate::{
    cache::{Identity, VerdictCache},
    call::Call,
    context::Journey,
    event::{ApiIdentity, Caller},
    integration::{Invocation, Invoke},
    policy::{Decision, Policy},
    refusal::Refusal,
    routes::Matched,
};

/// The action that policies allow or deny.
const ACTION: &str = "execute-api:Invoke";
/// A function that fails with exactly this message says 401.
const UNAUTHORIZED: &str = "Unauthorized";

/// The template's authorizer and what it said before.
pub(crate) struct Authorizer {
    name: String,
    function: String,
    identity_headers: Vec<HeaderName>,
    cache: VerdictCache,
    invoke: Invoke,
}

/// What the authorizer's function said of a caller.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
    policy: Policy,
    /// `requestContext.authorizer` of the request that goes on: `principalId` and the context.
    context: Map<String, Value>,
}

impl Authorizer {
    pub(crate) fn new(authorizer: deployment::Authorizer, invoke: Invoke) -> Self {
        let deployment::Authorizer { name, function, identity_headers, ttl } = authorizer;
        Self { name, function, identity_headers, cache: VerdictCache::new(ttl), invoke }
    }

    /// Lets a call through, with what the authorizer said of the caller, or refuses it.
    pub(crate) async fn authorize(
        &self,
        call: &Call,
        matched: &Matched<'_>,
        api: &ApiIdentity,
        journey: &mut Journey<'_>,
    ) -> Result<Caller, Refusal> {
        let identity = self.identity(call).ok_or(Refusal::Unauthorized)?;
        let asked = Instant::now();
        let method_arn = api.method_arn(call, matched);
        let verdict = match self.cache.get(&identity) {
            Some(verdict) => Ok(verdict),
            None => self.ask(call, matched, api, &method_arn).await.map(Arc::new).inspect(|verdict| {
                self.cache.put(identity, Arc::clone(verdict));
            }),
        };
        let latency = asked.elapsed();
        journey.authorizer_latency = Some(latency);
        let verdict = verdict?;
        journey.verdict = Some(Arc::clone(&verdict));
        // A verdict of another request is judged against this request's method: hence policies for the whole stage.
        match verdict.policy.decide(&method_arn) {
            Decision::Allow => Ok(Caller { verdict, latency }),
            Decision::ImplicitDeny => Err(Refusal::AccessDenied { explicit: false }),
            Decision::ExplicitDeny => Err(Refusal::AccessDenied { explicit: true }),
        }
    }

    /// The identity sources' values; `None` if one is missing or empty.
    fn identity(&self, call: &Call) -> Option<Identity> {
        let complete = self.identity_headers.iter().all(|name| call.headers.get_all(name).iter().any(|value| !value.is_empty()));
        complete.then(|| Identity::of(self.identity_headers.iter().map(|name| call.headers.get_all(name))))
    }

    async fn ask(&self, call: &Call, matched: &Matched<'_>, api: &ApiIdentity, method_arn: &str) -> Result<Verdict, Refusal> {
        let payload = api.authorizer_request(call, matched, method_arn);
        // It looks, and changes nothing.
        let invocation = Invocation { function: self.function.clone(), payload, trace: call.trace_header(), repeatable: true };
        let answer = (self.invoke)(invocation).await;
        match answer {
            Ok(answer) => Verdict::parse(&answer).ok_or_else(|| {
                say("gateway", &format!("authorizer {} answered something that is not a policy", self.name));
                Refusal::AuthorizerConfigurationError
            }),
            Err(InvokeError::FunctionError { payload }) if error_message(&payload).as_deref() == Some(UNAUTHORIZED) => {
                Err(Refusal::Unauthorized)
            }
            Err(_) => Err(Refusal::AuthorizerFailure),
        }
    }
}

impl Verdict {
    /// Reads the function's answer; `None` if it is none that API Gateway takes.
    fn parse(answer: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let principal = answer.get("principalId")?.as_str()?;
        let policy = Policy::parse(answer.get("policyDocument")?, ACTION)?;
        let mut context = match answer.get("context") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => stringified(fields)?,
            Some(_) => return None,
        };
        context.insert("principalId".to_owned(), principal.into());
        Some(Self { policy, context })
    }

    /// What handlers are told of the caller.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.context.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// One of these, unless it is null.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.context.get(name)?.as_str()
    }

    #[cfg(test)]
    pub(crate) fn for_testing() -> Self {
        let answer = br#"{"principalId": "ada", "policyDocument": {"Statement": []}, "context": {"sid": "s1"}}"#;
        Self::parse(answer).expect("it is a verdict")
    }
}

/// Numbers and booleans become strings; what has parts is refused.
fn stringified(fields: &Map<String, Value>) -> Option<Map<String, Value>> {
    let stringify = |value: &Value| match value {
        Value::Null => Some(Value::Null),
        Value::String(_) => Some(value.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::Array(_) | Value::Object(_) => None,
    };
    fields.iter().map(|(name, value)| Some((name.clone(), stringify(value)?))).collect()
}

fn error_message(payload: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(payload).ok()?;
    Some(error.get("errorMessage")?.as_str()?.to_owned())
}
