//! DynamoDB: `dynoxide`, with the tables that the template declares.
//!
//! Its router is not public, so it serves on a loopback port of its own and the endpoint passes
//! requests on. The [`Database`] itself is shared with whoever reads streams in this process.

use std::{collections::BTreeSet, io, path::Path, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use dynoxide::{
    Database, DynoxideError,
    actions::{
        describe_table::DescribeTableRequest,
        describe_time_to_live::DescribeTimeToLiveRequest,
        update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest},
    },
};
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tintype_template::deployment;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::MissedTickBehavior};

use crate::state::Error;

/// What `X-Amz-Target` begins with.
pub(crate) const TARGET_PREFIXES: [&str; 2] = ["DynamoDB_", "DynamoDBStreams_"];

/// How often expired items are swept. AWS takes up to days; nothing may rely on it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Opens the database file and makes the tables that are missing. A table that exists but is not what
/// the template declares is an error: its items could not be found again.
pub fn open(path: &Path, tables: &[deployment::Table]) -> Result<Database, Error> {
    let file = path.to_str().ok_or_else(|| Error::Mismatch(format!("the path {} is not UTF-8", path.display())))?;
    let database = Database::new(file).map_err(|error| Error::Unreadable(format!("{file}: {error}")))?;
    index_streams(path).map_err(|source| Error::Database { path: path.to_owned(), source })?;
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

/// `dynoxide` keeps every stream record and looks for the newest of a table at each write and for the next at each read. Without
/// this index both go through all of them, and the system slows down with all that was ever written.
fn index_streams(path: &Path) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_records_by_number ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
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
pub(crate) async fn sweep(database: Database) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let database = database.clone();
        // A sweep that fails leaves its items to the next one.
        let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
    }
}

/// The database's own HTTP server, and a client to it.
#[derive(Clone)]
pub(crate) struct Proxy {
    authority: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Ends the database's server.
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Server {
    pub(crate) async fn stop(self) {
        // Gone already, if nobody listens.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

impl Proxy {
    pub(crate) async fn start(database: Database) -> io::Result<(Self, Server)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let authority = listener.local_addr()?.to_string();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
            // Either told to, or nobody is left to tell.
            let _ = stopped.await;
        }));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok((Self { authority, client }, Server { stop, task }))
    }

    /// Passes a request on, with its headers: the server looks at its signature's shape. What AWS refuses
    /// and the server takes is refused here.
    pub(crate) async fn answer(&self, head: http::request::Parts, body: Bytes) -> Result<Response, Box<dyn std::error::Error>> {
        if head.headers.get("x-amz-target").is_some_and(|target| target.as_bytes() == QUERY)
            && let Some(key) = serde_json::from_slice(&body).ok().and_then(|query| empty_key(&query))
        {
            return Ok(validation_error(&format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {key}"
            )));
        }
        let path_and_query = head.uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str());
        let mut request = Request::from_parts(head.clone(), Full::new(body));
        *request.uri_mut() = Uri::builder().scheme("http").authority(&*self.authority).path_and_query(path_and_query).build()?;
        request.headers_mut().remove(HOST);
        Ok(self.client.request(request).await?.map(Body::new))
    }
}

const QUERY: &[u8] = b"DynamoDB_20120810.Query";

/// The key attribute that a query compares with an empty string, which no key can be.
fn empty_key(query: &Value) -> Option<String> {
    let condition = query["KeyConditionExpression"].as_str()?;
    let is_part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '#' | ':');
    let words: Vec<&str> = condition.split(|c: char| !is_part_of_a_word(c)).filter(|word| !word.is_empty()).collect();
    let is_empty = |word: &str| query["ExpressionAttributeValues"][word]["S"] == "";
    let value = words.iter().position(|word| word.starts_with(':') && is_empty(word))?;
    // The attribute is the nearest name before the value: `sk = :v`, `begins_with(sk, :v)`, `sk BETWEEN :a AND :v`.
    let is_name = |word: &&&str| !word.starts_with(':') && !["AND", "BETWEEN"].contains(&word.to_ascii_uppercase().as_str());
    let name = words[..value].iter().rev().find(is_name)?;
    let name = query["ExpressionAttributeNames"][*name].as_str().unwrap_or(name);
    Some(name.to_owned())
}

fn validation_error(message: &str) -> Response {
    let body = json!({"__type": "com.amazon.coral.validate#ValidationException", "message": message}).to_string();
    let mut response = (StatusCode::BAD_REQUEST, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
