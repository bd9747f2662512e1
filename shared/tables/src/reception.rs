//! What has been made of posts: how many like them and have said something of them, and what a viewer has marked.

use std::collections::HashMap;

use tintype_core::{
    PostId, UserId,
    post_view::{Marks, PostCounts, Reception},
};
use tokio::try_join;

use crate::{Error, Table, comments, posts::marks};

/// Of one post, as it stands now: whoever has just liked it or commented on it sees that.
pub async fn now(posts: &Table, comments: &Table, post: PostId, viewer: Option<UserId>) -> Result<Reception, Error> {
    let page = [post];
    let (likes, comments, marks) =
        try_join!(marks::likes_now(posts, post), comments::number_now(comments, post), marks_of(posts, &page, viewer))?;
    let counts = PostCounts::of_sums(likes, comments);
    Ok(Reception { counts, viewer: marks.map(|marks| marks.get(&post).copied().unwrap_or_default()) })
}

/// Of a page of posts: the viewer's marks as they stand now, the counts as of about a second ago.
pub async fn of_page(posts: &Table, comments: &Table, ids: &[PostId], viewer: Option<UserId>) -> Result<HashMap<PostId, Reception>, Error> {
    let (likes, comments, marks) = try_join!(marks::likes(posts, ids), comments::numbers(comments, ids), marks_of(posts, ids, viewer))?;
    let counts = likes.into_iter().zip(comments).map(|(likes, comments)| PostCounts::of_sums(likes, comments));
    let reception = |(id, counts): (&PostId, PostCounts)| {
        let viewer = marks.as_ref().map(|marks| marks.get(id).copied().unwrap_or_default());
        (*id, Reception { counts, viewer })
    };
    Ok(ids.iter().zip(counts).map(reception).collect())
}

async fn marks_of(posts: &Table, ids: &[PostId], viewer: Option<UserId>) -> Result<Option<HashMap<PostId, Marks>>, Error> {
    match viewer {
        Some(viewer) => Ok(Some(marks::on_page(posts, viewer, ids).await?)),
        None => Ok(None),
    }
}
