//! The events that functions receive: API Gateway's proxy request (payload version 1.0) and the request of a
//! REQUEST authorizer.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue,
    header::{CONTENT_TYPE, USER_AGENT},
};
use serde::{Serialize, Serializer};

use crate::{
    Account,
    authorizer::Verdict,
    call::Call,
    context::millis,
    parameters::{All, Last, Parameters, forwarded_headers, query_parameters},
    routes::Matched,
};

/// Which stage of which API: the same in every event.
pub(crate) struct ApiIdentity {
    pub(crate) account: Account,
    pub(crate) id: String,
    pub(crate) stage: String,
}

/// `requestContext.deploymentId`: the template is deployed once, when the host starts.
pub(crate) const DEPLOYMENT_ID: &str = "0local";

/// `null`, in the place of what requests of this API never have.
type Never = Option<()>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyRequest<'a> {
    resource: &'a str,
    path: &'a str,
    http_method: &'a str,
    headers: Last<'a>,
    multi_value_headers: All<'a>,
    query_string_parameters: Option<Last<'a>>,
    multi_value_query_string_parameters: Option<All<'a>>,
    path_parameters: Option<&'a BTreeMap<&'a str, String>>,
    stage_variables: Never,
    request_context: RequestContext<'a>,
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

/// No body, and empty maps where the proxy request has nulls.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerRequest<'a> {
    r#type: &'static str,
    method_arn: &'a str,
    resource: &'a str,
    path: &'a str,
    http_method: &'a str,
    headers: Last<'a>,
    multi_value_headers: All<'a>,
    query_string_parameters: Last<'a>,
    multi_value_query_string_parameters: All<'a>,
    path_parameters: &'a BTreeMap<&'a str, String>,
    stage_variables: BTreeMap<&'static str, &'static str>,
    request_context: RequestContext<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<&'a Caller>,
    deployment_id: &'static str,
    domain_name: Option<&'a str>,
    domain_prefix: Option<&'a str>,
    extended_request_id: &'a str,
    http_method: &'a str,
    identity: Identity<'a>,
    path: &'a str,
    protocol: &'static str,
    request_id: &'a str,
    request_time: String,
    request_time_epoch: i64,
    resource_id: &'a str,
    resource_path: &'a str,
    stage: &'a str,
}

/// Of these a REST API without IAM authorization and Cognito knows two.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    access_key: Never,
    account_id: Never,
    caller: Never,
    cognito_authentication_provider: Never,
    cognito_authentication_type: Never,
    cognito_identity_id: Never,
    cognito_identity_pool_id: Never,
    principal_org_id: Never,
    source_ip: &'a str,
    user: Never,
    user_agent: Option<Cow<'a, str>>,
    user_arn: Never,
}

/// `requestContext.authorizer`: what the authorizer said of the caller, and how long it took.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) latency: Duration,
}

impl Serialize for Caller {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let latency = ("integrationLatency", serde_json::Value::from(millis(self.latency)));
        let said = self.verdict.properties().map(|(name, value)| (name, Cow::Borrowed(value)));
        serializer.collect_map(said.chain([(latency.0, Cow::Owned(latency.1))]))
    }
}

impl ApiIdentity {
    /// The path below `/{stage}`; `None` if it is outside.
    pub(crate) fn below_stage<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix('/')?.strip_prefix(self.stage.as_str())?;
        if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
    }

    /// What policies of authorizers name: `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/{path}`, whose path is what
    /// was matched, not what came over the wire: `%66eed` and `feed///` are `feed` to the routes, and to policies.
    pub(crate) fn method_arn(&self, call: &Call, matched: &Matched<'_>) -> String {
        let Account { id, region } = &self.account;
        let path = &matched.canonical_path;
        format!("arn:aws:execute-api:{region}:{id}:{}/{}/{}/{path}", self.id, self.stage, call.method)
    }

    /// The event for the function behind a route; `caller` is `None` where no authorizer is asked.
    pub(crate) fn proxy_request(&self, call: &Call, matched: &Matched<'_>, caller: Option<&Caller>, body: &Bytes, binary: bool) -> Bytes {
        let headers = forwarded_headers(call);
        let query = query_parameters(call.query());
        let has_query = !query.is_empty();
        let body = match body {
            empty if empty.is_empty() => None,
            bytes if binary => Some(BASE64_STANDARD.encode(bytes).into()),
            // API Gateway takes anything else for UTF-8, and what is not is lost.
            text => Some(String::from_utf8_lossy(text)),
        };
        json(&ProxyRequest {
            resource: matched.resource_path,
            path: self.path(call),
            http_method: call.method.as_str(),
            headers: Last(&headers),
            multi_value_headers: All(&headers),
            query_string_parameters: has_query.then_some(Last(&query)),
            multi_value_query_string_parameters: has_query.then_some(All(&query)),
            path_parameters: Some(&matched.parameters).filter(|parameters| !parameters.is_empty()),
            stage_variables: None,
            request_context: self.request_context(call, matched, caller),
            is_base64_encoded: binary && body.is_some(),
            body,
        })
    }

    /// The event for the authorizer.
    pub(crate) fn authorizer_request(&self, call: &Call, matched: &Matched<'_>, method_arn: &str) -> Bytes {
        let headers: Parameters<'_> = forwarded_headers(call);
        let query = query_parameters(call.query());
        json(&AuthorizerRequest {
            r#type: "REQUEST",
            method_arn,
            resource: matched.resource_path,
            path: self.path(call),
            http_method: call.method.as_str(),
            headers: Last(&headers),
            multi_value_headers: All(&headers),
            query_string_parameters: Last(&query),
            multi_value_query_string_parameters: All(&query),
            path_parameters: &matched.parameters,
            stage_variables: BTreeMap::new(),
            request_context: self.request_context(call, matched, None),
        })
    }

    /// The path without the stage.
    fn path<'a>(&self, call: &'a Call) -> &'a str {
        self.below_stage(call.path()).unwrap_or(call.path())
    }

    fn request_context<'a>(&'a self, call: &'a Call, matched: &Matched<'a>, authorizer: Option<&'a Caller>) -> RequestContext<'a> {
        let domain_name = call.host();
        RequestContext {
            account_id: &self.account.id,
            api_id: &self.id,
            authorizer,
            deployment_id: DEPLOYMENT_ID,
            domain_name,
            domain_prefix: domain_name.and_then(|name| name.split('.').next()),
            extended_request_id: &call.extended_request_id,
            http_method: call.method.as_str(),
            identity: Identity {
                access_key: None,
                account_id: None,
                caller: None,
                cognito_authentication_provider: None,
                cognito_authentication_type: None,
                cognito_identity_id: None,
                cognito_identity_pool_id: None,
                principal_org_id: None,
                source_ip: &call.source_ip,
                user: None,
                user_agent: call.headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes())),
                user_arn: None,
            },
            path: call.path(),
            protocol: call.protocol(),
            request_id: &call.request_id,
            request_time: call.request_time(),
            request_time_epoch: call.received.as_millisecond(),
            resource_id: matched.resource_id,
            resource_path: matched.resource_path,
            stage: &self.stage,
        }
    }
}

fn json(event: &impl Serialize) -> Bytes {
    serde_json::to_vec(event).expect("an event's keys are all texts").into()
}

/// Whether a body travels as base64: the media type is that of a request, or the one that a client accepts.
pub(crate) fn is_binary(binary_media_types: &[String], media_type: Option<&HeaderValue>) -> bool {
    let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Of an `Accept` the first counts, and parameters never do.
    let media_type = media_type.split([',', ';']).next().unwrap_or_default().trim();
    binary_media_types.iter().any(|binary| binary == "*/*" || binary.eq_ignore_ascii_case(media_type))
}

/// Whether the body of this request is binary.
pub(crate) fn has_binary_body(binary_media_types: &[String], call: &Call) -> bool {
    is_binary(binary_media_types, call.headers.get(CONTENT_TYPE))
}

#[cfg(test)]
impl ApiIdentity {
    pub(crate) fn for_testing() -> Self {
        let account = Account { id: "000000000000".to_owned(), region: "us-east-1".to_owned() };
        Self { account, id: "api".to_owned(), stage: "v1".to_owned() }
    }
}
