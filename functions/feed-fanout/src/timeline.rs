//! Writing and removing timeline entries, many at a time.

use std::time::Instant;

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, ReturnConsumedCapacity, WriteRequest};
use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::UserId;
use tintype_tables::{
    Error, Key, Page, Table,
    feeds::{self, Entry},
    table::{Query, back_off, failure, write_units},
};

/// The most that `BatchWriteItem` takes.
const BATCH: usize = 25;
/// Batches under way at once.
const PARALLEL: usize = 8;

/// Writes entries; one that is there already is replaced by its like.
pub(crate) async fn put(feeds: &Table, entries: impl IntoIterator<Item = Entry>) -> Result<(), Error> {
    let mut requests = Vec::new();
    for entry in entries {
        let put = PutRequest::builder().set_item(Some(serde_dynamo::to_item(entry)?)).build().expect("the item is set");
        requests.push(WriteRequest::builder().put_request(put).build());
    }
    write(feeds, requests).await
}

/// Removes entries; one that is not there is none the less gone.
pub(crate) async fn delete(feeds: &Table, keys: impl IntoIterator<Item = Key>) -> Result<(), Error> {
    let delete = |key: Key| DeleteRequest::builder().set_key(Some(key.item())).build().expect("the key is set");
    let requests = keys.into_iter().map(|key| WriteRequest::builder().delete_request(delete(key)).build()).collect();
    write(feeds, requests).await
}

/// Removes a whole timeline, page by page; `false` if the time was `up` before.
pub(crate) async fn remove(feeds: &Table, viewer: UserId, up: Instant) -> Result<bool, Error> {
    loop {
        let query = Query { pk: feeds::timeline(viewer), prefix: None, after: None, descending: false, consistent: true, limit: 1000 };
        let page: Page<Key> = feeds.query(query).await?;
        delete(feeds, page.items).await?;
        if page.next.is_none() {
            return Ok(true);
        }
        if Instant::now() >= up {
            return Ok(false);
        }
    }
}

async fn write(feeds: &Table, requests: Vec<WriteRequest>) -> Result<(), Error> {
    let batches: Vec<Vec<WriteRequest>> = requests.chunks(BATCH).map(<[WriteRequest]>::to_vec).collect();
    stream::iter(batches).map(|batch| write_batch(feeds, batch)).buffer_unordered(PARALLEL).try_collect().await
}

/// What the table did not process is sent again, later and later; after that the whole message comes again.
async fn write_batch(feeds: &Table, mut batch: Vec<WriteRequest>) -> Result<(), Error> {
    for attempt in 0.. {
        let answer = feeds
            .client
            .batch_write_item()
            .request_items(&feeds.name, batch)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(failure)?;
        write_units(answer.consumed_capacity());
        batch = answer.unprocessed_items.and_then(|mut tables| tables.remove(&feeds.name)).unwrap_or_default();
        if batch.is_empty() {
            break;
        }
        back_off(attempt).await?;
    }
    Ok(())
}
