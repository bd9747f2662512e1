//! Posts, one at a time.

use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tintype_core::{
    PostId, media,
    post::{Photo, Post},
};
use tintype_queues::Failure;
use tintype_tables::{Key, Page, posts, table::Query};

use super::{Contents, Entry, Piece};

/// How often a post is read whose files are being moved: each time they are elsewhere.
const MOST_LOOKS: usize = 3;

/// The next post of the list `prefix`, oldest first.
pub(super) async fn read(contents: &Contents<'_>, prefix: &str, after: Option<String>) -> Result<Piece, Failure> {
    let query = Query { pk: posts::author(contents.user), prefix: Some(prefix), after, descending: false, consistent: true, limit: 1 };
    let page: Page<Key> = contents.stores.posts.query(query).await?;
    let post_id = page.items.first().and_then(|key| key.sk.rsplit('#').next()?.parse().ok());
    let entries = match post_id {
        Some(post_id) => one(contents, post_id).await?,
        None => Vec::new(),
    };
    Ok((entries, page.next))
}

/// A post's files; none if it is deleted. Files that are moved meanwhile have other names afterwards: the post is read again.
async fn one(contents: &Contents<'_>, post_id: PostId) -> Result<Vec<Entry>, Failure> {
    let mut looks = 0;
    loop {
        let Some(post) = posts::read(&contents.stores.posts, post_id).await? else { return Ok(Vec::new()) };
        let files = try_join_all(post.photos.iter().map(|photo| fetch(contents, post_id, photo))).await?;
        looks += 1;
        let is_whole = files.iter().zip(&post.photos).all(|(file, photo)| file.is_some() || photo.rendition.is_none());
        if is_whole || looks == MOST_LOOKS {
            return Ok(entries(&post, files));
        }
    }
}

/// The photo's largest variant.
async fn fetch(contents: &Contents<'_>, post_id: PostId, photo: &Photo) -> Result<Option<Bytes>, Failure> {
    let variants = photo.rendition.iter().flat_map(|rendition| &rendition.variants);
    let Some(largest) = variants.max_by_key(|variant| u64::from(variant.width) * u64::from(variant.height)) else { return Ok(None) };
    let key = media::variant_key(photo.place(), post_id, &photo.media_id, &largest.name);
    match contents.stores.media.get(&key).await? {
        Some(object) => Ok(Some(object.bytes().await?)),
        None => Ok(None),
    }
}

fn entries(post: &Post, files: Vec<Option<Bytes>>) -> Vec<Entry> {
    let folder = format!("posts/{}", post.id);
    let photos: Vec<Value> =
        post.photos.iter().zip(&files).enumerate().map(|(index, (photo, file))| describe(index, photo, file.as_ref())).collect();
    let Post { id, status, failure, caption, hashtags, mentions, location, comments_enabled, created_at, published_at, edited_at, .. } =
        post;
    let described = json!({
        "id": id, "status": status, "failure": failure, "caption": caption, "hashtags": hashtags, "mentions": mentions, "location": location,
        "comments_enabled": comments_enabled, "created_at": created_at, "published_at": published_at, "edited_at": edited_at,
        "photos": photos,
    });
    let photographs = files.into_iter().enumerate().filter_map(|(index, bytes)| {
        let path = format!("{folder}/{}", file_name(index));
        bytes.map(|bytes| Entry { path, bytes })
    });
    std::iter::once(Entry::json(format!("{folder}/post.json"), &described)).chain(photographs).collect()
}

fn describe(index: usize, photo: &Photo, file: Option<&Bytes>) -> Value {
    let size = photo.rendition.as_ref().map(|rendition| (rendition.width, rendition.height));
    json!({
        "index": index, "alt_text": photo.alt_text, "width": size.map(|size| size.0), "height": size.map(|size| size.1),
        "blurhash": photo.rendition.as_ref().map(|rendition| &rendition.blurhash), "file": file.map(|_| file_name(index)),
    })
}

fn file_name(index: usize) -> String {
    format!("{index}.jpg")
}
