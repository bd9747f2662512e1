//! A line a request, in the template's format.

use std::{fs::File, io::Read as _, sync::Arc};

use http::Request;
use serde_json::{Value, json};
use tintype_cloud::Log;
use tintype_lambda::InvokeError;
use tintype_template::deployment::{Api, Throttle};

use super::{Fixture, api, fixture_with_log};

const FORMAT: &str = concat!(
    r#"{"id":"$context.requestId","route":"$context.resourcePath","method":"$context.httpMethod","#,
    r#""status":"$context.status","bytes":"$context.responseLength","error":"$context.error.responseType","#,
    r#""ip":"$context.identity.sourceIp","who":"$context.authorizer.principalId","#,
    r#""sid":"$context.authorizer.sid","ms":"$context.responseLatency","#,
    r#""function_ms":"$context.integrationLatency","authorizer_ms":"$context.authorizer.latency","#,
    r#""trace":"$context.xrayTraceId"}"#,
);

struct Logged {
    fixture: Fixture,
    file: File,
}

impl Logged {
    fn new(change: impl FnOnce(&mut Api)) -> Self {
        let mut api = Api { access_log: Some(FORMAT.to_owned()), ..api() };
        change(&mut api);
        let path = std::env::temp_dir().join(format!("tintype-access-log-{}", uuid::Uuid::now_v7()));
        let written = Log::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        // It lives on for as long as it is open.
        std::fs::remove_file(path).unwrap();
        let fixture = fixture_with_log(api, Some(written), |function, event| match (function, event["path"].as_str()) {
            ("tintype-authorizer", _) => Ok(json!({
                "principalId": "ada",
                "policyDocument": {"Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}},
                "context": {"sid": "s1"},
            })),
            (_, Some("/open/broken")) => Err(InvokeError::Crashed { payload: "{}".into() }),
            _ => Ok(json!({"statusCode": 201, "body": "hello"})),
        });
        Self { fixture, file }
    }

    fn lines(&mut self) -> Vec<Value> {
        let mut text = String::new();
        self.file.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn each_request_has_its_line() {
    let mut logged = Logged::new(|api| api.throttle = Some(Throttle { rate: 0.0, burst: 3 }));
    let answered = logged.fixture.send(Request::get("/v1/closed").header("authorization", "t"), "").await;
    logged.fixture.get("/v1/open/broken").await;
    logged.fixture.get("/v1/nowhere").await;
    logged.fixture.get("/v1/closed").await;
    logged.fixture.get("/v1/open/x").await;

    let lines = logged.lines();
    let of = |line: usize, names: [&str; 6]| names.map(|name| lines[line][name].as_str().unwrap().to_owned());
    let names = ["route", "status", "bytes", "error", "who", "sid"];
    assert_eq!(of(0, names), ["/closed", "201", "5", "-", "ada", "s1"]);
    assert_eq!(
        of(1, ["route", "status", "error", "who", "authorizer_ms", "ip"]),
        ["/open/{name}", "502", "INTEGRATION_FAILURE", "-", "-", "192.0.2.7"]
    );
    assert_eq!(
        of(2, ["route", "status", "error", "who", "function_ms", "method"]),
        ["-", "404", "MISSING_AUTHENTICATION_TOKEN", "-", "-", "GET"]
    );
    assert_eq!((&lines[3]["status"], &lines[3]["error"]), (&json!("401"), &json!("UNAUTHORIZED")));
    assert_eq!((&lines[4]["status"], &lines[4]["error"]), (&json!("429"), &json!("THROTTLED")));
    assert_eq!(lines.len(), 5);

    assert_eq!(lines[0]["id"], answered.headers["x-amzn-requestid"].to_str().unwrap());
    assert_eq!(format!("Root={}", lines[0]["trace"].as_str().unwrap()), answered.headers["x-amzn-trace-id"]);
    for latency in ["ms", "function_ms", "authorizer_ms"] {
        lines[0][latency].as_str().unwrap().parse::<u64>().unwrap();
    }
}

/// Media are the CDN's, and what the front door refuses has reached no API.
#[tokio::test]
async fn what_is_no_request_of_the_api_has_none() {
    let mut logged = Logged::new(|_| ());
    logged.fixture.get("/media/x.jpg").await;
    logged.fixture.send(Request::get("/v1/open/x").header("x-long", "x".repeat(11_000)), "").await;
    assert_eq!(logged.lines(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_requests_at_once_are_never_mixed() {
    let mut logged = Logged::new(|_| ());
    let fixture = Arc::new(logged.fixture.clone());
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move {
                for _ in 0..100 {
                    fixture.get("/v1/open/x").await;
                }
            })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    let ids: std::collections::HashSet<_> = logged.lines().iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(ids.len(), 800);
}
