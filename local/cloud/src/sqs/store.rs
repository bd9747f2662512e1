//! The state machine of messages, on SQLite. Time is a parameter, so that tests are exact.
//!
//! A message is *delayed* until `visible_ms`, then *visible*. A receive hides it until a later
//! `visible_ms` and gives it a new `receipt`; the handle with that receipt is the one that deletes it.
//! Received more often than its queue allows, it moves to the dead-letter queue instead. It is gone
//! when it is deleted or older than the queue's retention.

use std::{collections::BTreeSet, path::Path};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rusqlite::{OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use tintype_chaos::{Fault, Place};
use uuid::Uuid;

use super::{
    Error, Message, NewMessage, Sent,
    attribute::md5,
    moves,
    queue::{Queue, Settings, millis},
    receive::{self, InFlight},
    schema,
};
use crate::{
    ACCOUNT_ID,
    state::{self, Control},
};

/// Milliseconds: since 1970, or between two such times.
pub(super) type Millis = i64;

/// The queues and their messages.
#[derive(Debug, Clone)]
pub(super) struct Store {
    database: Control,
}

/// What a receive did.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub messages: Vec<Message>,
    /// Nothing was received because as many are in flight as may be.
    pub is_full: bool,
    /// The queues that have more visible messages now: some were moved, or copied.
    pub grown: BTreeSet<String>,
    /// When there may be a message that was not visible now.
    pub next_visible: Option<Millis>,
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
        database.with(schema::prepare)?;
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
    pub(super) fn on_queue<T>(&self, name: &str, f: impl FnOnce(&Transaction<'_>, &Queue) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.transaction(|tx| Queue::find(tx, name)?.map(|queue| f(tx, &queue)).transpose())?.ok_or(Error::NoSuchQueue)
    }

    pub(super) fn queue(&self, name: &str) -> Result<Queue, Error> {
        self.on_queue(name, |_, queue| Ok(queue.clone()))
    }

    pub(super) fn save_queue(&self, name: &str, settings: &Settings, now: Millis) -> Result<(), state::Error> {
        self.transaction(|tx| Queue::save(tx, name, settings, now))?;
        Ok(())
    }

    pub(super) fn delete_queue(&self, name: &str) -> Result<(), Error> {
        self.on_queue(name, |tx, queue| queue.delete(tx))
    }

    pub(super) fn send(&self, name: &str, message: &NewMessage, now: Millis) -> Result<Sent, Error> {
        let sent = message.sent_as(Uuid::new_v4().to_string());
        let attributes = serde_json::json!(message.attributes);
        self.on_queue(name, |tx, queue| {
            if let Err(too_large) = message.check_size(queue.settings.max_bytes) {
                return Ok(Err(too_large));
            }
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
                now + message.delay.map_or(queue.settings.delay, millis),
            ])?;
            Ok(Ok(()))
        })??;
        Ok(sent)
    }

    /// Hides up to `max` visible messages for `visibility`, or for the queue's own timeout, and
    /// returns them; those that have been received too often move away instead.
    ///
    /// Chaos may draw them at random, and may deliver any of them once more.
    pub(super) fn receive(
        &self,
        name: &str,
        max: usize,
        visibility: Option<Millis>,
        now: Millis,
        chaos: &Place,
    ) -> Result<Received, Error> {
        self.on_queue(name, |tx, queue| {
            expire(tx, queue, now)?;
            let mut grown = moves::advance(tx, now)?;
            grown.extend(move_exhausted(tx, queue, now)?);
            let in_flight = InFlight::count(tx, queue, now)?;
            let room = in_flight.room();
            if room == 0 {
                let next_visible = next_visible(tx, queue, now)?;
                return Ok(Received { messages: Vec::new(), is_full: true, grown, next_visible });
            }
            let until = now.saturating_add(visibility.unwrap_or(queue.settings.visibility));
            let max = max.min(usize::try_from(room).unwrap_or(usize::MAX));
            let mut messages = Vec::new();
            for id in receive::choose(tx, queue, max, in_flight, now, chaos)? {
                messages.push(hide(tx, queue, id, until, now)?);
                if chaos.strikes(Fault::Duplicate) && copy(tx, id, now)? > 0 {
                    grown.insert(queue.name.clone());
                }
            }
            // Of the same moment as the look: what turned visible between two moments would be missed by both.
            let next_visible = if messages.is_empty() { next_visible(tx, queue, now)? } else { None };
            Ok(Received { messages, is_full: false, grown, next_visible })
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
                tx.prepare_cached("UPDATE messages SET visible_ms = ?2 WHERE id = ?1")?
                    .execute([handle.message, now.saturating_add(timeout)])?;
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

    pub(super) fn counts(&self, name: &str, now: Millis) -> Result<Counts, Error> {
        self.on_queue(name, |tx, queue| {
            expire(tx, queue, now)?;
            moves::advance(tx, now)?;
            let count = |filter: &str| {
                let sql = format!("SELECT count(*) FROM messages WHERE queue = ?1 AND {filter}");
                tx.prepare_cached(&sql)?.query_row([queue.id, now], |row| row.get::<_, u64>(0))
            };
            // Each is answered by an index alone; those that are delayed have none of their own.
            let visible = count("visible_ms <= ?2")?;
            let hidden = count("visible_ms > ?2")?;
            let in_flight = count("visible_ms > ?2 AND receipt IS NOT NULL")?;
            Ok(Counts { visible, in_flight, delayed: hidden - in_flight })
        })
    }
}

/// When a hidden message turns visible next, or a task may move one here.
fn next_visible(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<Option<Millis>> {
    let next_shown: Option<Millis> = tx
        .prepare_cached("SELECT min(visible_ms) FROM messages WHERE queue = ?1 AND visible_ms > ?2")?
        .query_row([queue.id, now], |row| row.get(0))?;
    Ok(next_shown.into_iter().chain(moves::next_step(tx)?).min())
}

/// Forgets what is older than the queue keeps, and copies that have been received.
pub(super) fn expire(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_ms <= ?2")?.execute([queue.id, now - queue.settings.retention])?;
    tx.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND visible_ms <= ?2 AND is_copy AND receipt IS NOT NULL")?
        .execute([queue.id, now])?;
    Ok(())
}

/// Moves the visible messages that have been received as often as the queue allows to its dead-letter
/// queue, and returns that queue's name if any moved.
fn move_exhausted(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<Option<String>> {
    let Some(redrive) = &queue.settings.redrive else { return Ok(None) };
    let exhausted: Vec<i64> = tx
        // Whatever was received has a receipt. Left alone, the database would go through all that is visible.
        .prepare_cached(
            "SELECT id FROM messages INDEXED BY messages_received
             WHERE queue = ?1 AND visible_ms <= ?2 AND receive_count >= ?3 AND receipt IS NOT NULL AND NOT is_copy",
        )?
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
pub(super) fn relocate(tx: &Transaction<'_>, message: i64, to: &Queue, source: Option<&str>, now: Millis) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "UPDATE messages SET queue = ?2, dead_letter_source = ?3, visible_ms = ?4,
             receive_count = 0, first_received_ms = NULL, receipt = NULL
         WHERE id = ?1",
    )?
    .execute(params![message, to.id, source, now])
}

/// Hides a message and makes it a received one, with a handle of its own.
fn hide(tx: &Transaction<'_>, queue: &Queue, id: i64, until: Millis, now: Millis) -> rusqlite::Result<Message> {
    let receipt = Uuid::new_v4().simple().to_string();
    tx.prepare_cached(
        "UPDATE messages SET visible_ms = ?2, receive_count = receive_count + 1,
             first_received_ms = coalesce(first_received_ms, ?3), receipt = ?4
         WHERE id = ?1 RETURNING *",
    )?
    .query_row(params![id, until, now, receipt], |row| received(row, Handle { queue: queue.id, message: id, receipt: receipt.clone() }))
}

/// Delivers a message that was just received once more, whatever becomes of it: AWS does when a server that keeps
/// a copy is away for a moment. The copy is visible at once, it is received once, and has no copies.
fn copy(tx: &Transaction<'_>, id: i64, now: Millis) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "INSERT INTO messages (queue, message_id, body, attributes, trace_header, group_id, dead_letter_source,
             sent_ms, visible_ms, receive_count, first_received_ms, is_copy)
         SELECT queue, message_id, body, attributes, trace_header, group_id, dead_letter_source,
             sent_ms, ?2, receive_count, first_received_ms, TRUE
         FROM messages WHERE id = ?1 AND NOT is_copy",
    )?
    .execute([id, now])
}

fn received(row: &Row<'_>, handle: Handle) -> rusqlite::Result<Message> {
    let body: String = row.get("body")?;
    let attributes: String = row.get("attributes")?;
    let number = |name| row.get::<_, Option<i64>>(name).map(|number| number.map(|number| number.to_string()));
    let system = [
        ("SenderId", Some(ACCOUNT_ID.to_owned())),
        ("SentTimestamp", number("sent_ms")?),
        ("ApproximateReceiveCount", number("receive_count")?),
        ("ApproximateFirstReceiveTimestamp", number("first_received_ms")?),
        ("AWSTraceHeader", row.get("trace_header")?),
        ("MessageGroupId", row.get("group_id")?),
        ("DeadLetterQueueSourceArn", row.get("dead_letter_source")?),
    ];
    Ok(Message {
        message_id: row.get("message_id")?,
        receipt_handle: handle.to_string(),
        md5_of_body: md5(body.as_bytes()),
        body,
        attributes: serde_json::from_str(&attributes)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))?,
        system: system.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
    })
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
