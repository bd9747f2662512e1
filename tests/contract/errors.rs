//! Bad requests: what the gateway and the functions say of them, in one shape.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD, unique};

#[tokio::test]
async fn an_unknown_route_is_not_found_whoever_asks() {
    let ada = Person::sign_up("ada").await;
    for path in ["/nowhere", "/users", "/posts/1/2/3", "/", "/Feed"] {
        Caller::nobody().get(path).await.problem(404, "not-found");
        ada.get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told() {
    let ada = Person::sign_up("ada").await;
    for (method, path) in [(Method::DELETE, "/feed"), (Method::PUT, "/accounts"), (Method::GET, "/accounts"), (Method::PATCH, "/health")] {
        for caller in [&Caller::nobody(), &*ada] {
            let answer = Answer::to(caller.request(method.clone(), path)).await;
            let code = if answer.status == 405 { "method-not-allowed" } else { "not-found" };
            let status = if answer.status == 405 { 405 } else { 404 };
            answer.problem(status, code);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_malformed() {
    let ada = Person::sign_up("ada").await;
    let bodies = ["", "{", "{\"caption\": }", "nonsense", "{\"photos\": []} and more", "\u{0}", "{\"caption\": \"\u{1}\"}"];
    for body in bodies {
        let json = ada.request(Method::POST, "/posts").header("content-type", "application/json").body(body);
        Answer::to(json).await.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn a_body_that_is_another_thing_than_asked_is_not_valid() {
    let ada = Person::sign_up("ada").await;
    for body in [json!([]), json!("text"), json!(null), json!(7)] {
        ada.post("/posts", body).await.problem(422, "validation-failed");
    }
    ada.post("/posts", json!({})).await.problem(422, "validation-failed");
}

#[tokio::test]
async fn an_array_passes_for_no_object_and_no_answer_names_the_inside_or_repeats_what_was_sent() {
    let ada = Person::sign_up("ada").await;
    for (body, pointer, detail) in [
        (json!(5), "", "must be an object"),
        (json!([ada.username, PASSWORD]), "", "must be an object"),
        (json!({"login": ada.username, "password": 12_345_678}), "/password", "must be a string"),
        (json!({"login": ada.username}), "/password", "is required"),
    ] {
        let answer = Caller::nobody().post("/sessions", body).await.invalid(&[pointer]);
        assert_eq!(answer["errors"][0]["detail"], detail, "{}", answer.text);
    }
    let photo = json!([["image/jpeg", 1, null]]);
    let answer = ada.post("/posts", json!({"photos": photo})).await.invalid(&["/photos/0"]);
    assert_eq!(answer["errors"][0]["detail"], "must be an object", "{}", answer.text);
    let twice = ada.request(Method::PATCH, "/me").header("content-type", "application/json").body(r#"{"bio": "a", "bio": "b"}"#);
    Answer::to(twice).await.invalid(&["/bio"]);
}

#[tokio::test]
async fn a_body_nested_without_end_harms_nobody() {
    let ada = Person::sign_up("ada").await;
    let deep = "[".repeat(30_000);
    let answer = Answer::to(ada.request(Method::POST, "/posts").header("content-type", "application/json").body(deep)).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
    ada.get("/me").await.expect(200);
}

#[tokio::test]
async fn another_content_type_than_json_is_unsupported() {
    let ada = Person::sign_up("ada").await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "image/jpeg", "nonsense"] {
        let request = ada.request(Method::POST, "/posts").header("content-type", kind).body("{}");
        Answer::to(request).await.problem(415, "unsupported-media-type");
    }
    Answer::to(ada.request(Method::POST, "/posts").body("{}")).await.problem(415, "unsupported-media-type");
    let with_charset = ada.request(Method::POST, "/posts").header("content-type", "application/json; charset=utf-8").body("{}");
    Answer::to(with_charset).await.problem(422, "validation-failed");
}

#[tokio::test]
async fn a_body_over_the_limits_is_too_large() {
    let ada = Person::sign_up("ada").await;
    for bytes in [64 * 1024 + 1, 5 * 1024 * 1024, 10 * 1024 * 1024 + 1, 20 * 1024 * 1024] {
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        let request = ada.request(Method::POST, "/posts").header("content-type", "application/json").body(body);
        Answer::to(request).await.problem(413, "payload-too-large");
    }
    ada.get("/me").await.expect(200);
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_its_pointer_on_every_route_that_takes_a_body() {
    let ada = Person::sign_up("ada").await;
    let account = json!({"username": unique("eve"), "email": "eve@example.org", "password": PASSWORD, "surprise": 1});
    for (method, path, body) in [
        (Method::POST, "/accounts", account),
        (Method::POST, "/sessions", json!({"login": ada.username, "password": PASSWORD, "surprise": 1})),
        (Method::POST, "/sessions/refresh", json!({"refresh_token": ada.refresh_token, "surprise": 1})),
        (Method::PATCH, "/me", json!({"surprise": 1})),
        (Method::POST, "/posts", json!({"photos": [{"content_type": "image/jpeg", "bytes": 1}], "surprise": 1})),
    ] {
        Answer::to(ada.request(method, path).json(&body)).await.invalid(&["/surprise"]);
    }
}

#[tokio::test]
async fn every_refusal_names_another_request() {
    let nobody = Caller::nobody();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..5 {
        for path in ["/nowhere", "/feed"] {
            let answer = nobody.get(path).await;
            assert!(ids.insert(answer["request_id"].as_str().expect("an id").to_owned()), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_api_is_healthy_and_says_its_version() {
    let answer = Caller::nobody().get("/health").await.expect(200);
    assert_eq!(answer["status"], "ok");
    assert!(answer["version"].is_string());
}
