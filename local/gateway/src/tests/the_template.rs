//! The repository's own template, through the gateway.

use std::{collections::BTreeMap, sync::Arc};

use http::{Request, request};
use serde_json::json;
use tintype_lambda::InvokeError;
use tintype_template::{Machine, deployment::Api};

use super::{Fixture, Read};
use crate::{
    Account,
    authorizer::Verdict,
    call::Call,
    context::{Answered, Context, Journey},
    event::ApiIdentity,
    gateway::Gateway,
    integration::Invoke,
    refusal::Refusal,
    text::Text,
};

fn api() -> Api {
    let text = include_str!("../../../../template.yaml");
    let machine = Machine {
        account_id: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        stack_name: "tintype".to_owned(),
        aws_endpoint: "http://127.0.0.1:4566".to_owned(),
    };
    let parameters = BTreeMap::from([("AwsEndpointUrl".to_owned(), machine.aws_endpoint.clone())]);
    tintype_template::read(text, &parameters, &machine).unwrap_or_else(|error| panic!("{error}")).api
}

/// A variable that the gateway does not know would be a dash in every line, and nobody would notice.
#[test]
fn every_variable_of_the_template_has_a_value() {
    let api = api();
    let mut call = Call::for_testing("GET", "/v1/feed");
    call.headers.insert("user-agent", "test".parse().unwrap());
    let moment = Some(std::time::Duration::from_millis(1));
    let journey = Journey {
        resource: Some(("/feed", "000001")),
        verdict: Some(std::sync::Arc::new(Verdict::for_testing())),
        authorizer_latency: moment,
        integration_latency: moment,
    };
    let identity = ApiIdentity::for_testing();
    let context =
        |answered| Context { api: &identity, call: &call, journey: &journey, refused: Some(Refusal::BadRequest.describe()), answered };
    let format = Text::parse(api.access_log.as_deref().unwrap());
    let answered = context(Some(Answered { status: 200, length: 5 }));
    for name in format.variables() {
        assert!(answered.value(name).is_some(), "$context.{name} in the access log");
    }
    let unanswered = context(None);
    for (kind, response) in &api.responses {
        for body in response.templates.values() {
            for name in Text::parse(body).variables() {
                assert!(unanswered.value(name).is_some(), "$context.{name} in {kind}");
            }
        }
    }
}

/// Whoever reads an answer in a page of another origin has to be told that it may.
#[tokio::test]
async fn pages_of_every_origin_read_every_answer_of_the_gateway() {
    let fixture = Fixture::new(api(), |_, _| Ok(json!("no proxy response, and no policy")));
    let long = "x".repeat(11 * 1024 * 1024);
    for (request, body, status) in [
        (Request::get("/v1/"), "", 404),
        (Request::get("/v1/").header("authorization", "Bearer t"), "", 404),
        (Request::get("/v1/feed"), "", 401),
        (Request::get("/v1/feed").header("authorization", "Bearer t"), "", 500),
        (Request::get("/v1/health"), "", 503),
        (Request::get("/v1/users/%ff"), "", 400),
        (Request::post("/v1/posts"), &long, 413),
        (Request::options("/v1/feed"), "", 200),
    ] {
        let response = fixture.send(request, body.to_owned()).await;
        assert_eq!(response.status, status, "{}", response.body);
        assert_eq!(response.headers["access-control-allow-origin"], "*", "{status}");
        let has_retry_after = response.headers.contains_key("retry-after");
        let exposed = response.headers.get("access-control-expose-headers").map(|value| value.to_str().unwrap());
        assert_eq!(exposed, has_retry_after.then_some("Retry-After"), "{status}");
    }
}

/// Status, code, and whether the client is told when to come again.
fn said(response: &Read) -> (u16, String, bool) {
    assert_eq!(response.headers["content-type"], "application/problem+json");
    let body = response.json();
    assert_eq!(body["status"], response.status.as_u16());
    assert_eq!(body["request_id"], response.headers["x-amzn-requestid"].to_str().unwrap());
    (response.status.as_u16(), body["code"].as_str().unwrap().to_owned(), response.headers.contains_key("retry-after"))
}

#[tokio::test(start_paused = true)]
async fn refusals_are_in_the_templates_own_words() {
    let feed = || Request::get("/v1/feed").header("authorization", "Bearer t");
    let of = async |answer: fn(&str) -> super::Answer, request: request::Builder| {
        said(&Fixture::new(api(), move |function, _| answer(function)).send(request, "").await)
    };
    let denied = of(|_| Ok(json!({"principalId": "ada", "policyDocument": {"Statement": []}})), feed()).await;
    assert_eq!(denied, (403, "forbidden".to_owned(), false));
    let unavailable = (503, "unavailable".to_owned(), true);
    assert_eq!(of(|_| Err(InvokeError::Throttled), feed()).await, unavailable, "the authorizer's function");
    for answer in [|_: &_| Err(InvokeError::Throttled), |_: &_| Err(InvokeError::Crashed { payload: "{}".into() })] {
        assert_eq!(of(answer, Request::get("/v1/health")).await, unavailable);
    }

    let fixture = Fixture::new(api(), |_, _| Ok(json!({})));
    let log_in = async || fixture.send(Request::post("/v1/sessions"), "{}").await;
    while log_in().await.status == 200 {}
    assert_eq!(said(&log_in().await), (429, "quota-exceeded".to_owned(), true));

    let silent: Invoke = Arc::new(|_| Box::pin(std::future::pending()));
    let gateway = Gateway::new(Account { id: String::new(), region: String::new() }, api(), None, silent, None);
    let fixture = Fixture { gateway: Arc::new(gateway), seen: Arc::default() };
    assert_eq!(said(&fixture.get("/v1/health").await), (504, "timeout".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn sign_ups_have_a_bucket_of_their_own() {
    let fixture = Fixture::new(api(), |_, _| Ok(json!({})));
    let sign_up = async || fixture.send(Request::post("/v1/accounts"), "{}").await.status.as_u16();
    let mut admitted = 0;
    while sign_up().await == 200 {
        admitted += 1;
    }
    assert_eq!(admitted, 200);
    assert_eq!(sign_up().await, 429);
    assert_eq!(fixture.get("/v1/health").await.status, 200, "everything else goes on");
}
