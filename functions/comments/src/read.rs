//! `GET /posts/{post_id}/comments`, `GET /comments/{comment_id}/replies`, `GET /comments/{comment_id}`.

use axum::{Json, extract::State, http::HeaderMap};
use tintype_core::{CommentId, PostId, UserId};
use tintype_edge::{List, MaybeViewer, PageRequest, Paging, Parameters, PathId, Problem, responses};
use tintype_tables::comments::{self, Thread};
use tintype_telemetry as telemetry;

use crate::{
    Stores,
    sight::{self, Stage},
    view::{CommentView, view_of, views},
};

type CommentList = (HeaderMap, Json<List<CommentView>>);

/// The comments on a post, without replies, newest last.
///
/// Whoever sees the post sees them, but for those of people whom the viewer blocks or who block the viewer. Also where commenting is
/// switched off.
#[utoipa::path(
    get,
    path = "/posts/{post_id}/comments",
    tag = "comments",
    security((), ("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post"), PageRequest),
    responses(
        (status = 200, description = "A page of them", body = List<CommentView>),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn list_comments(
    State(stores): State<Stores>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(post_id): PathId<PostId>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<CommentList, Problem> {
    let paging = page.of(format!("comments on {post_id}"), is_comment_key)?;
    let viewer = viewer.map(|viewer| viewer.user_id);
    let stage = Stage::of(&stores, post_id, viewer).await?;
    list(&stores, viewer, &stage, Thread::Of(post_id), paging, &format!("/posts/{post_id}/comments")).await
}

/// The replies to a comment, newest last; to whoever sees the comment.
#[utoipa::path(
    get,
    path = "/comments/{comment_id}/replies",
    tag = "comments",
    security((), ("access_token" = [])),
    params(("comment_id" = CommentId, Path, description = "The comment"), PageRequest),
    responses(
        (status = 200, description = "A page of them; a reply has none", body = List<CommentView>),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn list_replies(
    State(stores): State<Stores>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(comment_id): PathId<CommentId>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<CommentList, Problem> {
    let paging = page.of(format!("replies to {comment_id}"), is_comment_key)?;
    let viewer = viewer.map(|viewer| viewer.user_id);
    let (_, stage) = sight::comment(&stores, comment_id, viewer).await?;
    list(&stores, viewer, &stage, Thread::Under(comment_id), paging, &format!("/comments/{comment_id}/replies")).await
}

/// A comment.
#[utoipa::path(
    get,
    path = "/comments/{comment_id}",
    tag = "comments",
    security((), ("access_token" = [])),
    params(("comment_id" = CommentId, Path, description = "The comment")),
    responses(
        (status = 200, description = "The comment", body = CommentView),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn get_comment(
    State(stores): State<Stores>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(comment_id): PathId<CommentId>,
) -> Result<Json<CommentView>, Problem> {
    let viewer = viewer.map(|viewer| viewer.user_id);
    let (comment, _) = sight::comment(&stores, comment_id, viewer).await?;
    Ok(Json(view_of(&stores, viewer, comment).await?))
}

async fn list(
    stores: &Stores,
    viewer: Option<UserId>,
    stage: &Stage,
    thread: Thread,
    paging: Paging,
    path: &str,
) -> Result<CommentList, Problem> {
    let after = paging.after.clone();
    let page = comments::page(&stores.comments, thread, after, paging.limit, |author| stage.hides(author)).await?;
    telemetry::field("comments.items", page.items.len());
    Ok(paging.answer(path, views(stores, viewer, page.items).await?, page.next))
}

/// `COMMENT#{comment}`
fn is_comment_key(key: &str) -> bool {
    let id = key.strip_prefix(comments::COMMENTS).and_then(|id| id.parse::<CommentId>().ok());
    id.is_some_and(|id| comments::sort_key(id) == key)
}
