//! The state machine of messages, on SQLite. Time is a parameter, so that tests are exact.
//!
//! A message is *delayed* until `visible_ms`, then *visible*. A receive hides it until a later
//! `visible_ms` and gives it a new `receipt`; the handle with that receipt is the one that deletes it.
//! Received more often than its queue allows, it moves to the dead-letter queue instead. It is gone
//! when it is deleted or older than the queue's retention.

use std::{collections::BTreeSet, path::Path};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rusqlite::{OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    Error, Message, NewMessage, Sent,
    message::{md5_of_attributes, md5_of_body},
    queue::{self, Queue, Settings, millis},
};
use crate::{
    ACCOUNT_ID,
    state::{self, Control},
};

/// Milliseconds: since 1970, or between two such times.
pub(super) type Millis = i64;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL REFERENCES queues (id),
        message_id TEXT NOT NULL,
        body TEXT NOT NULL,
        attributes TEXT NOT NULL,
        trace_header TEXT,
        group_id TEXT,
        dead_letter_source TEXT,
        sent_ms INTEGER NOT NULL,
        visible_ms INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        first_received_ms INTEGER,
        receipt TEXT
    );
    CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_ms, id);
    CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_ms);";

/// The queues and their messages.
#[derive(Debug, Clone)]
pub(super) struct Store {
    database: Control,
}

/// What a receive did.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub messages: Vec<Message>,
    /// The dead-letter queue, if messages moved to it.
    pub moved_to: Option<String>,
}

/// How many messages a queue has in each state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, state::Error> {
        let database = Control::open(path)?;
        database.with(|connection| connection.execute_batch(&format!("{}{SCHEMA}", queue::SCHEMA)))?;
        Ok(Self { database })
    }

    /// Runs `f` in one transaction.
    pub(super) fn transaction<T>(&self, f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, state::Error> {
        self.database.with(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = f(&tx)?;
            tx.commit()?;
            Ok(done)
        })
    }

    /// Runs `f` on a queue in one transaction.
    fn on_queue<T>(&self, name: &str, f: impl FnOnce(&Transaction<'_>, &Queue) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.transaction(|tx| Queue::find(tx, name)?.map(|queue| f(tx, &queue)).transpose())?.ok_or(Error::NoSuchQueue)
    }

    pub(super) fn queue(&self, name: &str) -> Result<Queue, Error> {
        self.on_queue(name, |_, queue| Ok(queue.clone()))
    }

    pub(super) fn save_queue(&self, name: &str, settings: &Settings, now: Millis) -> Result<(), state::Error> {
        self.transaction(|tx| Queue::save(tx, name, settings, now))
    }

    pub(super) fn send(&self, name: &str, message: &NewMessage, now: Millis) -> Result<Sent, Error> {
        let sent = Sent {
            message_id: Uuid::new_v4().to_string(),
            md5_of_body: md5_of_body(&message.body),
            md5_of_attributes: md5_of_attributes(&message.attributes),
        };
        let attributes = serde_json::json!(message.attributes);
        self.on_queue(name, |tx, queue| {
            tx.prepare_cached(
                "INSERT INTO messages (queue, message_id, body, attributes, trace_header, group_id, sent_ms, visible_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                queue.id,
                sent.message_id,
                message.body,
                attributes.to_string(),
                message.trace_header,
                message.group_id,
                now,
                now + millis(message.delay),
            ])
        })?;
        Ok(sent)
    }

    /// Hides up to `max` visible messages for `visibility`, or for the queue's own timeout, and
    /// returns them; those that have been received too often move away instead.
    pub(super) fn receive(&self, name: &str, max: usize, visibility: Option<Millis>, now: Millis) -> Result<Received, Error> {
        self.on_queue(name, |tx, queue| {
            expire(tx, queue, now)?;
            let moved_to = move_exhausted(tx, queue, now)?;
            let until = now + visibility.unwrap_or(queue.settings.visibility);
            let messages = Stored::visible(tx, queue, max, now)?.into_iter().map(|message| message.receive(tx, queue, until, now));
            Ok(Received { messages: messages.collect::<rusqlite::Result<_>>()?, moved_to })
        })
    }

    /// Deletes the message of the handle. As on AWS a handle of an earlier receive deletes nothing,
    /// and neither is an error.
    pub(super) fn delete(&self, name: &str, handle: &str) -> Result<(), Error> {
        let handle = Handle::parse(handle).ok_or(Error::InvalidReceiptHandle)?;
        let ours = self.on_queue(name, |tx, queue| {
            tx.prepare_cached("DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?.execute(params![
                handle.message,
                queue.id,
                handle.receipt
            ])?;
            Ok(handle.queue == queue.id)
        })?;
        if ours { Ok(()) } else { Err(Error::InvalidReceiptHandle) }
    }

    /// Hides the message of the handle until `timeout` from now.
    pub(super) fn change_visibility(&self, name: &str, handle: &str, timeout: Millis, now: Millis) -> Result<(), Error> {
        let handle = Handle::parse(handle).ok_or(Error::InvalidReceiptHandle)?;
        let (ours, hidden_until) = self.on_queue(name, |tx, queue| {
            let hidden_until: Option<Millis> = tx
                .prepare_cached("SELECT visible_ms FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?
                .query_row(params![handle.message, queue.id, handle.receipt], |row| row.get(0))
                .optional()?;
            if hidden_until.is_some_and(|until| until > now) {
                tx.prepare_cached("UPDATE messages SET visible_ms = ?2 WHERE id = ?1")?.execute([handle.message, now + timeout])?;
            }
            Ok((handle.queue == queue.id, hidden_until))
        })?;
        match hidden_until {
            _ if !ours => Err(Error::InvalidReceiptHandle),
            None => Err(Error::InvalidParameter(
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility \
                 timeout change."
                    .to_owned(),
            )),
            Some(until) if until <= now => Err(Error::NotInFlight),
            Some(_) => Ok(()),
        }
    }

    /// Shows all messages that are hidden because they were received.
    pub(super) fn show_received(&self, name: &str, now: Millis) -> Result<(), Error> {
        self.on_queue(name, |tx, queue| {
            tx.prepare_cached("UPDATE messages SET visible_ms = ?2 WHERE queue = ?1 AND visible_ms > ?2 AND receipt IS NOT NULL")?
                .execute([queue.id, now])
        })?;
        Ok(())
    }

    pub(super) fn purge(&self, name: &str) -> Result<(), Error> {
        self.on_queue(name, |tx, queue| tx.execute("DELETE FROM messages WHERE queue = ?1", [queue.id]))?;
        Ok(())
    }

    /// Moves all messages of a dead-letter queue to `destination`, or each to where it came from,
    /// as new ones. Returns the queues that have more messages now, or `None` if there is no such queue.
    pub(super) fn redrive(
        &self,
        dead_letter_arn: &str,
        destination: Option<&str>,
        now: Millis,
    ) -> Result<Option<BTreeSet<String>>, state::Error> {
        self.transaction(|tx| {
            let Some(queue) = Queue::find_by_arn(tx, dead_letter_arn)? else { return Ok(None) };
            let mut statement = tx.prepare_cached("SELECT id, dead_letter_source FROM messages WHERE queue = ?1 ORDER BY id")?;
            let waiting: Vec<(i64, Option<String>)> =
                statement.query_map([queue.id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
            let mut moved = BTreeSet::new();
            for (message, source) in waiting {
                // A message that was sent to the dead-letter queue itself has nowhere to go back to.
                let Some(to) = destination.or(source.as_deref()) else { continue };
                let Some(to) = Queue::find_by_arn(tx, to)? else { continue };
                relocate(tx, message, &to, None, now)?;
                tx.prepare_cached("UPDATE messages SET sent_ms = ?2 WHERE id = ?1")?.execute([message, now])?;
                moved.insert(to.name);
            }
            Ok(Some(moved))
        })
    }

    pub(super) fn counts(&self, name: &str, now: Millis) -> Result<Counts, Error> {
        self.on_queue(name, |tx, queue| {
            expire(tx, queue, now)?;
            tx.prepare_cached(
                "SELECT count(*) FILTER (WHERE visible_ms <= ?2),
                        count(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NOT NULL),
                        count(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NULL)
                 FROM messages WHERE queue = ?1",
            )?
            .query_row([queue.id, now], |row| Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? }))
        })
    }

    /// When the next hidden message turns visible.
    pub(super) fn next_visible(&self, name: &str, now: Millis) -> Result<Option<Millis>, Error> {
        self.on_queue(name, |tx, queue| {
            tx.prepare_cached("SELECT min(visible_ms) FROM messages WHERE queue = ?1 AND visible_ms > ?2")?
                .query_row([queue.id, now], |row| row.get(0))
        })
    }
}

/// Forgets what is older than the queue keeps.
fn expire(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<usize> {
    tx.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_ms <= ?2")?.execute([queue.id, now - queue.settings.retention])
}

/// Moves the visible messages that have been received as often as the queue allows to its dead-letter
/// queue, and returns that queue's name if any moved.
fn move_exhausted(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<Option<String>> {
    let Some(redrive) = &queue.settings.redrive else { return Ok(None) };
    let exhausted: Vec<i64> = tx
        .prepare_cached("SELECT id FROM messages WHERE queue = ?1 AND visible_ms <= ?2 AND receive_count >= ?3")?
        .query_map(params![queue.id, now, redrive.max_receive_count], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if exhausted.is_empty() {
        return Ok(None);
    }
    let Some(dead_letter) = Queue::find_by_arn(tx, &redrive.dead_letter_arn)? else { return Ok(None) };
    for message in exhausted {
        relocate(tx, message, &dead_letter, Some(&queue.settings.arn), now)?;
    }
    Ok(Some(dead_letter.name))
}

/// Puts a message into another queue, visible and never yet received there.
fn relocate(tx: &Transaction<'_>, message: i64, to: &Queue, source: Option<&str>, now: Millis) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "UPDATE messages SET queue = ?2, dead_letter_source = ?3, visible_ms = ?4,
             receive_count = 0, first_received_ms = NULL, receipt = NULL
         WHERE id = ?1",
    )?
    .execute(params![message, to.id, source, now])
}

/// A message of the database.
struct Stored {
    id: i64,
    message_id: String,
    body: String,
    attributes: String,
    trace_header: Option<String>,
    group_id: Option<String>,
    dead_letter_source: Option<String>,
    sent: Millis,
    receive_count: u32,
    first_received: Option<Millis>,
}

impl Stored {
    /// The messages that have been visible longest.
    fn visible(tx: &Transaction<'_>, queue: &Queue, max: usize, now: Millis) -> rusqlite::Result<Vec<Self>> {
        tx.prepare_cached("SELECT * FROM messages WHERE queue = ?1 AND visible_ms <= ?2 ORDER BY visible_ms, id LIMIT ?3")?
            .query_map(params![queue.id, now, max], Self::read)?
            .collect()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            message_id: row.get("message_id")?,
            body: row.get("body")?,
            attributes: row.get("attributes")?,
            trace_header: row.get("trace_header")?,
            group_id: row.get("group_id")?,
            dead_letter_source: row.get("dead_letter_source")?,
            sent: row.get("sent_ms")?,
            receive_count: row.get("receive_count")?,
            first_received: row.get("first_received_ms")?,
        })
    }

    /// Hides the message and makes it a received one, with a handle of its own.
    fn receive(self, tx: &Transaction<'_>, queue: &Queue, until: Millis, now: Millis) -> rusqlite::Result<Message> {
        let receipt = Uuid::new_v4().simple().to_string();
        let receive_count = self.receive_count + 1;
        let first_received = self.first_received.unwrap_or(now);
        tx.prepare_cached("UPDATE messages SET visible_ms = ?2, receive_count = ?3, first_received_ms = ?4, receipt = ?5 WHERE id = ?1")?
            .execute(params![self.id, until, receive_count, first_received, receipt])?;

        let always = [
            ("SenderId", Some(ACCOUNT_ID.to_owned())),
            ("SentTimestamp", Some(self.sent.to_string())),
            ("ApproximateReceiveCount", Some(receive_count.to_string())),
            ("ApproximateFirstReceiveTimestamp", Some(first_received.to_string())),
            ("AWSTraceHeader", self.trace_header),
            ("MessageGroupId", self.group_id),
            ("DeadLetterQueueSourceArn", self.dead_letter_source),
        ];
        Ok(Message {
            message_id: self.message_id,
            receipt_handle: Handle { queue: queue.id, message: self.id, receipt }.to_string(),
            md5_of_body: md5_of_body(&self.body),
            body: self.body,
            attributes: serde_json::from_str(&self.attributes)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))?,
            system: always.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        })
    }
}

/// What a receipt handle says: `receipt` is random, so it cannot be guessed.
struct Handle {
    queue: i64,
    message: i64,
    receipt: String,
}

impl Handle {
    fn parse(text: &str) -> Option<Self> {
        let decoded = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = decoded.splitn(3, ':');
        Some(Self { queue: parts.next()?.parse().ok()?, message: parts.next()?.parse().ok()?, receipt: parts.next()?.to_owned() })
    }
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}:{}", self.queue, self.message, self.receipt)))
    }
}
