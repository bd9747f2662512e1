//! The password asked again, of somebody who is logged in: what follows can't be undone by whoever finds a telephone.

use axum::http::StatusCode;
use tintype_auth::Identity;
use tintype_edge::Problem;

use super::store::{self, Account};
use crate::{App, caller::Caller, password::Password};

/// The account of somebody whose password this is; 403 `wrong-password` if it is not. 401 would have apps log out.
pub(crate) async fn confirm(app: &App, viewer: Identity, caller: &Caller, password: &str) -> Result<Account, Problem> {
    caller.may_confirm(viewer).await?;
    let account = store::read(&app.users, viewer.user_id).await?.ok_or_else(Problem::unauthorized)?;
    if Password::presented(password).matches(Some(account.password_hash.clone())).await? {
        return Ok(account);
    }
    caller.failed().await;
    Err(wrong_password())
}

pub(crate) fn wrong_password() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "wrong-password", "The password is not right.")
}
