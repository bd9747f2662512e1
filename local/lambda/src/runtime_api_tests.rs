use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// What a worker's calls answer.
struct Worker {
    http: reqwest::Client,
    base: String,
}

impl Worker {
    fn of(session: &Session) -> Self {
        Self { http: reqwest::Client::new(), base: format!("{}/2018-06-01/runtime", session.address) }
    }

    async fn next(&self) -> reqwest::Response {
        self.http.get(format!("{}/invocation/next", self.base)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let answer = self.http.post(format!("{}/{path}", self.base)).body(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

fn delivery(request_id: &str) -> Delivery {
    Delivery {
        invocation: Invocation {
            request_id: request_id.to_owned(),
            payload: Bytes::from_static(b"{}"),
            trace_id: "not\na header".to_owned(),
            repeatable: false,
        },
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:posts".to_owned(),
        timeout: Duration::from_secs(3),
    }
}

#[tokio::test]
async fn an_event_is_taken_once_and_answered_once() {
    let api = RuntimeApi::start().await.unwrap();
    let mut session = api.connect();
    let worker = Worker::of(&session);
    session.hand(delivery("one"));
    assert!(!session.has_taken("one"), "nobody has asked yet");
    let event = worker.next().await;
    assert_eq!(event.headers()["lambda-runtime-aws-request-id"], "one");
    assert!(event.headers().get("lambda-runtime-trace-id").is_none());
    assert!(session.has_taken("one"));
    assert_eq!(session.report().await, Report::Ready);

    assert_eq!(worker.next().await.status(), StatusCode::FORBIDDEN, "the event has no answer yet");
    for wrong in ["two", "", "%00", "one%20"] {
        let (status, body) = worker.post(&format!("invocation/{wrong}/response"), "1").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert_eq!(body["errorType"], "InvalidRequestID");
    }
    assert_eq!(worker.post("invocation/one/response", "42").await.0, StatusCode::ACCEPTED);
    assert_eq!(session.report().await, Report::Answered(Ok(Bytes::from_static(b"42"))));
    assert_eq!(worker.post("invocation/one/response", "43").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(worker.post("invocation/one/error", "{}").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_not_in_the_hand_any_more_is_known_to_be_answered() {
    let api = RuntimeApi::start().await.unwrap();
    let mut session = api.connect();
    let port = Arc::clone(&session.port);
    for _ in 0..5000 {
        *port.in_hand() = Some("one".to_owned());
        let port = Arc::clone(&port);
        let answering = tokio::spawn(async move { port.answer("one", true, Body::from("1")).await });
        while session.has_taken("one") {
            std::hint::spin_loop();
        }
        assert_eq!(session.answered(), Some(Ok(Bytes::from_static(b"1"))));
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_over_six_megabytes_fails_the_event() {
    let api = RuntimeApi::start().await.unwrap();
    let mut session = api.connect();
    let worker = Worker::of(&session);
    session.hand(delivery("one"));
    worker.next().await;
    assert_eq!(session.report().await, Report::Ready);
    let (status, _) = worker.post("invocation/one/response", vec![b' '; ANSWER_LIMIT + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let Report::Answered(Err(error)) = session.report().await else { panic!("no failure") };
    let error: Value = serde_json::from_slice(&error).unwrap();
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn a_worker_whose_session_has_ended_is_refused() {
    let api = RuntimeApi::start().await.unwrap();
    let session = api.connect();
    let worker = Worker::of(&session);
    drop(session);
    assert_eq!(worker.next().await.status(), StatusCode::NOT_FOUND);
    assert_eq!(worker.post("init/error", json!({}).to_string()).await.0, StatusCode::NOT_FOUND);
}

#[test]
fn malformed_requests_are_refused_in_json_and_the_server_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (api, session) = runtime.block_on(async {
        let api = RuntimeApi::start().await.unwrap();
        let session = api.connect();
        (api, session)
    });
    let segment = prop_oneof![
        Just(session.id.clone()),
        Just("2018-06-01".to_owned()),
        Just("runtime".to_owned()),
        Just("invocation".to_owned()),
        Just("init".to_owned()),
        Just("error".to_owned()),
        Just("response".to_owned()),
        "[!-~&&[^/?#]]{0,12}",
        "(%[0-9a-fA-F]{2}){1,3}",
    ];
    let request = (
        prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE"), Just("X")],
        proptest::collection::vec(segment, 0..8),
        proptest::collection::vec(any::<u8>(), 0..64),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let outcome = runner.run(&request, |(method, path, body)| {
        let path = path.join("/");
        let mut request =
            format!("{method} /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend(&body);
        let answer = runtime.block_on(async {
            let mut connection = TcpStream::connect(api.address).await.unwrap();
            // A server that refuses early may close before it has read all of it.
            let _ = connection.write_all(&request).await;
            let mut answer = Vec::new();
            let _ = connection.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        });
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let known = answer.starts_with("HTTP/1.1 202") && path.ends_with("init/error");
        prop_assert!(known || (400..500).contains(&status), "{answer}");
        // What is no HTTP at all is refused below, without a body.
        if let Some((_, body)) = answer.split_once("\r\n\r\n").filter(|(_, body)| !body.is_empty()) {
            let body: Value = serde_json::from_str(body).unwrap();
            prop_assert!(known || body["errorType"].is_string());
        }
        Ok(())
    });
    outcome.unwrap();
    drop(session);
}
