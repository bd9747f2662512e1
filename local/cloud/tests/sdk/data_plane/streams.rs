//! A table's stream, which is its outbox: every change of an item in order, with both images.

use aws_sdk_dynamodb::types::{DeleteRequest, Put, PutRequest, TransactWriteItem, WriteRequest};
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, ShardIteratorType, StreamViewType};

use super::cloud::{Cloud, Table, item, text};
use crate::host::eventually;

/// Reads the stream from its beginning, shard by shard.
async fn records(cloud: &Cloud, table: &Table) -> Vec<Record> {
    let streams = cloud.streams();
    let described = table.client.describe_table().table_name(&table.name).send().await.unwrap().table.unwrap();
    let arn = described.latest_stream_arn().unwrap();
    let stream = streams.describe_stream().stream_arn(arn).send().await.unwrap().stream_description.unwrap();
    assert_eq!(stream.stream_view_type(), Some(&StreamViewType::NewAndOldImages));
    let mut records = Vec::new();
    for shard in stream.shards() {
        let iterator = streams.get_shard_iterator().stream_arn(arn).shard_id(shard.shard_id().unwrap());
        let mut iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap().shard_iterator;
        // An open shard always has a next iterator: two empty answers are taken for its end, and the caller asks again if it is not.
        let mut empty = 0;
        while let Some(at) = iterator.take().filter(|_| empty < 2) {
            let answer = streams.get_records().shard_iterator(at).send().await.unwrap();
            let read = answer.records.unwrap_or_default();
            empty = if read.is_empty() { empty + 1 } else { 0 };
            records.extend(read);
            iterator = answer.next_shard_iterator;
        }
    }
    records
}

/// Reads until `count` records are there, and that there are no more.
async fn all(cloud: &Cloud, table: &Table, count: usize) -> Vec<Record> {
    let mut read = Vec::new();
    eventually("the stream has all records", async || {
        read = records(cloud, table).await;
        read.len() >= count
    })
    .await;
    assert_eq!(read.len(), count, "{read:#?}");
    read
}

/// What happened to which item: the change, and the word before and after it.
fn changes(records: &[Record]) -> Vec<(OperationType, String, Option<String>, Option<String>)> {
    let word = |image: Option<&std::collections::HashMap<String, AttributeValue>>| image.map(|image| image["word"].as_s().unwrap().clone());
    let change = |record: &Record| {
        let data = record.dynamodb().unwrap();
        let sk = data.keys().unwrap()["sk"].as_s().unwrap().clone();
        (record.event_name().unwrap().clone(), sk, word(data.old_image()), word(data.new_image()))
    };
    records.iter().map(change).collect()
}

fn change(kind: OperationType, sk: &str, old: Option<&str>, new: Option<&str>) -> (OperationType, String, Option<String>, Option<String>) {
    (kind, sk.to_owned(), old.map(str::to_owned), new.map(str::to_owned))
}

#[tokio::test]
async fn every_change_of_an_item_is_a_record_in_order_with_both_images() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    table.put(item("one", "A", [("word", text("first"))])).await;
    table.put(item("one", "A", [("word", text("second"))])).await;
    let update =
        table.client.update_item().table_name(&table.name).set_key(Some(item("one", "A", []))).update_expression("SET word = :word");
    update.expression_attribute_values(":word", text("third")).send().await.unwrap();
    table.client.delete_item().table_name(&table.name).set_key(Some(item("one", "A", []))).send().await.unwrap();

    let records = all(&cloud, &table, 4).await;
    let expected = [
        change(OperationType::Insert, "A", None, Some("first")),
        change(OperationType::Modify, "A", Some("first"), Some("second")),
        change(OperationType::Modify, "A", Some("second"), Some("third")),
        change(OperationType::Remove, "A", Some("third"), None),
    ];
    assert_eq!(changes(&records), expected);
    for record in &records {
        assert_eq!(record.event_source(), Some("aws:dynamodb"));
        let data = record.dynamodb().unwrap();
        assert_eq!(data.keys().unwrap().len(), 2);
        assert_eq!(data.stream_view_type(), Some(&StreamViewType::NewAndOldImages));
        assert!(data.approximate_creation_date_time().is_some());
    }
    let numbers: Vec<u128> = records.iter().map(|record| record.dynamodb().unwrap().sequence_number().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let mut ids: Vec<_> = records.iter().map(|record| record.event_id().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn what_a_transaction_or_a_batch_changes_is_in_the_stream_and_nothing_of_what_was_refused() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let put = |sk: &str| {
        let put = Put::builder().table_name(&table.name).set_item(Some(item("one", sk, [("word", text("new"))])));
        let put = put.condition_expression("attribute_not_exists(pk)").build().unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let transact = async |writes: Vec<TransactWriteItem>| table.client.transact_write_items().set_transact_items(Some(writes)).send().await;
    transact(vec![put("A")]).await.unwrap();
    transact(vec![put("never"), put("A")]).await.unwrap_err();
    let put = PutRequest::builder().set_item(Some(item("one", "B", [("word", text("new"))]))).build().unwrap();
    let put = WriteRequest::builder().put_request(put).build();
    table.client.batch_write_item().request_items(&table.name, vec![put]).send().await.unwrap();
    let delete = |sk: &str| DeleteRequest::builder().set_key(Some(item("one", sk, []))).build().unwrap();
    // What was not there is not removed.
    let deletes = ["A", "nothing"].map(|sk| WriteRequest::builder().delete_request(delete(sk)).build());
    table.client.batch_write_item().request_items(&table.name, deletes.into()).send().await.unwrap();

    let expected = [
        change(OperationType::Insert, "A", None, Some("new")),
        change(OperationType::Insert, "B", None, Some("new")),
        change(OperationType::Remove, "A", Some("new"), None),
    ];
    assert_eq!(changes(&all(&cloud, &table, 3).await), expected);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_record() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for word in ["same", "same", "other"] {
        table.put(item("one", "A", [("word", text(word))])).await;
    }
    let expected =
        [change(OperationType::Insert, "A", None, Some("same")), change(OperationType::Modify, "A", Some("same"), Some("other"))];
    assert_eq!(changes(&all(&cloud, &table, 2).await), expected);
}

#[tokio::test]
async fn a_reader_goes_on_after_a_record() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for word in ["first", "second"] {
        table.put(item("one", "A", [("word", text(word))])).await;
    }
    let records = all(&cloud, &table, 2).await;
    let streams = cloud.streams();
    let described = table.client.describe_table().table_name(&table.name).send().await.unwrap().table.unwrap();
    let arn = described.latest_stream_arn().unwrap();
    let stream = streams.describe_stream().stream_arn(arn).send().await.unwrap().stream_description.unwrap();
    let (shard, number) = (stream.shards()[0].shard_id().unwrap(), records[0].dynamodb().unwrap().sequence_number().unwrap());
    for (from, expected) in [(ShardIteratorType::AfterSequenceNumber, &records[1..]), (ShardIteratorType::AtSequenceNumber, &records[..])] {
        let iterator = streams.get_shard_iterator().stream_arn(arn).shard_id(shard).shard_iterator_type(from).sequence_number(number);
        let iterator = iterator.send().await.unwrap().shard_iterator.unwrap();
        let read = streams.get_records().shard_iterator(iterator).send().await.unwrap().records.unwrap();
        assert_eq!(changes(&read), changes(expected));
    }
}
