//! How people see themselves and each other.

pub(crate) mod memory;
pub(crate) mod store;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tintype_auth::Identity;
use tintype_core::{Time, UserId, name::Username, patch::Patch, profile::AvatarView, upload::AvatarUploadView};
use tintype_edge::{Body, Checks, MaybeViewer, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{Error, users, visibility};
use utoipa::ToSchema;

use crate::{
    App,
    accounts::{self, email_change::change_email, store::Account},
    caller::Caller,
    email::Email,
    fields,
    settings::{NotificationPatch, NotificationSettings},
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
    #[schema(required)]
    avatar: Option<AvatarView>,
    /// How the newest upload of a picture stands; `null` once the picture is there, or if there was none.
    #[schema(required)]
    avatar_upload: Option<AvatarUploadView>,
    /// Only approved followers see what they post.
    is_private: bool,
    /// Nobody else is shown it.
    email: String,
    /// Whether logging in asks for a second factor.
    totp_enabled: bool,
    /// Of what they are notified.
    notifications: NotificationSettings,
    created_at: Time,
}

impl Me {
    pub(crate) fn new(profile: Profile, account: Account) -> Self {
        let Profile { card, bio, website, avatar_upload, notified } = profile;
        Self {
            id: card.id,
            avatar: card.avatar(),
            avatar_upload: avatar_upload.map(|upload| upload.view(Time::now())),
            is_private: card.is_private,
            username: card.username,
            display_name: card.display_name,
            bio,
            website,
            email: account.email,
            totp_enabled: account.totp_secret.is_some(),
            notifications: (&notified).into(),
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
    #[schema(required)]
    avatar: Option<AvatarView>,
    /// Only approved followers see what they post, and whom they know.
    is_private: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "each is an edge of its own")]
#[derive(Serialize, ToSchema)]
pub(crate) struct Relationship {
    /// The viewer follows the person.
    following: bool,
    /// The viewer waits for the person's approval.
    requested: bool,
    /// The person follows the viewer.
    followed_by: bool,
    /// The viewer blocks the person.
    blocking: bool,
    /// The viewer has muted the person, who does not know.
    muting: bool,
}

impl Counts {
    fn new(follows: users::FollowCounts, posts: i64) -> Self {
        Self { posts, followers: follows.followers, following: follows.following }
    }
}

impl From<visibility::Relationship> for Relationship {
    fn from(edges: visibility::Relationship) -> Self {
        // That the person blocks the viewer is not said: such a person is not there.
        let visibility::Relationship { following, requested, followed_by, blocking, blocked: _, muting } = edges;
        Self { following, requested, followed_by, blocking, muting }
    }
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
    /// Whether only approved followers see one's posts. Whoever turns public approves all requests that wait.
    is_private: Option<bool>,
    /// Needs `current_password`.
    #[schema(example = "ada@example.org")]
    email: Option<String>,
    /// With `email` only.
    #[schema(example = "correct horse battery")]
    current_password: Option<String>,
    /// What is not there stays.
    #[serde(default)]
    notifications: NotificationPatch,
}

/// A new e-mail address, and the password that proves whose account it is.
struct NewEmail {
    email: Email,
    password: String,
}

impl ProfileUpdate {
    fn check(self) -> Result<(Change, Option<NewEmail>), Problem> {
        let mut checks = Checks::default();
        let display_name = checks.keep("/display_name", self.display_name.check(|name| fields::display_name(name).map(Some)));
        let bio = checks.keep("/bio", self.bio.check(|bio| fields::bio(bio)));
        let website = checks.keep("/website", self.website.check(|website| fields::website(website)));
        let email = checks.keep("/email", self.email.as_deref().map(str::parse::<Email>).transpose());
        if self.email.is_some() && self.current_password.is_none() {
            checks.reject("/current_password", "must be there with an e-mail address");
        }
        let (Some(display_name), Some(bio), Some(website), Some(email)) = (display_name, bio, website, email) else {
            return Err(checks.into_problem());
        };
        checks.finish()?;
        let email = email.zip(self.current_password).map(|(email, password)| NewEmail { email, password });
        Ok((Change { display_name, bio, website, is_private: self.is_private, notified: self.notifications }, email))
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
    responses(
        (status = 200, description = "What it is now", body = Me),
        (status = 403, description = "`wrong-password`, with `email`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`email-taken`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn update(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<ProfileUpdate>,
) -> Result<Json<Me>, Problem> {
    let (change, email) = body.check()?;
    // First what may be refused. If the rest fails, the same request again finds the address changed, and goes on.
    if let Some(NewEmail { email, password }) = email {
        change_email(&app, viewer, &caller, email, &password).await?;
    }
    let profile = store::change(&app.users, viewer.user_id, change, Time::now()).await?;
    me(&app, viewer, profile).await
}

async fn me(app: &App, viewer: Identity, profile: Option<Profile>) -> Result<Json<Me>, Problem> {
    let account = accounts::store::read(&app.users, viewer.user_id).await?;
    // A token of somebody whose account is gone: it ends within the quarter of an hour.
    let (Some(profile), Some(account)) = (profile, account) else { return Err(Problem::unauthorized()) };
    Ok(Json(Me::new(profile, account)))
}

/// A person's profile.
///
/// Of a private account everybody sees this much. Who is blocked by the person finds nobody. What others change shows within ten seconds, what
/// the viewer does at once.
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
    let viewer = viewer.map(|viewer| viewer.user_id);
    let id = app.cards.named(&app.users, &username, viewer).await?.ok_or_else(Problem::not_found)?;
    let (profile, counts, relationship) =
        if viewer == Some(id) { of_oneself(&app, id).await? } else { of_somebody(&app, id, viewer).await? };
    if relationship.is_some_and(|relationship| relationship.blocked) {
        return Err(Problem::not_found());
    }
    let profile = profile.ok_or_else(Problem::not_found)?;
    let Profile { card, bio, website, avatar_upload: _, notified: _ } = &*profile;
    Ok(Json(User {
        id,
        username: card.username.clone(),
        display_name: card.display_name.clone(),
        bio: bio.clone(),
        website: website.clone(),
        avatar: card.avatar(),
        is_private: card.is_private,
        counts,
        relationship: relationship.map(Into::into),
    }))
}

type Seen = (Option<Arc<Profile>>, Counts, Option<visibility::Relationship>);

/// As it stands now: whoever has just changed it sees that.
async fn of_oneself(app: &App, id: UserId) -> Result<Seen, Error> {
    let App { profiles, users, posts, .. } = app;
    let (profile, follows, published) =
        tokio::try_join!(profiles.of_now(users, id), profiles.follows_now(users, id), profiles.published_now(posts, id))?;
    Ok((profile, Counts::new(follows, published), None))
}

/// As it is remembered; but how the two stand to each other is as of now, and if that is new, so are the counts of it.
async fn of_somebody(app: &App, id: UserId, viewer: Option<UserId>) -> Result<Seen, Error> {
    let App { profiles, users, posts, .. } = app;
    let relationship = async {
        match viewer {
            Some(viewer) => visibility::Relationship::read_with_age(users, viewer, id, Time::now()).await.map(Some),
            None => Ok(None),
        }
    };
    let (profile, mut follows, published, relationship) =
        tokio::try_join!(profiles.of(users, id), profiles.follows(users, id), profiles.published(posts, id), relationship)?;
    if relationship.is_some_and(|(_, is_new)| is_new) {
        follows = profiles.follows_now(users, id).await?;
    }
    Ok((profile, Counts::new(follows, published), relationship.map(|(relationship, _)| relationship)))
}
