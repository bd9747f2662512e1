//! The store against a model in memory: whatever is done in whatever order, both say the same.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{
    Error, NewMessage,
    queue::{Redrive, Settings},
    store::{Counts, Millis, Store},
};

const WORK: &str = "work";
const DEAD: &str = "dead";
const MAX_RECEIVES: u32 = 2;
const VISIBILITY: Millis = 300;
const RETENTION: Millis = 5_000;

/// What a client may do. Handles are named by the order in which they were given out.
#[derive(Debug, Clone)]
enum Action {
    Send { delay: u64 },
    Receive { queue: &'static str, max: usize, visibility: Option<Millis> },
    Delete { queue: &'static str, handle: prop::sample::Index },
    ChangeVisibility { queue: &'static str, handle: prop::sample::Index, timeout: Millis },
    Redrive,
    Wait { time: Millis },
}

fn action() -> impl Strategy<Value = Action> {
    let queue = || prop::sample::select(vec![WORK, WORK, WORK, DEAD]);
    let handle = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0_u64..400).prop_map(|delay| Action::Send { delay: delay.saturating_sub(200) }),
        6 => (queue(), 1_usize..4, prop::option::of(0..500_i64))
            .prop_map(|(queue, max, visibility)| Action::Receive { queue, max, visibility }),
        3 => (queue(), handle()).prop_map(|(queue, handle)| Action::Delete { queue, handle }),
        2 => (queue(), handle(), 0..500_i64)
            .prop_map(|(queue, handle, timeout)| Action::ChangeVisibility { queue, handle, timeout }),
        1 => Just(Action::Redrive),
        5 => (1..600_i64).prop_map(|time| Action::Wait { time }),
    ]
}

/// A message as the model keeps it.
#[derive(Debug, Clone)]
struct Modelled {
    order: usize,
    queue: &'static str,
    message_id: String,
    sent: Millis,
    visible: Millis,
    receives: u32,
    /// Index into the handles.
    handle: Option<usize>,
    came_from_work: bool,
}

#[derive(Default)]
struct Model {
    now: Millis,
    messages: Vec<Modelled>,
    /// The queue and text of each handle given out.
    handles: Vec<(&'static str, String)>,
}

impl Model {
    fn expire(&mut self, queue: &str) {
        let now = self.now;
        self.messages.retain(|message| message.queue != queue || message.sent + RETENTION > now);
    }

    /// The messages that a receive must return, in order, with the receives they then have.
    fn receive(&mut self, queue: &'static str, max: usize, visibility: Option<Millis>) -> Vec<(String, u32)> {
        self.expire(queue);
        for message in &mut self.messages {
            if queue == WORK && message.queue == WORK && message.visible <= self.now && message.receives >= MAX_RECEIVES {
                *message = Modelled { queue: DEAD, visible: self.now, receives: 0, handle: None, came_from_work: true, ..message.clone() };
            }
        }
        let mut visible: Vec<_> =
            self.messages.iter_mut().filter(|message| message.queue == queue && message.visible <= self.now).collect();
        visible.sort_by_key(|message| (message.visible, message.order));
        let received = visible.into_iter().take(max).map(|message| {
            message.receives += 1;
            message.visible = self.now + visibility.unwrap_or(VISIBILITY);
            (message.message_id.clone(), message.receives)
        });
        received.collect()
    }

    fn of_handle(&mut self, queue: &str, handle: usize) -> Option<usize> {
        self.messages.iter().position(|message| message.queue == queue && message.handle == Some(handle))
    }

    fn counts(&mut self, queue: &str) -> Counts {
        self.expire(queue);
        let count = |wanted: &dyn Fn(&Modelled) -> bool| self.messages.iter().filter(|m| m.queue == queue && wanted(m)).count() as u64;
        Counts {
            visible: count(&|message| message.visible <= self.now),
            in_flight: count(&|message| message.visible > self.now && message.handle.is_some()),
            delayed: count(&|message| message.visible > self.now && message.handle.is_none()),
        }
    }
}

/// Does `action` with both and compares what they answer.
fn step(store: &Store, model: &mut Model, action: &Action) -> Result<(), TestCaseError> {
    let now = model.now;
    match action {
        Action::Wait { time } => model.now += time,
        Action::Send { delay } => {
            let message = NewMessage { body: "x".to_owned(), delay: Duration::from_millis(*delay), ..NewMessage::default() };
            let message_id = store.send(WORK, &message, now).unwrap().message_id;
            let order = model.messages.iter().map(|message| message.order + 1).max().unwrap_or_default();
            let visible = now + Millis::try_from(*delay).unwrap();
            model.messages.push(Modelled {
                order,
                queue: WORK,
                message_id,
                sent: now,
                visible,
                receives: 0,
                handle: None,
                came_from_work: false,
            });
        }
        Action::Receive { queue, max, visibility } => {
            let received = store.receive(queue, *max, *visibility, now).unwrap().messages;
            let said: Vec<(String, u32)> = received
                .iter()
                .map(|message| (message.message_id.clone(), message.system["ApproximateReceiveCount"].parse().unwrap()))
                .collect();
            prop_assert_eq!(said, model.receive(queue, *max, *visibility));
            for message in received {
                let handle = model.handles.len();
                model.handles.push((queue, message.receipt_handle));
                let modelled = model.messages.iter_mut().find(|modelled| modelled.message_id == message.message_id).unwrap();
                modelled.handle = Some(handle);
            }
        }
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
        Action::Delete { .. } | Action::ChangeVisibility { .. } => {}
        Action::Redrive => {
            store.redrive(&Settings::new(DEAD).arn, None, now).unwrap();
            for message in model.messages.iter_mut().filter(|message| message.queue == DEAD && message.came_from_work) {
                *message =
                    Modelled { queue: WORK, sent: now, visible: now, receives: 0, handle: None, came_from_work: false, ..message.clone() };
            }
        }
    }
    for queue in [WORK, DEAD] {
        prop_assert_eq!(store.counts(queue, model.now).unwrap(), model.counts(queue), "{}", queue);
    }
    Ok(())
}

fn open(path: &std::path::Path) -> Store {
    let store = Store::open(path).unwrap();
    let short = Settings { visibility: VISIBILITY, retention: RETENTION, ..Settings::new(DEAD) };
    let redrive = Some(Redrive { dead_letter_arn: short.arn.clone(), max_receive_count: MAX_RECEIVES });
    store.save_queue(DEAD, &short, 0).unwrap();
    store.save_queue(WORK, &Settings { redrive, arn: Settings::new(WORK).arn, ..short }, 0).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_store_does_as_the_model_does(actions in prop::collection::vec(action(), 1..60), reopened_at in any::<prop::sample::Index>()) {
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
        delay: Duration::ZERO,
    };
    store.send(WORK, &message, 1_000).unwrap();
    let received = store.receive(WORK, 1, None, 1_001).unwrap().messages.remove(0);
    assert_eq!(received.body, message.body);
    assert_eq!(received.attributes, message.attributes);
    let system = |name: &str| received.system.get(name).map(String::as_str);
    assert_eq!(system("AWSTraceHeader"), message.trace_header.as_deref());
    assert_eq!(system("MessageGroupId"), Some("author"));
    assert_eq!(system("SentTimestamp"), Some("1000"));
    assert_eq!(system("ApproximateFirstReceiveTimestamp"), Some("1001"));
}
