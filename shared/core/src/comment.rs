//! A comment on a post, or a reply to one: as it is kept, and as other services may read it.

use serde::{Deserialize, Serialize};

use crate::{CommentId, PostId, Time, UserId, name::Username};

/// A comment that is there. Of a deleted one nobody is told anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id. Comments are listed by it: oldest first.
    pub id: CommentId,
    /// The post that it is about, also of a reply.
    pub post_id: PostId,
    /// The comment that it replies to. Replies have no replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CommentId>,
    /// Who wrote it.
    pub author_id: UserId,
    /// What it says; 1 to 2200 graphemes.
    pub text: String,
    /// Usernames found in the text, each once, in order; 20 at most. Whether such people exist is another question.
    #[serde(default)]
    pub mentions: Vec<Username>,
    /// When it was written.
    pub created_at: Time,
    /// How many like it.
    pub likes: u64,
    /// How many replies it has.
    pub reply_count: u64,
}
