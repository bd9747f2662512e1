//! Functions get the events that AWS sends, field by field, and their answers become responses.

use aws_lambda_events::apigw::{ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayProxyRequest};
use http::Request;
use serde_json::json;
use tintype_lambda::InvokeError;
use tintype_template::deployment::Route;

use super::{Fixture, api};

#[tokio::test]
async fn the_function_is_asked_with_the_clients_trace() {
    let fixture = Fixture::of_empty_answers();
    let trace = "1-67891233-abcdef012345678912345678";
    let request = Request::post("/v1/open").header("x-amzn-trace-id", format!("Root={trace}"));
    let response = fixture.send(request, "{}").await;
    assert_eq!(response.headers["x-amzn-trace-id"], format!("Root={trace}"));
    let seen = fixture.only();
    assert_eq!(seen.function, "tintype-function");
    assert!(seen.trace.starts_with(&format!("Root={trace};Parent=")), "{}", seen.trace);
}

#[tokio::test]
async fn functions_read_the_event_with_the_usual_types() {
    let fixture = Fixture::of_empty_answers();
    fixture.get("/v1/open/a%2Fb%20c?limit=20").await;

    let event: ApiGatewayProxyRequest = serde_json::from_value(fixture.only().event).unwrap();
    assert_eq!(event.resource.as_deref(), Some("/open/{name}"));
    assert_eq!(event.path.as_deref(), Some("/open/a%2Fb%20c"));
    assert_eq!(event.path_parameters["name"], "a/b c");
    assert_eq!(event.query_string_parameters.first("limit"), Some("20"));
    assert_eq!(event.body, None);
    assert_eq!(event.request_context.stage.as_deref(), Some("v1"));
    assert_eq!(event.request_context.path.as_deref(), Some("/v1/open/a%2Fb%20c"));
    assert_eq!(event.request_context.identity.source_ip.as_deref(), Some("192.0.2.7"));
    assert!(event.request_context.request_time_epoch > 1_700_000_000_000);
    let time = event.request_context.request_time.unwrap();
    assert_eq!(time.len(), "15/May/2020:06:01:09 +0000".len(), "{time}");
}

#[tokio::test]
async fn the_authorizers_event_is_api_gateways() {
    let fixture = Fixture::of_empty_answers();
    let request = Request::post("/v1/closed/ada?x=1&x=2").header("authorization", "Bearer token");
    fixture.send(request, "{}").await;

    let seen = fixture.only();
    assert_eq!(seen.function, "tintype-authorizer");
    assert_eq!(seen.event["type"], "REQUEST");
    assert_eq!(seen.event["headers"]["Authorization"], "Bearer token");
    assert_eq!(seen.event["stageVariables"], json!({}));
    assert!(seen.event.get("body").is_none());

    let event: ApiGatewayCustomAuthorizerRequestTypeRequest = serde_json::from_value(seen.event).unwrap();
    let arn = "arn:aws:execute-api:us-east-1:000000000000:api/v1/POST/closed/ada";
    assert_eq!(event.method_arn.as_deref(), Some(arn));
    assert_eq!(event.resource.as_deref(), Some("/closed/{name}"));
    assert_eq!(event.path_parameters["name"], "ada");
    assert_eq!(event.headers["authorization"], "Bearer token");
    assert_eq!(event.query_string_parameters.first("x"), Some("2"));
    assert_eq!(event.multi_value_query_string_parameters.all("x"), Some(vec!["1", "2"]));
    assert_eq!(event.request_context.stage.as_deref(), Some("v1"));
}

#[tokio::test]
async fn binary_bodies_travel_as_base64_both_ways() {
    let fixture =
        Fixture::new(api(), |_, _| Ok(json!({"body": "/9j/", "isBase64Encoded": true, "headers": {"Content-Type": "image/jpeg"}})));
    let request = || Request::post("/v1/open").header("content-type", "image/jpeg; q=1");
    let response = fixture.send(request(), vec![0xff, 0xd8, 0xff]).await;
    let event = fixture.only().event;
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/9j/"), &json!(true)));
    assert_eq!(response.body, "/9j/", "a client that did not ask for an image gets the text");

    let event_of_nothing = fixture.send(request(), "").await;
    assert_eq!(event_of_nothing.status, 200);
    assert_eq!(fixture.seen()[1].event["isBase64Encoded"], false);

    let answer = |body: &'static str| Fixture::new(api(), move |_, _| Ok(json!({"body": body, "isBase64Encoded": true})));
    let request = || Request::get("/v1/open/x").header("accept", "image/jpeg, */*");
    assert_eq!(answer("aGVsbG8=").send(request(), "").await.body, "hello");
    let refused = answer("not base64").send(request(), "").await;
    assert_eq!(refused.refusal(), (500, "API_CONFIGURATION_ERROR".to_owned()));
}

#[tokio::test]
async fn answers_become_responses() {
    let fixture = Fixture::new(api(), |_, _| {
        Ok(json!({
            "statusCode": 201,
            "headers": {"Location": "/v1/open/x", "Set-Cookie": "a=1", "X-Count": 3},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
            "body": "{}",
        }))
    });
    let response = fixture.get("/v1/open/x").await;
    assert_eq!(response.status, 201);
    assert_eq!(response.body, "{}");
    assert_eq!(response.headers["location"], "/v1/open/x");
    assert_eq!(response.headers["x-count"], "3");
    assert_eq!(response.headers["content-type"], "application/json");
    let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(response.headers.contains_key("x-amzn-requestid"));
    assert!(response.headers.contains_key("x-amz-apigw-id"));
    assert!(response.headers["x-amzn-trace-id"].to_str().unwrap().starts_with("Root=1-"));
}

/// Known on AWS, and a surprise to many: a function cannot answer with these.
#[tokio::test]
async fn headers_that_are_the_gateways_own_are_remapped() {
    let fixture = Fixture::new(api(), |_, _| {
        Ok(json!({"headers": {"WWW-Authenticate": "Bearer", "Content-Length": "999", "Transfer-Encoding": "chunked"}}))
    });
    let response = fixture.get("/v1/open/x").await;
    assert_eq!(response.headers["x-amzn-remapped-www-authenticate"], "Bearer");
    assert_eq!(response.headers["x-amzn-remapped-content-length"], "999");
    for absent in ["www-authenticate", "content-length", "transfer-encoding"] {
        assert!(!response.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn what_is_no_proxy_response_is_502() {
    for malformed in [
        json!("text"),
        json!(null),
        json!([]),
        json!({"statusCode": "ok"}),
        json!({"statusCode": 99}),
        json!({"statusCode": 1000}),
        json!({"statusCode": 101}),
        json!({"statusCode": 200.5}),
        json!({"body": {"a": 1}}),
        json!({"isBase64Encoded": "no"}),
        json!({"headers": {"a b": "c"}}),
        json!({"headers": {"a": "line\nline"}}),
        json!({"headers": {"a": ["b"]}}),
        json!({"multiValueHeaders": {"a": "b"}}),
        json!({"statusCode": 200, "message": "unknown field"}),
        json!({"errorMessage": "an error that was answered"}),
    ] {
        let answer = malformed.clone();
        let fixture = Fixture::new(api(), move |_, _| Ok(answer.clone()));
        let response = fixture.get("/v1/open/x").await;
        assert_eq!(response.refusal(), (502, "INTEGRATION_FAILURE".to_owned()), "{malformed}");
    }
}

#[tokio::test]
async fn a_function_that_fails_is_502() {
    for error in [
        InvokeError::TimedOut { payload: "{}".into() },
        InvokeError::Crashed { payload: "{}".into() },
        InvokeError::FunctionError { payload: r#"{"errorMessage":"secret"}"#.into() },
    ] {
        let fixture = Fixture::new(api(), move |_, _| Err(error.clone()));
        let response = fixture.get("/v1/open/x").await;
        assert_eq!(response.refusal(), (502, "INTEGRATION_FAILURE".to_owned()));
        assert!(!response.body.contains("secret"));
    }
}

/// Lambda's guide: 502 is the function's, 500 is what Lambda did not take.
#[tokio::test]
async fn an_invocation_that_lambda_does_not_take_is_500() {
    for error in [InvokeError::UnknownFunction, InvokeError::Throttled, InvokeError::Stopping] {
        let fixture = Fixture::new(api(), move |_, _| Err(error.clone()));
        assert_eq!(fixture.get("/v1/open/x").await.refusal(), (500, "INTEGRATION_FAILURE".to_owned()));
    }
}

#[tokio::test]
async fn only_what_looks_is_handed_to_a_second_worker() {
    let mut api = api();
    let template = api.routes[0].clone();
    api.routes.extend(["HEAD", "PUT", "DELETE", "PATCH"].map(|method| Route { method: method.to_owned(), ..template.clone() }));
    for (method, expected) in [("GET", true), ("HEAD", true), ("PUT", false), ("DELETE", false), ("PATCH", false)] {
        let fixture = Fixture::new(api.clone(), |_, _| Ok(json!({})));
        fixture.send(Request::builder().method(method).uri("/v1/open/x"), "").await;
        assert_eq!(fixture.only().repeatable, expected, "{method}");
    }
}
