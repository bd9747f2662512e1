use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::{body::Body, http::Request, response::Response};
use tower::ServiceExt;

use super::*;

/// Tables that nobody answers for: what is refused at the edge never asks them.
fn unreachable_stores() -> Stores {
    let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
    let table = Table { client: Client::from_conf(config), name: "none".to_owned() };
    let credentials = Credentials::new("an-access-key", "a-secret-key", None, None, "test");
    let aws = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let media = PrivateMedia::new(&aws, "none");
    Stores { users: table.clone(), posts: table.clone(), comments: table.clone(), notifications: table, media }
}

async fn answer(event: &str) -> Response {
    let path = format!("{}/../../events/notifications/{event}.json", env!("CARGO_MANIFEST_DIR"));
    let request = lambda_http::request::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.to_string().replace("/v1/", "/").parse().unwrap();
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    tintype_edge::service(router(unreachable_stores()), None).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_reading_of_the_future_is_refused() {
    assert_eq!(answer("read-the-future").await.status(), 422);
}

#[tokio::test]
async fn without_a_region_and_tables_notifications_say_that_they_are_unavailable() {
    for event in ["list", "unread-count", "read"] {
        assert_eq!(answer(event).await.status(), 503, "{event}");
    }
}
