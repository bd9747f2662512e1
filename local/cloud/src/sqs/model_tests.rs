//! The store against a model in memory: whatever is done in whatever order, both say the same.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use tintype_chaos::{Chaos, Place};

use super::{
    Error, NewMessage,
    model::{DEAD, DELAY, MAX_RECEIVES, Model, RETENTION, VISIBILITY, WORK},
    queue::{Redrive, Settings},
    store::{Millis, Store},
};

/// What a client may do. Handles are named by the order in which they were given out.
#[derive(Debug, Clone)]
enum Action {
    Send { queue: &'static str, group: Option<&'static str>, delay: Option<u64> },
    Receive { queue: &'static str, max: usize, visibility: Option<Millis> },
    Delete { queue: &'static str, handle: prop::sample::Index },
    ChangeVisibility { queue: &'static str, handle: prop::sample::Index, timeout: Millis },
    ShowReceived { queue: &'static str },
    Purge { queue: &'static str },
    StartMove { to_work: bool, rate: Option<u32> },
    CancelMove { task: prop::sample::Index },
    Wait { time: Millis },
}

fn action() -> impl Strategy<Value = Action> {
    let queue = || prop::sample::select(vec![WORK, WORK, WORK, DEAD]);
    let group = prop::option::of(prop::sample::select(vec!["a", "a", "a", "b", "c"]));
    let delay = prop::option::of((0_u64..400).prop_map(|delay| delay.saturating_sub(200)));
    let handle = any::<prop::sample::Index>;
    prop_oneof![
        8 => (queue(), group, delay).prop_map(|(queue, group, delay)| Action::Send { queue, group, delay }),
        8 => (queue(), 1_usize..5, prop::option::of(0..500_i64))
            .prop_map(|(queue, max, visibility)| Action::Receive { queue, max, visibility }),
        3 => (queue(), handle()).prop_map(|(queue, handle)| Action::Delete { queue, handle }),
        2 => (queue(), handle(), 0..500_i64)
            .prop_map(|(queue, handle, timeout)| Action::ChangeVisibility { queue, handle, timeout }),
        1 => queue().prop_map(|queue| Action::ShowReceived { queue }),
        1 => queue().prop_map(|queue| Action::Purge { queue }),
        2 => (any::<bool>(), prop::option::of(1..20_u32)).prop_map(|(to_work, rate)| Action::StartMove { to_work, rate }),
        1 => handle().prop_map(|task| Action::CancelMove { task }),
        5 => (1..600_i64).prop_map(|time| Action::Wait { time }),
    ]
}

fn quiet() -> Place {
    Chaos::new([]).place("sqs")
}

/// Does `action` with both and compares what they answer.
fn step(store: &Store, model: &mut Model, action: &Action) -> Result<(), TestCaseError> {
    let now = model.now;
    match action {
        Action::Wait { time } => model.now += time,
        Action::Send { queue, group, delay } => {
            let delay = delay.map(Duration::from_millis);
            let message = NewMessage { body: "x".to_owned(), group_id: group.map(str::to_owned), delay, ..NewMessage::default() };
            let message_id = store.send(queue, &message, now).unwrap().message_id;
            model.send(queue, message_id, *group, delay.map_or(DELAY, super::queue::millis));
        }
        Action::Receive { queue, max, visibility } => receive(store, model, queue, *max, *visibility)?,
        Action::Delete { queue, handle } if !model.handles.is_empty() => {
            let handle = handle.index(model.handles.len());
            let (of, text) = model.handles[handle].clone();
            let deleted = store.delete(queue, &text);
            prop_assert_eq!(deleted.is_ok(), of == *queue, "a handle is good for its own queue: {:?}", deleted);
            if let Some(at) = model.of_handle(queue, handle) {
                model.messages.remove(at);
            }
        }
        Action::ChangeVisibility { queue, handle, timeout } if !model.handles.is_empty() => {
            let handle = handle.index(model.handles.len());
            let (of, text) = model.handles[handle].clone();
            let changed = store.change_visibility(queue, &text, *timeout, now);
            match model.of_handle(queue, handle) {
                _ if of != *queue => prop_assert!(matches!(changed, Err(Error::InvalidReceiptHandle)), "{changed:?}"),
                None => prop_assert!(matches!(changed, Err(Error::InvalidParameter(_))), "{changed:?}"),
                Some(at) if model.messages[at].visible <= now => {
                    prop_assert!(matches!(changed, Err(Error::NotInFlight)), "{changed:?}");
                }
                Some(at) => {
                    prop_assert!(changed.is_ok(), "{changed:?}");
                    model.messages[at].visible = now + timeout;
                }
            }
        }
        Action::ShowReceived { queue } => {
            store.show_received(queue, now).unwrap();
            model.show_received(queue);
        }
        Action::Purge { queue } => {
            store.purge(queue).unwrap();
            model.messages.retain(|message| message.queue != *queue);
        }
        Action::StartMove { to_work, rate } => {
            let (source, work) = (Settings::new(DEAD).arn, Settings::new(WORK).arn);
            let started = store.start_move(&source, to_work.then_some(&*work), *rate, now);
            prop_assert_eq!(started.is_err(), model.is_moving(), "one at a time: {:?}", started);
            if let Ok(id) = started {
                model.start_move(id, *to_work, *rate);
            }
        }
        Action::CancelMove { task } if !model.tasks.is_empty() => {
            let task = task.index(model.tasks.len());
            let task = &mut model.tasks[task];
            let cancelled = store.cancel_move(task.id, now);
            match task.status {
                "RUNNING" => prop_assert_eq!(cancelled.unwrap(), task.moved),
                _ => prop_assert!(matches!(cancelled, Err(Error::InvalidParameter(_))), "{cancelled:?}"),
            }
            if task.status == "RUNNING" {
                task.status = "CANCELLED";
            }
        }
        Action::Delete { .. } | Action::ChangeVisibility { .. } | Action::CancelMove { .. } => {}
    }
    for queue in [WORK, DEAD] {
        prop_assert_eq!(store.counts(queue, model.now).unwrap(), model.counts(queue), "{}", queue);
    }
    let tasks = store.moves(&Settings::new(DEAD).arn, 100, model.now).unwrap();
    let told: Vec<_> = tasks.iter().rev().map(|task| (task.id, task.moved, task.status.name())).collect();
    prop_assert_eq!(told, model.tasks.iter().map(|task| (task.id, task.moved, task.status)).collect::<Vec<_>>());
    Ok(())
}

fn receive(store: &Store, model: &mut Model, queue: &'static str, max: usize, visibility: Option<Millis>) -> Result<(), TestCaseError> {
    let received = store.receive(queue, max, visibility, model.now, &quiet()).unwrap().messages;
    let expected = model.receive(queue, max, visibility);
    prop_assert_eq!(received.len(), expected.len());
    for (message, at) in received.into_iter().zip(expected) {
        let handle = model.handles.len();
        let modelled = &mut model.messages[at];
        prop_assert_eq!(&message.system["ApproximateReceiveCount"], &modelled.receives.to_string());
        match &modelled.message_id {
            Some(known) => prop_assert_eq!(&message.message_id, known),
            None => modelled.message_id = Some(message.message_id),
        }
        modelled.handle = Some(handle);
        model.handles.push((queue, message.receipt_handle));
    }
    Ok(())
}

fn open(path: &std::path::Path) -> Store {
    let store = Store::open(path).unwrap();
    let short = Settings { visibility: VISIBILITY, retention: RETENTION, delay: DELAY, ..Settings::new(DEAD) };
    let redrive = Some(Redrive { dead_letter_arn: short.arn.clone(), max_receive_count: MAX_RECEIVES });
    store.save_queue(DEAD, &short, 0).unwrap();
    store.save_queue(WORK, &Settings { redrive, arn: Settings::new(WORK).arn, ..short }, 0).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_store_does_as_the_model_does(actions in prop::collection::vec(action(), 1..70), reopened_at in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queues.db");
        let (mut store, mut model) = (open(&path), Model::default());
        for (at, action) in actions.iter().enumerate() {
            if at == reopened_at.index(actions.len()) {
                drop(store);
                store = open(&path);
            }
            step(&store, &mut model, action)?;
        }
    }
}

#[test]
fn a_message_keeps_its_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queues.db"));
    let message = NewMessage {
        body: "grüß\t🌄".to_owned(),
        attributes: BTreeMap::from([
            (
                "reason".to_owned(),
                super::MessageAttribute { data_type: "String".to_owned(), value: super::AttributeValue::Text("late".to_owned()) },
            ),
            (
                "hash".to_owned(),
                super::MessageAttribute { data_type: "Binary".to_owned(), value: super::AttributeValue::Binary(vec![0, 255]) },
            ),
        ]),
        trace_header: Some("Root=1-5e1b4151-5ac6c58f5b5e0d1c3b5e0d1c".to_owned()),
        group_id: Some("author".to_owned()),
        delay: Some(Duration::ZERO),
    };
    store.send(DEAD, &message, 1_000).unwrap();
    let received = store.receive(DEAD, 1, None, 1_001, &quiet()).unwrap().messages.remove(0);
    assert_eq!(received.body, message.body);
    assert_eq!(received.attributes, message.attributes);
    let system = |name: &str| received.system.get(name).map(String::as_str);
    assert_eq!(system("AWSTraceHeader"), message.trace_header.as_deref());
    assert_eq!(system("MessageGroupId"), Some("author"));
    assert_eq!(system("SentTimestamp"), Some("1000"));
    assert_eq!(system("ApproximateFirstReceiveTimestamp"), Some("1001"));
}
