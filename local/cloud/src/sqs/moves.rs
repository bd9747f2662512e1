//! Tasks that move the messages of a dead-letter queue back to where they came from, or elsewhere.
//!
//! A task without a rate moves everything at once. One with a rate is due so many messages a second: nothing
//! runs in the background, but whoever looks at queues first does what is due by then ([`advance`]). So a
//! task goes on after a restart as if there had been none.

use std::collections::BTreeSet;

use rusqlite::{
    OptionalExtension as _, Row, Transaction, params,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use uuid::Uuid;

use super::{
    Error,
    queue::Queue,
    store::{Millis, Store, expire, relocate},
};

/// What AWS calls it if a message was not moved here from a queue.
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";
const NO_DESTINATION: &str = "AWS.SimpleQueueService.NonExistentQueue";

/// A task to move messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub id: i64,
    source: i64,
    pub destination_arn: Option<String>,
    /// Messages a second.
    pub per_second: Option<u32>,
    /// How many messages there were at the start.
    pub to_move: u64,
    pub moved: u64,
    pub status: Status,
    /// Why it failed.
    pub failure: Option<String>,
    pub started: Millis,
}

/// What has become of a task. A failed one has moved what it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// As the API and the database write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        let all = [Self::Running, Self::Completed, Self::Failed, Self::Cancelled];
        all.into_iter().find(|status| status.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

impl Task {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            source: row.get("source")?,
            destination_arn: row.get("destination_arn")?,
            per_second: row.get("per_second")?,
            to_move: row.get("to_move")?,
            moved: row.get("moved")?,
            status: row.get("status")?,
            failure: row.get("failure")?,
            started: row.get("started_ms")?,
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    /// How many messages should have been moved by `now`, the first at once.
    fn due(&self, now: Millis) -> u64 {
        let Some(rate) = self.per_second else { return self.to_move };
        let since = now.saturating_sub(self.started).max(0).unsigned_abs();
        (1 + u64::from(rate).saturating_mul(since) / 1000).min(self.to_move)
    }

    /// When the next message is due.
    fn next_step(&self) -> Millis {
        let after = self.per_second.map_or(0, |rate| (self.moved * 1000).div_ceil(u64::from(rate).max(1)));
        self.started.saturating_add_unsigned(after)
    }

    fn save(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        tx.prepare_cached("UPDATE move_tasks SET moved = ?2, status = ?3, failure = ?4 WHERE id = ?1")?.execute(params![
            self.id,
            self.moved,
            self.status.name(),
            self.failure
        ])?;
        Ok(())
    }
}

impl Store {
    /// Starts to move the visible messages of a dead-letter queue to `destination`, or each to where it came from.
    pub(super) fn start_move(&self, source: &str, destination: Option<&str>, per_second: Option<u32>, now: Millis) -> Result<i64, Error> {
        self.transaction(|tx| {
            let Some(queue) = Queue::find_by_arn(tx, source)? else { return Ok(Err(Error::NoSuchResource("SourceArn"))) };
            if Queue::sources(tx, source)?.is_empty() {
                return Ok(refused("Source queue must be configured as a Dead Letter Queue."));
            }
            if destination == Some(source) {
                return Ok(refused("Source queue arn and destination queue arn cannot be the same."));
            }
            if let Some(destination) = destination
                && Queue::find_by_arn(tx, destination)?.is_none()
            {
                return Ok(Err(Error::NoSuchResource("DestinationArn")));
            }
            expire(tx, &queue, now)?;
            advance(tx, now)?;
            let running = tx.prepare_cached("SELECT 1 FROM move_tasks WHERE source = ?1 AND status = 'RUNNING'")?.exists([queue.id])?;
            if running {
                return Ok(refused(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
                ));
            }
            tx.execute(
                "INSERT INTO move_tasks (source, destination_arn, per_second, to_move, started_ms)
                 VALUES (?1, ?2, ?3, (SELECT count(*) FROM messages WHERE queue = ?1 AND visible_ms <= ?4), ?4)",
                params![queue.id, destination, per_second, now],
            )?;
            Ok(Ok(tx.last_insert_rowid()))
        })?
    }

    /// The latest tasks of a queue, the latest first.
    pub(super) fn moves(&self, source: &str, max: usize, now: Millis) -> Result<Vec<Task>, Error> {
        self.transaction(|tx| {
            let Some(queue) = Queue::find_by_arn(tx, source)? else { return Ok(Err(Error::NoSuchResource("SourceArn"))) };
            advance(tx, now)?;
            let mut statement = tx.prepare_cached("SELECT * FROM move_tasks WHERE source = ?1 ORDER BY id DESC LIMIT ?2")?;
            statement.query_map(params![queue.id, max], Task::read)?.collect::<rusqlite::Result<_>>().map(Ok)
        })?
    }

    /// Ends a running task, and returns how many messages it has moved.
    pub(super) fn cancel_move(&self, id: i64, now: Millis) -> Result<u64, Error> {
        self.transaction(|tx| {
            advance(tx, now)?;
            let found = tx.prepare_cached("SELECT * FROM move_tasks WHERE id = ?1")?.query_row([id], Task::read).optional()?;
            let Some(task) = found else { return Ok(Err(Error::NoSuchResource("TaskHandle"))) };
            if !task.is_running() {
                return Ok(refused("Only active tasks can be cancelled."));
            }
            Task { status: Status::Cancelled, ..task.clone() }.save(tx)?;
            Ok(Ok(task.moved))
        })?
    }

    /// Moves what is due, and returns the queues that have more messages now.
    pub(super) fn advance_moves(&self, now: Millis) -> Result<BTreeSet<String>, Error> {
        Ok(self.transaction(|tx| advance(tx, now))?)
    }
}

fn refused<T>(why: &str) -> Result<T, Error> {
    Err(Error::InvalidParameter(why.to_owned()))
}

fn running(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Task>> {
    tx.prepare_cached("SELECT * FROM move_tasks WHERE status = 'RUNNING' ORDER BY id")?.query_map([], Task::read)?.collect()
}

/// When a running task has its next message to move: whoever waits for messages must look then.
pub(super) fn next_step(tx: &Transaction<'_>) -> rusqlite::Result<Option<Millis>> {
    Ok(running(tx)?.iter().map(Task::next_step).min())
}

/// Moves what is due, and returns the names of the queues that have more messages now.
pub(super) fn advance(tx: &Transaction<'_>, now: Millis) -> rusqlite::Result<BTreeSet<String>> {
    let mut grown = BTreeSet::new();
    for mut task in running(tx)? {
        // What its queue keeps no longer does not come to life again in another.
        if let Some(source) = Queue::find_by_id(tx, task.source)? {
            expire(tx, &source, now)?;
        }
        let due = task.due(now).saturating_sub(task.moved);
        let moved = move_messages(tx, &mut task, due, now, &mut grown)?;
        task.moved += moved;
        if task.is_running() && (task.moved >= task.to_move || moved < due) {
            let left = task.destination_arn.is_none()
                && tx
                    .prepare_cached(
                        "SELECT 1 FROM messages WHERE queue = ?1 AND visible_ms <= ?2 AND dead_letter_source IS NULL AND NOT is_copy",
                    )?
                    .exists([task.source, now])?;
            task.failure = left.then(|| NO_SOURCE.to_owned());
            task.status = if left { Status::Failed } else { Status::Completed };
        }
        task.save(tx)?;
    }
    Ok(grown)
}

/// Moves up to `most` visible messages, the oldest first: as new ones, as AWS does.
fn move_messages(tx: &Transaction<'_>, task: &mut Task, most: u64, now: Millis, grown: &mut BTreeSet<String>) -> rusqlite::Result<u64> {
    let waiting: Vec<(i64, Option<String>)> = tx
        .prepare_cached(
            "SELECT id, coalesce(?3, dead_letter_source) FROM messages
             WHERE queue = ?1 AND visible_ms <= ?2 AND coalesce(?3, dead_letter_source) IS NOT NULL AND NOT is_copy
             ORDER BY visible_ms, id LIMIT ?4",
        )?
        .query_map(params![task.source, now, task.destination_arn, most], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut moved = 0;
    for (message, to) in waiting {
        let Some(to) = Queue::find_by_arn(tx, &to.unwrap_or_default())? else {
            task.status = Status::Failed;
            task.failure = Some(NO_DESTINATION.to_owned());
            break;
        };
        relocate(tx, message, &to, None, now)?;
        tx.prepare_cached("UPDATE messages SET message_id = ?2, sent_ms = ?3 WHERE id = ?1")?.execute(params![
            message,
            Uuid::new_v4().to_string(),
            now
        ])?;
        moved += 1;
        grown.insert(to.name);
    }
    Ok(moved)
}
