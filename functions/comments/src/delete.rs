//! `DELETE /comments/{comment_id}`.

use axum::{extract::State, http::StatusCode};
use tintype_core::{CommentId, Time, UserId};
use tintype_edge::{PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{comments, posts};

use crate::{Stores, sight::Stage};

/// Deletes one's own comment, or one on one's own post, with its replies.
///
/// It is gone for everybody with the answer.
#[utoipa::path(
    delete,
    path = "/comments/{comment_id}",
    tag = "comments",
    security(("access_token" = [])),
    params(("comment_id" = CommentId, Path, description = "The comment")),
    responses(
        (status = 204, description = "It is deleted"),
        (
            status = 403, description = "`not-the-author`: it is another person's comment on another person's post", body = ProblemBody,
            content_type = "application/problem+json",
        ),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn delete_comment(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(comment_id): PathId<CommentId>,
) -> Result<StatusCode, Problem> {
    permit(&stores, comment_id, viewer.user_id).await?;
    // `false`: another request has deleted it since it was read.
    let is_deleted = comments::delete(&stores.comments, comment_id, Some(viewer.user_id), Time::now()).await?;
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// Whoever wrote it or is its host may delete it, also where they can't see it (any more): across a block, or in an account that has
/// turned private. Else whoever comments and then blocks the post's author could never be silenced by them.
async fn permit(stores: &Stores, comment_id: CommentId, viewer: UserId) -> Result<(), Problem> {
    let found = comments::find(&stores.comments, comment_id).await?.ok_or_else(Problem::not_found)?;
    // Of a deleted post nothing is there.
    let post = posts::read(&stores.posts, found.comment.post_id).await?.ok_or_else(Problem::not_found)?;
    if viewer == found.comment.author_id || viewer == post.author_id {
        return Ok(());
    }
    let stage = Stage::of(stores, post.id, Some(viewer)).await?;
    if stage.shows(&found) {
        Err(Problem::forbidden("not-the-author", "Only the comment's author or the post's may delete it."))
    } else {
        Err(Problem::not_found())
    }
}
