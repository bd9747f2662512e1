//! Every minute: posts whose time is up are driven on or failed with a reason, and what deleted and failed ones left is swept; and who
//! works on jobs is told of those whose time is up.
//!
//! Something always breaks: an upload never comes, an event is lost, a function is killed. What must still happen to a post or a job by
//! itself stands in an index by deadline, and here those indexes are worked off.

mod care;
mod jobs;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use futures::future::{join, join_all};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use tintype_buckets::Bucket;
use tintype_core::{PostId, Time};
use tintype_queues::Sender;
use tintype_tables::{
    Table, config,
    posts::{self, UNFINISHED_SHARDS},
};
use tintype_telemetry::{self as telemetry, Outcome, Work};

/// So many posts of each shard in one round. Each takes some 100 ms, and the shards go side by side: done well before the next round.
const MOST_POSTS: usize = 25;
/// How long a post that could not be looked after lets others go first: else 25 such posts would keep their shard for themselves.
const PAUSE: Duration = Duration::from_mins(10);
/// How long a round goes on removing what people have marked, of which there may be very much: the next round begins after a minute.
const MARKING_TIME: Duration = Duration::from_secs(25);
/// Of it, how long one post may take: a much liked one must not keep its shard from all others.
const MARKING_TIME_OF_A_POST: Duration = Duration::from_secs(5);

/// What the function reads and writes.
struct Stores {
    posts: Table,
    /// Read for the index of jobs, and for nothing else.
    users: Table,
    uploads: Bucket,
    media: Bucket,
    /// Where jobs are driven on.
    users_queue: Sender,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let buckets = tintype_buckets::client(&aws);
    let tables = Client::new(&aws);
    let stores = Stores {
        posts: Table::from_env(&tables, "POSTS_TABLE")?,
        users: Table::from_env(&tables, "USERS_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
        users_queue: Sender::from_env(&aws, "USERS_QUEUE_URL")?,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<IgnoredAny>| Box::pin(handle(&stores, event)))).await
}

/// One round. What the event says does not matter: a person may start one as well as the schedule.
async fn handle(stores: &Stores, event: LambdaEvent<IgnoredAny>) -> Result<(), Error> {
    let (request_id, trace_id) = (event.context.request_id, event.context.xray_trace_id.unwrap_or_default());
    let work = Work { service: "janitor", operation: "round".to_owned(), request_id, trace_id };
    telemetry::observe(work.clone(), round(stores, &work), |result| if result.is_ok() { Outcome::Ok } else { Outcome::Failed }).await
}

/// Each shard is worked off whatever becomes of the others. The round fails if anything in it did: the alarm rings on failed rounds.
async fn round(stores: &Stores, work: &Work) -> Result<(), Error> {
    let (now, up) = (Time::now(), Instant::now() + MARKING_TIME);
    let shards = (0..UNFINISHED_SHARDS).map(|shard| look_after_shard(stores, shard, now, up, work));
    let (shards, jobs) = join(join_all(shards), jobs::announce(stores, now)).await;
    let shards: Result<Vec<Tally>, Error> = shards.into_iter().collect();
    let result = shards.and_then(|shards| total(&shards)).and(jobs);
    result.inspect_err(|error| telemetry::field("error", error.to_string()))
}

/// How many posts of a shard were overdue, and how many of them could not be looked after.
struct Tally {
    overdue: usize,
    failed: usize,
}

fn total(shards: &[Tally]) -> Result<(), Error> {
    let overdue: usize = shards.iter().map(|shard| shard.overdue).sum();
    let failed: usize = shards.iter().map(|shard| shard.failed).sum();
    telemetry::field("posts.overdue", overdue);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {overdue} overdue posts could not be looked after").into()) }
}

/// Looks after the most overdue posts of a shard, one after the other.
async fn look_after_shard(stores: &Stores, shard: u8, now: Time, up: Instant, work: &Work) -> Result<Tally, Error> {
    let overdue = posts::overdue(&stores.posts, shard, now, MOST_POSTS).await?;
    let mut failed = 0;
    for &post_id in &overdue {
        let work = Work { operation: "post".to_owned(), ..work.clone() };
        // Why one fails is in its own line.
        let outcome = telemetry::observe(work, look_after(stores, post_id, now, up), |outcome| *outcome).await;
        failed += usize::from(outcome == Outcome::Failed);
    }
    Ok(Tally { overdue: overdue.len(), failed })
}

async fn look_after(stores: &Stores, post_id: PostId, now: Time, up: Instant) -> Outcome {
    telemetry::field("post.id", post_id.to_string());
    let up = up.min(Instant::now() + MARKING_TIME_OF_A_POST);
    match Box::pin(care::look_after(stores, post_id, up)).await {
        Ok(done) => {
            telemetry::field("post.care", done);
            Outcome::Ok
        }
        Err(error) => {
            telemetry::field("error", error.to_string());
            if let Err(error) = posts::put_off(&stores.posts, post_id, now.plus(PAUSE)).await {
                telemetry::field("post.put_off.error", error.to_string());
            }
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests;
