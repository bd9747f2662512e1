//! The sample events of `events/posts`, answered without a database: what is refused never asks it, and whatever else there
//! is says that it can't be reached.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{Client as Tables, Config as TablesConfig};
use aws_sdk_s3::{
    Client as Buckets, Config as BucketsConfig,
    config::{Credentials, Region},
};
use axum::{
    body::to_bytes,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use tintype_tables::memory::Life;

use super::*;

fn unreachable_stores() -> Stores {
    let table = Table { client: Tables::from_conf(TablesConfig::builder().behavior_version_latest().build()), name: "none".to_owned() };
    let media = PrivateMedia::new(&SdkConfig::builder().build(), "none");
    let buckets = BucketsConfig::builder()
        .behavior_version_latest()
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("an-access-key", "a-secret-key", None, None, "test"))
        .build();
    Stores {
        users: table.clone(),
        posts: table.clone(),
        comments: table,
        cards: Cards::lasting(Life::default()),
        uploads: Bucket::new(&Buckets::from_conf(buckets), "none"),
        media,
    }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/posts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The event of a request to make the post `body`.
fn creation(body: &Value) -> Value {
    let mut event = event("create");
    event["body"] = body.to_string().into();
    event
}

async fn answer(event: &Value) -> (StatusCode, HeaderMap, Value) {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let router = tintype_edge::service(router(unreachable_stores()), None);
    let (parts, body) = tintype_edge::answer("posts", router, request).await.into_parts();
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
async fn everything_that_is_wrong_with_a_post_is_said_at_once() {
    let all = ["/caption", "/photos/0/bytes", "/photos/1/bytes", "/photos/1/alt_text", "/location/name", "/location/lat", "/location/lng"];
    assert_eq!(pointers(&event("create-invalid")).await, all);
}

#[tokio::test]
async fn what_is_no_post_is_refused_where_it_goes_wrong() {
    let photo = json!({"content_type": "image/jpeg", "bytes": 1});
    for (body, pointer) in [
        (json!({"photos": []}), "/photos"),
        (json!({"photos": vec![&photo; 11]}), "/photos"),
        (json!({"photos": [photo], "caption": "a\u{0}b"}), "/caption"),
        (json!({"photos": [photo], "colour": "red"}), "/colour"),
        (json!({"photos": [photo], "comments_enabled": "yes"}), "/comments_enabled"),
        (json!({"photos": [photo], "location": {"name": "x".repeat(101), "lat": 0, "lng": 0}}), "/location/name"),
        (json!({"photos": [photo], "location": {"name": "a\nb", "lat": 0, "lng": 0}}), "/location/name"),
        (json!({"photos": [photo, {"content_type": "image/gif", "bytes": 1}]}), "/photos/1/content_type"),
        (json!({"photos": [{"content_type": "image/jpeg", "bytes": -1}]}), "/photos/0/bytes"),
        (json!({"photos": [{"content_type": "image/jpeg", "bytes": 1, "filter": "mono"}]}), "/photos/0/filter"),
        (json!({"photos": [{"content_type": "image/jpeg", "bytes": 1, "alt_text": "x".repeat(1001)}]}), "/photos/0/alt_text"),
    ] {
        assert_eq!(pointers(&creation(&body)).await, [pointer], "{body}");
    }
}

/// The event of a request to change a post so.
fn edit(body: &Value) -> Value {
    let mut event = event("edit");
    event["body"] = body.to_string().into();
    event
}

#[tokio::test]
async fn everything_that_is_wrong_with_an_edit_is_said_at_once_and_what_is_right_is_not_asked_for() {
    let all = ["/caption", "/location/name", "/location/lat", "/comments_enabled", "/photos/1/index", "/photos/0/alt_text"];
    assert_eq!(pointers(&event("edit-invalid")).await, all);
    let photos = |indexes: &[usize]| json!({"photos": indexes.iter().map(|index| json!({"index": index})).collect::<Vec<_>>()});
    for (body, pointer) in [
        (json!({"caption": "x".repeat(2201)}), "/caption"),
        (json!({"caption": 1}), "/caption"),
        (json!({"location": {"name": "Here", "lat": 1}}), "/location/lng"),
        (json!({"comments_enabled": "yes"}), "/comments_enabled"),
        (json!({"photos": [{"alt_text": "Which?"}]}), "/photos/0/index"),
        (json!({"status": "published"}), "/status"),
        (json!({"comments_enabled": null}), "/comments_enabled"),
        (photos(&[0; 11]), "/photos"),
        (photos(&[3, 1, 2, 1]), "/photos/3/index"),
    ] {
        assert_eq!(pointers(&edit(&body)).await, [pointer], "{body}");
    }
    let ten = photos(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for body in [json!({}), ten, json!({"caption": null, "location": null}), json!({"photos": [{"index": 0, "alt_text": null}]})] {
        let (status, ..) = answer(&edit(&body)).await;
        assert_eq!(status, 503, "{body}");
    }
}

#[tokio::test]
async fn a_cursor_that_was_made_up_leads_nowhere() {
    let list = |name: &str| {
        if name == "list-saved" { "saved by 0193a1f0-0000-7000-8000-00000000000b" } else { "likes of 0193a1f0-0000-7000-8000-0000000000d1" }
    };
    for (name, key, is_one) in [
        ("list-saved", "SAVED#2026-11-20T12:00:00.000Z#0193a1f0-0000-7000-8000-0000000000d1", true),
        ("list-saved", "MARK#0193a1f0-0000-7000-8000-0000000000d1#LIKED", false),
        ("list-likes", "2026-11-20T12:00:00.000Z#0193a1f0-0000-7000-8000-00000000000b", true),
        // Where all in between are hidden.
        ("list-likes", "2026-11-20T12:00:00.000Z#", true),
        ("list-likes", "2026-11-20T12:00:00.000Z", false),
        ("list-likes", "2026-11-20T12:00:00.000Z#~", false),
    ] {
        let mut event = event(name);
        let cursor = tintype_core::cursor::encode(list(name), key);
        event["queryStringParameters"] = json!({"cursor": cursor});
        event["multiValueQueryStringParameters"] = json!({"cursor": [cursor]});
        let (status, ..) = answer(&event).await;
        assert_eq!(status.as_u16(), if is_one { 503 } else { 422 }, "{key}");
    }
}

#[tokio::test]
async fn limits_are_counted_in_characters_and_after_trimming() {
    let caption = format!(" {} ", "é".repeat(2200));
    let photo = json!({"content_type": "image/webp", "bytes": 20_000_000, "alt_text": "東".repeat(1000)});
    let (status, ..) = answer(&creation(&json!({"caption": caption, "photos": vec![photo; 10]}))).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    for (name, parameter, value) in [
        ("read", "wait", "11"),
        ("read", "wait", "-1"),
        ("read", "fields", "id"),
        ("list-unpublished", "status", "published"),
        ("list-unpublished", "limit", "0"),
    ] {
        let mut event = event(name);
        event["queryStringParameters"][parameter] = value.into();
        event["multiValueQueryStringParameters"][parameter] = json!([value]);
        let pointers = pointers(&event).await;
        assert_eq!(pointers.len(), 1);
        // The reader of queries does not say which unknown field it met first.
        assert!(pointers[0] == format!("?{parameter}") || parameter == "fields", "{pointers:?}");
    }
    let mut event = event("list-unpublished");
    event["queryStringParameters"] = json!({});
    event["multiValueQueryStringParameters"] = json!({});
    assert_eq!(pointers(&event).await.len(), 1);
}

#[tokio::test]
async fn what_names_no_post_is_not_found() {
    let mut event = event("read-anonymous");
    event["path"] = "/posts/1".into();
    let (status, _, problem) = answer(&event).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not-found")));
}

#[tokio::test]
async fn without_its_stores_every_route_says_that_it_is_unavailable() {
    for name in [
        "create",
        "read",
        "read-anonymous",
        "edit",
        "delete",
        "list-unpublished",
        "list-published",
        "like",
        "unlike",
        "list-likes",
        "save",
        "unsave",
        "list-saved",
    ] {
        let (status, headers, problem) = answer(&event(name)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("unavailable")), "{name}");
        assert_eq!(problem["request_id"], "c6af9ac6-7b61-11e6-9a41-93e8deadbeef");
        assert_eq!(headers["cache-control"], "no-store");
    }
}

#[test]
fn the_description_names_every_route_and_parameter() {
    let api = serde_json::to_value(openapi()).unwrap();
    for (path, method) in [
        ("/posts", "post"),
        ("/posts/{post_id}", "get"),
        ("/posts/{post_id}", "patch"),
        ("/posts/{post_id}", "delete"),
        ("/posts/{post_id}/like", "put"),
        ("/posts/{post_id}/like", "delete"),
        ("/posts/{post_id}/likes", "get"),
        ("/posts/{post_id}/save", "put"),
        ("/posts/{post_id}/save", "delete"),
        ("/me/saved", "get"),
        ("/me/posts", "get"),
        ("/users/{username}/posts", "get"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{method} {path}");
    }
    let parameters = api["paths"]["/me/posts"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["status", "limit", "cursor"]);
}
