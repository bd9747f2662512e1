//! The gateway's own answers, in the shape that the template's `GatewayResponses` give them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use tintype_template::deployment::GatewayResponse;

use crate::{context::Context, refusal::Described, text::Text};

/// API Gateway's body where the template has none.
const DEFAULT_BODY: &str = r#"{"message":$context.error.messageString}"#;

/// The template's gateway responses by response type.
pub(crate) struct GatewayResponses {
    by_type: BTreeMap<String, Prepared>,
    /// For what the template says nothing of.
    plain: Prepared,
}

/// A gateway response, ready to be filled in.
struct Prepared {
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: Text,
}

impl GatewayResponses {
    pub(crate) fn new(by_type: BTreeMap<String, GatewayResponse>) -> Self {
        let by_type = by_type.into_iter().map(|(response_type, response)| (response_type, Prepared::new(&response))).collect();
        let plain = Prepared::new(&GatewayResponse { status: None, headers: BTreeMap::new(), templates: BTreeMap::new() });
        Self { by_type, plain }
    }

    /// The answer for a refusal: as its own type says, else `DEFAULT_4XX` or `DEFAULT_5XX`, else AWS' own words.
    pub(crate) fn answer(&self, refused: Described, context: &Context<'_>) -> Response<Full<Bytes>> {
        let Some(response_type) = refused.response_type else { return front_door(refused) };
        let fallback = if refused.status.is_server_error() { "DEFAULT_5XX" } else { "DEFAULT_4XX" };
        let prepared = self.by_type.get(response_type).or_else(|| self.by_type.get(fallback)).unwrap_or(&self.plain);

        let body = prepared.body.render(|name, body| {
            // What has no value is empty.
            context.push(name, body);
        });
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = prepared.status.unwrap_or(refused.status);
        *response.headers_mut() = prepared.headers.clone();
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(refused.error_type));
        response
    }
}

/// What is refused before it is known whose API was asked: in AWS' words, and as plain text.
fn front_door(refused: Described) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(refused.message.unwrap_or_default()));
    *response.status_mut() = refused.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

impl Prepared {
    fn new(response: &GatewayResponse) -> Self {
        let (content_type, body) = body_template(response).unwrap_or(("application/json", DEFAULT_BODY));
        let own = std::iter::once(("content-type", content_type));
        let configured = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers = HeaderMap::new();
        for (name, value) in own.chain(configured) {
            // The template reader keeps what a header cannot hold out of here; were it otherwise, the answer matters more.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
        Self { status: response.status.and_then(|status| StatusCode::from_u16(status).ok()), headers, body: Text::parse(body) }
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::{call::Call, context::Journey, event::ApiIdentity, refusal::Refusal};

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

    fn answer(responses: &GatewayResponses, refusal: Refusal, call: &Call) -> Response<Full<Bytes>> {
        let (api, journey, refused) = (ApiIdentity::for_testing(), Journey::default(), refusal.describe());
        let context = Context { api: &api, call, journey: &journey, refused: Some(refused), answered: None };
        responses.answer(refused, &context)
    }

    async fn text(response: Response<Full<Bytes>>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn without_a_template_the_answer_is_awss() {
        let responses = GatewayResponses::new(BTreeMap::new());
        let call = Call::for_testing("GET", "/v1/feed");

        let response = answer(&responses, Refusal::MissingAuthenticationToken, &call);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-amzn-errortype"], "MissingAuthenticationTokenException");
        assert_eq!(text(response).await, r#"{"message":"Missing Authentication Token"}"#);

        let response = answer(&responses, Refusal::AuthorizerFailure, &call);
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

        let response = answer(&responses, Refusal::MissingAuthenticationToken, &call);
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
        let response = answer(&responses, Refusal::Throttled, &call);
        assert_eq!(response.status(), 429);
        assert!(text(response).await.contains("THROTTLED"));
        let response = answer(&responses, Refusal::IntegrationFailure, &call);
        assert_eq!(response.status(), 502);
        assert_eq!(text(response).await, r#"{"message":"Internal server error"}"#);
    }

    /// API Gateway has no response type for these: they are answered before it is known which API is asked.
    #[tokio::test]
    async fn no_template_shapes_what_the_front_door_says() {
        let responses = GatewayResponses::new(BTreeMap::from([("DEFAULT_4XX".to_owned(), problem(Some(400)))]));
        let call = Call::for_testing("GET", "/v1/feed");
        for (refusal, status) in [(Refusal::HeadersTooLarge, 431), (Refusal::UrlTooLong, 414)] {
            let response = answer(&responses, refusal, &call);
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "text/plain");
            assert!(text(response).await.ends_with("is larger than 10240 bytes."));
        }
    }

    /// Every refusal against every set of gateway responses: its own type's, else the default of its class, else AWS' words.
    #[tokio::test]
    async fn every_refusal_finds_its_response() {
        let call = Call::for_testing("GET", "/v1/feed");
        let types: std::collections::BTreeSet<_> = Refusal::ALL.iter().filter_map(|refusal| refusal.describe().response_type).collect();
        for refusal in Refusal::ALL {
            let described = refusal.describe();
            let Some(own) = described.response_type else { continue };
            let class = if described.status.as_u16() < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
            let all = || types.iter().copied().chain(["DEFAULT_4XX", "DEFAULT_5XX"]);
            let responses = |names: Vec<&str>| {
                let response = |name: &str| GatewayResponse {
                    status: Some(299),
                    headers: BTreeMap::new(),
                    templates: BTreeMap::from([("application/json".to_owned(), name.to_owned())]),
                };
                GatewayResponses::new(names.iter().map(|&name| (name.to_owned(), response(name))).collect())
            };
            let from_own = answer(&responses(all().collect()), refusal, &call);
            assert_eq!((from_own.status().as_u16(), text(from_own).await), (299, own.to_owned()));
            let from_class = answer(&responses(all().filter(|&name| name != own || name == class).collect()), refusal, &call);
            assert_eq!((from_class.status().as_u16(), text(from_class).await), (299, class.to_owned()));
            let from_nothing = answer(&responses(all().filter(|&name| name != own && name != class).collect()), refusal, &call);
            assert_eq!(from_nothing.status(), described.status);
            assert!(text(from_nothing).await.starts_with(r#"{"message":"#));
        }
    }
}
