//! Jobs whose time is up: `users-worker`, which knows what they are about, is told.
//!
//! Nothing is written here. A job stays in the index until it is driven on, which moves its deadline; who is told twice finds that.

use futures::future::try_join_all;
use lambda_runtime::Error;
use tintype_core::{Time, event::What};
use tintype_tables::jobs::{self, UNFINISHED_SHARDS};
use tintype_telemetry as telemetry;

use crate::Stores;

/// So many of each shard in one round.
const MOST_JOBS: usize = 25;

/// Tells of all that are overdue.
pub(crate) async fn announce(stores: &Stores, now: Time) -> Result<(), Error> {
    try_join_all((0..UNFINISHED_SHARDS).map(async |shard| {
        for key in jobs::overdue(&stores.users, shard, now, MOST_JOBS).await? {
            telemetry::count("jobs.overdue", 1);
            stores.users_queue.send(What::JobOverdue { pk: key.pk, sk: key.sk }).await?;
        }
        Ok::<_, Error>(())
    }))
    .await?;
    Ok(())
}
