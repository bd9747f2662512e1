//! Which posts and comments are there for whom.

use std::collections::HashSet;

use tintype_core::{CommentId, PostId, UserId, comment::Comment, post::Post};
use tintype_edge::{Problem, post_open_to};
use tintype_tables::{
    comments::{self, Found},
    visibility,
};
use tokio::try_join;

use crate::Stores;

/// A post that the viewer may see, and whom of those who have commented on it they may not.
pub(crate) struct Stage {
    pub(crate) post: Post,
    hidden: HashSet<UserId>,
}

impl Stage {
    /// 404 if `viewer` may not know of the post.
    pub(crate) async fn of(stores: &Stores, post_id: PostId, viewer: Option<UserId>) -> Result<Self, Problem> {
        let post = post_open_to(&stores.users, &stores.posts, viewer, post_id);
        let hidden = async {
            match viewer {
                Some(viewer) => Ok(visibility::blocks_of(&stores.users, viewer).await?),
                None => Ok(HashSet::new()),
            }
        };
        let ((post, _), hidden) = try_join!(post, hidden)?;
        Ok(Self { post, hidden })
    }

    /// Whether what `author` writes is not for the viewer: one of the two blocks the other.
    pub(crate) fn hides(&self, author: UserId) -> bool {
        self.hidden.contains(&author)
    }

    /// Whether the viewer may see a comment: a reply goes with what it replies to.
    pub(crate) fn shows(&self, found: &Found) -> bool {
        !self.hides(found.comment.author_id) && !found.parent.as_ref().is_some_and(|parent| self.hides(parent.author_id))
    }
}

/// A comment that `viewer` may see, and its post; 404 if they may not know of it.
pub(crate) async fn comment(stores: &Stores, id: CommentId, viewer: Option<UserId>) -> Result<(Comment, Stage), Problem> {
    let found = comments::find(&stores.comments, id).await?.ok_or_else(Problem::not_found)?;
    let stage = Stage::of(stores, found.comment.post_id, viewer).await?;
    if stage.shows(&found) { Ok((found.comment, stage)) } else { Err(Problem::not_found()) }
}
