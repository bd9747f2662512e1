//! From timeline entries to posts.
//!
//! Two round trips: entries and fences side by side, then posts, authors and what was made of the posts side by side, as far as they are not
//! remembered; and a third if the viewer has just changed one of the counts. An entry without a post to show (deleted), or behind a fence
//! (unfollowed, blocked either way, muted), is left out, and the page is filled up with what comes after.
//!
//! Entries and fences are never remembered, and a page is not made without them. Of the rest, while a table fails, it is what is left.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tintype_buckets::Keyring;
use tintype_core::{PostId, Time, UserId, post::Post, post_view::PostView};
use tintype_tables::{
    Error, Page,
    feeds::{self, Entry},
    reception,
    table::Query,
    visibility,
};
use tintype_telemetry as telemetry;
use tokio::try_join;

use crate::Tables;

/// Someone who has unfollowed hundreds at once gets a short page, not a slow one.
const MOST_ROUNDS: usize = 5;

/// Up to `limit` posts of `viewer`'s timeline from `after` on, and the key after which the next page starts.
pub(crate) async fn read(
    tables: &Tables,
    viewer: UserId,
    after: Option<String>,
    limit: usize,
    private: &Keyring<'_>,
) -> Result<(Vec<PostView>, Option<String>), Error> {
    // The fences are read consistently: the answer to an unfollow, block or mute promised that the next page hides the author.
    let (mut page, fences) = try_join!(entries(tables, viewer, after, limit), visibility::fences_of(&tables.users, viewer))?;
    let now = Time::now();
    let mut views = Vec::with_capacity(limit);
    let mut start = None;
    for round in 1.. {
        let visible = page.items.iter().filter(|entry| !fences.contains(&entry.author_id) && !entry.has_expired(now));
        match hydrate(tables, viewer, visible, private).await {
            Ok(more) => views.extend(more),
            // What there is already is a page, too: the next one begins with what can't be read.
            Err(Error::Unavailable(why)) if !views.is_empty() => {
                degrade("posts", why);
                return Ok((views, start));
            }
            Err(error) => return Err(error),
        }
        if views.len() >= limit || page.next.is_none() || round >= MOST_ROUNDS {
            break;
        }
        start.clone_from(&page.next);
        page = entries(tables, viewer, page.next, limit - views.len()).await?;
    }
    Ok((views, page.next))
}

async fn entries(tables: &Tables, viewer: UserId, after: Option<String>, limit: usize) -> Result<Page<Entry>, Error> {
    let query = Query { pk: feeds::timeline(viewer), prefix: None, after, descending: true, consistent: false, limit };
    tables.feeds.query(query).await
}

/// The posts of `entries` that are there to be seen, in their order.
async fn hydrate(
    tables: &Tables,
    viewer: UserId,
    entries: impl Iterator<Item = &Entry>,
    private: &Keyring<'_>,
) -> Result<Vec<PostView>, Error> {
    let mut order = Vec::new();
    let (mut own, mut others, mut authors) = (Vec::new(), Vec::new(), HashSet::new());
    for entry in entries {
        let Some(post_id) = entry.post_id() else { continue };
        order.push(post_id);
        authors.insert(entry.author_id);
        // Whoever has just deleted a post must not see it again: one's own are read consistently.
        if entry.author_id == viewer { own.push(post_id) } else { others.push(post_id) }
    }
    let (own, others, authors, receptions) = try_join!(
        own_posts(tables, &own, others.is_empty()),
        tables.cards.posts(&tables.posts, &others),
        tables.cards.people(&tables.users, authors, Some(viewer)),
        reception::of_page(&tables.cards, &tables.posts, &tables.comments, &order, Some(viewer))
    )?;
    let view = |post_id: &PostId| {
        let post = own.get(post_id).or_else(|| others.get(post_id))?;
        Some(PostView::new(post, authors.get(&post.author_id)?, *receptions.get(post_id)?, private))
    };
    Ok(order.iter().filter_map(view).collect())
}

/// The viewer's own posts. While they can't be read they are left out: one that is remembered may be deleted, by the viewer themselves. But
/// they are not left out where they are all there is.
async fn own_posts(tables: &Tables, ids: &[PostId], are_all: bool) -> Result<HashMap<PostId, Arc<Post>>, Error> {
    match tables.cards.own_posts(&tables.posts, ids).await {
        Err(Error::Unavailable(why)) if !are_all => {
            degrade("posts", why);
            Ok(HashMap::new())
        }
        result => result,
    }
}

fn degrade(what: &str, why: String) {
    telemetry::degrade(what);
    telemetry::field("degraded.error", why);
}

#[cfg(test)]
mod tests;
