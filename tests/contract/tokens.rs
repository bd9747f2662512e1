//! Access tokens: only a good one opens anything, and no answer tells why another did not.

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    signature::Ed25519KeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tintype_auth::{Claims, Signer};
use tintype_core::Time;

use crate::harness::{Caller, Person, client::Answer, photographs::publish, secrets::token_secret};

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

/// Tokens that are signed with the right key, or seem to be, and say something wrong: each attack of RFC 8725 at a route that needs a token
/// and at one where it is optional.
#[tokio::test]
async fn every_attack_on_tokens_is_refused_everywhere() {
    let ada = Person::sign_up("ada").await;
    let Some(aws) = ada.aws() else { return };
    let secret = token_secret(aws).await;
    let [header, payload, _] = <[&str; 3]>::try_from(ada.access_token.split('.').collect::<Vec<_>>()).expect("a JWT");
    let (header, claims) = (read(header), read(payload));
    let jwks = Caller::nobody().get("/.well-known/jwks.json").await.expect(200);
    let public = jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("the key").clone();
    let x = public["x"].as_str().expect("x");
    let raw = URL_SAFE_NO_PAD.decode(x).expect("base64");
    let with = |part: &Value, name: &str, value: Value| {
        let mut part = part.clone();
        part[name] = value;
        part
    };
    let now = Time::now().as_seconds();
    let signed = |header: &Value, claims: &Value| {
        let said = format!("{}.{}", part(header), part(claims));
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(ed25519(&secret, said.as_bytes())))
    };
    let symmetric = |key: &[u8]| {
        let said = format!("{}.{}", part(&with(&header, "alg", json!("HS256"))), part(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, said.as_bytes())))
    };
    let unsigned = |algorithm: &str| format!("{}.{}.", part(&with(&header, "alg", json!(algorithm))), part(&claims));

    // The rest is refused for what it says: with the same hands, what is right is taken.
    Caller::nobody().with_token(&signed(&header, &claims)).get("/me").await.expect(200);

    let profile = format!("/users/{}", ada.username);
    for (attack, token) in [
        ("no algorithm", unsigned("none")),
        ("no algorithm, in capitals", unsigned("NONE")),
        ("no signature", unsigned("EdDSA")),
        ("the public key as a shared secret", symmetric(x.as_bytes())),
        ("its bytes as a shared secret", symmetric(&raw)),
        ("the whole key as a shared secret", symmetric(public.to_string().as_bytes())),
        ("another algorithm's name", signed(&with(&header, "alg", json!("RS256")), &claims)),
        ("another kind", signed(&with(&header, "typ", json!("JWT")), &claims)),
        ("no kind", signed(&with(&header, "typ", Value::Null), &claims)),
        ("a path for a key", signed(&with(&header, "kid", json!("../../../../dev/null")), &claims)),
        ("SQL for a key", signed(&with(&header, "kid", json!("' OR '1'='1")), &claims)),
        ("no key", signed(&with(&header, "kid", Value::Null), &claims)),
        ("a key of its own", signed_by("evil", &with(&header, "jwk", public.clone()), &claims)),
        ("an address for a key", signed_by("evil", &with(&header, "jku", json!("http://127.0.0.1:1/jwks.json")), &claims)),
        ("what must be understood", signed(&with(&header, "crit", json!(["b64"])), &claims)),
        ("expired", signed(&header, &with(&claims, "exp", json!(now - 1)))),
        ("another audience", signed(&header, &with(&claims, "aud", json!("another")))),
        ("several audiences", signed(&header, &with(&claims, "aud", json!(["tintype", "another"])))),
        ("another issuer", signed(&header, &with(&claims, "iss", json!("https://evil.example")))),
        ("made in the future", signed(&header, &with(&claims, "iat", json!(now + 3600)))),
        ("good in the future", signed(&header, &with(&claims, "nbf", json!(now + 3600)))),
        ("no end", signed(&header, &with(&claims, "exp", Value::Null))),
        ("nobody", signed(&header, &with(&claims, "sub", json!("")))),
        ("somebody else in this session", signed(&header, &with(&claims, "sub", json!(uuid::Uuid::now_v7())))),
        ("oversized", signed(&header, &with(&claims, "more", json!("x".repeat(4000))))),
    ] {
        let eve = Caller::nobody().with_token(&token);
        for path in ["/me", "/feed", &profile] {
            let answer = eve.get(path).await;
            assert_eq!(answer.status, 401, "{attack} at {path}: {}", answer.text);
            answer.problem(401, "unauthorized");
        }
    }
}

fn signed_by(secret: &str, header: &Value, claims: &Value) -> String {
    let said = format!("{}.{}", part(header), part(claims));
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(ed25519(secret, said.as_bytes())))
}

/// As the tokens' own key signs, whose seed is the SHA-256 of the secret.
fn ed25519(secret: &str, said: &[u8]) -> Vec<u8> {
    let seed = digest(&SHA256, secret.as_bytes());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("a seed");
    pair.sign(said).as_ref().to_vec()
}
