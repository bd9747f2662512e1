//! Which messages a receive takes, and how many may be in flight.

use std::time::Duration;

use tintype_chaos::{Chaos, Place};

use super::{
    Error, NewMessage,
    queue::{Redrive, Settings},
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

/// As many messages in flight as it is told, with the one that is.
const COPIES: &str = "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
                      INSERT INTO messages (queue, message_id, body, attributes, sent_ms, visible_ms, receive_count, receipt)
                      SELECT queue, message_id, body, attributes, sent_ms, visible_ms, 1, 'somebody' FROM messages, n";

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_aws_allows() {
    let folder = tempfile::tempdir().unwrap();
    let queues = super::Queues::open(&folder.path().join("queues.db"), &[], quiet()).unwrap();
    let now = crate::unix_millis();
    queues.store.save_queue("work", &Settings::new("work"), now).unwrap();
    send(&queues.store, None, "first", now);
    let taken = queues.receive("work", 1, Duration::ZERO, None).await.unwrap().remove(0);
    queues.store.transaction(|tx| tx.execute(COPIES, [MAX_IN_FLIGHT])).unwrap();
    // And some that wait.
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

#[tokio::test]
async fn a_full_queue_wakes_whoever_waits_at_its_dead_letter_queue_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let queues = super::Queues::open(&folder.path().join("queues.db"), &[], quiet()).unwrap();
    let now = crate::unix_millis();
    let dead = Settings::new("dead");
    let redrive = Some(Redrive { dead_letter_arn: dead.arn.clone(), max_receive_count: 1 });
    queues.store.save_queue("dead", &dead, now).unwrap();
    queues.store.save_queue("work", &Settings { redrive, ..Settings::new("work") }, now).unwrap();
    send(&queues.store, None, "poison", now);
    let taken = queues.receive("work", 1, Duration::ZERO, None).await.unwrap();
    assert_eq!(taken.len(), 1);
    queues.store.transaction(|tx| tx.execute(COPIES, [MAX_IN_FLIGHT + 1])).unwrap();
    queues.change_visibility("work", &taken[0].receipt_handle, Duration::ZERO).unwrap();

    let waiting = tokio::spawn({
        let queues = queues.clone();
        async move { queues.receive("dead", 1, Duration::from_mins(1), None).await.unwrap() }
    });
    // It has looked, and waits.
    tokio::task::yield_now().await;
    let full = queues.receive("work", 1, Duration::ZERO, None).await;
    assert!(matches!(full, Err(Error::OverLimit { .. })), "{full:?}");
    let received = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it is woken").unwrap();
    assert_eq!(received[0].body, "poison");
}

/// Every statement about messages goes straight to those that it is about, through an index that knows more of them than
/// their queue. Only a queue that is emptied, or counted, or what it has in flight, is gone through as a whole.
#[test]
fn a_backlog_makes_no_step_slow() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let sources = [include_str!("store.rs"), include_str!("receive.rs"), include_str!("moves.rs"), include_str!("queue.rs")];
    let literals = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let is_statement = |text: &&str| ["SELECT ", "UPDATE ", "DELETE ", "INSERT ", "WITH "].iter().any(|start| text.starts_with(start));
    let statements: Vec<_> = literals.filter(is_statement).filter(|text| text.contains("messages")).collect();
    assert!(statements.len() > 15, "{statements:#?}");
    for statement in statements {
        for step in plan(&store, statement) {
            assert!(is_quick(statement, &step), "{statement}: {step}");
        }
    }
}

/// Whether a step of a statement's plan is no slower for a long backlog, or has to be.
fn is_quick(statement: &str, step: &str) -> bool {
    if step.contains("messages_received") || statement == "DELETE FROM messages WHERE queue = ?1" {
        return step.starts_with("SEARCH");
    }
    // Through what is visible goes only who stops early, or counts.
    let through_visible = step.contains("messages_by_visibility (queue=? AND visible_ms<?)");
    let stops = ["LIMIT", "SELECT 1 ", "count(*)"].iter().any(|part| statement.contains(part));
    !step.contains("SCAN messages") && !step.contains("(queue=?)") && !step.contains("ORDER BY") && (stops || !through_visible)
}

/// What the database does to run a statement.
fn plan(store: &Store, statement: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {}", statement.replace("{filter}", "visible_ms > ?2 AND receipt IS NOT NULL"));
    let steps = store.transaction(|tx| {
        let mut prepared = tx.prepare(&explain)?;
        let nulls = vec![rusqlite::types::Null; prepared.parameter_count()];
        prepared.query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail"))?.collect()
    });
    steps.unwrap()
}
