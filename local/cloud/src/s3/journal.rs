//! Notifications of new objects, journalled in the transaction that makes the object visible: an object
//! without its notification, or the other way round, cannot be, wherever the process dies.
//!
//! A journalled notification is delivered at once, and goes from the journal when the function's queue
//! of invocations has it. What could not be delivered is tried again, and after a crash in between at
//! the next start; delivery is at least once.
//!
//! On demand a notification is journalled twice, or held back until a later one has gone before it: that it
//! is held back is known in memory alone, so a crash lets it go.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};
use tintype_chaos::{Fault, Place};
use tintype_template::deployment::Notification;
use uuid::Uuid;

use super::{Deliver, index::Entry};
use crate::{
    ACCOUNT_ID, say,
    state::{self, Control},
};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS s3_notifications (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        function TEXT NOT NULL,
        event TEXT NOT NULL
    );";

/// What happened to an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening {
    Put,
    Copy,
    CompleteMultipartUpload,
}

impl Happening {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
        }
    }
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// Journals what the bucket's notifications say must be told, in the transaction that puts `entry`.
pub(super) fn record(
    tx: &Transaction<'_>,
    notifications: &[Notification],
    happening: Happening,
    bucket: &str,
    entry: &Entry,
    region: &str,
    chaos: &Place,
) -> rusqlite::Result<()> {
    for notification in notifications.iter().filter(|notification| matches(notification, happening, &entry.key)) {
        let event = event(happening, bucket, entry, region).to_string();
        let times = if chaos.strikes(Fault::Duplicate) { 2 } else { 1 };
        for _ in 0..times {
            tx.prepare_cached("INSERT INTO s3_notifications (function, event) VALUES (?1, ?2)")?
                .execute(params![notification.function, event])?;
        }
    }
    Ok(())
}

fn matches(notification: &Notification, happening: Happening, key: &str) -> bool {
    let wanted = notification
        .events
        .iter()
        .filter_map(|event| event.strip_prefix("s3:"))
        .any(|event| event == happening.name() || event.strip_suffix('*').is_some_and(|prefix| happening.name().starts_with(prefix)));
    wanted && key.starts_with(&notification.prefix) && key.ends_with(&notification.suffix)
}

/// The event as S3 writes it, version 2.1.
fn event(happening: Happening, bucket: &str, entry: &Entry, region: &str) -> Value {
    let time = Timestamp::from_millisecond(entry.modified).unwrap_or_default();
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": format!("{time:.3}"),
        "eventName": happening.name(),
        "userIdentity": {"principalId": format!("AWS:{ACCOUNT_ID}")},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": Uuid::new_v4().simple().to_string(), "x-amz-id-2": Uuid::new_v4().simple().to_string()},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "template",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": ACCOUNT_ID},
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": {
                "key": encode_key(&entry.key),
                "size": entry.content.size,
                "eTag": entry.content.etag,
                "sequencer": format!("{:018X}", entry.modified),
            },
        },
    }]})
}

/// Keys in events are form-encoded: a space is a plus.
fn encode_key(key: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');
    utf8_percent_encode(key, ENCODED).to_string().replace("%20", "+")
}

/// Delivers what is journalled.
#[derive(Clone)]
pub(super) struct Journal {
    control: Control,
    deliver: Deliver,
    pub(super) chaos: Place,
    /// One delivers at a time, so that no notification is delivered twice without need.
    delivering: Arc<Mutex<Delivering>>,
}

#[derive(Default)]
struct Delivering {
    /// Whether [`Journal::deliver_later`] is at it.
    later: bool,
    /// The last notification of which it was decided whether it is held back.
    decided: i64,
    /// Until when, at the latest, which notifications are held back.
    held: BTreeMap<i64, Instant>,
}

/// A notification in the journal.
struct Pending {
    id: i64,
    function: String,
    event: String,
}

/// The pause after a delivery that failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// How long a notification is held back for want of a later one.
const HOLD: Duration = Duration::from_secs(1);

impl Journal {
    pub(super) fn new(control: Control, deliver: Deliver, chaos: Place) -> Self {
        Self { control, deliver, chaos, delivering: Arc::default() }
    }

    /// Delivers all that is journalled, in order but for what is held back. What is for a function that is
    /// not there any more is dropped, with a line.
    pub(super) fn deliver(&self) -> Result<(), state::Error> {
        let mut delivering = self.lock();
        self.deliver_alone(&mut delivering)?;
        if !delivering.held.is_empty() {
            self.go_on(&mut delivering);
        }
        Ok(())
    }

    fn deliver_alone(&self, delivering: &mut Delivering) -> Result<(), state::Error> {
        let pending: Vec<Pending> = self.control.with(|connection| {
            connection
                .prepare_cached("SELECT id, function, event FROM s3_notifications ORDER BY id")?
                .query_map([], |row| Ok(Pending { id: row.get(0)?, function: row.get(1)?, event: row.get(2)? }))?
                .collect()
        })?;
        let now = Instant::now();
        let decided = delivering.decided;
        for notification in pending.iter().filter(|notification| notification.id > decided) {
            delivering.decided = notification.id;
            if self.chaos.strikes(Fault::Reorder) {
                delivering.held.insert(notification.id, now + HOLD);
            }
        }
        let is_free = |notification: &Pending| delivering.held.get(&notification.id).is_none_or(|until| *until <= now);
        let (free, held): (Vec<_>, Vec<_>) = pending.into_iter().partition(is_free);
        for notification in &free {
            self.hand_over(notification)?;
            delivering.held.remove(&notification.id);
        }
        for notification in held {
            if free.iter().any(|later| later.id > notification.id && later.function == notification.function) {
                self.hand_over(&notification)?;
                delivering.held.remove(&notification.id);
            }
        }
        Ok(())
    }

    fn hand_over(&self, Pending { id, function, event }: &Pending) -> Result<(), state::Error> {
        match (self.deliver)(function, event.as_bytes()) {
            Err(state::Error::Mismatch(why)) => say("s3", &format!("an event is dropped: {why}")),
            delivered => delivered?,
        }
        self.control.with(|connection| connection.prepare_cached("DELETE FROM s3_notifications WHERE id = ?1")?.execute([id]))?;
        Ok(())
    }

    /// Goes on trying until nothing is left, or until this journal and all its clones are dropped.
    pub(super) fn deliver_later(&self) {
        self.go_on(&mut self.lock());
    }

    fn go_on(&self, delivering: &mut Delivering) {
        if std::mem::replace(&mut delivering.later, true) {
            return;
        }
        let Self { control, deliver, chaos, delivering } = self.clone();
        let delivering = Arc::downgrade(&delivering);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TROUBLE_PAUSE).await;
                let Some(delivering) = delivering.upgrade() else { return };
                let journal = Self { control: control.clone(), deliver: Arc::clone(&deliver), chaos: chaos.clone(), delivering };
                if journal.nothing_is_left() {
                    return;
                }
            }
        });
    }

    /// Under one lock: who fails after this tries again later itself.
    fn nothing_is_left(&self) -> bool {
        let mut delivering = self.lock();
        delivering.later = self.deliver_alone(&mut delivering).is_err() || !delivering.held.is_empty();
        !delivering.later
    }

    fn lock(&self) -> MutexGuard<'_, Delivering> {
        self.delivering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
