//! Another e-mail address.

use tintype_auth::Identity;
use tintype_edge::Problem;

use super::{confirm::confirm, store};
use crate::{App, caller::Caller, email::Email};

/// Takes the new address and lets the old one go, at once; the password is asked again, for an address may one day reset it. The address
/// that one has already is taken once more, whatever was lost on the way.
pub(crate) async fn change_email(app: &App, viewer: Identity, caller: &Caller, email: Email, password: &str) -> Result<(), Problem> {
    let account = confirm(app, viewer, caller, password).await?;
    if account.email == email.as_str() || store::change_email(&app.users, viewer.user_id, &account, &email).await? {
        return Ok(());
    }
    Err(super::email_taken())
}
