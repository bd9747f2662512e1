//! Nobody passes the authorizer who may not, and it is not asked more often than the template says.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::Request;
use serde_json::{Value, json};
use tintype_lambda::InvokeError;

use super::{Answer, Fixture, Read, api};

const STAGE: &str = "arn:aws:execute-api:us-east-1:000000000000:api/v1/*";

fn verdict(effect: &str, resource: &str) -> Value {
    json!({
        "principalId": "ada",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}],
        },
        "context": {"sid": "s1", "exp": 1_700_000_000, "admin": false, "nothing": null},
    })
}

/// With a function behind the routes that always answers.
fn with_authorizer(authorizer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Fixture {
    Fixture::new(api(), move |function, event| match function {
        "tintype-authorizer" => authorizer(event),
        _ => Ok(json!({})),
    })
}

async fn get_closed(fixture: &Fixture, token: &str) -> Read {
    fixture.send(Request::get("/v1/closed").header("authorization", token), "").await
}

fn asked(fixture: &Fixture) -> usize {
    fixture.seen().iter().filter(|seen| seen.function == "tintype-authorizer").count()
}

fn reached(fixture: &Fixture) -> usize {
    fixture.seen().iter().filter(|seen| seen.function == "tintype-function").count()
}

#[tokio::test]
async fn the_function_learns_who_is_calling() {
    let fixture = with_authorizer(|_| Ok(verdict("Allow", STAGE)));
    assert_eq!(get_closed(&fixture, "t").await.status, 200);

    let event = &fixture.seen()[1].event;
    let mut authorizer = event["requestContext"]["authorizer"].clone();
    let latency = authorizer.as_object_mut().unwrap().remove("integrationLatency");
    assert!(latency.unwrap().is_u64());
    // Numbers and booleans arrive as strings, as on AWS.
    let expected = json!({"principalId": "ada", "sid": "s1", "exp": "1700000000", "admin": "false", "nothing": null});
    assert_eq!(authorizer, expected);
}

#[tokio::test]
async fn open_routes_ask_nobody() {
    let fixture = with_authorizer(|_| Ok(verdict("Deny", "*")));
    let response = fixture.send(Request::get("/v1/open/x").header("authorization", "t"), "").await;
    assert_eq!(response.status, 200);
    assert_eq!(asked(&fixture), 0);
    assert!(fixture.only().event["requestContext"].get("authorizer").is_none());
}

#[tokio::test]
async fn without_an_identity_the_answer_is_401_and_nobody_is_asked() {
    let fixture = with_authorizer(|_| Ok(verdict("Allow", STAGE)));
    assert_eq!(fixture.get("/v1/closed").await.refusal(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(get_closed(&fixture, "").await.refusal(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(fixture.seen().len(), 0);
}

#[tokio::test]
async fn a_denied_caller_never_reaches_the_function() {
    let elsewhere = "arn:aws:execute-api:us-east-1:000000000000:api/v1/POST/*";
    for verdict in [verdict("Deny", STAGE), verdict("Allow", elsewhere)] {
        let fixture = with_authorizer(move |_| Ok(verdict.clone()));
        assert_eq!(get_closed(&fixture, "t").await.refusal(), (403, "ACCESS_DENIED".to_owned()));
        assert_eq!(reached(&fixture), 0);
    }
}

/// What a policy says of a method, it says of every spelling that is routed there.
#[tokio::test]
async fn no_spelling_of_a_path_gets_round_a_policy() {
    let arn = |path: &str| format!("arn:aws:execute-api:us-east-1:000000000000:api/v1/{path}");
    let statement = |effect: &str, path: &str| json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": arn(path)});
    let judged = |statements: Value| {
        let verdict = json!({"principalId": "ada", "policyDocument": {"Version": "2012-10-17", "Statement": statements}});
        with_authorizer(move |_| Ok(verdict.clone()))
    };
    let status = async |fixture: &Fixture, request: http::request::Builder| {
        fixture.send(request.header("authorization", "t"), "").await.status.as_u16()
    };

    let fixture = judged(json!([statement("Allow", "*"), statement("Deny", "GET/closed")]));
    for path in ["/v1/closed", "/v1/%63losed", "/v1/closed/", "/v1/closed///", "/v1/close%64/?x=1"] {
        assert_eq!(status(&fixture, Request::get(path)).await, 403, "{path}");
    }
    assert_eq!(reached(&fixture), 0);

    // A slash and a wildcard in a parameter are letters of it: they neither split a path nor stand for another.
    let fixture = judged(json!([statement("Allow", "POST/closed/ada"), statement("Allow", "POST/closed/a/b")]));
    for (path, expected) in [("ada", 200), ("%61d%61/", 200), ("a%2Fb", 403), ("*", 403), ("a%64%2a", 403), ("bob", 403)] {
        assert_eq!(status(&fixture, Request::post(format!("/v1/closed/{path}"))).await, expected, "{path}");
    }
    assert_eq!(fixture.seen()[0].event["methodArn"], arn("POST/closed/ada"));

    // An authorizer that allows what it was asked about allows no more than that.
    let fixture = with_authorizer(|event| Ok(verdict("Allow", event["methodArn"].as_str().unwrap())));
    assert_eq!(status(&fixture, Request::post("/v1/closed/*")).await, 200);
    assert_eq!(status(&fixture, Request::post("/v1/closed/ada")).await, 403);
}

#[tokio::test]
async fn failures_of_the_authorizer() {
    let error = |payload: &'static str| InvokeError::FunctionError { payload: payload.into() };
    for (answer, expected) in [
        (Err(error(r#"{"errorType":"x","errorMessage":"Unauthorized"}"#)), (401, "UNAUTHORIZED")),
        (Err(error(r#"{"errorMessage":"unauthorized"}"#)), (500, "AUTHORIZER_FAILURE")),
        (Err(error("not JSON")), (500, "AUTHORIZER_FAILURE")),
        (Err(InvokeError::TimedOut { payload: "{}".into() }), (500, "AUTHORIZER_FAILURE")),
        (Err(InvokeError::Crashed { payload: "{}".into() }), (500, "AUTHORIZER_FAILURE")),
        (Ok(json!({})), (500, "AUTHORIZER_CONFIGURATION_ERROR")),
        (Ok(json!({"policyDocument": {"Statement": []}})), (500, "AUTHORIZER_CONFIGURATION_ERROR")),
        (
            Ok(json!({"principalId": "a", "policyDocument": {"Statement": []}, "context": {"nested": {}}})),
            (500, "AUTHORIZER_CONFIGURATION_ERROR"),
        ),
        (Ok(json!({"principalId": "a", "policyDocument": {"Statement": []}})), (403, "ACCESS_DENIED")),
    ] {
        let shown = format!("{answer:?}");
        let fixture = with_authorizer(move |_| answer.clone());
        let (status, code) = get_closed(&fixture, "t").await.refusal();
        assert_eq!((status, code.as_str()), expected, "{shown}");
        assert_eq!(reached(&fixture), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_stands_for_the_ttl_and_for_its_caller_alone() {
    let fixture = with_authorizer(|_| Ok(verdict("Allow", STAGE)));
    for _ in 0..3 {
        assert_eq!(get_closed(&fixture, "ada").await.status, 200);
    }
    assert_eq!(asked(&fixture), 1);

    get_closed(&fixture, "bob").await;
    assert_eq!(asked(&fixture), 2, "another token is another caller");
    let two = Request::get("/v1/closed").header("authorization", "ada").header("authorization", "bob");
    fixture.send(two, "").await;
    assert_eq!(asked(&fixture), 3, "two tokens are neither of them");

    tokio::time::advance(Duration::from_secs(29)).await;
    get_closed(&fixture, "ada").await;
    assert_eq!(asked(&fixture), 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    get_closed(&fixture, "ada").await;
    assert_eq!(asked(&fixture), 4);
}

#[tokio::test]
async fn a_cached_verdict_is_judged_against_each_method() {
    let get_only = "arn:aws:execute-api:us-east-1:000000000000:api/v1/GET/*";
    let fixture = with_authorizer(move |_| Ok(verdict("Allow", get_only)));
    assert_eq!(get_closed(&fixture, "t").await.status, 200);
    let post = Request::post("/v1/closed/x").header("authorization", "t");
    assert_eq!(fixture.send(post, "").await.refusal(), (403, "ACCESS_DENIED".to_owned()));
    assert_eq!(asked(&fixture), 1);
}

#[tokio::test]
async fn failures_are_not_cached() {
    let calls = AtomicUsize::new(0);
    let fixture = with_authorizer(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Err(InvokeError::Crashed { payload: "{}".into() }),
        1 => Err(InvokeError::FunctionError { payload: r#"{"errorMessage":"Unauthorized"}"#.into() }),
        _ => Ok(verdict("Allow", STAGE)),
    });
    assert_eq!(get_closed(&fixture, "t").await.status, 500);
    assert_eq!(get_closed(&fixture, "t").await.status, 401);
    assert_eq!(get_closed(&fixture, "t").await.status, 200);
}

#[tokio::test]
async fn a_ttl_of_zero_asks_each_time() {
    let mut api = api();
    api.authorizer.as_mut().unwrap().ttl = Duration::ZERO;
    let fixture = Fixture::new(api, |function, _| match function {
        "tintype-authorizer" => Ok(verdict("Allow", STAGE)),
        _ => Ok(json!({})),
    });
    get_closed(&fixture, "t").await;
    get_closed(&fixture, "t").await;
    assert_eq!(asked(&fixture), 2);
}
