//! What is left in anybody's inbox of a person who has deleted their account, and their own.
//!
//! By the time this is asked for, nobody tells anything to them or of them any more: whoever does makes sure that both have a card, and
//! whoever had made sure while there was one has ended since. So what is removed here stays removed. Their posts are still there; they
//! go only once this is done and said: without them nobody could tell what was told of them.

use std::time::Instant;

use tintype_core::UserId;
use tintype_tables::{Error, notifications, posts::removal};
use tintype_telemetry as telemetry;

use crate::{
    Stores,
    gone::{self, Progress},
};

/// Posts looked up at a time.
const PAGE: usize = 50;

/// Removes it; `after` is where it stopped last among the posts. Answers where to go on if the time was `up` before all was done.
pub(crate) async fn remove(stores: &Stores, user: UserId, after: Option<String>, up: Instant) -> Result<Option<String>, Error> {
    // Where it stopped before the posts says by itself where to go on.
    let begin = || Some(after.clone().unwrap_or_default());
    while notifications::remove_some(&stores.notifications, user).await? {
        if Instant::now() >= up {
            return Ok(begin());
        }
    }
    let mut place = None;
    loop {
        let (causes, next) = notifications::by_actor(&stores.notifications, user, place).await?;
        telemetry::count("removal.causes", causes.len());
        let progress = gone::those(stores, causes, up).await?;
        place = next;
        if progress == Progress::Some || (place.is_some() && Instant::now() >= up) {
            return Ok(begin());
        }
        if place.is_none() {
            break;
        }
    }
    let mut after = after.filter(|after| !after.is_empty());
    loop {
        let page = removal::traces_after(&stores.posts, user, after.clone(), PAGE).await?;
        for trace in page.items {
            if gone::post(stores, trace.post_id, up).await? == Progress::Some {
                // On with this one, after the one before it.
                return Ok(Some(after.unwrap_or_default()));
            }
            after = Some(trace.listed.sk);
            if Instant::now() >= up {
                return Ok(after);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(None);
        }
    }
}
