//! `$context`: all that is known of a request, by the names that templates use.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::header::USER_AGENT;

use crate::{
    authorizer::Verdict,
    call::Call,
    event::{ApiIdentity, DEPLOYMENT_ID},
    refusal::Described,
    text::push_escaped,
};

/// What a request met on its way.
#[derive(Debug, Default)]
pub(crate) struct Journey<'g> {
    /// Path of the template and id of the resource that it was for.
    pub(crate) resource: Option<(&'g str, &'g str)>,
    /// What the authorizer said, if it was asked.
    pub(crate) verdict: Option<Arc<Verdict>>,
    /// How long that took; next to nothing if it was remembered.
    pub(crate) authorizer_latency: Option<Duration>,
    /// How long the function took.
    pub(crate) integration_latency: Option<Duration>,
}

/// What the client was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) length: u64,
}

/// The variables' values.
pub(crate) struct Context<'a> {
    pub(crate) api: &'a ApiIdentity,
    pub(crate) call: &'a Call,
    pub(crate) journey: &'a Journey<'a>,
    /// Why it was refused, if it was.
    pub(crate) refused: Option<Described>,
    /// Only the access log knows it.
    pub(crate) answered: Option<Answered>,
}

impl Context<'_> {
    /// Adds the value of `$context.{name}`; false if there is none, or nothing in it.
    ///
    /// Values stand inside the quotation marks of a JSON string, but for the one that comes with its own.
    pub(crate) fn push(&self, name: &str, text: &mut String) -> bool {
        let Some(value) = self.value(name).filter(|value| !value.is_empty()) else { return false };
        if name == "error.messageString" {
            text.push_str(&value);
        } else {
            push_escaped(text, &value);
        }
        true
    }

    /// The value of `$context.{name}`; `None` for what this request does not have.
    pub(crate) fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let Self { api, call, journey, refused, answered } = self;
        let value = match name {
            "accountId" => text(&api.account.id),
            "apiId" => text(&api.id),
            "authorizer.latency" | "authorizer.integrationLatency" => number(millis(journey.authorizer_latency?)),
            "deploymentId" => text(DEPLOYMENT_ID),
            "domainName" => text(call.host()?),
            "domainPrefix" => text(call.host()?.split('.').next()?),
            "error.message" => text(refused.as_ref()?.message?),
            // With its quotation marks; null without any where there is no message.
            "error.messageString" => refused.as_ref()?.message.map_or(text("null"), |message| format!("\"{message}\"").into()),
            "error.responseType" => text(refused.as_ref()?.response_type?),
            "extendedRequestId" => text(&call.extended_request_id),
            "httpMethod" => text(call.method.as_str()),
            "identity.sourceIp" => text(&call.source_ip),
            "identity.userAgent" => String::from_utf8_lossy(call.headers.get(USER_AGENT)?.as_bytes()),
            "integrationLatency" | "integration.latency" => number(millis(journey.integration_latency?)),
            "path" => text(call.path()),
            "protocol" => text(call.protocol()),
            "requestId" => text(&call.request_id),
            "requestTime" => call.request_time().into(),
            "requestTimeEpoch" => call.received.as_millisecond().to_string().into(),
            "resourceId" => text(journey.resource?.1),
            "resourcePath" => text(journey.resource?.0),
            "responseLatency" => answered.map(|_| number(millis(call.started.elapsed())))?,
            "responseLength" => number(answered.as_ref()?.length),
            "stage" => text(&api.stage),
            "status" => number(answered.as_ref()?.status.into()),
            "xrayTraceId" => text(&call.trace_id),
            // What the authorizer's function put into its context.
            _ => text(journey.verdict.as_ref()?.property(name.strip_prefix("authorizer.")?)?),
        };
        Some(value)
    }
}

fn text(text: &str) -> Cow<'_, str> {
    text.into()
}

fn number(number: u64) -> Cow<'static, str> {
    number.to_string().into()
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
