//! The job that removes an account.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tintype_core::{JobId, Time, UserId, name::Username};

use super::{Course, Job, Status};
use crate::{Key, users};

/// How long the end of a deletion can be read.
pub const DELETION_REMAINS: Duration = Duration::from_hours(30 * 24);

/// Who leaves, as long as the job needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The account.
    pub user_id: UserId,
    /// A name that is free again at the end.
    pub username: Username,
    /// An address that is free again at the end.
    pub email: String,
}

/// The deletion of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Its id, which is all that one must know to read its status.
    pub id: JobId,
    /// How far it is.
    #[serde(flatten)]
    pub course: Course,
    /// Who leaves; absent once they are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Nobody can log in, and from now on no token is young enough to be let in somewhere for long.
    pub has_ended_sessions: bool,
    /// The services that have nothing more of the person.
    pub removed: Vec<String>,
    /// Where those services go on that could not do it at once.
    pub cursors: BTreeMap<String, String>,
}

impl Deletion {
    /// The deletion of `leaving`'s account, from now on.
    pub fn new(id: JobId, leaving: Leaving, now: Time) -> Self {
        Self {
            id,
            course: Course::new(id, now),
            leaving: Some(leaving),
            has_ended_sessions: false,
            removed: Vec::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// They are gone, and so is what the job knew of them.
    pub fn finish(&mut self, now: Time) {
        self.leaving = None;
        self.cursors.clear();
        self.course.expires_at = Some(now.plus(DELETION_REMAINS).as_seconds());
        self.course.end(Status::Done, now);
    }
}

impl Job for Deletion {
    fn key(&self) -> Key {
        users::deletion(self.id)
    }

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }
}
