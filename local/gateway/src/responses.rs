//! The gateway's own answers, in the shape that the template's `GatewayResponses` give them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use tintype_template::deployment::GatewayResponse;

use crate::{
    call::Call,
    refusal::{Described, Refusal},
};

/// API Gateway's body where the template has none.
const DEFAULT_TEMPLATE: &str = r#"{"message":$context.error.messageString}"#;

/// The template's gateway responses by response type.
pub(crate) struct GatewayResponses {
    by_type: BTreeMap<String, GatewayResponse>,
}

impl GatewayResponses {
    pub(crate) fn new(by_type: BTreeMap<String, GatewayResponse>) -> Self {
        Self { by_type }
    }

    /// The answer for a refusal: as its own type says, else `DEFAULT_4XX` or `DEFAULT_5XX`, else AWS' own words.
    pub(crate) fn answer(&self, refusal: Refusal, call: &Call) -> Response<Full<Bytes>> {
        let described = refusal.describe();
        let configured = self.configured(&described);

        let status = configured
            .and_then(|response| response.status)
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(described.status);
        let (content_type, template) = configured.and_then(body_template).unwrap_or(("application/json", DEFAULT_TEMPLATE));
        let body = substitute(template, |variable| context_variable(variable, &described, call));

        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert("x-amzn-errortype", HeaderValue::from_static(described.error_type));
        let configured_headers = configured.into_iter().flat_map(|response| &response.headers);
        let content_type = ("content-type", content_type);
        let own = std::iter::once(content_type);
        for (name, value) in own.chain(configured_headers.map(|(name, value)| (name.as_str(), value.as_str()))) {
            // The template reader keeps what a header cannot hold out of here; were it otherwise, the answer matters more.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
        debug_assert!(headers.contains_key(CONTENT_TYPE), "every answer says what it is");
        response
    }

    fn configured(&self, described: &Described) -> Option<&GatewayResponse> {
        let fallback = if described.status.is_server_error() { "DEFAULT_5XX" } else { "DEFAULT_4XX" };
        self.by_type.get(described.response_type).or_else(|| self.by_type.get(fallback))
    }
}

/// The JSON template if there is one, else the first.
fn body_template(response: &GatewayResponse) -> Option<(&str, &str)> {
    response
        .templates
        .get_key_value("application/json")
        .or_else(|| response.templates.iter().next())
        .map(|(content_type, template)| (content_type.as_str(), template.as_str()))
}

/// Replaces each `$context.name` in a template; what has no value is empty, as API Gateway has it.
fn substitute(template: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    const MARK: &str = "$context.";
    let mut result = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find(MARK) {
        let (before, variable) = rest.split_at(start);
        let variable = &variable[MARK.len()..];
        let length = variable.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(variable.len());
        // A full stop that ends a sentence is no part of the name.
        let name = variable[..length].trim_end_matches('.');
        result.push_str(before);
        result.push_str(&value_of(name).unwrap_or_default());
        rest = &variable[name.len()..];
    }
    result.push_str(rest);
    result
}

fn context_variable(name: &str, described: &Described, call: &Call) -> Option<String> {
    let value = match name {
        "error.message" => described.message?.to_owned(),
        // Quoted by API Gateway itself; null without quotes where there is no message.
        "error.messageString" => described.message.map_or_else(|| "null".to_owned(), |message| format!("\"{message}\"")),
        "error.responseType" => described.response_type.to_owned(),
        "requestId" => call.request_id.clone(),
        "extendedRequestId" => call.extended_request_id.clone(),
        "requestTime" => call.request_time(),
        "requestTimeEpoch" => call.received.as_millisecond().to_string(),
        "httpMethod" => call.method.to_string(),
        "protocol" => call.protocol(),
        "identity.sourceIp" => call.source_ip.to_string(),
        _ => return None,
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn problem(status: Option<u16>) -> GatewayResponse {
        GatewayResponse {
            status,
            headers: BTreeMap::from([("Content-Type".to_owned(), "application/problem+json".to_owned())]),
            templates: BTreeMap::from([(
                "application/json".to_owned(),
                r#"{"type":"$context.error.responseType","detail":"$context.error.message.","request_id":"$context.requestId","x":"$context.authorizer.nothing"}"#.to_owned(),
            )]),
        }
    }

    async fn text(response: Response<Full<Bytes>>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn without_a_template_the_answer_is_awss() {
        let responses = GatewayResponses::new(BTreeMap::new());
        let call = Call::for_testing("GET", "/v1/feed");

        let response = responses.answer(Refusal::MissingAuthenticationToken, &call);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-amzn-errortype"], "MissingAuthenticationTokenException");
        assert_eq!(text(response).await, r#"{"message":"Missing Authentication Token"}"#);

        let response = responses.answer(Refusal::AuthorizerFailure, &call);
        assert_eq!(response.status(), 500);
        assert_eq!(text(response).await, r#"{"message":null}"#);
    }

    #[tokio::test]
    async fn the_types_own_response_comes_before_the_default() {
        let responses = GatewayResponses::new(BTreeMap::from([
            ("MISSING_AUTHENTICATION_TOKEN".to_owned(), problem(Some(404))),
            ("DEFAULT_4XX".to_owned(), GatewayResponse { status: None, ..problem(None) }),
        ]));
        let call = Call::for_testing("GET", "/v1/feed");

        let response = responses.answer(Refusal::MissingAuthenticationToken, &call);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(
            text(response).await,
            format!(
                r#"{{"type":"MISSING_AUTHENTICATION_TOKEN","detail":"Missing Authentication Token.","request_id":"{}","x":""}}"#,
                call.request_id
            )
        );

        // A 4xx without its own response takes the default's shape and keeps its status; a 5xx does not.
        let response = responses.answer(Refusal::Throttled, &call);
        assert_eq!(response.status(), 429);
        assert!(text(response).await.contains("THROTTLED"));
        let response = responses.answer(Refusal::IntegrationFailure, &call);
        assert_eq!(response.status(), 502);
        assert_eq!(text(response).await, r#"{"message":"Internal server error"}"#);
    }

    #[test]
    fn substitution_leaves_everything_else_alone() {
        let value = |name: &str| (name == "requestId").then(|| "42".to_owned());
        assert_eq!(substitute("$context.requestId", value), "42");
        assert_eq!(substitute("a $context.requestId. b", value), "a 42. b");
        assert_eq!(substitute("$context.requestId$context.requestId", value), "4242");
        assert_eq!(substitute("$context. $contextual $ 5€", value), " $contextual $ 5€");
        assert_eq!(substitute("", value), "");
    }
}
