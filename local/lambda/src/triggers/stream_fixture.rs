//! What tests of stream mappings begin with: a table with a stream, and functions that note what they get.

use std::sync::Mutex;

use dynoxide::Database;
use serde_json::{Value, json};

use super::*;
use crate::{
    fake::{self, Answer},
    worker::Spawn,
};

/// A table with a stream, and what a function needs to be mapped to it.
pub(super) struct Table {
    pub(super) database: Database,
    pub(super) streams: Streams,
    pub(super) chaos: Chaos,
    pub(super) state: fake::State,
}

/// A running mapping; the pool ends with it.
pub(super) struct Mapped {
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<()>,
    pub(super) pool: Arc<Pool>,
}

impl Table {
    pub(super) fn new() -> Self {
        let state = fake::state(&[fake::queue("failed", Duration::from_secs(30))]);
        prepare(&state.dir.control()).unwrap();
        let path = state.folder.path().join("tables.db");
        let database = Database::new(path.to_str().unwrap()).unwrap();
        database.create_table(serde_json::from_value(fake::stream_table().create).unwrap()).unwrap();
        Self { database, streams: Streams::new(&path), chaos: Chaos::new([]), state }
    }

    /// Writes an item; `kind` is what filters look at and functions decide by.
    pub(super) fn put(&self, pk: &str, kind: &str) {
        let request = json!({ "TableName": "posts", "Item": { "pk": { "S": pk }, "kind": { "S": kind } } });
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
        self.streams.written();
    }

    /// Makes all records that there are older.
    pub(super) fn age(&self, seconds: u32) {
        let path = self.state.folder.path().join("tables.db");
        rusqlite::Connection::open(path).unwrap().execute("UPDATE _stream_records SET created_at = created_at - ?1", [seconds]).unwrap();
    }

    pub(super) fn position(&self) -> Option<String> {
        position_of(&self.state.dir.control(), "router-posts").unwrap()
    }

    pub(super) fn start(&self, trigger: &StreamTrigger, pool: &Arc<Pool>, stop: &watch::Receiver<bool>) -> Result<JoinHandle<()>, Error> {
        let control = self.state.dir.control();
        let Self { database, streams, chaos, state } = self;
        start(trigger, pool, &Surroundings { queues: &state.queues, database, streams, control: &control, chaos, stop })
    }

    pub(super) async fn map(&self, trigger: StreamTrigger, spawn: Spawn) -> Mapped {
        let pool = fake::pool(fake::function("router"), spawn).await;
        let (stop, stopping) = watch::channel(false);
        let task = self.start(&trigger, &pool, &stopping).unwrap();
        Mapped { stop, task, pool }
    }
}

impl Mapped {
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.pool.stop().await;
        self.task.await.unwrap();
    }
}

pub(super) fn trigger() -> StreamTrigger {
    StreamTrigger {
        id: "router-posts".to_owned(),
        table: "posts".to_owned(),
        start: StartingPosition::Oldest,
        batch_size: 100,
        window: Duration::ZERO,
        filters: Vec::new(),
        max_retries: Some(1),
        max_age: None,
        bisect: true,
        partial_failures: true,
        on_failure: Some(fake::queue_arn("failed")),
    }
}

/// Batches, each a list of keys, in the order of their invocation.
pub(super) type Batches = Arc<Mutex<Vec<Vec<String>>>>;

/// A function that notes what it gets, and answers by the batch.
pub(super) fn function(answer: impl Fn(&[Value]) -> Answer + Send + Sync + 'static) -> (Spawn, Batches) {
    let batches: Batches = Arc::default();
    let noted = Arc::clone(&batches);
    let spawn = fake::workers(move |call| {
        let records = call.event["Records"].as_array().unwrap();
        noted.lock().unwrap().push(records.iter().map(key).collect());
        let answer = answer(records);
        async move { answer }
    });
    (spawn, batches)
}

pub(super) fn key(record: &Value) -> String {
    record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned()
}

pub(super) fn kind(record: &Value) -> &str {
    record["dynamodb"]["NewImage"]["kind"]["S"].as_str().unwrap()
}

pub(super) fn succeed(_: &[Value]) -> Answer {
    Answer::Succeed(Value::Null)
}

/// Fails while there is a bad record in the batch.
pub(super) fn fail_on_bad(records: &[Value]) -> Answer {
    if records.iter().any(|record| kind(record) == "bad") { Answer::Fail(fake::refusal()) } else { succeed(records) }
}

pub(super) fn all(batches: &Batches) -> Vec<String> {
    batches.lock().unwrap().concat()
}
