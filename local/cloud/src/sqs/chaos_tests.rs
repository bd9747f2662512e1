//! What goes wrong because it was to go wrong.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tintype_chaos::Chaos;

use super::{NewMessage, Queues, queue::Settings};

/// A queue where `faults` happen.
fn open(folder: &tempfile::TempDir, faults: &str) -> Queues {
    let chaos = Chaos::new([]);
    chaos.set(faults).unwrap();
    let queues = Queues::open(&folder.path().join("queues.db"), &[], chaos.place("sqs")).unwrap();
    queues.store.save_queue("work", &Settings::new("work"), crate::unix_millis()).unwrap();
    queues
}

fn send(queues: &Queues, body: &str) {
    queues.send("work", NewMessage { body: body.to_owned(), ..NewMessage::default() }).unwrap();
}

async fn bodies(queues: &Queues, max: usize) -> Vec<String> {
    let received = queues.receive("work", max, Duration::ZERO, None).await.unwrap();
    received.into_iter().map(|message| message.body).collect()
}

#[tokio::test]
async fn a_duplicate_is_received_once_more_though_the_message_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder, "sqs:duplicate=1;seed=1");
    send(&queues, "twice");
    let receive = async |visibility| queues.receive("work", 10, Duration::ZERO, visibility).await.unwrap();
    let first = receive(None).await.remove(0);
    queues.delete("work", &first.receipt_handle).unwrap();

    let second = receive(Some(Duration::ZERO)).await;
    assert_eq!(second.len(), 1);
    assert_eq!((&second[0].message_id, &second[0].body), (&first.message_id, &first.body));
    assert_eq!((&*first.system["ApproximateReceiveCount"], &*second[0].system["ApproximateReceiveCount"]), ("1", "2"));
    // It would be visible by now, were it a message of its own.
    assert_eq!(receive(None).await, []);
}

#[tokio::test]
async fn a_message_that_fails_stays_one_message_however_often_it_is_duplicated() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder, "sqs:duplicate=1;seed=1");
    send(&queues, "poison");
    for _ in 0..5 {
        // The message and its copy, or the message alone.
        let received = queues.receive("work", 10, Duration::ZERO, Some(Duration::ZERO)).await.unwrap();
        assert!((1..=2).contains(&received.len()));
    }
    let chaos = Chaos::new([]).place("sqs");
    let quiet = Queues { chaos, ..queues };
    while quiet.receive("work", 10, Duration::ZERO, Some(Duration::ZERO)).await.unwrap().len() > 1 {}
    assert_eq!(bodies(&quiet, 10).await, ["poison"]);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder, "sqs:duplicate=1;seed=1");
    let wait = || queues.receive("work", 1, Duration::from_secs(20), None);
    let started = tokio::time::Instant::now();
    let (first, second, ()) = tokio::join!(wait(), wait(), async { send(&queues, "twice") });
    assert_eq!((&*first.unwrap()[0].body, &*second.unwrap()[0].body), ("twice", "twice"));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn reordered_messages_all_come_and_not_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let sent: Vec<_> = (0..40).map(|nth| nth.to_string()).collect();
    let mut orders = BTreeSet::new();
    for (nth, faults) in ["sqs:reorder=1;seed=1", "sqs:reorder=1;seed=1", "sqs:reorder=1;seed=2", "sqs:reorder=0"].iter().enumerate() {
        let queues = open(&folder, faults);
        for body in &sent {
            send(&queues, body);
        }
        let mut order = Vec::new();
        for max in [1, 3, 10, 10, 10, 10] {
            order.extend(bodies(&queues, max).await);
        }
        assert_eq!(BTreeSet::from_iter(&order), BTreeSet::from_iter(&sent));
        assert_eq!(order == sent, nth == 3, "{faults}: {order:?}");
        orders.insert(order);
    }
    assert_eq!(orders.len(), 3, "the same seed draws the same");
}

#[tokio::test]
async fn unprocessed_entries_of_a_batch_are_not_done_and_the_answer_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let queues = open(&folder, "sqs:unprocessed=0.5;seed=1");
    let ask = async |action: &str, entries: Vec<Value>| -> (Vec<String>, Vec<String>) {
        let body = json!({"QueueUrl": "http://h/0/work", "Entries": entries}).to_string();
        let response = queues.answer(action, "h", body.as_bytes()).await;
        assert_eq!(response.status(), 200);
        let answer: Value = serde_json::from_str(response.body()).unwrap();
        let ids = |member: &str| {
            let entries = answer[member].as_array().unwrap().iter();
            entries.map(|entry| entry["Id"].as_str().unwrap().to_owned()).collect()
        };
        for failed in answer["Failed"].as_array().unwrap() {
            assert_eq!(failed["SenderFault"], false, "{failed}");
        }
        (ids("Successful"), ids("Failed"))
    };

    let entries = (0..10).map(|id| json!({"Id": id.to_string(), "MessageBody": id.to_string()}));
    let (sent, unsent) = ask("SendMessageBatch", entries.collect()).await;
    assert_eq!(sent.len() + unsent.len(), 10);
    assert!(!sent.is_empty() && !unsent.is_empty());
    assert_eq!(bodies(&queues, 10).await, sent);

    for body in &unsent {
        send(&queues, body);
    }
    queues.show_received("work").unwrap();
    let received = queues.receive("work", 10, Duration::ZERO, None).await.unwrap();
    let entries = received.iter().map(|message| json!({"Id": message.body, "ReceiptHandle": message.receipt_handle}));
    let (deleted, left) = ask("DeleteMessageBatch", entries.collect()).await;
    assert_eq!(deleted.len() + left.len(), 10);
    assert!(!deleted.is_empty() && !left.is_empty());
    queues.show_received("work").unwrap();
    assert_eq!(BTreeSet::from_iter(bodies(&queues, 10).await), BTreeSet::from_iter(left));
}
