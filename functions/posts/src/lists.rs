//! An author's posts: the published ones for everybody, the others for the author.

use std::{borrow::Borrow, collections::HashMap};

use axum::{Json, extract::State, http::HeaderMap};
use serde::Deserialize;
use tintype_buckets::Keyring;
use tintype_core::{
    PostId, Time,
    name::Username,
    post::Post,
    post_view::{Marks, PostView, Reception},
    profile::ProfileCard,
};
use tintype_edge::{List, MaybeViewer, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, open_to, responses};
use tintype_tables::{posts, reception, users};
use tokio::try_join;
use utoipa::{IntoParams, ToSchema};

use crate::Stores;

type PostList = (HeaderMap, Json<List<PostView>>);

/// A person's published posts, newest first; of a private account, to its followers.
#[utoipa::path(
    get,
    path = "/users/{username}/posts",
    tag = "posts",
    security((), ("access_token" = [])),
    params(("username" = Username, Path, description = "The author"), PageRequest),
    responses(
        (status = 200, description = "A page of them", body = List<PostView>),
        (status = 403, description = "`private-account`: only approved followers see them", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn list_published(
    State(stores): State<Stores>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(username): PathId<Username>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<PostList, Problem> {
    let viewer = viewer.map(|viewer| viewer.user_id);
    let author_id = stores.cards.named(&stores.users, &username, viewer).await?.ok_or_else(Problem::not_found)?;
    let paging = page.of(format!("published posts of {author_id}"), is_published_key)?;
    let published = async { Ok(posts::published_by(&stores.posts, author_id, paging.after.clone(), paging.limit).await?) };
    let (author, page) = try_join!(open_to(&stores.users, viewer, author_id), published)?;
    let ids: Vec<PostId> = page.items.iter().map(|listed| listed.post_id).collect();
    let cards = async {
        // Authors see at once what they have just changed.
        if viewer == Some(author_id) {
            stores.cards.own_posts(&stores.posts, &ids).await
        } else {
            stores.cards.posts(&stores.posts, &ids).await
        }
    };
    let (cards, receptions) = try_join!(cards, reception::of_page(&stores.cards, &stores.posts, &stores.comments, &ids, viewer))?;
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    Ok(paging.answer(&format!("/users/{username}/posts"), views(&ids, &cards, &author, &receptions, &private), page.next))
}

/// Which of one's own posts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnPosts {
    /// Which ones.
    #[serde(rename = "status")]
    _status: OwnStatus,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What only the author sees.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OwnStatus {
    /// Awaiting upload, processing, or failed.
    Unpublished,
}

/// One's own posts that are not published (yet), or failed, newest first.
///
/// Failed ones are listed for 30 days.
#[utoipa::path(
    get,
    path = "/me/posts",
    tag = "posts",
    security(("access_token" = [])),
    params(OwnPosts),
    responses(
        (status = 200, description = "A page of them", body = List<PostView>),
        responses::Authenticated,
        responses::Query,
    )
)]
pub(crate) async fn list_unpublished(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Parameters(OwnPosts { limit, cursor, .. }): Parameters<OwnPosts>,
) -> Result<PostList, Problem> {
    let author_id = viewer.user_id;
    let paging = PageRequest::new(limit, cursor).of(format!("unpublished posts of {author_id}"), is_unpublished_key)?;
    let page = posts::unpublished_by(&stores.posts, author_id, paging.after.clone(), paging.limit).await?;
    let (drafts, author) = try_join!(posts::drafts(&stores.posts, &page.items), users::card_now(&stores.users, author_id))?;
    let author = author.ok_or_else(Problem::not_found)?;
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    // Nobody else has seen them.
    let reception = Reception { viewer: Some(Marks::default()), ..Reception::default() };
    let receptions = page.items.iter().map(|id| (*id, reception)).collect();
    Ok(paging.answer("/me/posts?status=unpublished", views(&page.items, &drafts, &author, &receptions, &private), page.next))
}

/// `PUBLISHED#{published_at}#{post}`
fn is_published_key(key: &str) -> bool {
    let place = key.strip_prefix(posts::PUBLISHED).and_then(|place| place.split_once('#'));
    place.is_some_and(|(published_at, post)| published_at.parse::<Time>().is_ok() && post.parse::<PostId>().is_ok())
}

/// `UNPUBLISHED#{post}`
fn is_unpublished_key(key: &str) -> bool {
    key.strip_prefix(posts::UNPUBLISHED).is_some_and(|post| post.parse::<PostId>().is_ok())
}

/// The views of those `ids` that are among `posts`, in their order: what has gone since the page was read is left out.
fn views<P: Borrow<Post>>(
    ids: &[PostId],
    posts: &HashMap<PostId, P>,
    author: &ProfileCard,
    receptions: &HashMap<PostId, Reception>,
    private: &Keyring<'_>,
) -> Vec<PostView> {
    let view = |id: &PostId| Some(PostView::new(posts.get(id)?.borrow(), author, *receptions.get(id)?, private));
    ids.iter().filter_map(view).collect()
}
