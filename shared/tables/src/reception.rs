//! What has been made of posts: how many like them and have said something of them, and what a viewer has marked.

use std::collections::{HashMap, HashSet};

use tintype_core::{
    PostId, Time, UserId,
    post_view::{Marks, PostCounts, Reception},
};
use tintype_telemetry as telemetry;
use tokio::try_join;

use crate::{
    Error, Table,
    cards::Cards,
    comments::{self, traces},
    posts::marks::{self, OnPage},
};

/// Of one post, as it stands now: whoever has just liked it or commented on it sees that.
pub async fn now(posts: &Table, comments: &Table, post: PostId, viewer: Option<UserId>) -> Result<Reception, Error> {
    let page = [post];
    let marks = async {
        match viewer {
            Some(viewer) => marks::on_page(posts, viewer, &page, Time::now()).await.map(Some),
            None => Ok(None),
        }
    };
    let (likes, comments, marks) = try_join!(marks::likes_now(posts, post), comments::number_now(comments, post), marks)?;
    let counts = PostCounts::of_sums(likes, comments);
    Ok(Reception { counts, viewer: marks.map(|page| page.marks.get(&post).copied().unwrap_or_default()) })
}

/// Of a page of posts: the viewer's marks as they stand now, the counts as they are remembered; but whoever has just changed one sees it.
///
/// While a table fails it is what is left: counts of up to a minute ago, a post without any that are known not at all, and nothing of what
/// the viewer has marked. The line says so.
pub async fn of_page(
    cards: &Cards,
    posts: &Table,
    comments: &Table,
    ids: &[PostId],
    viewer: Option<UserId>,
) -> Result<HashMap<PostId, Reception>, Error> {
    let (mut likes, mut numbers, marks, wrote) =
        try_join!(cards.likes(posts, ids), cards.comments(comments, ids), marks_of(posts, ids, viewer), wrote(comments, ids, viewer))?;
    let liked = marks.as_ref().map(|page| page.just_now.iter().copied().collect()).unwrap_or_default();
    let (likes_now, numbers_now) = try_join!(
        unless_down("likes", cards.likes_now(posts, liked)),
        unless_down("comments", cards.comments_now(comments, wrote.into_iter().collect()))
    )?;
    likes.extend(likes_now.unwrap_or_default());
    numbers.extend(numbers_now.unwrap_or_default());
    let reception = |id: &PostId| {
        let counts = PostCounts::of_sums(*likes.get(id)?, *numbers.get(id)?);
        let viewer: Option<Marks> = marks.as_ref().map(|page| page.marks.get(id).copied().unwrap_or_default());
        Some((*id, Reception { counts, viewer }))
    };
    Ok(ids.iter().filter_map(reception).collect())
}

async fn marks_of(posts: &Table, ids: &[PostId], viewer: Option<UserId>) -> Result<Option<OnPage>, Error> {
    let Some(viewer) = viewer else { return Ok(None) };
    unless_down("viewer", marks::on_page(posts, viewer, ids, Time::now())).await
}

/// The posts on which the viewer has just commented, or of which a comment is gone by them.
async fn wrote(comments: &Table, ids: &[PostId], viewer: Option<UserId>) -> Result<HashSet<PostId>, Error> {
    let Some(viewer) = viewer else { return Ok(HashSet::new()) };
    let wrote = unless_down("comments", traces::of(comments, viewer, ids, Time::now())).await?;
    Ok(wrote.unwrap_or_default())
}

/// `None`, and it is said of `what`, if it can't be read.
async fn unless_down<T>(what: &str, read: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
    match read.await {
        Ok(read) => Ok(Some(read)),
        Err(Error::Unavailable(why)) => {
            telemetry::degrade(what);
            telemetry::field("degraded.error", why);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
