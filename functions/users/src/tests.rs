//! The gateway's events against the whole function, as far as it gets without a table.

use aws_sdk_dynamodb::{
    Config,
    config::{Credentials, Region},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use axum::{body::to_bytes, response::Response};
use serde_json::{Value, json};

use super::*;

/// Tables that nobody answers for: what is refused before they are asked is refused by the function itself.
fn app() -> App {
    let table = Table { client: Client::from_conf(Config::builder().behavior_version_latest().build()), name: "none".to_owned() };
    app_of(table)
}

fn app_of(table: Table) -> App {
    let (exports, uploads, media) = (bucket(), bucket(), bucket());
    App {
        users: table.clone(),
        posts: table,
        cards: Cards::lasting(Life::default()),
        profiles: Profiles::lasting(Life::default()),
        circles: Circles::lasting(Life::default()),
        exports,
        uploads,
        media,
        keys: Arc::new(Keys::from_secret("a secret")),
    }
}

/// A bucket that nobody answers for.
fn bucket() -> Bucket {
    let aws = aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).region(Region::new("us-east-1"));
    Bucket::new(&tintype_buckets::client(&aws.build()), "none")
}

async fn answer(event: &str) -> Response {
    answer_of(app(), event).await
}

async fn answer_of(app: App, event: &str) -> Response {
    let path = format!("{}/../../events/users/{event}.json", env!("CARGO_MANIFEST_DIR"));
    let request = lambda_http::request::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    tintype_edge::answer("users", tintype_edge::service(router(app), None), request).await
}

/// Tables that answer every request with the same status and body.
#[derive(Debug, Clone)]
struct Answering(u16, Value);

impl HttpConnector for Answering {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Self(status, body) = self;
        HttpConnectorFuture::ready(Ok(HttpResponse::new((*status).try_into().unwrap(), body.to_string().into())))
    }
}

impl Answering {
    fn app(self) -> App {
        let connector = SharedHttpConnector::new(self);
        let config = Config::builder()
            .behavior_version_latest()
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let table = Table { client: Client::from_conf(config.build()), name: "table".to_owned() };
        app_of(table)
    }
}

/// How DynamoDB cancels a sign-up's transaction in which the conditions of some writes did not hold.
fn cancelled(failed: [bool; 5]) -> Answering {
    let reason = |failed| json!({ "Code": if failed { "ConditionalCheckFailed" } else { "None" } });
    let reasons: Vec<Value> = failed.into_iter().map(reason).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Answering(400, json!({"__type": kind, "Message": "cancelled", "CancellationReasons": reasons}))
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

/// The pointers of an answer that refuses fields.
async fn pointers(event: &str) -> Vec<String> {
    let response = answer(event).await;
    assert_eq!(response.status(), 422);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem = body(response).await;
    assert_eq!((&problem["code"], &problem["request_id"]), (&json!("validation-failed"), &json!("c6af9ac6-7b61-11e6-9a41-93e8deadbeef")));
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_that_is_wrong_with_a_sign_up_is_said_at_once() {
    assert_eq!(pointers("sign-up-invalid").await, ["/username", "/email", "/password", "/display_name"]);
}

#[tokio::test]
async fn a_sign_up_is_answered_with_the_person_and_tokens_that_nobody_may_keep() {
    let response = answer_of(Answering(200, json!({})).app(), "sign-up").await;
    assert_eq!((response.status().as_u16(), &response.headers()["cache-control"]), (201, &"no-store".parse().unwrap()));
    let signed_in = body(response).await;
    assert_eq!((&signed_in["user"]["username"], &signed_in["token_type"]), (&json!("ada"), &json!("Bearer")));
    assert!(signed_in["user"].get("password_hash").is_none());
}

#[tokio::test]
async fn a_sign_up_says_what_is_taken() {
    for (failed, status, code) in [
        ([true, false, false, false, false], 409, "username-taken"),
        ([false, true, false, false, false], 409, "email-taken"),
        ([true, true, false, false, false], 409, "username-taken"),
        ([false, false, true, false, false], 500, "internal"),
    ] {
        let response = answer_of(cancelled(failed).app(), "sign-up").await;
        assert_eq!((response.status().as_u16(), &body(response).await["code"]), (status, &json!(code)), "{failed:?}");
    }
}

#[tokio::test]
async fn whom_no_table_knows_is_not_found_and_can_not_log_in() {
    let empty = || Answering(200, json!({})).app();
    assert_eq!(answer_of(empty(), "get-profile").await.status(), 404);
    assert_eq!(answer_of(empty(), "follow").await.status(), 404);
    let response = answer_of(empty(), "log-in").await;
    assert_eq!((response.status().as_u16(), &body(response).await["code"]), (401, &json!("invalid-credentials")));
}

#[tokio::test]
async fn all_that_is_wrong_with_a_profile_is_said_at_once() {
    assert_eq!(pointers("update-profile-invalid").await, ["/bio", "/website"]);
}

#[tokio::test]
async fn a_forged_refresh_token_is_refused_without_asking_the_table() {
    let response = answer("refresh-forged").await;
    assert_eq!((response.status().as_u16(), &response.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    assert_eq!(body(response).await["code"], "unauthorized");
}

#[tokio::test]
async fn the_public_keys_may_be_kept_and_verify_what_the_function_signs() {
    let response = answer("jwks").await;
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    assert_eq!(response.headers()["content-type"], "application/json");
    let set = body(response).await;
    assert_eq!((&set["keys"][0]["crv"], &set["keys"][0]["use"]), (&json!("Ed25519"), &json!("sig")));
    let keys = tintype_auth::Keys::from_jwks(&set.to_string()).unwrap();
    let claims = tintype_auth::Claims::new(tintype_core::UserId::new(), tintype_core::SessionId::new(), tintype_core::Time::now());
    let token = app().keys.now().await.signer.sign(&claims).unwrap();
    assert_eq!(tintype_auth::verify(&token, &keys, tintype_core::Time::now()), Ok(claims));
}

#[tokio::test]
async fn without_its_table_the_function_says_that_it_is_unavailable_and_no_more() {
    for event in ["sign-up", "log-in", "get-profile", "follow"] {
        let response = answer(event).await;
        assert_eq!((event, response.status().as_u16()), (event, 503));
        let problem = body(response).await.to_string();
        assert!(!problem.contains("region") && !problem.contains("aws") && !problem.contains("none"), "{problem}");
    }
}

#[test]
fn every_route_of_the_template_says_of_itself_who_may_call_it() {
    let document = serde_json::to_value(openapi()).unwrap();
    let required = json!([{ "access_token": [] }]);
    let optional = json!([{}, { "access_token": [] }]);
    for (path, method, security) in [
        ("/accounts", "post", &Value::Null),
        ("/sessions", "post", &Value::Null),
        ("/sessions", "get", &required),
        ("/sessions/refresh", "post", &Value::Null),
        ("/sessions/{session_id}", "delete", &required),
        ("/me", "get", &required),
        ("/me", "patch", &required),
        ("/me/password", "put", &required),
        ("/me/totp", "post", &required),
        ("/me/totp", "put", &required),
        ("/me/totp", "delete", &required),
        ("/users/{username}", "get", &optional),
        ("/users/{username}/follow", "put", &required),
        ("/users/{username}/follow", "delete", &required),
        ("/users/{username}/followers", "get", &optional),
        ("/users/{username}/following", "get", &optional),
        ("/.well-known/jwks.json", "get", &Value::Null),
    ] {
        let operation = &document["paths"][path][method];
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert_eq!(&operation["security"], security, "{method} {path}");
    }
}
