//! Comments to read: one by its id, a page of a thread, and what a viewer likes of them.

use serde::{Deserialize, Serialize};
use tintype_core::{CommentId, PostId, Time, UserId, comment::Comment, name::Username};

use super::{Thread, like, locator};
use crate::{Error, Key, Table};

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

/// Whether `user` likes a comment, as of now.
pub async fn is_liked(comments: &Table, comment: CommentId, user: UserId) -> Result<bool, Error> {
    Ok(comments.get::<Key>(&like(user, comment), true).await?.is_some())
}
