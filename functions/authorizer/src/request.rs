//! The event, as far as it is looked at: reading all of it cost more than the rest of the work, but for the signature.

use std::fmt;

use aws_lambda_events::http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use tintype_guard::Address;

/// What the gateway says of a request to the API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Request {
    /// `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/{path}`
    pub(crate) method_arn: Option<String>,
    /// Those that say who calls and from where.
    #[serde(deserialize_with = "headers")]
    pub(crate) headers: HeaderMap,
    #[serde(rename = "requestContext")]
    pub(crate) context: RequestContext,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RequestContext {
    pub(crate) request_id: Option<String>,
    pub(crate) identity: Source,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Source {
    pub(crate) source_ip: Option<String>,
}

/// The names come in the case in which the client wrote them.
fn wanted(name: &str) -> Option<HeaderName> {
    let [viewer, secret] = Address::HEADERS;
    [AUTHORIZATION.as_str(), viewer, secret].into_iter().find(|wanted| wanted.eq_ignore_ascii_case(name)).map(HeaderName::from_static)
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    deserializer.deserialize_any(Headers)
}

struct Headers;

impl<'de> Visitor<'de> for Headers {
    type Value = HeaderMap;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("headers, or null where there are none")
    }

    fn visit_unit<E>(self) -> Result<HeaderMap, E> {
        Ok(HeaderMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<HeaderMap, A::Error> {
        let mut headers = HeaderMap::new();
        while let Some(name) = entries.next_key_seed(Name)? {
            let Some(name) = name else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            // What can't be a header's value is none.
            if let Ok(value) = HeaderValue::try_from(entries.next_value::<String>()?) {
                headers.insert(name, value);
            }
        }
        Ok(headers)
    }
}

/// The name of a header, if it is one of those that count: compared where it lies, since most are not.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<HeaderName>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<HeaderName>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a header")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(wanted(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(event: serde_json::Value) -> Request {
        // As the runtime does: from the text.
        serde_json::from_str(&event.to_string()).unwrap()
    }

    #[test]
    fn headers_that_count_are_found_in_any_case_and_others_are_left_alone() {
        let headers = json!({
            "Host": "here", "AUTHORIZATION": "Bearer t", "x-viewer-ADDRESS": "192.0.2.1", "X-Origin-Secret": "s\u{fe}", "Accept": [7],
        });
        let headers = read(json!({"headers": headers})).headers;
        let value = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        assert_eq!(headers.len(), 3);
        assert_eq!(value("authorization").as_deref(), Some("Bearer t"));
        assert_eq!(Address::HEADERS.map(|name| value(name).unwrap()), ["192.0.2.1", "s\u{fe}"]);
    }

    #[test]
    fn what_is_not_there_or_no_value_is_none() {
        for event in [json!({}), json!({"headers": null}), json!({"headers": {"Authorization": "two\nlines"}, "requestContext": {}})] {
            let request = read(event);
            assert!(request.headers.is_empty() && request.method_arn.is_none() && request.context.identity.source_ip.is_none());
        }
    }
}
