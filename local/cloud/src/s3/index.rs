//! What objects and unfinished uploads there are, in SQLite, and which blob each is.
//!
//! Every function runs in the caller's transaction. Those that let go of a blob return its name if
//! nothing else names it: its file may go once the transaction is committed.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::blob::Content;

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// What an object's sender says of it, and readers get back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_encoding: Option<String>,
    pub content_disposition: Option<String>,
    pub content_language: Option<String>,
    /// `x-amz-meta-*`
    pub metadata: BTreeMap<String, String>,
}

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub content: Content,
    pub attributes: Attributes,
    pub modified: Millis,
}

/// A multipart upload that is not yet completed.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub attributes: Attributes,
}

/// A part of such an upload.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub number: i32,
    pub content: Content,
    pub modified: Millis,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS s3_objects (
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        blob TEXT NOT NULL,
        content TEXT NOT NULL,
        attributes TEXT NOT NULL,
        modified_ms INTEGER NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS s3_objects_by_blob ON s3_objects (blob);
    CREATE TABLE IF NOT EXISTS s3_uploads (
        id TEXT PRIMARY KEY,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        attributes TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS s3_parts (
        upload TEXT NOT NULL REFERENCES s3_uploads (id),
        number INTEGER NOT NULL,
        blob TEXT NOT NULL,
        content TEXT NOT NULL,
        modified_ms INTEGER NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS s3_parts_by_blob ON s3_parts (blob);";

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// All blobs that objects and parts are made of.
pub(super) fn blobs(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT blob FROM s3_objects UNION SELECT blob FROM s3_parts")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn find(tx: &Transaction<'_>, bucket: &str, key: &str) -> rusqlite::Result<Option<Entry>> {
    tx.prepare_cached("SELECT * FROM s3_objects WHERE bucket = ?1 AND key = ?2")?.query_row([bucket, key], read_entry).optional()
}

pub(super) fn put(tx: &Transaction<'_>, bucket: &str, entry: &Entry) -> rusqlite::Result<Option<String>> {
    let replaced = find(tx, bucket, &entry.key)?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO s3_objects (bucket, key, blob, content, attributes, modified_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![bucket, entry.key, entry.content.blob, to_json(&entry.content)?, to_json(&entry.attributes)?, entry.modified])?;
    replaced.map_or(Ok(None), |replaced| release(tx, replaced.content.blob))
}

pub(super) fn delete(tx: &Transaction<'_>, bucket: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let blob: Option<String> = tx
        .prepare_cached("DELETE FROM s3_objects WHERE bucket = ?1 AND key = ?2 RETURNING blob")?
        .query_row([bucket, key], |row| row.get(0))
        .optional()?;
    blob.map_or(Ok(None), |blob| release(tx, blob))
}

/// Calls `visit` with the objects whose keys begin with `prefix` and come after `after`, in order,
/// until it returns false.
pub(super) fn walk(
    tx: &Transaction<'_>,
    bucket: &str,
    prefix: &str,
    after: &str,
    mut visit: impl FnMut(Entry) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("SELECT * FROM s3_objects WHERE bucket = ?1 AND key >= ?2 AND key > ?3 ORDER BY key")?;
    let mut rows = statement.query([bucket, prefix, after])?;
    while let Some(row) = rows.next()? {
        let entry = read_entry(row)?;
        if !entry.key.starts_with(prefix) || !visit(entry) {
            break;
        }
    }
    Ok(())
}

pub(super) fn start_upload(tx: &Transaction<'_>, upload: &Upload) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO s3_uploads (id, bucket, key, attributes) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        upload.id,
        upload.bucket,
        upload.key,
        to_json(&upload.attributes)?
    ])?;
    Ok(())
}

pub(super) fn find_upload(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<Upload>> {
    tx.prepare_cached("SELECT * FROM s3_uploads WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Upload { id: row.get("id")?, bucket: row.get("bucket")?, key: row.get("key")?, attributes: from_json(row, "attributes")? })
        })
        .optional()
}

/// The uploads whose keys begin with `prefix`, by key and then by id, from the first after these on.
pub(super) fn uploads(tx: &Transaction<'_>, bucket: &str, prefix: &str, after: (&str, &str)) -> rusqlite::Result<Vec<(String, String)>> {
    let query = "SELECT key, id FROM s3_uploads WHERE bucket = ?1 AND key >= ?2 AND (key, id) > (?3, ?4) ORDER BY key, id";
    let mut statement = tx.prepare_cached(query)?;
    let mut uploads: Vec<(String, String)> =
        statement.query_map([bucket, prefix, after.0, after.1], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    uploads.retain(|(key, _)| key.starts_with(prefix));
    Ok(uploads)
}

pub(super) fn put_part(tx: &Transaction<'_>, upload: &str, part: &Part) -> rusqlite::Result<Option<String>> {
    let replaced: Option<String> = tx
        .prepare_cached("SELECT blob FROM s3_parts WHERE upload = ?1 AND number = ?2")?
        .query_row(params![upload, part.number], |row| row.get(0))
        .optional()?;
    tx.prepare_cached("INSERT OR REPLACE INTO s3_parts (upload, number, blob, content, modified_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![upload, part.number, part.content.blob, to_json(&part.content)?, part.modified])?;
    replaced.map_or(Ok(None), |blob| release(tx, blob))
}

pub(super) fn parts(tx: &Transaction<'_>, upload: &str) -> rusqlite::Result<Vec<Part>> {
    tx.prepare_cached("SELECT * FROM s3_parts WHERE upload = ?1 ORDER BY number")?
        .query_map([upload], |row| {
            Ok(Part { number: row.get("number")?, content: from_json(row, "content")?, modified: row.get("modified_ms")? })
        })?
        .collect()
}

/// Forgets an upload and its parts, whose blobs nothing else names.
pub(super) fn end_upload(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Vec<String>> {
    let blobs = parts(tx, id)?.into_iter().map(|part| part.content.blob).collect();
    tx.execute("DELETE FROM s3_parts WHERE upload = ?1", [id])?;
    tx.execute("DELETE FROM s3_uploads WHERE id = ?1", [id])?;
    Ok(blobs)
}

/// Copies of an object share its blob.
fn release(tx: &Transaction<'_>, blob: String) -> rusqlite::Result<Option<String>> {
    let named = tx.prepare_cached("SELECT 1 FROM s3_objects WHERE blob = ?1")?.exists([&blob])?;
    Ok((!named).then_some(blob))
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: row.get("key")?,
        content: from_json(row, "content")?,
        attributes: from_json(row, "attributes")?,
        modified: row.get("modified_ms")?,
    })
}

fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}
