//! Another e-mail address.

use tintype_core::UserId;
use tintype_edge::Problem;

use super::{confirm::confirm, store};
use crate::{App, caller::Caller, email::Email};

/// Takes the new address and lets the old one go, at once; the password is asked again, for an address may one day reset it. The address
/// that one has already is taken once more, whatever was lost on the way.
pub(crate) async fn change_email(app: &App, user: UserId, caller: &Caller, email: Email, password: &str) -> Result<(), Problem> {
    let account = confirm(app, user, caller, password).await?;
    if account.email == email.as_str() || store::change_email(&app.users, user, &account, &email).await? {
        return Ok(());
    }
    Err(super::email_taken())
}
