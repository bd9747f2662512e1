//! Logging in.
//!
//! Who has no account costs the same reads and the same hash as who has, and is counted alike: neither the answer nor its time says whether
//! there is one. That a second factor is on is said to whoever has the password, and to nobody else.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use tintype_core::{Time, UserId};
use tintype_edge::{Body, Problem, ProblemBody, responses};
use utoipa::ToSchema;

use super::{SignedIn, signed_in, store};
use crate::{
    App,
    accounts::{
        self,
        store::{Account, Login},
    },
    caller::{Caller, Standing},
    password::Password,
    profiles::{self, Me},
    totp::{self, SecondFactor},
};

/// A person who has an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    /// Username or e-mail address.
    #[schema(example = "ada")]
    login: String,
    #[schema(example = "correct horse battery")]
    password: String,
    /// The app's code, or a recovery code, where a second factor is on.
    #[schema(example = "287082")]
    totp: Option<String>,
}

/// Logs in.
#[utoipa::path(
    post,
    path = "/sessions",
    tag = "sessions",
    request_body = LogIn,
    responses(
        (status = 201, description = "Tokens for this device", body = SignedIn),
        (status = 401, description = "`invalid-credentials`: no such account, or another password, or another code; `totp-required`: the password is right, and `totp` is missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`quota-exceeded`: too many tries with this login", body = ProblemBody, content_type = "application/problem+json"),
        responses::WithBody,
    )
)]
pub(crate) async fn log_in(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    Body(body): Body<LogIn>,
) -> Result<Response, Problem> {
    let login = Login::of(&body.login);
    caller.may_log_in(&login).await?;
    let user = accounts::store::find_by_login(&app.users, &login).await?.unwrap_or_else(UserId::new);
    let account = accounts::store::read(&app.users, user).await?;
    let standing = caller.may_log_in_as(&login, user, account.as_ref()).await?;
    let password_hash = account.as_ref().map(|account| account.password_hash.clone());
    let is_right = Password::presented(&body.password).matches(password_hash).await?;
    let Some(account) = account.filter(|_| is_right) else { return Err(refused(&caller).await) };

    let now = Time::now();
    let factor = second_factor(&caller, standing, user, &account, body.totp.as_deref(), now).await?;
    let session = store::begin(&headers, now, account.password_version);
    if !store::write(&app.users, user, &account, &factor, &session).await? {
        // Since it was read the password has changed, or the code was used.
        return Err(refused(&caller).await);
    }
    caller.succeeded(user, &account, now).await;
    let profile = profiles::store::read(&app.users, user).await?.ok_or_else(invalid)?;
    signed_in(&app, StatusCode::CREATED, Me::new(profile, account), &session, now).await
}

async fn second_factor(
    caller: &Caller,
    standing: Standing,
    user: UserId,
    account: &Account,
    typed: Option<&str>,
    now: Time,
) -> Result<SecondFactor, Problem> {
    if account.totp_secret.is_none() {
        return Ok(SecondFactor::NotAsked);
    }
    let Some(typed) = typed else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "totp-required", "This account asks for a second factor too."));
    };
    caller.may_try_code(standing, user).await?;
    match totp::judge(account, typed, now) {
        Some(factor) => Ok(factor),
        None => Err(refused(caller).await),
    }
}

async fn refused(caller: &Caller) -> Problem {
    caller.failed().await;
    invalid()
}

fn invalid() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "There is no account with this login and password.")
}
