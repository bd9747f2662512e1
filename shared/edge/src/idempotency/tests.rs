//! Against a table of one item, which can be down and lose answers.

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use axum::body::Body;
use serde_json::{Value, json};
use tintype_core::{PostId, Time};
use tintype_tables::Table;

use super::*;

/// A table that does what the claims' own expressions say.
#[derive(Debug, Clone, Default)]
struct OneItem(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    item: Option<Value>,
    asked: usize,
    is_down: bool,
    /// The answers of so many writes get lost, though these are done.
    lost_answers: usize,
}

impl HttpConnector for OneItem {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap().to_owned();
        let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, body) = self.0.lock().unwrap().answer(&target, &request);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.to_string().into())))
    }
}

impl State {
    fn answer(&mut self, operation: &str, request: &Value) -> (u16, Value) {
        let unavailable = (500, json!({"__type": "InternalServerError"}));
        self.asked += 1;
        if self.is_down {
            return unavailable;
        }
        if operation == "GetItem" {
            assert_eq!(request["ConsistentRead"], true);
            return (200, self.item.as_ref().map_or_else(|| json!({}), |item| json!({"Item": item})));
        }
        if !self.holds(request) {
            return (400, json!({"__type": "ConditionalCheckFailedException"}));
        }
        match operation {
            "PutItem" => self.item = Some(request["Item"].clone()),
            "DeleteItem" => self.item = None,
            "UpdateItem" => {
                let attribute = request["UpdateExpression"].as_str().and_then(|text| text.split(' ').nth(1)).unwrap();
                self.item.as_mut().unwrap()[attribute] = request["ExpressionAttributeValues"][":value"].clone();
            }
            other => panic!("{other}"),
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return unavailable;
        }
        (200, json!({}))
    }

    fn holds(&self, request: &Value) -> bool {
        let values = &request["ExpressionAttributeValues"];
        let number = |value: &Value| value["N"].as_str().and_then(|number| number.parse::<i64>().ok()).unwrap();
        match (request["ConditionExpression"].as_str().unwrap(), &self.item) {
            ("attribute_not_exists(pk) OR expires_at <= :now", item) => {
                item.as_ref().is_none_or(|item| number(&item["expires_at"]) <= number(&values[":now"]))
            }
            ("run = :run AND attribute_not_exists(answered)", Some(item)) => {
                item["run"] == values[":run"] && item.get("answered").is_none()
            }
            ("run = :run AND attribute_not_exists(answered)", None) => false,
            (other, _) => panic!("{other}"),
        }
    }
}

impl OneItem {
    fn claims(&self) -> Claims {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Claims::new(Table { client: aws_sdk_dynamodb::Client::from_conf(config.build()), name: "edge".to_owned() })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// The claim's field, as a number.
    fn set(&self, field: &str, value: i64) {
        self.with(|state| state.item.as_mut().unwrap()[field] = json!({"N": value.to_string()}));
    }

    async fn once(&self, key: Option<&str>, path: &str, body: &str) -> Once {
        let mut request = Request::post(path);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(self.claims());
        Once::from_request(request, &()).await.unwrap()
    }

    /// A request that makes `id`.
    async fn make(&self, id: PostId) -> Result<Made<PostId, PostId>, Problem> {
        let once = self.once(Some("a-key"), "/posts", "{}").await;
        once.make(user(), id, StatusCode::ACCEPTED, |id| async move { Ok(id) }).await
    }

    /// A request that ends with `problem` instead.
    async fn fail(&self, id: PostId, problem: Problem) {
        let once = self.once(Some("a-key"), "/posts", "{}").await;
        let code = problem.code;
        let made = once.make(user(), id, StatusCode::ACCEPTED, |_| async { Err::<PostId, _>(problem) }).await;
        assert_eq!(made.unwrap_err().code, code);
    }
}

fn user() -> UserId {
    "0193a1f0-0000-7000-8000-00000000000b".parse().unwrap()
}

fn before(id: PostId) -> Made<PostId, PostId> {
    Made::Before { id, status: StatusCode::ACCEPTED }
}

#[tokio::test]
async fn what_was_made_is_told_to_whoever_repeats_the_request() {
    let (table, id) = (OneItem::default(), PostId::new());
    assert_eq!(table.make(id).await.unwrap(), Made::Now(id));
    for _ in 0..3 {
        assert_eq!(table.make(PostId::new()).await.unwrap(), before(id));
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_written_and_each_request_makes_its_own() {
    let table = OneItem::default();
    for _ in 0..2 {
        let (once, id) = (table.once(None, "/posts", "{}").await, PostId::new());
        let made = once.make(user(), id, StatusCode::ACCEPTED, |id| async move { Ok(id) }).await;
        assert_eq!(made.unwrap(), Made::Now(id));
    }
    assert_eq!(table.with(|state| state.asked), 0);
}

#[tokio::test]
async fn neither_key_nor_body_is_written_down() {
    let table = OneItem::default();
    let once = table.once(Some("my-secret-key"), "/posts", r#"{"caption": "my secret"}"#).await;
    once.make(user(), PostId::new(), StatusCode::ACCEPTED, |id| async move { Ok(id) }).await.unwrap();
    let item = table.with(|state| state.item.clone()).unwrap().to_string();
    assert!(!item.contains("secret") && item.contains("KEY#POST /posts#"), "{item}");
}

#[tokio::test]
async fn while_the_first_is_at_work_its_twin_is_told_to_come_again() {
    let (table, id) = (OneItem::default(), PostId::new());
    let (twin, first) = (Cell::new(None), table.once(Some("a-key"), "/posts", "{}").await);
    let (twins, others) = (&twin, &table);
    let made = first.make(user(), id, StatusCode::ACCEPTED, |id| async move {
        twins.set(Some(others.make(PostId::new()).await.unwrap_err()));
        Ok(id)
    });
    assert_eq!(made.await.unwrap(), Made::Now(id));
    let twin = twin.take().unwrap();
    assert_eq!((twin.status.as_u16(), twin.code, twin.retry_after), (409, "idempotency-in-progress", Some(1)));
}

#[tokio::test]
async fn another_body_or_path_with_the_same_key_is_refused() {
    let table = OneItem::default();
    table.make(PostId::new()).await.unwrap();
    for (path, body) in [("/posts", "{} "), ("/posts", ""), ("/posts?a=1", "{}")] {
        let once = table.once(Some("a-key"), path, body).await;
        let made = once.make(user(), PostId::new(), StatusCode::ACCEPTED, |id| async move { Ok(id) }).await;
        let problem = made.unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.code), (422, "idempotency-key-reused"), "{path} {body}");
    }
}

#[tokio::test]
async fn whoever_takes_over_from_a_run_that_was_cut_off_makes_what_that_one_would_have_made() {
    let (table, id) = (OneItem::default(), PostId::new());
    let key = edge::claim(user(), "POST /posts", &key::hash(&[b"a-key"]));
    let fingerprint = key::hash(&[b"/posts", b"{}"]);
    // It claims, and is never heard of again.
    let cut_off = table.claims().claim(&key, &fingerprint, &id.to_string()).await.unwrap();
    assert!(matches!(cut_off, Attempt::Claimed(..)));
    assert_eq!(table.make(PostId::new()).await.unwrap_err().code, "idempotency-in-progress");
    table.set("leased_until", Time::now().as_millis() - 1);
    assert_eq!(table.make(PostId::new()).await.unwrap(), Made::Now(id));
    assert_eq!(table.make(PostId::new()).await.unwrap(), before(id));
    // Should it come back after all, it changes nothing.
    let Attempt::Claimed(claim, _) = cut_off else { return };
    claim.release().await;
    assert_eq!(table.make(PostId::new()).await.unwrap(), before(id));
}

#[tokio::test]
async fn after_a_day_the_key_stands_for_nothing_also_where_the_table_has_not_removed_it() {
    let (table, id, next) = (OneItem::default(), PostId::new(), PostId::new());
    table.make(id).await.unwrap();
    table.set("expires_at", Time::now().as_seconds() + 60);
    assert_eq!(table.make(next).await.unwrap(), before(id));
    table.set("expires_at", Time::now().as_seconds());
    assert_eq!(table.make(next).await.unwrap(), Made::Now(next));
}

#[tokio::test]
async fn a_request_that_could_not_be_granted_frees_its_key_also_for_another_body() {
    let (table, id) = (OneItem::default(), PostId::new());
    table.fail(PostId::new(), Problem::forbidden("comments-disabled", "No.")).await;
    let once = table.once(Some("a-key"), "/posts", r#"{"another": 1}"#).await;
    let made = once.make(user(), id, StatusCode::ACCEPTED, |id| async move { Ok(id) }).await;
    assert_eq!(made.unwrap(), Made::Now(id));
}

#[tokio::test]
async fn a_request_of_which_nobody_knows_what_it_made_is_made_again_at_once_with_its_id() {
    let (table, id) = (OneItem::default(), PostId::new());
    table.fail(id, Problem::unavailable("the answer got lost")).await;
    assert_eq!(table.make(PostId::new()).await.unwrap(), Made::Now(id));
}

#[tokio::test]
async fn without_the_table_nothing_is_made() {
    let table = OneItem::default();
    table.with(|state| state.is_down = true);
    let is_made = Cell::new(false);
    let once = table.once(Some("a-key"), "/posts", "{}").await;
    let made = once.make(user(), PostId::new(), StatusCode::ACCEPTED, |id| {
        is_made.set(true);
        async move { Ok(id) }
    });
    assert_eq!(made.await.unwrap_err().code, "unavailable");
    assert!(!is_made.get());
}

#[tokio::test]
async fn a_claim_whose_answer_got_lost_is_the_runs_own() {
    let (table, id) = (OneItem::default(), PostId::new());
    table.with(|state| state.lost_answers = 1);
    assert_eq!(table.make(id).await.unwrap(), Made::Now(id));
    table.set("expires_at", 0);
    table.with(|state| state.lost_answers = 2);
    let next = PostId::new();
    assert_eq!(table.make(next).await.unwrap(), Made::Now(next));
    assert_eq!(table.make(PostId::new()).await.unwrap(), before(next));
    // The same while taking over.
    table.with(|state| state.item.as_mut().unwrap().as_object_mut().unwrap().remove("answered"));
    table.set("leased_until", 0);
    table.with(|state| state.lost_answers = 1);
    assert_eq!(table.make(PostId::new()).await.unwrap(), Made::Now(next));
}

#[tokio::test]
async fn a_key_is_looked_at_before_anything_is_made() {
    let request = Request::post("/posts").header("Idempotency-Key", "a-key").header("content-type", "application/json");
    let request = request.body(Body::from("{}")).unwrap();
    let problem = Creation::<Value>::from_request(request, &()).await.unwrap_err();
    assert_eq!(problem.code, "internal", "a function that keeps no claims must not pass for one that does");
    let request = Request::post("/posts").header("Idempotency-Key", "\"").header("content-type", "application/json");
    let problem = Creation::<Value>::from_request(request.body(Body::from("{}")).unwrap(), &()).await.unwrap_err();
    assert_eq!((problem.status.as_u16(), problem.code), (400, "malformed-request"));
}
