//! A queue's attributes: what they may be, and how the API and the database write them.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::{Value, json};
use tintype_template::deployment;

use super::{Error, message::MAX_BYTES, store::Millis};
use crate::{ACCOUNT_ID, REGION};

/// A queue's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub arn: String,
    /// How long a received message stays hidden.
    pub visibility: Millis,
    /// How long a message is kept.
    pub retention: Millis,
    /// How long a new message stays hidden, unless it says otherwise.
    pub delay: Millis,
    /// How long a receive waits, unless it says otherwise.
    pub wait: Millis,
    /// Most bytes of a message.
    pub max_bytes: usize,
    pub redrive: Option<Redrive>,
}

/// When and where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub dead_letter_arn: String,
    pub max_receive_count: u32,
}

/// A queue of the database.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub id: i64,
    pub name: String,
    pub settings: Settings,
    pub created: Millis,
    /// When its attributes last changed.
    pub modified: Millis,
}

const COLUMNS: &str = "id, name, arn, visibility_ms, retention_ms, delay_ms, wait_ms, max_bytes, dead_letter_arn, max_receive_count, \
                       created_ms, modified_ms";

impl Queue {
    pub(super) fn find(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<Self>> {
        tx.prepare_cached(&format!("SELECT {COLUMNS} FROM queues WHERE name = ?1"))?.query_row([name], Self::read).optional()
    }

    pub(super) fn find_by_id(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<Self>> {
        tx.prepare_cached(&format!("SELECT {COLUMNS} FROM queues WHERE id = ?1"))?.query_row([id], Self::read).optional()
    }

    pub(super) fn find_by_arn(tx: &Transaction<'_>, arn: &str) -> rusqlite::Result<Option<Self>> {
        tx.prepare_cached(&format!("SELECT {COLUMNS} FROM queues WHERE arn = ?1"))?.query_row([arn], Self::read).optional()
    }

    /// The names of the queues whose messages end here.
    pub(super) fn sources(tx: &Transaction<'_>, dead_letter_arn: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = tx.prepare_cached("SELECT name FROM queues WHERE dead_letter_arn = ?1 ORDER BY name")?;
        statement.query_map([dead_letter_arn], |row| row.get(0))?.collect()
    }

    pub(super) fn names(tx: &Transaction<'_>, prefix: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = tx.prepare_cached("SELECT name FROM queues WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")?;
        statement.query_map([prefix], |row| row.get(0))?.collect()
    }

    /// Makes the queue, or gives it these settings, and returns its id.
    pub(super) fn save(tx: &Transaction<'_>, name: &str, settings: &Settings, now: Millis) -> rusqlite::Result<i64> {
        let redrive = settings.redrive.as_ref();
        tx.prepare_cached(
            "INSERT INTO queues (name, arn, visibility_ms, retention_ms, delay_ms, wait_ms, max_bytes,
                 dead_letter_arn, max_receive_count, created_ms, modified_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
             ON CONFLICT (name) DO UPDATE SET arn = ?2, visibility_ms = ?3, retention_ms = ?4, delay_ms = ?5, wait_ms = ?6,
                 max_bytes = ?7, dead_letter_arn = ?8, max_receive_count = ?9, modified_ms = ?10
             RETURNING id",
        )?
        .query_row(
            params![
                name,
                settings.arn,
                settings.visibility,
                settings.retention,
                settings.delay,
                settings.wait,
                settings.max_bytes,
                redrive.map(|redrive| &redrive.dead_letter_arn),
                redrive.map(|redrive| redrive.max_receive_count),
                now,
            ],
            |row| row.get(0),
        )
    }

    /// Removes the queue with all that it has.
    pub(super) fn delete(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for table in
            ["DELETE FROM messages WHERE queue = ?1", "DELETE FROM tags WHERE queue = ?1", "DELETE FROM move_tasks WHERE source = ?1"]
        {
            tx.execute(table, [self.id])?;
        }
        tx.execute("DELETE FROM queues WHERE id = ?1", [self.id])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let dead_letter_arn: Option<String> = row.get("dead_letter_arn")?;
        let max_receive_count: Option<u32> = row.get("max_receive_count")?;
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            settings: Settings {
                arn: row.get("arn")?,
                visibility: row.get("visibility_ms")?,
                retention: row.get("retention_ms")?,
                delay: row.get("delay_ms")?,
                wait: row.get("wait_ms")?,
                max_bytes: row.get("max_bytes")?,
                redrive: dead_letter_arn
                    .zip(max_receive_count)
                    .map(|(dead_letter_arn, max_receive_count)| Redrive { dead_letter_arn, max_receive_count }),
            },
            created: row.get("created_ms")?,
            modified: row.get("modified_ms")?,
        })
    }
}

/// The attributes that can be set and are whole numbers, with their ranges.
const NUMBERS: [(&str, i64, i64); 5] = [
    ("VisibilityTimeout", 0, 43_200),
    ("MessageRetentionPeriod", 60, 1_209_600),
    ("DelaySeconds", 0, 900),
    ("ReceiveMessageWaitTimeSeconds", 0, 20),
    ("MaximumMessageSize", 1024, 1_048_576),
];

/// The attributes that AWS knows and this machine does not have: FIFO queues, permissions, encryption.
const NOT_EMULATED: [&str; 9] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

/// The attributes that [`Settings::attributes`] has not, but the queue.
const READ_ONLY: [&str; 5] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// Whether a client may ask for an attribute of this name; one that is not set is left out of the answer.
pub(super) fn is_attribute(name: &str) -> bool {
    matches!(name, "All" | "QueueArn" | "RedrivePolicy")
        || NUMBERS.iter().any(|(number, ..)| *number == name)
        || NOT_EMULATED.contains(&name)
        || READ_ONLY.contains(&name)
}

impl Settings {
    /// AWS' defaults.
    pub(super) fn new(name: &str) -> Self {
        Self {
            arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"),
            visibility: 30_000,
            retention: 345_600_000,
            delay: 0,
            wait: 0,
            max_bytes: MAX_BYTES,
            redrive: None,
        }
    }

    /// What the template declares.
    pub(super) fn declared(queue: &deployment::Queue) -> Self {
        Self {
            arn: queue.arn.clone(),
            visibility: millis(queue.visibility_timeout),
            retention: millis(queue.retention),
            delay: millis(queue.delay),
            wait: millis(queue.receive_wait),
            max_bytes: queue.max_message_bytes,
            redrive: queue
                .redrive
                .as_ref()
                .map(|redrive| Redrive { dead_letter_arn: redrive.dead_letter_arn.clone(), max_receive_count: redrive.max_receive_count }),
        }
    }

    /// Changes the attributes that are named, as `CreateQueue` and `SetQueueAttributes` write them.
    pub(super) fn set(&mut self, attributes: &BTreeMap<String, String>) -> Result<(), Error> {
        for (name, value) in attributes {
            if name == "RedrivePolicy" {
                self.redrive = redrive_policy(value)?;
                continue;
            }
            if NOT_EMULATED.contains(&&**name) {
                return Err(Error::Unsupported(format!("The queue attribute {name}")));
            }
            let Some((_, min, max)) = NUMBERS.iter().find(|(number, ..)| number == name) else {
                return Err(Error::InvalidAttributeName(name.clone()));
            };
            let number = value.parse().ok().filter(|number| (*min..=*max).contains(number));
            self.set_number(name, number.ok_or_else(|| Error::InvalidAttributeValue(name.clone()))?);
        }
        Ok(())
    }

    /// `number` is in the attribute's range.
    fn set_number(&mut self, name: &str, number: i64) {
        match name {
            "VisibilityTimeout" => self.visibility = number * 1000,
            "MessageRetentionPeriod" => self.retention = number * 1000,
            "DelaySeconds" => self.delay = number * 1000,
            "ReceiveMessageWaitTimeSeconds" => self.wait = number * 1000,
            _ => self.max_bytes = usize::try_from(number).unwrap_or(MAX_BYTES),
        }
    }

    /// The attributes as `GetQueueAttributes` writes them, those of the messages apart.
    pub(super) fn attributes(&self) -> BTreeMap<&'static str, String> {
        let mut attributes = BTreeMap::from([
            ("QueueArn", self.arn.clone()),
            ("VisibilityTimeout", (self.visibility / 1000).to_string()),
            ("MessageRetentionPeriod", (self.retention / 1000).to_string()),
            ("DelaySeconds", (self.delay / 1000).to_string()),
            ("ReceiveMessageWaitTimeSeconds", (self.wait / 1000).to_string()),
            ("MaximumMessageSize", self.max_bytes.to_string()),
        ]);
        if let Some(redrive) = &self.redrive {
            let policy = json!({"deadLetterTargetArn": redrive.dead_letter_arn, "maxReceiveCount": redrive.max_receive_count});
            attributes.insert("RedrivePolicy", policy.to_string());
        }
        attributes
    }
}

/// An empty policy takes the dead-letter queue away.
fn redrive_policy(text: &str) -> Result<Option<Redrive>, Error> {
    let refused = || Error::InvalidAttributeValue("RedrivePolicy".to_owned());
    if text.is_empty() {
        return Ok(None);
    }
    let policy: Value = serde_json::from_str(text).map_err(|_| refused())?;
    let dead_letter_arn = policy["deadLetterTargetArn"].as_str().ok_or_else(refused)?.to_owned();
    // The CLI's users write the count as a string as often as not, and AWS takes both.
    let count = &policy["maxReceiveCount"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    let max_receive_count = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1000).contains(count));
    Ok(Some(Redrive { dead_letter_arn, max_receive_count: max_receive_count.ok_or_else(refused)? }))
}

/// Whole milliseconds, as the database counts.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
