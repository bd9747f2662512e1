//! Who has changed the number of a post's comments just now, for their own eyes: a count that is remembered may not know of it.

use std::collections::HashSet;

use serde::Deserialize;
use tintype_core::{PostId, Time, UserId};

use super::viewer;
use crate::{
    Error, Key, Page, Table,
    among::{self, Placed},
    memory::{JUST_NOW, TRACE},
    table::{Item, Query, number, text},
};

/// What the sort keys of a person's traces start with.
const WROTE: &str = "WROTE#";
/// Traces that are read for each post of a page: an item of some 150 bytes each, which the table forgets in its own time.
const FOR_A_POST: usize = 2;

fn key(user: UserId, post: PostId) -> Key {
    Key::new(viewer(user), format!("{WROTE}{post}"))
}

/// The trace that `user` leaves now.
pub(super) fn item(user: UserId, post: PostId, now: Time) -> Item {
    let mut item = key(user, post).item();
    item.insert("wrote_at".to_owned(), text(now.to_string()));
    item.insert("expires_at".to_owned(), number(now.plus(TRACE).as_seconds()));
    item
}

#[derive(Deserialize)]
struct Trace {
    sk: String,
    wrote_at: Time,
}

impl Placed for Trace {
    fn sk(&self) -> &str {
        &self.sk
    }
}

/// Those of `posts` the number of whose comments `user` has changed just now.
pub(crate) async fn of(comments: &Table, user: UserId, posts: &[PostId], now: Time) -> Result<HashSet<PostId>, Error> {
    let keys: Vec<Key> = posts.iter().map(|post| key(user, *post)).collect();
    let traces: Vec<Trace> = among::there(comments, &keys, FOR_A_POST * posts.len()).await?;
    let new = traces.iter().filter(|trace| trace.wrote_at.plus(JUST_NOW) > now);
    Ok(new.filter_map(|trace| trace.sk.strip_prefix(WROTE)?.parse().ok()).collect())
}

/// Some of the traces that `user` has left, as of now; empty once there are no more.
pub(super) async fn left_by(comments: &Table, user: UserId, limit: usize) -> Result<Vec<Key>, Error> {
    let query = Query { pk: viewer(user), prefix: Some(WROTE), after: None, descending: false, consistent: true, limit };
    let page: Page<Key> = comments.query(query).await?;
    Ok(page.items)
}
