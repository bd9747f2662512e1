use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
use axum::{
    body::{Body, to_bytes},
    http::Request,
    response::Response,
};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{
    PostId, Time, UserId,
    notification::{Cause, Kind, Note, Subject},
};
use tintype_tables::{memory::Life, notifications, users};
use tintype_telemetry::{Outcome, Work, number, observe};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::*;

/// Tables that nobody answers for: what is refused at the edge never asks them.
fn unreachable_stores() -> Stores {
    let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
    let table = Table { client: Client::from_conf(config), name: "none".to_owned() };
    let credentials = Credentials::new("an-access-key", "a-secret-key", None, None, "test");
    let aws = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let media = PrivateMedia::new(&aws, "none");
    Stores {
        users: table.clone(),
        posts: table.clone(),
        comments: table.clone(),
        notifications: table,
        cards: Cards::lasting(Life::default()),
        media,
    }
}

/// Empty tables, but for their indexes, which the function does not read.
async fn stores() -> Stores {
    let database = Database::memory().unwrap();
    for name in ["users", "posts", "comments", "notifications"] {
        let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
        let attributes = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]);
        let request = json!({"TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"});
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    let client = Client::from_conf(config);
    let table = |name: &str| Table { client: client.clone(), name: name.to_owned() };
    let (users, posts, comments, notifications) = (table("users"), table("posts"), table("comments"), table("notifications"));
    Stores { users, posts, comments, notifications, ..unreachable_stores() }
}

async fn answer(event: &str) -> Response {
    answer_of(unreachable_stores(), event).await
}

async fn answer_of(stores: Stores, event: &str) -> Response {
    let path = format!("{}/../../events/notifications/{event}.json", env!("CARGO_MANIFEST_DIR"));
    let request = lambda_http::request::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.to_string().replace("/v1/", "/").parse().unwrap();
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    tintype_edge::service(router(stores), None).oneshot(request).await.unwrap()
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

/// Whose the sample events are.
fn viewer() -> UserId {
    "0193a1f0-0000-7000-8000-00000000000b".parse().unwrap()
}

async fn tell(stores: &Stores, kind: Kind, subject: Subject) {
    let cause = Cause { kind, actor_id: Some(UserId::new()), subject };
    assert!(notifications::tell(&stores.notifications, viewer(), &cause, Time::now()).await.unwrap());
}

async fn notes(stores: &Stores) -> Vec<Note> {
    notifications::page(&stores.notifications, viewer(), None, 100).await.unwrap().items
}

async fn body(answer: Response) -> serde_json::Value {
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap()
}

/// What docs/BENCHMARKS.md says, of the route as a whole.
#[tokio::test]
async fn the_number_of_unread_ones_costs_half_a_read_unit() {
    let stores = stores().await;
    for _ in 0..3 {
        tell(&stores, Kind::Mention, Subject::Post(PostId::new())).await;
    }
    let line = Work { service: "test", operation: "test".to_owned(), request_id: String::new(), trace_id: String::new() };
    let asked = async {
        let answer = answer_of(stores, "unread-count").await;
        (body(answer).await, number("dynamodb.read_units"), number("dynamodb.write_units"))
    };
    assert_eq!(observe(line, Box::pin(asked), |_| Outcome::Ok).await, (json!({"count": 3}), 0.5, 0.0));
}

/// What home asks: the page's own reads tell how much is new as well.
#[tokio::test]
async fn a_summary_costs_no_more_than_the_list_that_is_in_it() {
    let cost = async |path: &str| {
        let stores = stores().await;
        for _ in 0..3 {
            tell(&stores, Kind::Follow, Subject::Person).await;
        }
        let line = Work { service: "test", operation: "test".to_owned(), request_id: String::new(), trace_id: String::new() };
        let asked = async {
            let event = std::fs::read_to_string(format!("{}/../../events/notifications/list.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let (mut parts, _) = lambda_http::request::from_str(&event).unwrap().into_parts();
            parts.uri = path.parse().unwrap();
            let answer = tintype_edge::service(router(stores), None).oneshot(Request::from_parts(parts, Body::empty())).await.unwrap();
            (body(answer).await, number("dynamodb.read_units"))
        };
        observe(line, Box::pin(asked), |_| Outcome::Ok).await
    };
    let ((list, of_list), (summary, of_summary)) = (cost("/notifications?limit=5").await, cost("/notifications/summary?limit=5").await);
    assert_eq!((&list["items"], of_list), (&summary["latest"], of_summary));
    // Nobody is known of those who follow: nothing is shown, but one group is new.
    assert_eq!(summary, json!({"unread_count": 1, "latest": []}));
}

#[tokio::test]
async fn what_is_about_the_gone_is_not_shown_and_one_request_removes_so_many_of_it() {
    let stores = stores().await;
    for _ in 0..40 {
        tell(&stores, Kind::Mention, Subject::Post(PostId::new())).await;
    }
    for left in [15, 0] {
        let private = stores.media.keyring().await.unwrap();
        let read = list::read(&stores, viewer(), None, 50, &private).await.unwrap();
        assert_eq!((read.views.len(), read.next, read.inbox.unread), (0, None, left as u64));
        assert_eq!(notes(&stores).await.len(), left);
        assert_eq!(notifications::state(&stores.notifications, viewer()).await.unwrap().unread, left as u64);
    }
}

#[tokio::test]
async fn a_request_that_was_asked_anew_since_the_page_was_looked_at_is_not_removed() {
    let stores = stores().await;
    tell(&stores, Kind::FollowRequest, Subject::Person).await;
    let note = notes(&stores).await.remove(0);
    let request = users::requested(note.actors[0], viewer());
    let users = &stores.users;
    users.client.put_item().table_name(&users.name).set_item(Some(request.item())).send().await.unwrap();
    list::remove(&stores, viewer(), &note).await;
    assert_eq!(notes(&stores).await, std::slice::from_ref(&note));
    users.client.delete_item().table_name(&users.name).set_key(Some(request.item())).send().await.unwrap();
    list::remove(&stores, viewer(), &note).await;
    assert_eq!(notes(&stores).await, []);
}
