//! Likes of comments: one item a like, and the comment's own count, in one transaction that is conditional on both.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::Deserialize;
use tintype_core::{CommentId, Time, UserId, comment::Comment, event::What};

use super::{LIKED, change::ALIVE, key, like, likes_of, sort_key, viewer};
use crate::{
    Error, Key, Page, Table, among, outbox,
    table::{Item, Query, number, text},
    writes::{self, Transaction},
};

/// Most likes that are read for a page of comments in one query: what one read costs that asks for each of a hundred by its key.
const MOST_LIKES: usize = 300;

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

/// `user` likes a comment no longer, whatever they may see of it and whatever has become of it. `false`: they did not.
pub async fn take_back_liking(comments: &Table, comment: CommentId, user: UserId) -> Result<bool, Error> {
    let Some(Like { thread, .. }) = comments.get(&like(user, comment), true).await? else { return Ok(false) };
    end_liking(comments, comment, &thread, user).await
}

/// A comment is liked by so many more. The event that it spoke with is no news any more: without it the item costs less to write.
pub(super) fn count_likes(comments: &Table, comment: &Key, amount: i64, condition: &str) -> TransactWriteItem {
    writes::update(comments, comment, "ADD likes :amount REMOVE event, event_id", condition, [(":amount", number(amount))])
}

/// Which of `ids` `user` likes, as it stands now: whoever has just liked one sees it.
///
/// One query, but for whoever likes very many comments of that time: see [`among::there`].
pub async fn liked_of(comments: &Table, user: UserId, ids: &[CommentId]) -> Result<HashSet<CommentId>, Error> {
    let keys: Vec<Key> = ids.iter().map(|id| like(user, *id)).collect();
    let found: Vec<Key> = among::there(comments, &keys, MOST_LIKES).await?;
    Ok(found.iter().filter_map(|key| key.sk.strip_prefix(LIKED)?.parse().ok()).collect())
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
