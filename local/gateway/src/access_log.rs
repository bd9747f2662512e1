//! The access log: a line a request, in the template's own format.

use tintype_cloud::Log;

use crate::{context::Context, text::Text};

/// Where the lines go.
pub(crate) struct AccessLog {
    format: Text,
    log: Log,
}

impl AccessLog {
    pub(crate) fn new(format: &str, log: Log) -> Self {
        Self { format: Text::parse(format), log }
    }

    /// Writes the line of one request.
    pub(crate) fn write(&self, context: &Context<'_>) {
        let mut line = line(&self.format, context);
        line.push('\n');
        self.log.write(line.as_bytes());
    }
}

/// What a request does not have is "-", as API Gateway writes it.
fn line(format: &Text, context: &Context<'_>) -> String {
    format.render(|name, line| {
        if !context.push(name, line) {
            line.push('-');
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{
        call::Call,
        context::{Answered, Journey},
        event::ApiIdentity,
        refusal::Refusal,
    };

    const FORMAT: &str = concat!(
        r#"{"id":"$context.requestId","route":"$context.resourcePath","path":"$context.path","#,
        r#""agent":"$context.identity.userAgent","status":"$context.status","bytes":"$context.responseLength","#,
        r#""error":"$context.error.responseType","function_ms":"$context.integrationLatency","#,
        r#""nothing":"$context.nothing.at.all"}"#,
    );

    fn logged(call: &Call, journey: &Journey<'_>, refusal: Option<Refusal>, answered: Answered) -> String {
        let api = ApiIdentity::for_testing();
        let refused = refusal.map(Refusal::describe);
        line(&Text::parse(FORMAT), &Context { api: &api, call, journey, refused, answered: Some(answered) })
    }

    #[test]
    fn what_does_not_apply_is_a_dash() {
        let call = Call::for_testing("GET", "/v1/nowhere");
        let refusal = Some(Refusal::MissingAuthenticationToken);
        let line = logged(&call, &Journey::default(), refusal, Answered { status: 404, length: 0 });
        let fields: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(fields["id"], call.request_id);
        assert_eq!((&fields["status"], &fields["bytes"]), (&"404".into(), &"0".into()));
        assert_eq!(fields["error"], "MISSING_AUTHENTICATION_TOKEN");
        for absent in ["route", "agent", "function_ms", "nothing"] {
            assert_eq!(fields[absent], "-", "{absent}");
        }
    }

    /// As in gateway responses: the message with its quotation marks, so that the format needs none.
    #[test]
    fn a_refusals_words_are_a_string_of_their_own() {
        let (api, call, journey) = (ApiIdentity::for_testing(), Call::for_testing("GET", "/v1/feed"), Journey::default());
        for (refusal, expected) in
            [(Refusal::Throttled, r#"{"error":"Too Many Requests"}"#), (Refusal::AuthorizerFailure, r#"{"error":null}"#)]
        {
            let context = Context { api: &api, call: &call, journey: &journey, refused: Some(refusal.describe()), answered: None };
            assert_eq!(line(&Text::parse(r#"{"error":$context.error.messageString}"#), &context), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever a client sends: one line, valid JSON, and the values are what they were.
        #[test]
        fn a_request_is_one_line_of_json(
            path in "/[a-z0-9%!$&'()*+,;=:@~._/-]{0,20}",
            agent in "[\\x20-\\x7e\\t]{1,30}",
            status in 200_u16..600,
            length in any::<u64>(),
            latency in 0_u64..100_000,
        ) {
            let mut call = Call::for_testing("GET", &path);
            call.headers.insert("user-agent", HeaderValue::from_str(&agent).unwrap());
            let journey = Journey {
                resource: Some(("/users/{username}", "00000a")),
                integration_latency: Some(Duration::from_millis(latency)),
                ..Journey::default()
            };
            let line = logged(&call, &journey, None, Answered { status, length });
            prop_assert!(!line.contains(['\n', '\r']));
            let fields: Value = serde_json::from_str(&line).unwrap();
            let (status, length, latency) = (status.to_string(), length.to_string(), latency.to_string());
            for (name, expected) in [
                ("route", "/users/{username}"), ("path", &path), ("agent", &agent), ("status", &status), ("bytes", &length),
                ("function_ms", &latency), ("error", "-"),
            ] {
                prop_assert_eq!(fields[name].as_str(), Some(expected), "{}", name);
            }
        }
    }
}
