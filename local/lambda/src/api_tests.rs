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

async fn get(api: &Router, path: &str) -> (StatusCode, HeaderMap, Value) {
    send(api, Request::get(format!("/2015-03-31{path}")).body(Body::empty()).unwrap()).await
}

async fn send(api: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = api.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

async fn call(api: &Router, function: &str, kind: Option<&str>, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::post(format!("/2015-03-31/functions/{function}/invocations"));
    if let Some(kind) = kind {
        request = request.header("X-Amz-Invocation-Type", kind);
    }
    send(api, request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_function_answers_by_its_name_and_by_its_arn() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    for name in [
        "posts",
        "posts:$LATEST",
        "posts:%24LATEST",
        "function:posts:$LATEST",
        "000000000000:function:posts",
        "arn:aws:lambda:us-east-1:000000000000:function:posts",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aposts%3A%24LATEST",
    ] {
        let (status, headers, body) = call(&api, name, None, r#"{"n":1}"#).await;
        assert_eq!(status, StatusCode::OK, "{name}");
        assert_eq!(body["n"], 1);
        assert_eq!(headers["x-amz-executed-version"], "$LATEST");
        assert!(headers.get("x-amz-function-error").is_none());
        assert_eq!(headers["x-amzn-requestid"].len(), 36);
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
        ("posts:prod", None, "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("arn:aws:lambda:us-east-1:111111111111:function:posts", None, "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:posts", None, "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("osts", None, "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("po%20sts", None, "{}".to_owned(), 400, "ValidationException"),
        ("posts", Some("Sometimes"), "{}".to_owned(), 400, "InvalidParameterValueException"),
    ] {
        let (got, headers, answer) = call(&api, function, kind, body).await;
        assert_eq!(got.as_u16(), status, "{error}");
        assert_eq!(headers["x-amzn-errortype"], error);
        assert_eq!(answer["Type"], "User");
        assert!(answer["Message"].is_string());
    }
}

#[tokio::test]
async fn a_qualifier_is_the_one_version_or_refused() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    for (name, qualifier, status) in
        [("posts", "$LATEST", 200), ("posts:$LATEST", "$LATEST", 200), ("posts", "1", 404), ("posts:$LATEST", "1", 400)]
    {
        let path = format!("/2015-03-31/functions/{name}/invocations?Qualifier={qualifier}");
        let (got, ..) = send(&api, Request::post(path).body(Body::empty()).unwrap()).await;
        assert_eq!(got.as_u16(), status, "{name} {qualifier}");
    }
}

#[tokio::test]
async fn the_log_of_an_invocation_comes_with_its_answer_if_it_is_asked_for() {
    let state = fake::state(&[]);
    let spawn = fake::workers(|_| async { Answer::Print("hello".to_owned(), json!({})) });
    let chaos = tintype_chaos::Chaos::new([]);
    let lambda = Lambda::with_spawn(&[fake::function("posts")], state.dir.control(), state.queues.clone(), spawn, &chaos).await.unwrap();
    let invoke = |log_type: &str| {
        let request = Request::post("/2015-03-31/functions/posts/invocations").header("X-Amz-Log-Type", log_type);
        let request = request.body(Body::empty()).unwrap();
        let api = lambda.api();
        async move { send(&api, request).await }
    };
    let (status, headers, _) = invoke("Tail").await;
    assert_eq!(status, StatusCode::OK);
    let log = String::from_utf8(BASE64_STANDARD.decode(&headers["x-amz-log-result"]).unwrap()).unwrap();
    let id = headers["x-amzn-requestid"].to_str().unwrap();
    assert!(log.starts_with(&format!("START RequestId: {id} Version: $LATEST\nhello\nEND")), "{log}");
    assert!(invoke("None").await.1.get("x-amz-log-result").is_none());
    assert_eq!(invoke("All").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn functions_are_listed_and_described() {
    let state = fake::state(&[]);
    let (api, _) = api(&state).await;
    for path in ["/functions", "/functions/", "/functions/?MaxItems=50"] {
        let (status, _, list) = get(&api, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(list["Functions"][0]["FunctionName"], "posts");
        assert_eq!(list["Functions"].as_array().unwrap().len(), 1);
    }
    let (status, _, described) = get(&api, "/functions/posts?Qualifier=$LATEST").await;
    assert_eq!(status, StatusCode::OK);
    let configuration = &described["Configuration"];
    assert_eq!(configuration["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:posts");
    assert_eq!((&configuration["Timeout"], &configuration["MemorySize"]), (&json!(60), &json!(256)));
    assert_eq!(get(&api, "/functions/function:posts/configuration").await.2, *configuration);
    for (path, error) in [
        ("/functions/other", "ResourceNotFoundException"),
        ("/functions/other/configuration", "ResourceNotFoundException"),
        ("/functions/posts/policy", "UnknownOperationException"),
        ("/functions/posts/invocations", "UnknownOperationException"),
        ("/layers", "UnknownOperationException"),
    ] {
        let (status, headers, _) = get(&api, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers["x-amzn-errortype"], error);
    }
}

#[tokio::test]
async fn a_web_page_can_not_invoke_functions() {
    let state = fake::state(&[]);
    let (api, events) = api(&state).await;
    let invoke = || Request::post("/2015-03-31/functions/posts/invocations");
    let (status, headers, _) = send(&api, invoke().header("origin", "https://example.org").body(Body::empty()).unwrap()).await;
    assert_eq!((status, headers["x-amzn-errortype"].to_str().unwrap()), (StatusCode::FORBIDDEN, "AccessDeniedException"));
    assert!(events.lock().unwrap().is_empty());
    assert_eq!(send(&api, invoke().body(Body::empty()).unwrap()).await.0, StatusCode::OK);
}
