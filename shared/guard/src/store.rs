//! The guard's writes and reads of the Edge table, none of which holds a request up.

use std::{
    collections::HashMap,
    future::Future,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use tintype_core::Time;
use tintype_tables::{
    Error, Key, Table,
    table::{Item, failure, number, read_units, write_units},
};
use tintype_telemetry as telemetry;

use crate::{gcra, windows::Settlement};

/// The longest that a request waits for the table. It answers within 10 ms nearly always; a slow answer to a question of order would be
/// worse than a wrong one, and 300 ms are room for one more attempt of the SDK where the first was throttled.
const PATIENCE: Duration = Duration::from_millis(300);
/// A call that was given up after so long has failed, as the table's breaker sees it: as good as [`PATIENCE`], which begins a moment before the call does.
pub(crate) const HANGS: Duration = Duration::from_millis(250);
/// After it was waited for in vain, the table is left alone for so long: an outage costs a request in some hundred its 300 ms, not each. The
/// breaker needs five that failed, which would be five requests that waited.
const REST: Duration = Duration::from_secs(2);

/// Whether a conditional write was done: the item after it, or the item that stood in its way.
pub(crate) type Written = Result<Item, Item>;

/// The Edge table.
pub(crate) struct Store {
    pub(crate) table: Table,
    /// Milliseconds since 1970.
    rests_until: AtomicI64,
}

impl Store {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, rests_until: AtomicI64::new(0) }
    }

    /// Moves a `tat` as a step says.
    pub(crate) async fn step(&self, key: &Key, step: gcra::Step, rate: &gcra::Gcra, expires_at: i64) -> Result<Written, Error> {
        let update = self.update(key).expression_attribute_values(":now", number(rate.now));
        let update = match step {
            gcra::Step::Begin(tat) => update
                .update_expression("SET tat = :tat, expires_at = :expires_at")
                .condition_expression("attribute_not_exists(tat) OR tat <= :now")
                .expression_attribute_values(":tat", number(tat)),
            gcra::Step::GoOn { latest } => update
                .update_expression("SET tat = tat + :interval, expires_at = :expires_at")
                .condition_expression("tat > :now AND tat <= :latest")
                .expression_attribute_values(":interval", number(rate.interval))
                .expression_attribute_values(":latest", number(latest)),
            gcra::Step::Refuse { .. } => return Ok(Err(Item::new())),
        };
        self.write(update.expression_attribute_values(":expires_at", number(expires_at))).await
    }

    /// Adds to a subject's counts. Counts of windows that are over go; `leftovers` are some that an answer has shown.
    pub(crate) async fn settle(&self, key: &Key, settlement: Settlement, leftovers: &[i64], expires_at: i64) -> Result<Item, Error> {
        let Settlement { window, this, last } = settlement;
        let mut over = vec![window - 2, window - 3];
        over.extend(leftovers.iter().filter(|&&leftover| leftover < window - 3));
        let over: Vec<String> = over.into_iter().map(count_of).collect();
        let update = self
            .update(key)
            .update_expression(format!(
                "SET expires_at = :expires_at ADD {} :this, {} :last REMOVE {}",
                count_of(window),
                count_of(window - 1),
                over.join(", ")
            ))
            .expression_attribute_values(":this", number(this))
            .expression_attribute_values(":last", number(last))
            .expression_attribute_values(":expires_at", number(expires_at));
        self.write(update).await?.map_err(|_| Error::Condition(vec![true]))
    }

    /// Bans an address, unless that has been done since `seen`, the end of its last ban.
    pub(crate) async fn ban(&self, key: &Key, until: i64, offences: u32, seen: Option<i64>, expires_at: i64) -> Result<Written, Error> {
        let update = self
            .update(key)
            .update_expression("SET banned_until = :until, offences = :offences, expires_at = :expires_at REMOVE tat")
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":offences", number(offences))
            .expression_attribute_values(":expires_at", number(expires_at));
        let update = match seen {
            Some(seen) => update.condition_expression("banned_until = :seen").expression_attribute_values(":seen", number(seen)),
            None => update.condition_expression("attribute_not_exists(banned_until)"),
        };
        self.write(update).await
    }

    /// Has an item be there until a time, in seconds since 1970.
    pub(crate) async fn remember(&self, key: &Key, expires_at: i64) -> Result<Written, Error> {
        let update = self.update(key).update_expression("SET expires_at = :expires_at");
        self.write(update.expression_attribute_values(":expires_at", number(expires_at))).await
    }

    /// An item as it was a moment ago.
    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Item>, Error> {
        let get = self.table.client.get_item().table_name(&self.table.name).set_key(Some(key.item()));
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = self.patiently(async { Box::pin(get.send()).await.map_err(failure) }).await?;
        read_units(answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    fn update(&self, key: &Key) -> UpdateItemFluentBuilder {
        self.table.client.update_item().table_name(&self.table.name).set_key(Some(key.item()))
    }

    async fn write(&self, update: UpdateItemFluentBuilder) -> Result<Written, Error> {
        let update = update
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.patiently(async {
            match Box::pin(update.send()).await {
                Ok(answer) => {
                    write_units(answer.consumed_capacity.as_slice());
                    Ok(Ok(answer.attributes.unwrap_or_default()))
                }
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        // Such a write is paid for as well.
                        telemetry::count("dynamodb.writes", 1);
                        Ok(Err(failed.item.clone().unwrap_or_default()))
                    }
                    _ => Err(failure(error)),
                },
            }
        })
        .await
    }

    async fn patiently<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if Time::now().as_millis() < self.rests_until.load(Ordering::Relaxed) {
            telemetry::field("edge.table", "left alone");
            return Err(Error::Unavailable("the table is left alone for a while".to_owned()));
        }
        let answer = tokio::time::timeout(PATIENCE, request).await;
        let answer = answer.unwrap_or_else(|_| Err(Error::Unavailable("the table is slow".to_owned())));
        if let Err(error) = &answer {
            telemetry::field("edge.table", error.to_string());
            self.rests_until.store(Time::now().plus(REST).as_millis(), Ordering::Relaxed);
        }
        answer
    }
}

/// The attribute that holds the count of a window.
fn count_of(window: i64) -> String {
    format!("n{window}")
}

/// The counts that an item holds, by window.
pub(crate) fn counts(item: &Item) -> HashMap<i64, i64> {
    item.keys().filter_map(|name| Some((name.strip_prefix('n')?.parse().ok()?, whole(item, name)?))).collect()
}

/// A number of an item.
pub(crate) fn whole(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
