//! Which messages a receive takes, and how many may be in flight.

use std::time::{Duration, Instant};

use tintype_chaos::{Chaos, Place};

use super::{
    Error, NewMessage,
    queue::Settings,
    receive::MAX_IN_FLIGHT,
    store::{Millis, Store},
};

fn quiet() -> Place {
    Chaos::new([]).place("sqs")
}

fn open(folder: &tempfile::TempDir) -> Store {
    let store = Store::open(&folder.path().join("queues.db")).unwrap();
    store.save_queue("work", &Settings::new("work"), 0).unwrap();
    store
}

fn send(store: &Store, group: Option<&str>, body: &str, now: Millis) {
    let message = NewMessage { body: body.to_owned(), group_id: group.map(str::to_owned), ..NewMessage::default() };
    store.send("work", &message, now).unwrap();
}

fn receive(store: &Store, max: usize, now: Millis) -> Vec<String> {
    store.receive("work", max, None, now, &quiet()).unwrap().messages.into_iter().map(|message| message.body).collect()
}

#[test]
fn a_quiet_group_is_not_starved_by_a_busy_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for _ in 0..500 {
        send(&store, Some("busy"), "busy", 1);
    }
    send(&store, Some("quiet"), "quiet", 2);
    send(&store, None, "nobody's", 3);
    // The busy author's message is the oldest, and then everybody else comes first.
    assert_eq!(receive(&store, 1, 10), ["busy"]);
    assert_eq!(receive(&store, 1, 10), ["quiet"]);
    assert_eq!(receive(&store, 1, 10), ["nobody's"]);
    send(&store, Some("late"), "late", 11);
    assert_eq!(receive(&store, 1, 12), ["late"]);
    // Capacity that is left goes to the backlog.
    assert_eq!(receive(&store, 10, 12), ["busy"; 10]);
}

#[test]
fn groups_that_have_as_many_in_flight_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for group in ["a", "b", "c"] {
        for nth in 0..20 {
            send(&store, Some(group), &format!("{group}{nth}"), 1);
        }
    }
    assert_eq!(receive(&store, 7, 2), ["a0", "b0", "c0", "a1", "b1", "c1", "a2"]);
    assert_eq!(receive(&store, 3, 2), ["b2", "c2", "a3"]);
}

#[test]
fn who_gets_back_what_was_in_flight_has_it_in_flight_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    send(&store, Some("a"), "a0", 1);
    send(&store, Some("a"), "a1", 2);
    send(&store, Some("b"), "b0", 3);
    assert_eq!(receive(&store, 1, 10), ["a0"]);
    // The visibility timeout of a0 is over, so nobody has any in flight, and age decides.
    assert_eq!(receive(&store, 1, 40_000), ["a1"]);
}

#[test]
fn messages_without_a_group_come_in_the_order_of_age() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for nth in 0..30 {
        send(&store, None, &nth.to_string(), nth);
    }
    assert_eq!(receive(&store, 10, 100), (0..10).map(|nth| nth.to_string()).collect::<Vec<_>>());
    assert_eq!(receive(&store, 10, 100), (10..20).map(|nth| nth.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_aws_allows() {
    let folder = tempfile::tempdir().unwrap();
    let queues = super::Queues::open(&folder.path().join("queues.db"), &[], quiet()).unwrap();
    let now = crate::unix_millis();
    queues.store.save_queue("work", &Settings::new("work"), now).unwrap();
    send(&queues.store, None, "first", now);
    let taken = queues.receive("work", 1, Duration::ZERO, None).await.unwrap().remove(0);
    // As many like the first as there may be, and some that wait.
    let copies = "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
                  INSERT INTO messages (queue, message_id, body, attributes, sent_ms, visible_ms, receive_count, receipt)
                  SELECT queue, message_id, body, attributes, sent_ms, visible_ms, 1, 'somebody' FROM messages, n";
    queues.store.transaction(|tx| tx.execute(copies, [MAX_IN_FLIGHT])).unwrap();
    for _ in 0..3 {
        send(&queues.store, None, "waits", now);
    }

    let short = queues.receive("work", 10, Duration::ZERO, None).await;
    assert!(matches!(short, Err(Error::OverLimit { limit: 120_000 })), "{short:?}");
    // Who polls long is not told.
    assert_eq!(queues.receive("work", 10, Duration::from_secs(1), None).await.unwrap(), []);
    queues.delete("work", &taken.receipt_handle).unwrap();
    assert_eq!(queues.receive("work", 10, Duration::ZERO, None).await.unwrap().len(), 1, "there is room for one");
}

/// Every step is answered by an index. Were one not, each round here would take tens of milliseconds; it takes less
/// than one.
#[test]
fn a_backlog_makes_no_step_slow() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let backlog = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)
                   INSERT INTO messages (queue, message_id, body, attributes, group_id, sent_ms, visible_ms)
                   SELECT 1, 'id', 'x', '{}', 'busy', 1000, 1000 FROM n";
    store.transaction(|tx| tx.execute(backlog, [])).unwrap();
    let started = Instant::now();
    for round in 0..300 {
        send(&store, Some("quiet"), "x", 2_000 + round);
        let received = store.receive("work", 2, None, 2_000 + round, &quiet()).unwrap().messages;
        assert_eq!(received.len(), 2);
        store.change_visibility("work", &received[1].receipt_handle, 60_000, 2_000 + round).unwrap();
        store.delete("work", &received[0].receipt_handle).unwrap();
        store.next_visible("work", 2_000 + round).unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(4), "300 rounds took {:?}", started.elapsed());
}
