//! Reads a table's stream through the embedded database.

use std::sync::{Arc, OnceLock};

use dynoxide::{
    Database, DynoxideError,
    actions::{
        describe_stream::DescribeStreamRequest, describe_table::DescribeTableRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::region_and_account;

/// Most records of one read.
const MOST_RECORDS: usize = 1000;

/// A position before all records: numbers count microseconds since 1970.
const BEFORE_ALL: &str = "100000000000000000001";

/// A record of a stream.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Grows along the stream, also as text.
    pub(super) sequence_number: String,
    /// Seconds since 1970
    pub(super) created: i64,
    /// As filters see it.
    pub(super) event: Value,
    /// As the function gets it: the same in JSON.
    pub(super) json: String,
}

/// The stream of one table.
#[derive(Clone)]
pub(super) struct Reader {
    database: Database,
    table: String,
    /// Of the function: the emulated database names a region of its own.
    region: String,
    account: String,
    /// Once known: asking for the shard counts all records.
    stream: Arc<OnceLock<Stream>>,
}

/// A stream, which has one shard.
#[derive(Debug, Clone)]
struct Stream {
    arn: String,
    shard: String,
    /// The attribute by which the table's items are spread over shards.
    partition_key: String,
}

impl Reader {
    pub(super) fn new(database: Database, table: &str, function_arn: &str) -> Self {
        let (region, account) = region_and_account(function_arn);
        Self { database, table: table.to_owned(), region: region.to_owned(), account: account.to_owned(), stream: Arc::default() }
    }

    /// The records after this sequence number, or from the beginning.
    pub(super) async fn read(&self, after: Option<String>) -> Result<Vec<Record>, String> {
        let this = self.clone();
        // Waits for the database's lock, which a sweep of expired items may hold for a while.
        let read = tokio::task::spawn_blocking(move || this.read_now(after)).await;
        match read {
            Ok(Ok(records)) => Ok(records),
            Ok(Err(error)) => Err(format!("the stream of {}: {error}", self.table)),
            Err(panic) => Err(format!("the stream of {}: {panic}", self.table)),
        }
    }

    fn read_now(&self, after: Option<String>) -> Result<Vec<Record>, DynoxideError> {
        let stream = self.stream()?;
        let start = if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
        let iterator = self.database.get_shard_iterator(GetShardIteratorRequest {
            stream_arn: stream.arn.clone(),
            shard_id: stream.shard.clone(),
            shard_iterator_type: start.to_owned(),
            sequence_number: after,
        })?;
        let read = self
            .database
            .get_records(GetRecordsRequest { shard_iterator: iterator.shard_iterator.unwrap_or_default(), limit: Some(MOST_RECORDS) })?;
        let source_arn = self.here(&stream.arn);
        read.records
            .into_iter()
            .map(|record| {
                let sequence_number = record.dynamodb.sequence_number.clone();
                // Whole seconds, far below what an integer holds.
                #[expect(clippy::cast_possible_truncation, reason = "the emulated stream counts seconds")]
                let created = record.dynamodb.approximate_creation_date_time as i64;
                let mut event = serde_json::to_value(record).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
                event["awsRegion"] = self.region.as_str().into();
                event["eventSourceARN"] = source_arn.as_str().into();
                let json = event.to_string();
                Ok(Record { sequence_number, created, event, json })
            })
            .collect()
    }

    /// The position behind all that is written now.
    pub(super) fn latest(&self) -> Result<String, String> {
        let described = self.stream().and_then(|stream| {
            self.database.describe_stream(DescribeStreamRequest { stream_arn: stream.arn.clone(), ..DescribeStreamRequest::default() })
        });
        let shards = described.map_err(|error| format!("the stream of {}: {error}", self.table))?.stream_description.shards;
        let last = shards.into_iter().next().and_then(|shard| shard.sequence_number_range.ending_sequence_number);
        Ok(last.unwrap_or_else(|| BEFORE_ALL.to_owned()))
    }

    /// What tells whether records are of one partition, whose order is kept whatever happens.
    pub(super) fn partition(&self, record: &Record) -> String {
        let key = self.stream().map(|stream| stream.partition_key.as_str()).unwrap_or_default();
        record.event["dynamodb"]["Keys"][key].to_string()
    }

    fn stream(&self) -> Result<&Stream, DynoxideError> {
        if let Some(known) = self.stream.get() {
            return Ok(known);
        }
        let missing = || DynoxideError::ResourceNotFoundException(format!("{} has no stream", self.table));
        let streams =
            self.database.list_streams(ListStreamsRequest { table_name: Some(self.table.clone()), ..ListStreamsRequest::default() })?;
        let arn = streams.streams.into_iter().next().ok_or_else(missing)?.stream_arn;
        let described =
            self.database.describe_stream(DescribeStreamRequest { stream_arn: arn.clone(), ..DescribeStreamRequest::default() })?;
        let shard = described.stream_description.shards.into_iter().next().ok_or_else(missing)?.shard_id;
        let table = self.database.describe_table(DescribeTableRequest { table_name: self.table.clone() })?.table;
        let table = serde_json::to_value(table).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        let partition_key = table["KeySchema"][0]["AttributeName"].as_str().unwrap_or_default().to_owned();
        Ok(self.stream.get_or_init(|| Stream { arn, shard, partition_key }))
    }

    /// A stream's ARN in the region and account of the function.
    fn here(&self, stream_arn: &str) -> String {
        let resource = stream_arn.splitn(6, ':').nth(5).unwrap_or_default();
        format!("arn:aws:dynamodb:{}:{}:{resource}", self.region, self.account)
    }

    /// `DDBStreamBatchInfo`, by which an on-failure destination names a batch.
    pub(super) fn batch_info(&self, batch: &[Record]) -> Value {
        let numbers = |record: &&Record| record.sequence_number.clone();
        let (Some(first), Some(last)) = (batch.iter().min_by_key(numbers), batch.iter().max_by_key(numbers)) else { return Value::Null };
        let shard = self.stream().map(|stream| stream.shard.as_str()).unwrap_or_default();
        json!({
            "shardId": shard,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": written(first.created),
            "approximateArrivalOfLastRecord": written(last.created),
            "batchSize": batch.len(),
            "streamArn": first.event["eventSourceARN"],
        })
    }
}

/// RFC 3339, as the destination is told.
fn written(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
