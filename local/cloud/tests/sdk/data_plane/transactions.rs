//! Transactions: all or nothing, with a reason for each write.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput},
    types::{ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update},
};

use super::cloud::{Cloud, Item, Table, item, number, text};

const NEW: Option<&str> = Some("attribute_not_exists(pk)");
const PRESENT: Option<&str> = Some("attribute_exists(pk)");

fn put(table: &Table, item: Item, condition: Option<&str>) -> TransactWriteItem {
    let put = Put::builder().table_name(&table.name).set_item(Some(item)).set_condition_expression(condition.map(str::to_owned));
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

fn delete(table: &Table, key: Item, condition: Option<&str>) -> TransactWriteItem {
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key)).set_condition_expression(condition.map(str::to_owned));
    TransactWriteItem::builder().delete(delete.build().unwrap()).build()
}

fn check(table: &Table, key: Item, condition: &str) -> TransactWriteItem {
    let check = ConditionCheck::builder().table_name(&table.name).set_key(Some(key)).condition_expression(condition);
    TransactWriteItem::builder().condition_check(check.build().unwrap()).build()
}

fn add(table: &Table, key: Item, amount: i64) -> TransactWriteItem {
    let add = Update::builder().table_name(&table.name).set_key(Some(key)).update_expression("ADD #count :amount");
    let add = add.expression_attribute_names("#count", "count").expression_attribute_values(":amount", number(amount));
    TransactWriteItem::builder().update(add.build().unwrap()).build()
}

async fn transact(table: &Table, writes: Vec<TransactWriteItem>) -> Result<TransactWriteItemsOutput, TransactWriteItemsError> {
    let request = table.client.transact_write_items().set_transact_items(Some(writes));
    let answer = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
    answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)
}

/// Why a transaction was cancelled, write by write.
fn reasons(error: &TransactWriteItemsError) -> Vec<&str> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { panic!("{error:?}") };
    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect()
}

#[tokio::test]
async fn all_writes_are_done_together() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    table.put(item("post", "UNPUBLISHED", [])).await;
    let writes = vec![
        put(&table, item("post", "PUBLISHED", [("caption", text("lake"))]), NEW),
        delete(&table, item("post", "UNPUBLISHED", []), PRESENT),
        add(&table, item("author", "COUNT", []), 1),
        check(&table, item("author", "BLOCKED", []), "attribute_not_exists(pk)"),
    ];
    transact(&table, writes).await.unwrap();
    assert_eq!(table.get("post", "PUBLISHED").await, Some(item("post", "PUBLISHED", [("caption", text("lake"))])));
    assert_eq!(table.get("post", "UNPUBLISHED").await, None);
    assert_eq!(table.get("author", "COUNT").await.unwrap()["count"], number(1));
    assert_eq!(table.get("author", "BLOCKED").await, None);
}

#[tokio::test]
async fn a_write_in_a_transaction_costs_twice() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let done = transact(&table, vec![put(&table, item("one", "A", []), NEW), add(&table, item("author", "COUNT", []), 1)]).await.unwrap();
    assert_eq!(done.consumed_capacity()[0].capacity_units, Some(4.0));
}

#[tokio::test]
async fn a_cancelled_transaction_tells_which_conditions_did_not_hold_and_writes_nothing() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    table.put(item("taken", "A", [("word", text("first"))])).await;
    let writes = vec![
        put(&table, item("free", "A", []), NEW),
        put(&table, item("taken", "A", [("word", text("second"))]), NEW),
        add(&table, item("author", "COUNT", []), 1),
        delete(&table, item("missing", "A", []), PRESENT),
        check(&table, item("missing", "B", []), "attribute_exists(pk)"),
    ];
    let error = transact(&table, writes).await.unwrap_err();
    assert_eq!(reasons(&error), ["None", "ConditionalCheckFailed", "None", "ConditionalCheckFailed", "ConditionalCheckFailed"]);
    assert_eq!((table.get("free", "A").await, table.get("author", "COUNT").await), (None, None));
    assert_eq!(table.get("taken", "A").await, Some(item("taken", "A", [("word", text("first"))])));
}

#[tokio::test]
async fn an_item_is_written_once_in_a_transaction() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let twice = vec![put(&table, item("one", "A", []), None), delete(&table, item("one", "A", []), None)];
    let refused = transact(&table, twice).await.unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"));
    assert!(refused.message().unwrap().contains("cannot include multiple operations on one item"), "{refused:?}");
}

#[tokio::test]
async fn a_transaction_has_at_most_a_hundred_writes() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let writes = |count: u32| (0..count).map(|n| put(&table, item("one", &format!("{n:03}"), []), None)).collect();
    assert_eq!(transact(&table, writes(101)).await.unwrap_err().code(), Some("ValidationException"));
    transact(&table, writes(100)).await.unwrap();
    assert!(table.get("one", "099").await.is_some());
}

/// The SDK gives every transaction a token and sends it again if the answer is lost.
#[tokio::test]
async fn a_transaction_that_is_sent_again_with_its_token_is_done_once() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let token = uuid::Uuid::new_v4().to_string();
    let send = async |amount: i64| {
        let request = table.client.transact_write_items().client_request_token(&token);
        request.transact_items(add(&table, item("author", "COUNT", []), amount)).send().await
    };
    send(1).await.unwrap();
    send(1).await.unwrap();
    assert_eq!(table.get("author", "COUNT").await.unwrap()["count"], number(1));
    let other = send(2).await.unwrap_err().into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception(), "{other:?}");
}
