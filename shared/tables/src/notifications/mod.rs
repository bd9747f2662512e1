//! The Notifications table, written by the notifications service: `notifications` and `notifier`.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | State | `INBOX#{recipient}` | `STATE` | [`Inbox`] | the service |
//! | Notification | `INBOX#{recipient}` | `NOTE#{updated_at}#{id}` | [`Note`] | the service |
//! | Group | `INBOX#{recipient}` | `GROUP#{group}` | `place`: `sk` of its notification | the service |
//! | Cause | `INBOX#{recipient}` | `CAUSE#{actor}#{kind}#{subject}` | `actor_id`: in `ByActor`; `post_id`, `about`: in `ByPost`; `group` and `note`, or `place` | the service |
//!
//! All of it but the state goes by itself: notifications after [`LIFETIME`], causes a week later, so that what a notification says of
//! somebody can always be found by its cause.
//!
//! Whatever changes in an inbox changes in one transaction that replaces the state, conditional on its version: the number of unread
//! notifications is exact, and of two who write at once one looks again. The cause of a notification is part of it: told once, it is told
//! however often its message comes.
//!
//! A cause's key begins with who did it, so that all that one person has to do with an inbox is one consistent query of it. What an inbox has
//! to do with a post is found by `about` in index `ByPost`: `LIKE#...`, `POST#...` (a mention in its caption, its failure), and
//! `COMMENT#{thread}#{comment}#...`, so that a thread, or one reply, is what begins alike.

mod change;
mod find;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_core::{
    CommentId, NotificationId, PostId, Time, UserId,
    notification::{Cause, Inbox, Kind, LIFETIME, Note, Subject},
};

use crate::{
    Error, Key,
    table::{Item, number},
};

pub use change::{TAKEN_BACK_AT_ONCE, drop_note, mark_read, remove_some, take_back, tell};
pub use find::{After, Found, about, by_actor, causes_by, page, state, unread, unread_of};

/// How much longer a cause is kept than its notification: the table forgets what has expired within two days, in any order.
const CAUSE_REMAINS: Duration = Duration::from_hours(7 * 24);

/// The sort key of an inbox's state.
const STATE: &str = "STATE";
/// What the sort keys of an inbox's notifications start with.
pub const NOTES: &str = "NOTE#";
/// What the sort keys of an inbox's causes start with.
const CAUSES: &str = "CAUSE#";
/// Where an actor would be, in the key of a cause that has none.
const NOBODY: &str = "-";

/// `pk` of all that somebody was told.
pub fn inbox(recipient: UserId) -> String {
    format!("INBOX#{recipient}")
}

/// Whose inbox a partition is.
pub fn recipient(pk: &str) -> Option<UserId> {
    pk.strip_prefix("INBOX#")?.parse().ok()
}

/// The state of an inbox.
fn state_key(recipient: UserId) -> Key {
    Key::new(inbox(recipient), STATE)
}

/// A notification's place in its inbox.
pub fn place(note: &Note) -> String {
    format!("{NOTES}{}#{}", note.updated_at, note.id)
}

/// What a place says: when its notification was updated, and which that is.
fn parts(place: &str) -> Option<(Time, NotificationId)> {
    let (at, id) = place.strip_prefix(NOTES)?.split_once('#')?;
    Some((at.parse().ok()?, id.parse().ok()?))
}

/// Whether a text is a notification's place: what a cursor may hold.
pub fn is_place(sk: &str) -> bool {
    parts(sk).is_some()
}

fn updated_at(place: &str) -> Option<Time> {
    parts(place).map(|(at, _)| at)
}

/// Where a group's notification is.
fn group_key(recipient: UserId, group: &str) -> Key {
    Key::new(inbox(recipient), format!("GROUP#{group}"))
}

/// A cause's place in an inbox.
///
/// Whoever is told of a comment is told once, whatever it is to them: should they change what they want to know between two attempts, the
/// second finds what the first has told.
pub fn cause(kind: Kind, actor: Option<UserId>, subject: &Subject) -> String {
    let kind = match (kind, subject) {
        (Kind::Reply | Kind::Mention, Subject::Comment { .. }) => Kind::Comment.as_str(),
        _ => kind.as_str(),
    };
    let subject = match subject {
        Subject::Person => String::new(),
        Subject::Post(post_id) => post_id.to_string(),
        Subject::Comment { comment_id, .. } => comment_id.to_string(),
        Subject::Export(job_id) => job_id.to_string(),
    };
    format!("{}{kind}#{subject}", by(actor))
}

/// What the sort keys of all causes of one person start with.
fn by(actor: Option<UserId>) -> String {
    let actor = actor.map_or_else(|| NOBODY.to_owned(), |actor| actor.to_string());
    format!("{CAUSES}{actor}#")
}

/// What `about` of all that is about a comment starts with: with a comment at the top of a thread, of the whole thread.
pub fn about_comment(comment: CommentId, parent: Option<CommentId>) -> String {
    match parent {
        None => format!("COMMENT#{comment}#"),
        Some(parent) => format!("COMMENT#{parent}#{comment}#"),
    }
}

/// `about` of a cause; `None`: it is about no post.
fn about_of(cause: &Cause) -> Option<String> {
    let actor = cause.actor_id.map(|actor| actor.to_string()).unwrap_or_default();
    match (&cause.subject, cause.kind) {
        (Subject::Post(_), Kind::Like) => Some(format!("LIKE#{actor}")),
        (Subject::Post(_), kind) => Some(format!("POST#{}#{actor}", kind.as_str())),
        (Subject::Comment { comment_id, thread, .. }, kind) => Some(format!("COMMENT#{thread}#{comment_id}#{}#{actor}", kind.as_str())),
        (Subject::Person | Subject::Export(_), _) => None,
    }
}

/// A cause, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CauseItem {
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    post_id: Option<PostId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    /// The group that its notification is of, and which of that group's it is: once that is removed, there may be another. Or else where
    /// its notification is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<NotificationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    expires_at: i64,
}

impl CauseItem {
    fn new(cause: &Cause, note: &Note) -> Self {
        let about = about_of(cause);
        Self {
            sk: self::cause(cause.kind, cause.actor_id, &cause.subject),
            actor_id: cause.actor_id,
            // An index wants both of its keys, or neither.
            post_id: cause.subject.post_id().filter(|_| about.is_some()),
            about,
            place: note.group.is_none().then(|| place(note)),
            group: note.group.clone(),
            note: note.group.is_some().then_some(note.id),
            expires_at: note.updated_at.plus(LIFETIME).plus(CAUSE_REMAINS).as_seconds(),
        }
    }
}

/// Which notification a group's is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct GroupItem {
    place: String,
}

/// An item of an inbox.
fn item(recipient: UserId, sk: &str, value: impl Serialize) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::to_item(value)?;
    item.extend(Key::new(inbox(recipient), sk).item());
    Ok(item)
}

fn state_item(recipient: UserId, state: &Inbox) -> Result<Item, Error> {
    item(recipient, STATE, state)
}

fn note_item(recipient: UserId, note: &Note) -> Result<Item, Error> {
    item(recipient, &place(note), note)
}

fn group_item(recipient: UserId, note: &Note, group: &str) -> Result<Item, Error> {
    let mut item = item(recipient, &group_key(recipient, group).sk, GroupItem { place: place(note) })?;
    item.insert("expires_at".to_owned(), number(note.expires_at));
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_what_begins_like_its_first_comment_and_a_reply_is_what_begins_like_it() {
        let (top, reply, other) = (CommentId::new(), CommentId::new(), CommentId::new());
        let about = |comment_id, thread, kind| {
            let subject = Subject::Comment { comment_id, thread, post_id: PostId::new(), excerpt: String::new() };
            about_of(&Cause { kind, actor_id: Some(UserId::new()), subject }).unwrap()
        };
        let all = [about(top, top, Kind::Comment), about(reply, top, Kind::Reply), about(reply, top, Kind::CommentLike)];
        assert!(all.iter().all(|about| about.starts_with(&about_comment(top, None))));
        assert_eq!(all.map(|about| about.starts_with(&about_comment(reply, Some(top)))), [false, true, true]);
        assert!(!about(other, other, Kind::Mention).starts_with(&about_comment(top, None)));
    }

    #[test]
    fn only_a_place_can_be_in_a_cursor() {
        let note = Inbox::default().tell(None, &Cause { kind: Kind::Follow, actor_id: None, subject: Subject::Person }, Time::now()).1;
        assert!(is_place(&place(&note)));
        for other in ["", "STATE", "NOTE#", "NOTE#2026#x", &place(&note)[1..], &format!("{}x", place(&note))] {
            assert!(!is_place(other), "{other}");
        }
    }

    #[test]
    fn every_cause_has_a_key_of_its_own() {
        let post = Subject::Post(PostId::new());
        let (ada, bob) = (Some(UserId::new()), Some(UserId::new()));
        let keys = [
            cause(Kind::Like, ada, &post),
            cause(Kind::Like, bob, &post),
            cause(Kind::Mention, ada, &post),
            cause(Kind::Like, ada, &Subject::Post(PostId::new())),
            cause(Kind::Follow, ada, &Subject::Person),
            cause(Kind::PostFailed, None, &post),
        ];
        assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), keys.len());
        assert_eq!(keys.iter().filter(|key| key.starts_with(&by(ada))).count(), 4);
    }
}
