//! The tables that the template declares, in the database that the host shares with the endpoint.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put, TransactWriteItem},
};
use dynoxide::actions::{
    describe_stream::DescribeStreamRequest, describe_table::DescribeTableRequest, get_records::GetRecordsRequest,
    get_shard_iterator::GetShardIteratorRequest,
};
use tintype_cloud::dynamodb;

use crate::host::{Host, posts_table};

const TABLE: &str = "tintype-PostsTable";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn put(pk: &str) -> TransactWriteItem {
    let put =
        Put::builder().table_name(TABLE).item("pk", text(pk)).item("sk", text("POST")).condition_expression("attribute_not_exists(pk)");
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

async fn exists(client: &Client, pk: &str) -> bool {
    client.get_item().table_name(TABLE).key("pk", text(pk)).key("sk", text("POST")).send().await.unwrap().item.is_some()
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_and_is_there_after_a_restart() {
    let host = Host::start().await;
    let client = Client::new(&host.sdk);
    client.transact_write_items().transact_items(put("one")).transact_items(put("two")).send().await.unwrap();
    let refused = client.transact_write_items().transact_items(put("three")).transact_items(put("one")).send().await;
    assert!(refused.unwrap_err().into_service_error().is_transaction_canceled_exception());
    assert!(!exists(&client, "three").await);

    let host = host.restart().await;
    let client = Client::new(&host.sdk);
    assert!(exists(&client, "one").await && exists(&client, "two").await && !exists(&client, "three").await);
}

#[tokio::test]
async fn what_is_written_through_the_endpoint_is_in_the_stream_of_the_shared_database() {
    let host = Host::start().await;
    Client::new(&host.sdk).transact_write_items().transact_items(put("one")).send().await.unwrap();

    let database = &host.database;
    let table = database.describe_table(DescribeTableRequest { table_name: TABLE.to_owned() }).unwrap().table;
    let stream_arn = table.latest_stream_arn.unwrap();
    let request = serde_json::json!({"StreamArn": stream_arn});
    let stream = database.describe_stream(serde_json::from_value::<DescribeStreamRequest>(request).unwrap()).unwrap();
    let shard_id = serde_json::to_value(&stream).unwrap()["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let request = serde_json::json!({"StreamArn": stream_arn, "ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = database.get_shard_iterator(serde_json::from_value::<GetShardIteratorRequest>(request).unwrap()).unwrap();
    let request = serde_json::json!({"ShardIterator": iterator.shard_iterator});
    let records = database.get_records(serde_json::from_value::<GetRecordsRequest>(request).unwrap()).unwrap();
    let records = serde_json::to_value(&records).unwrap()["Records"].clone();
    assert_eq!(records[0]["eventName"], "INSERT");
    assert_eq!(records[0]["dynamodb"]["Keys"]["pk"]["S"], "one");
}

#[tokio::test]
async fn a_table_is_described_with_its_stream_and_its_time_to_live() {
    let host = Host::start().await;
    let client = Client::new(&host.sdk);
    let table = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    assert!(table.latest_stream_arn().is_some());
    let ttl = client.describe_time_to_live().table_name(TABLE).send().await.unwrap().time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires_at"));
}

#[test]
fn a_table_with_other_keys_than_declared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dynamodb.db");
    drop(dynamodb::open(&path, &[posts_table()]).unwrap());
    dynamodb::open(&path, &[posts_table()]).expect("the same table again");

    let mut changed = posts_table();
    changed.create["KeySchema"][1]["AttributeName"] = "other".into();
    changed.create["AttributeDefinitions"][1]["AttributeName"] = "other".into();
    let error = dynamodb::open(&path, &[changed]).err().unwrap().to_string();
    assert!(error.contains(TABLE) && error.contains("key schema"), "{error}");
}
