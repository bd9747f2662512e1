//! Whatever is sent, the answer is an answer: 200, or 4xx with the error's name.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{NewMessage, Queues, queue::Settings};

/// Every action with a request that it takes.
fn requests(handle: &str) -> Vec<(&str, Value)> {
    let url = "http://127.0.0.1:4566/000000000000/work";
    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    let attributes = json!({"a": {"DataType": "Binary.x", "BinaryValue": "AAE="}, "b": {"DataType": "Number", "StringValue": "1"}});
    let trace = json!({"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}});
    let entry = json!({"Id": "1", "MessageBody": "x", "DelaySeconds": 0, "MessageAttributes": attributes, "MessageGroupId": "g"});
    vec![
        ("CreateQueue", json!({"QueueName": "other", "Attributes": {"DelaySeconds": "0"}, "tags": {"a": "b"}})),
        ("GetQueueUrl", json!({"QueueName": "work", "QueueOwnerAWSAccountId": "000000000000"})),
        ("ListQueues", json!({"QueueNamePrefix": "w", "MaxResults": 1, "NextToken": "d29yaw"})),
        ("ListDeadLetterSourceQueues", json!({"QueueUrl": url, "MaxResults": 1, "NextToken": "d29yaw"})),
        ("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]})),
        ("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "30", "MaximumMessageSize": "2048"}})),
        (
            "SetQueueAttributes",
            json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": json!({"deadLetterTargetArn": dead, "maxReceiveCount": 2}).to_string()}}),
        ),
        ("PurgeQueue", json!({"QueueUrl": url})),
        ("TagQueue", json!({"QueueUrl": url, "Tags": {"a": "b"}})),
        ("UntagQueue", json!({"QueueUrl": url, "TagKeys": ["a"]})),
        ("ListQueueTags", json!({"QueueUrl": url})),
        ("StartMessageMoveTask", json!({"SourceArn": dead, "DestinationArn": dead, "MaxNumberOfMessagesPerSecond": 5})),
        ("ListMessageMoveTasks", json!({"SourceArn": dead, "MaxResults": 5})),
        ("CancelMessageMoveTask", json!({"TaskHandle": "dGFzazox"})),
        (
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 0, "MessageAttributes": attributes,
            "MessageSystemAttributes": trace, "MessageGroupId": "g"}),
        ),
        ("SendMessageBatch", json!({"QueueUrl": url, "Entries": [entry]})),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 1, "VisibilityTimeout": 0,
            "AttributeNames": ["All"], "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": [".*"]}),
        ),
        ("ChangeMessageVisibility", json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 9})),
        (
            "ChangeMessageVisibilityBatch",
            json!({"QueueUrl": url, "Entries": [{"Id": "1", "ReceiptHandle": handle, "VisibilityTimeout": 9}]}),
        ),
        ("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle})),
        ("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": [{"Id": "1", "ReceiptHandle": handle}]})),
        ("DeleteQueue", json!({"QueueUrl": url.replace("work", "other")})),
        ("AddPermission", json!({"QueueUrl": url, "Label": "l", "AWSAccountIds": ["1"], "Actions": ["*"]})),
        ("RemovePermission", json!({"QueueUrl": url, "Label": "l"})),
    ]
}

/// Values of every type, with those that code is apt to stumble over.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (-2..1000_i64).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[A-Za-z0-9+/=_-]{0,40}".prop_map(Value::from),
        // What handles and tokens look like.
        "(task:|1:)?.{0,6}".prop_map(|text| Value::from(BASE64_URL_SAFE_NO_PAD.encode(text))),
        prop::sample::select(vec!["", "All", ".*", "/", "-1", "1e999", "NaN", "999999999999999999999", "{\"maxReceiveCount\":[]}", "\0"])
            .prop_map(Value::from),
    ];
    let leaf = leaf.boxed();
    let nested = leaf.clone().prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::btree_map("[A-Za-z]{0,12}", inner, 0..5).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    });
    prop_oneof![3 => leaf, 1 => nested]
}

/// Changes one value somewhere in `request`: another in its place, none, or one more.
fn mutate(request: &mut Value, path: &[prop::sample::Index], new: Option<Value>) {
    let (here, deeper) = path.split_first().expect("a path has an end");
    let ends = deeper.is_empty();
    match request {
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(here.index(members.len())).expect("in range").clone();
            match (ends, new) {
                (true, Some(new)) => drop(members.insert(name, new)),
                (true, None) => drop(members.remove(&name)),
                (false, new) => mutate(&mut members[&name], deeper, new),
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            let at = here.index(elements.len());
            match (ends, new) {
                (true, Some(new)) => elements.insert(at, new),
                (true, None) => drop(elements.remove(at)),
                (false, new) => mutate(&mut elements[at], deeper, new),
            }
        }
        leaf => *leaf = new.unwrap_or_default(),
    }
}

#[derive(Debug, Clone)]
enum Body {
    /// A request that is right but for some of it.
    Mutated(Vec<(Vec<prop::sample::Index>, Option<Value>)>),
    Json(Value),
    Bytes(Vec<u8>),
}

fn body() -> impl Strategy<Value = Body> {
    let path = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    prop_oneof![
        6 => prop::collection::vec((path, prop::option::of(value())), 1..4).prop_map(Body::Mutated),
        1 => value().prop_map(Body::Json),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Body::Bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Each case is one body for each of the actions, on queues that know what the earlier ones did.
    #[test]
    fn every_malformed_request_is_refused_with_a_name(bodies in prop::collection::vec(body(), 24), odd_action in "[A-Za-z]{0,10}|\\PC{0,10}") {
        // The clock stands, so that long polls are over at once.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let queues = Queues::open(&folder.path().join("queues.db"), &[], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
            for name in ["work", "dead"] {
                queues.store.save_queue(name, &Settings::new(name), 0).unwrap();
            }
            queues.send("work", NewMessage { body: "x".to_owned(), ..NewMessage::default() }).unwrap();
            let handle = queues.receive("work", 1, Duration::ZERO, None).await.unwrap().remove(0).receipt_handle;
            let mut requests = requests(&handle);
            assert_eq!(requests.len(), bodies.len());
            requests.push((&odd_action, json!({})));
            for ((action, right), body) in requests.into_iter().zip(bodies.into_iter().chain([Body::Json(json!({}))])) {
                let bytes = match body {
                    Body::Mutated(mutations) => {
                        let mut request = right;
                        for (path, new) in mutations {
                            mutate(&mut request, &path, new);
                        }
                        request.to_string().into_bytes()
                    }
                    Body::Json(value) => value.to_string().into_bytes(),
                    Body::Bytes(bytes) => bytes,
                };
                let response = queues.answer(action, "127.0.0.1:4566", &bytes).await;
                let shown = String::from_utf8_lossy(&bytes);
                let answer: Value = serde_json::from_str(response.body()).unwrap();
                match response.status().as_u16() {
                    200 => prop_assert!(answer.is_object()),
                    400..500 => prop_assert!(answer["__type"].is_string() && answer["message"].is_string(), "{action} {shown}: {answer}"),
                    other => prop_assert!(false, "{} to {action} {shown}: {answer}", other),
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn every_action_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::open(&folder.path().join("queues.db"), &[], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
    for name in ["work", "dead", "other"] {
        queues.store.save_queue(name, &Settings::new(name), 0).unwrap();
    }
    queues.send("work", NewMessage { body: "x".to_owned(), ..NewMessage::default() }).unwrap();
    let handle = queues.receive("work", 1, Duration::ZERO, None).await.unwrap().remove(0).receipt_handle;
    for (action, request) in requests(&handle) {
        let response = queues.answer(action, "127.0.0.1:4566", request.to_string().as_bytes()).await;
        let error = response.headers().get("x-amzn-query-error").map(|error| error.to_str().unwrap().to_owned());
        let expected = match action {
            "AddPermission" | "RemovePermission" => Some("AWS.SimpleQueueService.UnsupportedOperation;Sender"),
            // The destination is the source, there is no task, and the message is gone by then.
            "StartMessageMoveTask" | "CancelMessageMoveTask" | "ChangeMessageVisibility" => error.as_deref(),
            _ => None,
        };
        assert_eq!(error.as_deref(), expected, "{action} {request}: {}", response.body());
    }
}
