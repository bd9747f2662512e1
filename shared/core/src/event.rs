//! What services tell each other: an item that speaks carries one of these, and the event router carries it to the queues.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CommentId, JobId, PostId, Time, UserId};

/// The version of the envelope; consumers send what they do not know to their dead-letter queue.
pub const VERSION: u32 = 1;

/// A thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Always [`VERSION`] here.
    pub version: u32,
    /// Fresh for every event; the item's attribute `event_id` says the same.
    pub id: Uuid,
    /// When it happened.
    pub occurred_at: Time,
    /// The `X-Amzn-Trace-Id` of the request or message that caused it.
    pub trace_id: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened, tagged by `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum What {
    /// A post is there to be seen.
    #[serde(rename = "post.published")]
    PostPublished {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
        /// When: its place in every timeline.
        published_at: Time,
    },
    /// What a published post says has changed.
    #[serde(rename = "post.edited")]
    PostEdited {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
    },
    /// A post will never be published: the post itself tells why.
    #[serde(rename = "post.failed")]
    PostFailed {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
    },
    /// Somebody likes a post: the like itself tells whether it still stands.
    #[serde(rename = "post.liked")]
    PostLiked {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
        /// Who likes it.
        user_id: UserId,
    },
    /// A post is gone.
    #[serde(rename = "post.deleted")]
    PostDeleted {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
    },
    /// Somebody has commented on a post, or replied to a comment.
    #[serde(rename = "comment.created")]
    CommentCreated {
        /// The comment.
        comment_id: CommentId,
        /// The post that it is about.
        post_id: PostId,
        /// The comment that it replies to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent_id: Option<CommentId>,
        /// Who wrote it.
        author_id: UserId,
    },
    /// Somebody likes a comment: the like itself tells whether it still stands.
    #[serde(rename = "comment.liked")]
    CommentLiked {
        /// The comment.
        comment_id: CommentId,
        /// The post that it is about.
        post_id: PostId,
        /// The comment that it replies to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent_id: Option<CommentId>,
        /// Who likes it.
        user_id: UserId,
    },
    /// A comment is gone, with its replies if it had any.
    #[serde(rename = "comment.deleted")]
    CommentDeleted {
        /// The comment.
        comment_id: CommentId,
        /// The post that it was about.
        post_id: PostId,
        /// The comment that it replied to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent_id: Option<CommentId>,
    },
    /// Somebody follows somebody, or does no longer, or no longer asks to: the edge itself tells which.
    #[serde(rename = "follow.changed")]
    FollowChanged {
        /// Who follows.
        follower_id: UserId,
        /// Who is followed.
        followee_id: UserId,
        /// Who is followed has approved a request.
        #[serde(default, skip_serializing_if = "is_false")]
        approved: bool,
    },
    /// Somebody asks to follow somebody whose account is private: the request itself tells whether it still waits.
    #[serde(rename = "follow.requested")]
    FollowRequested {
        /// Who asks.
        follower_id: UserId,
        /// Who is asked.
        followee_id: UserId,
    },
    /// Somebody blocks somebody: neither follows the other any more.
    #[serde(rename = "block.changed")]
    BlockChanged {
        /// Who blocks.
        blocker_id: UserId,
        /// Who is blocked.
        blocked_id: UserId,
    },
    /// Somebody has muted somebody, who must never hear of it.
    #[serde(rename = "mute.changed")]
    MuteChanged {
        /// Who mutes.
        muter_id: UserId,
        /// Who is muted.
        muted_id: UserId,
    },
    /// An account has turned private or public: its card tells which. The users service tells who keeps posts, with what follows.
    #[serde(rename = "privacy.changed")]
    PrivacyChanged {
        /// Whose.
        user_id: UserId,
        /// The job that waits for whoever is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_id: Option<JobId>,
        /// Where to go on: what the last `media.moved` had as `next`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// An account is gone; every service removes what it has of it, and says so by `data.removed`.
    #[serde(rename = "account.deleted")]
    AccountDeleted {
        /// Whose.
        user_id: UserId,
        /// The job that waits for the services.
        job_id: JobId,
        /// Where the service goes on: what its last `data.removed` had as `next`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Somebody wants an archive of all that they have made.
    #[serde(rename = "export.requested")]
    ExportRequested {
        /// Who.
        user_id: UserId,
        /// The job that makes it.
        job_id: JobId,
    },
    /// An archive can be fetched.
    #[serde(rename = "export.ready")]
    ExportReady {
        /// Whose.
        user_id: UserId,
        /// The job that has made it.
        job_id: JobId,
    },
    /// A service has nothing more of a person. Sent to the users service's queue, like all below.
    #[serde(rename = "data.removed")]
    DataRemoved {
        /// Of whom.
        user_id: UserId,
        /// The job that waits for it.
        job_id: JobId,
        /// Which service: the name of its function.
        service: String,
        /// It has more, and its time was up: it wants to be told again, with this as `after`. A service never tells itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// Photographs of an account that has turned private or public are where they belong.
    #[serde(rename = "media.moved")]
    MediaMoved {
        /// Whose.
        user_id: UserId,
        /// The job that waits for it.
        job_id: JobId,
        /// What `privacy.changed` had as `after`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Only those up to here: the time was up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
        /// But for some, with which something failed.
        has_failed: bool,
    },
    /// The time of a job is up, and it has not ended: it is driven on.
    #[serde(rename = "job.overdue")]
    JobOverdue {
        /// Partition and sort key of its item in the Users table.
        pk: String,
        /// See `pk`.
        sk: String,
    },
    /// A picture has been made of an upload.
    #[serde(rename = "avatar.ready")]
    AvatarReady {
        /// Whose.
        user_id: UserId,
        /// Of the ticket, and of the picture.
        media_id: String,
    },
    /// No picture can be made of an upload.
    #[serde(rename = "avatar.failed")]
    AvatarFailed {
        /// Whose.
        user_id: UserId,
        /// Of the ticket.
        media_id: String,
        /// Why, for programs: one of a post's `failure.code`.
        code: String,
        /// Why, for people.
        detail: String,
    },
}

impl What {
    /// Its `type` on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PostPublished { .. } => "post.published",
            Self::PostEdited { .. } => "post.edited",
            Self::PostFailed { .. } => "post.failed",
            Self::PostLiked { .. } => "post.liked",
            Self::PostDeleted { .. } => "post.deleted",
            Self::CommentCreated { .. } => "comment.created",
            Self::CommentLiked { .. } => "comment.liked",
            Self::CommentDeleted { .. } => "comment.deleted",
            Self::FollowChanged { .. } => "follow.changed",
            Self::FollowRequested { .. } => "follow.requested",
            Self::BlockChanged { .. } => "block.changed",
            Self::MuteChanged { .. } => "mute.changed",
            Self::PrivacyChanged { .. } => "privacy.changed",
            Self::AccountDeleted { .. } => "account.deleted",
            Self::ExportRequested { .. } => "export.requested",
            Self::ExportReady { .. } => "export.ready",
            Self::DataRemoved { .. } => "data.removed",
            Self::MediaMoved { .. } => "media.moved",
            Self::JobOverdue { .. } => "job.overdue",
            Self::AvatarReady { .. } => "avatar.ready",
            Self::AvatarFailed { .. } => "avatar.failed",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Event {
    /// Something that happened now.
    pub fn new(what: What, now: Time, trace_id: &str) -> Self {
        Self { version: VERSION, id: Uuid::now_v7(), occurred_at: now, trace_id: trace_id.to_owned(), what }
    }

    /// As the attribute `event` holds it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an event is JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_type_and_data_in_one_envelope() {
        let event = Event {
            version: 1,
            id: "0193a1f0-0000-7000-8000-000000000001".parse().unwrap(),
            occurred_at: Time::from_millis(0).unwrap(),
            trace_id: "Root=1-0-0".to_owned(),
            what: What::FollowChanged {
                follower_id: "0193a1f0-0000-7000-8000-000000000002".parse().unwrap(),
                followee_id: "0193a1f0-0000-7000-8000-000000000003".parse().unwrap(),
                approved: false,
            },
        };
        let json = event.to_json();
        assert_eq!(
            json,
            r#"{"version":1,"id":"0193a1f0-0000-7000-8000-000000000001","occurred_at":"1970-01-01T00:00:00.000Z","trace_id":"Root=1-0-0","type":"follow.changed","data":{"follower_id":"0193a1f0-0000-7000-8000-000000000002","followee_id":"0193a1f0-0000-7000-8000-000000000003"}}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        assert_eq!(event.what.kind(), "follow.changed");
    }
}
