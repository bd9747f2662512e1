//! What all routes between two people do: find the other one, and list people.

use axum::{Json, http::HeaderMap};
use tintype_auth::Identity;
use tintype_core::{UserId, name::Username, profile::Author};
use tintype_edge::{List, PageRequest, Paging, Problem};
use tintype_tables::{
    Error, users,
    visibility::{self, Fence},
};

use crate::App;

/// What is only done to others, and what is said to who would do it to themselves.
#[derive(Clone, Copy)]
pub(crate) struct Others {
    pub(crate) code: &'static str,
    pub(crate) detail: &'static str,
}

impl Others {
    /// The person called `username`, who must be somebody else than the viewer.
    pub(crate) async fn find(self, app: &App, viewer: Identity, username: &Username) -> Result<UserId, Problem> {
        let person = users::find(&app.users, username).await?.ok_or_else(Problem::not_found)?;
        if person == viewer.user_id {
            return Err(Problem::forbidden(self.code, self.detail));
        }
        Ok(person)
    }
}

/// The page that is asked for of a list whose sort keys are `prefix` and somebody's id.
pub(crate) fn edges(page: PageRequest, list: String, prefix: &str) -> Result<Paging, Problem> {
    page.of(list, |key| key.strip_prefix(prefix).is_some_and(|id| id.parse::<UserId>().is_ok()))
}

/// Those of `ids` who exist, in their order, for `viewer`.
pub(crate) async fn authors(app: &App, ids: &[UserId], viewer: Option<UserId>) -> Result<Vec<Author>, Error> {
    let cards = app.cards.people(&app.users, ids.iter().copied(), viewer).await?;
    Ok(ids.iter().filter_map(|id| cards.get(id)).map(|card| Author::from(&**card)).collect())
}

/// A page of the people before whom the viewer has put a fence of this kind: `GET /me/{list}`.
pub(crate) async fn fenced_off(
    app: &App,
    viewer: Identity,
    kind: Fence,
    list: &str,
    page: PageRequest,
) -> Result<(HeaderMap, Json<List<Author>>), Problem> {
    let page = page.of(format!("{list} of {}", viewer.user_id), |key| Fence::of_key(key).is_some_and(|(_, fence)| fence == kind))?;
    let found = visibility::fenced_off(&app.users, viewer.user_id, kind, page.after.clone(), page.limit).await?;
    Ok(page.answer(&format!("/me/{list}"), authors(app, &found.items, Some(viewer.user_id)).await?, found.next))
}
