//! Who follows whom.

pub(crate) mod store;

use std::collections::HashSet;

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_core::{Time, UserId, name::Username, profile::Author};
use tintype_edge::{List, MaybeViewer, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, open_to, responses};
use tintype_tables::{table::Query, users, visibility};
use tokio::try_join;
use utoipa::ToSchema;

use crate::{
    App,
    people::{Others, authors, edges},
};
use store::Followed;

const YOURSELF: Others = Others { code: "cannot-follow-yourself", detail: "Nobody can follow themselves." };

/// How the viewer stands to a person now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Following {
    /// The viewer follows them.
    following: bool,
    /// The viewer waits for their approval.
    requested: bool,
}

/// Follows a person, or requests to if their account is private; whoever does already, goes on doing so.
#[utoipa::path(
    put,
    path = "/users/{username}/follow",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer follows them, or waits for their approval", body = Following),
        (status = 403, description = "`cannot-follow-yourself`; `blocking`: the viewer blocks them", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn follow(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Following>, Problem> {
    let followee = YOURSELF.find(&app, viewer, &username).await?;
    match store::follow(&app.users, viewer.user_id, followee, Time::now()).await? {
        Followed::Following => Ok(Json(Following { following: true, requested: false })),
        Followed::Requested => Ok(Json(Following { following: false, requested: true })),
        Followed::Blocking => Err(Problem::forbidden("blocking", "You block this person; unblock them first.")),
        Followed::Nobody => Err(Problem::not_found()),
    }
}

/// Follows a person no longer; their posts are gone from the viewer's feed at once. A request that waits is withdrawn.
#[utoipa::path(
    delete,
    path = "/users/{username}/follow",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer does not follow them", body = Following),
        (status = 403, description = "`cannot-follow-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unfollow(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Following>, Problem> {
    let followee = YOURSELF.find(&app, viewer, &username).await?;
    if !store::unfollow(&app.users, viewer.user_id, followee, Time::now()).await? {
        return Err(Problem::not_found());
    }
    Ok(Json(Following { following: false, requested: false }))
}

/// The people who follow a person, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/users/{username}/followers",
    tag = "users",
    params(("username" = Username, Path, description = "Whose"), PageRequest),
    security((), ("access_token" = [])),
    responses(
        (status = 200, description = "A page of them", body = List<Author>),
        (status = 403, description = "`private-account`: only approved followers see it", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn followers(
    State(app): State<App>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(username): PathId<Username>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    people(&app, viewer.map(|viewer| viewer.user_id), &username, FOLLOWERS, page).await
}

/// The people whom a person follows, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/users/{username}/following",
    tag = "users",
    params(("username" = Username, Path, description = "Whose"), PageRequest),
    security((), ("access_token" = [])),
    responses(
        (status = 200, description = "A page of them", body = List<Author>),
        (status = 403, description = "`private-account`: only approved followers see it", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn following(
    State(app): State<App>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(username): PathId<Username>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    people(&app, viewer.map(|viewer| viewer.user_id), &username, FOLLOWING, page).await
}

/// A list of people, by its name in the path and what its sort keys start with.
type Kind = (&'static str, &'static str);

const FOLLOWERS: Kind = ("followers", users::FOLLOWERS);
const FOLLOWING: Kind = ("following", users::FOLLOWING);

/// A page of the people at the other ends of a person's edges. Their ids order it: those sort by the time they were made. Whom the
/// viewer blocks, or who blocks the viewer, is left out, of the cursor too.
async fn people(
    app: &App,
    viewer: Option<UserId>,
    username: &Username,
    (list, prefix): Kind,
    page: PageRequest,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    let id = app.cards.named(&app.users, username, viewer).await?.ok_or_else(Problem::not_found)?;
    let page = edges(page, format!("{list} {id}"), prefix)?;
    let query = Query {
        pk: users::partition(id),
        prefix: Some(prefix),
        after: page.after.clone(),
        descending: false,
        consistent: false,
        limit: page.limit,
    };
    let blocks = async {
        match viewer {
            Some(viewer) => Ok(visibility::blocks_of(&app.users, viewer).await?),
            None => Ok(HashSet::new()),
        }
    };
    let (_, hidden) = try_join!(open_to(&app.users, viewer, id), blocks)?;
    let found = visibility::edges_but(&app.users, query, |person| hidden.contains(&person)).await?;
    Ok(page.answer(&format!("/users/{username}/{list}"), authors(app, &found.items, viewer).await?, found.next))
}
