//! The kinds of writes that transactions are made of.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update, builders::PutBuilder};

use crate::{
    Error, Key, Table,
    table::{Item, number},
};

/// The writes of a transaction, each known by its place.
#[derive(Debug, Default)]
pub struct Transaction(Vec<TransactWriteItem>);

/// Where a write stands in its transaction: so that a condition that did not hold is told by what was to be written, not by counting.
#[derive(Debug, Clone, Copy)]
pub struct Place(usize);

impl Transaction {
    /// Adds a write; its place is for [`Place::is_in`].
    pub fn push(&mut self, write: TransactWriteItem) -> Place {
        self.0.push(write);
        Place(self.0.len() - 1)
    }

    /// Adds writes whose places nobody asks for.
    pub fn extend(&mut self, writes: impl IntoIterator<Item = TransactWriteItem>) {
        self.0.extend(writes);
    }

    /// Does all the writes, or none.
    pub async fn commit(self, table: &Table) -> Result<(), Error> {
        table.transact(self.0).await
    }
}

impl Place {
    /// Whether the condition of this write is among those that `failed`, as [`Error::Condition`] has them.
    pub fn is_in(self, failed: &[bool]) -> bool {
        failed.get(self.0) == Some(&true)
    }
}

const ABSENT: &str = "attribute_not_exists(pk)";
const PRESENT: &str = "attribute_exists(pk)";
/// With `:version`, what was read: nobody has written since.
pub(crate) const OF_VERSION: &str = "version = :version";

/// Writes an item, whatever was there.
pub fn put(table: &Table, item: Item) -> TransactWriteItem {
    put_item(building(table, item))
}

/// Writes an item where there must be none.
pub fn put_new(table: &Table, item: Item) -> TransactWriteItem {
    put_item(building(table, item).condition_expression(ABSENT))
}

/// Writes an item in the place of one whose `version` is this one.
pub fn put_over(table: &Table, item: Item, version: u64) -> TransactWriteItem {
    let put = building(table, item).condition_expression(OF_VERSION);
    put_item(put.expression_attribute_values(":version", number(version)))
}

/// Deletes an item, if there is one.
pub fn delete(table: &Table, key: &Key) -> TransactWriteItem {
    delete_if(table, key, None)
}

/// Deletes an item that must be there.
pub fn delete_present(table: &Table, key: &Key) -> TransactWriteItem {
    delete_if(table, key, Some(PRESENT.to_owned()))
}

/// Deletes an item of which something must hold.
pub fn delete_where<const N: usize>(table: &Table, key: &Key, condition: &str, values: [(&str, AttributeValue); N]) -> TransactWriteItem {
    let values = values.map(|(name, value)| (name.to_owned(), value));
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key.item())).condition_expression(condition);
    let delete = delete.set_expression_attribute_values((N > 0).then(|| values.into()));
    TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
}

/// Adds to a counter, which starts at zero.
pub fn add(table: &Table, key: &Key, amount: i64) -> TransactWriteItem {
    add_if(table, key, amount, None)
}

/// Adds to a counter that must be there.
pub fn add_present(table: &Table, key: &Key, amount: i64) -> TransactWriteItem {
    add_if(table, key, amount, Some(PRESENT.to_owned()))
}

/// Changes an item as `expression` says, on this condition. `#name` in it is attribute `name`, where that is a word of DynamoDB's own.
pub fn update<const N: usize>(
    table: &Table,
    key: &Key,
    expression: &str,
    condition: &str,
    values: [(&str, AttributeValue); N],
) -> TransactWriteItem {
    let values = values.map(|(name, value)| (name.to_owned(), value));
    let update = Update::builder()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .update_expression(expression)
        .condition_expression(condition)
        .set_expression_attribute_names(names_in(expression))
        .set_expression_attribute_values((N > 0).then(|| values.into()));
    TransactWriteItem::builder().update(update.build().expect("table, key and expression are set")).build()
}

/// Demands that there is no item at `key`, and writes nothing.
pub fn check_absent(table: &Table, key: &Key) -> TransactWriteItem {
    check(table, key, ABSENT, [])
}

/// Demands that there is an item at `key`, and writes nothing.
pub fn check_present(table: &Table, key: &Key) -> TransactWriteItem {
    check(table, key, PRESENT, [])
}

/// Demands something of an item, and writes nothing.
pub fn check<const N: usize>(table: &Table, key: &Key, condition: &str, values: [(&str, AttributeValue); N]) -> TransactWriteItem {
    let values = values.map(|(name, value)| (name.to_owned(), value));
    let check = ConditionCheck::builder()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .condition_expression(condition)
        // An empty map is refused.
        .set_expression_attribute_values((N > 0).then(|| values.into()));
    TransactWriteItem::builder().condition_check(check.build().expect("table, key and condition are set")).build()
}

/// Which attributes an expression's `#names` are; an empty map is refused.
fn names_in(expression: &str) -> Option<HashMap<String, String>> {
    let words = expression.split([' ', ',']).filter_map(|word| Some((word.to_owned(), word.strip_prefix('#')?.to_owned())));
    let names: HashMap<String, String> = words.collect();
    (!names.is_empty()).then_some(names)
}

fn building(table: &Table, item: Item) -> PutBuilder {
    Put::builder().table_name(&table.name).set_item(Some(item))
}

fn put_item(put: PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("table and item are set")).build()
}

fn add_if(table: &Table, key: &Key, amount: i64, condition: Option<String>) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .set_condition_expression(condition)
        .update_expression("ADD #count :amount")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":amount", number(amount));
    TransactWriteItem::builder().update(update.build().expect("table, key and expression are set")).build()
}

fn delete_if(table: &Table, key: &Key, condition: Option<String>) -> TransactWriteItem {
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key.item())).set_condition_expression(condition);
    TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
}
