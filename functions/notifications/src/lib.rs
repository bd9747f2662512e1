//! What somebody was told, how much of it is new, and that it was read.

mod list;
mod reading;
mod sight;
mod summary;

use aws_sdk_dynamodb::Client;
use axum::{Router, routing::get};
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_buckets::PrivateMedia;
use tintype_tables::{Table, cards::Cards, config};
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the function works with.
#[derive(Clone)]
pub struct Stores {
    users: Table,
    posts: Table,
    comments: Table,
    notifications: Table,
    /// What is remembered of people.
    cards: Cards,
    /// Where the photographs of private accounts are.
    media: PrivateMedia,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let stores = Stores {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        comments: Table::from_env(&client, "COMMENTS_TABLE")?,
        notifications: Table::from_env(&client, "NOTIFICATIONS_TABLE")?,
        cards: Cards::from_env()?,
        media: PrivateMedia::from_env(&aws, "MEDIA_BUCKET")?,
    };
    stores.notifications.warm().await;
    let verifier = Verifier::new(stores.users.clone());
    tintype_edge::serve("notifications", router(stores), Some(verifier)).await
}

/// The function's routes.
pub fn router(stores: Stores) -> Router {
    api().split_for_parts().0.with_state(stores)
}

/// What the function's routes say of themselves.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<Stores> {
    OpenApiRouter::with_openapi(Parts::openapi())
        .routes(routes!(list::list))
        .routes(routes!(reading::unread_count))
        .routes(routes!(reading::read))
        .route("/notifications/summary", get(summary::summary))
}

/// What no route of the gateway answers by itself, but `home` does in its answer.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(summary::Summary)))]
struct Parts;

#[cfg(test)]
mod tests;
