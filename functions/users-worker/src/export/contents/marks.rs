//! What the person likes and has saved: ids of posts alone, for the posts are others'.

use serde_json::{Value, json};
use tintype_queues::Failure;
use tintype_tables::{
    Key, Page,
    posts::marks::{self, Kind, MARKS, Mark, SAVED},
    table::Query,
};

use super::{Contents, EVERYTHING, Entry, Piece};

/// By the time the posts were made: as the table has them.
pub(super) async fn likes(contents: &Contents<'_>, piece: usize, after: Option<String>) -> Result<Piece, Failure> {
    let query = Query { pk: marks::partition(contents.user), prefix: Some(MARKS), after, ..EVERYTHING };
    let page: Page<Mark> = contents.stores.posts.query(query).await?;
    let liked = page.items.iter().filter_map(|mark| {
        let (post_id, kind) = marks::parse(&mark.sk)?;
        (kind == Kind::Like).then(|| json!({"post_id": post_id, "liked_at": marks::marked_when(&mark.marked_at)}))
    });
    Ok((vec![Entry::piece("likes", piece, &liked.collect::<Vec<Value>>().into())], page.next))
}

/// Oldest first.
pub(super) async fn saved(contents: &Contents<'_>, piece: usize, after: Option<String>) -> Result<Piece, Failure> {
    let query = Query { pk: marks::partition(contents.user), prefix: Some(SAVED), after, ..EVERYTHING };
    let page: Page<Key> = contents.stores.posts.query(query).await?;
    let saved = page.items.iter().filter_map(|key| {
        let (post_id, saved_at) = marks::parse_saved(&key.sk)?;
        Some(json!({"post_id": post_id, "saved_at": saved_at}))
    });
    Ok((vec![Entry::piece("saved", piece, &saved.collect::<Vec<Value>>().into())], page.next))
}
