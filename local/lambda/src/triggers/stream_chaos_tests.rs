//! What goes wrong with a stream on purpose.

use std::sync::Mutex;

use serde_json::Value;

use super::{fixture::*, *};
use crate::fake::{self, Answer, until};

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
