//! Who follows whom.

mod store;

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_auth::Identity;
use tintype_core::{Time, UserId, name::Username, profile::Author};
use tintype_edge::{List, MaybeViewer, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{table::Query, users};
use utoipa::ToSchema;

use crate::App;

/// How the viewer stands to a person now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Following {
    /// The viewer follows them.
    following: bool,
    /// The viewer waits for their approval: never, for every account is public.
    requested: bool,
}

/// Follows a person; whoever does already, goes on doing so.
#[utoipa::path(
    put,
    path = "/users/{username}/follow",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer follows them", body = Following),
        (status = 403, description = "`cannot-follow-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn follow(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Following>, Problem> {
    let followee = another(&app, viewer, &username).await?;
    store::follow(&app.users, viewer.user_id, followee, Time::now()).await?;
    Ok(Json(Following { following: true, requested: false }))
}

/// Follows a person no longer; their posts are gone from the viewer's feed at once.
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
    let followee = another(&app, viewer, &username).await?;
    store::unfollow(&app.users, viewer.user_id, followee, Time::now()).await?;
    Ok(Json(Following { following: false, requested: false }))
}

/// The people who follow a person, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/users/{username}/followers",
    tag = "users",
    params(("username" = Username, Path, description = "Whose"), PageRequest),
    security((), ("access_token" = [])),
    responses((status = 200, description = "A page of them", body = List<Author>), responses::Authenticated, responses::Lookup, responses::Query)
)]
pub(crate) async fn followers(
    State(app): State<App>,
    // Nothing depends on who asks, but a bad token is told so.
    _viewer: MaybeViewer,
    PathId(username): PathId<Username>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    people(&app, &username, "followers", users::FOLLOWERS, page).await
}

/// The people whom a person follows, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/users/{username}/following",
    tag = "users",
    params(("username" = Username, Path, description = "Whose"), PageRequest),
    security((), ("access_token" = [])),
    responses((status = 200, description = "A page of them", body = List<Author>), responses::Authenticated, responses::Lookup, responses::Query)
)]
pub(crate) async fn following(
    State(app): State<App>,
    // Nothing depends on who asks, but a bad token is told so.
    _viewer: MaybeViewer,
    PathId(username): PathId<Username>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    people(&app, &username, "following", users::FOLLOWING, page).await
}

/// The person called `username`, who must be somebody else than the viewer.
async fn another(app: &App, viewer: Identity, username: &Username) -> Result<UserId, Problem> {
    let person = users::find(&app.users, username).await?.ok_or_else(Problem::not_found)?;
    if person == viewer.user_id {
        return Err(Problem::forbidden("cannot-follow-yourself", "Nobody can follow themselves."));
    }
    Ok(person)
}

/// A page of the people at the other ends of a person's edges. Their ids order it: those sort by the time they were made.
async fn people(
    app: &App,
    username: &Username,
    list: &str,
    prefix: &str,
    page: PageRequest,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    let id = users::find(&app.users, username).await?.ok_or_else(Problem::not_found)?;
    let is_key = |key: &str| key.strip_prefix(prefix).is_some_and(|other_end| other_end.parse::<UserId>().is_ok());
    let page = page.of(format!("{list} {id}"), is_key)?;
    let query = Query {
        pk: users::partition(id),
        prefix: Some(prefix),
        after: page.after.clone(),
        descending: false,
        consistent: false,
        limit: page.limit,
    };
    let found = users::edges(&app.users, query).await?;
    let cards = users::cards(&app.users, found.items.iter().copied()).await?;
    let people = found.items.iter().filter_map(|id| cards.get(id)).map(Author::from).collect();
    Ok(page.answer(&format!("/users/{username}/{list}"), people, found.next))
}
