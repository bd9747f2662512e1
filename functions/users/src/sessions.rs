//! Staying logged in, and logging out; [`log_in`] says how it begins.

pub(crate) mod log_in;
pub(crate) mod store;

use std::str::FromStr;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tintype_auth::{Claims, LIFETIME};
use tintype_core::{SessionId, Time};
use tintype_edge::{Body, PageRequest, Parameters, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::users::{self, Session};
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::{
    App, accounts,
    caller::Caller,
    profiles::Me,
    refresh::{Decision, RefreshToken, rotate},
};

/// A session that is to go on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The newest that was answered.
    refresh_token: String,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// For the header `Authorization: Bearer ...`.
    access_token: String,
    /// Good for one `POST /sessions/refresh`, within 30 days.
    refresh_token: String,
    /// When the access token ends, in seconds from now.
    expires_in: u64,
    /// Always `Bearer`.
    token_type: &'static str,
}

/// A person who has just logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    user: Me,
    #[serde(flatten)]
    tokens: Tokens,
}

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Device {
    id: SessionId,
    /// When the person logged in.
    created_at: Time,
    /// When its tokens were last renewed.
    last_refreshed_at: Time,
    /// When it will be logged out, unless its tokens are renewed before.
    expires_at: Time,
    /// What the device called itself at the log-in.
    user_agent: Option<String>,
}

/// The devices on which a person is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Devices {
    /// The last log-in first.
    items: Vec<Device>,
    /// Where the next page starts; `null` if this was the last.
    next_cursor: Option<String>,
    /// The session of this request.
    current: SessionId,
}

/// Which of the viewer's sessions a path means.
pub(crate) enum Which {
    /// `current`: the session of the request. Whoever logs out need not know its id.
    Current,
    Other(SessionId),
}

impl FromStr for Which {
    type Err = <SessionId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "current" { Ok(Self::Current) } else { text.parse().map(Self::Other) }
    }
}

/// Renews a session's tokens.
///
/// Each refresh token is good for one renewal. If the answer gets lost, the same token is answered with the same refresh token again,
/// until that one is used, and for a minute at most. A token that comes back later ends the session: somebody has copied it.
#[utoipa::path(
    post,
    path = "/sessions/refresh",
    tag = "sessions",
    request_body = Refresh,
    responses(
        (status = 200, description = "The next pair", body = Tokens),
        (status = 401, description = "`unauthorized`: no refresh token, or of a session that has ended; `refresh-reused`: it was used before, and its session has ended now", body = ProblemBody, content_type = "application/problem+json"),
        responses::WithBody,
    )
)]
pub(crate) async fn refresh(State(app): State<App>, caller: Caller, Body(body): Body<Refresh>) -> Result<Response, Problem> {
    let Some(presented) = app.keys.open(&body.refresh_token).await else {
        // Nobody has sealed it: it is guessed.
        caller.failed().await;
        return Err(ended());
    };
    let now = Time::now();
    let generation = successor(&app, presented, now).await?;
    let tokens = tokens(&app, RefreshToken { generation, ..presented }, now).await?;
    Ok(unkept(StatusCode::OK, tokens))
}

/// The generation that answers a presented token.
async fn successor(app: &App, presented: RefreshToken, now: Time) -> Result<u64, Problem> {
    let RefreshToken { user_id, session_id, generation } = presented;
    // Whoever loses against another renewal has a new session to judge; the loser's token is the previous one then: twice at most.
    loop {
        // The account first: a session that changes the password meanwhile is newer than it, and not older.
        let account = accounts::store::read(&app.users, user_id).await?.ok_or_else(ended)?;
        let session = users::live_session(&app.users, user_id, session_id, now).await?.ok_or_else(ended)?;
        if session.password_version < account.password_version {
            // Whoever changed the password has not come to delete it, or has died before.
            store::end(&app.users, user_id, session_id, now).await?;
            return Err(ended());
        }
        match rotate(&session, generation, now) {
            Decision::Rotate => {
                if let Some(next) = store::advance(&app.users, user_id, &session, now).await? {
                    return Ok(next);
                }
            }
            Decision::Repeat => return Ok(session.generation),
            Decision::Revoke => {
                telemetry::field("session.reused_generations_ago", session.generation.saturating_sub(generation));
                store::end(&app.users, user_id, session_id, now).await?;
                let detail = "The refresh token was used before: its session has ended, please log in again.";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "refresh-reused", detail));
            }
        }
    }
}

/// The devices on which the viewer is logged in.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = "sessions",
    params(PageRequest),
    security(("access_token" = [])),
    responses((status = 200, description = "A page of them", body = Devices), responses::Authenticated, responses::Query)
)]
pub(crate) async fn list(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<Devices>), Problem> {
    let is_key = |key: &str| key.strip_prefix(users::SESSIONS).is_some_and(|id| id.parse::<SessionId>().is_ok());
    let page = page.of(format!("sessions {}", viewer.user_id), is_key)?;
    let found = store::page(&app.users, viewer.user_id, page.after.clone(), page.limit, Time::now()).await?;
    let devices = found.items.into_iter().filter_map(device).collect();
    let (headers, Json(list)) = page.answer("/sessions", devices, found.next);
    Ok((headers, Json(Devices { items: list.items, next_cursor: list.next_cursor, current: viewer.session_id })))
}

/// Logs a device of the viewer out; its access token ends with it within a minute.
#[utoipa::path(
    delete,
    path = "/sessions/{session_id}",
    tag = "sessions",
    params(("session_id" = String, Path, description = "The session's id, or `current`")),
    security(("access_token" = [])),
    responses((status = 204, description = "It is logged out"), responses::Authenticated, responses::Lookup)
)]
pub(crate) async fn end(State(app): State<App>, Viewer(viewer): Viewer, PathId(which): PathId<Which>) -> Result<StatusCode, Problem> {
    let session = match which {
        Which::Current => viewer.session_id,
        Which::Other(id) => id,
    };
    let was_alive = store::end(&app.users, viewer.user_id, session, Time::now()).await?;
    if was_alive { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// The answer to whoever has just proved who they are.
pub(crate) async fn signed_in(app: &App, status: StatusCode, user: Me, session: &Session, now: Time) -> Result<Response, Problem> {
    let token = RefreshToken { user_id: user.id, session_id: session.id, generation: session.generation };
    let tokens = tokens(app, token, now).await?;
    Ok(unkept(status, SignedIn { user, tokens }))
}

async fn tokens(app: &App, refresh: RefreshToken, now: Time) -> Result<Tokens, Problem> {
    let claims = Claims::new(refresh.user_id, refresh.session_id, now);
    let keys = app.keys.now().await;
    Ok(Tokens {
        access_token: keys.signer.sign(&claims).map_err(Problem::internal)?,
        refresh_token: keys.seal(&refresh),
        expires_in: LIFETIME.as_secs(),
        token_type: "Bearer",
    })
}

/// Nobody on the way may keep a token (RFC 6749 §5.1).
pub(crate) fn unkept(status: StatusCode, body: impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn ended() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "The refresh token is not valid, or its session has ended.")
}

fn device(session: Session) -> Option<Device> {
    Some(Device {
        id: session.id,
        created_at: session.created_at,
        last_refreshed_at: session.rotated_at,
        expires_at: Time::from_seconds(session.expires_at)?,
        user_agent: session.user_agent,
    })
}
