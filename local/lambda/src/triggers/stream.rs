//! DynamoDB stream event source mappings: records in order, none skipped, none lost.
//!
//! The position in the stream is stored after the function has succeeded (or the on-failure
//! destination has taken the batch), so that a crash repeats records and never skips any.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use rusqlite::OptionalExtension;
use serde_json::json;
use tintype_cloud::{
    say,
    sqs::Queues,
    state::{self, Control},
};
use tintype_template::deployment::StreamTrigger;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    batch::failed_items,
    filter::Pattern,
    reader::{Reader, Record},
    title,
};
use crate::{
    Error,
    destination::{self, Failure},
    invocation::{Invocation, InvokeError},
    pool::Pool,
    stop::stopped,
};

/// Pauses between looks at a stream: short after a record came, then longer and longer. A look costs
/// an indexed query in this process.
const SHORTEST_IDLE: Duration = Duration::from_millis(10);
const LONGEST_IDLE: Duration = Duration::from_millis(100);

/// Pauses between attempts at a batch, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Makes the table of positions.
pub(super) fn prepare(control: &Control) -> Result<(), state::Error> {
    control.with(|database| {
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS stream_positions (
                mapping TEXT PRIMARY KEY,
                -- The last record that is done.
                sequence_number TEXT NOT NULL
            ) STRICT;",
        )
    })
}

/// One mapping. An emulated stream has one shard, so one task keeps the order.
struct Mapping {
    trigger: StreamTrigger,
    filters: Vec<Pattern>,
    pool: Arc<Pool>,
    queues: Queues,
    control: Control,
    reader: Reader,
    stop: watch::Receiver<bool>,
}

/// The host stops, and what is in hand is left as it is.
struct Stopped;

/// Records that are tried together.
struct Piece<'a> {
    records: &'a [Record],
    /// How often the function has failed on them.
    attempts: u32,
}

pub(super) fn start(
    trigger: &StreamTrigger,
    pool: &Arc<Pool>,
    queues: &Queues,
    database: &dynoxide::Database,
    control: &Control,
    stop: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Error> {
    let filters = trigger.filters.iter().map(Pattern::parse).collect::<Result<_, _>>();
    let mapping = Mapping {
        trigger: trigger.clone(),
        filters: filters.map_err(|source| Error::Filter { id: trigger.id.clone(), function: pool.function.name.clone(), source })?,
        pool: Arc::clone(pool),
        queues: queues.clone(),
        control: control.clone(),
        reader: Reader::new(database.clone(), &trigger.table, &pool.function.arn),
        stop: stop.clone(),
    };
    let position = mapping.position()?;
    Ok(tokio::spawn(async move {
        // Ends when the host stops; there is nobody to tell.
        let Err(Stopped) = mapping.run(position).await;
    }))
}

impl Mapping {
    async fn run(mut self, mut position: Option<String>) -> Result<Infallible, Stopped> {
        let mut idle = SHORTEST_IDLE;
        loop {
            let (records, last) = self.gather(position.clone()).await?;
            if last == position {
                self.sleep(idle).await?;
                idle = (idle * 2).min(LONGEST_IDLE);
                continue;
            }
            idle = SHORTEST_IDLE;
            for batch in records.chunks(self.trigger.batch_size.max(1)) {
                self.work_on(batch).await?;
            }
            // Also past records that no filter let through.
            self.done_until(last.as_deref());
            position = last;
        }
    }

    /// Reads on after a position, and once a record has passed the filters for as long as the window
    /// lasts or until a batch is full. Returns those that pass, and the position after all.
    async fn gather(&mut self, mut position: Option<String>) -> Result<(Vec<Record>, Option<String>), Stopped> {
        let mut passed = Vec::new();
        let mut window_ends = None;
        loop {
            match self.reader.read(position.clone()).await {
                Ok(records) => {
                    if let Some(last) = records.last() {
                        position = Some(last.sequence_number.clone());
                    }
                    passed.extend(records.into_iter().filter(|record| self.passes(record)));
                }
                Err(error) => {
                    self.say(&error);
                    self.sleep(LONGEST_RETRY).await?;
                }
            }
            if passed.is_empty() || passed.len() >= self.trigger.batch_size {
                return Ok((passed, position));
            }
            let ends = *window_ends.get_or_insert_with(|| Instant::now() + self.trigger.window);
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok((passed, position));
            }
            self.sleep(left.min(LONGEST_IDLE)).await?;
        }
    }

    fn passes(&self, record: &Record) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(&record.event))
    }

    /// Tries a batch, and what failed of it, until all of it is done or given up.
    async fn work_on(&mut self, batch: &[Record]) -> Result<(), Stopped> {
        // The earliest on top: the order of the stream is kept.
        let mut pieces = vec![Piece { records: batch, attempts: 0 }];
        let mut pause = FIRST_RETRY;
        while let Some(piece) = pieces.pop() {
            let (request_id, outcome) = self.invoke(piece.records).await;
            let (succeeded, error) = match outcome {
                Ok(()) => {
                    self.done_until(last_of(piece.records));
                    pause = FIRST_RETRY;
                    continue;
                }
                Err((_, InvokeError::Stopping)) => return Err(Stopped),
                // It has not begun, which is no attempt.
                Err((_, InvokeError::Throttled)) => {
                    self.sleep(pause).await?;
                    pause = (pause * 2).min(LONGEST_RETRY);
                    pieces.push(piece);
                    continue;
                }
                Err(failure) => failure,
            };
            let (done, failed) = piece.records.split_at(succeeded);
            self.done_until(last_of(done));
            let attempts = piece.attempts + 1;
            if self.trigger.bisect && failed.len() > 1 {
                // Cutting is no attempt: each half has as many left as the whole had.
                let (head, tail) = failed.split_at(failed.len() / 2);
                pieces.push(Piece { records: tail, attempts: piece.attempts });
                pieces.push(Piece { records: head, attempts: piece.attempts });
            } else if self.trigger.max_retries.is_some_and(|most| attempts > most) {
                self.give_up(failed, &request_id, attempts, &error).await?;
            } else {
                self.sleep(pause).await?;
                pause = (pause * 2).min(LONGEST_RETRY);
                pieces.push(Piece { records: failed, attempts });
            }
        }
        Ok(())
    }

    /// Invokes the function with records. On failure it says how many of them, from the first,
    /// succeeded all the same.
    async fn invoke(&self, records: &[Record]) -> (String, Result<(), (usize, InvokeError)>) {
        let events: Vec<_> = records.iter().map(|record| &record.event).collect();
        let payload = Bytes::from(json!({ "Records": events }).to_string());
        let invocation = Invocation::batch(payload);
        let request_id = invocation.request_id.clone();
        let outcome = match self.pool.invoke(invocation).await {
            Ok(answer) if self.trigger.partial_failures => first_failure(records, answer),
            Ok(_) => Ok(()),
            Err(error) => Err((0, error)),
        };
        (request_id, outcome)
    }

    /// Tells the on-failure destination of records that are tried no more, and goes past them.
    async fn give_up(&mut self, records: &[Record], request_id: &str, attempts: u32, error: &InvokeError) -> Result<(), Stopped> {
        let info = self.reader.batch_info(records);
        let said = String::from_utf8_lossy(&error.payload()).into_owned();
        self.say(&format!("gave up records, attempts {attempts}, {info}: {said}"));
        if let Some(queue_arn) = self.trigger.on_failure.clone() {
            let function_arn = self.pool.function.arn.clone();
            let failure = Failure { request_id, function_arn: &function_arn, condition: "RetryAttemptsExhausted", attempts, error };
            let record = failure.stream(info);
            // Not past them before they are kept elsewhere.
            while let Err(error) = destination::send(&self.queues, &queue_arn, &record) {
                self.say(&error.to_string());
                self.sleep(LONGEST_RETRY).await?;
            }
        }
        self.done_until(last_of(records));
        Ok(())
    }

    fn position(&self) -> Result<Option<String>, state::Error> {
        self.control.with(|database| {
            database
                .query_row("SELECT sequence_number FROM stream_positions WHERE mapping = ?1", [&self.trigger.id], |row| row.get(0))
                .optional()
        })
    }

    /// Stores how far the function has come.
    fn done_until(&self, position: Option<&str>) {
        let Some(position) = position else { return };
        let stored = self.control.with(|database| {
            database.execute(
                "INSERT INTO stream_positions (mapping, sequence_number) VALUES (?1, ?2)
                 ON CONFLICT (mapping) DO UPDATE SET sequence_number = excluded.sequence_number",
                [&self.trigger.id, position],
            )
        });
        if let Err(error) = stored {
            // It goes on: after a restart the records since the last stored position come again.
            self.say(&error.to_string());
        }
    }

    async fn sleep(&mut self, pause: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = stopped(&mut self.stop) => Err(Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    fn say(&self, line: &str) {
        say(title(&self.pool), &format!("stream mapping {}: {line}", self.trigger.id));
    }
}

/// The first record that the answer names is where to go on; those behind it are repeated.
fn first_failure(records: &[Record], answer: Bytes) -> Result<(), (usize, InvokeError)> {
    let numbers: Vec<_> = records.iter().map(|record| &*record.sequence_number).collect();
    let first = match failed_items(&answer, &numbers) {
        Some(failed) if failed.is_empty() => return Ok(()),
        Some(failed) => numbers.iter().position(|number| failed.contains(*number)),
        None => None,
    };
    Err((first.unwrap_or(0), InvokeError::FunctionError { payload: answer }))
}

fn last_of(records: &[Record]) -> Option<&str> {
    records.last().map(|record| &*record.sequence_number)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
