//! The Comments table, written by the comments service: `comments` and `comments-worker`.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Counter | `COUNTS#{post}` | `COMMENTS#{shard}` | `count` of a post's comments, replies included | all that show posts |

use tintype_core::{PostId, UserId};

use crate::{
    Error, Key, Table,
    counters::{self, MOST_SHARDS},
};

const COUNT: &str = "COMMENTS";

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

/// How many comments each of `posts` has, in their order, as of about a second ago.
pub async fn numbers(comments: &Table, posts: &[PostId]) -> Result<Vec<i64>, Error> {
    counters::read_all(comments, posts.iter().copied().map(counts).collect(), COUNT).await
}
