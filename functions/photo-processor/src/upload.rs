//! What is done about an upload, however often it is announced.
//!
//! Every step may have been done before: a photo's variants have their names from the ticket, the table takes each photo once, and
//! the upload itself goes last, so that whatever was interrupted is done again. A post that was deleted or has failed meanwhile
//! keeps nothing: what was written for it is taken back.
//!
//! Where the variants go is decided by the author's card as it stands. If that changes while a photo is worked on, or one of two who work
//! on the same photo saw it change, what the record does not name afterwards is taken back, and `posts-worker` puts right what was
//! published in the wrong place.
//!
//! Variants are named for the ticket, not for the bytes. A person who, while the ticket is good, uploads two different photographs of
//! exactly the announced size, so closely that both are worked on at once, may see variants of one under the measures and blurhash of
//! the other. It is their own post, and the cure would cost a write more for each photo (docs/DECISIONS.md, 21).

use futures::future::try_join_all;
use lambda_runtime::Error;
use tintype_buckets::sweep_strays;
use tintype_core::{
    Time, UserId,
    media::{self, Place, UploadKey},
    post::{Failure, Photo, Rendition, Variant},
};
use tintype_tables::{
    posts::{self, Record},
    users,
};
use tintype_telemetry as telemetry;
use tokio::task::spawn_blocking;

use crate::{
    Stores,
    pipeline::{self, Encoded, Processed, Rejection},
};

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
        Judgement::Unwanted => {
            sweep_strays(&stores.media, &stores.posts, upload.post_id).await?;
            Ending::Unwanted
        }
        Judgement::Repeated => {
            sweep_strays(&stores.media, &stores.posts, upload.post_id).await?;
            Ending::Repeated
        }
        Judgement::Wanted(record, photo) => develop(stores, upload, record.post.author_id, photo).await?,
    };
    stores.uploads.delete(&[upload.to_string()]).await?;
    Ok(ending)
}

/// What an upload is worth.
#[derive(Debug, PartialEq)]
enum Judgement<'a> {
    /// Nothing: its post is not there any more, or has failed. An attempt before this one may have written the photo's variants.
    Unwanted,
    /// Nothing: its variants are there. An attempt before this one may have written some in another place.
    Repeated,
    /// Its post waits for it.
    Wanted(&'a Record, &'a Photo),
}

fn judge(record: Option<&Record>, index: usize) -> Judgement<'_> {
    let Some(record) = record else { return Judgement::Unwanted };
    match record.post.photos.get(index) {
        None => Judgement::Unwanted,
        Some(_) if record.is_remains() => Judgement::Unwanted,
        Some(photo) if photo.rendition.is_some() => Judgement::Repeated,
        Some(photo) => Judgement::Wanted(record, photo),
    }
}

/// Makes the photo's variants, stores them and tells the post; or fails the post.
async fn develop(stores: &Stores, upload: UploadKey, author: UserId, photo: &Photo) -> Result<Ending, Error> {
    // Gone since the post was read: another delivery of the same event has finished.
    let Some(object) = stores.uploads.get(&upload.to_string()).await? else { return Ok(Ending::Repeated) };
    telemetry::field("photo.bytes", object.size);
    if object.size != photo.bytes {
        let detail = format!("The file has {} bytes, but {} were announced.", object.size, photo.bytes);
        telemetry::field("photo.rejection", "size-mismatch");
        return reject(stores, upload, "size-mismatch", detail).await;
    }
    let (bytes, declared): (Vec<u8>, _) = (object.bytes().await?.into(), photo.content_type);
    let processed = match decode_apart(move || pipeline::process(&bytes, declared)).await? {
        Ok(processed) => processed,
        Err(rejection) => {
            rejection.log();
            return reject(stores, upload, rejection.code(), rejection.to_string()).await;
        }
    };
    // Consistent, and as late as can be. Without a card the account is gone, and the post will be: until then nobody is to see it.
    let card = users::card_now(&stores.users, author).await?;
    let place = Place::of(card.is_none_or(|card| card.is_private));
    let rendition = store(stores, upload, place, photo, processed).await?;
    let record = posts::finish_photo(&stores.posts, upload.post_id, upload.index, rendition, place, Time::now()).await?;
    let written = media::variants_at(place, upload.post_id, &photo.media_id);
    if !record.as_ref().is_some_and(|record| record.names(&written)) {
        sweep_strays(&stores.media, &stores.posts, upload.post_id).await?;
    }
    Ok(if record.is_none_or(|record| record.is_remains()) { Ending::Unwanted } else { Ending::Processed })
}

/// Runs the pipeline where it may block. No decoder can be proved free of panics: what makes one panic is damaged.
pub(crate) async fn decode_apart<T: Send + 'static>(
    pipeline: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<Result<T, Rejection>, Error> {
    match spawn_blocking(pipeline).await {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => Ok(Err(Rejection::damaged("the decoder panicked"))),
        Err(error) => Err(error.into()),
    }
}

async fn reject(stores: &Stores, upload: UploadKey, code: &str, detail: String) -> Result<Ending, Error> {
    let failure = Failure { code: code.to_owned(), detail, photo: Some(upload.index) };
    posts::fail(&stores.posts, upload.post_id, failure, Time::now()).await?;
    Ok(Ending::Rejected)
}

/// Writes all variants at once.
async fn store(stores: &Stores, upload: UploadKey, place: Place, photo: &Photo, processed: Processed) -> Result<Rendition, Error> {
    let Processed { width, height, blurhash, variants } = processed;
    telemetry::field("photo.pixels", u64::from(width) * u64::from(height));
    let described = variants.iter().map(describe).collect();
    try_join_all(variants.into_iter().map(|variant| {
        let key = media::variant_key(place, upload.post_id, &photo.media_id, variant.name.as_str());
        async move { stores.media.put(&key, variant.bytes.into(), "image/jpeg", place.cache_control()).await }
    }))
    .await?;
    Ok(Rendition { width, height, blurhash, variants: described })
}

fn describe(variant: &Encoded) -> Variant {
    let Encoded { name, width, height, ref bytes } = *variant;
    Variant { name: name.as_str().to_owned(), width, height, bytes: bytes.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::post::{ContentType, Draft, Post, Status};

    fn record() -> Record {
        let photos = vec![Photo::announced(ContentType::Png, 1, None, "00".repeat(16)); 2];
        let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
        let post = Post { status: Status::Processing, ..Post::new(draft, Time::now()) };
        Record { post, version: 1, drives: 0, deleted_at: None, unfinished: None, deadline: None, expires_at: None, relocation: None }
    }

    fn rendition() -> Rendition {
        Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] }
    }

    #[test]
    fn a_photo_is_wanted_until_it_is_processed() {
        let mut record = record();
        assert_eq!(judge(Some(&record), 1), Judgement::Wanted(&record, &record.post.photos[1]));
        record.post.photos[1].rendition = Some(rendition());
        assert_eq!(judge(Some(&record), 1), Judgement::Repeated);
        assert_eq!(judge(Some(&record), 0), Judgement::Wanted(&record, &record.post.photos[0]));
    }

    #[test]
    fn nothing_is_done_for_a_post_that_is_not_there() {
        assert_eq!(judge(None, 0), Judgement::Unwanted);
        assert_eq!(judge(Some(&record()), 2), Judgement::Unwanted);
    }

    #[test]
    fn a_failed_or_deleted_post_keeps_no_photo_whether_it_was_processed_or_not() {
        let (mut failed, mut deleted) = (record(), record());
        failed.post.status = Status::Failed;
        deleted.deleted_at = Some(Time::now());
        for mut record in [failed, deleted] {
            assert_eq!(judge(Some(&record), 0), Judgement::Unwanted);
            record.post.photos[0].rendition = Some(rendition());
            assert_eq!(judge(Some(&record), 0), Judgement::Unwanted);
        }
    }

    #[tokio::test]
    async fn what_is_no_image_is_rejected_and_not_tried_again() {
        let result = decode_apart(|| pipeline::process(b"no image", ContentType::Jpeg)).await.unwrap();
        assert_eq!(result, Err(Rejection::NotAnImage));
        let panics = decode_apart(|| -> Result<(), _> { panic!("as a decoder might") }).await.unwrap();
        assert_eq!(panics.unwrap_err().code(), "truncated-or-damaged");
    }
}
