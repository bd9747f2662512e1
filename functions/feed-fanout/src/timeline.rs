//! Writing and removing timeline entries, many at a time.

use std::time::Instant;

use tintype_core::UserId;
use tintype_tables::{
    Error, Key, Page, Table, batches,
    feeds::{self, Entry},
    table::{Item, Query},
};

/// Writes entries; one that is there already is replaced by its like.
pub(crate) async fn put(feeds: &Table, entries: impl IntoIterator<Item = Entry>) -> Result<(), Error> {
    let items = entries.into_iter().map(serde_dynamo::to_item).collect::<Result<Vec<Item>, _>>()?;
    batches::put(feeds, items).await
}

/// Removes a whole timeline, page by page; `false` if the time was `up` before.
pub(crate) async fn remove(feeds: &Table, viewer: UserId, up: Instant) -> Result<bool, Error> {
    loop {
        let query = Query { pk: feeds::timeline(viewer), prefix: None, after: None, descending: false, consistent: true, limit: 1000 };
        let page: Page<Key> = feeds.query(query).await?;
        batches::delete(feeds, page.items).await?;
        if page.next.is_none() {
            return Ok(true);
        }
        if Instant::now() >= up {
            return Ok(false);
        }
    }
}
