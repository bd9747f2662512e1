//! The sample events of `events/comments`, answered without a database: what is refused never asks it, and whatever else there is says
//! that it can't be reached.

mod capacity;
mod pages;

use aws_sdk_dynamodb::{Client, Config};
use axum::{
    body::to_bytes,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use tintype_tables::memory::Life;

use super::*;

fn unreachable_stores() -> Stores {
    let table = Table { client: Client::from_conf(Config::builder().behavior_version_latest().build()), name: "none".to_owned() };
    Stores { users: table.clone(), posts: table.clone(), comments: table, cards: Cards::lasting(Life::default()) }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/comments/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

async fn answer(event: &Value) -> (StatusCode, HeaderMap, Value) {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let router = tintype_edge::service(router(unreachable_stores()), None);
    let (parts, body) = tintype_edge::answer("comments", router, request).await.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

async fn pointers(event: &Value) -> Vec<String> {
    let (status, headers, problem) = answer(event).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("validation-failed")), "{problem}");
    assert_eq!(headers["content-type"], "application/problem+json");
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_no_comment_is_refused_where_it_goes_wrong() {
    assert_eq!(
        pointers(&event("create-invalid")).await,
        ["/text", "/text"],
        "nothing to see in it, and what is there turns the direction of writing"
    );
    for (body, pointer) in [
        (json!({"text": "a", "parent_id": "1"}), "/parent_id"),
        (json!({"text": 1}), "/text"),
        (json!({"text": "a", "author": "ada"}), "/author"),
        (json!({"parent_id": null}), "/text"),
        (json!({"text": "x".repeat(2201)}), "/text"),
    ] {
        let mut event = event("create");
        event["body"] = body.to_string().into();
        assert_eq!(pointers(&event).await, [pointer], "{body}");
    }
}

#[tokio::test]
async fn what_names_no_comment_is_not_found() {
    for name in ["read", "like", "delete", "list-replies"] {
        let mut event = event(name);
        let path = event["path"].as_str().unwrap().replace("0193a1f0-0000-7000-8000-0000000000c2", "1");
        event["path"] = path.into();
        let (status, _, problem) = answer(&event).await;
        assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not-found")), "{name}");
    }
}

#[tokio::test]
async fn without_its_stores_every_route_says_that_it_is_unavailable() {
    for name in ["create", "reply", "list", "list-anonymous", "read", "list-replies", "like", "unlike", "delete"] {
        let (status, headers, problem) = answer(&event(name)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("unavailable")), "{name}");
        assert_eq!(headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_cursor_that_was_made_up_is_refused() {
    for name in ["list", "list-replies"] {
        let mut event = event(name);
        let cursor = tintype_core::cursor::encode("comments on 0193a1f0-0000-7000-8000-0000000000d1", "COUNTS#1");
        event["queryStringParameters"] = json!({"cursor": cursor});
        event["multiValueQueryStringParameters"] = json!({"cursor": [cursor]});
        assert_eq!(pointers(&event).await, ["?cursor"], "{name}");
    }
}
