//! What somebody is told, and how it is put together: likes of one post and follows of one day are one notification, which moves up when
//! it grows.
//!
//! An inbox has a state and notifications. What happens to it is computed here, of what it was, and written elsewhere, all of it or
//! nothing: so the number of unread ones is exact whatever is repeated.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;
use utoipa::ToSchema;

use crate::{CommentId, JobId, NotificationId, PostId, Time, UserId};

/// How long a notification is kept after it last changed.
pub const LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How many of those who did it a notification knows by name, the latest first. Three are shown: the others step in for those who are
/// taken back.
pub const MOST_ACTORS: usize = 10;

/// So many graphemes of a comment are shown.
pub const MOST_EXCERPT: usize = 100;

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody follows them.
    Follow,
    /// Somebody asks to follow them.
    FollowRequest,
    /// Somebody lets them follow.
    FollowAccepted,
    /// Somebody likes a post of theirs.
    Like,
    /// Somebody comments on a post of theirs.
    Comment,
    /// Somebody replies to a comment of theirs.
    Reply,
    /// Somebody likes a comment of theirs.
    CommentLike,
    /// Somebody mentions them in a caption or a comment.
    Mention,
    /// A post of theirs could not be published.
    PostFailed,
    /// An archive that they asked for is ready.
    ExportReady,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::Follow,
        Self::FollowRequest,
        Self::FollowAccepted,
        Self::Like,
        Self::Comment,
        Self::Reply,
        Self::CommentLike,
        Self::Mention,
        Self::PostFailed,
        Self::ExportReady,
    ];

    /// As it is called in answers, settings and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::FollowRequest => "follow_request",
            Self::FollowAccepted => "follow_accepted",
            Self::Like => "like",
            Self::Comment => "comment",
            Self::Reply => "reply",
            Self::CommentLike => "comment_like",
            Self::Mention => "mention",
            Self::PostFailed => "post_failed",
            Self::ExportReady => "export_ready",
        }
    }
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The person who is told.
    Person,
    /// A post.
    Post(PostId),
    /// A comment.
    Comment {
        /// The comment.
        comment_id: CommentId,
        /// The comment at the top of its thread: itself, unless it is a reply.
        thread: CommentId,
        /// The post under which it stands.
        post_id: PostId,
        /// How it begins.
        excerpt: String,
    },
    /// An archive.
    Export(JobId),
}

impl Subject {
    /// The post that it is, or under which it stands.
    pub fn post_id(&self) -> Option<PostId> {
        match self {
            Self::Post(post_id) | Self::Comment { post_id, .. } => Some(*post_id),
            Self::Person | Self::Export(_) => None,
        }
    }

    /// The comment that it is, and how that begins.
    fn comment(&self) -> Option<(CommentId, &str)> {
        match self {
            Self::Comment { comment_id, excerpt, .. } => Some((*comment_id, excerpt)),
            _ => None,
        }
    }
}

/// How a text begins, on one line: at most [`MOST_EXCERPT`] graphemes, up to the end of a word where there is one near.
pub fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.grapheme_indices(true).nth(MOST_EXCERPT) else { return line };
    let (cut, rest) = line.split_at(end);
    // Within a word, if that does not leave too little.
    let whole = cut.rfind(' ').filter(|space| !rest.starts_with(' ') && *space * 2 > cut.len());
    format!("{}\u{2026}", whole.map_or(cut, |space| &cut[..space]))
}

/// Why somebody is told something: of one cause they are told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What happened.
    pub kind: Kind,
    /// Who did it; nobody, if it happened by itself.
    pub actor_id: Option<UserId>,
    /// To what.
    pub subject: Subject,
}

impl Cause {
    /// Which notification it belongs to, of those that are for several causes; `None` if it has one of its own.
    pub fn group(&self, now: Time) -> Option<String> {
        let now = now.to_string();
        let day = now.split('T').next()?;
        match (self.kind, &self.subject) {
            (Kind::Follow, _) => Some(format!("follow#{day}")),
            (Kind::Like, Subject::Post(post_id)) => Some(format!("like#{post_id}#{day}")),
            (Kind::CommentLike, Subject::Comment { comment_id, .. }) => Some(format!("comment_like#{comment_id}#{day}")),
            _ => None,
        }
    }
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its id, which it keeps when it moves.
    pub id: NotificationId,
    /// What happened.
    pub kind: Kind,
    /// When it last grew: its place in the inbox, where no other has the same.
    pub updated_at: Time,
    /// Who did it, the latest first; at most [`MOST_ACTORS`] of them.
    pub actors: Vec<UserId>,
    /// How many did it.
    pub actor_count: u64,
    /// See [`Cause::group`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The post that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_id: Option<PostId>,
    /// The comment that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment_id: Option<CommentId>,
    /// How that comment begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Seconds since 1970.
    pub expires_at: i64,
}

/// What there is to know of somebody's notifications as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inbox {
    /// Rises with every change of anything in the inbox: a change is conditional on it.
    pub version: u64,
    /// How many notifications have come, or grown, since the person last read.
    pub unread: u64,
    /// Up to where the person has read. Never beyond `latest`, so that whatever comes is unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_up_to: Option<Time>,
    /// `updated_at` of the newest that there ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Time>,
    /// No unread one is older than this: after [`LIFETIME`] some may have gone by themselves, and are counted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_since: Option<Time>,
}

impl Inbox {
    /// Whether what was updated then has not been read.
    pub fn is_unread(&self, updated_at: Time) -> bool {
        self.read_up_to.is_none_or(|read| updated_at > read)
    }

    /// Somebody is told of `cause`: what the inbox becomes, and the notification. `grows` is the one of the same group, if there is one:
    /// it is replaced.
    pub fn tell(&self, grows: Option<&Note>, cause: &Cause, now: Time) -> (Self, Note) {
        let updated_at = self.latest.map_or(now, |latest| now.max(latest.plus(Duration::from_millis(1))));
        let comment = cause.subject.comment();
        let mut note = grows.cloned().unwrap_or_else(|| Note {
            id: NotificationId::new(),
            kind: cause.kind,
            updated_at,
            actors: Vec::new(),
            actor_count: 0,
            group: cause.group(now),
            post_id: cause.subject.post_id(),
            comment_id: comment.map(|(id, _)| id),
            excerpt: comment.map(|(_, excerpt)| excerpt.to_owned()),
            expires_at: 0,
        });
        if let Some(actor) = cause.actor_id {
            note.actors.insert(0, actor);
            note.actors.truncate(MOST_ACTORS);
            note.actor_count += 1;
        }
        note.updated_at = updated_at;
        note.expires_at = updated_at.plus(LIFETIME).as_seconds();
        let was_unread = grows.is_some_and(|grows| self.is_unread(grows.updated_at));
        let mut inbox = self.next();
        inbox.latest = Some(updated_at);
        inbox.unread += u64::from(!was_unread);
        inbox.unread_since = inbox.unread_since.or(Some(updated_at));
        (inbox, note)
    }

    /// What these people did is taken back, each of whom is a cause of `note`; with nobody, what happened by itself. Answers what the
    /// inbox becomes, and what is left of the notification, which stays where it is.
    pub fn take_back(&self, note: &Note, actors: &[UserId]) -> (Self, Option<Note>) {
        let left = note.actor_count.saturating_sub(actors.len() as u64);
        let mut inbox = self.next();
        if left > 0 {
            let mut note = note.clone();
            note.actors.retain(|actor| !actors.contains(actor));
            note.actor_count = left;
            return (inbox, Some(note));
        }
        if self.is_unread(note.updated_at) {
            inbox.unread = inbox.unread.saturating_sub(1);
            inbox.unread_since = inbox.unread_since.filter(|_| inbox.unread > 0);
        }
        (inbox, None)
    }

    /// Up to where a person has read who says that they have read up to `up_to`: what is not there yet can't be read. `None`: that is no
    /// news.
    pub fn reads(&self, up_to: Time) -> Option<Time> {
        let up_to = up_to.min(self.latest?);
        self.is_unread(up_to).then_some(up_to)
    }

    /// The person has read up to `up_to`, which [`Self::reads`] has said; after it there are `left`, none of them older than `oldest`.
    #[must_use]
    pub fn read(&self, up_to: Time, left: u64, oldest: Option<Time>) -> Self {
        Self { unread: left, read_up_to: Some(up_to), unread_since: oldest.filter(|_| left > 0), ..self.next() }
    }

    fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }
}

#[cfg(test)]
#[path = "notification_tests.rs"]
mod tests;
