//! Reads that do not ask for consistency answer what was a while ago.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, KeysAndAttributes, Projection,
        ProjectionType, ScalarAttributeType,
    },
};

use super::tables::{TABLE, client, exists, item, put, text, write_batch};
use crate::host::{Host, eventually};

/// Long enough that what is asked at once is asked in time.
const LONG: &str = "dynamodb:stale_ms=600000";

async fn shows(client: &Client, pk: &str) -> bool {
    client.get_item().table_name(TABLE).set_key(Some(item(pk))).send().await.unwrap().item.is_some()
}

async fn queried(client: &Client, pk: &str, consistent: bool) -> usize {
    let query = client.query().table_name(TABLE).key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk));
    query.consistent_read(consistent).send().await.unwrap().items().len()
}

async fn scanned(client: &Client, consistent: bool) -> usize {
    client.scan().table_name(TABLE).consistent_read(consistent).send().await.unwrap().items().len()
}

async fn batch(client: &Client, pks: &[&str], consistent: bool) -> usize {
    let keys = pks.iter().map(|pk| item(pk)).collect();
    let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build().unwrap();
    let answer = client.batch_get_item().request_items(TABLE, request).send().await.unwrap();
    answer.responses.unwrap().remove(TABLE).unwrap_or_default().len()
}

#[tokio::test]
async fn reads_show_what_was_before_the_fault_and_consistent_ones_what_is() {
    let host = Host::start().await;
    let client = client(&host);
    client.put_item().table_name(TABLE).set_item(Some(item("old"))).send().await.unwrap();
    host.chaos.set(LONG).unwrap();
    client.put_item().table_name(TABLE).set_item(Some(item("new"))).send().await.unwrap();
    client.delete_item().table_name(TABLE).set_key(Some(item("old"))).send().await.unwrap();
    client.transact_write_items().transact_items(put("newer")).send().await.unwrap();
    assert!(write_batch(&client, 2).await.unwrap().is_empty());

    assert!(shows(&client, "old").await && !shows(&client, "new").await && !shows(&client, "newer").await);
    assert!(!exists(&client, "old").await && exists(&client, "new").await && exists(&client, "newer").await);
    assert_eq!((queried(&client, "new", false).await, queried(&client, "new", true).await), (0, 1));
    assert_eq!((scanned(&client, false).await, scanned(&client, true).await), (1, 4));
    let all = ["old", "new", "newer", "item-00", "item-01"];
    assert_eq!((batch(&client, &all, false).await, batch(&client, &all, true).await), (1, 4));
}

#[tokio::test]
async fn what_was_written_shows_after_that_time_and_not_before() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:stale_ms=700").unwrap();
    let written = Instant::now();
    client.put_item().table_name(TABLE).set_item(Some(item("one"))).send().await.unwrap();
    eventually("it shows", async || shows(&client, "one").await).await;
    assert!(written.elapsed() >= Duration::from_millis(700), "{:?}", written.elapsed());
}

/// In the order of their commits, whoever has sent them and however many at once.
#[tokio::test]
async fn the_last_write_is_what_shows_in_the_end() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:stale_ms=1500").unwrap();
    let started = Instant::now();
    let add = || {
        let update = client.update_item().table_name(TABLE).set_key(Some(item("one"))).update_expression("ADD n :one");
        update.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send()
    };
    for result in futures::future::join_all((0..40).map(|_| add())).await {
        result.unwrap();
    }
    let count = async |consistent| {
        let get = client.get_item().table_name(TABLE).set_key(Some(item("one"))).consistent_read(consistent);
        get.send().await.unwrap().item.map_or(0, |item| item["n"].as_n().unwrap().parse().unwrap())
    };
    assert_eq!(count(true).await, 40);
    let mut last = 0;
    eventually("the last is there", async || {
        let seen = count(false).await;
        assert!(seen >= last, "{seen} after {last}");
        assert!(seen == 0 || started.elapsed() >= Duration::from_millis(1500), "{seen} after {:?}", started.elapsed());
        last = seen;
        seen == 40
    })
    .await;
}

#[tokio::test]
async fn an_index_shows_what_was() {
    let host = Host::start().await;
    let client = client(&host);
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap();
    let key = |name: &str| KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build().unwrap();
    let all = Projection::builder().projection_type(ProjectionType::All).build();
    let index = GlobalSecondaryIndex::builder().index_name("by_author").key_schema(key("author")).projection(all).build().unwrap();
    let create = client.create_table().table_name("posts").billing_mode(BillingMode::PayPerRequest).key_schema(key("pk"));
    let create = create.attribute_definitions(attribute("pk")).attribute_definitions(attribute("author"));
    create.global_secondary_indexes(index).send().await.unwrap();
    let put = async |pk: &str| {
        let put = client.put_item().table_name("posts").item("pk", text(pk)).item("author", text("ann"));
        put.send().await.unwrap();
    };
    let posts = async || {
        let query = client.query().table_name("posts").index_name("by_author").key_condition_expression("author = :author");
        query.expression_attribute_values(":author", text("ann")).send().await.unwrap().items().len()
    };
    put("one").await;
    host.chaos.set(LONG).unwrap();
    put("two").await;
    assert_eq!(posts().await, 1);
    host.chaos.set("dynamodb:stale_ms=1").unwrap();
    eventually("the index shows it", async || posts().await == 2).await;
}

#[tokio::test]
async fn switched_off_every_read_shows_what_is_and_switched_on_again_what_was_then() {
    let host = Host::start().await;
    let client = client(&host);
    for pk in ["one", "two"] {
        host.chaos.set(LONG).unwrap();
        client.put_item().table_name(TABLE).set_item(Some(item(pk))).send().await.unwrap();
        assert!(!shows(&client, pk).await, "{pk}");
        host.chaos.set("").unwrap();
        assert!(shows(&client, pk).await, "{pk}");
        client.put_item().table_name(TABLE).set_item(Some(item("between"))).send().await.unwrap();
    }
    host.chaos.set(LONG).unwrap();
    assert!(shows(&client, "one").await && shows(&client, "two").await && shows(&client, "between").await);
}
