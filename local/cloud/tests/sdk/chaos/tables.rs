//! DynamoDB's.

use std::{collections::BTreeSet, fmt::Debug};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{batch_write_item::BatchWriteItemError, transact_write_items::TransactWriteItemsError},
    types::{
        AttributeValue, CancellationReason, Get, KeysAndAttributes, Put, PutRequest, TransactGetItem, TransactWriteItem, WriteRequest,
    },
};
use tintype_chaos::Fault;

use super::{first_time, without_retries};
use crate::host::Host;

pub(super) const TABLE: &str = "tintype-PostsTable";

pub(super) type Item = std::collections::HashMap<String, AttributeValue>;

pub(super) fn client(host: &Host) -> Client {
    Client::new(&without_retries(host))
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn item(pk: &str) -> Item {
    [("pk".to_owned(), text(pk)), ("sk".to_owned(), text("POST"))].into()
}

pub(super) async fn exists(client: &Client, pk: &str) -> bool {
    client.get_item().table_name(TABLE).set_key(Some(item(pk))).consistent_read(true).send().await.unwrap().item.is_some()
}

pub(super) fn put(pk: &str) -> TransactWriteItem {
    TransactWriteItem::builder().put(Put::builder().table_name(TABLE).set_item(Some(item(pk))).build().unwrap()).build()
}

/// Writes items `item-00`, `item-01` and so on; answers those that were left undone, sorted.
pub(super) async fn write_batch(client: &Client, count: usize) -> Result<Vec<String>, SdkError<BatchWriteItemError>> {
    let write = |number| PutRequest::builder().set_item(Some(item(&format!("item-{number:02}")))).build().unwrap();
    let writes = (0..count).map(|number| WriteRequest::builder().put_request(write(number)).build()).collect();
    let answer = client.batch_write_item().request_items(TABLE, writes).send().await?;
    let undone = answer.unprocessed_items.unwrap_or_default().remove(TABLE).unwrap_or_default();
    let mut undone: Vec<_> = undone.iter().map(|write| write.put_request().unwrap().item()["pk"].as_s().unwrap().clone()).collect();
    undone.sort();
    Ok(undone)
}

/// What became of a request, without what differs from run to run.
pub(super) fn outcome<T: Debug, E: ProvideErrorMetadata, R: Debug>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(done) => format!("{done:?}"),
        Err(SdkError::ServiceError(refused)) => refused.err().code().unwrap_or("no code").to_owned(),
        Err(_) => "no answer".to_owned(),
    }
}

#[tokio::test]
async fn an_error_is_an_internal_server_error_and_nothing_is_done() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:error=1").unwrap();
    let refused = client.put_item().table_name(TABLE).set_item(Some(item("one"))).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 500);
    assert!(refused.into_service_error().is_internal_server_error());
    let refused = client.get_item().table_name(TABLE).set_key(Some(item("one"))).send().await.unwrap_err();
    assert!(refused.into_service_error().is_internal_server_error(), "reads fail as writes do");
    host.chaos.set("").unwrap();
    assert!(!exists(&client, "one").await);
}

#[tokio::test]
async fn throttling_is_what_tables_on_demand_say_and_nothing_is_done() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:throttle=1;seed=1").unwrap();
    let refused = client.put_item().table_name(TABLE).set_item(Some(item("one"))).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    assert!(refused.into_service_error().is_throttling_exception());
    let reasons = cancelled(&client, &["one", "two", "three"]).await;
    let codes: BTreeSet<_> = reasons.iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!((reasons.len(), codes), (3, BTreeSet::from(["None", "ThrottlingError"])));
    host.chaos.set("").unwrap();
    assert!(!exists(&client, "one").await && !exists(&client, "two").await);
}

#[tokio::test]
async fn the_sdk_tries_again_what_was_throttled_or_failed() {
    let host = Host::start().await;
    for (fault, name) in [(Fault::Throttle, "throttle"), (Fault::Error, "error")] {
        host.chaos.set(&first_time("dynamodb", fault, name)).unwrap();
        let put = Client::new(&host.sdk).put_item().table_name(TABLE).set_item(Some(item(name)));
        put.send().await.expect(name);
        host.chaos.set("").unwrap();
        assert!(exists(&client(&host), name).await);
    }
}

/// The reasons why a transaction of puts is cancelled.
async fn cancelled(client: &Client, items: &[&str]) -> Vec<CancellationReason> {
    let writes = items.iter().map(|pk| put(pk)).collect();
    let refused = client.transact_write_items().set_transact_items(Some(writes)).send().await.unwrap_err().into_service_error();
    let message = refused.message().unwrap().to_owned();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = refused else { panic!("it is cancelled: {refused:?}") };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(message, format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", ")));
    cancelled.cancellation_reasons().to_vec()
}

#[tokio::test]
async fn a_transaction_conflict_names_one_item_a_different_one_each_time_and_nothing_is_done() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:conflict=1;seed=1").unwrap();
    let mut culprits = BTreeSet::new();
    for _ in 0..20 {
        let reasons = cancelled(&client, &["one", "two", "three"]).await;
        let culprit = reasons.iter().position(|reason| reason.code() == Some("TransactionConflict")).unwrap();
        assert_eq!(reasons[culprit].message(), Some("Transaction is ongoing for the item"));
        assert_eq!(reasons.iter().filter(|reason| reason.code() == Some("None")).count(), 2);
        culprits.insert(culprit);
    }
    assert_eq!(culprits.len(), 3);

    let get = TransactGetItem::builder().get(Get::builder().table_name(TABLE).set_key(Some(item("one"))).build().unwrap()).build();
    let refused = client.transact_get_items().transact_items(get).send().await.unwrap_err();
    assert!(refused.into_service_error().is_transaction_canceled_exception());
    exists(&client, "one").await;
    host.chaos.set("").unwrap();
    assert!(!exists(&client, "one").await && !exists(&client, "two").await && !exists(&client, "three").await);
}

#[tokio::test]
async fn single_writes_meet_transactions_too() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:conflict=1").unwrap();
    let refused = client.put_item().table_name(TABLE).set_item(Some(item("one"))).send().await.unwrap_err().into_service_error();
    assert!(refused.is_transaction_conflict_exception());
    let refused = client.delete_item().table_name(TABLE).set_key(Some(item("one"))).send().await.unwrap_err().into_service_error();
    assert!(refused.is_transaction_conflict_exception());
    let update = client.update_item().table_name(TABLE).set_key(Some(item("one"))).update_expression("SET n = :n");
    let refused = update.expression_attribute_values(":n", text("1")).send().await.unwrap_err().into_service_error();
    assert!(refused.is_transaction_conflict_exception());
    assert!(!exists(&client, "one").await);
}

#[tokio::test]
async fn a_batch_of_writes_is_done_in_part_and_the_rest_is_said() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:unprocessed=1;seed=1").unwrap();
    let mut sizes = BTreeSet::new();
    for _ in 0..12 {
        let undone = write_batch(&client, 8).await.unwrap();
        assert!(!undone.is_empty());
        for number in 0..8 {
            let pk = format!("item-{number:02}");
            assert_eq!(exists(&client, &pk).await, !undone.contains(&pk), "{pk} of {undone:?}");
            client.delete_item().table_name(TABLE).set_key(Some(item(&pk))).send().await.unwrap();
        }
        sizes.insert(undone.len());
    }
    assert!(sizes.len() > 3, "{sizes:?}");
}

/// DynamoDB refuses them whole; a part of them would be done.
#[tokio::test]
async fn a_batch_that_is_too_long_or_asks_for_an_item_twice_is_refused_whole() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:unprocessed=1").unwrap();
    let refused = write_batch(&client, 26).await.unwrap_err();
    assert_eq!(outcome(Err::<(), _>(refused)), "ValidationException");
    let twice = |pks: &[&str]| {
        let write =
            |pk: &&str| WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item(pk))).build().unwrap()).build();
        client.batch_write_item().request_items(TABLE, pks.iter().map(write).collect()).send()
    };
    assert_eq!(outcome(twice(&["one", "two", "one"]).await), "ValidationException");
    for pks in [(0..101).map(|n| n.to_string()).collect(), vec!["one".to_owned(), "two".to_owned(), "one".to_owned()]] {
        let keys = pks.iter().map(|pk| item(pk)).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).build().unwrap();
        let refused = client.batch_get_item().request_items(TABLE, request).send().await;
        assert_eq!(outcome(refused), "ValidationException");
    }
    assert!(!exists(&client, "one").await && !exists(&client, "item-00").await);
}

#[tokio::test]
async fn a_batch_of_reads_is_done_in_part_and_the_rest_is_said_as_it_was_asked() {
    let host = Host::start().await;
    let client = client(&host);
    assert!(write_batch(&client, 8).await.unwrap().is_empty());
    host.chaos.set("dynamodb:unprocessed=1;seed=1").unwrap();
    for _ in 0..12 {
        let keys = (0..8).map(|number| item(&format!("item-{number:02}"))).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).projection_expression("pk");
        let answer = client.batch_get_item().request_items(TABLE, request.build().unwrap()).send().await.unwrap();
        let rest = answer.unprocessed_keys.unwrap().remove(TABLE).unwrap();
        assert_eq!((rest.consistent_read(), rest.projection_expression()), (Some(true), Some("pk")));
        let found = answer.responses.unwrap().remove(TABLE).unwrap_or_default();
        let pks = rest.keys().iter().chain(&found).map(|item| item["pk"].as_s().unwrap().clone());
        assert_eq!(pks.collect::<BTreeSet<_>>().len(), 8, "each is either read or left");
        assert_eq!(rest.keys().len() + found.len(), 8);
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_and_the_connection_is_closed() {
    let host = Host::start().await;
    let client = client(&host);
    host.chaos.set("dynamodb:lost_answer=1").unwrap();
    let lost = client.put_item().table_name(TABLE).set_item(Some(item("one"))).send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    host.chaos.set("").unwrap();
    assert!(exists(&client, "one").await);

    // A new connection, and a second put of what must not be there: the SDK tells of the first one's success.
    host.chaos.set(&first_time("dynamodb", Fault::LostAnswer, "lost_answer")).unwrap();
    let put = Client::new(&host.sdk).put_item().table_name(TABLE).set_item(Some(item("two")));
    let refused = put.condition_expression("attribute_not_exists(pk)").send().await.unwrap_err();
    assert!(refused.into_service_error().is_conditional_check_failed_exception());
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_done_once_by_the_sdks_next_attempt() {
    let host = Host::start().await;
    host.chaos.set(&first_time("dynamodb", Fault::LostAnswer, "lost_answer")).unwrap();
    let add = aws_sdk_dynamodb::types::Update::builder().table_name(TABLE).set_key(Some(item("one"))).update_expression("ADD n :one");
    let add = add.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).build().unwrap();
    let client = Client::new(&host.sdk);
    client.transact_write_items().transact_items(TransactWriteItem::builder().update(add).build()).send().await.unwrap();
    host.chaos.set("").unwrap();
    let counted = client.get_item().table_name(TABLE).set_key(Some(item("one"))).send().await.unwrap().item.unwrap();
    assert_eq!(counted["n"], AttributeValue::N("1".to_owned()));
}

/// A table that fails leaves the others alone, whichever way it is asked.
#[tokio::test]
async fn one_table_fails_by_itself() {
    let host = Host::start().await;
    let client = client(&host);
    let transact = async || client.transact_write_items().transact_items(put("one")).send().await;
    host.chaos.set("UsersTable:error=1,throttle=1,delay_ms=600000").unwrap();
    assert!(!exists(&client, "one").await);
    assert_eq!(write_batch(&client, 2).await.unwrap(), [] as [String; 0]);
    transact().await.unwrap();

    host.chaos.set("PostsTable:error=1").unwrap();
    let code = |error: Option<&str>| error.map(str::to_owned);
    let get = client.get_item().table_name(TABLE).set_key(Some(item("one"))).send().await.unwrap_err();
    assert_eq!(code(get.code()).as_deref(), Some("InternalServerError"));
    assert_eq!(code(write_batch(&client, 2).await.unwrap_err().code()).as_deref(), Some("InternalServerError"));
    assert_eq!(code(transact().await.unwrap_err().code()).as_deref(), Some("InternalServerError"));
    host.chaos.set("PostsTable:throttle=1").unwrap();
    assert_eq!(code(transact().await.unwrap_err().code()).as_deref(), Some("TransactionCanceledException"));
    client.list_tables().send().await.unwrap();
    host.chaos.set("").unwrap();
    assert!(exists(&client, "one").await);
}
