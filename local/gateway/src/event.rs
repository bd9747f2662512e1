//! The events that functions receive: API Gateway's proxy request (payload version 1.0) and the request of a
//! REQUEST authorizer.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use serde_json::{Map, Value, json};

use crate::{Account, call::Call, refusal::Refusal, routes::Matched};

/// Headers between the client and the gateway alone: functions never see them.
const HOP_BY_HOP: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What is the same in every event of one API.
pub(crate) struct Events {
    account: Account,
    api_id: String,
    stage: String,
    binary_media_types: Vec<String>,
}

/// What both kinds of event say of the request.
struct Common {
    headers: Value,
    multi_value_headers: Value,
    query: BTreeMap<String, String>,
    multi_value_query: BTreeMap<String, Vec<String>>,
    request_context: Map<String, Value>,
}

impl Events {
    pub(crate) fn new(account: Account, api_id: String, stage: String, binary_media_types: Vec<String>) -> Self {
        Self { account, api_id, stage, binary_media_types }
    }

    /// What policies of authorizers name: `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/{path}`.
    pub(crate) fn method_arn(&self, call: &Call) -> String {
        let Account { id, region } = &self.account;
        let path = self.below_stage(&call.path).trim_start_matches('/');
        format!("arn:aws:execute-api:{region}:{id}:{}/{}/{}/{path}", self.api_id, self.stage, call.method)
    }

    /// The event for the function behind a route; `authorizer` is what the authorizer said of the caller.
    pub(crate) fn proxy_request(
        &self,
        call: &Call,
        matched: &Matched<'_>,
        authorizer: Option<Value>,
        body: &Bytes,
    ) -> Result<Value, Refusal> {
        let Common { headers, multi_value_headers, query, multi_value_query, mut request_context } = self.common(call, matched)?;
        if let Some(authorizer) = authorizer {
            request_context.insert("authorizer".to_owned(), authorizer);
        }
        let is_binary = is_binary(&self.binary_media_types, call.headers.get(CONTENT_TYPE));
        let body = match body {
            empty if empty.is_empty() => Value::Null,
            binary if is_binary => BASE64_STANDARD.encode(binary).into(),
            // API Gateway takes anything else for UTF-8, and what is not is lost.
            text => String::from_utf8_lossy(text).into(),
        };
        Ok(json!({
            "resource": matched.route.path,
            "path": self.below_stage(&call.path),
            "httpMethod": call.method.as_str(),
            "headers": headers,
            "multiValueHeaders": multi_value_headers,
            "queryStringParameters": null_if_empty(query),
            "multiValueQueryStringParameters": null_if_empty(multi_value_query),
            "pathParameters": null_if_empty(matched.parameters.clone()),
            "stageVariables": null,
            "requestContext": request_context,
            "body": body,
            "isBase64Encoded": is_binary && !body.is_null(),
        }))
    }

    /// The event for the authorizer: no body, and empty maps where the proxy request has nulls.
    pub(crate) fn authorizer_request(&self, call: &Call, matched: &Matched<'_>) -> Result<Value, Refusal> {
        let Common { headers, multi_value_headers, query, multi_value_query, request_context } = self.common(call, matched)?;
        Ok(json!({
            "type": "REQUEST",
            "methodArn": self.method_arn(call),
            "resource": matched.route.path,
            "path": self.below_stage(&call.path),
            "httpMethod": call.method.as_str(),
            "headers": headers,
            "multiValueHeaders": multi_value_headers,
            "queryStringParameters": query,
            "multiValueQueryStringParameters": multi_value_query,
            "pathParameters": matched.parameters,
            "stageVariables": {},
            "requestContext": request_context,
        }))
    }

    /// The path without the stage.
    fn below_stage<'a>(&self, path: &'a str) -> &'a str {
        below_stage(&self.stage, path).unwrap_or(path)
    }

    fn common(&self, call: &Call, matched: &Matched<'_>) -> Result<Common, Refusal> {
        let headers = forwarded_headers(call);
        let single: Map<String, Value> =
            headers.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone().into()))).collect();
        let multi_value_query = query_parameters(call.query.as_deref().unwrap_or_default());
        let query = multi_value_query.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone()))).collect();
        Ok(Common {
            headers: single.into(),
            multi_value_headers: json!(headers),
            query,
            multi_value_query,
            request_context: self.request_context(call, matched)?,
        })
    }

    fn request_context(&self, call: &Call, matched: &Matched<'_>) -> Result<Map<String, Value>, Refusal> {
        let domain_name = call.host()?;
        let context = json!({
            "accountId": self.account.id,
            "apiId": self.api_id,
            "domainName": domain_name,
            "domainPrefix": domain_name.split('.').next(),
            "extendedRequestId": call.extended_request_id,
            "httpMethod": call.method.as_str(),
            "identity": {
                "accessKey": null,
                "accountId": null,
                "caller": null,
                "cognitoAuthenticationProvider": null,
                "cognitoAuthenticationType": null,
                "cognitoIdentityId": null,
                "cognitoIdentityPoolId": null,
                "principalOrgId": null,
                "sourceIp": call.source_ip.to_string(),
                "user": null,
                "userAgent": call.headers.get("user-agent").map(text),
                "userArn": null,
            },
            "path": call.path,
            "protocol": call.protocol(),
            "requestId": call.request_id,
            "requestTime": call.request_time(),
            "requestTimeEpoch": call.received.as_millisecond(),
            "resourceId": matched.resource_id,
            "resourcePath": matched.route.path,
            "stage": self.stage,
        });
        match context {
            Value::Object(fields) => Ok(fields),
            _ => unreachable!("the literal above is an object"),
        }
    }
}

/// The path below `/{stage}`; `None` if it is outside.
pub(crate) fn below_stage<'a>(stage: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
}

/// Whether a body of this type (of a request or an answer) travels as base64.
pub(crate) fn is_binary(binary_media_types: &[String], media_type: Option<&HeaderValue>) -> bool {
    let media_type = media_type.map(text).unwrap_or_default();
    // Of an `Accept` the first counts, and parameters never do.
    let media_type = media_type.split([',', ';']).next().unwrap_or_default().trim();
    binary_media_types.iter().any(|binary| binary == "*/*" || binary.eq_ignore_ascii_case(media_type))
}

/// The client's headers as functions get them, with what the gateway adds; several values in their order.
fn forwarded_headers(call: &Call) -> BTreeMap<String, Vec<String>> {
    let mut headers = BTreeMap::new();
    for name in call.headers.keys().filter(|name| !HOP_BY_HOP.contains(name)) {
        headers.insert(title_case(name), values(&call.headers, name));
    }
    let mut hops = headers.remove("X-Forwarded-For").unwrap_or_default();
    hops.push(call.source_ip.to_string());
    headers.insert("X-Forwarded-For".to_owned(), vec![hops.join(", ")]);
    headers.insert("X-Forwarded-Port".to_owned(), vec![call.port.to_string()]);
    headers.insert("X-Forwarded-Proto".to_owned(), vec!["http".to_owned()]);
    headers.insert("X-Amzn-Trace-Id".to_owned(), vec![format!("Root={}", call.trace_id)]);
    headers
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(text).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// `x-amzn-trace-id` as `X-Amzn-Trace-Id`: HTTP's names have no case, but functions in other languages look for this one.
fn title_case(name: &HeaderName) -> String {
    let mut at_start = true;
    name.as_str()
        .chars()
        .map(|c| {
            let cased = if at_start { c.to_ascii_uppercase() } else { c };
            at_start = c == '-';
            cased
        })
        .collect()
}

/// Query parameters, decoded, with all their values in order. What is malformed is taken as it stands.
fn query_parameters(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        parameters.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    parameters
}

fn null_if_empty<V: Into<Value>>(map: BTreeMap<String, V>) -> Value {
    if map.is_empty() {
        return Value::Null;
    }
    map.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>().into()
}
