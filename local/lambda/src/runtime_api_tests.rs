use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::invocation::Runs;

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
            runs: Runs::Once,
            tail: None,
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
        let answering = tokio::spawn(async move { port.answer("one", None, Body::from("1")).await });
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
    let (status, refusal) = worker.post("invocation/one/response", vec![b' '; ANSWER_LIMIT + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refusal["errorType"], "RequestEntityTooLarge");
    let Report::Answered(Err(error)) = session.report().await else { panic!("no failure") };
    let error: Value = serde_json::from_slice(&error).unwrap();
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");

    session.hand(delivery("two"));
    worker.next().await;
    assert_eq!(session.report().await, Report::Ready);
    let (status, _) = worker.post("invocation/two/response", vec![b' '; ANSWER_LIMIT]).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let Report::Answered(Ok(answer)) = session.report().await else { panic!("no answer") };
    assert_eq!(answer.len(), ANSWER_LIMIT);
}

#[tokio::test]
async fn an_error_is_what_the_worker_says_or_at_least_its_type() {
    let api = RuntimeApi::start().await.unwrap();
    let mut session = api.connect();
    let worker = Worker::of(&session);
    let report = async |path: &str, body: &'static str| {
        let request = worker.http.post(format!("{}/{path}", worker.base)).header("Lambda-Runtime-Function-Error-Type", "Posts.Gone");
        request.body(body).send().await.unwrap().status()
    };
    let error = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();
    assert_eq!(report("init/error", "").await, StatusCode::ACCEPTED);
    let Report::InitFailed(said) = session.report().await else { panic!("no failure") };
    assert_eq!(error(said)["errorType"], "Posts.Gone");

    for (body, expected) in [("", "Posts.Gone"), (r#"{"errorType":"Told"}"#, "Told")] {
        session.hand(delivery("one"));
        worker.next().await;
        assert_eq!(session.report().await, Report::Ready);
        assert_eq!(report("invocation/one/error", body).await, StatusCode::ACCEPTED);
        let Report::Answered(Err(said)) = session.report().await else { panic!("no failure") };
        assert_eq!(error(said)["errorType"], expected);
    }
    assert_eq!(report("init/error", "").await, StatusCode::FORBIDDEN, "it is up");
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

/// What a worker should not say.
#[derive(Debug, Clone)]
enum Wrong {
    /// No HTTP.
    Noise(Vec<u8>),
    /// A path or a method that is not there.
    Path { method: &'static str, path: Vec<String>, body: Vec<u8> },
    /// An answer to an event that the worker does not have.
    Id { id: String, call: &'static str, large: bool },
    /// An answer to the event of another worker.
    OfAnother { call: &'static str },
    /// A second event beside the one in hand.
    Next,
    /// A start that failed, after it succeeded.
    Init,
    /// The right path with wrong headers.
    Header(&'static str),
    /// A header of this many bytes.
    LongHeader(usize),
    /// The right answer, broken off.
    Truncated { sent: usize },
}

const WRONG_HEADERS: [&str; 8] = [
    "content-length: x",
    "content-length: -1",
    "content-length: 99999999999999999999",
    "content-length: 1\r\ncontent-length: 2",
    "transfer-encoding: chunked\r\n\r\nZZ\r\n",
    "transfer-encoding: gzip",
    "no colon",
    "a b: c",
];

fn wrong(worker: &str) -> impl Strategy<Value = Wrong> + use<> {
    let segment = prop_oneof![
        Just(worker.to_owned()),
        Just("2018-06-01".to_owned()),
        Just("runtime".to_owned()),
        Just("invocation".to_owned()),
        Just("one".to_owned()),
        Just("error".to_owned()),
        Just("response".to_owned()),
        "[!-~&&[^/?#]]{0,12}",
        "(%[0-9a-fA-F]{2}){1,3}",
    ];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
    let call = || prop_oneof![Just("response"), Just("error")];
    prop_oneof![
        2 => bytes().prop_map(Wrong::Noise),
        6 => (prop_oneof![Just("GET"), Just("PUT"), Just("DELETE"), Just("X"), Just("get")], proptest::collection::vec(segment, 0..8), bytes())
            .prop_map(|(method, path, body)| Wrong::Path { method, path, body }),
        4 => ("[!-~&&[^/?#%]]{1,40}", call(), proptest::bool::weighted(0.02)).prop_map(|(id, call, large)| Wrong::Id { id, call, large }),
        2 => call().prop_map(|call| Wrong::OfAnother { call }),
        1 => Just(Wrong::Next),
        1 => Just(Wrong::Init),
        4 => proptest::sample::select(&WRONG_HEADERS).prop_map(Wrong::Header),
        1 => (400_000..600_000_usize).prop_map(Wrong::LongHeader),
        2 => (0..10_usize).prop_map(|sent| Wrong::Truncated { sent }),
    ]
}

impl Wrong {
    /// The request of the worker with this base path, and whether it ends there: then no answer may come.
    fn request(&self, base: &str) -> (Vec<u8>, bool) {
        let of = |method: &str, path: &str, headers: &str, body: &[u8]| {
            let mut request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n\r\n").into_bytes();
            request.extend(body);
            request
        };
        let sized = |method: &str, path: &str, body: &[u8]| of(method, path, &format!("content-length: {}", body.len()), body);
        let answer = format!("{base}/invocation/one/response");
        match self {
            Self::Noise(bytes) => (bytes.clone(), true),
            Self::Path { method, path, body } => (sized(method, &format!("/{}", path.join("/")), body), false),
            Self::Id { id, call, large } => {
                let body = if *large { vec![b'x'; ANSWER_LIMIT + 1] } else { b"1".to_vec() };
                (sized("POST", &format!("{base}/invocation/x{id}/{call}"), &body), *large)
            }
            Self::OfAnother { call } => (sized("POST", &format!("{base}/invocation/two/{call}"), b"1"), false),
            Self::Next => (sized("GET", &format!("{base}/invocation/next"), b""), false),
            Self::Init => (sized("POST", &format!("{base}/init/error"), b"{}"), false),
            Self::Header(header) => (of("POST", &answer, header, b""), true),
            Self::LongHeader(bytes) => (of("POST", &answer, &format!("x: {}", "x".repeat(*bytes)), b""), true),
            Self::Truncated { sent } => (of("POST", &answer, "content-length: 10", &vec![b'1'; *sent]), true),
        }
    }
}

/// Sends raw bytes, and gives what comes back.
async fn raw(address: SocketAddr, request: &[u8], ends: bool) -> String {
    let exchange = async {
        let mut connection = TcpStream::connect(address).await.unwrap();
        // A server that refuses early may close before it has read all of it.
        let _ = connection.write_all(request).await;
        if ends {
            let _ = connection.shutdown().await;
        }
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(Duration::from_secs(10), exchange).await.expect("the server does not answer")
}

#[test]
fn malformed_requests_are_refused_and_the_worker_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (api, session, other) = runtime.block_on(async {
        let api = RuntimeApi::start().await.unwrap();
        let (session, other) = (api.connect(), api.connect());
        (api, session, other)
    });
    let (worker, another) = (Worker::of(&session), Worker::of(&other));
    let base = format!("/{}/2018-06-01/runtime", session.id);
    let requests = proptest::collection::vec(wrong(&session.id), 1..8);
    let session = std::cell::RefCell::new(session);
    runtime.block_on(async {
        other.hand(delivery("two"));
        another.next().await;
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(256));
    let outcome = runner.run(&requests, |requests| {
        let mut session = session.borrow_mut();
        runtime.block_on(async {
            session.hand(delivery("one"));
            let event = worker.next().await;
            prop_assert_eq!(&event.headers()["lambda-runtime-aws-request-id"], "one");
            for wrong in &requests {
                let (request, ends) = wrong.request(&base);
                let answer = raw(api.address, &request, ends).await;
                let status: Option<u16> = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
                match status {
                    Some(status) => prop_assert!((400..500).contains(&status), "{wrong:?}: {answer}"),
                    None => prop_assert!(ends && answer.is_empty(), "{wrong:?}: {answer}"),
                }
                // What is no HTTP at all is refused below, without a body.
                if let Some((_, body)) = answer.split_once("\r\n\r\n").filter(|(_, body)| !body.is_empty()) {
                    let body: Value = serde_json::from_str(body).unwrap();
                    prop_assert!(body["errorType"].is_string());
                }
                prop_assert!(session.has_taken("one"), "{wrong:?}");
            }
            prop_assert_eq!(worker.post("invocation/one/response", "42").await.0, StatusCode::ACCEPTED);
            prop_assert_eq!(worker.post("invocation/one/response", "43").await.0, StatusCode::BAD_REQUEST);
            prop_assert_eq!(session.answered(), Some(Ok(Bytes::from_static(b"42"))));
            prop_assert!(session.answered().is_none());
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(other.has_taken("two"));
}
