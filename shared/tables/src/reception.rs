//! What has been made of posts: how many like them and have said something of them, and what a viewer has marked.

use std::collections::{HashMap, HashSet};

use tintype_core::{
    PostId, Time, UserId,
    post_view::{Marks, PostCounts, Reception},
};
use tokio::try_join;

use crate::{
    Error, Table,
    cards::Cards,
    comments::{self, traces},
    memory::Patience,
    posts::marks,
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
/// While a table fails, or does not answer, it is what is left: counts of up to a minute ago, a post without any that are known not at all, and nothing of what
/// the viewer has marked. The line says so.
pub async fn of_page(
    cards: &Cards,
    posts: &Table,
    comments: &Table,
    ids: &[PostId],
    viewer: Option<UserId>,
) -> Result<HashMap<PostId, Reception>, Error> {
    let patience = Patience::default();
    let counts = patience.needed(async { try_join!(cards.likes(posts, ids), cards.comments(comments, ids)) });
    let marks = async {
        let Some(viewer) = viewer else { return Ok(None) };
        patience.spare("viewer", marks::on_page(posts, viewer, ids, Time::now())).await
    };
    // The posts on which the viewer has just commented, or of which a comment is gone by them.
    let wrote = async {
        let Some(viewer) = viewer else { return Ok(HashSet::new()) };
        Ok(patience.spare("comments", traces::of(comments, viewer, ids, Time::now())).await?.unwrap_or_default())
    };
    let ((mut likes, mut numbers), marks, wrote) = try_join!(counts, marks, wrote)?;
    let liked = marks.as_ref().map(|page| page.just_now.iter().copied().collect()).unwrap_or_default();
    let (likes_now, numbers_now) = try_join!(
        patience.spare("likes", cards.likes_now(posts, liked)),
        patience.spare("comments", cards.comments_now(comments, wrote.into_iter().collect()))
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
