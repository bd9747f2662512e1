//! Everything that a person has posted goes, once they have deleted their account.
//!
//! Nobody can post in their name any more when this is asked for, and nobody finds their posts in a timeline: the job has waited for both
//! ([`tintype_tables::jobs`]). What may still go on is work on posts that were there, at photographs uploaded with a ticket that is
//! still good, or moved. So a post's item goes first ([`tintype_tables::posts::removal`]): whoever works on the post finds none after
//! having written a file, and takes it back. Then all files under the post's prefixes go, and what others have marked of it, and at last
//! what lists it. Each post that has gone is progress: killed or out of time, this goes on with those that are left.
//!
//! What the person has marked of others' posts is taken back like by like, so that counts stay exact.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::{JobId, UserId, event::What, media};
use tintype_queues::Failure;
use tintype_tables::posts::{
    marks,
    removal::{self, Trace},
};
use tintype_telemetry as telemetry;

use crate::Stores;

/// How long it goes on before it lets the job know that there is more: less than an invocation of any function here may take.
const TIME: Duration = Duration::from_secs(40);
/// Posts found at a time.
const PAGE: usize = 50;
/// Posts removed at once.
const PARALLEL: usize = 5;

/// Removes it all, or as much as there is time for, and tells the job.
pub(crate) async fn remove_all(stores: &Stores, user_id: UserId, job_id: JobId) -> Result<(), Failure> {
    let is_done = remove_until(stores, user_id, Instant::now() + TIME).await?;
    // What is left says by itself where to go on.
    let next = (!is_done).then(|| "more".to_owned());
    stores.users_queue.send(What::DataRemoved { user_id, job_id, service: "posts-worker".to_owned(), next }).await?;
    Ok(())
}

/// Whether nothing is left; `false` if the time was `up` before.
async fn remove_until(stores: &Stores, user_id: UserId, up: Instant) -> Result<bool, Failure> {
    if !marks::take_back_all(&stores.posts, user_id, up).await? {
        return Ok(false);
    }
    loop {
        // The first ones each time: what has just been published has gone from one list to another.
        let traces = removal::traces_of(&stores.posts, user_id, PAGE).await?;
        if traces.is_empty() {
            removal::remove_count(&stores.posts, user_id).await?;
            return Ok(true);
        }
        telemetry::count("removal.posts", traces.len());
        let removed = stream::iter(traces.iter().map(|trace| remove(stores, trace, up))).buffer_unordered(PARALLEL);
        let are_gone: Vec<bool> = removed.try_collect().await?;
        if Instant::now() >= up || are_gone.contains(&false) {
            return Ok(false);
        }
    }
}

/// Removes all of a post; `false` if the time was up before.
async fn remove(stores: &Stores, trace: &Trace, up: Instant) -> Result<bool, Failure> {
    let post_id = trace.post_id;
    removal::remove_item(&stores.posts, post_id).await?;
    let [public, private] = media::variants_of(post_id);
    for (bucket, prefix) in [(&stores.uploads, media::uploads_of(post_id)), (&stores.media, public), (&stores.media, private)] {
        bucket.delete(&bucket.keys(&prefix).await?).await?;
    }
    // Nobody can be liking it any more: its author's card has been gone for longer than that takes.
    if !marks::remove_of_post(&stores.posts, post_id, up).await? {
        return Ok(false);
    }
    removal::remove_trace(&stores.posts, trace).await?;
    Ok(true)
}
