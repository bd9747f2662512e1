//! Another password: it ends all other sessions, for whoever changes it may do so because somebody else has it.
//!
//! The password, its version and the version of this session change in one transaction; then the sessions that are older are deleted, and
//! only then is there an answer. A log-in checks in its own transaction that the password is still the one that it was shown, so no session
//! begins with the old one afterwards. If this ends in between, the older sessions can't be renewed; and when the client asks again, it is
//! found that the change was made in this session, and what is left is done.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use tintype_core::{SessionId, Time, UserId};
use tintype_edge::{Body, Checks, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{
    Error, Table,
    table::{Query, number, text},
    users::{self, Session},
    writes::{self, Transaction},
};
use utoipa::ToSchema;

use super::Password;
use crate::{
    App,
    accounts::{
        self,
        confirm::wrong_password,
        store::{Account, update, write},
    },
    caller::Caller,
    profiles,
};

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(example = "correct horse battery")]
    current_password: String,
    /// 8 to 128 characters, and none of the passwords that are guessed first.
    #[schema(example = "purple monkey dishwasher")]
    new_password: String,
}

/// Changes the viewer's password, and logs all their other devices out.
#[utoipa::path(
    put,
    path = "/me/password",
    tag = "accounts",
    request_body = PasswordChange,
    security(("access_token" = [])),
    responses(
        (status = 204, description = "It is changed, and all other sessions have ended; their access tokens end within a minute"),
        (status = 403, description = "`wrong-password`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn change(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let (user, session) = (viewer.user_id, viewer.session_id);
    let (account, profile) = tokio::try_join!(accounts::store::read(&app.users, user), profiles::store::read(&app.users, user))?;
    let (Some(account), Some(profile)) = (account, profile) else { return Err(Problem::unauthorized()) };
    let mut checks = Checks::default();
    let new = checks.keep("/new_password", Password::chosen(&body.new_password, profile.card.username.as_str(), &account.email));
    let Some(new) = new else { return Err(checks.into_problem()) };

    caller.may_confirm(viewer).await?;
    let is = |password: Password| password.matches(Some(account.password_hash.clone()));
    let version = if is(Password::presented(&body.current_password)).await? {
        let version = write_hash(&app.users, user, session, &account, new.hash().await?).await?;
        // All other addresses are strangers from now on.
        caller.succeeded(user, &Account { password_version: version, ..account }, Time::now()).await;
        version
    } else if account.password_changed_by == Some(session) && is(new).await? {
        account.password_version
    } else {
        caller.failed().await;
        return Err(wrong_password());
    };
    end_older(&app.users, user, session, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes the hash, unless the password was changed since it was read; answers the password's version.
async fn write_hash(users: &Table, user: UserId, session: SessionId, account: &Account, hash: String) -> Result<u64, Problem> {
    let version = account.password_version + 1;
    let change = update(users, user, account)
        .update_expression("SET password_hash = :new, password_version = :version, password_changed_by = :session")
        .condition_expression("password_hash = :hash")
        .expression_attribute_values(":new", text(hash))
        .expression_attribute_values(":version", number(version))
        .expression_attribute_values(":session", text(session.to_string()));
    let keep = aws_sdk_dynamodb::types::Update::builder()
        .table_name(&users.name)
        .set_key(Some(users::session(user, session).item()))
        .update_expression("SET password_version = :version")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":version", number(version));
    let mut transaction = Transaction::default();
    transaction.push(write(change));
    let kept = transaction.push(write(keep));
    match transaction.commit(users).await {
        Ok(()) => Ok(version),
        Err(Error::Condition(failed)) if kept.is_in(&failed) => Err(Problem::unauthorized()),
        Err(Error::Condition(_)) => Err(wrong_password()),
        Err(error) => Err(error.into()),
    }
}

/// Deletes all sessions that were begun with an older password, but this one.
async fn end_older(users: &Table, user: UserId, this: SessionId, version: u64) -> Result<(), Error> {
    // What a transaction takes.
    const MOST: usize = 100;
    let mut after = None;
    loop {
        let query =
            Query { pk: users::partition(user), prefix: Some(users::SESSIONS), after, descending: false, consistent: true, limit: MOST };
        let page = users.query::<Session>(query).await?;
        let mut transaction = Transaction::default();
        let older = page.items.iter().filter(|session| session.id != this && session.password_version < version);
        let count = older.map(|session| transaction.push(writes::delete(users, &users::session(user, session.id)))).count();
        if count > 0 {
            transaction.commit(users).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
