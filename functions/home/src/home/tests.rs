//! A Lambda that answers what a test says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use axum::{body::to_bytes, extract::FromRequestParts, response::Response};
use serde_json::{Value, json};
use tintype_auth::Identity;
use tintype_core::{SessionId, UserId};
use tintype_resilience::breaker::{LEAST, State};
use tintype_signed::Service;
use tokio::time::sleep;

use super::*;

/// What a function does with an event.
#[derive(Debug, Clone)]
enum Does {
    /// 200 with this body.
    Answers(Value),
    /// The same with these headers.
    AnswersWith(u16, Value, Value),
    /// Lambda's own status, and the error that it says a function has had.
    Lambda(u16, Option<&'static str>),
    Hangs,
}

/// What it was asked: by function, the event and the trace id of the request.
type Asked = Arc<Mutex<BTreeMap<String, (Value, String)>>>;

#[derive(Debug, Clone)]
struct Functions {
    does: BTreeMap<&'static str, Does>,
    asked: Asked,
}

impl HttpConnector for Functions {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let path: Vec<&str> = request.uri().split('/').collect();
        let ["2015-03-31", "functions", function, "invocations"] = path[3..] else { panic!("{path:?}") };
        assert!(request.headers().get("authorization").unwrap().contains("/us-east-1/lambda/aws4_request"));
        let event = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let trace_id = request.headers().get("x-amzn-trace-id").unwrap_or_default().to_owned();
        self.asked.lock().unwrap().insert(function.to_owned(), (event, trace_id));
        let does = self.does[function].clone();
        HttpConnectorFuture::new(async move {
            let (status, error, payload) = match does {
                Does::Answers(body) => (200, None, json!({"statusCode": 200, "multiValueHeaders": {}, "body": body.to_string()})),
                Does::AnswersWith(status, headers, body) => {
                    (200, None, json!({"statusCode": status, "multiValueHeaders": headers, "body": body.to_string()}))
                }
                Does::Lambda(status, error) => (status, error, json!({"errorMessage": "it quotes a secret"})),
                Does::Hangs => {
                    sleep(Duration::from_mins(1)).await;
                    unreachable!("nobody waits for so long")
                }
            };
            let mut response = HttpResponse::new(status.try_into().unwrap(), payload.to_string().into());
            if let Some(error) = error {
                response.headers_mut().insert("x-amz-function-error", error);
            }
            Ok(response)
        })
    }
}

fn functions() -> Functions {
    let answers = |body: Value| Does::Answers(body);
    let does = [
        ("the-feed", answers(json!({"items": [{"z": 1, "a": 2.50}], "next_cursor": "more"}))),
        ("the-notifications", answers(json!({"unread_count": 3, "latest": []}))),
        ("the-users", answers(json!({"items": [], "next_cursor": null}))),
    ];
    Functions { does: does.into(), asked: Asked::default() }
}

/// Functions of which one does something else.
fn but(function: &'static str, does: Does) -> Functions {
    let mut functions = functions();
    functions.does.insert(function, does);
    functions
}

/// Home, whose Lambda this is.
fn asking(lambda: impl HttpConnector + 'static) -> Home {
    let credentials = SharedCredentialsProvider::new(Credentials::new("an-access-key", "a-secret-key", None, None, "test"));
    let service = Service::of("lambda", "us-east-1", credentials, SharedHttpConnector::new(lambda));
    let [feed, notifications, users] = ["the-feed", "the-notifications", "the-users"].map(str::to_owned);
    Home::new(Lambda::of(service, "http://127.0.0.1:1/"), feed, notifications, users)
}

/// For tests of what asks nobody.
pub(crate) fn asking_nobody() -> Home {
    asking(Raw(String::new()))
}

async fn ask(functions: &Functions) -> Response {
    let event = std::fs::read_to_string(format!("{}/../../events/home/home.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let event = lambda_http::request::from_str(&event).unwrap();
    tintype_edge::answer("home", tintype_edge::service(crate::router(asking(functions.clone())), None), event).await
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test]
async fn each_section_is_its_functions_answer_byte_for_byte() {
    let response = ask(&functions()).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("etag"));
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let expected = concat!(
        r#"{"feed":{"items":[{"a":2.5,"z":1}],"next_cursor":"more"},"#,
        r#""notifications":{"latest":[],"unread_count":3},"suggestions":{"items":[],"next_cursor":null},"degraded":[]}"#
    );
    assert_eq!(bytes, expected);
}

/// Each function takes it for an event of the gateway, of the same person, whom no edge counts again.
#[tokio::test]
async fn a_function_is_asked_as_the_gateway_would_ask_it_for_the_same_person() {
    let functions = functions();
    ask(&functions).await;
    let asked = functions.asked.lock().unwrap().clone();
    let paths =
        [("the-feed", "/feed?limit=7"), ("the-notifications", "/notifications/summary?limit=5"), ("the-users", "/users/suggested?limit=5")];
    assert_eq!(asked.len(), paths.len());
    for (function, path) in paths {
        let (event, _) = &asked[function];
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let whole = axum::Router::new().fallback(async |request: axum::extract::Request| {
            let (mut parts, _) = request.into_parts();
            let Viewer(viewer) = Viewer::from_request_parts(&mut parts, &()).await.unwrap();
            let header = |name: &str| parts.headers.get(name).unwrap().to_str().unwrap().to_owned();
            let context: &RequestContext = parts.extensions.get().unwrap();
            let RequestContext::ApiGatewayV1(gateway) = context else { panic!("{context:?}") };
            Json(json!([
                parts.uri.to_string(),
                viewer.user_id,
                viewer.session_id,
                viewer.expires_at,
                header("user-agent"),
                source_ip(Some(context)),
                gateway.request_id,
                gateway.authorizer.fields["aggregated"],
                parts.headers.contains_key("authorization"),
            ]))
        });
        let seen = body(tintype_edge::answer("test", whole, request).await).await;
        let expected = json!([
            path,
            "0193a1f0-0000-7000-8000-00000000000b",
            "0193a1f0-0000-7000-8000-0000000000c1",
            4_102_444_800_u64,
            "curl/8.7.1",
            "203.0.113.7",
            "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "home",
            false,
        ]);
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_section_that_can_not_be_had_is_null_and_named_and_the_others_are_there() {
    let problem = json!({"code": "unavailable"});
    for does in [
        Does::AnswersWith(503, json!({}), problem.clone()),
        Does::AnswersWith(401, json!({}), problem),
        Does::Lambda(429, None),
        Does::Lambda(404, None),
        Does::Lambda(500, None),
        Does::Lambda(200, Some("Unhandled")),
    ] {
        for (function, section) in [("the-feed", "feed"), ("the-notifications", "notifications"), ("the-users", "suggestions")] {
            let response = ask(&but(function, does.clone())).await;
            assert_eq!(response.status(), 200, "{section} {does:?}");
            let body = body(response).await;
            assert_eq!(body["degraded"], json!([section]), "{does:?}");
            for other in ["feed", "notifications", "suggestions"] {
                assert_eq!(body[other].is_null(), other == section, "{other} {does:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_section_that_says_that_it_may_be_old_is_there_and_named() {
    let headers = json!({"tintype-degraded": ["posts"]});
    let body = body(ask(&but("the-feed", Does::AnswersWith(200, headers, json!({"items": []})))).await).await;
    assert_eq!((&body["feed"], &body["degraded"]), (&json!({"items": []}), &json!(["feed"])));
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_waited_for_until_its_deadline_and_no_longer() {
    for (function, deadline) in [("the-feed", 800), ("the-notifications", 700), ("the-users", 700)] {
        let started = tokio::time::Instant::now();
        let body = body(ask(&but(function, Does::Hangs)).await).await;
        let took = started.elapsed();
        assert!((deadline - 20..=deadline + 5).contains(&took.as_millis()), "{took:?}");
        assert_eq!(body["degraded"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_had_the_answer_says_so_within_a_second() {
    for does in [Does::Hangs, Does::Lambda(429, None)] {
        let mut functions = functions();
        for other in functions.does.values_mut() {
            *other = does.clone();
        }
        let started = tokio::time::Instant::now();
        let response = ask(&functions).await;
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
        assert_eq!(body(response).await["code"], "unavailable");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_missing() {
    for payload in [json!({"statusCode": 200, "body": "<html>"}), json!({"statusCode": 200}), json!("what?")] {
        let home = asking(Raw(payload.to_string()));
        let identity = Identity { user_id: UserId::new(), session_id: SessionId::new(), expires_at: 0 };
        let part = home.feed.ask(&home.lambda, &Asker { identity: &identity, headers: &HeaderMap::new(), source_ip: None }, 1).await;
        assert!(part.body.is_none() && part.is_degraded, "{payload}");
    }
}

/// Connections of which so many are dead, though nobody has noticed yet.
#[derive(Debug, Clone)]
struct Dead {
    still: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    functions: Functions,
}

impl HttpConnector for Dead {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.still.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |still| still.checked_sub(1)).is_ok() {
            // The others are asked before this is known.
            return HttpConnectorFuture::new(async {
                tokio::task::yield_now().await;
                Err(ConnectorError::io("it was closed meanwhile".into()))
            });
        }
        self.functions.call(request)
    }
}

#[tokio::test]
async fn connections_that_died_while_the_environment_slept_cost_no_section_and_a_lambda_that_is_gone_is_not_asked_twice_for_ever() {
    let dead = Dead { still: Arc::new(AtomicUsize::new(3)), asked: Arc::default(), functions: functions() };
    let home = asking(dead.clone());
    let sections = async || {
        let identity = Identity { user_id: UserId::new(), session_id: SessionId::new(), expires_at: 0 };
        let (headers, lambda) = (HeaderMap::new(), &home.lambda);
        let asker = Asker { identity: &identity, headers: &headers, source_ip: None };
        let parts = tokio::join!(
            home.feed.ask(lambda, &asker, 1),
            home.notifications.ask(lambda, &asker, 1),
            home.suggestions.ask(lambda, &asker, 1)
        );
        [parts.0, parts.1, parts.2].iter().filter(|part| part.body.is_some()).count()
    };
    assert_eq!((sections().await, dead.asked.load(Ordering::Relaxed)), (3, 6));
    dead.still.store(usize::MAX, Ordering::Relaxed);
    let before = dead.asked.load(Ordering::Relaxed);
    for _ in 0..4 {
        assert_eq!(sections().await, 0);
    }
    assert_eq!(dead.asked.load(Ordering::Relaxed) - before, 4 * 3 + 3);
}

/// Asks for the feed in as many requests as open a breaker, and says whether that has done so.
async fn opens(does: Does) -> bool {
    let functions = but("the-feed", does);
    let home = asking(functions);
    let identity = Identity { user_id: UserId::new(), session_id: SessionId::new(), expires_at: 0 };
    for _ in 0..LEAST {
        home.feed.ask(&home.lambda, &Asker { identity: &identity, headers: &HeaderMap::new(), source_ip: None }, 1).await;
    }
    home.feed.state() == State::Open
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_everybody_shuts_a_section_and_what_fails_for_one_person_does_not() {
    let problem = json!({"code": "internal"});
    for does in [
        Does::AnswersWith(503, json!({}), problem.clone()),
        Does::AnswersWith(504, json!({}), problem.clone()),
        Does::Lambda(429, None),
        Does::Lambda(500, None),
        Does::Lambda(200, Some("Unhandled")),
        Does::Hangs,
    ] {
        assert!(opens(does.clone()).await, "{does:?}");
    }
    for does in [
        Does::AnswersWith(500, json!({}), problem.clone()),
        Does::AnswersWith(401, json!({}), problem),
        Does::Lambda(404, None),
        Does::Answers(json!({})),
    ] {
        assert!(!opens(does.clone()).await, "{does:?}");
    }
}

/// Answers this to everything.
#[derive(Debug)]
struct Raw(String);

impl HttpConnector for Raw {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), self.0.clone().into())))
    }
}
