//! Posts: tickets for their photographs, posts to read, to like and to save, and their deletion.
//!
//! A post is made without its photographs: `POST /posts` answers a ticket for each, and whoever holds them uploads to the object
//! store directly. What happens then is `photo-processor`'s; how it stands is read here, with `?wait=` until it changes.

mod create;
mod delete;
mod edit;
mod fields;
mod likes;
mod lists;
mod read;
mod saves;
mod ticket;

use axum::Router;
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_buckets::{Bucket, PrivateMedia};
use tintype_tables::{Table, cards::Cards, config};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the function reads and writes.
#[derive(Clone)]
pub struct Stores {
    /// Read for names and cards.
    users: Table,
    /// The posts.
    posts: Table,
    /// Read for how many comments there are.
    comments: Table,
    /// What is remembered of posts, of their counts, and of people.
    cards: Cards,
    /// Where tickets lead.
    uploads: Bucket,
    /// Where the photographs of private accounts are.
    media: PrivateMedia,
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
        uploads: Bucket::from_env(&tintype_buckets::client(&aws), "UPLOADS_BUCKET")?,
        media: PrivateMedia::from_env(&aws, "MEDIA_BUCKET")?,
    };
    stores.posts.warm().await;
    let verifier = Verifier::new(stores.users.clone());
    tintype_edge::serve("posts", router(stores), Some(verifier)).await
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
        .routes(routes!(create::create_post))
        .routes(routes!(read::get_post, edit::edit_post, delete::delete_post))
        .routes(routes!(likes::like_post, likes::unlike_post))
        .routes(routes!(likes::list_likes))
        .routes(routes!(saves::save_post, saves::unsave_post))
        .routes(routes!(saves::list_saved))
        .routes(routes!(lists::list_unpublished))
        .routes(routes!(lists::list_published))
}

#[cfg(test)]
mod tests;
