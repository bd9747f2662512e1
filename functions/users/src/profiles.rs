//! How people see themselves and each other.

pub(crate) mod store;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tintype_auth::Identity;
use tintype_core::{Time, UserId, name::Username};
use tintype_edge::{Body, Checks, MaybeViewer, PathId, Problem, Viewer, responses};
use tintype_tables::{Error, Table, users};
use utoipa::ToSchema;

use crate::{
    App,
    accounts::{self, store::Account},
    fields,
    patch::Patch,
};
use store::{Change, Profile};

/// A person as they see themselves.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    pub(crate) id: UserId,
    username: Username,
    display_name: String,
    bio: Option<String>,
    website: Option<String>,
    /// Nobody else is shown it.
    email: String,
    created_at: Time,
}

impl Me {
    pub(crate) fn new(profile: Profile, account: Account) -> Self {
        let Profile { card, bio, website } = profile;
        Self {
            id: card.id,
            username: card.username,
            display_name: card.display_name,
            bio,
            website,
            email: account.email,
            created_at: account.created_at,
        }
    }
}

/// A person as others see them.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    id: UserId,
    username: Username,
    display_name: String,
    bio: Option<String>,
    website: Option<String>,
    counts: Counts,
    /// Only where a viewer is known, and is somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    relationship: Option<Relationship>,
}

/// How much there is of a person; a change shows a moment later.
#[derive(Serialize, ToSchema)]
#[schema(as = UserCounts)]
pub(crate) struct Counts {
    /// Published posts.
    posts: i64,
    followers: i64,
    following: i64,
}

/// How viewer and person stand to each other, as of now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Relationship {
    /// The viewer follows the person.
    following: bool,
    /// The person follows the viewer.
    followed_by: bool,
}

/// What a person changes about themselves: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileUpdate {
    /// 1 to 50 characters; without one it is the username.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Ada Lovelace")]
    display_name: Patch,
    /// Up to 150 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Analyst, metaphysician")]
    bio: Patch,
    /// An http or https address of up to 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "https://example.org/ada")]
    website: Patch,
}

impl ProfileUpdate {
    fn check(self) -> Result<Change, Problem> {
        let mut checks = Checks::default();
        let display_name = checks.keep("/display_name", self.display_name.check(|name| fields::display_name(name).map(Some)));
        let bio = checks.keep("/bio", self.bio.check(fields::bio));
        let website = checks.keep("/website", self.website.check(fields::website));
        let (Some(display_name), Some(bio), Some(website)) = (display_name, bio, website) else {
            return Err(checks.into_problem());
        };
        Ok(Change { display_name, bio, website })
    }
}

/// The viewer's own account and profile.
#[utoipa::path(
    get,
    path = "/me",
    tag = "users",
    security(("access_token" = [])),
    responses((status = 200, description = "They", body = Me), responses::Authenticated)
)]
pub(crate) async fn own(State(app): State<App>, Viewer(viewer): Viewer) -> Result<Json<Me>, Problem> {
    let profile = store::read(&app.users, viewer.user_id).await?;
    me(&app, viewer, profile).await
}

/// Changes the viewer's own profile.
#[utoipa::path(
    patch,
    path = "/me",
    tag = "users",
    request_body = ProfileUpdate,
    security(("access_token" = [])),
    responses((status = 200, description = "What it is now", body = Me), responses::Authenticated, responses::WithBody)
)]
pub(crate) async fn update(State(app): State<App>, Viewer(viewer): Viewer, Body(body): Body<ProfileUpdate>) -> Result<Json<Me>, Problem> {
    let profile = store::change(&app.users, viewer.user_id, body.check()?).await?;
    me(&app, viewer, profile).await
}

async fn me(app: &App, viewer: Identity, profile: Option<Profile>) -> Result<Json<Me>, Problem> {
    let account = accounts::store::read(&app.users, viewer.user_id).await?;
    // A token of somebody whose account is gone: it ends within the quarter of an hour.
    let (Some(profile), Some(account)) = (profile, account) else { return Err(Problem::unauthorized()) };
    Ok(Json(Me::new(profile, account)))
}

/// A person's profile.
#[utoipa::path(
    get,
    path = "/users/{username}",
    tag = "users",
    params(("username" = Username, Path, description = "Whose")),
    security((), ("access_token" = [])),
    responses((status = 200, description = "The person", body = User), responses::Authenticated, responses::Lookup)
)]
pub(crate) async fn of_another(
    State(app): State<App>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(username): PathId<Username>,
) -> Result<Json<User>, Problem> {
    let id = users::find(&app.users, &username).await?.ok_or_else(Problem::not_found)?;
    let viewer = viewer.map(|viewer| viewer.user_id).filter(|viewer| *viewer != id);
    let (profile, counts, relationship) =
        tokio::try_join!(store::read(&app.users, id), counts(&app, id), relationship(&app.users, viewer, id))?;
    let Profile { card, bio, website } = profile.ok_or_else(Problem::not_found)?;
    Ok(Json(User { id, username: card.username, display_name: card.display_name, bio, website, counts, relationship }))
}

async fn counts(app: &App, id: UserId) -> Result<Counts, Error> {
    let (follows, posts) = tokio::try_join!(users::follow_counts(&app.users, id), store::published_posts(&app.posts, id))?;
    Ok(Counts { posts, followers: follows.followers, following: follows.following })
}

async fn relationship(users: &Table, viewer: Option<UserId>, person: UserId) -> Result<Option<Relationship>, Error> {
    let Some(viewer) = viewer else { return Ok(None) };
    let (following, followed_by) =
        tokio::try_join!(users::followed_since(users, viewer, person), users::followed_since(users, person, viewer))?;
    Ok(Some(Relationship { following: following.is_some(), followed_by: followed_by.is_some() }))
}
