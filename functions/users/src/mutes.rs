//! Whose posts and doings somebody does not want to see, without a word to them.

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_core::{Time, UserId, event::What, name::Username, profile::Author};
use tintype_edge::{List, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{
    Error, Table,
    graph::{self, kind, since},
    outbox, users,
    visibility::{Fence, Relationship},
    writes::{self, Transaction},
};
use utoipa::ToSchema;

use crate::{
    App,
    people::{Others, fenced_off},
};

const YOURSELF: Others = Others { code: "cannot-mute-yourself", detail: "Nobody can mute themselves." };

/// How the viewer stands to a person now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Muting {
    /// The viewer has muted them.
    muting: bool,
}

/// Mutes a person: the viewer's feed shows nothing of them from the next read on, whether the viewer follows them or not. They can't tell.
#[utoipa::path(
    put,
    path = "/users/{username}/mute",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer has muted them", body = Muting),
        (status = 403, description = "`cannot-mute-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn mute(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Muting>, Problem> {
    let muted = YOURSELF.find(&app, viewer, &username).await?;
    demand_known(&app.users, viewer.user_id, muted).await?;
    if !begin(&app.users, viewer.user_id, muted, Time::now()).await? {
        return Err(Problem::not_found());
    }
    Ok(Json(Muting { muting: true }))
}

/// Mutes a person no longer: the feed shows their posts at the next read, also those of meanwhile.
#[utoipa::path(
    delete,
    path = "/users/{username}/mute",
    tag = "users",
    params(("username" = Username, Path, description = "Whom")),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The viewer has not muted them", body = Muting),
        (status = 403, description = "`cannot-mute-yourself`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
    )
)]
pub(crate) async fn unmute(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    PathId(username): PathId<Username>,
) -> Result<Json<Muting>, Problem> {
    let muted = YOURSELF.find(&app, viewer, &username).await?;
    demand_known(&app.users, viewer.user_id, muted).await?;
    end(&app.users, viewer.user_id, muted).await?;
    Ok(Json(Muting { muting: false }))
}

/// The people whom the viewer has muted, in the order in which they joined Tintype.
#[utoipa::path(
    get,
    path = "/me/mutes",
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
    fenced_off(&app, viewer, Fence::Muting, "mutes", page).await
}

/// Who blocks the viewer is nobody whom the viewer may know of.
async fn demand_known(users: &Table, viewer: UserId, person: UserId) -> Result<(), Problem> {
    if Relationship::read(users, viewer, person).await?.blocked { Err(Problem::not_found()) } else { Ok(()) }
}

/// A mute says nothing to the muted person, nor changes anything that they read: it speaks to what keeps the muter's own things. `false`:
/// who was to be muted is gone.
pub(crate) async fn begin(users: &Table, muter: UserId, muted: UserId, now: Time) -> Result<bool, Error> {
    let mut mute = users::muting(muter, muted).item();
    mute.extend([kind(Fence::Muting), since(now)]);
    outbox::speak(&mut mute, What::MuteChanged { muter_id: muter, muted_id: muted }, now);
    let mut transaction = Transaction::default();
    let person = graph::demand_person(&mut transaction, users, muted);
    transaction.push(writes::put_new(users, mute));
    transaction.push(writes::put(users, users::muted_by(muted, muter).item()));
    match transaction.commit(users).await {
        Ok(()) => Ok(true),
        // One that is there already stays, with its `since`.
        Err(Error::Condition(failed)) => Ok(!person.is_in(&failed)),
        Err(error) => Err(error),
    }
}

async fn end(users: &Table, muter: UserId, muted: UserId) -> Result<(), Error> {
    let mut transaction = Transaction::default();
    transaction.push(writes::delete(users, &users::muting(muter, muted)));
    transaction.push(writes::delete(users, &users::muted_by(muted, muter)));
    transaction.commit(users).await
}
