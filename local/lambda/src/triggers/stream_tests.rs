use std::sync::Mutex;

use dynoxide::Database;
use serde_json::Value;

use super::*;
use crate::{
    fake::{self, Answer, until},
    runtime_api::RuntimeApi,
    worker::Spawn,
};

/// A table with a stream, and what a function needs to be mapped to it.
struct Table {
    database: Database,
    state: fake::State,
}

/// A running mapping; the pool ends with it.
struct Mapped {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    pool: Arc<Pool>,
}

impl Table {
    fn new() -> Self {
        let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
        prepare(&state.dir.control()).unwrap();
        let database = Database::new(state.folder.path().join("tables.db").to_str().unwrap()).unwrap();
        let create = json!({
            "TableName": "posts",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        database.create_table(serde_json::from_value(create).unwrap()).unwrap();
        Self { database, state }
    }

    /// Writes an item; `kind` is what filters look at and functions decide by.
    fn put(&self, pk: &str, kind: &str) {
        let request = json!({ "TableName": "posts", "Item": { "pk": { "S": pk }, "kind": { "S": kind } } });
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    async fn map(&self, trigger: StreamTrigger, spawn: Spawn) -> Mapped {
        let api = Arc::new(RuntimeApi::start().await.unwrap());
        let pool = Pool::new(fake::function("router"), api, spawn);
        let (stop, stopping) = watch::channel(false);
        let control = self.state.dir.control();
        let task = start(&trigger, &pool, &self.state.queues, &self.database, &control, &stopping).unwrap();
        Mapped { stop, task, pool }
    }
}

impl Mapped {
    async fn stop(self) {
        self.stop.send_replace(true);
        self.pool.stop().await;
        self.task.await.unwrap();
    }
}

fn trigger() -> StreamTrigger {
    StreamTrigger {
        id: "router-posts".to_owned(),
        table: "posts".to_owned(),
        batch_size: 100,
        window: Duration::ZERO,
        filters: Vec::new(),
        max_retries: Some(1),
        bisect: true,
        partial_failures: true,
        on_failure: Some(fake::queue_arn("failed")),
    }
}

/// Batches, each a list of keys, in the order of their invocation.
type Batches = Arc<Mutex<Vec<Vec<String>>>>;

/// A function that notes what it gets, and answers by the batch.
fn function(answer: impl Fn(&[Value]) -> Answer + Send + Sync + 'static) -> (Spawn, Batches) {
    let batches: Batches = Arc::default();
    let noted = Arc::clone(&batches);
    let spawn = fake::workers(move |call| {
        let records = call.event["Records"].as_array().unwrap();
        noted.lock().unwrap().push(records.iter().map(key).collect());
        let answer = answer(records);
        async move { answer }
    });
    (spawn, batches)
}

fn key(record: &Value) -> String {
    record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned()
}

fn kind(record: &Value) -> &str {
    record["dynamodb"]["NewImage"]["kind"]["S"].as_str().unwrap()
}

fn succeed(_: &[Value]) -> Answer {
    Answer::Succeed(Value::Null)
}

/// Fails while there is a bad record in the batch.
fn fail_on_bad(records: &[Value]) -> Answer {
    if records.iter().any(|record| kind(record) == "bad") { Answer::Fail(fake::refusal()) } else { succeed(records) }
}

fn all(batches: &Batches) -> Vec<String> {
    batches.lock().unwrap().concat()
}

#[tokio::test]
async fn a_function_gets_the_event_that_dynamodb_sends_it() {
    let table = Table::new();
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&events);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().extend(call.event["Records"].as_array().unwrap().clone());
        async { Answer::Succeed(Value::Null) }
    });
    let mapped = table.map(trigger(), spawn).await;
    table.put("1", "draft");
    table.put("1", "published");
    until("both records have come", || events.lock().unwrap().len() == 2).await;
    let events = events.lock().unwrap().clone();
    assert_eq!(events[0]["eventName"], "INSERT");
    let record = &events[1];
    assert_eq!(record["eventName"], "MODIFY");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert_eq!(record["eventVersion"], "1.1");
    assert_eq!(record["awsRegion"], "us-east-1");
    let arn = record["eventSourceARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/posts/stream/"), "{arn}");
    assert!(record["eventID"].is_string());
    let change = &record["dynamodb"];
    assert_eq!(change["Keys"], json!({ "pk": { "S": "1" } }));
    assert_eq!(change["OldImage"], json!({ "pk": { "S": "1" }, "kind": { "S": "draft" } }));
    assert_eq!(change["NewImage"], json!({ "pk": { "S": "1" }, "kind": { "S": "published" } }));
    assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert!(change["SequenceNumber"].is_string() && change["SizeBytes"].is_number());
    assert!(change["ApproximateCreationDateTime"].is_number());
    mapped.stop().await;
}

#[tokio::test]
async fn records_come_in_order_and_only_those_that_a_filter_lets_through() {
    let table = Table::new();
    let (spawn, batches) = function(succeed);
    let filters = vec![
        json!({ "dynamodb": { "NewImage": { "kind": { "S": ["loud"] } } } }),
        json!({ "dynamodb": { "NewImage": { "kind": { "S": [{ "prefix": "very" }] } } } }),
    ];
    let mapped = table.map(StreamTrigger { batch_size: 7, filters, ..trigger() }, spawn).await;
    for n in 0..60 {
        table.put(&n.to_string(), ["silent", "loud", "very loud"][n % 3]);
    }
    let expected: Vec<_> = (0..60).filter(|n| n % 3 != 0).map(|n| n.to_string()).collect();
    until("all have come", || all(&batches).len() == expected.len()).await;
    assert_eq!(all(&batches), expected);
    assert!(batches.lock().unwrap().iter().all(|batch| batch.len() <= 7));
    mapped.stop().await;
}

#[tokio::test]
async fn a_filter_that_is_not_supported_is_refused_at_start() {
    let table = Table::new();
    let api = Arc::new(RuntimeApi::start().await.unwrap());
    let pool = Pool::new(fake::function("router"), api, function(succeed).0);
    let trigger = StreamTrigger { filters: vec![json!({ "eventName": [{ "cidr": "10.0.0.0/8" }] })], ..trigger() };
    let control = table.state.dir.control();
    let (_stop, stopping) = watch::channel(false);
    let error = start(&trigger, &pool, &table.state.queues, &table.database, &control, &stopping).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the event source router-posts of router has a filter that is not supported: \
         at eventName: the operator \"cidr\" is not supported"
    );
}

#[tokio::test]
async fn a_batch_is_halved_until_the_record_that_fails_is_alone_and_the_destination_is_told_of_it() {
    let table = Table::new();
    let (spawn, batches) = function(fail_on_bad);
    for n in 0..8 {
        table.put(&n.to_string(), if n == 5 { "bad" } else { "good" });
    }
    let mapped = table.map(trigger(), spawn).await;
    let record = fake::received(&table.state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    let batch = &record["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
    assert!(batch["shardId"].is_string());
    assert!(batch["approximateArrivalOfFirstRecord"].as_str().unwrap().ends_with('Z'));
    assert!(batch["streamArn"].as_str().unwrap().contains(":table/posts/stream/"));
    // Those behind it are not held up.
    table.put("after", "good");
    until("the records behind it have come", || all(&batches).contains(&"after".to_owned())).await;
    let expected: [&[&str]; 9] = [
        &["0", "1", "2", "3", "4", "5", "6", "7"],
        &["0", "1", "2", "3"],
        &["4", "5", "6", "7"],
        &["4", "5"],
        &["4"],
        &["5"],
        &["5"],
        &["6", "7"],
        &["after"],
    ];
    assert_eq!(*batches.lock().unwrap(), expected);
    mapped.stop().await;
}

#[tokio::test]
async fn what_comes_before_the_first_failed_record_is_not_repeated() {
    let table = Table::new();
    let failures = Mutex::new(1);
    let (spawn, batches) = function(move |records| {
        let bad = records.iter().find(|record| kind(record) == "bad");
        let mut failures = failures.lock().unwrap();
        match bad {
            Some(bad) if *failures > 0 => {
                *failures -= 1;
                let number = &bad["dynamodb"]["SequenceNumber"];
                Answer::Succeed(json!({ "batchItemFailures": [{ "itemIdentifier": number }] }))
            }
            _ => Answer::Succeed(json!({ "batchItemFailures": [] })),
        }
    });
    for (pk, kind) in [("1", "good"), ("2", "good"), ("3", "bad"), ("4", "good")] {
        table.put(pk, kind);
    }
    let mapped = table.map(StreamTrigger { bisect: false, ..trigger() }, spawn).await;
    until("the rest has come again", || all(&batches).len() == 6).await;
    let expected: [&[&str]; 2] = [&["1", "2", "3", "4"], &["3", "4"]];
    assert_eq!(*batches.lock().unwrap(), expected);
    mapped.stop().await;
}

#[tokio::test]
async fn after_a_restart_no_record_is_lost_and_none_that_was_done_comes_again() {
    let table = Table::new();
    let (spawn, before) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    table.put("1", "good");
    table.put("2", "good");
    until("both have come", || all(&before).len() == 2).await;
    let number = |table: &Table| -> Option<String> {
        let control = table.state.dir.control();
        control
            .with(|database| database.query_row("SELECT sequence_number FROM stream_positions", [], |row| row.get(0)).optional())
            .unwrap()
    };
    until("the position is stored", || number(&table).is_some()).await;
    mapped.stop().await;

    // In hand when the host stops: neither done nor failed.
    let (spawn, interrupted) = function(|_| Answer::Hang);
    let mapped = table.map(trigger(), spawn).await;
    table.put("3", "good");
    until("the third is in hand", || all(&interrupted) == ["3"]).await;
    mapped.stop().await;

    table.put("4", "good");
    let (spawn, after) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    until("the rest has come", || all(&after).len() == 2).await;
    assert_eq!(all(&after), ["3", "4"]);
    mapped.stop().await;
}

#[tokio::test]
async fn without_a_limit_a_record_is_retried_until_it_succeeds() {
    let table = Table::new();
    let failures = Mutex::new(3);
    let (spawn, batches) = function(move |records| {
        let mut failures = failures.lock().unwrap();
        if *failures == 0 {
            return succeed(records);
        }
        *failures -= 1;
        Answer::Exit
    });
    let mapped = table.map(StreamTrigger { max_retries: None, ..trigger() }, spawn).await;
    table.put("1", "good");
    until("it has come four times", || all(&batches).len() == 4).await;
    table.put("2", "good");
    until("the next has come", || all(&batches) == ["1", "1", "1", "1", "2"]).await;
    mapped.stop().await;
}

#[tokio::test]
async fn a_window_gathers_records() {
    let table = Table::new();
    let (spawn, batches) = function(succeed);
    let mapped = table.map(StreamTrigger { batch_size: 3, window: Duration::from_secs(15), ..trigger() }, spawn).await;
    for n in 0..3 {
        table.put(&n.to_string(), "good");
    }
    // Before the window is over: the batch is full.
    until("the batch has come", || !batches.lock().unwrap().is_empty()).await;
    assert_eq!(batches.lock().unwrap()[0].len(), 3);
    mapped.stop().await;
}
