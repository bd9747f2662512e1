//! What readers of streams need beside the API: word that something was written, and an end to what was
//! written long ago.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use tokio::sync::watch;

/// What a stored sequence number is less than the public one.
const OFFSET: i128 = 100_000_000_000_000_000_000;

/// Records that are removed in one transaction: whoever writes meanwhile waits for it.
const AT_ONCE: usize = 500;

/// The streams of a database file. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Streams {
    path: PathBuf,
    writes: watch::Sender<()>,
}

impl Streams {
    /// The streams of the database that [`super::open`] opens at this path.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writes: watch::channel(()).0 }
    }

    /// Changes whenever something may have been written.
    pub fn writes(&self) -> watch::Receiver<()> {
        self.writes.subscribe()
    }

    /// Something may have been written.
    pub fn written(&self) {
        self.writes.send_replace(());
    }

    /// Removes a table's records that were made before a time (in seconds since 1970), but none behind
    /// the sequence number `up_to`, and never the newest: the next one's number follows from it. Returns
    /// how many there were.
    ///
    /// `dynoxide` removes none. That this happens through another connection does no harm: it keeps nothing
    /// of them in memory, and waits for a lock that another holds.
    pub fn trim(&self, table: &str, before: i64, up_to: Option<&str>) -> rusqlite::Result<usize> {
        let up_to = match up_to {
            Some(number) => number.parse::<i128>().ok().and_then(|number| i64::try_from(number - OFFSET).ok()).unwrap_or_default(),
            None => i64::MAX,
        };
        let database = Connection::open(&self.path)?;
        let mut trimmed = 0;
        loop {
            // They are in the order of time: where one is young enough, all behind it are.
            let gone = database
                .prepare_cached(
                    "DELETE FROM _stream_records WHERE id IN (
                        SELECT id FROM (
                            SELECT id, created_at FROM _stream_records
                            WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2 AND CAST(sequence_number AS INTEGER) <
                                (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
                            ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?4
                        ) WHERE created_at < ?3
                    )",
                )?
                .execute(params![table, up_to, before, AT_ONCE])?;
            trimmed += gone;
            if gone < AT_ONCE {
                return Ok(trimmed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dynoxide::{
        Database,
        actions::{get_records::GetRecordsRequest, get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest},
    };
    use serde_json::json;
    use tintype_template::deployment;

    use super::*;

    fn open(path: &Path) -> Database {
        let create = json!({
            "TableName": "posts",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
        });
        super::super::open(path, &[deployment::Table { name: "posts".to_owned(), create, ttl_attribute: None }]).unwrap()
    }

    fn put(database: &Database, pk: &str) {
        let request = json!({ "TableName": "posts", "Item": { "pk": { "S": pk } } });
        database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Key and sequence number of each record.
    fn records(database: &Database) -> Vec<(String, String)> {
        let streams = database.list_streams(ListStreamsRequest::default()).unwrap().streams;
        let iterator = database
            .get_shard_iterator(GetShardIteratorRequest {
                stream_arn: streams[0].stream_arn.clone(),
                shard_id: "shardId-00000001-posts".to_owned(),
                shard_iterator_type: "TRIM_HORIZON".to_owned(),
                sequence_number: None,
            })
            .unwrap();
        let read = database.get_records(GetRecordsRequest { shard_iterator: iterator.shard_iterator.unwrap(), limit: None }).unwrap();
        let records = read.records.iter().map(|record| serde_json::to_value(&record.dynamodb).unwrap());
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        records.map(|record| (text(&record["Keys"]["pk"]["S"]), text(&record["SequenceNumber"]))).collect()
    }

    fn keys(database: &Database) -> Vec<String> {
        records(database).into_iter().map(|(key, _)| key).collect()
    }

    /// Makes records a day older.
    fn age(path: &Path, keys: &[&str]) {
        let database = Connection::open(path).unwrap();
        for key in keys {
            let aged = database
                .execute("UPDATE _stream_records SET created_at = created_at - 86400 WHERE keys_json LIKE ?1", [format!("%\"{key}\"%")]);
            assert_eq!(aged, Ok(1), "{key}");
        }
    }

    #[test]
    fn old_records_go_young_ones_and_those_that_somebody_has_still_to_read_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dynamodb.db");
        let (database, streams) = (open(&path), Streams::new(&path));
        for pk in ["a", "b", "c", "d"] {
            put(&database, pk);
        }
        age(&path, &["a", "b", "c"]);
        let an_hour_ago = crate::unix_millis() / 1000 - 3600;
        let read = records(&database)[1].1.clone();
        assert_eq!(streams.trim("others", an_hour_ago, None), Ok(0));
        assert_eq!(streams.trim("posts", an_hour_ago, Some(&read)), Ok(2));
        assert_eq!(keys(&database), ["c", "d"]);
        assert_eq!(streams.trim("posts", an_hour_ago, None), Ok(1));
        assert_eq!(keys(&database), ["d"]);
    }

    #[test]
    fn the_newest_record_stays_however_old_it_is_and_numbers_go_on_growing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dynamodb.db");
        let (database, streams) = (open(&path), Streams::new(&path));
        for n in 0..1100 {
            put(&database, &n.to_string());
        }
        let newest = records(&database).len();
        assert_eq!(newest, 1000, "a read's most");
        Connection::open(&path).unwrap().execute("UPDATE _stream_records SET created_at = 0", []).unwrap();
        assert_eq!(streams.trim("posts", 1, None), Ok(1099));
        let [(key, before)] = &records(&database)[..] else { panic!() };
        assert_eq!(key, "1099");
        put(&database, "next");
        assert!(records(&database)[1].1 > *before);
    }

    #[test]
    fn whoever_writes_while_records_are_removed_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dynamodb.db");
        let (database, streams) = (open(&path), Streams::new(&path));
        let trimmed = std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..300).for_each(|n| put(&database, &n.to_string())));
            let mut trimmed = 0;
            while !writer.is_finished() {
                trimmed += streams.trim("posts", i64::MAX, None).unwrap();
            }
            trimmed
        });
        assert_eq!(trimmed + records(&database).len(), 300);
    }
}
