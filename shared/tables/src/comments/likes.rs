//! Likes of comments: one item a like, and the comment's own count, in one transaction that is conditional on both.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem};
use serde::Deserialize;
use tintype_core::{CommentId, Time, UserId, comment::Comment, event::What};

use super::{LIKED, change::ALIVE, key, like, likes_of, sort_key, viewer};
use crate::{
    Error, Key, Page, Table, outbox,
    table::{Item, Query, failure, number, read_units, text},
    writes::{self, Transaction},
};

/// Most likes that are read for a page of comments in one query: what one read costs that asks for each of a hundred by its key.
const MOST_LIKES: i32 = 300;

/// What became of a like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liking {
    /// They like it from now on.
    Begun,
    /// They did already.
    Known,
    /// The comment is not there (any more).
    NoComment,
}

/// `user` likes `comment` from now on.
pub async fn begin_liking(comments: &Table, comment: &Comment, user: UserId, now: Time) -> Result<Liking, Error> {
    let key = key(comment);
    let mut item: Item = like(user, comment.id).item();
    item.insert("thread".to_owned(), text(&key.pk));
    item.insert("marked".to_owned(), text(likes_of(comment.id)));
    item.insert("marked_at".to_owned(), text(format!("{now}#{user}")));
    let Comment { id: comment_id, post_id, parent_id, .. } = *comment;
    outbox::speak(&mut item, What::CommentLiked { comment_id, post_id, parent_id, user_id: user }, now);
    let mut transaction = Transaction::default();
    let like = transaction.push(writes::put_new(comments, item));
    transaction.push(count_likes(comments, &key, 1, ALIVE));
    match transaction.commit(comments).await {
        Ok(()) => Ok(Liking::Begun),
        Err(Error::Condition(failed)) if like.is_in(&failed) => Ok(Liking::Known),
        Err(Error::Condition(_)) => Ok(Liking::NoComment),
        Err(error) => Err(error),
    }
}

/// `user` likes a comment no longer, be it there or a tombstone; `thread` is the partition of its item. `false`: they did not.
pub async fn end_liking(comments: &Table, comment: CommentId, thread: &str, user: UserId) -> Result<bool, Error> {
    let like = like(user, comment);
    let mut transaction = Transaction::default();
    transaction.push(writes::delete_present(comments, &like));
    transaction.push(count_likes(comments, &Key::new(thread, sort_key(comment)), -1, "attribute_exists(pk)"));
    match transaction.commit(comments).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A comment is liked by so many more. The event that it spoke with is no news any more: without it the item costs less to write.
pub(super) fn count_likes(comments: &Table, comment: &Key, amount: i64, condition: &str) -> TransactWriteItem {
    writes::update(comments, comment, "ADD likes :amount REMOVE event, event_id", condition, [(":amount", number(amount))])
}

/// Which of `ids` `user` likes, as it stands now: whoever has just liked one sees it.
///
/// One query of the person's likes from the lowest of `ids` to the highest. Whoever likes very many comments of that time gets the rest by
/// their keys.
pub async fn liked_of(comments: &Table, user: UserId, ids: &[CommentId]) -> Result<HashSet<CommentId>, Error> {
    let (Some(lowest), Some(highest)) = (ids.iter().min(), ids.iter().max()) else { return Ok(HashSet::new()) };
    let request = comments
        .client
        .query()
        .table_name(&comments.name)
        .key_condition_expression("pk = :pk AND sk BETWEEN :lowest AND :highest")
        .expression_attribute_values(":pk", text(viewer(user)))
        .expression_attribute_values(":lowest", text(like(user, *lowest).sk))
        .expression_attribute_values(":highest", text(like(user, *highest).sk))
        .consistent_read(true)
        .limit(MOST_LIKES)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    let mut found: Vec<Key> = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    if let Some(last) = answer.last_evaluated_key {
        let last: Key = serde_dynamo::from_item(last)?;
        let rest: Vec<Key> = ids.iter().map(|id| like(user, *id)).filter(|key| key.sk > last.sk).collect();
        found.extend(comments.batch_get::<Key>(&rest, true).await?);
    }
    let mut liked: HashSet<CommentId> = found.iter().filter_map(|key| key.sk.strip_prefix(LIKED)?.parse().ok()).collect();
    liked.retain(|id| ids.contains(id));
    Ok(liked)
}

/// A page of what `user` likes, as it stands now.
pub async fn likes_after(comments: &Table, user: UserId, after: Option<String>, limit: usize) -> Result<Page<Like>, Error> {
    let query = Query { pk: viewer(user), prefix: Some(LIKED), after, descending: false, consistent: true, limit };
    comments.query(query).await
}

/// A like, as its person's partition has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Like {
    pub(super) sk: String,
    /// The partition of the comment's item.
    pub thread: String,
    pub(super) marked_at: String,
}

impl Like {
    /// The comment.
    pub fn comment_id(&self) -> Option<CommentId> {
        self.sk.strip_prefix(LIKED)?.parse().ok()
    }

    /// When.
    pub fn liked_at(&self) -> Option<Time> {
        self.marked_at.split('#').next()?.parse().ok()
    }
}
