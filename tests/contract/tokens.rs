//! Access tokens: only a good one opens anything, and no answer tells why another did not.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::{Client, config::Credentials};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use std::{env, time::Duration};
use tintype_auth::{Claims, Signer};
use tintype_core::Time;

use crate::harness::{Caller, Person, client::Answer, photographs::publish};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn without_a_good_token_nothing_personal_is_answered() {
    let ada = Person::sign_up("ada").await;
    let [header, payload, signature] = <[&str; 3]>::try_from(ada.access_token.split('.').collect::<Vec<_>>()).expect("a JWT");
    let mut claims = read(payload);
    claims["exp"] = json!(4_102_444_800_u64);
    let later = part(&claims);
    let unsigned = part(&json!({"alg": "none", "typ": "at+jwt"}));
    let symmetric = part(&json!({"alg": "HS256", "typ": "at+jwt", "kid": read(header)["kid"]}));
    let stranger = Signer::from_secret("not the secret").sign(&claims_of(&ada, Time::now())).expect("a token");
    for token in [
        "nonsense",
        "a.b.c",
        &ada.refresh_token,
        &format!("{header}.{later}.{signature}"),
        &format!("{header}.{payload}."),
        &format!("{unsigned}.{payload}."),
        &format!("{symmetric}.{payload}.{signature}"),
        &stranger,
        &"x".repeat(4000),
    ] {
        let eve = Caller::nobody().with_token(token);
        eve.get("/feed").await.problem(401, "unauthorized");
        eve.get("/me").await.problem(401, "unauthorized");
        // Where a token is optional, a bad one is refused all the same.
        eve.get(&format!("/users/{}", ada.username)).await.problem(401, "unauthorized");
    }
    ada.get("/feed").await.expect(200);
}

#[tokio::test]
async fn every_personal_route_asks_for_a_token() {
    let ada = Person::sign_up("ada").await;
    let post = format!("/posts/{}", publish(&ada, "mine").await["id"].as_str().expect("an id"));
    let follow = format!("/users/{}/follow", ada.username);
    for (method, path) in [
        (Method::GET, "/feed"),
        (Method::GET, "/me"),
        (Method::PATCH, "/me"),
        (Method::GET, "/sessions"),
        (Method::DELETE, "/sessions/current"),
        (Method::POST, "/posts"),
        (Method::GET, "/me/posts?status=unpublished"),
        (Method::DELETE, &post),
        (Method::PUT, &follow),
        (Method::DELETE, &follow),
    ] {
        Answer::to(Caller::nobody().request(method, path)).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn another_scheme_than_bearer_is_refused() {
    let ada = Person::sign_up("ada").await;
    for value in [format!("Basic {}", ada.access_token), ada.access_token.clone(), "Bearer".to_owned(), "Bearer ".to_owned()] {
        let request = Caller::nobody().request(Method::GET, "/feed").header("authorization", value);
        Answer::to(request).await.problem(401, "unauthorized");
    }
}

/// Only who has the secret can make a token that is over: where the AWS endpoints are known, this test is such a one.
#[tokio::test]
async fn an_expired_token_is_refused() {
    let ada = Person::sign_up("ada").await;
    let Some(aws) = ada.aws() else { return };
    let signer = Signer::from_secret(&token_secret(aws).await);
    let now = Time::now();
    let before =
        |age: Duration| Time::from_millis(now.as_millis() - i64::try_from(age.as_millis()).expect("a short time")).expect("a time");

    let fresh = signer.sign(&claims_of(&ada, before(Duration::from_mins(14)))).expect("a token");
    Caller::nobody().with_token(&fresh).get("/me").await.expect(200);
    let over = signer.sign(&claims_of(&ada, before(Duration::from_mins(15) + Duration::from_secs(1)))).expect("a token");
    for path in ["/me", "/feed", &format!("/users/{}", ada.username)] {
        Caller::nobody().with_token(&over).get(path).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn whoever_wants_to_can_verify_a_token() {
    let ada = Person::sign_up("ada").await;
    let header = read(ada.access_token.split('.').next().expect("a header"));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    let keys = Caller::nobody().get("/.well-known/jwks.json").await.expect(200);
    let key = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("the token's key").clone();
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(key.get("d").is_none(), "the private part stays private");
    let verified = tintype_auth::verify(&ada.access_token, &tintype_auth::Keys::from_jwks(&keys.text).expect("a key set"), Time::now());
    assert_eq!(verified.expect("it is good").sub.to_string(), ada.id);
}

fn claims_of(person: &Person, now: Time) -> Claims {
    let claims = read(person.access_token.split('.').nth(1).expect("a payload"));
    let id = |name: &str| claims[name].as_str().expect("an id").to_owned();
    Claims::new(id("sub").parse().expect("an id"), id("sid").parse().expect("an id"), now)
}

async fn token_secret(aws: &str) -> String {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(aws)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    let secret = env::var("TINTYPE_TOKEN_SECRET").unwrap_or_else(|_| "tintype-TokenSecret".to_owned());
    let answer = Client::new(&config).get_secret_value().secret_id(secret).send().await.expect("the secret");
    answer.secret_string().expect("a text").to_owned()
}
