//! Tickets: what a client needs to upload one photo, and can use for nothing else.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use futures::future::try_join_all;
use serde::Serialize;
use tintype_buckets::{Bucket, Error};
use tintype_core::{
    PostId, Time,
    media::UploadKey,
    post::{Photo, Post},
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

/// A request to the object store, whose body is the photo.
#[derive(Debug, Serialize, ToSchema)]
struct Upload {
    /// Always `PUT`.
    method: &'static str,
    /// Absolute; carries its own permission, so treat it as a secret.
    url: String,
    /// To be sent exactly so. Browsers set `content-length` themselves, from the body.
    #[schema(example = json!({"content-length": "1234567", "content-type": "image/jpeg"}))]
    headers: BTreeMap<String, String>,
    /// When the URL stops working.
    expires_at: Time,
}

/// A ticket for each photo of `post`. Nothing is asked of the object store: the URLs are signed here.
pub(crate) async fn tickets(uploads: &Bucket, post: &Post) -> Result<Vec<Ticket>, Error> {
    try_join_all(post.photos.iter().enumerate().map(|(index, photo)| ticket(uploads, post.id, index, photo))).await
}

async fn ticket(uploads: &Bucket, post_id: PostId, index: usize, photo: &Photo) -> Result<Ticket, Error> {
    let expires_at = Time::now().plus(TICKET_LIFETIME);
    let key = UploadKey { post_id, index }.to_string();
    let put = uploads.presign_put(&key, photo.content_type.as_str(), photo.bytes, TICKET_LIFETIME).await?;
    Ok(Ticket { index, upload: Upload { method: "PUT", url: put.url, headers: put.headers, expires_at } })
}

/// 128 random bits in hex: nobody guesses where a photo's variants are.
pub(crate) fn media_id() -> String {
    let mut bits = [0; 16];
    rand::fill(&mut bits).expect("the system has randomness");
    format!("{:032x}", u128::from_be_bytes(bits))
}
