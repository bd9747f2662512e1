//! Events, tokens and a table that answers what a test says.

use super::*;
use aws_lambda_events::http::header::AUTHORIZATION;
use aws_sdk_dynamodb::{
    Client, Config,
    config::{Credentials, Region},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use serde_json::{Value, json};
use std::sync::Mutex;
use tintype_auth::{Claims, Signer};
use tintype_core::{SessionId, UserId};

fn event(file: &str) -> Request {
    let path = format!("{}/../../events/authorizer/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Tables that nobody answers for.
fn authorizer() -> Authorizer {
    let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
    let table = Table { client: aws_sdk_dynamodb::Client::from_conf(config), name: "none".to_owned() };
    Authorizer::new(Verifier::new(table.clone()), Guard::new(table))
}

async fn refusal(request: Request) -> Diagnostic {
    authorizer().answer(LambdaEvent::new(request, lambda_runtime::Context::default())).await.unwrap_err()
}

/// A Users table that holds the public key, and the session if it is alive; and an Edge table that takes whatever is written.
#[derive(Debug, Clone)]
struct Users {
    jwks: String,
    user_id: UserId,
    session_id: SessionId,
    is_alive: bool,
    /// The partitions of the Edge table that were written.
    failures: Arc<Mutex<Vec<String>>>,
}

impl Users {
    fn of(signer: &Signer, is_alive: bool) -> Self {
        Self { jwks: signer.jwks(), user_id: UserId::new(), session_id: SessionId::new(), is_alive, failures: Arc::default() }
    }

    fn item(&self, pk: &str, sk: &str) -> Option<Value> {
        let session = format!("SESSION#{}", self.session_id);
        if (pk, sk) == ("KEYS", "JWKS") {
            Some(json!({"jwks": {"S": self.jwks}}))
        } else if self.is_alive && pk == format!("USER#{}", self.user_id) && sk == session {
            Some(json!({
                "id": {"S": self.session_id},
                "generation": {"N": "0"},
                "rotated_at": {"S": Time::now()},
                "created_at": {"S": Time::now()},
                "user_agent": {"NULL": true},
                "expires_at": {"N": "4102444800"},
            }))
        } else {
            None
        }
    }

    fn authorizer(self) -> Authorizer {
        let connector = SharedHttpConnector::new(self);
        let config = Config::builder()
            .behavior_version_latest()
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let users = Table { client: Client::from_conf(config.build()), name: "users".to_owned() };
        let guard = Guard::new(Table { name: "edge".to_owned(), ..users.clone() });
        Authorizer::new(Verifier::new(users), guard)
    }
}

impl HttpConnector for Users {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let key = |name: &str| request["Key"][name]["S"].as_str().unwrap().to_owned();
        if request["TableName"] == "edge" {
            assert_eq!((request["UpdateExpression"].is_string(), key("sk").as_str()), (true, "BAN"));
            self.failures.lock().unwrap().push(key("pk"));
        }
        let answer = self.item(&key("pk"), &key("sk")).map_or_else(|| json!({}), |item| json!({"Item": item}));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), answer.to_string().into())))
    }
}

/// The answer to an event with this token, and the addresses that have failed.
async fn answer_to(users: &Users, token: &str) -> (Result<Permission, Diagnostic>, Vec<String>) {
    let mut request = event("request");
    request.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let event = LambdaEvent::new(request, lambda_runtime::Context::default());
    let answer = users.clone().authorizer().answer(event).await;
    let failures = users.failures.lock().unwrap().clone();
    (answer, failures)
}

/// The answer to an event with a good token, whose session is alive or not; it is no failure of its address.
async fn answer_to_a_good_token(is_alive: bool) -> (Claims, Result<Permission, Diagnostic>) {
    let signer = Signer::from_secret("a secret");
    let users = Users::of(&signer, is_alive);
    let claims = Claims::new(users.user_id, users.session_id, Time::now());
    let (answer, failures) = answer_to(&users, &signer.sign(&claims).unwrap()).await;
    assert!(failures.is_empty(), "{failures:?}");
    (claims, answer)
}

#[tokio::test]
async fn a_token_that_is_none_of_ours_counts_against_its_address_and_one_that_has_expired_does_not() {
    let signer = Signer::from_secret("a secret");
    let users = Users::of(&signer, true);
    let expired = Claims::new(users.user_id, users.session_id, Time::from_seconds(1_700_000_000).unwrap());
    let forged = Signer::from_secret("another secret").sign(&Claims::new(users.user_id, users.session_id, Time::now())).unwrap();
    let (answer, failures) = answer_to(&users, &signer.sign(&expired).unwrap()).await;
    assert_eq!((answer.unwrap_err().error_message.as_str(), failures), ("Unauthorized", Vec::new()));
    let (answer, failures) = answer_to(&users, &forged).await;
    assert_eq!(answer.unwrap_err().error_message, "Unauthorized");
    assert_eq!(failures, ["ADDRESS#203.0.113.7"]);
}

#[tokio::test]
async fn a_good_token_of_a_session_that_is_alive_is_answered_with_a_permission() {
    let (claims, permission) = answer_to_a_good_token(true).await;
    let permission = permission.unwrap();
    assert_eq!(permission.principal_id, Some(claims.sub.to_string()));
    assert_eq!(permission.policy_document.statement[0].resource, ["arn:aws:execute-api:us-east-1:000000000000:abc123/v1/*"]);
    let caller = Caller { user_id: claims.sub.to_string(), session_id: claims.sid.to_string(), exp: claims.exp.to_string() };
    assert_eq!(permission.context, caller);
}

#[tokio::test]
async fn a_good_token_of_a_session_that_has_ended_is_refused() {
    let (_, permission) = answer_to_a_good_token(false).await;
    assert_eq!(permission.unwrap_err().error_message, "Unauthorized");
}

#[test]
fn the_permission_is_for_the_whole_stage_and_says_who_and_until_when() {
    let request = event("request");
    let stage = stage_of(request.method_arn.as_deref().unwrap()).unwrap();
    let caller = Identity {
        user_id: "0193a1f0-0000-7000-8000-00000000000b".parse().unwrap(),
        session_id: "0193a1f0-0000-7000-8000-0000000000c1".parse().unwrap(),
        expires_at: 4_102_444_800,
    };
    let answer: Value = serde_json::to_value(permission(stage, caller)).unwrap();
    assert_eq!(answer["principalId"], "0193a1f0-0000-7000-8000-00000000000b");
    assert_eq!(
        answer["policyDocument"],
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Action": ["execute-api:Invoke"],
                "Effect": "Allow",
                "Resource": ["arn:aws:execute-api:us-east-1:000000000000:abc123/v1/*"],
            }],
        })
    );
    assert_eq!(
        answer["context"],
        json!({
            "user_id": "0193a1f0-0000-7000-8000-00000000000b",
            "session_id": "0193a1f0-0000-7000-8000-0000000000c1",
            "exp": "4102444800",
        })
    );
}

#[tokio::test]
async fn without_a_bearer_token_the_message_is_the_one_that_the_gateway_turns_into_401() {
    let mut request = event("request");
    for value in ["Basic YWRhOnNlY3JldA==", "Bearer", ""] {
        request.headers.insert(AUTHORIZATION, value.parse().unwrap());
        assert_eq!(refusal(request.clone()).await.error_message, "Unauthorized", "{value}");
    }
    request.headers.remove(AUTHORIZATION);
    assert_eq!(refusal(request).await.error_message, "Unauthorized");
}

#[tokio::test]
async fn a_table_that_fails_is_not_the_callers_fault() {
    let request = event("request");
    assert!(bearer(&request.headers).unwrap().is_some());
    let refusal = refusal(request).await;
    assert_eq!((refusal.error_type.as_str(), refusal.error_message.as_str()), ("Unavailable", "keys or sessions can't be read"));
}
