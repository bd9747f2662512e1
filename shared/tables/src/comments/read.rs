//! Comments to read: one by its id, a page of a thread, and what a viewer likes of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::{Deserialize, Serialize};
use tintype_core::{CommentId, PostId, Time, UserId, comment::Comment, name::Username};

use super::{COMMENTS, Thread, like, locator, sort_key};
use crate::{
    Error, Key, Page, Table,
    table::{Query, failure, read_units, text},
    visibility::chosen::Choice,
};

/// An item of a thread: a comment, or the tombstone of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Record {
    pub(super) id: CommentId,
    pub(super) post_id: PostId,
    pub(super) parent_id: Option<CommentId>,
    /// None: it is a tombstone.
    pub(super) author_id: Option<UserId>,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) mentions: Vec<Username>,
    pub(super) created_at: Time,
    pub(super) likes: u64,
    pub(super) reply_count: u64,
}

impl Record {
    /// The comment, unless it is deleted.
    pub(super) fn comment(self) -> Option<Comment> {
        let Self { id, post_id, parent_id, author_id, text, mentions, created_at, likes, reply_count } = self;
        Some(Comment { id, post_id, parent_id, author_id: author_id?, text, mentions, created_at, likes, reply_count })
    }
}

/// What leads to a comment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Locator {
    /// None: the comment is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) post_id: Option<PostId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<CommentId>,
}

/// A comment, and what it replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The comment.
    pub comment: Comment,
    /// The comment that it replies to.
    pub parent: Option<Comment>,
}

/// A comment as it stands now; `None` if it is deleted, or what it replied to is. Whether its post is there is for the caller to see.
pub async fn read(comments: &Table, comment: CommentId) -> Result<Option<Comment>, Error> {
    Ok(find(comments, comment).await?.map(|found| found.comment))
}

/// [`read`], with what the comment replies to.
pub async fn find(comments: &Table, comment: CommentId) -> Result<Option<Found>, Error> {
    let found: Option<Locator> = comments.get(&locator(comment), true).await?;
    let Some(Locator { post_id: Some(post_id), parent_id }) = found else { return Ok(None) };
    let own = Thread::holding(post_id, parent_id).item(comment);
    let keys: Vec<Key> = std::iter::once(own).chain(parent_id.map(|parent| Thread::Of(post_id).item(parent))).collect();
    let records: Vec<Record> = comments.batch_get(&keys, true).await?;
    let (mut own, mut parent) = (None, None);
    for alive in records.into_iter().filter_map(Record::comment) {
        if alive.id == comment { own = Some(alive) } else { parent = Some(alive) }
    }
    let is_reachable = parent_id.is_none() || parent.is_some();
    Ok(own.filter(|_| is_reachable).map(|comment| Found { comment, parent }))
}

/// Whether there is, or was of late, a comment with this id.
pub async fn is_known(comments: &Table, comment: CommentId) -> Result<bool, Error> {
    Ok(comments.get::<Key>(&locator(comment), true).await?.is_some())
}

/// Whether `user` likes a comment, as of now.
pub async fn is_liked(comments: &Table, comment: CommentId, user: UserId) -> Result<bool, Error> {
    Ok(comments.get::<Key>(&like(user, comment), true).await?.is_some())
}

/// Most comments that are read at once: they are larger than the keys of other lists.
const LOOKED_AT: usize = 200;

/// A page of a thread's comments, oldest first, without those whose authors are hidden; as it stands now. It is filled up with what comes
/// after those who are left out. Where very many are, it is short, and says all the same where the next one starts.
///
/// What is there all along is on exactly one page, whatever is written meanwhile: comments are sorted by their ids, which rise.
pub async fn page(
    comments: &Table,
    thread: Thread,
    after: Option<String>,
    limit: usize,
    is_hidden: impl Fn(UserId) -> bool,
) -> Result<Page<Comment>, Error> {
    let mut choice = Choice::new(after, limit, false);
    loop {
        let (after, limit) = (choice.after.clone(), choice.limit.min(LOOKED_AT));
        let query = Query { pk: thread.pk(), prefix: Some(COMMENTS), after, descending: false, consistent: true, limit };
        let read: Page<Record> = comments.query(query).await?;
        let keys = read.items.iter().map(|record| sort_key(record.id)).collect();
        let mut records: HashMap<String, Record> = read.items.into_iter().map(|record| (sort_key(record.id), record)).collect();
        let shown = |key: &str| records.remove(key)?.comment().filter(|comment| !is_hidden(comment.author_id));
        let nobody = |key: &str| Some(sort_key(key.strip_prefix(COMMENTS)?.parse::<CommentId>().ok()?.floor()));
        if let Some(page) = choice.look(Page { items: keys, next: read.next }, shown, nobody) {
            return Ok(page);
        }
    }
}

/// Some of what a person has written, by its place in the table, as of a moment ago; and after which to go on.
pub async fn written_after(comments: &Table, author: UserId, after: Option<&Key>, limit: i32) -> Result<(Vec<Key>, Option<Key>), Error> {
    let author = text(author.to_string());
    let start = after.map(|after| {
        let mut start = after.item();
        start.insert("author_id".to_owned(), author.clone());
        start
    });
    let request = comments
        .client
        .query()
        .table_name(&comments.name)
        .index_name("ByAuthor")
        .key_condition_expression("author_id = :author")
        .expression_attribute_values(":author", author)
        .set_exclusive_start_key(start)
        .limit(limit)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    let next = answer.last_evaluated_key.map(serde_dynamo::from_item).transpose()?;
    let keys = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    Ok((keys, next))
}

/// The comments at these places that are there, in no order.
pub async fn all_at(comments: &Table, keys: &[Key]) -> Result<Vec<Comment>, Error> {
    let records: Vec<Record> = comments.batch_get(keys, true).await?;
    Ok(records.into_iter().filter_map(Record::comment).collect())
}
