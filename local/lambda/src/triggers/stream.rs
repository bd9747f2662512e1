//! DynamoDB stream event source mappings: records in order, none skipped, none lost.
//!
//! The position in the stream is stored after the function has succeeded (or the on-failure
//! destination has taken the batch), so that a crash repeats records and never skips any.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use rusqlite::OptionalExtension;
use tintype_chaos::{Chaos, Fault, Place};
use tintype_cloud::{
    dynamodb::Streams,
    say,
    sqs::Queues,
    state::{self, Control},
    unix_millis,
};
use tintype_template::deployment::{StartingPosition, StreamTrigger};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    attempts::{Attempts, Piece, Policy, Verdict},
    batch::{self, MOST_BYTES, failed_items},
    discarded::Discarded,
    filter::Pattern,
    reader::{Reader, Record},
    reorder::shuffled,
    title,
};
use crate::{
    Error, destination,
    invocation::{Invocation, InvokeError},
    pool::Pool,
    stop::stopped,
};

/// From one look at a stream to the next: whoever writes a lot is looked at for many writes at once.
const SHORTEST_GAP: Duration = Duration::from_millis(5);

/// A look that nothing gives occasion to: somebody may have written to the database's file by other ways.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// Pauses between attempts at a batch, or at reading, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How old a record may grow that the function has failed on, unless the mapping says less: so long a stream keeps it.
const EXPIRY: Duration = Duration::from_hours(24);

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

/// The last record that a mapping is done with.
pub(super) fn position_of(control: &Control, mapping: &str) -> Result<Option<String>, state::Error> {
    control.with(|database| {
        database.query_row("SELECT sequence_number FROM stream_positions WHERE mapping = ?1", [mapping], |row| row.get(0)).optional()
    })
}

fn store_position(control: &Control, mapping: &str, position: &str) -> Result<(), state::Error> {
    control.with(|database| {
        database
            .prepare_cached(
                "INSERT INTO stream_positions (mapping, sequence_number) VALUES (?1, ?2)
                 ON CONFLICT (mapping) DO UPDATE SET sequence_number = excluded.sequence_number",
            )?
            .execute([mapping, position])
            .map(drop)
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
    writes: watch::Receiver<()>,
    /// When it last looked at the stream.
    looked: Instant,
    chaos: Place,
    stop: watch::Receiver<bool>,
}

/// The host stops, and what is in hand is left as it is.
struct Stopped;

/// What a mapping works with.
pub(super) struct Surroundings<'a> {
    pub(super) queues: &'a Queues,
    pub(super) database: &'a dynoxide::Database,
    pub(super) streams: &'a Streams,
    pub(super) control: &'a Control,
    pub(super) chaos: &'a Chaos,
    pub(super) stop: &'a watch::Receiver<bool>,
}

pub(super) fn start(trigger: &StreamTrigger, pool: &Arc<Pool>, with: &Surroundings<'_>) -> Result<JoinHandle<()>, Error> {
    let filters = trigger.filters.iter().map(Pattern::parse).collect::<Result<_, _>>();
    let mapping = Mapping {
        trigger: trigger.clone(),
        filters: filters.map_err(|source| Error::Filter { id: trigger.id.clone(), function: pool.function.name.clone(), source })?,
        pool: Arc::clone(pool),
        queues: with.queues.clone(),
        control: with.control.clone(),
        reader: Reader::new(with.database.clone(), &trigger.table, &pool.function.arn),
        writes: with.streams.writes(),
        looked: Instant::now(),
        chaos: with.chaos.place("streams"),
        stop: with.stop.clone(),
    };
    let mut position = position_of(with.control, &trigger.id)?;
    if position.is_none() && trigger.start == StartingPosition::Latest {
        let latest = mapping.reader.latest().map_err(|why| Error::Stream { id: trigger.id.clone(), why })?;
        // Else the next start would begin with what is the latest then.
        store_position(with.control, &trigger.id, &latest)?;
        position = Some(latest);
    }
    Ok(tokio::spawn(async move {
        // Ends when the host stops; there is nobody to tell.
        let Err(Stopped) = mapping.run(position).await;
    }))
}

impl Mapping {
    async fn run(mut self, mut position: Option<String>) -> Result<Infallible, Stopped> {
        let mut stored = Instant::now();
        loop {
            let (records, last) = self.gather(position.clone()).await?;
            if last == position {
                self.news(LONGEST_IDLE).await?;
                continue;
            }
            for batch in batch::cut(records.iter().map(|record| record.json.len()), self.trigger.batch_size) {
                self.work_on(&records[batch]).await?;
            }
            // Also past records that no filter let through; of those alone not each time, for they may be read again.
            if !records.is_empty() || stored.elapsed() > LONGEST_IDLE {
                self.done_until(last.as_deref());
                stored = Instant::now();
            }
            position = last;
        }
    }

    /// Reads on after a position, and once a record has passed the filters for as long as the window
    /// lasts or until a batch is full. Returns those that pass, and the position after all.
    async fn gather(&mut self, mut position: Option<String>) -> Result<(Vec<Record>, Option<String>), Stopped> {
        let mut passed = Vec::new();
        let mut bytes = 0;
        let mut window_ends = None;
        loop {
            let records = self.read(position.clone()).await?;
            if let Some(last) = records.last() {
                position = Some(last.sequence_number.clone());
            }
            for record in records.into_iter().filter(|record| self.passes(record)) {
                bytes += record.json.len();
                passed.push(record);
            }
            if passed.is_empty() || passed.len() >= self.trigger.batch_size || bytes >= MOST_BYTES {
                return Ok((passed, position));
            }
            let ends = *window_ends.get_or_insert_with(|| Instant::now() + self.trigger.window);
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok((passed, position));
            }
            self.news(left).await?;
        }
    }

    /// The records after a position, as soon as they can be read.
    async fn read(&mut self, position: Option<String>) -> Result<Vec<Record>, Stopped> {
        let mut pause = FIRST_RETRY;
        loop {
            // Whatever is written from now on is news.
            self.writes.mark_unchanged();
            self.looked = Instant::now();
            let why = match self.reader.read(position.clone()).await {
                // What fails on purpose does so where it can be seen: an idle mapping asks for no fault.
                Ok(records) if !records.is_empty() => {
                    self.delay().await?;
                    match self.fails_on_purpose() {
                        Some(why) => why.to_owned(),
                        None => return Ok(records),
                    }
                }
                Ok(none) => return Ok(none),
                Err(error) => error,
            };
            self.say(&why);
            self.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    fn fails_on_purpose(&self) -> Option<&'static str> {
        let turn = self.chaos.turn();
        if turn.strikes(Fault::Error) {
            Some("the stream could not be read (chaos)")
        } else if turn.strikes(Fault::Throttle) {
            Some("too many requests to the stream (chaos)")
        } else {
            None
        }
    }

    /// Waits until something is written, but no longer than `most`.
    async fn news(&mut self, most: Duration) -> Result<(), Stopped> {
        let written = tokio::select! {
            () = stopped(&mut self.stop) => return Err(Stopped),
            written = timeout(most, self.writes.changed()) => written,
        };
        if let Ok(Err(_)) = written {
            // Nobody is left to write.
            self.sleep(most).await?;
        }
        sleep_until(self.looked + SHORTEST_GAP).await;
        Ok(())
    }

    async fn delay(&mut self) -> Result<(), Stopped> {
        tokio::select! {
            () = stopped(&mut self.stop) => Err(Stopped),
            () = self.chaos.delay() => Ok(()),
        }
    }

    fn passes(&self, record: &Record) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(&record.event))
    }

    /// Tries a batch, and what failed of it, until all of it is done or given up.
    async fn work_on(&mut self, batch: &[Record]) -> Result<(), Stopped> {
        if !self.chaos.strikes(Fault::Reorder) {
            return self.work_through(batch, true).await;
        }
        let records = shuffled(batch, |record| self.reader.partition(record), |below| self.chaos.choose(Fault::Reorder, below));
        self.work_through(&records, false).await
    }

    /// Where records are not `in_order`, no position lies within them: it is stored after the last.
    async fn work_through(&mut self, records: &[Record], in_order: bool) -> Result<(), Stopped> {
        let mut attempts = Attempts::new(Policy { bisect: self.trigger.bisect, max_retries: self.trigger.max_retries }, records);
        let mut pause = FIRST_RETRY;
        let done = |this: &Self, records: &[Record]| {
            if in_order {
                this.done_until(records.last().map(|record| &*record.sequence_number));
            }
        };
        while let Some(mut piece) = attempts.next() {
            let expired = piece.records.partition_point(|record| self.is_expired(record, piece.tried));
            if expired > 0 {
                let (old, young) = piece.records.split_at(expired);
                self.give_up(old, &Discarded::expired(piece.attempts)).await?;
                done(self, old);
                if young.is_empty() {
                    continue;
                }
                piece.records = young;
            }
            let (request_id, outcome) = self.invoke(piece.records).await;
            let (succeeded, error) = match outcome {
                Ok(()) if !piece.done_before && self.chaos.strikes(Fault::Duplicate) => {
                    // As if its position had not been stored.
                    attempts.again(Piece { done_before: true, ..piece });
                    continue;
                }
                Ok(()) => {
                    done(self, piece.records);
                    pause = FIRST_RETRY;
                    continue;
                }
                Err((_, InvokeError::Stopping)) => return Err(Stopped),
                // It has not begun, which is no attempt.
                Err((_, InvokeError::Throttled)) => {
                    attempts.again(Piece { tried: true, ..piece });
                    self.sleep(pause).await?;
                    pause = (pause * 2).min(LONGEST_RETRY);
                    continue;
                }
                Err(failure) => failure,
            };
            done(self, &piece.records[..succeeded]);
            match attempts.failed(piece, succeeded) {
                Verdict::Cut => {}
                Verdict::Retry => {
                    self.sleep(pause).await?;
                    pause = (pause * 2).min(LONGEST_RETRY);
                }
                Verdict::GiveUp(piece) => {
                    let why = String::from_utf8_lossy(&error.payload()).into_owned();
                    self.give_up(piece.records, &Discarded::exhausted(request_id, piece.attempts, why)).await?;
                    done(self, piece.records);
                }
            }
        }
        Ok(())
    }

    /// Whether a record is too old to be given to the function. Unless the mapping sets an age, only one that it has been
    /// given before: the host may have been off for days.
    fn is_expired(&self, record: &Record, tried: bool) -> bool {
        let most = match self.trigger.max_age {
            Some(age) => age.min(EXPIRY),
            None if tried => EXPIRY,
            None => return false,
        };
        unix_millis() / 1000 - record.created > most.as_secs().cast_signed()
    }

    /// Invokes the function with records. On failure it says how many of them, from the first,
    /// succeeded all the same.
    async fn invoke(&self, records: &[Record]) -> (String, Result<(), (usize, InvokeError)>) {
        let payload = Bytes::from(batch::event(records.iter().map(|record| record.json.as_str())));
        let invocation = Invocation::batch(payload);
        let request_id = invocation.request_id.clone();
        let outcome = match self.pool.invoke(invocation).await {
            Ok(answer) if self.trigger.partial_failures => first_failure(records, answer),
            Ok(_) => Ok(()),
            Err(error) => Err((0, error)),
        };
        (request_id, outcome)
    }

    /// Tells the on-failure destination of records that are tried no more.
    async fn give_up(&mut self, records: &[Record], discarded: &Discarded) -> Result<(), Stopped> {
        let info = self.reader.batch_info(records);
        self.say(&format!("gave up records, {}, attempts {}, {info}: {}", discarded.condition, discarded.attempts, discarded.why));
        let Some(queue_arn) = self.trigger.on_failure.clone() else { return Ok(()) };
        let record = discarded.record(&self.pool.function.arn, info);
        // Not past them before they are kept elsewhere, unless that can never be: it would hold up all that come after.
        while let Err(error) = destination::tell(&self.queues, &queue_arn, record.clone(), |line| self.say(line)) {
            self.say(&error.to_string());
            self.sleep(LONGEST_RETRY).await?;
        }
        Ok(())
    }

    /// Stores how far the function has come.
    fn done_until(&self, position: Option<&str>) {
        let Some(position) = position else { return };
        if let Err(error) = store_position(&self.control, &self.trigger.id, position) {
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

#[cfg(test)]
#[path = "stream_chaos_tests.rs"]
mod chaos_tests;
#[cfg(test)]
#[path = "stream_failure_tests.rs"]
mod failure_tests;
#[cfg(test)]
#[path = "stream_fixture.rs"]
mod fixture;
#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
