//! The Posts table, written by the posts service: `posts`, `photo-processor` and `janitor`.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Post | `POST#{post}` | `POST` | [`Record`]; speaks `post.published`, `post.edited`, `post.deleted` | the service; `post` by feed |
//! | Published | `AUTHOR#{author}` | `PUBLISHED#{published_at}#{post}` | | posts, feed-fanout |
//! | Unpublished | `AUTHOR#{author}` | `UNPUBLISHED#{post}` | | posts |
//! | Deleted | `AUTHOR#{author}` | `DELETED#{post}` | `published_at`, `expires_at` | the deletion of an account |
//! | Counter | `COUNTS#{author}` | `POSTS` | `count` of published posts | users |
//! | Like | `VIEWER#{viewer}` | `MARK#{post}#LIKED` | `marked` = `LIKES#{post}`, `marked_at` = `{time}#{viewer}`; speaks `post.liked` | posts, feed, notifier |
//! | Save | `VIEWER#{viewer}` | `MARK#{post}#SAVED` | `marked` = `SAVES#{post}`, `marked_at` = `{time}#{viewer}` | posts, feed |
//! | Unliked | `VIEWER#{viewer}` | `MARK#{post}#UNLIKED` | `marked_at`, `expires_at`: a like was taken back just now | posts, feed |
//! | Saved | `VIEWER#{viewer}` | `SAVED#{saved_at}#{post}` | | posts |
//! | Counter | `COUNTS#{post}` | `LIKES#{shard}` | `count` of likes | posts, feed |
//!
//! Index `ByDeadline` (`unfinished`, `deadline`) is sparse: a post is in it while something must still happen to it by itself.
//! Index `ByMark` (`marked`, `marked_at`) has a post's likes, and its saves, by time.

mod change;
pub mod marks;
mod record;
mod relocation;
pub mod removal;

use std::{collections::HashMap, time::Duration};

use tintype_core::{
    PostId, Time, UserId,
    post::{Post, Status},
};

use crate::{
    Error, Key, Page, Table,
    table::{Query, failure, text},
};

pub use change::{create, delete, drive, edit, fail, finish_photo, prolong, put_off, start, swept};
pub use marks::is_liked;
pub use record::Record;
pub use relocation::{Relocation, relocate, relocated, settle_relocation};

/// How long an upload ticket is good for.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(15);
/// How long a photo may be worked on, retries included, before the janitor looks after it.
pub const PROCESSING_TIME: Duration = Duration::from_mins(5);
/// How long a failed post can be read, and how long the tombstone of a deleted one stands: late messages find it.
pub const REMAINS: Duration = Duration::from_hours(30 * 24);
/// An entry of a list outlives the item that it is about, since the table forgets what has expired in its own time, and in any order:
/// what is in no list is not found when its author leaves.
const LISTED_LONGER: Duration = Duration::from_hours(7 * 24);
/// Partitions of the index of unfinished posts: one would take a thousand writes a second and no more.
pub const UNFINISHED_SHARDS: u8 = 4;

/// What the sort keys of an author's published posts start with.
pub const PUBLISHED: &str = "PUBLISHED#";
/// What the sort keys of an author's posts in the making start with.
pub const UNPUBLISHED: &str = "UNPUBLISHED#";

/// What the sort keys of an author's deleted posts start with.
pub const DELETED: &str = "DELETED#";

/// A post's item.
pub fn key(post: PostId) -> Key {
    Key::new(format!("POST#{post}"), "POST")
}

/// `pk` of an author's lists.
pub fn author(author: UserId) -> String {
    format!("AUTHOR#{author}")
}

/// The number of an author's published posts.
pub fn count(author: UserId) -> Key {
    Key::new(format!("COUNTS#{author}"), "POSTS")
}

fn published(post: &Post, published_at: Time) -> Key {
    Key::new(author(post.author_id), format!("{PUBLISHED}{published_at}#{}", post.id))
}

fn unpublished(post: &Post) -> Key {
    Key::new(author(post.author_id), format!("{UNPUBLISHED}{}", post.id))
}

/// A post as it stands now, unless it is deleted.
pub async fn read(posts: &Table, post: PostId) -> Result<Option<Post>, Error> {
    Ok(read_record(posts, post).await?.filter(|record| record.deleted_at.is_none()).map(|record| record.post))
}

/// A post's item as it stands now, or its tombstone.
pub async fn read_record(posts: &Table, post: PostId) -> Result<Option<Record>, Error> {
    posts.get(&key(post), true).await
}

/// The published ones among `ids`, as of now.
pub async fn cards_now(posts: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Post>, Error> {
    let mut cards = alive(posts, ids).await?;
    cards.retain(|_, post| post.status == Status::Published);
    Ok(cards)
}

/// The published ones among `ids`, as of about a second ago; but one that has just been published is there. Of others' posts that is enough.
pub async fn published_cards(posts: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Post>, Error> {
    let keys: Vec<Key> = ids.iter().copied().map(key).collect();
    let records: Vec<Record> = posts.batch_get(&keys, false).await?;
    let mut known: HashMap<PostId, Option<Post>> = HashMap::new();
    for Record { post, deleted_at, .. } in records {
        if deleted_at.is_some() || post.status == Status::Published {
            known.insert(post.id, Some(post).filter(|_| deleted_at.is_none()));
        }
    }
    // Who lists it says that it was published: what lags behind is asked for once more.
    let unknown: Vec<PostId> = ids.iter().copied().filter(|id| !known.contains_key(id)).collect();
    let mut found = cards_now(posts, &unknown).await?;
    found.extend(known.into_iter().filter_map(|(id, post)| Some((id, post?))));
    Ok(found)
}

/// Those among `ids` that are not published (yet), as of now: for their author's eyes alone.
pub async fn drafts(posts: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Post>, Error> {
    let mut drafts = alive(posts, ids).await?;
    drafts.retain(|_, post| post.status != Status::Published);
    Ok(drafts)
}

async fn alive(posts: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Post>, Error> {
    let keys: Vec<Key> = ids.iter().copied().map(key).collect();
    let records: Vec<Record> = posts.batch_get(&keys, true).await?;
    let alive = records.into_iter().filter(|record| record.deleted_at.is_none());
    Ok(alive.map(|record| (record.post.id, record.post)).collect())
}

/// A published post in its author's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The post.
    pub post_id: PostId,
    /// When it was published.
    pub published_at: Time,
}

/// A page of an author's published posts, newest first. Consistent: what was published before is in it.
pub async fn published_by(posts: &Table, author_id: UserId, after: Option<String>, limit: usize) -> Result<Page<Listed>, Error> {
    let query = Query { pk: author(author_id), prefix: Some(PUBLISHED), after, descending: true, consistent: true, limit };
    let page: Page<Key> = posts.query(query).await?;
    let listed = |key: &Key| {
        let (published_at, post) = key.sk.strip_prefix(PUBLISHED)?.split_once('#')?;
        Some(Listed { post_id: post.parse().ok()?, published_at: published_at.parse().ok()? })
    };
    Ok(Page { items: page.items.iter().filter_map(listed).collect(), next: page.next })
}

/// A page of an author's posts that are not published (yet), newest first.
pub async fn unpublished_by(posts: &Table, author_id: UserId, after: Option<String>, limit: usize) -> Result<Page<PostId>, Error> {
    let query = Query { pk: author(author_id), prefix: Some(UNPUBLISHED), after, descending: true, consistent: true, limit };
    let page: Page<Key> = posts.query(query).await?;
    let post = |key: &Key| key.sk.strip_prefix(UNPUBLISHED)?.parse().ok();
    Ok(Page { items: page.items.iter().filter_map(post).collect(), next: page.next })
}

/// Posts of one shard whose deadline has passed, most overdue first.
pub async fn overdue(posts: &Table, shard: u8, now: Time, limit: usize) -> Result<Vec<PostId>, Error> {
    let answer = posts
        .client
        .query()
        .table_name(&posts.name)
        .index_name("ByDeadline")
        .key_condition_expression("unfinished = :shard AND deadline <= :now")
        .expression_attribute_values(":shard", text(shard.to_string()))
        .expression_attribute_values(":now", text(now.to_string()))
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(failure)?;
    let keys: Vec<Key> = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    Ok(keys.iter().filter_map(|key| key.pk.strip_prefix("POST#")?.parse().ok()).collect())
}
