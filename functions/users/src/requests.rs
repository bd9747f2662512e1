//! Who waits for the approval of a private account.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use tintype_core::{Time, UserId, name::Username, profile::Author};
use tintype_edge::{List, PageRequest, Parameters, PathId, Problem, Viewer, responses};
use tintype_tables::{
    Error,
    graph::{self, Approval},
    table::Query,
    users,
    visibility::Relationship,
    writes::Transaction,
};

use crate::{
    App,
    people::{authors, edges},
};

/// The people who wait for the viewer's approval, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/me/follow-requests",
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
    let page = edges(page, format!("follow requests of {}", viewer.user_id), users::REQUESTS)?;
    let query = Query {
        pk: users::partition(viewer.user_id),
        prefix: Some(users::REQUESTS),
        after: page.after.clone(),
        descending: false,
        consistent: true,
        limit: page.limit,
    };
    let found = users::edges(&app.users, query).await?;
    Ok(page.answer("/me/follow-requests", authors(&app, &found.items, Some(viewer.user_id)).await?, found.next))
}

/// Approves a request: the person follows the viewer from now on. Whoever follows already, goes on doing so.
#[utoipa::path(
    put,
    path = "/me/follow-requests/{username}",
    tag = "users",
    params(("username" = Username, Path, description = "Whose request")),
    security(("access_token" = [])),
    responses((status = 204, description = "They follow the viewer"), responses::Authenticated, responses::Lookup)
)]
pub(crate) async fn approve(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<StatusCode, Problem> {
    let follower = users::find(&app.users, &username).await?.ok_or_else(Problem::not_found)?;
    let approved = graph::approve(&app.users, viewer.user_id, follower, Approval::Given, Time::now()).await?
        // The answer to an approval may have been lost, and the account may have turned public beside it.
        || Relationship::read(&app.users, viewer.user_id, follower).await?.followed_by;
    if approved { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// Refuses a request, of which the person is not told. Whoever follows already, goes on doing so.
#[utoipa::path(
    delete,
    path = "/me/follow-requests/{username}",
    tag = "users",
    params(("username" = Username, Path, description = "Whose request")),
    security(("access_token" = [])),
    responses((status = 204, description = "They wait no longer"), responses::Authenticated, responses::Lookup)
)]
pub(crate) async fn refuse(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<StatusCode, Problem> {
    let follower = users::find(&app.users, &username).await?.ok_or_else(Problem::not_found)?;
    // Who blocks the viewer is nobody whom the viewer may know of.
    if Relationship::read(&app.users, viewer.user_id, follower).await?.blocked {
        return Err(Problem::not_found());
    }
    remove(&app, viewer.user_id, follower).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(app: &App, followee: UserId, follower: UserId) -> Result<(), Error> {
    let mut transaction = Transaction::default();
    // Nothing to refuse is nothing to write.
    graph::withdraw(&mut transaction, &app.users, follower, followee, Time::now());
    graph::commit(transaction, &app.users).await.map(|_| ())
}
