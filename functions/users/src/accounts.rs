//! Signing up.

pub(crate) mod confirm;
pub(crate) mod email_change;
pub(crate) mod store;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use tintype_core::{Time, UserId, name::Username};
use tintype_edge::{Body, Checks, Problem, ProblemBody, responses};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    email::Email,
    fields,
    password::Password,
    profiles::{Me, store::Profile},
    sessions::{self, SignedIn},
};
use store::{Account, Taken};

/// A person who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUp {
    /// 3 to 30 letters a-z, digits, dots or underscores; upper case is taken for lower case.
    #[schema(example = "ada")]
    username: String,
    /// Kept in lower case; nobody else is shown it.
    #[schema(example = "ada@example.org")]
    email: String,
    /// 8 to 128 characters, and none of the passwords that are guessed first.
    #[schema(example = "correct horse battery")]
    password: String,
    /// 1 to 50 characters; without one it is the username.
    #[schema(example = "Ada Lovelace")]
    display_name: Option<String>,
}

/// A sign-up in which nothing is wrong.
struct Applicant {
    username: Username,
    email: Email,
    password: Password,
    display_name: Option<String>,
}

impl SignUp {
    fn check(self) -> Result<Applicant, Problem> {
        let mut checks = Checks::default();
        let username = checks.keep("/username", self.username.parse::<Username>());
        if username.as_ref().is_some_and(Username::is_reserved) {
            checks.reject("/username", "is reserved");
        }
        let email = checks.keep("/email", self.email.parse::<Email>());
        let password = checks.keep("/password", Password::chosen(&self.password, &self.username, &self.email));
        let display_name = self.display_name.as_deref().map(fields::display_name).transpose();
        let display_name = checks.keep("/display_name", display_name);
        let (Some(username), Some(email), Some(password), Some(display_name)) = (username, email, password, display_name) else {
            return Err(checks.into_problem());
        };
        checks.finish()?;
        Ok(Applicant { username, email, password, display_name })
    }
}

/// Signs up, and logs in.
#[utoipa::path(
    post,
    path = "/accounts",
    tag = "accounts",
    request_body = SignUp,
    responses(
        (status = 201, description = "The account, and tokens for this device", body = SignedIn),
        (status = 409, description = "`username-taken` or `email-taken`", body = ProblemBody, content_type = "application/problem+json"),
        responses::WithBody,
    )
)]
pub(crate) async fn sign_up(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    Body(body): Body<SignUp>,
) -> Result<Response, Problem> {
    let Applicant { username, email, password, display_name } = body.check()?;
    let password_hash = password.hash().await?;
    let (id, now) = (UserId::new(), Time::now());
    let account = Account::new(&email, password_hash, now);
    let profile = Profile::new(id, username, display_name);
    let session = sessions::store::begin(&headers, now, account.password_version);
    store::create(&app.users, &account, &profile, &session).await?.map_err(taken)?;
    caller.succeeded(id, &account, now).await;
    let user = Me::new(profile, account);
    sessions::signed_in(&app, StatusCode::CREATED, user, &session, now).await
}

fn taken(taken: Taken) -> Problem {
    match taken {
        Taken::Username => Problem::conflict("username-taken", "The username is taken."),
        Taken::Email => email_taken(),
        Taken::Both => Problem::conflict("username-taken", "The username is taken, and there is an account with this e-mail address."),
    }
}

fn email_taken() -> Problem {
    Problem::conflict("email-taken", "There is an account with this e-mail address.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_username_is_told_with_all_else_that_is_wrong() {
        let sign_up = |email: &str| SignUp {
            username: "Suggested".to_owned(),
            email: email.to_owned(),
            password: "correct horse battery".to_owned(),
            display_name: None,
        };
        for (email, pointers) in [("ada@example.org", &["/username"][..]), ("nowhere", &["/username", "/email"])] {
            let problem = sign_up(email).check().err().unwrap();
            assert_eq!(problem.errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), pointers);
        }
    }
}
