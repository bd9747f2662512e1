//! What an overdue post needs.

use std::{collections::HashSet, time::Instant};

use lambda_runtime::Error;
use tintype_core::{
    PostId, Time,
    media::{self, UploadKey},
    post::Failure,
};
use tintype_tables::posts::{self, PROCESSING_TIME, Record, marks};

use crate::Stores;

/// How often a post is driven on before it fails.
const MOST_DRIVES: u32 = 3;

/// What a post needs.
#[derive(Debug, PartialEq)]
enum Need {
    /// Nothing (any more): the index is a moment behind the table.
    Nothing,
    /// It was deleted or has failed: its files go.
    Sweep,
    /// It can't be finished.
    Fail(Failure),
    /// The uploads of these photos are announced again.
    Drive(Vec<usize>),
}

impl Need {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Sweep => "sweep",
            Self::Fail(_) => "fail",
            Self::Drive(_) => "drive",
        }
    }
}

/// Does what the post needs, the long part of it until time is `up`; answers what that was.
pub(crate) async fn look_after(stores: &Stores, post_id: PostId, up: Instant) -> Result<&'static str, Error> {
    // Listed before the record is read: an upload goes after its photo is in the record, so a photo that is in neither never came.
    let uploads = stores.uploads.keys(&media::uploads_of(post_id)).await?;
    let uploads: HashSet<UploadKey> = uploads.iter().filter_map(|key| key.parse().ok()).collect();
    let Some(record) = posts::read_record(&stores.posts, post_id).await? else { return Ok(Need::Nothing.as_str()) };
    let now = Time::now();
    let need = need(&record, &uploads, now);
    let name = need.as_str();
    match need {
        Need::Nothing => {}
        Need::Sweep => sweep(stores, &record, now, up).await?,
        Need::Fail(failure) => {
            posts::fail(&stores.posts, post_id, failure, now).await?;
        }
        Need::Drive(photos) => drive(stores, &record, photos, now).await?,
    }
    Ok(name)
}

fn need(record: &Record, uploads: &HashSet<UploadKey>, now: Time) -> Need {
    if record.deadline.is_none_or(|deadline| deadline > now) {
        return Need::Nothing;
    }
    if record.is_remains() {
        return Need::Sweep;
    }
    let post = &record.post;
    let unprocessed: Vec<usize> = (0..post.photos.len()).filter(|&index| post.photos[index].rendition.is_none()).collect();
    let is_uploaded = |index: usize| uploads.contains(&UploadKey { post_id: post.id, index });
    let Some(&first) = unprocessed.first() else { return Need::Nothing };
    if let Some(&missing) = unprocessed.iter().find(|&&index| !is_uploaded(index)) {
        return Need::Fail(failure("upload-missing", missing, "was never uploaded."));
    }
    if record.drives >= MOST_DRIVES {
        return Need::Fail(failure("processing-failed", first, "could not be processed. We tried several times; please post it again."));
    }
    Need::Drive(unprocessed)
}

/// People count from 1.
fn failure(code: &str, photo: usize, what_happened: &str) -> Failure {
    Failure { code: code.to_owned(), detail: format!("Photo {} {what_happened}", photo + 1), photo: Some(photo) }
}

/// Files go at once, and what people have marked once nobody marks any more. Marks may be many: what is left when the time is up has the
/// next round, for the post stays overdue, but behind all that are overdue by now: a few that are liked very much must not keep a shard.
async fn sweep(stores: &Stores, record: &Record, now: Time, up: Instant) -> Result<(), Error> {
    let post_id = record.post.id;
    let [public, private] = media::variants_of(post_id);
    for (bucket, prefix) in [(&stores.uploads, media::uploads_of(post_id)), (&stores.media, public), (&stores.media, private)] {
        bucket.delete(&bucket.keys(&prefix).await?).await?;
    }
    if record.is_past_marking(now) && !marks::remove_of_post(&stores.posts, post_id, up).await? {
        posts::put_off(&stores.posts, post_id, Time::now()).await?;
        return Ok(());
    }
    posts::swept(&stores.posts, post_id, now).await?;
    Ok(())
}

/// Counted first: what makes even this fail is not tried for ever.
async fn drive(stores: &Stores, record: &Record, photos: Vec<usize>, now: Time) -> Result<(), Error> {
    let post = &record.post;
    posts::drive(&stores.posts, post.id, now.plus(PROCESSING_TIME), now).await?;
    for index in photos {
        let key = UploadKey { post_id: post.id, index }.to_string();
        stores.uploads.announce_again(&key, post.photos[index].content_type.as_str()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tintype_core::{
        UserId,
        post::{ContentType, Draft, Photo, Post, Rendition, Status},
    };

    /// A post of three photos, whose time is up.
    fn overdue(now: Time) -> Record {
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16)); 3];
        let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
        let post = Post::new(draft, now);
        let unfinished = Some("0".to_owned());
        Record { post, version: 0, drives: 0, deleted_at: None, unfinished, deadline: Some(now), expires_at: None, relocation: None }
    }

    fn rendition() -> Rendition {
        Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] }
    }

    fn uploads(record: &Record, photos: &[usize]) -> HashSet<UploadKey> {
        photos.iter().map(|&index| UploadKey { post_id: record.post.id, index }).collect()
    }

    #[test]
    fn a_post_whose_photo_never_came_fails_and_says_which() {
        let now = Time::now();
        let mut record = overdue(now);
        record.post.photos[0].rendition = Some(rendition());
        let Need::Fail(failure) = need(&record, &uploads(&record, &[1]), now) else { panic!("it hangs") };
        assert_eq!((failure.code.as_str(), failure.photo), ("upload-missing", Some(2)));
        assert_eq!(failure.detail, "Photo 3 was never uploaded.");
    }

    #[test]
    fn a_post_whose_photos_are_all_there_is_driven_on_thrice_and_then_fails() {
        let now = Time::now();
        let mut record = overdue(now);
        record.post.photos[1].rendition = Some(rendition());
        let uploads = uploads(&record, &[0, 2]);
        for drives in 0..3 {
            record.drives = drives;
            assert_eq!(need(&record, &uploads, now), Need::Drive(vec![0, 2]));
        }
        record.drives = 3;
        let Need::Fail(failure) = need(&record, &uploads, now) else { panic!("it is driven on for ever") };
        assert_eq!((failure.code.as_str(), failure.photo), ("processing-failed", Some(0)));
    }

    #[test]
    fn what_a_deleted_or_failed_post_left_is_swept_whatever_it_waited_for() {
        let now = Time::now();
        let (mut deleted, mut failed) = (overdue(now), overdue(now));
        deleted.deleted_at = Some(now);
        failed.post.status = Status::Failed;
        for record in [deleted, failed] {
            assert_eq!(need(&record, &uploads(&record, &[0, 1, 2]), now), Need::Sweep);
            assert_eq!(need(&record, &HashSet::new(), now), Need::Sweep);
        }
    }

    #[test]
    fn a_post_that_has_got_more_time_or_is_finished_is_left_alone() {
        let now = Time::now();
        let mut record = overdue(now);
        record.deadline = Some(now.plus(Duration::from_millis(1)));
        assert_eq!(need(&record, &HashSet::new(), now), Need::Nothing);
        record.deadline = None;
        record.post.status = Status::Published;
        assert_eq!(need(&record, &HashSet::new(), now), Need::Nothing);
    }
}
