//! Reads of what was a moment ago.
//!
//! The embedded database answers every read consistently. While `stale_ms` is asked for, a replica in
//! memory stands beside it: a copy of all tables, to which each write comes after that time. Reads that
//! do not ask for consistency go there. What is brought over is not the request but the items that it
//! touched, as they are after its commit: a write that was refused, or done before, needs no thought.
//! It is made when it is first needed, and let go when the fault ends.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use axum::{body::Bytes, response::Response};
use dynoxide::{Database, ImportOptions, types::Item};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use tintype_chaos::{Fault, Place};
use tokio::sync::{RwLock, RwLockReadGuard};

use super::{
    Failure,
    faults::{read, respond},
    is_read,
    proxy::{Proxy, Server},
};

/// The tables, and their replica while there is one.
#[derive(Clone)]
pub(super) struct Replicated {
    database: Database,
    proxy: Proxy,
    chaos: Place,
    /// Writes hold it: together while there is no replica, and one by one, in the order of their commits, while there is.
    replica: Arc<RwLock<Option<Replica>>>,
}

impl Replicated {
    pub(super) fn new(database: Database, proxy: Proxy, chaos: Place) -> Self {
        Self { database, proxy, chaos, replica: Arc::default() }
    }

    /// The key attributes of a table; `None` if there is none of that name.
    pub(super) fn keys(&self, table: &str) -> Option<Vec<String>> {
        describe(&self.database, table).ok().map(|description| key_names(&description))
    }

    /// Passes a request on, to the replica if it is so old that reads without consistency are to see.
    pub(super) async fn answer(&self, operation: &str, head: Parts, body: Bytes) -> Result<Response, Failure> {
        let stale = self.chaos.time(Fault::StaleMs);
        match operation {
            "GetItem" | "BatchGetItem" | "Query" | "Scan" if !stale.is_zero() => self.read(stale, operation, head, body).await,
            _ if is_read(operation) => self.proxy.answer(&head, body).await,
            _ => {
                let (this, operation) = (self.clone(), operation.to_owned());
                // To its end also when the client has gone: the replica, or one that is made meanwhile, would miss what
                // was written all the same.
                tokio::spawn(async move {
                    match &*operation {
                        "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" if !stale.is_zero() => {
                            this.write(&operation, head, body).await
                        }
                        // Nobody needs the replica; or it can't follow, like new tables, and is made anew.
                        _ => {
                            let _none = this.without_replica().await;
                            this.proxy.answer(&head, body).await
                        }
                    }
                })
                .await?
            }
        }
    }

    async fn read(&self, stale: Duration, operation: &str, head: Parts, body: Bytes) -> Result<Response, Failure> {
        let Ok(request) = serde_json::from_slice::<Value>(&body) else { return self.proxy.answer(&head, body).await };
        let guard = self.replica().await?;
        let Some(replica) = guard.as_ref() else { return Err("there is no replica".into()) };
        if replica.catch_up(stale).is_err() {
            // It has lost what it could not bring over. The next one knows it.
            drop(guard);
            drop(self.without_replica().await);
            return self.proxy.answer(&head, body).await;
        }
        if operation != "BatchGetItem" {
            let proxy = if is_consistent(&request) { &self.proxy } else { &replica.proxy };
            return proxy.answer(&head, body).await;
        }
        let (now, before) = by_consistency(request);
        match (now, before) {
            (_, None) => self.proxy.answer(&head, body).await,
            (None, _) => replica.proxy.answer(&head, body).await,
            (Some(now), Some(before)) => {
                let now = self.proxy.answer(&head, now.to_string().into()).await?;
                let before = replica.proxy.answer(&head, before.to_string().into()).await?;
                together(now, before).await
            }
        }
    }

    async fn write(&self, operation: &str, head: Parts, body: Bytes) -> Result<Response, Failure> {
        drop(self.replica().await?);
        let mut alone = self.replica.write().await;
        let answer = self.proxy.answer(&head, body.clone()).await;
        if alone.as_ref().is_some_and(|replica| replica.note(&self.database, operation, &body).is_err()) {
            // It is made anew, and then knows this.
            *alone = None;
        }
        answer
    }

    /// The replica, made now if there is none.
    async fn replica(&self) -> Result<RwLockReadGuard<'_, Option<Replica>>, Failure> {
        let guard = self.replica.read().await;
        if guard.is_some() {
            return Ok(guard);
        }
        drop(guard);
        let mut alone = self.replica.write().await;
        if alone.is_none() {
            *alone = Some(Replica::of(&self.database).await?);
            tokio::spawn(let_go(self.chaos.clone(), Arc::downgrade(&self.replica)));
        }
        Ok(alone.downgrade())
    }

    /// Takes the replica out if there is one, and keeps others from making one.
    async fn without_replica(&self) -> RwLockReadGuard<'_, Option<Replica>> {
        let guard = self.replica.read().await;
        if guard.is_none() {
            return guard;
        }
        drop(guard);
        let mut alone = self.replica.write().await;
        *alone = None;
        alone.downgrade()
    }
}

/// Takes the replica out when the fault has ended: it holds as much memory as all tables.
async fn let_go(chaos: Place, replica: Weak<RwLock<Option<Replica>>>) {
    loop {
        chaos.ended(Fault::StaleMs).await;
        let Some(replica) = replica.upgrade() else { return };
        let mut alone = replica.write().await;
        // Else it has come back meanwhile.
        if chaos.time(Fault::StaleMs).is_zero() {
            *alone = None;
            return;
        }
    }
}

/// All tables as they were a while ago.
struct Replica {
    database: Database,
    proxy: Proxy,
    /// It ends when this is dropped.
    _server: Server,
    /// The key attributes of each table.
    keys: BTreeMap<String, Vec<String>>,
    /// What has been written since, in the order of the commits.
    pending: Mutex<VecDeque<(Instant, Vec<Image>)>>,
}

/// An item after a write.
struct Image {
    table: String,
    key: Value,
    /// `None` if it is gone.
    item: Option<Value>,
}

impl Replica {
    async fn of(original: &Database) -> Result<Self, Failure> {
        let original = original.clone();
        let (database, keys) = tokio::task::spawn_blocking(move || copy(&original)).await??;
        let (proxy, server) = Proxy::start(database.clone()).await?;
        Ok(Self { database, proxy, _server: server, keys, pending: Mutex::default() })
    }

    /// Remembers the items that a request has touched, as they are now.
    fn note(&self, original: &Database, operation: &str, body: &[u8]) -> Result<(), Failure> {
        let request: Value = serde_json::from_slice(body)?;
        let at = Instant::now();
        let images = touched(operation, &request).into_iter().map(|(table, holder)| {
            let names = self.keys.get(table).ok_or("an unknown table")?;
            let key: Value = names.iter().map(|name| (name.clone(), holder[name].clone())).collect();
            let get = json!({"TableName": table, "Key": key, "ConsistentRead": true});
            let item = serde_json::to_value(original.get_item(serde_json::from_value(get)?)?)?["Item"].take();
            Ok(Image { table: table.to_owned(), key, item: (!item.is_null()).then_some(item) })
        });
        let images = images.collect::<Result<Vec<_>, Failure>>()?;
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back((at, images));
        Ok(())
    }

    /// Brings over all that was written before `stale` ago. After an error some of it is lost, and this is of no use.
    fn catch_up(&self, stale: Duration) -> Result<(), Failure> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, images)) = pending.pop_front_if(|(at, _)| at.elapsed() >= stale) {
            for Image { table, key, item } in images {
                match item {
                    Some(item) => drop(self.database.put_item(serde_json::from_value(json!({"TableName": table, "Item": item}))?)?),
                    None => drop(self.database.delete_item(serde_json::from_value(json!({"TableName": table, "Key": key}))?)?),
                }
            }
        }
        Ok(())
    }
}

/// What the database says about a table.
fn describe(database: &Database, table: &str) -> Result<Value, Failure> {
    let description = database.describe_table(serde_json::from_value(json!({"TableName": table}))?)?;
    Ok(serde_json::to_value(description)?["Table"].take())
}

fn key_names(description: &Value) -> Vec<String> {
    let keys = description["KeySchema"].as_array().into_iter().flatten();
    keys.filter_map(|key| key["AttributeName"].as_str().map(str::to_owned)).collect()
}

/// A copy in memory of all tables, without their streams, and the key attributes of each.
fn copy(original: &Database) -> Result<(Database, BTreeMap<String, Vec<String>>), Failure> {
    let copy = Database::memory()?;
    let mut all_keys = BTreeMap::new();
    let tables = serde_json::to_value(original.list_tables(serde_json::from_value(json!({}))?)?)?;
    for table in tables["TableNames"].as_array().into_iter().flatten() {
        let name = table.as_str().unwrap_or_default();
        let description = describe(original, name)?;
        copy.create_table(serde_json::from_value(creation(&description))?)?;
        all_keys.insert(name.to_owned(), key_names(&description));

        let mut after = Value::Null;
        loop {
            let mut scan = json!({"TableName": name});
            if !after.is_null() {
                scan["ExclusiveStartKey"] = after;
            }
            let page = original.scan(serde_json::from_value(scan)?)?;
            let items: Vec<Item> = page.items.unwrap_or_default();
            copy.import_items(name, items, ImportOptions::default())?;
            let Some(last) = page.last_evaluated_key else { break };
            after = serde_json::to_value(last)?;
        }
    }
    Ok((copy, all_keys))
}

/// The request that makes a table with these keys and indexes.
fn creation(description: &Value) -> Value {
    let mut creation = json!({"BillingMode": "PAY_PER_REQUEST"});
    for part in ["TableName", "KeySchema", "AttributeDefinitions"] {
        creation[part] = description[part].clone();
    }
    for part in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if let Some(indexes) = description[part].as_array() {
            let index = |index: &Value| json!({"IndexName": index["IndexName"], "KeySchema": index["KeySchema"], "Projection": index["Projection"]});
            creation[part] = indexes.iter().map(index).collect();
        }
    }
    creation
}

/// The items that a write names: their tables, and what holds their keys, which is the key or the item.
fn touched<'a>(operation: &str, request: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let named = |write: &'a Value| {
        let holder = write.get("Key").or_else(|| write.get("Item"))?;
        Some((write["TableName"].as_str()?, holder))
    };
    let each = |list: &'a Value| list.as_array().into_iter().flatten();
    match operation {
        "BatchWriteItem" => {
            let tables = request["RequestItems"].as_object().into_iter().flatten();
            let writes = tables.flat_map(|(table, writes)| each(writes).map(move |write| (table.as_str(), write)));
            let holder = |write: &'a Value| write["DeleteRequest"].get("Key").or_else(|| write["PutRequest"].get("Item"));
            writes.filter_map(|(table, write)| Some((table, holder(write)?))).collect()
        }
        "TransactWriteItems" => {
            let items = each(&request["TransactItems"]);
            items.flat_map(|item| item.as_object().into_iter().flatten()).filter_map(|(_, write)| named(write)).collect()
        }
        _ => named(request).into_iter().collect(),
    }
}

fn is_consistent(read: &Value) -> bool {
    read["ConsistentRead"] == true
}

/// A batch of reads in two: what is to be consistent, and the rest.
fn by_consistency(request: Value) -> (Option<Value>, Option<Value>) {
    let of = |consistent: bool| {
        let mut part = request.clone();
        let tables = part["RequestItems"].as_object_mut()?;
        tables.retain(|_, table| is_consistent(table) == consistent);
        (!tables.is_empty()).then_some(part)
    };
    (of(true), of(false))
}

/// The answers to the two halves of a batch in one, or the one that is a refusal.
async fn together(one: Response, other: Response) -> Result<Response, Failure> {
    if one.status() != StatusCode::OK {
        return Ok(one);
    }
    if other.status() != StatusCode::OK {
        return Ok(other);
    }
    let (mut one, other) = (read(one).await?, read(other).await?);
    for (member, value) in other.as_object().into_iter().flatten() {
        match (&mut one[member], value) {
            (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
            (Value::Array(known), Value::Array(more)) => known.extend(more.iter().cloned()),
            (known, more) => *known = more.clone(),
        }
    }
    Ok(respond(&one))
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
