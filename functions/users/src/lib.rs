//! Accounts, sessions, profiles, and who follows whom.

mod accounts;
mod email;
mod fields;
mod follows;
mod keys;
mod password;
mod patch;
mod profiles;
mod refresh;
mod sessions;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use axum::Router;
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_tables::{Table, config};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::keys::Keys;

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    users: Table,
    /// Read for the number of a person's posts, and for nothing else.
    posts: Table,
    keys: Arc<Keys>,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let users = Table::from_env(&client, "USERS_TABLE")?;
    let posts = Table::from_env(&client, "POSTS_TABLE")?;
    let secret = config::variable("TOKEN_SECRET_ARN")?;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws);
    let (keys, ()) = tokio::join!(Keys::load(&secrets, &secret), users.warm());
    let mut keys = keys?;
    keys.publish(&users).await?;
    let verifier = Verifier::new(users.clone());
    tintype_edge::serve("users", router(App { users, posts, keys: Arc::new(keys) }), Some(verifier)).await
}

/// The function's routes.
pub fn router(app: App) -> Router {
    api().split_for_parts().0.with_state(app)
}

/// What the function's routes say of themselves.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(accounts::sign_up))
        .routes(routes!(sessions::log_in, sessions::list))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::end))
        .routes(routes!(profiles::own, profiles::update))
        .routes(routes!(profiles::of_another))
        .routes(routes!(follows::follow, follows::unfollow))
        .routes(routes!(follows::followers))
        .routes(routes!(follows::following))
        .routes(routes!(keys::jwks))
}

#[cfg(test)]
mod tests;
