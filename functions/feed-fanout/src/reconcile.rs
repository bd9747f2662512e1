//! Makes a viewer's timeline agree with whether the viewer follows an author.

use tintype_core::{Time, UserId};
use tintype_tables::{
    Error, batches,
    feeds::{self, ENTRY_LIFETIME, Entry},
    posts::{self, Listed},
    users,
};
use tintype_telemetry as telemetry;

use crate::{Tables, people, timeline};

/// How many of an author's posts a new follower gets at once: a few screens.
pub(crate) const BACKFILL: usize = 100;

/// Writes the author's latest posts into the viewer's timeline if the viewer follows, removes them all if not.
///
/// The follow may change while this works, and another worker may work on the same pair. So the follow is read again
/// afterwards, and the work done again if it is another one by then: whoever comes last leaves what the follow says. A
/// publication beside it writes its own entry after the follow, or is in the author's list when that is read here.
pub(crate) async fn reconcile(tables: &Tables, viewer: UserId, author: UserId) -> Result<(), Error> {
    let mut followed_since = users::followed_since(&tables.users, viewer, author).await?;
    loop {
        if followed_since.is_some() {
            backfill(tables, viewer, author).await?;
        } else {
            clear(tables, viewer, author).await?;
        }
        let now = users::followed_since(&tables.users, viewer, author).await?;
        if now == followed_since {
            return Ok(());
        }
        followed_since = now;
    }
}

async fn backfill(tables: &Tables, viewer: UserId, author: UserId) -> Result<(), Error> {
    if !(people::is_there(&tables.users, viewer).await? && people::is_there(&tables.users, author).await?) {
        return clear(tables, viewer, author).await;
    }
    let now = Time::now();
    let page = posts::published_by(&tables.posts, author, None, BACKFILL).await?;
    telemetry::count("reconcile.written", page.items.len());
    let entry = |listed: Listed| Entry::new(viewer, listed.post_id, author, listed.published_at, now);
    timeline::put(&tables.feeds, page.items.into_iter().map(entry)).await
}

/// An entry that is there was fanned out within an entry's lifetime, or backfilled within it, and then it was one of the
/// [`BACKFILL`] newest: nothing older needs to be looked for. Entries of deleted posts are not found, and not shown either.
async fn clear(tables: &Tables, viewer: UserId, author: UserId) -> Result<(), Error> {
    let now = Time::now();
    let mut older = 0;
    let mut after = None;
    loop {
        let page = posts::published_by(&tables.posts, author, after, BACKFILL).await?;
        older += page.items.iter().filter(|listed| now.since(listed.published_at) > ENTRY_LIFETIME).count();
        telemetry::count("reconcile.removed", page.items.len());
        batches::delete(&tables.feeds, page.items.iter().map(|listed| feeds::key(viewer, listed.post_id, listed.published_at))).await?;
        after = page.next;
        if after.is_none() || older >= BACKFILL {
            return Ok(());
        }
    }
}
