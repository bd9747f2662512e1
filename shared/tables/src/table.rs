//! A table: reads that answer types, writes that say whether their conditions held, and what each cost.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity, TransactWriteItem},
};
use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;
use tintype_telemetry as telemetry;
use uuid::Uuid;

use crate::{
    config::{ATTEMPT_TIMEOUT, Missing, variable},
    guarded::guarded,
};

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// The key of an item: partition and place in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Key {
    /// Partition.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// The key `pk`, `sk`.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// As the SDK wants it.
    pub fn item(&self) -> Item {
        HashMap::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// Why a table did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// Conditions did not hold; one flag for each write of the transaction: whether its condition was the one.
    #[error("a condition did not hold")]
    Condition(Vec<bool>),
    /// Somebody else was writing the same items at the same moment, or too many were, also after retries.
    #[error("others are writing the same items")]
    Conflict,
    /// The request itself is wrong, or not permitted: trying again helps nobody.
    #[error("the table refuses the request: {0}")]
    Refused(String),
    /// It can't be reached, or is too busy, after retries.
    #[error("the table is unavailable: {0}")]
    Unavailable(String),
    /// An item is not of the shape that its key promises.
    #[error("an item can't be read: {0}")]
    Shape(#[from] serde_dynamo::Error),
}

/// A page of a query.
#[derive(Debug)]
pub struct Page<T> {
    /// In key order.
    pub items: Vec<T>,
    /// The sort key after which the next page starts; `None` if this was the last.
    pub next: Option<String>,
}

/// Which part of a partition, and how.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The partition.
    pub pk: String,
    /// What the sort keys start with; `None` for the whole partition (an empty text is refused by DynamoDB).
    pub prefix: Option<&'a str>,
    /// Start after this sort key.
    pub after: Option<String>,
    /// Highest sort keys first.
    pub descending: bool,
    /// Whether what was written before must be seen.
    pub consistent: bool,
    /// Most items.
    pub limit: usize,
}

/// A table, by its client and its name.
///
/// The SDK's futures are some 15 KB each: they are boxed here, once, so that handlers stay small.
#[derive(Debug, Clone)]
pub struct Table {
    /// The SDK's client, for the requests that only one function makes.
    pub client: Client,
    /// Physical name.
    pub name: String,
}

impl Table {
    /// The table whose name is in environment variable `name`, behind a breaker of its own: one that fails must not shut the others. Of
    /// `client` it has all but what stands before another table.
    pub fn from_env(client: &Client, name: &str) -> Result<Self, Missing> {
        Self::from_env_for(client, name, ATTEMPT_TIMEOUT)
    }

    /// The same for callers who wait no longer than `patience`: a call that they have given up then has failed.
    pub fn from_env_for(client: &Client, name: &str, patience: Duration) -> Result<Self, Missing> {
        Ok(Self::guarded(client, &name.to_lowercase(), variable(name)?, patience))
    }

    /// The table of this name, as [`Self::from_env_for`] makes it; logs call it `dependency`.
    pub fn guarded(client: &Client, dependency: &str, name: String, patience: Duration) -> Self {
        Self { client: guarded(client, dependency, patience), name }
    }

    /// Opens the connection while the function initialises, so that the first request does not pay for it. A failure is left to that request.
    pub async fn warm(&self) {
        let read = self.client.get_item().table_name(&self.name).set_key(Some(Key::new("WARM", "WARM").item()));
        let _ = Box::pin(read.send()).await;
    }

    /// The item at `key`, if there is one.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key, consistent: bool) -> Result<Option<T>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .consistent_read(consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(failure)?;
        read_units(answer.consumed_capacity.as_slice());
        Ok(answer.item.map(serde_dynamo::from_item).transpose()?)
    }

    /// The items at `keys` that exist, in no order. What the table did not process is asked for again.
    pub async fn batch_get<T: DeserializeOwned>(&self, keys: &[Key], consistent: bool) -> Result<Vec<T>, Error> {
        const MOST_KEYS: usize = 100;
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MOST_KEYS) {
            let mut pending = chunk.iter().map(Key::item).collect::<Vec<_>>();
            for attempt in 0.. {
                let asked = pending.len();
                let request =
                    KeysAndAttributes::builder().set_keys(Some(pending)).consistent_read(consistent).build().expect("keys are set");
                let request =
                    self.client.batch_get_item().request_items(&self.name, request).return_consumed_capacity(ReturnConsumedCapacity::Total);
                let mut answer = Box::pin(request.send()).await.map_err(failure)?;
                read_units(answer.consumed_capacity());
                for item in answer.responses.take().and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default() {
                    items.push(serde_dynamo::from_item(item)?);
                }
                pending = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name)).map_or_else(Vec::new, |rest| rest.keys);
                if pending.is_empty() {
                    break;
                }
                is_progress(asked, pending.len())?;
                back_off(attempt).await?;
            }
        }
        Ok(items)
    }

    /// One page of a partition. One item more is read than asked for: it tells whether there is a next page.
    pub async fn query<T: DeserializeOwned>(&self, query: Query<'_>) -> Result<Page<T>, Error> {
        let limit = i32::try_from(query.limit.saturating_add(1)).unwrap_or(i32::MAX);
        let request = self.client.query().table_name(&self.name).expression_attribute_values(":pk", text(&query.pk));
        let request = match query.prefix {
            Some(prefix) => request
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix)),
            None => request.key_condition_expression("pk = :pk"),
        };
        let request = request
            .set_exclusive_start_key(query.after.map(|sk| Key::new(&query.pk, sk).item()))
            .scan_index_forward(!query.descending)
            .consistent_read(query.consistent)
            .limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(failure)?;
        read_units(answer.consumed_capacity.as_slice());
        let (items, next) = cut(answer.items.unwrap_or_default(), query.limit, answer.last_evaluated_key.is_some());
        let items = items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Deletes an item, if there is one.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        let request = self.client.delete_item().table_name(&self.name).set_key(Some(key.item()));
        let answer = Box::pin(request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await.map_err(failure)?;
        write_units(answer.consumed_capacity.as_slice());
        Ok(())
    }

    /// Does all `writes`, or none. If another transaction is at one of the items just now, it is tried again: the SDK itself does that with
    /// single writes only. Such rivals are no failure of the table, and not paid from its budget of retries.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<(), Error> {
        // The same for all attempts: one may have been done whose answer was lost, and its own conditions would then fail the next.
        let token = Uuid::now_v7().to_string();
        let mut attempt = 0;
        loop {
            let request = self.client.transact_write_items().set_transact_items(Some(writes.clone())).client_request_token(&token);
            match Box::pin(request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await {
                Ok(answer) => {
                    write_units(answer.consumed_capacity());
                    return Ok(());
                }
                Err(error) if may_pass(&error) => back_off(attempt).await.map_err(|_| Error::Conflict)?,
                Err(error) => return Err(refused(error)),
            }
            attempt += 1;
        }
    }
}

/// The first `limit` of the items that a query has read, and the sort key after which the next page starts. DynamoDB also ends a
/// page early, after 1 MB.
fn cut(mut items: Vec<Item>, limit: usize, ended_early: bool) -> (Vec<Item>, Option<String>) {
    let there_is_more = items.len() > limit || ended_early;
    items.truncate(limit);
    let last = items.last().and_then(|item| item.get("sk")).and_then(|sk| sk.as_s().ok()).cloned();
    (items, last.filter(|_| there_is_more))
}

/// Waits before attempt `attempt + 1`, a random while of at most 50 ms, 100 ms, ... so that rivals don't meet again; gives up after the fifth.
pub async fn back_off(attempt: u32) -> Result<(), Error> {
    const FIRST: Duration = Duration::from_millis(50);
    if attempt >= 4 {
        return Err(Error::Unavailable("too busy, also after retries".to_owned()));
    }
    tokio::time::sleep((FIRST * 2u32.pow(attempt)).mul_f64(fastrand::f64())).await;
    Ok(())
}

/// A round of a batch that has done nothing was tried again already, by the SDK and as often as the budget allows: there is no other.
pub(crate) fn is_progress(before: usize, after: usize) -> Result<(), Error> {
    if after < before { Ok(()) } else { Err(Error::Unavailable("nothing of a batch is done, also after retries".to_owned())) }
}

/// A string attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Counts what a read cost on the current log line.
pub fn read_units(capacity: &[ConsumedCapacity]) {
    telemetry::count("dynamodb.reads", 1);
    telemetry::add("dynamodb.read_units", units(capacity));
}

/// Counts what a write cost on the current log line.
pub fn write_units(capacity: &[ConsumedCapacity]) {
    telemetry::count("dynamodb.writes", 1);
    telemetry::add("dynamodb.write_units", units(capacity));
}

fn units(capacity: &[ConsumedCapacity]) -> f64 {
    capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

/// What a failed request means.
pub fn failure<E, R>(error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error.code() {
        Some("ConditionalCheckFailedException") => Error::Condition(vec![true]),
        Some("TransactionConflictException") => Error::Conflict,
        Some(code @ ("AccessDeniedException" | "ResourceNotFoundException" | "ValidationException")) => {
            Error::Refused(format!("{code}: {}", error.message().unwrap_or_default()))
        }
        Some(code) => Error::Unavailable(format!("{code}: {}", error.message().unwrap_or_default())),
        None => Error::Unavailable(DisplayErrorContext(error).to_string()),
    }
}

/// A transaction cancelled by a condition is an answer; by anything else it is a failure that may pass.
fn refused<R: std::fmt::Debug + 'static>(error: SdkError<TransactWriteItemsError, R>) -> Error {
    let reasons = error.as_service_error().map_or(&[][..], reasons);
    let failed: Vec<bool> = reasons.iter().map(|reason| reason.code() == Some("ConditionalCheckFailed")).collect();
    if failed.contains(&true) { Error::Condition(failed) } else { failure(error) }
}

/// A rival at the same item, as a reason of a cancelled transaction.
pub(crate) const CONFLICT: &str = "TransactionConflict";

/// Whether a transaction was cancelled by what others do with the same items, and by nothing else: a condition, or an item too large.
fn may_pass<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let mut codes = error.as_service_error().map(codes).into_iter().flatten().peekable();
    codes.peek().is_some() && codes.all(|code| code == CONFLICT)
}

/// What was in the way of a cancelled transaction; nothing if something else went wrong.
pub(crate) fn codes(error: &TransactWriteItemsError) -> impl Iterator<Item = &str> {
    reasons(error).iter().filter_map(CancellationReason::code).filter(|code| *code != "None")
}

/// Why a transaction was cancelled, write by write; empty if something else went wrong.
fn reasons(error: &TransactWriteItemsError) -> &[CancellationReason] {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::{
        config::{BehaviorVersion, Credentials, Region},
        types::error::TransactionCanceledException,
    };
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    };

    use super::*;
    use crate::{guarded, writes};

    fn items(count: usize) -> Vec<Item> {
        (0..count).map(|index| Key::new("p", format!("{index:03}")).item()).collect()
    }

    fn cancelled(codes: &[&str]) -> SdkError<TransactWriteItemsError, ()> {
        let reason = |code: &&str| CancellationReason::builder().code(*code).build();
        let exception = TransactionCanceledException::builder().set_cancellation_reasons(Some(codes.iter().map(reason).collect()));
        SdkError::service_error(TransactWriteItemsError::TransactionCanceledException(exception.build()), ())
    }

    #[test]
    fn a_transaction_is_tried_again_if_only_others_stand_in_its_way() {
        let throttled = |error: SdkError<TransactWriteItemsError, ()>| guarded::is_throttled(error.as_service_error().unwrap());
        for rivals in [&["None", "TransactionConflict"][..], &["TransactionConflict", "TransactionConflict"]] {
            assert!(may_pass(&cancelled(rivals)) && !throttled(cancelled(rivals)), "{rivals:?}");
        }
        // The SDK's retries, and its budget, are for these.
        for too_much in [&["ThrottlingError", "TransactionConflict"][..], &["None", "ProvisionedThroughputExceeded"]] {
            assert!(throttled(cancelled(too_much)) && !may_pass(&cancelled(too_much)), "{too_much:?}");
        }
        for lasting in [
            &["ConditionalCheckFailed", "TransactionConflict"][..],
            &["ThrottlingError", "ConditionalCheckFailed"],
            &["None", "ItemCollectionSizeLimitExceeded"],
            &["None"],
            &[],
        ] {
            assert!(!may_pass(&cancelled(lasting)) && !throttled(cancelled(lasting)), "{lasting:?}");
        }
    }

    /// A table that another transaction keeps from the first attempt; it notes what it was asked.
    #[derive(Debug, Clone, Default)]
    struct Busy(Arc<Mutex<Vec<serde_json::Value>>>);

    impl HttpConnector for Busy {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let mut asked = self.0.lock().unwrap();
            asked.push(serde_json::from_slice(request.body().bytes().unwrap()).unwrap());
            let conflict = r#"{"__type":"TransactionCanceledException","CancellationReasons":[{"Code":"TransactionConflict"}]}"#;
            let (status, body) = if asked.len() == 1 { (400, conflict) } else { (200, "{}") };
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.into())))
        }
    }

    #[tokio::test]
    async fn all_attempts_of_a_transaction_have_one_token_so_that_it_is_done_once() {
        let busy = Busy::default();
        let connector = SharedHttpConnector::new(busy.clone());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let table = Table { client: Client::from_conf(config.build()), name: "table".to_owned() };
        for _ in 0..2 {
            table.transact(vec![writes::put(&table, Key::new("p", "s").item())]).await.unwrap();
        }
        let asked = busy.0.lock().unwrap();
        let tokens: Vec<_> = asked.iter().map(|request| request["ClientRequestToken"].as_str().unwrap()).collect();
        assert!(tokens.len() == 3 && tokens[0] == tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
    }

    #[test]
    fn a_page_that_holds_all_is_the_last_also_when_it_is_full() {
        assert_eq!(cut(items(0), 2, false), (vec![], None));
        assert_eq!(cut(items(2), 2, false), (items(2), None));
    }

    #[test]
    fn the_next_page_starts_after_the_last_item_that_was_given() {
        assert_eq!(cut(items(3), 2, true), (items(2), Some("001".to_owned())));
        // 1 MB was full before the limit was reached.
        assert_eq!(cut(items(1), 2, true), (items(1), Some("000".to_owned())));
    }
}
