//! Every minute: posts whose time is up are driven on or failed with a reason, and what deleted and failed ones left is swept.
//!
//! Something always breaks: an upload never comes, an event is lost, a function is killed. What must still happen to a post by
//! itself stands in an index by deadline, and here that index is worked off.

mod care;

use aws_sdk_dynamodb::Client;
use futures::future::try_join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use tintype_buckets::Bucket;
use tintype_core::{PostId, Time};
use tintype_tables::{
    Table, config,
    posts::{self, UNFINISHED_SHARDS},
};
use tintype_telemetry::{self as telemetry, Outcome, Work};

/// So many posts of each shard in one round. Each takes some 100 ms, and the shards go side by side: done well before the next round.
const MOST_POSTS: usize = 25;

/// What the function reads and writes.
struct Stores {
    posts: Table,
    uploads: Bucket,
    media: Bucket,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let buckets = tintype_buckets::client(&aws);
    let stores = Stores {
        posts: Table::from_env(&Client::new(&aws), "POSTS_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<IgnoredAny>| Box::pin(handle(&stores, event)))).await
}

/// One round. What the event says does not matter: a person may start one as well as the schedule.
async fn handle(stores: &Stores, event: LambdaEvent<IgnoredAny>) -> Result<(), Error> {
    let (request_id, trace_id) = (event.context.request_id, event.context.xray_trace_id.unwrap_or_default());
    let work = Work { service: "janitor", operation: "round".to_owned(), request_id, trace_id };
    telemetry::observe(work.clone(), round(stores, &work), |result| if result.is_ok() { Outcome::Ok } else { Outcome::Failed }).await
}

async fn round(stores: &Stores, work: &Work) -> Result<(), Error> {
    let now = Time::now();
    let shards = (0..UNFINISHED_SHARDS).map(|shard| look_after_shard(stores, shard, now, work));
    let overdue = try_join_all(shards).await.inspect_err(|error| telemetry::field("error", error.to_string()))?;
    telemetry::field("posts.overdue", overdue.iter().sum::<usize>());
    Ok(())
}

/// Looks after the most overdue posts of a shard, one after the other; answers how many there were.
async fn look_after_shard(stores: &Stores, shard: u8, now: Time, work: &Work) -> Result<usize, Error> {
    let overdue = posts::overdue(&stores.posts, shard, now, MOST_POSTS).await?;
    for &post_id in &overdue {
        let work = Work { operation: "post".to_owned(), ..work.clone() };
        // A failure is in the post's line. The post stays overdue, so the next round meets it again.
        telemetry::observe(work, look_after(stores, post_id), |outcome| *outcome).await;
    }
    Ok(overdue.len())
}

async fn look_after(stores: &Stores, post_id: PostId) -> Outcome {
    telemetry::field("post.id", post_id.to_string());
    match Box::pin(care::look_after(stores, post_id)).await {
        Ok(done) => {
            telemetry::field("post.care", done);
            Outcome::Ok
        }
        Err(error) => {
            telemetry::field("error", error.to_string());
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_that_can_not_read_the_index_fails() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/janitor/schedule.json");
        let event: IgnoredAny = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        // Clients without region and endpoint reach nothing.
        let tables = Client::from_conf(aws_sdk_dynamodb::Config::builder().behavior_version_latest().build());
        let buckets = aws_sdk_s3::Client::from_conf(aws_sdk_s3::Config::builder().behavior_version_latest().build());
        let bucket = Bucket::new(&buckets, "none");
        let stores = Stores { posts: Table { client: tables, name: "none".to_owned() }, uploads: bucket.clone(), media: bucket };
        let error = handle(&stores, LambdaEvent::new(event, lambda_runtime::Context::default())).await.unwrap_err();
        assert!(error.is::<tintype_tables::Error>(), "{error}");
    }
}
