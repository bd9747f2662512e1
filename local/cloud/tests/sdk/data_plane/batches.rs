//! Batches: many items of a table in one request.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    types::{DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest},
};

use super::cloud::{Cloud, Item, Table, item, text};

fn put(item: Item) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().unwrap()).build()
}

fn delete(key: Item) -> WriteRequest {
    WriteRequest::builder().delete_request(DeleteRequest::builder().set_key(Some(key)).build().unwrap()).build()
}

/// The key of entry `n`, in a partition of its own.
fn key(n: usize) -> Item {
    item(&format!("{n:03}"), "ENTRY", [])
}

/// Writes, and answers the error's code.
async fn write(table: &Table, requests: Vec<WriteRequest>) -> Result<(), String> {
    let write = table.client.batch_write_item().request_items(&table.name, requests);
    match write.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
        Ok(written) => {
            assert!(written.unprocessed_items.unwrap_or_default().is_empty());
            assert!(written.consumed_capacity.unwrap()[0].capacity_units > Some(0.0));
            Ok(())
        }
        Err(error) => Err(error.code().unwrap().to_owned()),
    }
}

async fn read(table: &Table, keys: Vec<Item>) -> Result<Vec<Item>, String> {
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().unwrap();
    match table.client.batch_get_item().request_items(&table.name, keys).send().await {
        Ok(answer) => {
            assert!(answer.unprocessed_keys.unwrap_or_default().is_empty());
            Ok(answer.responses.unwrap().remove(&table.name).unwrap_or_default())
        }
        Err(error) => Err(error.code().unwrap().to_owned()),
    }
}

#[tokio::test]
async fn a_batch_puts_and_deletes_and_may_be_repeated() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let entry = |n| key(n).into_iter().chain([("word".to_owned(), text("kept"))]).collect::<Item>();
    table.put(entry(24)).await;
    for _ in 0..2 {
        let requests = (0..24).map(|n| put(entry(n))).chain([delete(key(24))]);
        write(&table, requests.collect()).await.unwrap();
    }
    let mut read = read(&table, (0..100).map(key).collect()).await.unwrap();
    read.sort_by_key(|item| item["pk"].as_s().unwrap().clone());
    assert_eq!(read, (0..24).map(entry).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_has_its_limits() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let refused = Err("ValidationException".to_owned());
    assert_eq!(write(&table, (0..26).map(|n| put(key(n))).collect()).await, refused);
    assert_eq!(write(&table, vec![put(key(1)), delete(key(1))]).await, refused);
    assert_eq!(read(&table, (0..101).map(key).collect()).await, refused.clone().map(|()| Vec::new()));
    assert_eq!(read(&table, vec![key(1), key(1)]).await, refused.map(|()| Vec::new()));
}
