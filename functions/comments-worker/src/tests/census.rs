//! The whole table, counted anew.

use std::collections::BTreeMap;

use serde_json::Value;
use tintype_core::{CommentId, UserId};
use tintype_tables::{Key, Table};

/// All items, by their keys.
pub(super) struct Census(BTreeMap<(String, String), Value>);

impl Census {
    pub(super) async fn of(table: &Table) -> Self {
        let mut items = BTreeMap::new();
        let mut start = None;
        loop {
            let page =
                table.client.scan().table_name(&table.name).set_exclusive_start_key(start).consistent_read(true).send().await.unwrap();
            for item in page.items.unwrap_or_default() {
                let item: Value = serde_dynamo::from_item(item).unwrap();
                items.insert((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Self(items);
            }
        }
    }

    /// What must hold at any moment: see the table's own description.
    pub(super) fn is_exact(&self) {
        for (place, item) in self.threads() {
            let id = text(item, "id");
            let likes = self.0.keys().filter(|(pk, sk)| pk.starts_with("VIEWER#") && *sk == format!("LIKED#{id}")).count();
            assert_eq!(item["likes"], likes, "likes of {place:?}");
            if is_alive(item) {
                let replies = self.under(id).filter(|(_, reply)| is_alive(reply)).count();
                assert_eq!(item["reply_count"], replies, "replies to {place:?}");
                let leads = self.0.get(&(format!("COMMENT#{id}"), "COMMENT".to_owned())).expect("a locator");
                assert_eq!((&leads["post_id"], &leads["parent_id"]), (&item["post_id"], &item["parent_id"]), "{place:?}");
            }
        }
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for ((pk, _), item) in &self.0 {
            if let Some(post) = pk.strip_prefix("COUNTS#") {
                *counts.entry(post).or_default() += item["count"].as_i64().unwrap();
            }
        }
        for (_, item) in self.threads() {
            counts.entry(text(item, "post_id")).or_default();
        }
        for (post, count) in counts {
            let tops = self.threads().filter(|(place, item)| place.0 == format!("THREAD#{post}") && is_alive(item));
            let all: usize = tops.map(|(_, top)| 1 + self.under(text(top, "id")).filter(|(_, reply)| is_alive(reply)).count()).sum();
            assert_eq!(count, i64::try_from(all).unwrap(), "comments on {post}");
        }
    }

    fn threads(&self) -> impl Iterator<Item = (&(String, String), &Value)> {
        self.0.iter().filter(|((pk, _), _)| pk.starts_with("THREAD#"))
    }

    fn under(&self, parent: &str) -> impl Iterator<Item = (&(String, String), &Value)> {
        let pk = format!("THREAD#{parent}");
        self.threads().filter(move |(place, _)| place.0 == pk)
    }

    /// Those that are no tombstones, in the order of their ids.
    pub(super) fn comments(&self) -> Vec<CommentId> {
        let mut ids: Vec<CommentId> =
            self.threads().filter(|(_, item)| is_alive(item)).map(|(_, item)| text(item, "id").parse().unwrap()).collect();
        ids.sort();
        ids
    }

    pub(super) fn tombstones(&self) -> usize {
        self.threads().filter(|(_, item)| !is_alive(item)).count()
    }

    pub(super) fn likes(&self) -> usize {
        self.0.keys().filter(|(_, sk)| sk.starts_with("LIKED#")).count()
    }

    /// All but the traces of who wrote last, which expire by themselves.
    pub(super) fn rows(&self) -> usize {
        self.0.keys().filter(|(_, sk)| !sk.starts_with("WROTE#")).count()
    }

    /// All but traces.
    pub(super) fn json(&self) -> String {
        let lasting = self.0.iter().filter(|((_, sk), _)| !sk.starts_with("WROTE#"));
        lasting.map(|(_, item)| item.to_string()).collect::<Vec<_>>().join("\n")
    }

    /// Whether somebody's trace is there.
    pub(super) fn has_trace_of(&self, user: UserId) -> bool {
        self.0.keys().any(|(pk, sk)| sk.starts_with("WROTE#") && pk.contains(&user.to_string()))
    }

    pub(super) fn json_at(&self, key: &Key) -> String {
        self.0.get(&(key.pk.clone(), key.sk.clone())).expect("an item").to_string()
    }
}

fn is_alive(item: &Value) -> bool {
    item["author_id"].is_string()
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().expect("a text")
}
