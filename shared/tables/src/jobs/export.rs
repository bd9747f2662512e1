//! The job that makes an archive of all that a person has made.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_core::{JobId, Time, UserId};

use super::{Course, Job, Status};
use crate::{Key, users};

/// How long nobody else goes on with an export after somebody has: longer than an invocation can last.
pub const LEASE: Duration = Duration::from_secs(90);
/// How long an archive can be fetched, and the end of an export be read.
pub const EXPORT_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// How much of an archive is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Of the upload in parts.
    pub upload_id: String,
    /// What the bucket said of each part, in their order.
    pub etags: Vec<String>,
    /// Of all parts.
    pub bytes: u64,
    /// What comes next.
    pub cursor: String,
    /// The object with what the next part begins with, if the time was up before that was enough for a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
}

/// An archive of all that a person has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub user_id: UserId,
    /// How far it is.
    #[serde(flatten)]
    pub course: Course,
    /// Until when nobody but who has it works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased_until: Option<Time>,
    /// What there is while it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// The archive's size, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Export {
    /// An export that is wanted now.
    pub fn new(id: JobId, user_id: UserId, now: Time) -> Self {
        Self { id, user_id, course: Course::new(id, now), leased_until: None, archive: None, bytes: None }
    }

    /// Whether somebody works on it.
    pub fn is_leased(&self, now: Time) -> bool {
        self.leased_until.is_some_and(|until| until > now)
    }

    /// Somebody works on it from now on, or has got on and goes on. It is driven on once that is over.
    pub fn lease(&mut self, now: Time) {
        let until = now.plus(LEASE);
        (self.leased_until, self.course.deadline, self.course.is_planned) = (Some(until), Some(until), false);
    }

    /// There was no more time: whoever comes next goes on.
    pub fn release(&mut self, now: Time) {
        self.leased_until = None;
        self.course.plan(now);
    }

    /// The archive is there.
    pub fn finish(&mut self, bytes: u64, now: Time) {
        (self.archive, self.leased_until, self.bytes) = (None, None, Some(bytes));
        self.course.end(Status::Done, now);
        self.course.expires_at = Some(now.plus(EXPORT_LIFETIME).as_seconds());
    }

    /// There will be none.
    pub fn fail(&mut self, now: Time) {
        (self.archive, self.leased_until) = (None, None);
        self.course.fail("export-failed", "The archive could not be made. We tried several times; please ask for it again.", now);
        self.course.expires_at = Some(now.plus(EXPORT_LIFETIME).as_seconds());
    }

    /// The archive's key in the bucket.
    pub fn object(&self) -> String {
        format!("{}{}.tar", archives_of(self.user_id), self.id)
    }

    /// A key for what is put aside: another one after each write of the item, so that no two who work on it meet there.
    pub fn rest(&self) -> String {
        format!("{}{}.{}.rest", archives_of(self.user_id), self.id, self.course.version)
    }
}

impl Job for Export {
    fn key(&self) -> Key {
        users::export(self.user_id, self.id)
    }

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }
}

/// What the keys of a person's archives start with.
pub fn archives_of(user_id: UserId) -> String {
    format!("exports/{user_id}/")
}
