//! Stored events that were given up, until their on-failure destination has them.
//!
//! The verdict is stored before the destination is told of it: whatever is wrong there, the function is not asked again.

use std::{sync::Arc, time::Duration};

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde_json::Value;
use tintype_cloud::{
    say,
    sqs::{self, Queues},
    state::{self, Control},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::{destination, stop::stopped};

/// The pause after the database failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// Those of all functions.
pub(crate) struct Failures {
    control: Control,
    queues: Queues,
    news: Notify,
}

/// What a destination is to be told.
struct Failure {
    id: String,
    /// Under which name lines about it appear.
    title: String,
    queue_arn: String,
    record: String,
}

impl Failures {
    pub(crate) fn open(control: Control, queues: Queues) -> Result<Self, state::Error> {
        control.with(|database| {
            database.execute_batch(
                "CREATE TABLE IF NOT EXISTS failed_invocations (
                    id TEXT PRIMARY KEY,
                    title TEXT NOT NULL,
                    queue_arn TEXT NOT NULL,
                    -- JSON
                    record TEXT NOT NULL
                ) STRICT;",
            )
        })?;
        Ok(Self { control, queues, news: Notify::new() })
    }

    /// Stores the record of an event that the same transaction removes; [`Failures::stored`] is to follow.
    pub(crate) fn store(tx: &Transaction<'_>, id: Uuid, title: &str, queue_arn: &str, record: &Value) -> rusqlite::Result<()> {
        tx.prepare_cached("INSERT INTO failed_invocations (id, title, queue_arn, record) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id.to_string(), title, queue_arn, record.to_string()])
            .map(drop)
    }

    /// There is a new one.
    pub(crate) fn stored(&self) {
        self.news.notify_one();
    }

    /// Tells the destinations, also of what an earlier process has stored, until the host stops.
    pub(crate) async fn deliver(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let trouble = self.deliver_all().err();
            if let Some(error) = &trouble {
                say("lambda", &format!("events that were given up: {error}"));
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = self.news.notified() => {}
                () = tokio::time::sleep(TROUBLE_PAUSE), if trouble.is_some() => {}
            }
        }
    }

    fn deliver_all(&self) -> Result<(), sqs::Error> {
        while let Some(Failure { id, title, queue_arn, record }) = self.oldest()? {
            let record = serde_json::from_str(&record).unwrap_or(Value::String(record));
            destination::tell(&self.queues, &queue_arn, record, |line| say(&title, &format!("asynchronous invocation {id}: {line}")))?;
            self.control.with(|database| database.execute("DELETE FROM failed_invocations WHERE id = ?1", [&id]).map(drop))?;
        }
        Ok(())
    }

    fn oldest(&self) -> Result<Option<Failure>, state::Error> {
        self.control.with(|database| {
            database
                .prepare_cached("SELECT id, title, queue_arn, record FROM failed_invocations ORDER BY id LIMIT 1")?
                .query_row([], |row| Ok(Failure { id: row.get(0)?, title: row.get(1)?, queue_arn: row.get(2)?, record: row.get(3)? }))
                .optional()
        })
    }
}
