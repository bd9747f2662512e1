//! The course of jobs, and what their items say.

use super::*;
use tintype_core::{JobId, UserId};

fn deletion(now: Time) -> Deletion {
    let leaving = Leaving { user_id: UserId::new(), username: "ada".parse().unwrap(), email: "ada@example.org".to_owned() };
    Deletion::new(JobId::new(), leaving, now)
}

#[test]
fn a_job_is_driven_on_thrice_without_progress_and_then_given_up() {
    let now = Time::now();
    let mut course = deletion(now).course;
    assert_eq!(course.drive(now, now), Overdue::No, "it has its time");
    course.deadline = Some(now);
    for _ in 0..MOST_DRIVES {
        assert_eq!(course.drive(now, now), Overdue::Drive);
    }
    assert_eq!(course.clone().drive(now, now), Overdue::GiveUp);
    course.get_on(now);
    assert_eq!(course.drive(now, now), Overdue::Drive, "progress begins the count anew");
}

#[test]
fn a_job_that_only_waited_was_not_driven() {
    let now = Time::now();
    let mut course = deletion(now).course;
    for _ in 0..10 {
        course.plan(now);
        assert_eq!(course.drive(now, now), Overdue::Drive);
    }
    assert_eq!(course.drives, 0);
}

#[test]
fn what_has_ended_is_in_the_index_no_more_and_stays_as_it_is() {
    let now = Time::now();
    let mut job = deletion(now);
    job.course.fail("removal-failed", "no", now);
    let failed = item(&job).unwrap();
    assert!(!failed.contains_key("unfinished") && !failed.contains_key("deadline") && !failed.contains_key("expires_at"));
    assert_eq!(job.course.drive(now, now), Overdue::No);
    job.course.revive(job.id, now);
    assert!(item(&job).unwrap().contains_key("unfinished"));
    assert_eq!(job.course.drive(now, now), Overdue::Drive);
}

#[test]
fn a_finished_deletion_says_nothing_of_the_person() {
    let now = Time::now();
    let mut job = deletion(now);
    let person = job.leaving.clone().unwrap();
    job.cursors.insert("feed-fanout".to_owned(), format!("FOLLOWER#{}", person.user_id));
    job.finish(now);
    let left = format!("{:?}", item(&job).unwrap());
    for secret in [person.user_id.to_string(), person.username.to_string(), person.email] {
        assert!(!left.contains(&secret), "{left}");
    }
    assert!(left.contains("expires_at"), "{left}");
}

#[test]
fn jobs_are_read_as_they_were_written() {
    let now = Time::now();
    let job = deletion(now);
    assert_eq!(serde_dynamo::from_item::<_, Deletion>(item(&job).unwrap()).unwrap(), job);
    let mut export = Export::new(JobId::new(), UserId::new(), now);
    let etags = vec!["\"0f\"".to_owned()];
    export.archive = Some(Archive { upload_id: "u".to_owned(), etags, bytes: 9, cursor: "{}".to_owned(), rest: None });
    assert_eq!(serde_dynamo::from_item::<_, Export>(item(&export).unwrap()).unwrap(), export);
}
