use std::sync::Mutex;

use dynoxide::Database;
use serde_json::{Value, json};
use tintype_template::deployment::StartingPosition;

use super::*;
use crate::{
    fake::{self, Answer, until},
    worker::Spawn,
};

/// A table with a stream, and what a function needs to be mapped to it.
struct Table {
    database: Database,
    streams: Streams,
    chaos: Chaos,
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
        let path = state.folder.path().join("tables.db");
        let database = Database::new(path.to_str().unwrap()).unwrap();
        let create = json!({
            "TableName": "posts",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        database.create_table(serde_json::from_value(create).unwrap()).unwrap();
        Self { database, streams: Streams::new(&path), chaos: Chaos::new([]), state }
    }

    /// Writes an item; `kind` is what filters look at and functions decide by.
    fn put(&self, pk: &str, kind: &str) {
        let request = json!({ "TableName": "posts", "Item": { "pk": { "S": pk }, "kind": { "S": kind } } });
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
        self.streams.written();
    }

    /// Makes all records that there are older.
    fn age(&self, seconds: u32) {
        let path = self.state.folder.path().join("tables.db");
        rusqlite::Connection::open(path).unwrap().execute("UPDATE _stream_records SET created_at = created_at - ?1", [seconds]).unwrap();
    }

    fn position(&self) -> Option<String> {
        position_of(&self.state.dir.control(), "router-posts").unwrap()
    }

    fn start(&self, trigger: &StreamTrigger, pool: &Arc<Pool>, stop: &watch::Receiver<bool>) -> Result<JoinHandle<()>, Error> {
        let control = self.state.dir.control();
        let Self { database, streams, chaos, state } = self;
        start(trigger, pool, &Surroundings { queues: &state.queues, database, streams, control: &control, chaos, stop })
    }

    async fn map(&self, trigger: StreamTrigger, spawn: Spawn) -> Mapped {
        let pool = fake::pool(fake::function("router"), spawn).await;
        let (stop, stopping) = watch::channel(false);
        let task = self.start(&trigger, &pool, &stopping).unwrap();
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
        start: StartingPosition::Oldest,
        batch_size: 100,
        window: Duration::ZERO,
        filters: Vec::new(),
        max_retries: Some(1),
        max_age: None,
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
    let pool = fake::pool(fake::function("router"), function(succeed).0).await;
    let trigger = StreamTrigger { filters: vec![json!({ "eventName": [{ "cidr": "10.0.0.0/8" }] })], ..trigger() };
    let (_stop, stopping) = watch::channel(false);
    let error = table.start(&trigger, &pool, &stopping).unwrap_err();
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
    for time in ["approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"] {
        // Whole seconds, as AWS documents it.
        assert!(batch[time].as_str().unwrap().ends_with('Z') && batch[time].as_str().unwrap().len() == "2019-11-14T00:13:19Z".len());
    }
    assert_eq!(record["requestContext"]["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:router");
    assert_eq!(record["responseContext"], json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" }));
    assert_eq!(record["version"], "1.0");
    assert!(record["timestamp"].is_string() && record["requestContext"]["requestId"].is_string());
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
    until("the position is stored", || table.position().is_some()).await;
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

#[tokio::test]
async fn a_mapping_that_begins_with_the_latest_gets_what_is_written_from_then_on_also_across_restarts() {
    let latest = || StreamTrigger { start: StartingPosition::Latest, ..trigger() };
    for written_before in [true, false] {
        let table = Table::new();
        if written_before {
            table.put("before", "good");
        }
        let (spawn, _) = function(succeed);
        // It has done nothing yet when it stops.
        table.map(latest(), spawn).await.stop().await;
        table.put("between", "good");
        let (spawn, batches) = function(succeed);
        let mapped = table.map(latest(), spawn).await;
        table.put("after", "good");
        until("what was written since has come", || all(&batches).contains(&"after".to_owned())).await;
        assert_eq!(all(&batches), ["between", "after"]);
        mapped.stop().await;
    }
}

#[tokio::test]
async fn when_the_process_is_killed_no_record_is_lost_and_none_that_was_done_comes_again() {
    let mut table = Table::new();
    let (spawn, before) = function(|records| if kind(&records[0]) == "bad" { Answer::Hang } else { succeed(records) });
    let mapped = table.map(StreamTrigger { batch_size: 1, ..trigger() }, spawn).await;
    table.put("1", "good");
    table.put("2", "bad");
    table.put("3", "good");
    until("the second is in hand", || all(&before) == ["1", "2"]).await;
    // Nothing is stopped in order, and all that is left is on the disk.
    mapped.task.abort();
    assert!(mapped.task.await.unwrap_err().is_cancelled());
    let path = table.state.folder.path().join("tables.db");
    table.database = Database::new(path.to_str().unwrap()).unwrap();

    let (spawn, after) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    until("the rest has come", || all(&after).len() >= 2).await;
    assert_eq!(all(&after), ["2", "3"]);
    mapped.stop().await;
}

#[tokio::test]
async fn records_that_are_too_old_are_given_up_untried_and_the_destination_is_told() {
    let table = Table::new();
    table.put("old", "good");
    table.age(120);
    table.put("young", "good");
    let (spawn, batches) = function(succeed);
    let mapped = table.map(StreamTrigger { max_age: Some(Duration::from_mins(1)), ..trigger() }, spawn).await;
    until("the young one has come", || all(&batches).len() == 1).await;
    assert_eq!(all(&batches), ["young"]);
    let record = fake::received(&table.state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["DDBStreamBatchInfo"]["batchSize"], 1);
    mapped.stop().await;
}

#[tokio::test]
async fn a_record_that_grows_too_old_while_it_is_tried_is_given_up() {
    let table = Table::new();
    table.put("1", "bad");
    table.age(55);
    let (spawn, batches) = function(fail_on_bad);
    let patient = StreamTrigger { max_age: Some(Duration::from_mins(1)), max_retries: None, ..trigger() };
    let mapped = table.map(patient, spawn).await;
    let record = fake::received(&table.state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    assert!(!batches.lock().unwrap().is_empty());
    table.put("2", "good");
    until("the next has come", || all(&batches).contains(&"2".to_owned())).await;
    mapped.stop().await;
}

#[tokio::test]
async fn a_record_older_than_a_day_is_tried_once_for_the_host_may_have_been_off_and_then_given_up() {
    let table = Table::new();
    table.put("good", "good");
    table.put("bad", "bad");
    table.age(2 * 24 * 60 * 60);
    let (spawn, batches) = function(fail_on_bad);
    let mapped = table.map(StreamTrigger { max_retries: None, batch_size: 1, ..trigger() }, spawn).await;
    let record = fake::received(&table.state.queues, "failed").await;
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(all(&batches), ["good", "bad"]);
    mapped.stop().await;
}

#[tokio::test]
async fn batches_are_no_larger_than_an_event_may_be() {
    let table = Table::new();
    let large = "x".repeat(390_000);
    for n in 0..20 {
        table.put(&n.to_string(), &large);
    }
    let (spawn, batches) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    until("all have come", || all(&batches).len() == 20).await;
    assert_eq!(all(&batches), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(batches.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [16, 4]);
    mapped.stop().await;
}

#[tokio::test]
async fn a_write_reaches_the_function_without_waiting_for_the_next_look() {
    let table = Table::new();
    let (spawn, batches) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    table.put("first", "good");
    until("a worker is up", || all(&batches).len() == 1).await;
    let mut times = Vec::new();
    for n in 2..12 {
        let written = std::time::Instant::now();
        table.put(&n.to_string(), "good");
        while all(&batches).len() < n {
            assert!(written.elapsed() < Duration::from_secs(20), "it does not come");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(written.elapsed());
    }
    times.sort_unstable();
    assert!(times[times.len() / 2] < LONGEST_IDLE / 4, "{times:?}");
    mapped.stop().await;
}

#[tokio::test]
async fn what_nobody_tells_of_is_found_all_the_same() {
    let table = Table::new();
    let (spawn, batches) = function(succeed);
    let mapped = table.map(trigger(), spawn).await;
    let request = json!({ "TableName": "posts", "Item": { "pk": { "S": "silent" } } });
    table.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    until("it has come", || all(&batches) == ["silent"]).await;
    mapped.stop().await;
}

/// A record's key and its number.
type Noted = (String, String);

/// Lets a mapping work on 30 records of three keys while this goes wrong. Returns the records of each batch.
async fn under(chaos: &str) -> Vec<Vec<Noted>> {
    let table = Table::new();
    table.chaos.set(chaos).unwrap();
    for (key, number) in in_order() {
        table.put(&key, &number);
    }
    let batches: Arc<Mutex<Vec<Vec<Noted>>>> = Arc::default();
    let noted = Arc::clone(&batches);
    let spawn = fake::workers(move |call| {
        let records = call.event["Records"].as_array().unwrap();
        noted.lock().unwrap().push(records.iter().map(|record| (key(record), kind(record).to_owned())).collect());
        async { Answer::Succeed(Value::Null) }
    });
    let mapped = table.map(StreamTrigger { batch_size: 10, ..trigger() }, spawn).await;
    // Behind all that it has found, because nothing else comes from this function.
    let end = mapped_to_the_end(&table);
    until("the position is that of the last record", || table.position().as_ref() == Some(&end)).await;
    mapped.stop().await;
    batches.lock().unwrap().clone()
}

/// The position of the last record.
fn mapped_to_the_end(table: &Table) -> String {
    Reader::new(table.database.clone(), "posts", "").latest().unwrap()
}

fn in_order() -> Vec<Noted> {
    (0..30).map(|n: usize| (["a", "b", "c"][n % 3].to_owned(), n.to_string())).collect()
}

#[tokio::test]
async fn a_stream_that_cannot_always_be_read_is_read_all_the_same() {
    for (fault, name) in [(Fault::Error, "error"), (Fault::Throttle, "throttle")] {
        let chaos = Chaos::new([]);
        // One with which the first read fails.
        let specs = (0..).map(|seed| format!("streams:{name}=0.5;seed={seed}"));
        let mut fails_first = specs.filter(|spec| {
            chaos.set(spec).unwrap();
            chaos.place("streams").strikes(fault)
        });
        let spec = fails_first.next().unwrap();
        let started = std::time::Instant::now();
        assert_eq!(under(&spec).await.concat(), in_order());
        assert!(started.elapsed() >= FIRST_RETRY);
    }
}

#[tokio::test]
async fn what_is_found_comes_late() {
    let started = std::time::Instant::now();
    assert_eq!(under("streams:delay_ms=300").await.concat(), in_order());
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_batch_that_succeeded_comes_once_more() {
    let batches = under("streams:duplicate=1").await;
    assert_eq!(batches.len(), 6);
    for twice in batches.chunks(2) {
        assert_eq!(twice[0], twice[1]);
    }
    assert_eq!(batches.into_iter().step_by(2).collect::<Vec<_>>().concat(), in_order());
}

#[tokio::test]
async fn records_of_different_keys_change_their_places_within_a_batch_and_those_of_one_do_not() {
    let batches = under("streams:reorder=1;seed=3").await;
    assert_eq!(batches.len(), 3);
    for (batch, expected) in batches.iter().zip(in_order().chunks(10)) {
        assert_ne!(batch, expected);
        for key in ["a", "b", "c"] {
            let of_key = |records: &[Noted]| records.iter().filter(|record| record.0 == key).cloned().collect::<Vec<_>>();
            assert_eq!(of_key(batch), of_key(expected));
        }
    }
}

#[tokio::test]
async fn in_a_batch_that_is_out_of_order_no_position_is_stored_before_all_of_it_is_done() {
    let table = Table::new();
    table.chaos.set("streams:reorder=1;seed=3").unwrap();
    for n in 0..8 {
        table.put(&n.to_string(), if n == 4 { "bad" } else { "good" });
    }
    let (spawn, batches) = function(fail_on_bad);
    let mapped = table.map(StreamTrigger { max_retries: None, ..trigger() }, spawn).await;
    until("the bad one is tried again", || batches.lock().unwrap().iter().filter(|batch| **batch == ["4"]).count() > 1).await;
    assert_eq!(table.position(), None);
    mapped.stop().await;
}
