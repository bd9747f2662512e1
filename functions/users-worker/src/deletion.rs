//! The deletion of an account, step by step; its state is the job's item ([`tintype_tables::jobs`]).
//!
//! ```text
//! account and profile are gone ─▶ sessions, own follows and requests end ─▶ quiet ─▶ services, round by round ─▶ edges, files, the rest
//!                                          ▲                      │                                              ─▶ name, address ─▶ done
//!                                          └── some came anew ────┘
//! ```
//!
//! The order is what makes it complete. Others go on working meanwhile, and whatever they write of the person after it was removed would
//! stay for ever. So first all writing ends:
//!
//! - *In the person's name.* Their sessions end. A token is believed for 50 s more (20 s in a function's memory, 30 s in the gateway's),
//!   and a handler takes 29 s at most. After the quiet nobody acts for them.
//! - *Towards the person.* Their card is gone from the beginning, and whoever follows, blocks or mutes somebody reads the card first.
//!   A handler that had read it before has ended before the quiet does.
//! - *Into their timeline.* A post goes to whoever follows its author, so the person's own follows and requests go before the quiet, and
//!   a fan-out that had read them before has ended (60 s) before it does. If a last request of theirs made new ones, another quiet
//!   follows.
//! - *On their posts.* Nobody sees them any more, and whoever was about to comment on one has ended.
//! - *Of their posts.* A fan-out or backfill of a person without a card writes nothing ([`feed-fanout`]); one that had read the card has
//!   ended. Posts may still be published, by uploads with tickets that are good: nobody is shown them, and `posts-worker` finds them.
//!
//! Then what is made of other things goes before what it is made of: timelines and comments while followers and posts are there to tell
//! whose ([`SERVICES`], first round), then what others were told of the person, while posts are there to tell of which (second round),
//! then posts (third round), then the edges. What can still come after that takes itself back: who
//! processes a photograph finds no post, who makes a picture finds no account. The name and the address are free last of all.
//!
//! What was told of the person is told to nobody any more either: who tells reads both cards first, and looks again after it.
//!
//! [`feed-fanout`]: ../../../functions/feed-fanout/src/removal.rs

pub(crate) mod edges;
pub(crate) mod remains;

use std::time::{Duration, Instant};

use tintype_core::{JobId, Time, UserId, event::What};
use tintype_queues::{Failure, Sender};
use tintype_tables::{
    jobs::{self, Deletion, Overdue, PATIENCE, Status},
    users,
};
use tintype_telemetry as telemetry;

use crate::{Stores, clock::Budget, readable};

/// How long nothing is removed after the sessions have ended: longer than anything can still be under way that began before.
const QUIET: Duration = Duration::from_mins(2);
/// How long a job that has just failed can't be driven on again: the message that failed it may still come twice, and then it does once
/// the queue's visibility timeout (6 min) is over.
pub(crate) const PAUSE: Duration = Duration::from_mins(15);

/// A service that has something of people, and removes it when it is told `account.deleted`.
struct Service {
    /// As it calls itself in `data.removed`.
    name: &'static str,
    /// All of a round are told at once, and the next round once they all have reported.
    round: usize,
    /// Where it is told.
    queue: fn(&Stores) -> &Sender,
}

/// Who is waited for. A service that comes later adds its name: in the first round if it finds what it has by others' data, as timelines
/// are found by followers and posts.
const SERVICES: [Service; 4] = [
    Service { name: "comments-worker", round: 0, queue: |stores| &stores.comments_queue },
    Service { name: "feed-fanout", round: 0, queue: |stores| &stores.feed_fanout_queue },
    Service { name: "notifier", round: 1, queue: |stores| &stores.notification_queue },
    Service { name: "posts-worker", round: 2, queue: |stores| &stores.posts_queue },
];

/// `data.removed`: a service has nothing more of the person, or goes on at `next`.
pub(crate) async fn reported(stores: &Stores, id: JobId, service: String, next: Option<String>) -> Result<(), Failure> {
    let now = Time::now();
    telemetry::field("job.reported", service.as_str());
    jobs::change(&stores.users, &users::deletion(id), |job: &mut Deletion| {
        if !job.course.is_running() || job.removed.contains(&service) {
            return false;
        }
        if let Some(next) = &next {
            job.cursors.insert(service.clone(), next.clone());
        } else {
            job.cursors.remove(&service);
            job.removed.push(service.clone());
        }
        job.course.get_on(now.plus(PATIENCE));
        true
    })
    .await?;
    // Also if it is no news: the attempt before this one may have ended between the two.
    go_on(stores, id).await
}

/// `job.overdue`: drives it on, or fails it. One that has failed is driven on by hand: by redriving the message that failed it.
pub(crate) async fn overdue(stores: &Stores, id: JobId) -> Result<(), Failure> {
    let now = Time::now();
    let mut verdict = Overdue::No;
    let mut has_just_failed = false;
    let key = users::deletion(id);
    let result = jobs::change(&stores.users, &key, |job: &mut Deletion| {
        has_just_failed = false;
        if job.course.status == Status::Failed {
            has_just_failed = job.course.finished_at.is_some_and(|at| now.since(at) < PAUSE);
            if !has_just_failed {
                job.course.revive(id, now.plus(PATIENCE));
                verdict = Overdue::Drive;
            }
            return !has_just_failed;
        }
        verdict = job.course.drive(now.plus(PATIENCE), now);
        if verdict == Overdue::GiveUp {
            job.course.fail("removal-failed", "Not everything could be removed yet. We have been told, and will see to it.", now);
        }
        verdict != Overdue::No
    })
    .await;
    let Some(job) = readable(stores, &key, result).await? else { return Ok(()) };
    telemetry::field("job.drives", job.course.drives);
    match verdict {
        _ if has_just_failed => Err(Failure::ForEver(gave_up(&job))),
        // Also if it was driven on before: that attempt may have ended before it could do anything.
        Overdue::No | Overdue::Drive => go_on(stores, id).await,
        Overdue::GiveUp => Err(Failure::ForEver(gave_up(&job))),
    }
}

fn gave_up(job: &Deletion) -> String {
    let pending: Vec<&str> = SERVICES.iter().map(|service| service.name).filter(|name| !job.removed.iter().any(|it| it == name)).collect();
    format!(
        "deletion {} does not get on; it waits for: {}",
        job.id,
        if pending.is_empty() { "itself".to_owned() } else { pending.join(", ") }
    )
}

/// Does what comes next, as far as it comes now. `account.deleted`: the job begins, or the message has come again.
pub(crate) async fn go_on(stores: &Stores, id: JobId) -> Result<(), Failure> {
    let budget = Budget::of(Instant::now());
    let Some(job) = stores.users.get::<Deletion>(&users::deletion(id), true).await? else { return Ok(()) };
    telemetry::field("job.id", id.to_string());
    if !job.course.is_running() || job.course.is_waiting(Time::now()) {
        return Ok(());
    }
    let Some(leaving) = &job.leaving else { return Ok(()) };
    let user = leaving.user_id;
    match edges::withdraw(stores, user, &budget).await? {
        edges::Withdrawal::Unfinished => return plan(stores, id, Time::now()).await,
        edges::Withdrawal::Nothing if job.has_ended_sessions => {}
        edges::Withdrawal::Nothing | edges::Withdrawal::Done => return be_quiet(stores, id).await,
    }
    if let Some(round) = current_round(&job) {
        return tell(stores, &job, user, round).await;
    }
    if !edges::remove_all(stores, user, &budget).await? || !remains::remove_all(stores, user, &budget).await? {
        return plan(stores, id, Time::now()).await;
    }
    remains::free_claims(stores, leaving).await?;
    jobs::change(&stores.users, &users::deletion(id), |job: &mut Deletion| {
        let is_running = job.course.is_running();
        if is_running {
            job.finish(Time::now());
        }
        is_running
    })
    .await?;
    telemetry::field("job.ending", "done");
    Ok(())
}

/// The first round in which somebody has not reported.
fn current_round(job: &Deletion) -> Option<usize> {
    pending(job).map(|service| service.round).min()
}

fn pending(job: &Deletion) -> impl Iterator<Item = &'static Service> {
    SERVICES.iter().filter(|service| !job.removed.iter().any(|name| name == service.name))
}

/// Tells those of a round who have not reported, whether for the first time or again.
async fn tell(stores: &Stores, job: &Deletion, user_id: UserId, round: usize) -> Result<(), Failure> {
    for service in pending(job).filter(|service| service.round == round) {
        let after = job.cursors.get(service.name).cloned();
        (service.queue)(stores).send(What::AccountDeleted { user_id, job_id: job.id, after }).await?;
    }
    telemetry::field("job.round", round);
    Ok(())
}

/// The sessions have ended: all that is under way is given time to end as well.
async fn be_quiet(stores: &Stores, id: JobId) -> Result<(), Failure> {
    let until = Time::now().plus(QUIET);
    jobs::change(&stores.users, &users::deletion(id), |job: &mut Deletion| {
        job.has_ended_sessions = true;
        job.course.plan(until);
        true
    })
    .await?;
    Ok(())
}

/// It has got on, and the janitor drives it on at `at`.
async fn plan(stores: &Stores, id: JobId, at: Time) -> Result<(), Failure> {
    jobs::change(&stores.users, &users::deletion(id), |job: &mut Deletion| {
        let is_running = job.course.is_running();
        if is_running {
            job.course.plan(at);
        }
        is_running
    })
    .await?;
    Ok(())
}
