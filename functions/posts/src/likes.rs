//! Who likes what.

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_core::{PostId, Time, profile::Author};
use tintype_edge::{List, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{posts::marks, visibility};
use tokio::try_join;
use utoipa::ToSchema;

use crate::{Stores, read};

/// Whether the viewer likes the post now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Liked {
    /// They do.
    liked: bool,
}

/// Likes a post; whoever does already, goes on doing so.
#[utoipa::path(
    put,
    path = "/posts/{post_id}/like",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    responses(
        (status = 200, description = "The viewer likes it", body = Liked),
        (status = 409, description = "`not-published`: it is the viewer's own, and not published (yet)", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn like_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
) -> Result<Json<Liked>, Problem> {
    let post = read::published(&stores, post_id, viewer.user_id).await?;
    marks::like(&stores.posts, &post, viewer.user_id, Time::now()).await?;
    Ok(Json(Liked { liked: true }))
}

/// Likes a post no longer.
///
/// A like is taken back also where the post is out of sight by now, and the answer is 404.
#[utoipa::path(
    delete,
    path = "/posts/{post_id}/like",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    responses(
        (status = 200, description = "The viewer does not like it", body = Liked),
        (status = 409, description = "`not-published`: it is the viewer's own, and not published (yet)", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unlike_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
) -> Result<Json<Liked>, Problem> {
    let seen = read::published(&stores, post_id, viewer.user_id).await;
    // One's own like goes whatever one may see by now, and the answer does not tell whether there was one.
    marks::unlike(&stores.posts, post_id, viewer.user_id, Time::now()).await?;
    seen?;
    Ok(Json(Liked { liked: false }))
}

/// The people who like a post, newest likes first. A like shows here a moment later.
///
/// Whom the viewer blocks, or who blocks the viewer, is left out.
#[utoipa::path(
    get,
    path = "/posts/{post_id}/likes",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post"), PageRequest),
    responses(
        (status = 200, description = "A page of them", body = List<Author>),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn list_likes(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    let page = page.of(format!("likes of {post_id}"), marks::is_liker_key)?;
    let blocks = async { Ok(visibility::blocks_of(&stores.users, viewer.user_id).await?) };
    let (_, hidden) = try_join!(read::visible(&stores, post_id, Some(viewer.user_id)), blocks)?;
    let found = marks::likers_but(&stores.posts, post_id, page.after.clone(), page.limit, |person| hidden.contains(&person)).await?;
    let cards = stores.cards.people(&stores.users, found.items.iter().copied(), Some(viewer.user_id)).await?;
    let people = found.items.iter().filter_map(|id| cards.get(id)).map(|card| Author::from(&**card)).collect();
    Ok(page.answer(&format!("/posts/{post_id}/likes"), people, found.next))
}
