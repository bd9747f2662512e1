//! Comments on posts, replies to them, and their likes.
//!
//! Whoever sees a post sees its comments, but for those of people between whom and the viewer there is a block, and writes some if the
//! post's author lets people comment. What a deleted comment leaves behind is `comments-worker`'s.

mod create;
mod delete;
mod likes;
mod read;
mod sight;
mod view;
mod writing;

use axum::Router;
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_tables::{Table, cards::Cards, config};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the function reads and writes.
#[derive(Clone)]
pub struct Stores {
    /// Read for cards, and for who may see what.
    users: Table,
    /// Read for what is commented on.
    posts: Table,
    /// The comments.
    comments: Table,
    /// What is remembered of people.
    cards: Cards,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let tables = aws_sdk_dynamodb::Client::new(&aws);
    let stores = Stores {
        users: Table::from_env(&tables, "USERS_TABLE")?,
        posts: Table::from_env(&tables, "POSTS_TABLE")?,
        comments: Table::from_env(&tables, "COMMENTS_TABLE")?,
        cards: Cards::from_env()?,
    };
    stores.comments.warm().await;
    let verifier = Verifier::new(stores.users.clone());
    tintype_edge::serve("comments", router(stores), Some(verifier)).await
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
    OpenApiRouter::default()
        .routes(routes!(create::create_comment, read::list_comments))
        .routes(routes!(read::get_comment, delete::delete_comment))
        .routes(routes!(read::list_replies))
        .routes(routes!(likes::like_comment, likes::unlike_comment))
}

#[cfg(test)]
mod tests;
