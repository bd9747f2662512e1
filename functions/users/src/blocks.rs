//! Who wants to have nothing to do with whom.

pub(crate) mod store;

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_core::{Time, name::Username, profile::Author};
use tintype_edge::{List, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::visibility::Fence;
use utoipa::ToSchema;

use crate::{
    App,
    people::{Others, fenced_off},
};

const YOURSELF: Others = Others { code: "cannot-block-yourself", detail: "Nobody can block themselves." };

/// How the viewer stands to a person now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Blocking {
    /// The viewer blocks them.
    blocking: bool,
}

/// Blocks a person: neither follows the other any more, and neither sees the other anywhere.
///
/// They are not told. Whoever blocks also blocks the one who blocks them.
#[utoipa::path(
    put,
    path = "/users/{username}/block",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer blocks them", body = Blocking),
        (status = 403, description = "`cannot-block-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn block(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Blocking>, Problem> {
    let blocked = YOURSELF.find(&app, viewer, &username).await?;
    if !store::block(&app.users, viewer.user_id, blocked, Time::now()).await? {
        return Err(Problem::not_found());
    }
    Ok(Json(Blocking { blocking: true }))
}

/// Blocks a person no longer. Nobody follows anybody by it: what the block has ended stays ended.
#[utoipa::path(
    delete,
    path = "/users/{username}/block",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer does not block them", body = Blocking),
        (status = 403, description = "`cannot-block-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unblock(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Blocking>, Problem> {
    let blocked = YOURSELF.find(&app, viewer, &username).await?;
    store::unblock(&app.users, viewer.user_id, blocked).await?;
    Ok(Json(Blocking { blocking: false }))
}

/// The people whom the viewer blocks, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/me/blocks",
    tag = "users",
    params(PageRequest),
    security(("access_token" = [])),
    responses((status = 200, description = "A page of them", body = List<Author>), responses::Authenticated, responses::Query)
)]
pub(crate) async fn list(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    fenced_off(&app, viewer, Fence::Blocking, "blocks", page).await
}
