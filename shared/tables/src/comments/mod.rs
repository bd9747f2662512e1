//! The Comments table, written by the comments service: `comments` and `comments-worker`.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Comment | `THREAD#{post}` | `COMMENT#{comment}` | [`Comment`]; in `ByAuthor`; speaks `comment.created` | the service, notifier, users-worker |
//! | Reply | `THREAD#{parent}` | `COMMENT#{comment}` | the same | the same |
//! | Tombstone | where the comment was | | `id`, `post_id`, `parent_id`, `created_at`, `likes`, `reply_count`, `deleted_at`; speaks `comment.deleted` | comments-worker |
//! | Locator | `COMMENT#{comment}` | `COMMENT` | `post_id`, `parent_id`: where the comment is; of a deleted one `deleted_at`, `expires_at` alone | the service, notifier |
//! | Like | `VIEWER#{user}` | `LIKED#{comment}` | `thread`: `pk` of the comment; `marked_at`, `marked` (`LIKES#{comment}`): in `ByMark`; speaks `comment.liked` | the service, notifier |
//! | Trace | `VIEWER#{user}` | `WROTE#{post}` | `wrote_at`, `expires_at`: they have changed the number of its comments just now | posts, feed |
//! | Reminder | `REMOVAL#{post}` | `REMOVAL` | speaks `post.deleted` again, where there is more to remove than there was time for | comments-worker |
//! | Counter | `COUNTS#{post}` | `COMMENTS#{shard}` | `count` of a post's comments, replies included | all that show posts |
//!
//! Whatever is made of a comment changes with it in one transaction, so these hold at any moment:
//!
//! - a post's count is the number of its comments, and of those replies of theirs, that are not tombstones;
//! - `reply_count` of a comment is the number of its replies that are not tombstones;
//! - `likes` of a comment, or of a tombstone, is the number of its likes.
//!
//! The replies to a tombstone are there for nobody, and are no longer counted, though their items go later: whatever is done to a reply
//! is conditional on its parent.

mod change;
mod likes;
mod presence;
mod read;
pub mod removal;
pub(crate) mod traces;

use std::collections::HashMap;

use tintype_core::{CommentId, PostId, UserId, comment::Comment};

use crate::{
    Error, Key, Table,
    counters::{self, MOST_SHARDS},
};

pub use change::{Creation, create, delete};
pub use likes::{Like, Liking, begin_liking, end_liking, liked_of, likes_after, take_back_liking};
pub use presence::there;
pub use read::{Found, all_at, find, is_known, is_liked, page, read, written_after};

const COUNT: &str = "COMMENTS";

/// What the sort keys of a thread's comments start with.
pub const COMMENTS: &str = "COMMENT#";
/// What the sort keys of a person's likes start with.
pub const LIKED: &str = "LIKED#";

/// What is written under one another: the comments on a post, or the replies to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// The comments on a post.
    Of(PostId),
    /// The replies to a comment.
    Under(CommentId),
}

impl Thread {
    /// Where a comment on `post` is, which replies to `parent` or to none.
    pub fn holding(post: PostId, parent: Option<CommentId>) -> Self {
        parent.map_or(Self::Of(post), Self::Under)
    }

    /// Its partition.
    pub fn pk(self) -> String {
        match self {
            Self::Of(post) => format!("THREAD#{post}"),
            Self::Under(parent) => format!("THREAD#{parent}"),
        }
    }

    /// A comment's item in it.
    pub fn item(self, comment: CommentId) -> Key {
        Key::new(self.pk(), sort_key(comment))
    }
}

/// A comment's place in its thread.
pub fn sort_key(comment: CommentId) -> String {
    format!("{COMMENTS}{comment}")
}

/// Where a comment's item is.
pub fn key(comment: &Comment) -> Key {
    Thread::holding(comment.post_id, comment.parent_id).item(comment.id)
}

/// What leads from a comment's id to its item.
pub fn locator(comment: CommentId) -> Key {
    Key::new(format!("COMMENT#{comment}"), "COMMENT")
}

/// `pk` of what a person likes.
pub fn viewer(user: UserId) -> String {
    format!("VIEWER#{user}")
}

/// A person's like of a comment.
pub fn like(user: UserId, comment: CommentId) -> Key {
    Key::new(viewer(user), format!("{LIKED}{comment}"))
}

/// `marked` of a comment's likes.
pub fn likes_of(comment: CommentId) -> String {
    format!("LIKES#{comment}")
}

/// `pk` of a post's counters.
pub fn counts(post: PostId) -> String {
    format!("COUNTS#{post}")
}

/// The shard of the number of a post's comments that counts what `author` writes.
pub fn count(post: PostId, author: UserId) -> Key {
    counters::shard(counts(post), COUNT, author.shard(MOST_SHARDS))
}

/// How many comments a post has, replies included, as it stands now.
pub async fn number_now(comments: &Table, post: PostId) -> Result<i64, Error> {
    Ok(counters::read(comments, counts(post), true).await?.get(COUNT).copied().unwrap_or_default())
}

/// How many comments each of `posts` has: as it stands now if `consistent`, else as of about a second ago.
pub async fn numbers(comments: &Table, posts: &[PostId], consistent: bool) -> Result<HashMap<PostId, i64>, Error> {
    counters::read_all(comments, posts, counts, COUNT, consistent).await
}
