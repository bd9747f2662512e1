//! The gateway as a whole, with functions that the test makes up.

mod access_log;
mod authorizer;
mod connections;
mod cors;
mod event_shape;
mod events;
mod refusals;
mod slow_clients;
mod the_template;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tintype_cloud::Log;
use tintype_lambda::InvokeError;
use tintype_template::deployment::{self, Api, GatewayResponse, Route};

use crate::{
    Account,
    gateway::Gateway,
    integration::{Invocation, Invoke},
};

/// What a function answers to an event.
type Answer = Result<Value, InvokeError>;

/// An invocation that reached a function.
#[derive(Debug, Clone)]
struct Seen {
    function: String,
    event: Value,
    trace: String,
    repeatable: bool,
}

/// A gateway, and what its functions saw.
#[derive(Clone)]
struct Fixture {
    gateway: Arc<Gateway>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A response, read.
#[derive(Debug)]
struct Read {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

/// The template of these tests.
fn api() -> Api {
    let route = |method: &str, path: &str, authorized| Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function: "tintype-function".to_owned(),
        authorized,
    };
    let problem = |status: Option<u16>| GatewayResponse {
        status,
        headers: BTreeMap::from([("Content-Type".to_owned(), "application/problem+json".to_owned())]),
        templates: BTreeMap::from([(
            "application/json".to_owned(),
            r#"{"code":"$context.error.responseType","request_id":"$context.requestId"}"#.to_owned(),
        )]),
    };
    Api {
        id: "api".to_owned(),
        stage: "v1".to_owned(),
        routes: vec![
            route("GET", "/open/{name}", false),
            route("POST", "/open", false),
            route("GET", "/closed", true),
            route("POST", "/closed/{name}", true),
        ],
        authorizer: Some(deployment::Authorizer {
            name: "SessionAuthorizer".to_owned(),
            function: "tintype-authorizer".to_owned(),
            identity_headers: vec![AUTHORIZATION],
            ttl: Duration::from_secs(30),
        }),
        responses: BTreeMap::from([
            ("MISSING_AUTHENTICATION_TOKEN".to_owned(), problem(Some(404))),
            ("DEFAULT_4XX".to_owned(), problem(None)),
            ("DEFAULT_5XX".to_owned(), problem(None)),
        ]),
        throttle: None,
        method_throttles: Vec::new(),
        cors: None,
        access_log: None,
        binary_media_types: vec!["image/jpeg".to_owned()],
    }
}

impl Fixture {
    /// With one answer for the authorizer and one for the function behind every route.
    fn new(api: Api, answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        fixture_with_log(api, None, answer)
    }

    /// Whose function answers `{}`: 200 without a body.
    fn of_empty_answers() -> Self {
        Self::new(api(), |_, _| Ok(json!({})))
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Read {
        let body = Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync();
        let mut request = request.body(body).unwrap();
        request.headers_mut().entry("host").or_insert("127.0.0.1:3000".parse().unwrap());
        let response = self.gateway.answer(request, client(), 3000).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Read { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Read {
        self.send(Request::get(path), "").await
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What the one invocation was.
    fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

impl Read {
    /// The body, which is JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status and the response type that the gateway refused with.
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let body = self.json();
        assert_eq!(body["request_id"], self.headers["x-amzn-requestid"].to_str().unwrap());
        (self.status.as_u16(), body["code"].as_str().unwrap().to_owned())
    }
}

/// With an access log.
fn fixture_with_log(api: Api, log: Option<Log>, answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Fixture {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    let invoke: Invoke = Arc::new(move |Invocation { function, payload, trace, repeatable }| {
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let answer = answer(&function, &event);
        seeing.lock().unwrap().push(Seen { function, event, trace, repeatable });
        Box::pin(async move { answer.map(|answer| answer.to_string().into()) })
    });
    let account = Account { id: "000000000000".to_owned(), region: "us-east-1".to_owned() };
    Fixture { gateway: Arc::new(Gateway::new(account, api, None, invoke, log)), seen }
}

fn client() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 50_000))
}
