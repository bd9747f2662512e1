//! The kinds of writes that the transactions of this function are made of.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update, builders::PutBuilder};
use tintype_tables::{
    Error, Key, Table,
    table::{Item, number},
};

/// The writes of a transaction, each known by its place.
#[derive(Default)]
pub(crate) struct Transaction(Vec<TransactWriteItem>);

/// Where a write stands in its transaction: so that a condition that did not hold is told by what was to be written, not by counting.
#[derive(Clone, Copy)]
pub(crate) struct Place(usize);

impl Transaction {
    /// Adds a write; its place is for [`Place::is_in`].
    pub(crate) fn push(&mut self, write: TransactWriteItem) -> Place {
        self.0.push(write);
        Place(self.0.len() - 1)
    }

    /// Does all the writes, or none.
    pub(crate) async fn commit(self, table: &Table) -> Result<(), Error> {
        table.transact(self.0).await
    }
}

impl Place {
    /// Whether the condition of this write is among those that `failed`, as [`Error::Condition`] has them.
    pub(crate) fn is_in(self, failed: &[bool]) -> bool {
        failed.get(self.0) == Some(&true)
    }
}

const ABSENT: &str = "attribute_not_exists(pk)";
const PRESENT: &str = "attribute_exists(pk)";

/// Writes an item, whatever was there.
pub(crate) fn put(table: &Table, item: Item) -> TransactWriteItem {
    put_item(building(table, item))
}

/// Writes an item where there must be none.
pub(crate) fn put_new(table: &Table, item: Item) -> TransactWriteItem {
    put_item(building(table, item).condition_expression(ABSENT))
}

/// Deletes an item, if there is one.
pub(crate) fn delete(table: &Table, key: &Key) -> TransactWriteItem {
    delete_if(table, key, None)
}

/// Deletes an item that must be there.
pub(crate) fn delete_present(table: &Table, key: &Key) -> TransactWriteItem {
    delete_if(table, key, Some(PRESENT.to_owned()))
}

/// Adds to a counter, which starts at zero.
pub(crate) fn add(table: &Table, key: &Key, amount: i64) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .update_expression("ADD #count :amount")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":amount", number(amount));
    TransactWriteItem::builder().update(update.build().expect("table, key and expression are set")).build()
}

fn building(table: &Table, item: Item) -> PutBuilder {
    Put::builder().table_name(&table.name).set_item(Some(item))
}

fn put_item(put: PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("table and item are set")).build()
}

fn delete_if(table: &Table, key: &Key, condition: Option<String>) -> TransactWriteItem {
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key.item())).set_condition_expression(condition);
    TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
}
