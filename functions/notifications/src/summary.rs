//! `GET /notifications/summary`: how much is new, and the latest, in one.
//!
//! For `home` alone, which asks this function by name: the gateway has no such route. The state that says which notifications are read says
//! how many are not, so this costs what the list costs, and half of what it and the count would.

use axum::{Json, extract::State};
use serde::Serialize;
use tintype_core::Time;
use tintype_edge::{PageRequest, Parameters, Problem, Viewer};
use tintype_tables::notifications;
use utoipa::ToSchema;

use crate::{
    Stores,
    list::{NotificationView, Read, read},
};

/// What is new.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationSummary)]
pub(crate) struct Summary {
    /// How many have come, or grown, since the person last read.
    unread_count: u64,
    /// The latest few, newest first.
    latest: Vec<NotificationView>,
}

pub(crate) async fn summary(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<Json<Summary>, Problem> {
    let viewer = viewer.user_id;
    let page = page.of(format!("notifications {viewer}"), notifications::is_place)?;
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    let Read { views: latest, inbox, .. } = read(&stores, viewer, page.after, page.limit, &private).await?;
    let unread_count = notifications::unread_of(&stores.notifications, viewer, &inbox, Time::now()).await?;
    Ok(Json(Summary { unread_count, latest }))
}
