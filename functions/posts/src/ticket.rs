//! Tickets: what a client needs to upload one photo, and can use for nothing else.

use futures::future::try_join_all;
use serde::Serialize;
use tintype_buckets::{Bucket, Error};
use tintype_core::{
    PostId, Time,
    media::UploadKey,
    post::{Photo, Post},
    upload::Upload,
};
use tintype_tables::posts::TICKET_LIFETIME;
use utoipa::ToSchema;

/// Where to upload a photo.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// The photo's place in the post, from 0.
    index: usize,
    /// The request that uploads it.
    upload: Upload,
}

/// A ticket for each photo that `post` waits for. Nothing is asked of the object store: the URLs are signed here.
pub(crate) async fn tickets(uploads: &Bucket, post: &Post) -> Result<Vec<Ticket>, Error> {
    let awaited = post.photos.iter().enumerate().filter(|(_, photo)| !post.is_settled() && photo.rendition.is_none());
    try_join_all(awaited.map(|(index, photo)| ticket(uploads, post.id, index, photo))).await
}

async fn ticket(uploads: &Bucket, post_id: PostId, index: usize, photo: &Photo) -> Result<Ticket, Error> {
    let expires_at = Time::now().plus(TICKET_LIFETIME);
    let key = UploadKey { post_id, index }.to_string();
    let put = uploads.presign_put(&key, photo.content_type.as_str(), photo.bytes, TICKET_LIFETIME).await?;
    Ok(Ticket { index, upload: Upload { method: "PUT", url: put.url, headers: put.headers, expires_at } })
}
