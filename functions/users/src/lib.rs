//! Accounts, sessions, profiles, and who follows whom.

mod accounts;
mod avatar;
mod blocks;
mod caller;
mod deletion;
mod email;
mod export;
mod fields;
mod follows;
mod jobs;
mod keys;
mod mutes;
mod password;
mod people;
mod profiles;
mod refresh;
mod requests;
mod sessions;
mod settings;
mod suggestions;
mod totp;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use axum::Router;
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_buckets::Bucket;
use tintype_tables::{Table, cards::Cards, config, memory::Life};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{keys::Keys, profiles::memory::Profiles, suggestions::Circles};

/// What hashing a password takes, in KiB of memory and in passes over it: for the benchmark, `examples/argon2-cost.rs`.
pub const ARGON2_MEMORY_KIB: u32 = password::MEMORY_KIB;
/// See [`ARGON2_MEMORY_KIB`].
pub const ARGON2_PASSES: u32 = password::PASSES;

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    users: Table,
    /// Read for the number of a person's posts, and for nothing else.
    posts: Table,
    /// What is remembered of people, as lists show them.
    cards: Cards,
    /// What is remembered of them, as their profiles show them.
    profiles: Profiles,
    /// What is remembered for suggestions.
    circles: Circles,
    /// Archives, to be fetched with a link.
    exports: Bucket,
    /// Where tickets for pictures lead.
    uploads: Bucket,
    /// Where pictures are.
    media: Bucket,
    keys: Arc<Keys>,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let users = Table::from_env(&client, "USERS_TABLE")?;
    let posts = Table::from_env(&client, "POSTS_TABLE")?;
    let buckets = tintype_buckets::client(&aws);
    let exports = Bucket::from_env(&buckets, "EXPORTS_BUCKET")?;
    let uploads = Bucket::from_env(&buckets, "UPLOADS_BUCKET")?;
    let media = Bucket::from_env(&buckets, "MEDIA_BUCKET")?;
    let secret = config::variable("TOKEN_SECRET_ARN")?;
    let secrets = keys::client(&aws);
    let (keys, ()) = tokio::join!(Keys::load(secrets, secret, users.clone()), users.warm());
    let keys = keys?;
    let verifier = Verifier::new(users.clone());
    let app = App {
        users,
        posts,
        cards: Cards::from_env()?,
        profiles: Profiles::lasting(Life::from_env()?),
        circles: Circles::lasting(Life::from_env()?),
        exports,
        uploads,
        media,
        keys: Arc::new(keys),
    };
    tintype_edge::serve("users", router(app), Some(verifier)).await
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
        .routes(routes!(password::change::change))
        .routes(routes!(totp::begin, totp::enable, totp::disable))
        .routes(routes!(sessions::log_in::log_in, sessions::list))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::end))
        .routes(routes!(profiles::own, profiles::update, deletion::delete))
        .routes(routes!(avatar::change, avatar::remove))
        .routes(routes!(suggestions::suggested))
        .routes(routes!(profiles::of_another))
        .routes(routes!(follows::follow, follows::unfollow))
        .routes(routes!(follows::followers))
        .routes(routes!(follows::following))
        .routes(routes!(requests::list))
        .routes(routes!(requests::approve, requests::refuse))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(blocks::list))
        .routes(routes!(mutes::mute, mutes::unmute))
        .routes(routes!(mutes::list))
        .routes(routes!(deletion::status))
        .routes(routes!(export::request))
        .routes(routes!(export::status))
        .routes(routes!(keys::jwks))
}

#[cfg(test)]
mod graph_tests;
#[cfg(test)]
mod tests;
