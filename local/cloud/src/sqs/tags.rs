//! The tags of queues: kept and answered, and of no effect.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::{Error, store::Store};

const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

pub(super) type Tags = BTreeMap<String, String>;

/// Refuses what AWS refuses.
pub(super) fn check(tags: &Tags) -> Result<(), Error> {
    let fits = |(key, value): (&String, &String)| (1..=MAX_KEY).contains(&key.chars().count()) && value.chars().count() <= MAX_VALUE;
    if tags.len() > MAX_TAGS {
        return Err(too_many());
    }
    if tags.iter().all(fits) { Ok(()) } else { Err(invalid("Tag keys have 1 to 128 characters, values up to 256.")) }
}

impl Store {
    pub(super) fn tags(&self, name: &str) -> Result<Tags, Error> {
        self.on_queue(name, |tx, queue| {
            let mut statement = tx.prepare_cached("SELECT key, value FROM tags WHERE queue = ?1")?;
            statement.query_map([queue.id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Adds tags, or gives those that are there another value.
    pub(super) fn tag(&self, name: &str, tags: &Tags) -> Result<(), Error> {
        self.on_queue(name, |tx, queue| save(tx, queue.id, tags))?
    }

    pub(super) fn untag(&self, name: &str, keys: &[String]) -> Result<(), Error> {
        self.on_queue(name, |tx, queue| {
            let mut delete = tx.prepare_cached("DELETE FROM tags WHERE queue = ?1 AND key = ?2")?;
            keys.iter().try_for_each(|key| delete.execute(params![queue.id, key]).map(drop))
        })
    }
}

/// Adds tags to the queue of this id.
pub(super) fn save(tx: &Transaction<'_>, queue: i64, tags: &Tags) -> rusqlite::Result<Result<(), Error>> {
    let others: usize = tx
        .prepare_cached("SELECT count(*) FROM tags WHERE queue = ?1 AND key NOT IN (SELECT value FROM json_each(?2))")?
        .query_row(params![queue, serde_json::json!(tags.keys().collect::<Vec<_>>()).to_string()], |row| row.get(0))?;
    if others + tags.len() > MAX_TAGS {
        return Ok(Err(too_many()));
    }
    let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO tags (queue, key, value) VALUES (?1, ?2, ?3)")?;
    for (key, value) in tags {
        insert.execute(params![queue, key, value])?;
    }
    Ok(Ok(()))
}

fn too_many() -> Error {
    invalid("A queue has up to 50 tags.")
}

fn invalid(why: &str) -> Error {
    Error::InvalidParameter(why.to_owned())
}
