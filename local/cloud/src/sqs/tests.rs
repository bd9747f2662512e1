//! What callers inside this process rely on, and what no SDK would send.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tintype_template::deployment::{self, Redrive};
use tokio::time::Instant;

use super::{AttributeValue, MessageAttribute, NewMessage, Queues, message::md5_of_attributes};

const PATIENCE: Duration = Duration::from_secs(20);

fn declared(name: &str, visibility: Duration, dead_letter: Option<&str>) -> deployment::Queue {
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    deployment::Queue {
        name: name.to_owned(),
        arn: arn(name),
        visibility_timeout: visibility,
        retention: Duration::from_hours(24),
        redrive: dead_letter.map(|name| Redrive { dead_letter_arn: arn(name), max_receive_count: 1 }),
    }
}

fn open(folder: &tempfile::TempDir) -> Queues {
    let visibility = Duration::from_millis(50);
    Queues::open(
        &folder.path().join("queues.db"),
        &[declared("work", visibility, Some("dead")), declared("dead", visibility, None)],
        tintype_chaos::Chaos::new([]).place("sqs"),
    )
    .unwrap()
}

fn text(body: &str) -> NewMessage {
    NewMessage { body: body.to_owned(), ..NewMessage::default() }
}

#[test]
fn the_md5_of_attributes_is_the_one_that_aws_computes() {
    // Known answers, from the tests of other implementations that were checked against AWS.
    for (data_type, md5) in [("Number", "235c5c510d26fb653d073faed50ae77c"), ("Number.java.lang.Long", "2e2e4876d8e0bd6b8c2c8f556831c349")]
    {
        let attribute = MessageAttribute { data_type: data_type.to_owned(), value: AttributeValue::Text("1493147359900".to_owned()) };
        assert_eq!(md5_of_attributes(&BTreeMap::from([("timestamp".to_owned(), attribute)])).as_deref(), Some(md5));
    }
    assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_message_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let waiting = tokio::spawn({
        let queues = queues.clone();
        async move { queues.receive("work", 1, PATIENCE, None).await }
    });
    // Whether the message or the wait comes first must not matter.
    tokio::task::yield_now().await;
    let started = Instant::now();
    queues.send("work", text("now")).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap()[0].body, "now");
    assert!(started.elapsed() < PATIENCE, "it waited out its time");
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_message_turns_visible_again() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    queues.send("dead", text("again")).unwrap();
    let first = queues.receive("dead", 1, Duration::ZERO, None).await.unwrap().remove(0);
    let second = queues.receive("dead", 1, PATIENCE, None).await.unwrap().remove(0);
    assert_eq!(second.message_id, first.message_id);
    assert_eq!(second.system["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn whoever_waits_at_the_dead_letter_queue_gets_what_was_received_too_often() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    queues.send("work", text("poison")).unwrap();
    assert_eq!(queues.receive("work", 1, Duration::ZERO, None).await.unwrap().len(), 1);
    // The second receive finds the message spent and moves it.
    let (work, dead) = tokio::join!(queues.receive("work", 1, Duration::from_millis(500), None), queues.receive("dead", 1, PATIENCE, None));
    assert!(work.unwrap().is_empty());
    let dead = dead.unwrap().remove(0);
    assert_eq!(dead.body, "poison");
    assert_eq!(dead.system["DeadLetterQueueSourceArn"], "arn:aws:sqs:us-east-1:000000000000:work");
}

#[test]
fn a_dead_letter_queue_must_be_declared() {
    let folder = tempfile::tempdir().unwrap();
    let queues = [declared("work", Duration::from_secs(1), Some("nowhere"))];
    let error = Queues::open(&folder.path().join("queues.db"), &queues, tintype_chaos::Chaos::new([]).place("sqs")).unwrap_err();
    assert!(error.to_string().contains("work") && error.to_string().contains("nowhere"), "{error}");
}

/// What `action` with `request` answers: the status, the error's header, and the body.
async fn ask(queues: &Queues, action: &str, request: Value) -> (u16, Option<String>, Value) {
    let response = queues.answer(action, "127.0.0.1:4566", request.to_string().as_bytes()).await;
    let error = response.headers().get("x-amzn-query-error").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), error, serde_json::from_str(response.body()).unwrap())
}

#[tokio::test]
async fn errors_have_the_names_that_sdks_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let url = "http://127.0.0.1:4566/000000000000/work";
    let entries = |count: usize| (0..count).map(|id| json!({"Id": id.to_string(), "MessageBody": "x"})).collect::<Vec<_>>();
    let cases = [
        ("GetQueueUrl", json!({"QueueName": "nowhere"}), "AWS.SimpleQueueService.NonExistentQueue;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": ""}), "MissingParameter;Sender"),
        ("SendMessage", json!({"QueueUrl": url}), "MissingParameter;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "\u{1}"}), "InvalidMessageContents;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 901}), "InvalidParameterValue;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x".repeat(1024 * 1024 + 1)}), "InvalidParameterValue;Sender"),
        ("SendMessageBatch", json!({"QueueUrl": url, "Entries": entries(0)}), "AWS.SimpleQueueService.EmptyBatchRequest;Sender"),
        (
            "SendMessageBatch",
            json!({"QueueUrl": url, "Entries": entries(11)}),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest;Sender",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": url, "Entries": ([entries(1), entries(1)].concat())}),
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct;Sender",
        ),
        ("ReceiveMessage", json!({"QueueUrl": url, "MaxNumberOfMessages": 11}), "InvalidParameterValue;Sender"),
        ("ReceiveMessage", json!({"QueueUrl": url, "WaitTimeSeconds": 21}), "InvalidParameterValue;Sender"),
        ("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": "made up"}), "ReceiptHandleIsInvalid;Sender"),
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"Policy": "{}"}}), "InvalidAttributeName;Sender"),
        ("CreateQueue", json!({"QueueName": "work", "Attributes": {"VisibilityTimeout": "7"}}), "QueueAlreadyExists;Sender"),
        ("AddPermission", json!({"QueueUrl": url}), "InvalidAction;Sender"),
        ("SendMessage", json!([]), "MalformedInput;Sender"),
    ];
    for (action, request, expected) in cases {
        let (status, error, body) = ask(&queues, action, request.clone()).await;
        assert_eq!((status, error.as_deref()), (400, Some(expected)), "{action} {request}: {body}");
        assert!(body["__type"].is_string() && body["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn one_bad_entry_of_a_batch_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let entries = json!([{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": ""}]);
    let (status, _, answer) = ask(&queues, "SendMessageBatch", json!({"QueueUrl": "http://h/0/work", "Entries": entries})).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["Successful"][0]["Id"], &answer["Failed"][0]["Id"]), (&json!("good"), &json!("bad")));
    assert_eq!((&answer["Failed"][0]["Code"], &answer["Failed"][0]["SenderFault"]), (&json!("MissingParameter"), &json!(true)));
}
