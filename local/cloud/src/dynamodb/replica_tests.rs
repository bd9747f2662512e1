//! When there is a replica, and what it must not miss. What its readers see is tested through the SDK.

use axum::{Router, extract::State};
use http::Request;
use tintype_chaos::Chaos;
use tokio::{
    net::TcpListener,
    sync::Notify,
    time::{Instant as Clock, sleep, timeout},
};

use super::*;

const STALE: &str = "dynamodb:stale_ms=1";

fn database() -> Database {
    let database = Database::memory().unwrap();
    let create = json!({
        "TableName": "posts",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    database.create_table(serde_json::from_value(create).unwrap()).unwrap();
    database
}

fn put(pk: &str) -> Value {
    json!({"TableName": "posts", "Item": {"pk": {"S": pk}}})
}

/// The head of a signed request.
fn head(operation: &str) -> Parts {
    let signature = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let request = Request::post("/").header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let request = request.header("content-type", "application/x-amz-json-1.0").header("authorization", signature);
    request.header("x-amz-date", "20260101T000000Z").body(()).unwrap().into_parts().0
}

async fn ask(tables: &Replicated, operation: &str, request: Value) -> Value {
    let answer = tables.answer(operation, head(operation), request.to_string().into()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{operation} {request}");
    read(answer).await.unwrap()
}

async fn shows(tables: &Replicated, pk: &str) -> bool {
    ask(tables, "GetItem", json!({"TableName": "posts", "Key": {"pk": {"S": pk}}})).await["Item"].is_object()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Clock::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Clock::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Stands in for the database's server: it writes what it is asked to write when it is told to, whoever has left.
#[derive(Clone)]
struct Gate {
    database: Database,
    arrived: Arc<Notify>,
    open: Arc<Notify>,
    written: Arc<Notify>,
}

impl Gate {
    async fn start(database: Database) -> (Self, Proxy) {
        let gate = Self { database, arrived: Arc::default(), open: Arc::default(), written: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().to_string(), gate.database.clone());
        let router = Router::new().fallback(Self::write).with_state(gate.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        (gate, proxy)
    }

    async fn write(State(gate): State<Self>, body: Bytes) -> &'static str {
        let write = async move {
            gate.arrived.notify_one();
            gate.open.notified().await;
            gate.database.put_item(serde_json::from_slice(&body).unwrap()).unwrap();
            gate.written.notify_one();
        };
        tokio::spawn(write).await.unwrap();
        "{}"
    }
}

#[tokio::test]
async fn a_write_whose_client_has_left_is_seen_though_the_fault_begins_before_it_is_done() {
    let (database, chaos) = (database(), Chaos::new([]));
    let (gate, proxy) = Gate::start(database.clone()).await;
    let tables = Replicated::new(database, proxy, chaos.place("dynamodb"));
    let client = tokio::spawn({
        let tables = tables.clone();
        async move { ask(&tables, "PutItem", put("one")).await }
    });
    gate.arrived.notified().await;
    client.abort();
    client.await.unwrap_err();

    chaos.set(STALE).unwrap();
    let mut first = Box::pin(shows(&tables, "one"));
    // Were the write not waited for, there would be a replica by then that never learns of it.
    let first_came = timeout(Duration::from_millis(500), &mut first).await;
    gate.open.notify_one();
    gate.written.notified().await;
    if first_came.is_err() {
        first.await;
    }
    eventually("the write is seen", async || shows(&tables, "one").await).await;
}

#[tokio::test]
async fn a_write_without_the_fault_takes_the_replica_out_before_it_is_passed_on() {
    let (database, chaos) = (database(), Chaos::new([]));
    let (gate, proxy) = Gate::start(database.clone()).await;
    let tables = Replicated::new(database.clone(), proxy, chaos.place("dynamodb"));
    *tables.replica.write().await = Some(Replica::of(&database).await.unwrap());
    let client = tokio::spawn({
        let tables = tables.clone();
        async move { ask(&tables, "PutItem", put("one")).await }
    });
    gate.arrived.notified().await;
    assert!(tables.replica.read().await.is_none());
    gate.open.notify_one();
    client.await.unwrap();
}

#[tokio::test]
async fn the_replica_is_let_go_when_the_fault_ends_and_not_because_somebody_looks_at_the_table() {
    let (database, chaos) = (database(), Chaos::new([]));
    let (proxy, _server) = Proxy::start(database.clone()).await.unwrap();
    let tables = Replicated::new(database, proxy, chaos.place("dynamodb"));
    for _ in 0..2 {
        chaos.set("dynamodb:stale_ms=600000").unwrap();
        shows(&tables, "one").await;
        ask(&tables, "DescribeTable", json!({"TableName": "posts"})).await;
        chaos.set("dynamodb:stale_ms=500000").unwrap();
        assert!(tables.replica.read().await.is_some());
        chaos.set("dynamodb:error=0").unwrap();
        eventually("it is let go", async || tables.replica.read().await.is_none()).await;
    }
}

#[tokio::test]
async fn a_replica_that_loses_a_write_is_made_anew() {
    let (database, chaos) = (database(), Chaos::new([]));
    let (proxy, _server) = Proxy::start(database.clone()).await.unwrap();
    let tables = Replicated::new(database.clone(), proxy, chaos.place("dynamodb"));
    chaos.set(STALE).unwrap();
    assert!(!shows(&tables, "one").await);
    let lost = Image { table: "gone".to_owned(), key: json!({"pk": {"S": "one"}}), item: None };
    tables.replica.read().await.as_ref().unwrap().pending.lock().unwrap().push_back((Instant::now(), vec![lost]));
    // Not through the API, so that this replica never knows.
    database.put_item(serde_json::from_value(put("one")).unwrap()).unwrap();
    eventually("the next one shows what is", async || shows(&tables, "one").await).await;
}
