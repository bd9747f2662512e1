//! Which of the visible messages a receive takes.
//!
//! Queues are fair, as AWS' are since 2025: messages with a `MessageGroupId` belong to a tenant, and one
//! without is a tenant by itself. Each message that a receive takes is the oldest visible one of those
//! whose tenant has the fewest in flight, with what the receive has taken before. So a busy author's
//! backlog waits while anybody else's message does not, and gets whatever capacity is left.
//!
//! The source is the developer guide's page "How Amazon SQS fair queues work". There a tenant falls back only
//! once it has 30 messages and a tenth of all in flight, or a tenth of the processing time of late: too
//! many for the few consumers of a machine, where nobody would ever be seen to fall back. AWS promises no
//! order, so whoever depends on one of these rules depends on too much.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use tintype_chaos::{Fault, Place};

use super::{queue::Queue, store::Millis};

/// How many messages in flight a queue may have.
pub(super) const MAX_IN_FLIGHT: u64 = 120_000;

/// How many of the oldest messages are looked at before it is asked, group by group, what else there is.
/// Small in tests, so that they meet both ways.
const WINDOW: usize = if cfg!(test) { 6 } else { 200 };

/// How many of the oldest messages chaos' `reorder` draws from.
const SHUFFLED: usize = 1000;

/// A message that may be taken.
struct Candidate {
    age: Age,
    group: Option<String>,
}

/// Since when a message is visible, and its id: the smaller, the older.
type Age = (Millis, i64);

/// What a queue has in flight.
pub(super) struct InFlight {
    total: u64,
    by_group: HashMap<String, u64>,
}

impl InFlight {
    pub(super) fn count(tx: &Transaction<'_>, queue: &Queue, now: Millis) -> rusqlite::Result<Self> {
        let mut statement = tx.prepare_cached(
            "SELECT group_id, count(*) FROM messages WHERE queue = ?1 AND receipt IS NOT NULL AND visible_ms > ?2 GROUP BY group_id",
        )?;
        let mut rows = statement.query([queue.id, now])?;
        let mut counted = Self { total: 0, by_group: HashMap::new() };
        while let Some(row) = rows.next()? {
            let count: u64 = row.get(1)?;
            counted.total += count;
            if let Some(group) = row.get(0)? {
                counted.by_group.insert(group, count);
            }
        }
        Ok(counted)
    }

    /// How many more there may be.
    pub(super) fn room(&self) -> u64 {
        MAX_IN_FLIGHT.saturating_sub(self.total)
    }

    /// Of a message without a group it is none.
    fn of(&self, group: Option<&str>) -> u64 {
        group.and_then(|group| self.by_group.get(group)).copied().unwrap_or_default()
    }

    fn add(&mut self, group: Option<String>) {
        if let Some(group) = group {
            *self.by_group.entry(group).or_default() += 1;
        }
    }
}

/// The ids of up to `max` visible messages, in the order in which they are to be received.
pub(super) fn choose(
    tx: &Transaction<'_>,
    queue: &Queue,
    max: usize,
    mut in_flight: InFlight,
    now: Millis,
    chaos: &Place,
) -> rusqlite::Result<Vec<i64>> {
    let mut statement = tx.prepare_cached(
        "SELECT visible_ms, id, group_id FROM messages WHERE queue = ?1 AND visible_ms <= ?2 ORDER BY visible_ms, id LIMIT ?3",
    )?;
    // A row is read when it is asked for.
    let mut oldest = statement.query_map(params![queue.id, now, SHUFFLED], Candidate::read)?.peekable();
    if oldest.peek().is_some() && chaos.strikes(Fault::Reorder) {
        return Ok(draw(oldest.collect::<rusqlite::Result<_>>()?, max, chaos));
    }

    // As a rule the oldest messages are of tenants that have none in flight: nobody comes before them.
    let mut taken = Vec::new();
    let mut passed_over = Vec::new();
    let mut edge = (Millis::MIN, i64::MIN);
    for candidate in oldest.by_ref().take(WINDOW) {
        let candidate = candidate?;
        edge = candidate.age;
        if in_flight.of(candidate.group.as_deref()) > 0 {
            passed_over.push(candidate);
            continue;
        }
        taken.push(candidate.age.1);
        in_flight.add(candidate.group);
        if taken.len() == max {
            return Ok(taken);
        }
    }
    // Behind a backlog there may be others, who come before what has been passed over.
    if oldest.next().is_some() {
        passed_over.extend(heads(tx, queue, edge, now)?);
    }
    while taken.len() < max
        && let Some(next) = least(&passed_over, &in_flight)
    {
        let Candidate { age, group } = passed_over.swap_remove(next);
        taken.push(age.1);
        if age > edge {
            passed_over.extend(head(tx, queue, group.as_deref(), age, now)?);
        }
        in_flight.add(group);
    }
    Ok(taken)
}

/// Any `max` of them.
fn draw(mut candidates: Vec<Candidate>, max: usize, chaos: &Place) -> Vec<i64> {
    let count = max.min(candidates.len());
    (0..count).map(|_| candidates.swap_remove(chaos.choose(Fault::Reorder, candidates.len())).age.1).collect()
}

/// Whose turn it is.
fn least(candidates: &[Candidate], in_flight: &InFlight) -> Option<usize> {
    let turn = |candidate: &Candidate| (in_flight.of(candidate.group.as_deref()), candidate.age);
    candidates.iter().enumerate().min_by_key(|(_, candidate)| turn(candidate)).map(|(at, _)| at)
}

/// The oldest message of each group, and of those without, among the visible ones that are younger than `edge`: a few
/// microseconds a group, however long its backlog.
fn heads(tx: &Transaction<'_>, queue: &Queue, edge: Age, now: Millis) -> rusqlite::Result<Vec<Candidate>> {
    let mut heads = Vec::from_iter(head(tx, queue, None, edge, now)?);
    // No group has an empty name. Each step goes straight to the next group.
    let mut statement = tx.prepare_cached(
        "WITH RECURSIVE groups (name) AS (
             SELECT ''
             UNION ALL
             SELECT (SELECT group_id FROM messages WHERE queue = ?1 AND group_id > name ORDER BY group_id LIMIT 1)
             FROM groups WHERE name IS NOT NULL
         )
         SELECT visible_ms, id, name FROM groups JOIN messages ON id = (
             SELECT id FROM messages
             WHERE queue = ?1 AND group_id = name AND (visible_ms, id) > (?2, ?3) AND visible_ms <= ?4 ORDER BY visible_ms, id LIMIT 1
         )",
    )?;
    for candidate in statement.query_map(params![queue.id, edge.0, edge.1, now], Candidate::read)? {
        heads.push(candidate?);
    }
    Ok(heads)
}

/// The oldest visible message of a group that is younger than `after`.
fn head(tx: &Transaction<'_>, queue: &Queue, group: Option<&str>, after: Age, now: Millis) -> rusqlite::Result<Option<Candidate>> {
    tx.prepare_cached(
        "SELECT visible_ms, id, group_id FROM messages
         WHERE queue = ?1 AND group_id IS ?2 AND (visible_ms, id) > (?3, ?4) AND visible_ms <= ?5 ORDER BY visible_ms, id LIMIT 1",
    )?
    .query_row(params![queue.id, group, after.0, after.1, now], Candidate::read)
    .optional()
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { age: (row.get(0)?, row.get(1)?), group: row.get(2)? })
    }
}
