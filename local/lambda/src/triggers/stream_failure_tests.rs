//! Records that the function fails on, or that are too old for it.

use std::sync::Mutex;

use serde_json::json;

use super::{fixture::*, *};
use crate::fake::{self, Answer, until};

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
async fn a_destination_that_is_gone_does_not_hold_up_the_records_behind() {
    let table = Table::new();
    table.put("1", "bad");
    table.put("2", "good");
    let (spawn, batches) = function(fail_on_bad);
    let to_nowhere = StreamTrigger { on_failure: Some(fake::queue_arn("gone")), max_retries: Some(0), ..trigger() };
    let mapped = table.map(to_nowhere, spawn).await;
    until("the next has come", || all(&batches).ends_with(&["2".to_owned()]) && batches.lock().unwrap().len() == 3).await;
    mapped.stop().await;
}
