//! What timelines have of a person who has deleted their account.
//!
//! By the time this is asked for, nobody writes entries of the person's posts, or into their timeline, any more: every worker makes
//! sure before it writes that both have a card ([`crate::people`]), and whoever had made sure while there was one has ended since. So what
//! is cleared here stays clear. The person's posts, followers and fences are all still there; they go only once this is done and said:
//! without them nobody could tell in whose timelines the posts are.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::{Time, UserId};
use tintype_tables::{
    Error, batches, feeds,
    posts::{self, Listed},
    table::Query,
    users::{self, FENCED_BY, FENCES, FOLLOWERS},
};
use tintype_telemetry as telemetry;

use crate::{Tables, reconcile::BACKFILL, timeline};

/// Whoever may have entries of the person's posts: blocked or blocking people once followed, as did those whom a fence is for.
const READERS: [&str; 3] = [FENCES, FENCED_BY, FOLLOWERS];
/// Most readers looked after between two looks at the clock.
const PAGE: usize = 50;
/// Entries removed between two looks at the clock: a second's work, or what one reader has.
const ENTRIES: usize = 5_000;
/// Timelines cleared at once.
const PARALLEL: usize = 4;

/// Clears the person's own timeline, and their posts from everybody else's; `after` is where it stopped last. Answers where to go on if
/// the time was `up` before all was done.
pub(crate) async fn remove(tables: &Tables, user: UserId, after: Option<String>, up: Instant) -> Result<Option<String>, Error> {
    if !timeline::remove(&tables.feeds, user, up).await? {
        return Ok(Some(after.unwrap_or_else(|| READERS[0].to_owned())));
    }
    let fanned_out = posts::removal::fanned_out(&tables.posts, user, BACKFILL, Time::now()).await?;
    telemetry::field("removal.posts", fanned_out.len());
    if fanned_out.is_empty() {
        return Ok(None);
    }
    let limit = (ENTRIES / fanned_out.len()).clamp(1, PAGE);
    // The list that it stopped in, or the first.
    let begin = after.as_ref().and_then(|after| READERS.iter().position(|prefix| after.starts_with(prefix))).unwrap_or(0);
    let mut after = after;
    for prefix in &READERS[begin..] {
        loop {
            let from = after.take().filter(|after| after.starts_with(prefix));
            let query = Query { pk: users::partition(user), prefix: Some(prefix), after: from, descending: false, consistent: true, limit };
            let page = users::edges(&tables.users, query).await?;
            clear(tables, &page.items, &fanned_out).await?;
            telemetry::count("removal.timelines", page.items.len());
            let Some(next) = page.next else { break };
            if Instant::now() >= up {
                return Ok(Some(next));
            }
            after = Some(next);
        }
    }
    Ok(None)
}

async fn clear(tables: &Tables, readers: &[UserId], posts: &[Listed]) -> Result<(), Error> {
    let clear = |reader: UserId| {
        let keys = posts.iter().map(move |listed| feeds::key(reader, listed.post_id, listed.published_at));
        batches::delete(&tables.feeds, keys)
    };
    stream::iter(readers.iter().copied().map(clear)).buffer_unordered(PARALLEL).try_collect().await
}
