//! What is done about an upload, however often it is announced.
//!
//! Every step may have been done before: a photo's variants have their names from the ticket, the table takes each photo once, and
//! the upload itself goes last, so that whatever was interrupted is done again. A post that was deleted or has failed meanwhile
//! keeps nothing: what was written for it is taken back.
//!
//! Variants are named for the ticket, not for the bytes. A person who, while the ticket is good, uploads two different photographs of
//! exactly the announced size, so closely that both are worked on at once, may see variants of one under the measures and blurhash of
//! the other. It is their own post, and the cure would cost a write more for each photo (docs/DECISIONS.md, 21).

use futures::future::try_join_all;
use lambda_runtime::Error;
use tintype_core::{
    Time,
    media::{self, UploadKey},
    post::{ContentType, Failure, Photo, Rendition, Variant},
};
use tintype_tables::posts::{self, Record};
use tintype_telemetry as telemetry;
use tokio::task::spawn_blocking;

use crate::{
    Stores,
    pipeline::{self, Encoded, Processed, Rejection, VariantName},
};

/// A browser may keep a variant for ever, since its name is never used again; the CDN asks after an hour, since posts are deleted.
const CACHE_CONTROL: &str = "public, max-age=31536000, s-maxage=3600, immutable";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The variants are there, and the post knows.
    Processed,
    /// It was all done before.
    Repeated,
    /// There is no such post (any more), or it has failed.
    Unwanted,
    /// The photograph is no good: the post has failed.
    Rejected,
}

impl Ending {
    /// As the log line has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Repeated => "repeated",
            Self::Unwanted => "unwanted",
            Self::Rejected => "rejected",
        }
    }
}

/// Does what is to be done about `upload`. Errors pass: it is to be tried again.
pub(crate) async fn process(stores: &Stores, upload: UploadKey) -> Result<Ending, Error> {
    let record = posts::start(&stores.posts, upload.post_id, Time::now()).await?;
    let ending = match judge(record.as_ref(), upload.index) {
        Judgement::Unwanted(photo) => {
            if let Some(photo) = photo {
                take_back(stores, upload, photo).await?;
            }
            Ending::Unwanted
        }
        Judgement::Repeated => Ending::Repeated,
        Judgement::Wanted(photo) => develop(stores, upload, photo).await?,
    };
    stores.uploads.delete(&[upload.to_string()]).await?;
    Ok(ending)
}

/// What an upload is worth.
#[derive(Debug, PartialEq, Eq)]
enum Judgement<'a> {
    /// Nothing: its post is not there any more, or has failed. An attempt before this one may have written the photo's variants.
    Unwanted(Option<&'a Photo>),
    /// Nothing: its variants are there.
    Repeated,
    /// Its post waits for it.
    Wanted(&'a Photo),
}

fn judge(record: Option<&Record>, index: usize) -> Judgement<'_> {
    let Some(record) = record else { return Judgement::Unwanted(None) };
    match record.post.photos.get(index) {
        None => Judgement::Unwanted(None),
        Some(photo) if record.is_remains() => Judgement::Unwanted(Some(photo)),
        Some(photo) if photo.rendition.is_some() => Judgement::Repeated,
        Some(photo) => Judgement::Wanted(photo),
    }
}

/// Makes the photo's variants, stores them and tells the post; or fails the post.
async fn develop(stores: &Stores, upload: UploadKey, photo: &Photo) -> Result<Ending, Error> {
    // Gone since the post was read: another delivery of the same event has finished.
    let Some(object) = stores.uploads.get(&upload.to_string()).await? else { return Ok(Ending::Repeated) };
    telemetry::field("photo.bytes", object.size);
    if object.size != photo.bytes {
        let detail = format!("The file has {} bytes, but {} were announced.", object.size, photo.bytes);
        return reject(stores, upload, "size-mismatch", detail).await;
    }
    let bytes = object.bytes().await?;
    let processed = match run_pipeline(bytes.into(), photo.content_type).await? {
        Ok(processed) => processed,
        Err(rejection) => {
            if let Rejection::Damaged { cause } = &rejection {
                telemetry::field("photo.damage", cause.as_str());
            }
            return reject(stores, upload, rejection.code(), rejection.to_string()).await;
        }
    };
    let rendition = store(stores, upload, photo, processed).await?;
    let record = posts::finish_photo(&stores.posts, upload.post_id, upload.index, rendition, Time::now()).await?;
    if record.is_none_or(|record| record.is_remains()) {
        take_back(stores, upload, photo).await?;
        return Ok(Ending::Unwanted);
    }
    Ok(Ending::Processed)
}

/// Runs the pipeline where it may block. No decoder can be proved free of panics: what makes one panic is damaged.
async fn run_pipeline(bytes: Vec<u8>, declared: ContentType) -> Result<Result<Processed, Rejection>, Error> {
    match spawn_blocking(move || pipeline::process(&bytes, declared)).await {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => Ok(Err(Rejection::damaged("the decoder panicked"))),
        Err(error) => Err(error.into()),
    }
}

async fn reject(stores: &Stores, upload: UploadKey, code: &str, detail: String) -> Result<Ending, Error> {
    telemetry::field("photo.rejection", code);
    let failure = Failure { code: code.to_owned(), detail, photo: Some(upload.index) };
    posts::fail(&stores.posts, upload.post_id, failure, Time::now()).await?;
    Ok(Ending::Rejected)
}

/// Writes all variants at once.
async fn store(stores: &Stores, upload: UploadKey, photo: &Photo, processed: Processed) -> Result<Rendition, Error> {
    let Processed { width, height, blurhash, variants } = processed;
    telemetry::field("photo.pixels", u64::from(width) * u64::from(height));
    let described = variants.iter().map(describe).collect();
    try_join_all(variants.into_iter().map(|variant| {
        let key = media::variant_key(upload.post_id, &photo.media_id, variant.name.as_str());
        async move { stores.media.put(&key, variant.bytes.into(), "image/jpeg", CACHE_CONTROL).await }
    }))
    .await?;
    Ok(Rendition { width, height, blurhash, variants: described })
}

fn describe(variant: &Encoded) -> Variant {
    let Encoded { name, width, height, ref bytes } = *variant;
    Variant { name: name.as_str().to_owned(), width, height, bytes: bytes.len() as u64 }
}

/// Removes whatever variants of the photo there are.
async fn take_back(stores: &Stores, upload: UploadKey, photo: &Photo) -> Result<(), Error> {
    let key = |variant: VariantName| media::variant_key(upload.post_id, &photo.media_id, variant.as_str());
    stores.media.delete(&VariantName::ALL.map(key)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::{
        UserId,
        post::{Draft, Post, Status},
    };

    fn record() -> Record {
        let photos = vec![Photo::announced(ContentType::Png, 1, None, "00".repeat(16)); 2];
        let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
        let post = Post { status: Status::Processing, ..Post::new(draft, Time::now()) };
        Record { post, version: 1, drives: 0, deleted_at: None, unfinished: None, deadline: None, expires_at: None }
    }

    fn rendition() -> Rendition {
        Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] }
    }

    #[test]
    fn a_photo_is_wanted_until_it_is_processed() {
        let mut record = record();
        assert_eq!(judge(Some(&record), 1), Judgement::Wanted(&record.post.photos[1]));
        record.post.photos[1].rendition = Some(rendition());
        assert_eq!(judge(Some(&record), 1), Judgement::Repeated);
        assert_eq!(judge(Some(&record), 0), Judgement::Wanted(&record.post.photos[0]));
    }

    #[test]
    fn nothing_is_done_for_a_post_that_is_not_there() {
        assert_eq!(judge(None, 0), Judgement::Unwanted(None));
        assert_eq!(judge(Some(&record()), 2), Judgement::Unwanted(None));
    }

    #[test]
    fn a_failed_or_deleted_post_keeps_no_photo_whether_it_was_processed_or_not() {
        let (mut failed, mut deleted) = (record(), record());
        failed.post.status = Status::Failed;
        deleted.deleted_at = Some(Time::now());
        for mut record in [failed, deleted] {
            assert_eq!(judge(Some(&record), 0), Judgement::Unwanted(Some(&record.post.photos[0])));
            record.post.photos[0].rendition = Some(rendition());
            assert_eq!(judge(Some(&record), 0), Judgement::Unwanted(Some(&record.post.photos[0])));
        }
    }

    #[tokio::test]
    async fn what_is_no_image_is_rejected_and_not_tried_again() {
        let result = run_pipeline(b"no image".to_vec(), ContentType::Jpeg).await.unwrap();
        assert_eq!(result, Err(Rejection::NotAnImage));
    }
}
