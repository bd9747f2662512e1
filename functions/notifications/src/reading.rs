//! How much is new, and that it was read.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tintype_core::Time;
use tintype_edge::{Body, Checks, Problem, Viewer, responses};
use tintype_tables::notifications;
use utoipa::ToSchema;

use crate::Stores;

/// Our clocks differ, and a notification that comes in a crowd is dated some milliseconds ahead.
const LEEWAY: Duration = Duration::from_mins(1);

/// How many notifications are new.
#[derive(Serialize, ToSchema)]
pub(crate) struct Unread {
    /// How many have come, or grown, since the person last read.
    count: u64,
}

/// Up to where somebody has read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reading {
    /// `updated_at` of the newest notification that the person has seen. Not of the future.
    up_to: Time,
}

/// How many notifications are new: to be asked every now and then, with `If-None-Match`. As of about a second ago.
#[utoipa::path(
    get,
    path = "/notifications/unread-count",
    tag = "notifications",
    security(("access_token" = [])),
    responses((status = 200, description = "How many", body = Unread), responses::Authenticated)
)]
pub(crate) async fn unread_count(State(stores): State<Stores>, Viewer(viewer): Viewer) -> Result<Json<Unread>, Problem> {
    let count = notifications::unread(&stores.notifications, viewer.user_id, Time::now()).await?;
    Ok(Json(Unread { count }))
}

/// All up to a notification is read; answers how many are new now.
///
/// What was updated later stays new: also a group that has grown since it was seen. Reading up to an earlier point than before changes
/// nothing.
#[utoipa::path(
    put,
    path = "/notifications/read",
    tag = "notifications",
    request_body = Reading,
    security(("access_token" = [])),
    responses((status = 200, description = "How many are new now", body = Unread), responses::Authenticated, responses::WithBody)
)]
pub(crate) async fn read(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Body(Reading { up_to }): Body<Reading>,
) -> Result<Json<Unread>, Problem> {
    let mut checks = Checks::default();
    checks.require(up_to <= Time::now().plus(LEEWAY), "/up_to", "must not be in the future");
    checks.finish()?;
    let count = notifications::mark_read(&stores.notifications, viewer.user_id, up_to).await?;
    Ok(Json(Unread { count }))
}
