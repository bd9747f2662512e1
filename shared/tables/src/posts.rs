//! The Posts table, written by the posts service: `posts`, `photo-processor` and `janitor`.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Post | `POST#{post}` | `POST` | [`Record`]; speaks `post.published`, `post.deleted` | the service; `post` by feed |
//! | Published | `AUTHOR#{author}` | `PUBLISHED#{published_at}#{post}` | | posts, feed-fanout |
//! | Unpublished | `AUTHOR#{author}` | `UNPUBLISHED#{post}` | | posts |
//! | Counter | `COUNTS#{author}` | `POSTS` | `count` of published posts | users |
//!
//! Index `ByDeadline` (`unfinished`, `deadline`) is sparse: a post is in it while something must still happen to it by itself.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};
use tintype_core::{
    PostId, Time, UserId,
    event::What,
    post::{Failure, Post, Rendition, Status, Step},
};

use crate::{
    Error, Key, Page, Table, outbox,
    table::{Item, Query, back_off, failure, number, text, write_units},
};

/// How long an upload ticket is good for.
pub const TICKET_LIFETIME: Duration = Duration::from_mins(15);
/// How long a photo may be worked on, retries included, before the janitor looks after it.
pub const PROCESSING_TIME: Duration = Duration::from_mins(5);
/// How long a failed post can be read, and how long the tombstone of a deleted one stands: late messages find it.
pub const REMAINS: Duration = Duration::from_hours(30 * 24);
/// Partitions of the index of unfinished posts: one would take a thousand writes a second and no more.
pub const UNFINISHED_SHARDS: u8 = 4;

/// What the sort keys of an author's published posts start with.
pub const PUBLISHED: &str = "PUBLISHED#";
/// What the sort keys of an author's posts in the making start with.
pub const UNPUBLISHED: &str = "UNPUBLISHED#";

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

/// A post's item, with what the service alone needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The post.
    pub post: Post,
    /// Rises with every write: a write that is conditional on it changes what it has read.
    pub version: u64,
    /// How often the janitor has driven it on.
    pub drives: u32,
    /// Set once the author has deleted it: only a tombstone is left.
    pub deleted_at: Option<Time>,
    /// Shard of the index of unfinished posts; absent once nothing more has to happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// When the janitor looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Seconds since 1970: when the item may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Record {
    fn new(post: Post) -> Self {
        let deadline = post.created_at.plus(TICKET_LIFETIME).plus(PROCESSING_TIME);
        let mut record = Self { post, version: 0, drives: 0, deleted_at: None, unfinished: None, deadline: None, expires_at: None };
        record.look_after(deadline);
        record
    }

    /// Whether it was deleted or has failed: its uploads and variants must go.
    pub fn is_remains(&self) -> bool {
        self.deleted_at.is_some() || self.post.status == Status::Failed
    }

    fn look_after(&mut self, deadline: Time) {
        let shard = self.post.id.to_string().bytes().last().unwrap_or(0) % UNFINISHED_SHARDS;
        self.unfinished = Some(shard.to_string());
        self.deadline = Some(deadline);
    }

    fn forget(&mut self) {
        self.unfinished = None;
        self.deadline = None;
    }

    fn item(&self) -> Result<Item, Error> {
        let mut item: Item = serde_dynamo::to_item(self)?;
        item.extend(key(self.post.id).item());
        Ok(item)
    }
}

/// Writes a new post that waits for its photos.
pub async fn create(posts: &Table, post: Post) -> Result<(), Error> {
    let listed = unpublished(&post).item();
    let put =
        put(posts, Record::new(post).item()?).condition_expression("attribute_not_exists(pk)").build().expect("table and item are set");
    posts.transact(vec![write().put(put).build(), list(posts, listed)]).await
}

/// A post as it stands now, unless it is deleted.
pub async fn read(posts: &Table, post: PostId) -> Result<Option<Post>, Error> {
    Ok(read_record(posts, post).await?.filter(|record| record.deleted_at.is_none()).map(|record| record.post))
}

/// A post's item as it stands now, or its tombstone.
pub async fn read_record(posts: &Table, post: PostId) -> Result<Option<Record>, Error> {
    posts.get(&key(post), true).await
}

/// The published ones among `ids`; as of now if `consistent`, else as of about a second ago.
pub async fn cards(posts: &Table, ids: &[PostId], consistent: bool) -> Result<HashMap<PostId, Post>, Error> {
    let mut cards = alive(posts, ids, consistent).await?;
    cards.retain(|_, post| post.status == Status::Published);
    Ok(cards)
}

/// Those among `ids` that are not published (yet), as of now: for their author's eyes alone.
pub async fn drafts(posts: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Post>, Error> {
    let mut drafts = alive(posts, ids, true).await?;
    drafts.retain(|_, post| post.status != Status::Published);
    Ok(drafts)
}

async fn alive(posts: &Table, ids: &[PostId], consistent: bool) -> Result<HashMap<PostId, Post>, Error> {
    let keys: Vec<Key> = ids.iter().copied().map(key).collect();
    let records: Vec<Record> = posts.batch_get(&keys, consistent).await?;
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

/// Photo work has begun.
pub async fn start(posts: &Table, post: PostId, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        // The tickets of the other photos are still good: the deadline is never brought forward.
        record.deadline = record.deadline.max(Some(now.plus(PROCESSING_TIME)));
        record.post.start()
    })
    .await
}

/// Photo `index` is processed. If it was the last one, the same write publishes the post.
pub async fn finish_photo(posts: &Table, post: PostId, index: usize, rendition: Rendition, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        let step = record.post.finish_photo(index, rendition.clone(), now);
        if step == Step::Published {
            record.forget();
        }
        step
    })
    .await
}

/// The post can't be finished: what was uploaded is swept by the janitor.
pub async fn fail(posts: &Table, post: PostId, failure: Failure, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        record.look_after(now);
        record.expires_at = Some(now.plus(REMAINS).as_seconds());
        record.post.fail(failure.clone())
    })
    .await
}

/// The janitor drives a post on: it has until `deadline`.
pub async fn drive(posts: &Table, post: PostId, deadline: Time, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        if record.post.is_settled() {
            return Step::Nothing;
        }
        record.drives += 1;
        record.deadline = Some(deadline);
        Step::Progress
    })
    .await
}

/// The janitor has swept what a failed or deleted post had left behind.
pub async fn swept(posts: &Table, post: PostId, now: Time) -> Result<Option<Record>, Error> {
    change(posts, post, now, |record| {
        if !record.is_remains() || record.unfinished.is_none() {
            return Step::Nothing;
        }
        record.forget();
        Step::Progress
    })
    .await
}

/// Others get their turn before a post that could not be looked after: the janitor meets it again at `until`.
///
/// Its item is not read first, since it may be the very thing that can't be read. Nor does the version rise: whoever changes the post
/// at the same moment knows better when its time is up.
pub async fn put_off(posts: &Table, post: PostId, until: Time) -> Result<(), Error> {
    let request = posts
        .client
        .update_item()
        .table_name(&posts.name)
        .set_key(Some(key(post).item()))
        .update_expression("SET deadline = :until")
        .condition_expression("attribute_exists(unfinished)")
        .expression_attribute_values(":until", text(until.to_string()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(())
        }
        // Somebody has finished it meanwhile.
        Err(Error::Condition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// [`change`], but a tombstone stays as it is.
async fn change_live(posts: &Table, post: PostId, now: Time, mut apply: impl FnMut(&mut Record) -> Step) -> Result<Option<Record>, Error> {
    change(posts, post, now, |record| if record.deleted_at.is_some() { Step::Nothing } else { apply(record) }).await
}

/// Reads, changes and writes a post until nobody else wrote in between; answers what it became. `None`: there is no such post.
async fn change(posts: &Table, post: PostId, now: Time, mut apply: impl FnMut(&mut Record) -> Step) -> Result<Option<Record>, Error> {
    for attempt in 0..MOST_RIVALS {
        let Some(before) = read_record(posts, post).await? else { return Ok(None) };
        let mut after = before.clone();
        let step = apply(&mut after);
        if step == Step::Nothing {
            return Ok(Some(before));
        }
        after.version += 1;
        match store(posts, &before, &after, step, now).await {
            Err(error) if is_lost_race(&error) => step_back(attempt).await?,
            result => return result.map(|()| Some(after)),
        }
    }
    Err(Error::Conflict)
}

/// Ten photos of a post may finish at once; of those that write at the same moment at least one wins.
const MOST_RIVALS: u32 = 20;

/// Whether somebody else has written the post since it was read, or is writing it now.
fn is_lost_race(error: &Error) -> bool {
    matches!(error, Error::Condition(_) | Error::Conflict)
}

/// Waits a random while before the post is read again, 200 ms at most.
async fn step_back(attempt: u32) -> Result<(), Error> {
    back_off(attempt.min(2)).await
}

async fn store(posts: &Table, before: &Record, after: &Record, step: Step, now: Time) -> Result<(), Error> {
    let mut item = after.item()?;
    if step == Step::Published {
        let Post { id, author_id, .. } = after.post;
        outbox::speak(&mut item, What::PostPublished { post_id: id, author_id, published_at: now }, now);
        let put = if_unchanged(put(posts, item), before);
        return posts
            .transact(vec![
                write().put(put).build(),
                unlist(posts, &unpublished(&after.post)),
                list(posts, published(&after.post, now).item()),
                add_to_count(posts, author_id, 1),
            ])
            .await;
    }
    if after.expires_at != before.expires_at {
        let mut listed = unpublished(&after.post).item();
        listed.extend(after.expires_at.map(|at| ("expires_at".to_owned(), number(at))));
        let put = if_unchanged(put(posts, item), before);
        return posts.transact(vec![write().put(put).build(), list(posts, listed)]).await;
    }
    let answer = posts
        .client
        .put_item()
        .table_name(&posts.name)
        .set_item(Some(item))
        .condition_expression(UNCHANGED)
        .expression_attribute_values(":version", number(before.version))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(failure)?;
    write_units(answer.consumed_capacity.as_slice());
    Ok(())
}

/// Replaces a post by a tombstone that says so; its files are swept by the janitor. `false`: there was none, or it was deleted before.
pub async fn delete(posts: &Table, post: PostId, now: Time) -> Result<bool, Error> {
    for attempt in 0..MOST_RIVALS {
        let Some(before) = read_record(posts, post).await?.filter(|record| record.deleted_at.is_none()) else { return Ok(false) };
        let tombstone = tombstone(&before, now);
        let mut item = tombstone.item()?;
        let Post { id, author_id, published_at, .. } = tombstone.post;
        outbox::speak(&mut item, What::PostDeleted { post_id: id, author_id }, now);
        let mut writes = vec![write().put(if_unchanged(put(posts, item), &before)).build()];
        if let Some(published_at) = published_at {
            writes.push(unlist(posts, &published(&before.post, published_at)));
            writes.push(add_to_count(posts, author_id, -1));
        } else {
            writes.push(unlist(posts, &unpublished(&before.post)));
        }
        match posts.transact(writes).await {
            Err(error) if is_lost_race(&error) => step_back(attempt).await?,
            result => return result.map(|()| true),
        }
    }
    Err(Error::Conflict)
}

/// What is left of a post once it is deleted: whose it was and when, and where its files are. What its author said, and what the
/// photographs show, is gone at once.
fn tombstone(before: &Record, now: Time) -> Record {
    let mut tombstone = Record { deleted_at: Some(now), version: before.version + 1, drives: 0, ..before.clone() };
    tombstone.look_after(now);
    tombstone.expires_at = Some(now.plus(REMAINS).as_seconds());
    tombstone.post.erase();
    tombstone
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

const UNCHANGED: &str = "version = :version";

fn write() -> aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder {
    TransactWriteItem::builder()
}

fn put(posts: &Table, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    Put::builder().table_name(&posts.name).set_item(Some(item))
}

fn if_unchanged(put: aws_sdk_dynamodb::types::builders::PutBuilder, before: &Record) -> Put {
    put.condition_expression(UNCHANGED)
        .expression_attribute_values(":version", number(before.version))
        .build()
        .expect("table and item are set")
}

fn list(posts: &Table, item: Item) -> TransactWriteItem {
    write().put(put(posts, item).build().expect("table and item are set")).build()
}

fn unlist(posts: &Table, key: &Key) -> TransactWriteItem {
    let delete = Delete::builder().table_name(&posts.name).set_key(Some(key.item())).build().expect("table and key are set");
    write().delete(delete).build()
}

fn add_to_count(posts: &Table, author_id: UserId, amount: i64) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(&posts.name)
        .set_key(Some(count(author_id).item()))
        .update_expression("ADD #count :amount")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":amount", number(amount))
        .build()
        .expect("table, key and expression are set");
    write().update(update).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::post::{ContentType, Draft, Location, Photo};

    fn published(now: Time) -> Record {
        let mut photo = Photo::announced(ContentType::Jpeg, 1, Some("A secret garden".to_owned()), "0f".repeat(16));
        photo.rendition = Some(Rendition { width: 1, height: 1, blurhash: "secret".to_owned(), variants: vec![] });
        let location = Some(Location { name: "My secret place".to_owned(), lat: 1.0, lng: 2.0 });
        let caption = "The secret of #secret by @secret".to_owned();
        let draft = Draft { author_id: UserId::new(), caption, location, comments_enabled: true, photos: vec![photo] };
        let mut post = Post::new(draft, now);
        (post.status, post.published_at) = (Status::Published, Some(now));
        Record { post, version: 7, drives: 2, deleted_at: None, unfinished: None, deadline: None, expires_at: None }
    }

    #[test]
    fn a_tombstone_says_whose_post_it_was_and_where_its_files_are_and_nothing_of_what_was_in_it() {
        let published_at = Time::from_millis(1_790_000_000_000).unwrap();
        let now = published_at.plus(Duration::from_hours(1));
        let before = published(published_at);
        let tombstone = tombstone(&before, now);
        assert!(!serde_json::to_string(&tombstone).unwrap().contains("secret"), "{tombstone:?}");
        let (post, was) = (&tombstone.post, &before.post);
        assert_eq!((post.id, post.author_id, &post.photos[0].media_id), (was.id, was.author_id, &was.photos[0].media_id));
        assert_eq!((post.created_at, post.published_at), (was.created_at, Some(published_at)));
        assert_eq!((tombstone.deleted_at, tombstone.version, tombstone.drives), (Some(now), 8, 0));
        // The janitor sweeps its files at once; late messages find it for a month.
        assert!(tombstone.is_remains() && tombstone.unfinished.is_some() && tombstone.deadline == Some(now));
        assert_eq!(tombstone.expires_at, Some(now.plus(REMAINS).as_seconds()));
    }

    #[test]
    fn whoever_loses_a_race_reads_again_and_any_other_failure_is_one() {
        assert!(is_lost_race(&Error::Condition(vec![true])) && is_lost_race(&Error::Conflict));
        assert!(!is_lost_race(&Error::Unavailable("down".to_owned())) && !is_lost_race(&Error::Refused("no".to_owned())));
    }
}
