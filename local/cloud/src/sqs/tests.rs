//! What callers inside this process rely on, and what no SDK would send.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tintype_template::deployment::{self, Redrive};
use tokio::time::Instant;

use super::{AttributeValue, MessageAttribute, NewMessage, Queues, attribute::md5_of_attributes};

const PATIENCE: Duration = Duration::from_secs(20);

fn declared(name: &str, visibility: Duration, dead_letter: Option<&str>) -> deployment::Queue {
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    deployment::Queue {
        name: name.to_owned(),
        arn: arn(name),
        visibility_timeout: visibility,
        retention: Duration::from_hours(24),
        delay: Duration::ZERO,
        receive_wait: Duration::ZERO,
        max_message_bytes: 1024 * 1024,
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

/// A message that turns visible between two looks at the clock must not be overlooked until the wait ends.
#[tokio::test]
async fn whoever_waits_never_misses_the_moment_when_a_message_turns_visible() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    queues.send("dead", text("again")).unwrap();
    for nth in 0..500 {
        let started = Instant::now();
        let received = queues.receive("dead", 1, PATIENCE, Some(Duration::from_millis(1))).await.unwrap();
        assert_eq!(received.len(), 1, "{nth}");
        assert!(started.elapsed() < PATIENCE, "the {nth}th waited out its time");
    }
}

#[tokio::test]
async fn queues_have_the_attributes_that_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    let work = deployment::Queue {
        delay: Duration::from_mins(15),
        receive_wait: Duration::from_secs(1),
        max_message_bytes: 1024,
        ..declared("work", Duration::from_secs(7), None)
    };
    let queues = Queues::open(&folder.path().join("queues.db"), &[work], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
    let request = json!({"QueueUrl": "http://h/0/work", "AttributeNames": ["All"]});
    let (_, _, answer) = ask(&queues, "GetQueueAttributes", request).await;
    for (name, value) in [
        ("VisibilityTimeout", "7"),
        ("MessageRetentionPeriod", "86400"),
        ("DelaySeconds", "900"),
        ("ReceiveMessageWaitTimeSeconds", "1"),
        ("MaximumMessageSize", "1024"),
    ] {
        assert_eq!(answer["Attributes"][name], value, "{name}");
    }
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
    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    let unsupported = "AWS.SimpleQueueService.UnsupportedOperation;Sender";
    let nowhere = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:nowhere", "maxReceiveCount": 1}).to_string();
    let not_a_number = json!({"a": {"DataType": "Number", "StringValue": "many"}});
    let reserved = json!({"AWS.a": {"DataType": "String", "StringValue": "x"}});
    // Half a batch's bytes are in the attributes.
    let half = json!({"a": {"DataType": "String", "StringValue": "x".repeat(300_000)}});
    let too_long: Vec<_> = ["1", "2"].map(|id| json!({"Id": id, "MessageBody": "x".repeat(300_000), "MessageAttributes": half})).into();
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
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"Polizei": "{}"}}), "InvalidAttributeName;Sender"),
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "901"}}), "InvalidAttributeValue;Sender"),
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": nowhere}}), "InvalidParameterValue;Sender"),
        ("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["Polizei"]}), "InvalidAttributeName;Sender"),
        ("ReceiveMessage", json!({"QueueUrl": url, "MessageSystemAttributeNames": ["Polizei"]}), "InvalidAttributeName;Sender"),
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"Policy": "{}"}}), unsupported),
        ("CreateQueue", json!({"QueueName": "new", "Attributes": {"FifoQueue": "true"}}), unsupported),
        ("CreateQueue", json!({"QueueName": "new.fifo"}), unsupported),
        ("CreateQueue", json!({"QueueName": "new", "Attributes": {"KmsMasterKeyId": "alias/aws/sqs"}}), unsupported),
        ("AddPermission", json!({"QueueUrl": url}), unsupported),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageDeduplicationId": "1"}), "InvalidParameterValue;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "a b"}), "InvalidParameterValue;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageAttributes": not_a_number}), "InvalidParameterValue;Sender"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageAttributes": reserved}), "InvalidParameterValue;Sender"),
        ("SendMessageBatch", json!({"QueueUrl": url, "Entries": too_long}), "AWS.SimpleQueueService.BatchRequestTooLong;Sender"),
        ("StartMessageMoveTask", json!({"SourceArn": "arn:aws:sqs:us-east-1:000000000000:nowhere"}), "ResourceNotFoundException;Sender"),
        ("StartMessageMoveTask", json!({"SourceArn": "arn:aws:sqs:us-east-1:000000000000:work"}), "InvalidParameterValue;Sender"),
        ("StartMessageMoveTask", json!({"SourceArn": dead, "MaxNumberOfMessagesPerSecond": 501}), "InvalidParameterValue;Sender"),
        ("StartMessageMoveTask", json!({"SourceArn": dead, "DestinationArn": format!("{dead}er")}), "ResourceNotFoundException;Sender"),
        ("CancelMessageMoveTask", json!({"TaskHandle": "made up"}), "InvalidParameterValue;Sender"),
        ("TagQueue", json!({"QueueUrl": url, "Tags": {"": "x"}}), "InvalidParameterValue;Sender"),
        ("ListQueues", json!({"MaxResults": 0}), "InvalidParameterValue;Sender"),
        ("CreateQueue", json!({"QueueName": "work", "Attributes": {"VisibilityTimeout": "7"}}), "QueueAlreadyExists;Sender"),
        ("SendPigeon", json!({"QueueUrl": url}), "InvalidAction;Sender"),
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

#[test]
fn a_database_of_the_first_version_keeps_its_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(super::schema::VERSIONS[0]).unwrap();
    old.execute_batch(
        "CREATE INDEX messages_by_visibility ON messages (queue, visible_ms, id);
         INSERT INTO queues VALUES (1, 'old', 'arn:aws:sqs:us-east-1:000000000000:old', 30000, 345600000, 0, 0, NULL, NULL, 1);
         INSERT INTO messages (queue, message_id, body, attributes, sent_ms, visible_ms) VALUES (1, 'id', 'old', '{}', 1, 1);",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let store = super::store::Store::open(&path).unwrap();
        assert_eq!(store.counts("old", 2).unwrap().visible, 1);
        assert_eq!(store.queue("old").unwrap().settings.max_bytes, 1024 * 1024);
    }
}

#[tokio::test]
async fn a_deleted_queue_is_gone_with_its_messages_and_whoever_waits_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let request = json!({"QueueUrl": "http://h/0/work", "QueueName": "work", "Attributes": {}, "Tags": {"a": "b"}});
    assert_eq!(ask(&queues, "TagQueue", request.clone()).await.0, 200);
    queues.send("work", NewMessage { delay: Some(Duration::from_mins(1)), ..text("lost") }).unwrap();
    let started = Instant::now();
    let (waited, deleted) =
        tokio::join!(queues.receive("work", 1, PATIENCE, None), async { ask(&queues, "DeleteQueue", request.clone()).await.0 });
    assert!(matches!(waited, Err(super::Error::NoSuchQueue)), "{waited:?}");
    assert_eq!(deleted, 200);
    assert!(started.elapsed() < PATIENCE, "it waited out its time");
    assert_eq!(ask(&queues, "DeleteQueue", request.clone()).await.1.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue;Sender"));

    assert_eq!(ask(&queues, "CreateQueue", request.clone()).await.0, 200);
    let (_, _, tags) = ask(&queues, "ListQueueTags", request).await;
    assert_eq!(tags, json!({}));
    let counts = queues.store.counts("work", crate::unix_millis()).unwrap();
    assert_eq!((counts.visible, counts.delayed), (0, 0));
}

#[tokio::test]
async fn a_task_with_a_rate_brings_one_message_after_the_other_to_whoever_waits() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    for body in ["1", "2", "3"] {
        queues.send("work", text(body)).unwrap();
    }
    let slow = Some(Duration::ZERO);
    assert_eq!(queues.receive("work", 10, Duration::ZERO, slow).await.unwrap().len(), 3);
    assert_eq!(queues.receive("work", 10, Duration::ZERO, slow).await.unwrap(), []);

    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    let (_, _, started) = ask(&queues, "StartMessageMoveTask", json!({"SourceArn": dead, "MaxNumberOfMessagesPerSecond": 10})).await;
    let (_, _, listed) = ask(&queues, "ListMessageMoveTasks", json!({"SourceArn": dead})).await;
    let task = &listed["Results"][0];
    assert_eq!((&task["Status"], &task["TaskHandle"]), (&json!("RUNNING"), &started["TaskHandle"]), "{listed}");
    assert_eq!((&task["ApproximateNumberOfMessagesToMove"], &task["MaxNumberOfMessagesPerSecond"]), (&json!(3), &json!(10)), "{listed}");
    let began = Instant::now();
    for body in ["1", "2", "3"] {
        let received = queues.receive("work", 1, PATIENCE, Some(PATIENCE)).await.unwrap();
        assert_eq!(received[0].body, body);
        // It is a new message.
        assert_eq!(received[0].system["ApproximateReceiveCount"], "1");
        assert_eq!(received[0].system.get("DeadLetterQueueSourceArn"), None);
    }
    assert!(began.elapsed() < PATIENCE, "nobody was woken");
    let (_, _, listed) = ask(&queues, "ListMessageMoveTasks", json!({"SourceArn": dead})).await;
    let task = &listed["Results"][0];
    assert_eq!((&task["Status"], task.get("TaskHandle")), (&json!("COMPLETED"), None), "{listed}");
    assert_eq!(task["ApproximateNumberOfMessagesMoved"], 3);
    let (_, error, _) = ask(&queues, "CancelMessageMoveTask", started).await;
    assert_eq!(error.as_deref(), Some("InvalidParameterValue;Sender"));
}

#[tokio::test]
async fn the_queue_says_how_long_messages_are_delayed_and_how_large_they_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let url = "http://h/0/work";
    let attributes = json!({"DelaySeconds": "60", "MaximumMessageSize": "1024"});
    assert_eq!(ask(&queues, "SetQueueAttributes", json!({"QueueUrl": url, "Attributes": attributes})).await.0, 200);
    queues.send("work", text(&"x".repeat(1024))).unwrap();
    queues.send("work", NewMessage { delay: Some(Duration::ZERO), ..text("at once") }).unwrap();
    let counts = queues.store.counts("work", crate::unix_millis()).unwrap();
    assert_eq!((counts.visible, counts.delayed), (1, 1));
    let too_large = queues.send("work", text(&"x".repeat(1025))).unwrap_err();
    assert!(too_large.to_string().contains("shorter than 1024 bytes"), "{too_large}");
}

#[tokio::test]
async fn lists_come_in_pages_for_those_who_ask() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    for name in ["a1", "a2", "a3"] {
        ask(&queues, "CreateQueue", json!({"QueueName": name})).await;
    }
    let (mut seen, mut request) = (Vec::new(), json!({"QueueNamePrefix": "a", "MaxResults": 2}));
    loop {
        let (_, _, answer) = ask(&queues, "ListQueues", request.clone()).await;
        let urls = answer["QueueUrls"].as_array().unwrap().iter();
        seen.extend(urls.map(|url| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned()));
        let Some(token) = answer.get("NextToken") else { break };
        request["NextToken"] = token.clone();
    }
    assert_eq!(seen, ["a1", "a2", "a3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_attributes_at_the_same_time_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let url = "http://h/0/work";
    for value in 60..360 {
        let value = value.to_string();
        let change = |name: &'static str| {
            let (queues, request) = (queues.clone(), json!({"QueueUrl": url, "Attributes": {name: value}}));
            tokio::spawn(async move { ask(&queues, "SetQueueAttributes", request).await.0 })
        };
        let (one, other) = tokio::join!(change("VisibilityTimeout"), change("DelaySeconds"));
        assert_eq!((one.unwrap(), other.unwrap()), (200, 200));
        let (_, _, answer) = ask(&queues, "GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]})).await;
        let attributes = &answer["Attributes"];
        assert_eq!((&attributes["VisibilityTimeout"], &attributes["DelaySeconds"]), (&json!(value), &json!(value)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_while_it_is_changed_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let request = json!({"QueueUrl": "http://h/0/new", "QueueName": "new", "Attributes": {"DelaySeconds": "0"}});
    for _ in 0..300 {
        let spawn = |action: &'static str| {
            let (queues, request) = (queues.clone(), request.clone());
            tokio::spawn(async move { ask(&queues, action, request).await.0 })
        };
        assert_eq!(spawn("CreateQueue").await.unwrap(), 200);
        let (changed, deleted) = tokio::join!(spawn("SetQueueAttributes"), spawn("DeleteQueue"));
        assert!([200, 400].contains(&changed.unwrap()));
        assert_eq!(deleted.unwrap(), 200);
        assert_eq!(spawn("GetQueueUrl").await.unwrap(), 400);
    }
}

#[tokio::test]
async fn a_queue_that_is_refused_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder);
    let tags: BTreeMap<_, _> = (0..51).map(|nth| (nth.to_string(), "x")).collect();
    let nowhere = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:nowhere", "maxReceiveCount": 1}).to_string();
    for (attributes, tags) in [(json!({}), json!(tags)), (json!({"RedrivePolicy": nowhere}), json!({}))] {
        let request = json!({"QueueName": "new", "Attributes": attributes, "tags": tags});
        assert_eq!(ask(&queues, "CreateQueue", request.clone()).await.1.as_deref(), Some("InvalidParameterValue;Sender"), "{request}");
        assert_eq!(ask(&queues, "GetQueueUrl", request).await.0, 400);
    }
}
