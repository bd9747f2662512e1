use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use super::*;
use crate::{
    fake::{self, Answer, until},
    runtime_api::RuntimeApi,
    worker::Spawn,
};

/// A queue `work`, and a function that is invoked for its messages.
struct Mapped {
    queues: Queues,
    stop: watch::Sender<bool>,
    poller: Option<JoinHandle<()>>,
    pool: Arc<Pool>,
    _state: fake::State,
}

async fn mapped(visibility: Duration, trigger: QueueTrigger, spawn: Spawn) -> Mapped {
    let state = fake::state(&[fake::queue("work", visibility)]);
    let api = Arc::new(RuntimeApi::start().await.unwrap());
    let pool = Pool::new(fake::function("fanout"), api, spawn, tintype_chaos::Chaos::new([]).place("fanout"));
    let (stop, stopping) = watch::channel(false);
    let queues = state.queues.clone();
    let poller = start(&trigger, &pool, &queues, &stopping).unwrap();
    Mapped { queues, stop, poller, pool, _state: state }
}

fn trigger() -> QueueTrigger {
    QueueTrigger {
        id: "fanout-work".to_owned(),
        queue_arn: fake::queue_arn("work"),
        batch_size: 10,
        window: Duration::ZERO,
        max_concurrency: Some(2),
        filters: Vec::new(),
        partial_failures: true,
    }
}

fn send(queues: &Queues, body: &str) {
    queues.send("work", sqs::NewMessage { body: body.to_owned(), ..Default::default() }).unwrap();
}

/// The bodies that a function has got, each as often as it got it.
type Bodies = Arc<Mutex<Vec<String>>>;

fn bodies_of(event: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|record| (text(&record["messageId"]), text(&record["body"]))).collect()
}

/// A function that fails messages by their body, as often as told, and notes all it gets.
fn failing(bad: &'static str, times: usize, answer: impl Fn(&[String]) -> Answer + Send + Sync + 'static) -> (Spawn, Bodies) {
    let seen: Bodies = Arc::default();
    let noted = Arc::clone(&seen);
    let failures = AtomicUsize::new(0);
    let spawn = fake::workers(move |call| {
        let messages = bodies_of(&call.event);
        noted.lock().unwrap().extend(messages.iter().map(|(_, body)| body.clone()));
        let failed: Vec<_> = messages
            .iter()
            .filter(|(_, body)| body == bad && failures.fetch_add(1, Ordering::SeqCst) < times)
            .map(|(id, _)| id.clone())
            .collect();
        let answer = if failed.is_empty() { Answer::Succeed(json!({ "batchItemFailures": [] })) } else { answer(&failed) };
        async move { answer }
    });
    (spawn, seen)
}

fn count(seen: &Bodies, body: &str) -> usize {
    seen.lock().unwrap().iter().filter(|seen| *seen == body).count()
}

#[tokio::test]
async fn a_function_gets_the_event_that_sqs_sends_it() {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(call.event);
        async { Answer::Succeed(Value::Null) }
    });
    let mapped = mapped(Duration::from_secs(30), trigger(), spawn).await;
    let attribute = |data_type: &str, value| MessageAttribute { data_type: data_type.to_owned(), value };
    let message = sqs::NewMessage {
        body: "hello".to_owned(),
        attributes: [
            ("reason".to_owned(), attribute("String", AttributeValue::Text("why".to_owned()))),
            ("hash".to_owned(), attribute("Binary", AttributeValue::Binary(vec![1, 2]))),
        ]
        .into(),
        trace_header: Some("Root=1-2-3".to_owned()),
        group_id: Some("author".to_owned()),
        ..Default::default()
    };
    let sent = mapped.queues.send("work", message).unwrap();
    until("the function is invoked", || !seen.lock().unwrap().is_empty()).await;
    let event = seen.lock().unwrap()[0].clone();
    let record = &event["Records"][0];
    assert_eq!(record["messageId"], sent.message_id);
    assert_eq!(record["body"], "hello");
    assert_eq!(record["md5OfBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:work");
    assert_eq!(record["awsRegion"], "us-east-1");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(record["attributes"]["AWSTraceHeader"], "Root=1-2-3");
    assert_eq!(record["attributes"]["MessageGroupId"], "author");
    let fields = |value: &Value| {
        let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort_unstable();
        fields
    };
    let attributes =
        ["AWSTraceHeader", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "MessageGroupId", "SenderId", "SentTimestamp"];
    assert_eq!(fields(&record["attributes"]), attributes);
    assert!(record["attributes"].as_object().unwrap().values().all(Value::is_string));
    let all = [
        "attributes",
        "awsRegion",
        "body",
        "eventSource",
        "eventSourceARN",
        "md5OfBody",
        "md5OfMessageAttributes",
        "messageAttributes",
        "messageId",
        "receiptHandle",
    ];
    assert_eq!(fields(record), all);
    // The sample event, which tests/targets/sam-events compares with AWS', is what we send; its messages have no group and no attributes.
    let sample = include_str!("../../../../events/feed-fanout/post-published-and-follow.json");
    let sample: Value = serde_json::from_str(sample).unwrap();
    for record in sample["Records"].as_array().unwrap() {
        assert!(fields(record).iter().eq(all.iter().filter(|name| **name != "md5OfMessageAttributes")));
        assert!(fields(&record["attributes"]).iter().eq(attributes.iter().filter(|name| **name != "MessageGroupId")));
    }
    assert!(record["receiptHandle"].is_string());
    assert_eq!(Some(record["md5OfMessageAttributes"].as_str().unwrap()), sent.md5_of_attributes.as_deref());
    assert_eq!(
        record["messageAttributes"],
        json!({
            "reason": {
                "stringValue": "why", "stringListValues": [], "binaryListValues": [], "dataType": "String",
            },
            "hash": {
                "binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary",
            },
        })
    );
}

#[tokio::test]
async fn only_the_messages_that_failed_come_again() {
    let (spawn, seen) = failing("bad", 2, |failed| {
        let failures: Vec<_> = failed.iter().map(|id| json!({ "itemIdentifier": id })).collect();
        Answer::Succeed(json!({ "batchItemFailures": failures }))
    });
    let mapped = mapped(Duration::from_secs(2), trigger(), spawn).await;
    for body in ["good", "bad", "fine"] {
        send(&mapped.queues, body);
    }
    until("the failure has come three times", || count(&seen, "bad") == 3).await;
    mapped.stop.send_replace(true);
    mapped.poller.unwrap().await.unwrap();
    assert_eq!((count(&seen, "good"), count(&seen, "fine")), (1, 1));
    mapped.queues.show_received("work").unwrap();
    let left = mapped.queues.receive("work", 10, Duration::ZERO, None).await.unwrap();
    assert_eq!(left, [], "all are deleted");
}

#[tokio::test]
async fn what_failed_comes_again_when_the_visibility_timeout_is_over_and_not_before() {
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&times);
    let spawn = fake::workers(move |_| {
        noted.lock().unwrap().push(Instant::now());
        async { Answer::Fail(fake::refusal()) }
    });
    let mapped = mapped(Duration::from_secs(1), trigger(), spawn).await;
    send(&mapped.queues, "bad");
    until("it has come thrice", || times.lock().unwrap().len() >= 3).await;
    let times = times.lock().unwrap().clone();
    // The clock of the queue counts milliseconds, and begins before the function does.
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(800)), "{times:?}");
}

#[tokio::test]
async fn a_malformed_answer_an_error_or_a_crash_leaves_the_whole_batch() {
    let answers: [fn(&[String]) -> Answer; 4] = [
        |_| Answer::Succeed(json!({ "batchItemFailures": [{ "itemIdentifier": "" }] })),
        |_| Answer::Succeed(json!("nonsense")),
        |_| Answer::Fail(fake::refusal()),
        |_| Answer::Exit,
    ];
    let cases = answers.map(|answer| {
        tokio::spawn(async move {
            let (spawn, seen) = failing("bad", 1, answer);
            let one_at_a_time = QueueTrigger { max_concurrency: Some(1), window: Duration::from_secs(1), ..trigger() };
            let mapped = mapped(Duration::from_secs(2), one_at_a_time, spawn).await;
            send(&mapped.queues, "bad");
            send(&mapped.queues, "good");
            until("both come again", || count(&seen, "bad") == 2 && count(&seen, "good") == 2).await;
        })
    });
    for case in cases {
        case.await.unwrap();
    }
}

#[tokio::test]
async fn a_window_gathers_messages_up_to_the_batch_size() {
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = Arc::clone(&sizes);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(bodies_of(&call.event).len());
        async { Answer::Succeed(Value::Null) }
    });
    let slow = QueueTrigger { batch_size: 15, window: Duration::from_secs(15), max_concurrency: Some(1), ..trigger() };
    let mapped = mapped(Duration::from_mins(1), slow, spawn).await;
    for n in 0..15 {
        send(&mapped.queues, &n.to_string());
    }
    // Before the window is over: the batch is full.
    until("the batch is delivered", || !sizes.lock().unwrap().is_empty()).await;
    assert_eq!(*sizes.lock().unwrap(), [15]);
}

#[tokio::test]
async fn no_more_batches_are_in_hand_than_the_mapping_allows() {
    let gate = Arc::new(Semaphore::new(0));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let spawn = {
        let (gate, running, most) = (Arc::clone(&gate), Arc::clone(&running), Arc::clone(&most));
        fake::workers(move |_| {
            let (gate, running, most) = (Arc::clone(&gate), Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Answer::Succeed(Value::Null)
            }
        })
    };
    let mapped = mapped(Duration::from_mins(1), QueueTrigger { batch_size: 1, ..trigger() }, spawn).await;
    for n in 0..6 {
        send(&mapped.queues, &n.to_string());
    }
    until("two batches are in hand", || running.load(Ordering::SeqCst) == 2).await;
    for _ in 0..6 {
        gate.add_permits(1);
    }
    until("all are done", || gate.available_permits() == 0 && running.load(Ordering::SeqCst) == 0).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn messages_in_hand_when_the_host_stops_or_dies_come_again_at_once() {
    for stopped_cleanly in [true, false] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let hanging = fake::workers(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Answer::Hang }
        });
        let mapped = mapped(Duration::from_mins(5), trigger(), hanging).await;
        send(&mapped.queues, "hello");
        until("the message is in hand", || calls.load(Ordering::SeqCst) == 1).await;
        if stopped_cleanly {
            mapped.stop.send_replace(true);
            mapped.pool.stop().await;
        }
        let poller = mapped.poller.unwrap();
        if !stopped_cleanly {
            poller.abort();
        }
        assert_eq!(poller.await.is_ok(), stopped_cleanly);

        let (lively, seen) = failing("none", 0, |_| Answer::Exit);
        let pool = fake::pool(fake::function("fanout"), lively).await;
        let (_stop, stopping) = watch::channel(false);
        start(&trigger(), &pool, &mapped.queues, &stopping).unwrap();
        until("the message has come again", || count(&seen, "hello") == 1).await;
    }
}

/// A mapping of `work`, whose messages go to `dead` when they were received twice.
async fn with_dead_letter_queue(trigger: QueueTrigger, spawn: Spawn) -> Mapped {
    let dead_letter_arn = fake::queue_arn("dead");
    let redrive = tintype_template::deployment::Redrive { dead_letter_arn, max_receive_count: 2 };
    let work = tintype_template::deployment::Queue { redrive: Some(redrive), ..fake::queue("work", Duration::from_secs(2)) };
    let state = fake::state(&[work, fake::queue("dead", Duration::from_secs(30))]);
    let pool = fake::pool(fake::function("fanout"), spawn).await;
    let (stop, stopping) = watch::channel(false);
    let queues = state.queues.clone();
    let poller = start(&trigger, &pool, &queues, &stopping).unwrap();
    Mapped { queues, stop, poller, pool, _state: state }
}

#[tokio::test]
async fn a_message_that_fails_too_often_goes_to_the_dead_letter_queue() {
    let (spawn, seen) = failing("bad", usize::MAX, |_| Answer::Exit);
    // One at a time, so that none is received again while it waits for a worker.
    let mapped = with_dead_letter_queue(QueueTrigger { batch_size: 1, max_concurrency: Some(1), ..trigger() }, spawn).await;
    send(&mapped.queues, "bad");
    send(&mapped.queues, "good");
    let mut dead = Vec::new();
    for _ in 0..3 {
        if dead.is_empty() {
            dead = mapped.queues.receive("dead", 10, Duration::from_secs(20), None).await.unwrap();
        }
    }
    let bodies: Vec<_> = dead.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["bad"]);
    assert_eq!(dead[0].system.get("DeadLetterQueueSourceArn"), Some(&fake::queue_arn("work")));
    assert_eq!((count(&seen, "bad"), count(&seen, "good")), (2, 1));
}

#[tokio::test]
async fn messages_that_no_filter_lets_through_are_deleted() {
    let (spawn, seen) = failing("none", 0, |_| Answer::Exit);
    let filters = vec![json!({ "body": { "kind": ["loud"] } }), json!({ "body": [{ "prefix": "loud" }] })];
    let mapped = mapped(Duration::from_secs(1), QueueTrigger { filters, ..trigger() }, spawn).await;
    for body in [r#"{"kind":"silent"}"#, "silent", r#"{"kind":"loud"}"#, r#"["loud"]"#, "loud!"] {
        send(&mapped.queues, body);
    }
    until("those that pass have come", || seen.lock().unwrap().len() == 2).await;
    mapped.stop.send_replace(true);
    mapped.poller.unwrap().await.unwrap();
    let mut bodies = seen.lock().unwrap().clone();
    bodies.sort_unstable();
    assert_eq!(bodies, ["loud!", r#"{"kind":"loud"}"#]);
    mapped.queues.show_received("work").unwrap();
    let left = mapped.queues.receive("work", 10, Duration::ZERO, None).await.unwrap();
    assert_eq!(left, [], "the others are gone too");
}

#[tokio::test]
async fn a_filter_that_is_not_supported_is_refused_at_start() {
    let state = fake::state(&[fake::queue("work", Duration::from_secs(1))]);
    let pool = fake::pool(fake::function("fanout"), fake::workers(|_| async { Answer::Exit })).await;
    let trigger = QueueTrigger { filters: vec![json!({ "attributes": { "SenderId": ["x"] } })], ..trigger() };
    let (_stop, stopping) = watch::channel(false);
    assert_eq!(
        start(&trigger, &pool, &state.queues, &stopping).unwrap_err().to_string(),
        "the event source fanout-work of fanout has a filter that is not supported: \
         at the top: the filter of a queue has the field \"body\" and no other"
    );
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_one_event_comes_in_several() {
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = Arc::clone(&sizes);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(bodies_of(&call.event).len());
        async { Answer::Succeed(Value::Null) }
    });
    let state = fake::state(&[fake::queue("work", Duration::from_secs(30))]);
    for _ in 0..10 {
        send(&state.queues, &"x".repeat(900_000));
    }
    let pool = fake::pool(fake::function("fanout"), spawn).await;
    let (_stop, stopping) = watch::channel(false);
    let one_at_a_time = QueueTrigger { max_concurrency: Some(1), ..trigger() };
    start(&one_at_a_time, &pool, &state.queues, &stopping).unwrap();
    until("all have come", || sizes.lock().unwrap().iter().sum::<usize>() == 10).await;
    assert_eq!(*sizes.lock().unwrap(), [6, 4]);
}

#[tokio::test]
async fn the_messages_of_a_function_that_is_off_stay_where_they_are() {
    let state = fake::state(&[fake::queue("work", Duration::from_secs(30))]);
    let off = tintype_template::deployment::Function { concurrency: Some(0), ..fake::function("fanout") };
    let pool = fake::pool(off, fake::workers(|_| async { Answer::Exit })).await;
    let (_stop, stopping) = watch::channel(false);
    send(&state.queues, "hello");
    assert!(start(&trigger(), &pool, &state.queues, &stopping).unwrap().is_none());
    let left = state.queues.receive("work", 10, Duration::ZERO, None).await.unwrap();
    assert_eq!(left[0].system["ApproximateReceiveCount"], "1");
}
