//! How long the authorizer itself works for a request: from the event's JSON to the answer's, with tables that answer from memory.
//!
//! `cargo run --release -p authorizer --example own_work > /dev/null`: the log lines go to the standard output, as in Lambda, and the
//! figures to the standard error. How many requests may be said: callgrind, which counts instructions, needs few (docs/BENCHMARKS.md).

use std::time::{Duration, Instant};

use authorizer::Authorizer;
use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tintype_auth::{Claims, Signer, Verifier};
use tintype_core::{SessionId, Time, UserId};
use tintype_guard::Guard;
use tintype_tables::Table;

/// Unless told.
const REQUESTS: usize = 50_000;

/// The public keys, and a session that is alive.
#[derive(Debug)]
struct Users {
    jwks: String,
    session_id: SessionId,
}

impl HttpConnector for Users {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let now = Time::now();
        let item = if asked["Key"]["pk"]["S"] == "KEYS" {
            json!({"jwks": {"S": self.jwks}})
        } else {
            json!({
                "id": {"S": self.session_id}, "generation": {"N": "0"}, "rotated_at": {"S": now}, "created_at": {"S": now},
                "user_agent": {"NULL": true}, "expires_at": {"N": "4102444800"},
            })
        };
        let answer = json!({"Item": item}).to_string();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().expect("a status"), answer.into())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let requests = std::env::args().nth(1).map_or(REQUESTS, |requests| requests.parse().expect("how many requests"));
    let signer = Signer::from_secret("a secret");
    let session_id = SessionId::new();
    let token = signer.sign(&Claims::new(UserId::new(), session_id, Time::now())).expect("a token");
    let connector = SharedHttpConnector::new(Users { jwks: signer.jwks(), session_id });
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "bench"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let users = Table { client: Client::from_conf(config.build()), name: "users".to_owned() };
    let authorizer = Authorizer::new(Verifier::new(users.clone()), Guard::new(users));
    let event = include_str!("../../../events/authorizer/request.json").replace("header.payload.signature", &token);

    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let started = Instant::now();
        let request = serde_json::from_str(&event).expect("an event");
        let permission = authorizer.answer(LambdaEvent::new(request, Context::default())).await.expect("a permission");
        let answer = serde_json::to_vec(&permission).expect("an answer");
        times.push(started.elapsed());
        assert!(!answer.is_empty());
    }
    times.sort_unstable();
    let at = |part: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short list")]
        let place = (times.len() as f64 * part) as usize;
        times[place]
    };
    let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).expect("a small number");
    eprintln!("{requests} requests: p50 {:?}, p99 {:?}, p99.9 {:?}, mean {mean:?}", at(0.5), at(0.99), at(0.999));
}
