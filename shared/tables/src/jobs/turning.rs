//! What follows when an account has turned private or public: who waits is approved, and photographs go where they belong.
//!
//! The item is written together with what has turned, in the place of an older one: the newest starts anew, and finds what is done
//! already. Unlike other jobs this one is never given up, because photographs of a private account must not stay where everybody finds
//! them: what does not get on is driven on at longer and longer intervals, and every third time somebody is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_core::{JobId, Time, UserId};

use super::{Course, Job, MOST_DRIVES, Status};
use crate::{Key, users};

/// How long the next sign of life may take: longer than whoever works on it goes on before giving one.
pub const TURNING_PATIENCE: Duration = Duration::from_mins(2);
/// It doubles so often, at most.
const MOST_DOUBLINGS: u32 = 4;
/// When it is looked again for photographs that somebody processed who had read what the account was before: longer than that takes.
const LOOK_AGAIN: Duration = Duration::from_mins(3);
/// What clocks may differ by, and more.
const SKEW: Duration = Duration::from_mins(1);
/// How long an item stays that has ended.
const REMAINS: Duration = Duration::from_hours(24);

/// What follows when an account has turned private or public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turning {
    /// Of the way through the author's posts: another for each.
    pub id: JobId,
    /// Whose account.
    pub user_id: UserId,
    /// How far it is.
    #[serde(flatten)]
    pub course: Course,
    /// Nobody waits any more who should not.
    pub has_approved: bool,
    /// All posts that were there have been looked at, and are in their place; what is looked for now is what was published meanwhile.
    pub has_moved: bool,
    /// Where the way through the posts goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Some posts were passed over on this way, because something failed.
    pub has_failed: bool,
    /// How many ways in a row ended so.
    pub failures: u32,
}

impl Turning {
    /// The account turns now.
    pub fn new(id: JobId, user_id: UserId, now: Time) -> Self {
        let mut course = Course::new(id, now);
        course.deadline = Some(now.plus(TURNING_PATIENCE));
        // Nobody who has read an older item must take this one for it.
        course.version = fastrand::u64(..1 << 53);
        Self { id, user_id, course, has_approved: false, has_moved: false, next: None, has_failed: false, failures: 0 }
    }

    /// Whether this is where the job stands: what says otherwise has come late or twice.
    pub fn is_at(&self, id: JobId, next: Option<&str>) -> bool {
        self.course.is_running() && self.id == id && self.next.as_deref() == next
    }

    /// Whether a post published then is to be looked at.
    pub fn concerns(&self, published_at: Time) -> bool {
        !self.has_moved || published_at.plus(SKEW) >= self.course.requested_at
    }

    /// Whether its time is up; it then has more.
    pub fn drive(&mut self, now: Time) -> bool {
        let is_up = self.course.is_running() && self.course.deadline.is_some_and(|deadline| deadline <= now);
        if is_up {
            self.course.drives += u32::from(!self.course.is_planned);
            (self.course.is_planned, self.course.deadline) = (false, Some(now.plus(patience(self.course.drives))));
        }
        is_up
    }

    /// Nobody waits any more.
    pub fn approved(&mut self, now: Time) {
        self.has_approved = true;
        self.course.get_on(now.plus(TURNING_PATIENCE));
    }

    /// Posts up to `next` have been looked at, or all if there is none.
    pub fn moved(&mut self, next: Option<String>, has_failed: bool, now: Time) {
        self.has_failed |= has_failed;
        self.next = next;
        self.course.get_on(now.plus(TURNING_PATIENCE));
        if self.next.is_some() {
            return;
        }
        // Another way through the posts, for which nothing counts that is reported of this one.
        self.id = JobId::new();
        if std::mem::take(&mut self.has_failed) {
            self.failures += 1;
            self.course.plan(now.plus(patience(self.failures)));
        } else if self.has_moved {
            self.course.end(Status::Done, now);
            self.course.expires_at = Some(now.plus(REMAINS).as_seconds());
        } else {
            (self.has_moved, self.failures) = (true, 0);
            self.course.plan(self.course.requested_at.plus(LOOK_AGAIN).max(now));
        }
    }

    /// Whether somebody must be told that it does not get on.
    pub fn is_stuck(&self) -> bool {
        let third = |times: u32| times > 0 && times.is_multiple_of(MOST_DRIVES);
        third(self.course.drives) || (self.course.is_planned && third(self.failures))
    }
}

fn patience(times: u32) -> Duration {
    TURNING_PATIENCE * (1 << times.min(MOST_DOUBLINGS))
}

impl Job for Turning {
    fn key(&self) -> Key {
        users::turning(self.user_id)
    }

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::item;

    fn turning(now: Time) -> Turning {
        Turning::new(JobId::new(), UserId::new(), now)
    }

    #[test]
    fn it_is_driven_on_for_ever_at_longer_and_longer_intervals_and_every_third_time_somebody_is_told() {
        let mut now = Time::now();
        let mut job = turning(now);
        assert!(!job.drive(now), "it has its time");
        let mut waits = Vec::new();
        let mut told = 0;
        for _ in 0..9 {
            let deadline = job.course.deadline.unwrap();
            waits.push(deadline.since(now).as_secs() / 60);
            now = deadline;
            assert!(job.drive(now));
            told += u32::from(job.is_stuck());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 32, 32, 32, 32]);
        assert_eq!(told, 3);
        job.moved(Some("PUBLISHED#1".to_owned()), false, now);
        assert_eq!((job.course.drives, job.course.deadline), (0, Some(now.plus(TURNING_PATIENCE))), "progress begins the count anew");
    }

    #[test]
    fn it_ends_once_all_posts_are_in_their_place_and_those_published_meanwhile_too() {
        let now = Time::now();
        let mut job = turning(now);
        let (first, old) = (job.id, Time::from_millis(0).unwrap());
        job.approved(now);
        job.moved(Some("PUBLISHED#1".to_owned()), false, now);
        assert!(job.is_at(first, Some("PUBLISHED#1")) && !job.is_at(first, None) && job.concerns(old));
        job.moved(None, false, now);
        assert!(job.course.is_waiting(now.plus(Duration::from_secs(170))) && !job.is_at(first, None));
        assert!(job.concerns(now) && !job.concerns(old));
        assert!(job.drive(now.plus(LOOK_AGAIN)) && job.course.drives == 0);
        job.moved(None, false, now);
        let item = item(&job).unwrap();
        assert!(!item.contains_key("unfinished") && item.contains_key("expires_at") && !job.is_at(job.id, None));
    }

    #[test]
    fn a_way_on_which_posts_were_passed_over_is_gone_once_more() {
        let now = Time::now();
        let mut job = turning(now);
        for failures in 1..=3 {
            job.moved(Some("PUBLISHED#1".to_owned()), true, now);
            job.moved(None, false, now);
            assert!(job.course.is_running() && job.course.is_planned && !job.has_moved, "{failures}");
            assert_eq!(job.is_stuck(), failures == 3);
        }
        job.moved(None, false, now);
        assert!(job.has_moved && !job.is_stuck());
    }

    #[test]
    fn whoever_has_read_an_older_one_does_not_write_over_a_newer_one() {
        let now = Time::now();
        assert_ne!(turning(now).course.version, turning(now).course.version);
    }
}
