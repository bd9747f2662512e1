//! Which of many items of one partition are there.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::de::DeserializeOwned;

use crate::{
    Error, Key, Table,
    table::{failure, read_units, text},
};

/// What is read of an item: its place at least.
pub(crate) trait Placed: DeserializeOwned {
    /// Its sort key.
    fn sk(&self) -> &str;
}

impl Placed for Key {
    fn sk(&self) -> &str {
        &self.sk
    }
}

/// The items at those of `keys`, all of one partition, at which there is one, as of now.
///
/// One query from the lowest of them to the highest, which reads `most` items and no more. Where more than that lie between them the rest
/// is read by its keys, so that it never costs more than twice of what it must.
pub(crate) async fn there<T: Placed>(table: &Table, keys: &[Key], most: usize) -> Result<Vec<T>, Error> {
    let by_place = |key: &&Key| key.sk.clone();
    let (Some(lowest), Some(highest)) = (keys.iter().min_by_key(by_place), keys.iter().max_by_key(by_place)) else {
        return Ok(Vec::new());
    };
    let request = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk AND sk BETWEEN :lowest AND :highest")
        .expression_attribute_values(":pk", text(&lowest.pk))
        .expression_attribute_values(":lowest", text(&lowest.sk))
        .expression_attribute_values(":highest", text(&highest.sk))
        .consistent_read(true)
        .limit(i32::try_from(most).unwrap_or(i32::MAX))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    let mut found: Vec<T> = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    if let Some(last) = answer.last_evaluated_key {
        let last: Key = serde_dynamo::from_item(last)?;
        let rest: Vec<Key> = keys.iter().filter(|key| key.sk > last.sk).cloned().collect();
        found.extend(table.batch_get::<T>(&rest, true).await?);
    }
    let places: HashSet<&str> = keys.iter().map(|key| key.sk.as_str()).collect();
    found.retain(|item| places.contains(item.sk()));
    Ok(found)
}
