//! Many writes of which none depends on another: cheaper than transactions, and done one by one.

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, ReturnConsumedCapacity, WriteRequest};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    Error, Key, Table,
    table::{Item, back_off, failure, is_progress, write_units},
};

/// The most that `BatchWriteItem` takes.
const BATCH: usize = 25;
/// Batches under way at once.
const PARALLEL: usize = 8;

/// Writes items; one that is there already is replaced.
pub async fn put(table: &Table, items: impl IntoIterator<Item = Item>) -> Result<(), Error> {
    let put = |item| PutRequest::builder().set_item(Some(item)).build().expect("the item is set");
    write(table, items.into_iter().map(|item| WriteRequest::builder().put_request(put(item)).build()).collect()).await
}

/// Removes items; one that is not there is none the less gone.
pub async fn delete(table: &Table, keys: impl IntoIterator<Item = Key>) -> Result<(), Error> {
    let delete = |key: Key| DeleteRequest::builder().set_key(Some(key.item())).build().expect("the key is set");
    write(table, keys.into_iter().map(|key| WriteRequest::builder().delete_request(delete(key)).build()).collect()).await
}

async fn write(table: &Table, requests: Vec<WriteRequest>) -> Result<(), Error> {
    let batches: Vec<Vec<WriteRequest>> = requests.chunks(BATCH).map(<[WriteRequest]>::to_vec).collect();
    stream::iter(batches).map(|batch| write_batch(table, batch)).buffer_unordered(PARALLEL).try_collect().await
}

/// What the table did not process is sent again, later and later; after that it is the caller's to come again.
async fn write_batch(table: &Table, mut batch: Vec<WriteRequest>) -> Result<(), Error> {
    for attempt in 0.. {
        let asked = batch.len();
        let request = table.client.batch_write_item().request_items(&table.name, batch);
        let answer = Box::pin(request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await.map_err(failure)?;
        write_units(answer.consumed_capacity());
        batch = answer.unprocessed_items.and_then(|mut tables| tables.remove(&table.name)).unwrap_or_default();
        if batch.is_empty() {
            break;
        }
        is_progress(asked, batch.len())?;
        back_off(attempt).await?;
    }
    Ok(())
}
