use std::sync::Mutex;

use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::fake::{self, Answer, until};

/// An API of one function that succeeds, or fails if the event asks for it.
async fn api(state: &fake::State) -> (Router, std::sync::Arc<Mutex<Vec<Value>>>) {
    let events = std::sync::Arc::<Mutex<Vec<Value>>>::default();
    let noted = std::sync::Arc::clone(&events);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(call.event.clone());
        async move { if call.event["fail"] == true { Answer::Fail(fake::refusal()) } else { Answer::Succeed(call.event) } }
    });
    let lambda =
        Lambda::with_spawn(&[fake::function("posts")], state.dir.control(), state.queues.clone(), spawn, &tintype_chaos::Chaos::new([]))
            .await
            .unwrap();
    lambda.deliver_pending();
    (lambda.api(), events)
}

async fn call(api: &Router, function: &str, kind: Option<&str>, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::post(format!("/2015-03-31/functions/{function}/invocations"));
    if let Some(kind) = kind {
        request = request.header("X-Amz-Invocation-Type", kind);
    }
    let answer = api.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_function_answers_by_its_name_and_by_its_arn() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    for name in [
        "posts",
        "posts:$LATEST",
        "000000000000:function:posts",
        "arn:aws:lambda:us-east-1:000000000000:function:posts",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aposts%3A%24LATEST",
    ] {
        let (status, headers, body) = call(&api, name, None, r#"{"n":1}"#).await;
        assert_eq!(status, StatusCode::OK, "{name}");
        assert_eq!(body["n"], 1);
        assert_eq!(headers["x-amz-executed-version"], "$LATEST");
        assert!(headers.get("x-amz-function-error").is_none());
    }
    assert_eq!(call(&api, "posts", None, "").await.2, json!({}), "no payload is an empty event");
}

#[tokio::test]
async fn an_error_of_the_function_is_marked() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    let (status, headers, body) = call(&api, "posts", Some("RequestResponse"), r#"{"fail":true}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["x-amz-function-error"], "Unhandled");
    assert_eq!(body, fake::refusal());
}

#[tokio::test]
async fn an_event_is_accepted_and_delivered_and_a_dry_run_does_nothing() {
    let state = fake::state(&[]);
    let (api, events) = api(&state).await;
    assert_eq!(call(&api, "posts", Some("DryRun"), r#"{"dry":true}"#).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&api, "posts", Some("Event"), r#"{"later":true}"#).await.0, StatusCode::ACCEPTED);
    until("the event is delivered", || !events.lock().unwrap().is_empty()).await;
    assert_eq!(*events.lock().unwrap(), [json!({ "later": true })]);
}

#[tokio::test]
async fn what_lambda_refuses_is_refused_in_its_words() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    let large = |megabytes: usize| format!("\"{}\"", "x".repeat(megabytes * 1024 * 1024));
    for (function, kind, body, status, error) in [
        ("other", None, "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("posts", None, large(6), 413, "RequestTooLargeException"),
        ("posts", Some("Event"), large(1), 413, "RequestTooLargeException"),
        ("posts", None, "no json".to_owned(), 400, "InvalidRequestContentException"),
        ("posts", Some("Sometimes"), "{}".to_owned(), 400, "InvalidParameterValueException"),
    ] {
        let (got, headers, answer) = call(&api, function, kind, body).await;
        assert_eq!(got.as_u16(), status, "{error}");
        assert_eq!(headers["x-amzn-errortype"], error);
        assert_eq!(answer["Type"], "User");
        assert!(answer["Message"].is_string());
    }
}
