//! What follows when an account has turned private or public; its state is the job's item ([`tintype_tables::jobs::Turning`]).
//!
//! Whoever waits is approved first, if the account is public now. Then `posts-worker` brings the photographs to where they belong, and
//! says from time to time how far it is, so that whoever comes after somebody who was killed goes on there.

use std::time::Instant;

use tintype_core::{JobId, Time, UserId, event::What};
use tintype_queues::Failure;
use tintype_tables::{
    Error,
    jobs::{self, Turning},
    users,
};
use tintype_telemetry as telemetry;

use crate::{Stores, approvals, clock::Budget};

/// `privacy.changed`: the job begins, or the message has come again.
pub(crate) async fn begin(stores: &Stores, user: UserId) -> Result<(), Failure> {
    match stores.users.get::<Turning>(&users::turning(user), true).await? {
        // A job that waits has begun long ago.
        Some(job) if job.course.is_running() && !job.course.is_planned => go_on(stores, job, &Budget::of(Instant::now())).await,
        _ => Ok(()),
    }
}

/// `job.overdue`: drives it on.
pub(crate) async fn overdue(stores: &Stores, user: UserId) -> Result<(), Failure> {
    let mut is_up = false;
    let job = change(stores, user, |job| {
        is_up = job.drive(Time::now());
        is_up
    })
    .await?;
    let Some(job) = job.filter(|_| is_up) else { return Ok(()) };
    telemetry::field("job.drives", job.course.drives);
    let stuck = job.is_stuck().then(|| stuck(&job));
    go_on(stores, job, &Budget::of(Instant::now())).await?;
    stuck.map_or(Ok(()), Err)
}

/// `media.moved`: the posts up to `next`, or all, have been looked at.
pub(crate) async fn moved(
    stores: &Stores,
    user: UserId,
    id: JobId,
    after: Option<String>,
    next: Option<String>,
    has_failed: bool,
) -> Result<(), Failure> {
    let mut is_news = false;
    let job = change(stores, user, |job| {
        is_news = job.is_at(id, after.as_deref());
        if is_news {
            job.moved(next.clone(), has_failed, Time::now());
        }
        is_news
    })
    .await?;
    let Some(job) = job.filter(|_| is_news) else { return Ok(()) };
    if job.next.is_some() {
        return tell(stores, job).await;
    }
    telemetry::field("job.failures", job.failures);
    if job.is_stuck() { Err(stuck(&job)) } else { Ok(()) }
}

/// Does what comes next, as far as there is time for it.
pub(crate) async fn go_on(stores: &Stores, mut job: Turning, budget: &Budget) -> Result<(), Failure> {
    telemetry::field("job.id", job.id.to_string());
    if !job.has_approved {
        let (id, is_done) = (job.id, approvals::approve_all(&stores.users, job.user_id, budget).await?);
        let saved = change(stores, job.user_id, |now| {
            // Of a newer one that was put there meanwhile nothing is known.
            let is_this = now.id == id && now.course.is_running();
            match is_done {
                true if is_this => now.approved(Time::now()),
                // The janitor finds it.
                false if is_this => now.course.plan(Time::now()),
                _ => {}
            }
            is_this
        })
        .await?;
        match saved.filter(|saved| saved.id == id && saved.has_approved) {
            Some(saved) => job = saved,
            None => return Ok(()),
        }
    }
    tell(stores, job).await
}

async fn tell(stores: &Stores, job: Turning) -> Result<(), Failure> {
    stores.posts_queue.send(What::PrivacyChanged { user_id: job.user_id, job_id: Some(job.id), after: job.next }).await?;
    Ok(())
}

async fn change(stores: &Stores, user: UserId, apply: impl FnMut(&mut Turning) -> bool) -> Result<Option<Turning>, Error> {
    jobs::change(&stores.users, &users::turning(user), apply).await
}

/// For the dead letters: somebody must look. Meanwhile the job is driven on, so the message need not be redriven.
fn stuck(job: &Turning) -> Failure {
    let waits_for = if job.has_approved { "posts-worker" } else { "approvals" };
    Failure::ForEver(format!(
        "what follows a change of privacy does not get on ({} drives, {} failures); it waits for: {waits_for}; it is driven on all the same",
        job.course.drives, job.failures
    ))
}

#[cfg(test)]
mod tests {
    use tintype_core::profile::ProfileCard;

    use super::*;
    use crate::{
        process,
        tests::{Heard, world},
    };

    async fn turn(stores: &Stores, user: UserId, is_private: bool) -> Turning {
        let card = ProfileCard { id: user, username: "ada".parse().unwrap(), display_name: "Ada".to_owned(), is_private, avatar: None };
        let mut item = serde_dynamo::to_item(card).unwrap();
        Extend::extend(&mut item, users::profile(user).item());
        stores.put_item(item).await;
        let job = Turning::new(JobId::new(), user, Time::now());
        stores.put_item(jobs::item(&job).unwrap()).await;
        job
    }

    async fn read(stores: &Stores, user: UserId) -> Turning {
        stores.users.get(&users::turning(user), true).await.unwrap().unwrap()
    }

    async fn let_time_pass(stores: &Stores, user: UserId) {
        let passed = |job: &mut Turning| {
            job.course.deadline = Some(Time::now());
            true
        };
        change(stores, user, passed).await.unwrap();
        let key = users::turning(user);
        process(stores, What::JobOverdue { pk: key.pk, sk: key.sk }).await.unwrap();
    }

    async fn report(stores: &Stores, job: &Turning, after: Option<&str>, next: Option<&str>) {
        let (after, next) = (after.map(str::to_owned), next.map(str::to_owned));
        let what = What::MediaMoved { user_id: job.user_id, job_id: job.id, after, next, has_failed: false };
        process(stores, what).await.unwrap();
    }

    fn told(heard: &Heard) -> Vec<Option<String>> {
        let after = |(queue, what)| match what {
            What::PrivacyChanged { after, job_id: Some(_), .. } if queue == "posts" => after,
            other => panic!("{queue}: {other:?}"),
        };
        std::mem::take(&mut *heard.lock().unwrap()).into_iter().map(after).collect()
    }

    #[tokio::test]
    async fn who_moves_the_files_is_told_to_go_on_where_the_last_stopped_also_if_that_one_was_killed() {
        let (stores, heard) = world().await;
        let user = UserId::new();
        let job = turn(&stores, user, true).await;
        process(&stores, What::PrivacyChanged { user_id: user, job_id: None, after: None }).await.unwrap();
        assert_eq!(told(&heard), [None]);
        report(&stores, &job, None, Some("1")).await;
        assert_eq!(told(&heard), [Some("1".to_owned())]);
        // It comes again, and another who began where the first did has come less far: neither counts.
        report(&stores, &job, None, Some("1")).await;
        report(&stores, &job, None, Some("0")).await;
        assert_eq!(told(&heard), []);
        // Nothing is heard of the second.
        let_time_pass(&stores, user).await;
        assert_eq!(told(&heard), [Some("1".to_owned())]);
        report(&stores, &job, Some("1"), None).await;
        // Once more for what was published meanwhile, and what comes late of the first way is no news of the second.
        report(&stores, &job, None, None).await;
        assert!(read(&stores, user).await.course.is_waiting(Time::now()));
        let_time_pass(&stores, user).await;
        assert_eq!(told(&heard), [None]);
        report(&stores, &read(&stores, user).await, None, None).await;
        assert!(!read(&stores, user).await.course.is_running());
        process(&stores, What::PrivacyChanged { user_id: user, job_id: None, after: None }).await.unwrap();
        assert_eq!(told(&heard), []);
    }

    #[tokio::test]
    async fn what_is_reported_of_an_older_turn_does_not_end_a_newer_one() {
        let (stores, heard) = world().await;
        let user = UserId::new();
        let older = turn(&stores, user, true).await;
        let newer = turn(&stores, user, false).await;
        report(&stores, &older, None, None).await;
        assert_eq!(read(&stores, user).await, newer);
        let mut late = older.clone();
        assert!(matches!(jobs::save(&stores.users, &mut late).await, Err(Error::Condition(_))));
        go_on(&stores, older, &Budget::of(Instant::now())).await.unwrap();
        assert_eq!((read(&stores, user).await, told(&heard)), (newer, vec![]), "it knows of the newer one only that it is another");
    }

    #[tokio::test]
    async fn whoever_has_no_time_left_to_approve_all_who_wait_goes_on_later() {
        let (stores, heard) = world().await;
        let user = UserId::new();
        let job = turn(&stores, user, false).await;
        for follower in [UserId::new(), UserId::new()] {
            stores.put(users::request(user, follower), &[]).await;
            stores.put(users::requested(follower, user), &[]).await;
        }
        go_on(&stores, job, &Budget::none()).await.unwrap();
        assert_eq!(followers(&stores, user).await, 1, "what was begun was done");
        assert_eq!(told(&heard), []);
        let_time_pass(&stores, user).await;
        assert_eq!(followers(&stores, user).await, 2);
        assert_eq!(told(&heard), [None]);
    }

    async fn followers(stores: &Stores, user: UserId) -> usize {
        users::followers_of(&stores.users, user, None, 10).await.unwrap().items.len()
    }
}
