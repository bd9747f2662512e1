//! What somebody has saved, for themselves alone.

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_auth::Identity;
use tintype_core::{PostId, Time, UserId, post_view::PostView};
use tintype_edge::{List, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{Page, posts::marks, reception, visibility};
use tokio::try_join;
use utoipa::ToSchema;

use crate::{Stores, read};

/// Someone many of whose saved posts have gone gets a short page, not a slow one.
const MOST_ROUNDS: usize = 5;

/// Whether the viewer has saved the post now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Saved {
    /// They have.
    saved: bool,
}

/// Saves a post, of which nobody else is told; one that is saved already stays in its place.
#[utoipa::path(
    put,
    path = "/posts/{post_id}/save",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    responses(
        (status = 200, description = "It is saved", body = Saved),
        (status = 409, description = "`not-published`: it is the viewer's own, and not published (yet)", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn save_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
) -> Result<Json<Saved>, Problem> {
    read::published(&stores, post_id, viewer.user_id).await?;
    marks::save(&stores.posts, post_id, viewer.user_id, Time::now()).await?;
    Ok(Json(Saved { saved: true }))
}

/// Has a post saved no longer.
///
/// A save is taken back also where the post is out of sight by now, and the answer is 404.
#[utoipa::path(
    delete,
    path = "/posts/{post_id}/save",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    responses(
        (status = 200, description = "It is not saved", body = Saved),
        (status = 409, description = "`not-published`: it is the viewer's own, and not published (yet)", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unsave_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
) -> Result<Json<Saved>, Problem> {
    let seen = read::published(&stores, post_id, viewer.user_id).await;
    // One's own save goes whatever one may see by now, and the answer does not tell whether there was one.
    marks::unsave(&stores.posts, post_id, viewer.user_id).await?;
    seen?;
    Ok(Json(Saved { saved: false }))
}

/// The posts that the viewer has saved and may still see, newest saves first.
#[utoipa::path(
    get,
    path = "/me/saved",
    tag = "posts",
    security(("access_token" = [])),
    params(PageRequest),
    responses((status = 200, description = "A page of them", body = List<PostView>), responses::Authenticated, responses::Query)
)]
pub(crate) async fn list_saved(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<PostView>>), Problem> {
    let page = page.of(format!("saved by {}", viewer.user_id), |key| marks::parse_saved(key).is_some())?;
    let (posts, next) = read_page(&stores, viewer, page.after.clone(), page.limit).await?;
    Ok(page.answer("/me/saved", posts, next))
}

/// Up to `limit` posts, and the key after which the next page starts. What has gone, or is hidden by now, is left out, and the page is
/// filled up with what comes after.
async fn read_page(
    stores: &Stores,
    viewer: Identity,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<PostView>, Option<String>), Problem> {
    let mut views = Vec::with_capacity(limit);
    let mut page = marks::saved_by(&stores.posts, viewer.user_id, after, limit).await?;
    for round in 1.. {
        views.extend(hydrate(stores, viewer.user_id, &page).await?);
        if views.len() >= limit || page.next.is_none() || round >= MOST_ROUNDS {
            break;
        }
        page = marks::saved_by(&stores.posts, viewer.user_id, page.next, limit - views.len()).await?;
    }
    Ok((views, page.next))
}

async fn hydrate(stores: &Stores, viewer: UserId, page: &Page<PostId>) -> Result<Vec<PostView>, Problem> {
    let mut cards = stores.cards.posts(&stores.posts, &page.items).await?;
    // One's own may be among them: whoever has just deleted a post must not see it again.
    let own: Vec<PostId> = cards.extract_if(|_, post| post.author_id == viewer).map(|(id, _)| id).collect();
    cards.extend(stores.cards.own_posts(&stores.posts, &own).await?);
    let authors: Vec<UserId> = cards.values().map(|post| post.author_id).collect();
    let ids: Vec<PostId> = page.items.iter().copied().filter(|id| cards.contains_key(id)).collect();
    let receptions = reception::of_page(&stores.cards, &stores.posts, &stores.comments, &ids, Some(viewer));
    let (authors, receptions) = try_join!(visibility::open_among(&stores.users, viewer, authors), receptions)?;
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    let view = |id: &PostId| {
        let post = cards.get(id)?;
        Some(PostView::new(post, authors.get(&post.author_id)?, *receptions.get(id)?, &private))
    };
    Ok(ids.iter().filter_map(view).collect())
}
