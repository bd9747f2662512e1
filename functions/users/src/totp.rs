//! A second factor: codes of an app that shares a secret with us (TOTP, RFC 6238), and recovery codes for who has lost it.
//!
//! The secret lies in the account's item as it is, for codes can't be checked against a hash. It is not enciphered by us: the table is, at
//! rest, and a key of our own would be one more thing to lose when keys are rotated.

pub(crate) mod code;
pub(crate) mod recovery;
mod store;

use aws_lc_rs::rand;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use tintype_core::Time;
use tintype_edge::{Body, Problem, ProblemBody, Viewer, responses};
use utoipa::ToSchema;

use crate::{
    App,
    accounts::{self, confirm::confirm, store::Account},
    caller::Caller,
    profiles,
    sessions::unkept,
};
use code::Secret;

/// The password, asked again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    #[schema(example = "correct horse battery")]
    password: String,
}

/// The password and the second factor, asked again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    #[schema(example = "correct horse battery")]
    password: String,
    /// What the app shows now, or a recovery code; needed where a second factor is on.
    #[schema(example = "287082")]
    code: Option<String>,
}

/// What an authenticator app needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Enrolment {
    /// In base 32, to be typed.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same, to be shown as a QR code.
    #[schema(
        example = "otpauth://totp/Tintype:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tintype&algorithm=SHA1&digits=6&period=30"
    )]
    uri: String,
}

/// The proof that the app has the secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstCode {
    /// What the app shows now.
    #[schema(example = "287082")]
    code: String,
}

/// What helps whoever has lost the app.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    /// Each stands for a code of the app, once. They are not shown again.
    recovery_codes: Vec<String>,
}

/// How a log-in was proved beyond the password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SecondFactor {
    /// There is none to be proved.
    NotAsked,
    /// By the app's code of this step.
    Step(u64),
    /// By the recovery code with this hash.
    Recovery(String),
}

/// Makes a second factor, which `PUT` switches on.
#[utoipa::path(
    post,
    path = "/me/totp",
    tag = "accounts",
    request_body = Confirmation,
    security(("access_token" = [])),
    responses(
        (status = 201, description = "The secret, for an authenticator app; an earlier one that was not switched on is void", body = Enrolment),
        (status = 403, description = "`wrong-password`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`totp-enabled`: there is a second factor already", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn begin(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<Confirmation>,
) -> Result<Response, Problem> {
    let account = confirm(&app, viewer, &caller, &body.password).await?;
    let profile = profiles::store::read(&app.users, viewer.user_id).await?.ok_or_else(Problem::unauthorized)?;
    let secret = Secret::new().map_err(no_randomness)?;
    if account.totp_secret.is_some() || !store::begin(&app.users, viewer.user_id, &account, &secret).await? {
        return Err(enabled());
    }
    let uri = secret.uri(&profile.card.username);
    Ok(unkept(StatusCode::CREATED, Enrolment { secret: secret.to_base32(), uri }))
}

/// Switches the second factor on.
#[utoipa::path(
    put,
    path = "/me/totp",
    tag = "accounts",
    request_body = FirstCode,
    security(("access_token" = [])),
    responses(
        (status = 200, description = "It is on. These codes are shown once", body = RecoveryCodes),
        (status = 403, description = "`wrong-code`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`totp-not-begun`: there is no secret that waits for its first code; `totp-enabled`: it is on already", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn enable(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<FirstCode>,
) -> Result<Response, Problem> {
    caller.may_confirm(viewer).await?;
    let account = accounts::store::read(&app.users, viewer.user_id).await?.ok_or_else(Problem::unauthorized)?;
    if account.totp_secret.is_some() {
        return Err(enabled());
    }
    let pending = account.totp_pending.as_deref().and_then(Secret::from_base32).ok_or_else(not_begun)?;
    let now = Time::now();
    let step = pending.step_of(&body.code, now, None).ok_or_else(wrong_code)?;
    let codes = recovery::generate().map_err(no_randomness)?;
    let hashes = codes.iter().map(|code| recovery::hash(code)).collect();
    if !store::enable(&app.users, viewer.user_id, &account, &pending, step, hashes).await? {
        return Err(not_begun());
    }
    // All other addresses are strangers from now on: nobody has shown a code there.
    caller.succeeded(viewer.user_id, &Account { totp_secret: account.totp_pending.clone(), ..account }, now).await;
    Ok(unkept(StatusCode::OK, RecoveryCodes { recovery_codes: codes }))
}

/// Switches the second factor off.
///
/// By the password and a code, as one logs in: whoever has found a telephone that is logged in, and knows the password, must not get rid of
/// it. Where none is on, the password is enough: a secret that waits is thrown away.
#[utoipa::path(
    delete,
    path = "/me/totp",
    tag = "accounts",
    request_body = Removal,
    security(("access_token" = [])),
    responses(
        (status = 204, description = "There is none"),
        (status = 403, description = "`wrong-password`; `totp-required`: the password is right, and `code` is missing; `wrong-code`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn disable(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<Removal>,
) -> Result<StatusCode, Problem> {
    let account = confirm(&app, viewer, &caller, &body.password).await?;
    if account.totp_secret.is_some() {
        let Some(code) = body.code else {
            return Err(Problem::forbidden("totp-required", "A code of the app, or a recovery code, is needed too."));
        };
        caller.may_confirm_by_code(viewer).await?;
        if judge(&account, &code, Time::now()).is_none() {
            caller.failed().await;
            return Err(wrong_code());
        }
    }
    store::disable(&app.users, viewer.user_id, &account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Judges what somebody with the right password typed as the second factor; `None`: it is not right. That it is used once is for the
/// session's transaction to say.
pub(crate) fn judge(account: &Account, typed: &str, now: Time) -> Option<SecondFactor> {
    let secret = account.totp_secret.as_deref().and_then(Secret::from_base32)?;
    if let Some(step) = secret.step_of(typed, now, account.totp_last_step) {
        return Some(SecondFactor::Step(step));
    }
    let hash = recovery::hash(typed);
    account.totp_recovery.contains(&hash).then_some(SecondFactor::Recovery(hash))
}

/// Random bytes of the kind that keys are made of.
fn random<const N: usize>() -> Result<[u8; N], aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

fn no_randomness(_: aws_lc_rs::error::Unspecified) -> Problem {
    Problem::internal("the system gives no random bytes")
}

fn wrong_code() -> Problem {
    Problem::forbidden("wrong-code", "The code is not right.")
}

fn enabled() -> Problem {
    Problem::conflict("totp-enabled", "A second factor is on already: to have another, switch it off first (DELETE /me/totp).")
}

fn not_begun() -> Problem {
    Problem::conflict(
        "totp-not-begun",
        "There is no secret that waits for its first code: ask for one (POST /me/totp), then send the code that the app shows.",
    )
}
