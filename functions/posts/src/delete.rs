//! `DELETE /posts/{post_id}`.

use axum::{extract::State, http::StatusCode};
use tintype_core::{PostId, Time};
use tintype_edge::{PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::posts;

use crate::{Stores, read};

/// Deletes one's own post.
///
/// It is gone for everybody with the answer; its files follow within minutes.
#[utoipa::path(
    delete,
    path = "/posts/{post_id}",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 403, description = "`not-the-author`: it is another person's post", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn delete_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
) -> Result<StatusCode, Problem> {
    let (post, _) = read::visible(&stores, post_id, Some(viewer.user_id)).await?;
    if post.author_id != viewer.user_id {
        return Err(Problem::forbidden("not-the-author", "Only the post's author may delete it."));
    }
    // `false`: another request has deleted it since it was read.
    if posts::delete(&stores.posts, post_id, Time::now()).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}
