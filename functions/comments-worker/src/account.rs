//! What a person has written and liked, and what others have said of their posts, once they have deleted their account.
//!
//! When this is asked for, nobody can write in their name or on their posts any more, and has ended what they had begun
//! (`functions/users-worker/src/deletion.rs`); and index `ByAuthor`, which lags by a moment, has had minutes. The posts are still there, to tell
//! which threads were theirs. Each step is progress by itself; the job keeps only how far the posts have been gone through.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::{Time, UserId};
use tintype_queues::Failure;
use tintype_tables::{
    Key,
    comments::{self, removal},
    posts,
};
use tintype_telemetry as telemetry;
use tokio::time::sleep;

use crate::{Tables, removal::Sweep};

/// Items found at a time.
const PAGE: usize = 25;
/// Items removed at once.
const PARALLEL: usize = 4;
/// Before the index is asked again, which told of nothing but what is gone.
const PAUSE: Duration = Duration::from_millis(200);
/// Before all keys of posts: no cursor would mean that it begins now.
const BEGINNING: &str = "#";
/// Where it goes on once all posts have been gone through.
const OWN: &str = "own";

/// Removes it all, or as much as there is time for: then it answers where to go on.
pub(crate) async fn remove(tables: &Tables, sweep: &Sweep<'_>, user: UserId, after: Option<String>) -> Result<Option<String>, Failure> {
    if after.as_deref() != Some(OWN)
        && let Some(next) = said_of_posts(tables, sweep, user, after).await?
    {
        return Ok(Some(next));
    }
    let is_done = written(sweep, user).await? && liked(sweep, user).await?;
    Ok((!is_done).then(|| OWN.to_owned()))
}

/// The comments on the person's posts.
async fn said_of_posts(tables: &Tables, sweep: &Sweep<'_>, user: UserId, mut after: Option<String>) -> Result<Option<String>, Failure> {
    loop {
        let page = posts::removal::traces_after(&tables.posts, user, after.clone(), PAGE).await?;
        for trace in &page.items {
            if !sweep.thread(trace.post_id).await? {
                return Ok(Some(after.unwrap_or_else(|| BEGINNING.to_owned())));
            }
            after = Some(trace.listed.sk.clone());
        }
        if page.next.is_none() {
            return Ok(None);
        }
    }
}

/// What the person has written, with what others have replied; `false` if the time was up before.
async fn written(sweep: &Sweep<'_>, user: UserId) -> Result<bool, Failure> {
    loop {
        let found = removal::written_by(sweep.comments, user, i32::try_from(PAGE)?).await?;
        if found.is_empty() {
            return Ok(true);
        }
        let work = stream::iter(found.into_iter().map(|key| unwrite(sweep, user, key))).buffer_unordered(PARALLEL);
        let removed: Vec<bool> = work.try_collect().await?;
        if sweep.is_up() {
            return Ok(false);
        }
        if !removed.contains(&true) {
            sleep(PAUSE).await;
        }
    }
}

/// Removes one comment; `false` if it was not there any more.
async fn unwrite(sweep: &Sweep<'_>, user: UserId, key: Key) -> Result<bool, Failure> {
    let Some(remains) = removal::at(sweep.comments, key).await?.filter(|remains| remains.author == Some(user)) else { return Ok(false) };
    telemetry::count("removal.written", 1);
    // As if they had deleted it themselves: the counts are right, and whoever was told of it is no longer.
    if !comments::delete(sweep.comments, remains.comment, None, Time::now()).await? {
        // A reply to what is deleted is counted no more, and goes with that; or now.
        sweep.uncounted(&remains).await?;
    }
    Ok(true)
}

/// What the person likes, and the traces of what they wrote last; `false` if the time was up before.
async fn liked(sweep: &Sweep<'_>, user: UserId) -> Result<bool, Failure> {
    loop {
        let found = removal::likes_by(sweep.comments, user, PAGE).await?;
        if found.is_empty() {
            while removal::remove_traces(sweep.comments, user, PAGE).await? {}
            return Ok(true);
        }
        telemetry::count("removal.likes", found.len());
        let work = stream::iter(found.iter().map(async |like| {
            if let Some(comment) = like.comment_id()
                && comments::end_liking(sweep.comments, comment, &like.thread, user).await?
            {
                return Ok::<_, Failure>(());
            }
            Ok(removal::remove_like(sweep.comments, like, user).await?)
        }));
        work.buffer_unordered(PARALLEL).try_collect::<()>().await?;
        if sweep.is_up() {
            return Ok(false);
        }
    }
}
