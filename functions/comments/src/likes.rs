//! `PUT /comments/{comment_id}/like` and `DELETE`.

use axum::{Json, extract::State};
use serde::Serialize;
use tintype_core::{CommentId, Time};
use tintype_edge::{PathId, Problem, Viewer, responses};
use tintype_tables::comments::{self, Liking};
use utoipa::ToSchema;

use crate::{Stores, sight};

/// Whether the caller likes it now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommentLiked {
    /// As it stands with this answer.
    liked: bool,
}

/// Likes a comment. Repeated, it changes nothing and answers the same.
#[utoipa::path(
    put,
    path = "/comments/{comment_id}/like",
    tag = "comments",
    security(("access_token" = [])),
    params(("comment_id" = CommentId, Path, description = "The comment")),
    responses(
        (status = 200, description = "The caller likes it", body = CommentLiked),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn like_comment(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(comment_id): PathId<CommentId>,
) -> Result<Json<CommentLiked>, Problem> {
    let (comment, _) = sight::comment(&stores, comment_id, Some(viewer.user_id)).await?;
    match comments::begin_liking(&stores.comments, &comment, viewer.user_id, Time::now()).await? {
        Liking::Begun | Liking::Known => Ok(Json(CommentLiked { liked: true })),
        Liking::NoComment => Err(Problem::not_found()),
    }
}

/// Likes a comment no longer. Repeated, it changes nothing and answers the same.
///
/// A like is taken back also where the comment is out of sight by now, and the answer is 404.
#[utoipa::path(
    delete,
    path = "/comments/{comment_id}/like",
    tag = "comments",
    security(("access_token" = [])),
    params(("comment_id" = CommentId, Path, description = "The comment")),
    responses(
        (status = 200, description = "The caller does not like it", body = CommentLiked),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unlike_comment(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(comment_id): PathId<CommentId>,
) -> Result<Json<CommentLiked>, Problem> {
    let seen = sight::comment(&stores, comment_id, Some(viewer.user_id)).await;
    // One's own like goes whatever one may see by now, and the answer does not tell whether there was one.
    comments::take_back_liking(&stores.comments, comment_id, viewer.user_id).await?;
    seen?;
    Ok(Json(CommentLiked { liked: false }))
}
