//! Asynchronous invocations: stored before they are accepted, delivered at least once.
//!
//! A row goes when the function has succeeded, or is given up: then what its on-failure destination is to be
//! told takes its place ([`Failures`]). An attempt that the host's end cuts short does not count.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rusqlite::params;
use tintype_cloud::{
    say,
    sqs::Queues,
    state::{self, Control},
    unix_millis as now,
};
use tokio::{
    sync::{Notify, watch},
    task::{self, JoinError, JoinSet},
};
use uuid::Uuid;

use crate::{
    destination::Failure,
    failures::Failures,
    invocation::{Invocation, InvokeError},
    pool::Pool,
    stop::stopped,
};

/// The pause before the first retry, doubled before each later one. AWS waits 1 min, then 2; who
/// sits before this machine waits for the outcome.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before a throttled event is tried again, which is AWS'. The first is [`RETRY_PAUSE`], and each is twice
/// the one before.
const LONGEST_THROTTLE: Duration = Duration::from_mins(5);

/// The pause after the database failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// The stored invocations of all functions.
pub(crate) struct Asynchronous {
    control: Control,
    failures: Arc<Failures>,
    /// By function name.
    outlets: HashMap<String, Outlet>,
    /// How often events in a row were throttled.
    throttles: Mutex<HashMap<Uuid, u32>>,
    /// Unix milliseconds
    opened_at: i64,
    stop: watch::Sender<bool>,
}

/// Where the stored invocations of a function go.
struct Outlet {
    pool: Arc<Pool>,
    /// Told of new rows.
    news: Arc<Notify>,
}

/// A stored invocation.
#[derive(Debug)]
struct Row {
    id: Uuid,
    payload: Vec<u8>,
    /// How often it has failed.
    attempts: u32,
    /// Unix milliseconds
    due_at: i64,
    /// Unix milliseconds
    created_at: i64,
}

impl Asynchronous {
    pub(crate) fn open(control: Control, queues: Queues, pools: &HashMap<String, Arc<Pool>>) -> Result<Self, state::Error> {
        control.with(|database| {
            database.execute_batch(
                "CREATE TABLE IF NOT EXISTS invocations (
                    id TEXT PRIMARY KEY,
                    function TEXT NOT NULL,
                    payload BLOB NOT NULL,
                    attempts INTEGER NOT NULL DEFAULT 0,
                    due_at INTEGER NOT NULL,
                    created_at INTEGER NOT NULL,
                    -- What makes at most one stored invocation at a time: a schedule's rule.
                    source TEXT UNIQUE
                ) STRICT;
                CREATE INDEX IF NOT EXISTS invocations_due ON invocations (function, due_at);",
            )
        })?;
        let outlets = pools.iter().map(|(name, pool)| (name.clone(), Outlet { pool: Arc::clone(pool), news: Arc::default() })).collect();
        let failures = Arc::new(Failures::open(control.clone(), queues)?);
        Ok(Self { control, failures, outlets, throttles: Mutex::default(), opened_at: now(), stop: watch::channel(false).0 })
    }

    /// Stores an invocation under the id that is returned. With a `source`, only if none from there is stored.
    pub(crate) fn store(&self, function: &str, payload: &[u8], source: Option<&str>) -> Result<Uuid, state::Error> {
        let Some(outlet) = self.outlets.get(function) else {
            return Err(state::Error::Mismatch(format!("there is no function {function}")));
        };
        let id = Uuid::now_v7();
        let now = now();
        self.control.with(|database| {
            database.execute(
                "INSERT INTO invocations (id, function, payload, due_at, created_at, source)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (source) DO NOTHING",
                params![id.to_string(), function, payload, now, source],
            )
        })?;
        outlet.news.notify_one();
        Ok(id)
    }

    /// Starts delivering, also what an earlier process has stored.
    pub(crate) fn start(self: &Arc<Self>) {
        for outlet in self.outlets.values() {
            let courier = Courier {
                asynchronous: Arc::clone(self),
                pool: Arc::clone(&outlet.pool),
                news: Arc::clone(&outlet.news),
                attempts: JoinSet::new(),
                in_hand: HashMap::new(),
            };
            tokio::spawn(courier.run(self.stop.subscribe()));
        }
        tokio::spawn(Arc::clone(&self.failures).deliver(self.stop.subscribe()));
    }

    /// Delivers no more, and waits until nothing is being delivered: until the pools have stopped, or
    /// the functions have done what they have in hand.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.stop.closed().await;
    }

    async fn attempt(&self, pool: &Arc<Pool>, row: &Row) {
        let outcome = if pool.limit == 0 {
            self.give_up(pool, row, "ZeroReservedConcurrency", row.attempts, None)
        } else if self.is_too_old(pool, row, now()) {
            self.give_up(pool, row, "EventAgeExceeded", row.attempts, None)
        } else {
            match pool.invoke(Invocation::stored(row.id, Bytes::copy_from_slice(&row.payload))).await {
                Err(InvokeError::Throttled) => self.throttled(pool, row),
                Err(InvokeError::Stopping) => Ok(()),
                result => {
                    self.throttles().remove(&row.id);
                    result.map_or_else(|error| self.failed(pool, row, &error), |_| self.remove(row.id))
                }
            }
        };
        if let Err(error) = outcome {
            say(&pool.function.binary, &format!("asynchronous invocation {}: {error}", row.id));
            // Still stored, and due: not at once again.
            tokio::time::sleep(TROUBLE_PAUSE).await;
        }
    }

    /// Puts off an invocation that has not begun, which is no attempt, or gives it up.
    fn throttled(&self, pool: &Pool, row: &Row) -> Result<(), state::Error> {
        let before = {
            let mut throttles = self.throttles();
            let times = throttles.entry(row.id).or_default();
            *times += 1;
            *times - 1
        };
        let due_at = now() + millis(throttle_pause(before));
        if self.is_too_old(pool, row, due_at) {
            return self.give_up(pool, row, "EventAgeExceeded", row.attempts, None);
        }
        self.postpone(row.id, row.attempts, due_at)
    }

    /// Puts a failed invocation off, or gives it up.
    fn failed(&self, pool: &Pool, row: &Row, error: &InvokeError) -> Result<(), state::Error> {
        let attempts = row.attempts + 1;
        let due_at = now() + millis(RETRY_PAUSE).saturating_mul(1 << row.attempts.min(16));
        if attempts > pool.function.asynchronous.max_retries {
            self.give_up(pool, row, "RetriesExhausted", attempts, Some(error))
        } else if self.is_too_old(pool, row, due_at) {
            self.give_up(pool, row, "EventAgeExceeded", attempts, Some(error))
        } else {
            self.postpone(row.id, attempts, due_at)
        }
    }

    /// Whether an event is too old at this time to be tried then. The time before this host started is forgiven: on AWS
    /// somebody would have tried it meanwhile, and this machine may have been off for days.
    fn is_too_old(&self, pool: &Pool, row: &Row, at: i64) -> bool {
        at - row.created_at.max(self.opened_at) > millis(pool.function.asynchronous.max_age)
    }

    /// Leaves an event to the function's on-failure destination, if it has one.
    fn give_up(&self, pool: &Pool, row: &Row, condition: &str, attempts: u32, error: Option<&InvokeError>) -> Result<(), state::Error> {
        let function = &pool.function;
        let said = error.map(|error| format!(": {}", String::from_utf8_lossy(&error.payload()))).unwrap_or_default();
        say(&function.binary, &format!("gave up an event, {condition}, attempts {attempts}{said}"));
        self.throttles().remove(&row.id);
        let Some(queue_arn) = &function.asynchronous.on_failure else { return self.remove(row.id) };
        let id = row.id.to_string();
        let failure = Failure { request_id: &id, function_arn: &function.arn, condition, attempts, error };
        let record = failure.asynchronous(&row.payload);
        self.control.with(|database| {
            let tx = database.transaction()?;
            tx.execute("DELETE FROM invocations WHERE id = ?1", [&id])?;
            Failures::store(&tx, row.id, &function.binary, queue_arn, &record)?;
            tx.commit()
        })?;
        self.failures.stored();
        Ok(())
    }

    /// The invocations of a function that are due first.
    fn oldest(&self, function: &str, limit: usize) -> Result<Vec<Row>, state::Error> {
        self.control.with(|database| {
            database
                .prepare_cached(
                    "SELECT id, payload, attempts, due_at, created_at FROM invocations
                     WHERE function = ?1 ORDER BY due_at LIMIT ?2",
                )?
                .query_map(params![function, limit], |row| {
                    let id: String = row.get(0)?;
                    Ok(Row {
                        id: id.parse().unwrap_or_default(),
                        payload: row.get(1)?,
                        attempts: row.get(2)?,
                        due_at: row.get(3)?,
                        created_at: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    fn postpone(&self, id: Uuid, attempts: u32, due_at: i64) -> Result<(), state::Error> {
        self.control.with(|database| {
            database
                .execute("UPDATE invocations SET attempts = ?2, due_at = ?3 WHERE id = ?1", params![id.to_string(), attempts, due_at])
                .map(drop)
        })
    }

    fn throttles(&self) -> MutexGuard<'_, HashMap<Uuid, u32>> {
        self.throttles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: Uuid) -> Result<(), state::Error> {
        self.control.with(|database| database.execute("DELETE FROM invocations WHERE id = ?1", params![id.to_string()]).map(drop))
    }
}

/// Delivers the invocations of one function, as many at once as it may have workers.
struct Courier {
    asynchronous: Arc<Asynchronous>,
    pool: Arc<Pool>,
    news: Arc<Notify>,
    attempts: JoinSet<()>,
    /// What is being attempted, by the attempt's task: that is known also of one that panics.
    in_hand: HashMap<task::Id, Uuid>,
}

impl Courier {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let next_due = self.attempt_what_is_due().unwrap_or_else(|error| {
                say(&self.pool.function.binary, &format!("stored invocations: {error}"));
                Some(TROUBLE_PAUSE)
            });
            tokio::select! {
                () = stopped(&mut stop) => break,
                () = self.news.notified() => {}
                () = sleep(next_due) => {}
                Some(ended) = self.attempts.join_next_with_id() => self.attempt_ended(ended).await,
            }
        }
        while self.attempts.join_next().await.is_some() {}
    }

    /// Begins as many attempts as there is room for, and says how long it is until the next is due.
    fn attempt_what_is_due(&mut self) -> Result<Option<Duration>, state::Error> {
        // What is for a function that is off goes to its destination, one after another.
        let room = self.pool.limit.max(1);
        let candidates = room + self.in_hand.len();
        for row in self.asynchronous.oldest(&self.pool.function.name, candidates)? {
            if self.in_hand.len() == room {
                break;
            }
            if self.in_hand.values().any(|id| *id == row.id) {
                continue;
            }
            let early = row.due_at - now();
            if early > 0 {
                return Ok(Some(Duration::from_millis(early.unsigned_abs())));
            }
            let (asynchronous, pool, id) = (Arc::clone(&self.asynchronous), Arc::clone(&self.pool), row.id);
            let attempt = self.attempts.spawn(async move { asynchronous.attempt(&pool, &row).await });
            self.in_hand.insert(attempt.id(), id);
        }
        Ok(None)
    }

    async fn attempt_ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        let id = self.in_hand.remove(&task);
        if let (Err(error), Some(id)) = (ended, id) {
            say(&self.pool.function.binary, &format!("asynchronous invocation {id}: {error}"));
            // Still stored, and due: not at once again.
            tokio::time::sleep(TROUBLE_PAUSE).await;
        }
    }
}

/// The pause before an event is tried again that was throttled as often before.
fn throttle_pause(times: u32) -> Duration {
    RETRY_PAUSE.saturating_mul(1 << times.min(16)).min(LONGEST_THROTTLE)
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Sleeps, forever if for no time.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "asynchronous_tests.rs"]
mod tests;
