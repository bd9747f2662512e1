//! DynamoDB: `dynoxide`, with the tables that the template declares, and what can go wrong with them.
//!
//! Its router is not public, so it serves on a loopback port of its own and the endpoint passes
//! requests on, but for plain reads, which are answered here. The [`Database`] itself is shared with whoever reads streams in this
//! process.

mod direct;
mod faults;
mod proxy;
mod replica;
mod streams;

use std::{collections::BTreeSet, error::Error as StdError, io, path::Path, time::Duration};

use axum::{body::Bytes, response::Response};
use dynoxide::{
    Database, DynoxideError,
    actions::{
        describe_table::DescribeTableRequest,
        describe_time_to_live::DescribeTimeToLiveRequest,
        update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest},
    },
};
use http::request::Parts;
use serde_json::Value;
use tintype_chaos::{Place, Turn};
use tintype_template::deployment;
use tokio::time::MissedTickBehavior;

pub use self::streams::Streams;
use self::{
    proxy::{Proxy, Server},
    replica::Replicated,
};
use crate::{chaos::Refusal, state::Error};

/// What `X-Amz-Target` begins with.
pub(crate) const TARGET_PREFIXES: [&str; 2] = ["DynamoDB_", STREAMS_PREFIX];
/// The same, of the streams alone.
pub(crate) const STREAMS_PREFIX: &str = "DynamoDBStreams_";

/// How often expired items are swept. AWS takes up to days; nothing may rely on it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Opens the database file and makes the tables that are missing. A table that exists but is not what
/// the template declares is an error: its items could not be found again.
pub fn open(path: &Path, tables: &[deployment::Table]) -> Result<Database, Error> {
    let file = path.to_str().ok_or_else(|| Error::Mismatch(format!("the path {} is not UTF-8", path.display())))?;
    let database = Database::new(file).map_err(|error| Error::Unreadable(format!("{file}: {error}")))?;
    mend_streams(path).map_err(|source| Error::Database { path: path.to_owned(), source })?;
    // Nothing else lets us set `synchronous = NORMAL` on its connection, as all our own have it (`state::connect`): else every write waits for
    // the disk, and every read for the write.
    database.disable_bulk_loading().map_err(|error| Error::Unreadable(format!("{file}: {error}")))?;
    for table in tables {
        let refused = |error: &dyn std::fmt::Display| Error::Mismatch(format!("the table {}: {error}", table.name));
        match database.describe_table(DescribeTableRequest { table_name: table.name.clone() }) {
            Ok(existing) => {
                let existing = serde_json::to_value(existing.table).map_err(|error| refused(&error))?;
                check_unchanged(&table.create, &existing).map_err(|error| refused(&error))?;
            }
            Err(DynoxideError::ResourceNotFoundException(_)) => {
                let request = serde_json::from_value(table.create.clone()).map_err(|error| refused(&error))?;
                database.create_table(request).map_err(|error| refused(&error))?;
            }
            Err(error) => return Err(refused(&error)),
        }
        if let Some(attribute) = &table.ttl_attribute {
            expire_by(&database, &table.name, attribute).map_err(|error| refused(&error))?;
        }
    }
    Ok(database)
}

/// Mends what `dynoxide` does with stream records: it looks for the newest of a table at each write and for the next at each read,
/// through all that were ever written; and it records writes that change nothing, of which AWS says nothing. (Attributes of an
/// image are in no order. Two of equal length are the same if the one has all that the other has.)
fn mend_streams(path: &Path) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_records_by_number ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         CREATE TRIGGER IF NOT EXISTS stream_records_of_changes BEFORE INSERT ON _stream_records
         WHEN length(NEW.old_image) = length(NEW.new_image)
             AND NOT EXISTS (SELECT fullkey, type, atom FROM json_tree(NEW.old_image)
                             EXCEPT SELECT fullkey, type, atom FROM json_tree(NEW.new_image))
         BEGIN SELECT RAISE(IGNORE); END",
    )
}

/// Compares what cannot change while items are kept: keys, indexes and the stream.
fn check_unchanged(declared: &Value, existing: &Value) -> Result<(), String> {
    let differs = |what: &str| Err(format!("it was made with another {what} than the template declares (start anew with --reset)"));
    if declared["KeySchema"] != existing["KeySchema"] {
        return differs("key schema");
    }
    if indexes(declared) != indexes(existing) {
        return differs("set of indexes");
    }
    if declared["StreamSpecification"]["StreamViewType"] != existing["StreamSpecification"]["StreamViewType"] {
        return differs("stream");
    }
    Ok(())
}

/// Names and keys of the global secondary indexes.
fn indexes(table: &Value) -> BTreeSet<(String, String)> {
    let indexes = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    indexes.map(|index| (index["IndexName"].to_string(), index["KeySchema"].to_string())).collect()
}

fn expire_by(database: &Database, table: &str, attribute: &str) -> dynoxide::Result<()> {
    let set = database.describe_time_to_live(DescribeTimeToLiveRequest { table_name: table.to_owned() })?;
    if set.time_to_live_description.attribute_name.as_deref() == Some(attribute) {
        return Ok(());
    }
    database.update_time_to_live(UpdateTimeToLiveRequest {
        table_name: table.to_owned(),
        time_to_live_specification: TimeToLiveSpecification { attribute_name: attribute.to_owned(), enabled: true },
    })?;
    Ok(())
}

/// Deletes expired items every now and then, for as long as it is polled.
pub(crate) async fn sweep(database: Database, streams: Streams) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let database = database.clone();
        // A sweep that fails leaves its items to the next one.
        let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        streams.written();
    }
}

/// Why a request that was passed on has no answer.
type Failure = Box<dyn StdError + Send + Sync>;

/// The API, with what can go wrong with it.
#[derive(Clone)]
pub(crate) struct DynamoDb {
    tables: Replicated,
    streams: Streams,
}

impl DynamoDb {
    pub(crate) async fn start(database: Database, streams: Streams, chaos: Place) -> io::Result<(Self, Server)> {
        let (proxy, server) = Proxy::start(database.clone()).await?;
        Ok((Self { tables: Replicated::new(database, proxy, chaos), streams }, server))
    }

    /// Answers a request; `target` is its `X-Amz-Target`.
    pub(crate) async fn answer(&self, turn: &Turn, target: &str, head: Parts, body: Bytes) -> Result<Response, Failure> {
        let operation = operation(target);
        let answer = self.answer_to(turn, operation, head, body).await;
        if !is_read(operation) {
            // Also without an answer: it may have been written all the same.
            self.streams.written();
        }
        answer
    }

    async fn answer_to(&self, turn: &Turn, operation: &str, head: Parts, body: Bytes) -> Result<Response, Failure> {
        if let Some(conflict) = faults::conflict(turn, operation, &body) {
            return Ok(conflict);
        }
        match faults::part(turn, operation, &body, |table| self.tables.keys(table)) {
            Some(part) => {
                let answer = match part.done() {
                    Some(done) => self.tables.answer(operation, head, done).await?,
                    None => faults::respond(&serde_json::json!({})),
                };
                part.completed(answer).await
            }
            None => self.tables.answer(operation, head, body).await,
        }
    }
}

/// What a request that is not done is answered.
pub(crate) fn refuse(refusal: Refusal, turn: &Turn, target: &str, body: &[u8]) -> Response {
    faults::refusal(refusal, turn, operation(target), body)
}

/// `PutItem` of `DynamoDB_20120810.PutItem`.
fn operation(target: &str) -> &str {
    target.rsplit('.').next().unwrap_or(target)
}

/// The names of all tables that a request is about.
pub(crate) fn tables_of(body: &[u8]) -> BTreeSet<String> {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return BTreeSet::new() };
    let of_one = request["TableName"].as_str().map(str::to_owned);
    let of_batch = request["RequestItems"].as_object().into_iter().flat_map(|tables| tables.keys().cloned());
    let actions = request["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flat_map(|action| action.values());
    let of_transaction = actions.filter_map(|action| action["TableName"].as_str().map(str::to_owned));
    of_one.into_iter().chain(of_batch).chain(of_transaction).collect()
}

/// Whether an operation surely writes nothing.
fn is_read(operation: &str) -> bool {
    ["BatchGet", "Describe", "Get", "List", "Query", "Scan", "TransactGet"].iter().any(|start| operation.starts_with(start))
}
