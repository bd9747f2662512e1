//! Jobs whose time is up: `users-worker`, which knows what they are about, is told.
//!
//! Nothing is written here. A job stays in the index until it is driven on, which moves its deadline; who is told twice finds that.

use futures::future::join_all;
use lambda_runtime::Error;
use tintype_core::{Time, event::What};
use tintype_tables::jobs::{self, UNFINISHED_SHARDS};
use tintype_telemetry as telemetry;

use crate::Stores;

/// So many of each shard in one round.
const MOST_JOBS: usize = 25;

/// Tells of all that are overdue. Whatever becomes of one, the others are told of; the first error is answered.
pub(crate) async fn announce(stores: &Stores, now: Time) -> Result<(), Error> {
    let shards = join_all((0..UNFINISHED_SHARDS).map(|shard| announce_shard(stores, shard, now))).await;
    shards.into_iter().collect()
}

async fn announce_shard(stores: &Stores, shard: u8, now: Time) -> Result<(), Error> {
    let overdue = jobs::overdue(&stores.users, shard, now, MOST_JOBS).await?;
    telemetry::count("jobs.overdue", overdue.len());
    let sent = join_all(overdue.into_iter().map(|key| stores.users_queue.send(What::JobOverdue { pk: key.pk, sk: key.sk }))).await;
    Ok(sent.into_iter().collect::<Result<(), _>>()?)
}
