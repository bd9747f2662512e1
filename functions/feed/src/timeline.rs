//! From timeline entries to posts.
//!
//! Two round trips: entries and fences side by side, then posts, authors and what was made of the posts side by side, as far as they are not
//! remembered; and a third if the viewer has just changed one of the counts. An entry without a post to show (deleted), or behind a fence
//! (unfollowed, blocked either way, muted), is left out, and the page is filled up with what comes after.
//!
//! Entries and fences are never remembered, and a page is not made without them. Of the rest, while a table fails, it is what is left. Such a
//! page is not filled up: that would ask a table that fails for five times as much, and pass over what it holds.

use std::collections::HashSet;

use tintype_buckets::Keyring;
use tintype_core::{PostId, Time, UserId, post_view::PostView};
use tintype_tables::{
    Error, Page,
    feeds::{self, Entry},
    memory::Patience,
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
        let visible: Vec<&Entry> =
            page.items.iter().filter(|entry| !fences.contains(&entry.author_id) && !entry.has_expired(now)).collect();
        match Box::pin(hydrate(tables, viewer, &visible, private)).await {
            Ok(more) if telemetry::degraded().is_empty() => views.extend(more),
            Ok(more) => return what_is_left(views, more, &visible, start, page.next),
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
        page = match entries(tables, viewer, page.next, limit - views.len()).await {
            Ok(page) => page,
            Err(Error::Unavailable(why)) if !views.is_empty() => {
                degrade("entries", why);
                return Ok((views, start));
            }
            Err(error) => return Err(error),
        };
    }
    Ok((views, page.next))
}

/// The page once a table has failed, with `more` of the entries from `start` on. The next one begins with the first that is not shown, so
/// that none is passed over, and some may come twice; but what would come first of all is passed over, or nobody would ever get further.
fn what_is_left(
    mut views: Vec<PostView>,
    more: Vec<PostView>,
    visible: &[&Entry],
    start: Option<String>,
    next: Option<String>,
) -> Result<(Vec<PostView>, Option<String>), Error> {
    let shown: HashSet<PostId> = more.iter().map(|view| view.id).collect();
    let mut before = start.filter(|_| !views.is_empty());
    views.extend(more);
    if views.is_empty() {
        return Err(Error::Unavailable("nothing of the page can be read".to_owned()));
    }
    for entry in visible {
        if entry.post_id().is_some_and(|id| shown.contains(&id)) {
            before = Some(entry.sk.clone());
        } else if before.is_some() {
            return Ok((views, before));
        }
    }
    Ok((views, next))
}

async fn entries(tables: &Tables, viewer: UserId, after: Option<String>, limit: usize) -> Result<Page<Entry>, Error> {
    let query = Query { pk: feeds::timeline(viewer), prefix: None, after, descending: true, consistent: false, limit };
    tables.feeds.query(query).await
}

/// The posts of `entries` that are there to be seen, in their order.
async fn hydrate(tables: &Tables, viewer: UserId, entries: &[&Entry], private: &Keyring<'_>) -> Result<Vec<PostView>, Error> {
    let mut order = Vec::new();
    let (mut own, mut others, mut authors) = (Vec::new(), Vec::new(), HashSet::new());
    for entry in entries {
        let Some(post_id) = entry.post_id() else { continue };
        order.push(post_id);
        authors.insert(entry.author_id);
        // Whoever has just deleted a post must not see it again: one's own are read consistently.
        if entry.author_id == viewer { own.push(post_id) } else { others.push(post_id) }
    }
    let patience = Patience::default();
    let needed = patience.needed(async {
        try_join!(
            tables.cards.posts(&tables.posts, &others),
            tables.cards.people(&tables.users, authors, Some(viewer)),
            reception::of_page(&tables.cards, &tables.posts, &tables.comments, &order, Some(viewer))
        )
    });
    // While one's own can't be read they are left out: one that is remembered may be deleted, by the viewer themselves. But they are not
    // left out where they are all there is.
    let own = async {
        let read = tables.cards.own_posts(&tables.posts, &own);
        if others.is_empty() { read.await } else { Ok(patience.spare("posts", read).await?.unwrap_or_default()) }
    };
    let (own, (others, authors, receptions)) = try_join!(own, needed)?;
    let view = |post_id: &PostId| {
        let post = own.get(post_id).or_else(|| others.get(post_id))?;
        Some(PostView::new(post, authors.get(&post.author_id)?, *receptions.get(post_id)?, private))
    };
    Ok(order.iter().filter_map(view).collect())
}

fn degrade(what: &str, why: String) {
    telemetry::degrade(what);
    telemetry::field("degraded.error", why);
}

#[cfg(test)]
mod tests;
