//! Counters in shards, so that transactions of many at once seldom meet at one item, where all but one would be cancelled.
//!
//! The shards of a counter are in one partition, which is what makes it cheap to read: together they take what one partition takes, a
//! thousand write units a second.
//!
//! A shard is an item with attribute `count`, sort key `{name}#{shard}`. Who adds and who takes away need not meet at the same one: a
//! count is the sum of its shards.

use std::{collections::HashMap, hash::Hash};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::{Error, Key, Page, Table, table::Query};

/// Most counters of a partition: with [`MOST_SHARDS`] of each they are read with one request, of half a read unit.
const MOST_COUNTERS: usize = 2;
/// Most shards of a counter.
pub const MOST_SHARDS: u8 = 16;
/// Partitions read at once.
const PARALLEL: usize = 20;

/// One shard of a counter.
pub fn shard(pk: impl Into<String>, name: &str, shard: u8) -> Key {
    Key::new(pk, format!("{name}#{shard}"))
}

/// The counts of a partition, by name; a counter that nobody has ever added to is not there.
pub async fn read(table: &Table, pk: String, consistent: bool) -> Result<HashMap<String, i64>, Error> {
    #[derive(Deserialize)]
    struct Shard {
        sk: String,
        count: i64,
    }
    let limit = MOST_COUNTERS * MOST_SHARDS as usize;
    let query = Query { pk, prefix: None, after: None, descending: false, consistent, limit };
    let shards: Page<Shard> = table.query(query).await?;
    let mut counts = HashMap::new();
    for Shard { sk, count } in shards.items {
        let name = sk.split('#').next().unwrap_or_default();
        *counts.entry(name.to_owned()).or_default() += count;
    }
    Ok(counts)
}

/// The counts named `name` of many, whose partitions `pk` tells. Each costs half a read unit, a whole one if they are `consistent`.
pub async fn read_all<K: Copy + Eq + Hash>(
    table: &Table,
    of: &[K],
    pk: impl Fn(K) -> String,
    name: &str,
    consistent: bool,
) -> Result<HashMap<K, i64>, Error> {
    let partitions: Vec<(K, String)> = of.iter().map(|key| (*key, pk(*key))).collect();
    let count = async |(key, pk)| Ok::<_, Error>((key, read(table, pk, consistent).await?.get(name).copied().unwrap_or_default()));
    stream::iter(partitions).map(count).buffer_unordered(PARALLEL).try_collect().await
}
