//! A new post goes into the timeline of everybody who follows its author.

use std::collections::HashSet;

use tintype_core::{PostId, Time, UserId};
use tintype_tables::{Error, feeds::Entry, users};
use tintype_telemetry as telemetry;

use crate::{Tables, people, reconcile::reconcile, timeline};

/// Followers read, and entries written, at a time.
const PAGE: usize = 1000;

/// A post that was published.
pub(crate) struct NewPost {
    pub(crate) post_id: PostId,
    pub(crate) author_id: UserId,
    pub(crate) published_at: Time,
}

/// Writes the post's entries: the author's own, and every follower's.
pub(crate) async fn fan_out(tables: &Tables, post: &NewPost) -> Result<(), Error> {
    if !people::is_there(&tables.users, post.author_id).await? {
        return Ok(());
    }
    timeline::put(&tables.feeds, [entry(post, post.author_id)]).await?;
    let mut after = None;
    loop {
        let page = users::followers_of(&tables.users, post.author_id, after.clone(), PAGE).await?;
        timeline::put(&tables.feeds, page.items.iter().map(|follower| entry(post, *follower))).await?;
        telemetry::count("fanout.entries", page.items.len());
        mend_those_who_left(tables, post.author_id, after, &page.items).await?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Whoever unfollowed between our read and our write may have been mended before we wrote. Reading the page once more, after
/// the write, finds them (for 1/40 of the write's price); whoever unfollows later is mended after we wrote.
pub(crate) async fn mend_those_who_left(tables: &Tables, author: UserId, after: Option<String>, written: &[UserId]) -> Result<(), Error> {
    let still = users::followers_of(&tables.users, author, after, PAGE).await?;
    let still: HashSet<UserId> = still.items.into_iter().collect();
    // New followers may have pushed some off the page: for these few the follow itself is asked.
    for follower in written.iter().filter(|follower| !still.contains(follower)) {
        reconcile(tables, *follower, author).await?;
    }
    Ok(())
}

fn entry(post: &NewPost, viewer: UserId) -> Entry {
    Entry::new(viewer, post.post_id, post.author_id, post.published_at, Time::now())
}
