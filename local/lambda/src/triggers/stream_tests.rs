use std::sync::Mutex;

use dynoxide::Database;
use serde_json::{Value, json};

use super::{fixture::*, *};
use crate::fake::{self, Answer, until};

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
    // The sample event, which tests/targets/sam-events compares with AWS', is what we send.
    let sample: Value = serde_json::from_str(include_str!("../../../../events/event-router/post-published.json")).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    for part in ["", "/dynamodb"] {
        assert_eq!(fields(record.pointer(part).unwrap()), fields(sample["Records"][0].pointer(part).unwrap()), "{part}");
    }
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
