//! A post's item.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_core::{
    Time,
    post::{Post, Status},
};

use super::{PROCESSING_TIME, REMAINS, Relocation, TICKET_LIFETIME, UNFINISHED_SHARDS, key};
use crate::{Error, table::Item};

/// How long copies and marks may still come of a post that has been deleted: longer than who makes them can be under way.
const LATE_COPIES: Duration = Duration::from_mins(10);

/// A post's item, with what the service alone needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The post.
    pub post: Post,
    /// Rises with every write: a write that is conditional on it changes what it has read.
    pub version: u64,
    /// How often the janitor has driven it on.
    pub drives: u32,
    /// Set once the author has deleted it: only a tombstone is left.
    pub deleted_at: Option<Time>,
    /// Shard of the index of unfinished posts; absent once nothing more has to happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// When the janitor looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Seconds since 1970: when the item may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Its files are being moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relocation: Option<Relocation>,
}

impl Record {
    pub(super) fn new(post: Post) -> Self {
        let deadline = post.created_at.plus(TICKET_LIFETIME).plus(PROCESSING_TIME);
        let mut record =
            Self { post, version: 0, drives: 0, deleted_at: None, unfinished: None, deadline: None, expires_at: None, relocation: None };
        record.look_after(deadline);
        record
    }

    /// Whether it was deleted or has failed: its uploads and variants must go.
    pub fn is_remains(&self) -> bool {
        self.deleted_at.is_some() || self.post.status == Status::Failed
    }

    pub(super) fn look_after(&mut self, deadline: Time) {
        self.unfinished = Some(self.post.id.shard(UNFINISHED_SHARDS).to_string());
        self.deadline = Some(deadline);
    }

    pub(super) fn forget(&mut self) {
        self.unfinished = None;
        self.deadline = None;
    }

    /// Whether whoever was still marking it when it was deleted has ended too: its marks can go, and none comes after them.
    pub fn is_past_marking(&self, now: Time) -> bool {
        self.deleted_at.is_some_and(|deleted_at| deleted_at.plus(LATE_COPIES) <= now)
    }

    /// Its files are gone. If they were being moved when it ended, copies may come after that, from who has not seen its end, and if it
    /// was there to be seen so may likes: then it is swept once more when whoever that was has ended too.
    pub(super) fn swept(&mut self, now: Time) {
        let may_be_marked = self.deleted_at.filter(|_| self.post.published_at.is_some() && !self.is_past_marking(now));
        match (self.relocation.take(), may_be_marked) {
            (Some(_), _) => self.look_after(now.plus(LATE_COPIES)),
            (None, Some(deleted_at)) => self.look_after(deleted_at.plus(LATE_COPIES)),
            (None, None) => self.forget(),
        }
    }

    pub(super) fn item(&self) -> Result<Item, Error> {
        let mut item: Item = serde_dynamo::to_item(self)?;
        item.extend(key(self.post.id).item());
        Ok(item)
    }

    /// What is left of a post once it is deleted: whose it was and when, and where its files are. What its author said, and what the
    /// photographs show, is gone at once.
    pub(super) fn tombstone(&self, now: Time) -> Self {
        let mut tombstone = Self { deleted_at: Some(now), version: self.version + 1, drives: 0, ..self.clone() };
        tombstone.look_after(now);
        tombstone.expires_at = Some(now.plus(REMAINS).as_seconds());
        tombstone.post.erase();
        tombstone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::{
        UserId,
        post::{ContentType, Draft, Location, Photo, Rendition},
    };

    fn published(now: Time) -> Record {
        let mut photo = Photo::announced(ContentType::Jpeg, 1, Some("A secret garden".to_owned()), "0f".repeat(16));
        photo.rendition = Some(Rendition { width: 1, height: 1, blurhash: "secret".to_owned(), variants: vec![] });
        let location = Some(Location { name: "My secret place".to_owned(), lat: 1.0, lng: 2.0 });
        let caption = "The secret of #secret by @secret".to_owned();
        let draft = Draft { author_id: UserId::new(), caption, location, comments_enabled: true, photos: vec![photo] };
        let mut post = Post::new(draft, now);
        (post.status, post.published_at) = (Status::Published, Some(now));
        Record { post, version: 7, drives: 2, deleted_at: None, unfinished: None, deadline: None, expires_at: None, relocation: None }
    }

    #[test]
    fn a_post_that_was_deleted_while_its_files_were_moved_is_swept_twice() {
        let now = Time::now();
        let mut moving = published(now);
        moving.relocation = Some(Relocation { to_private: true, media_ids: vec!["1f".repeat(16)], is_over: false });
        let mut tombstone = moving.tombstone(now);
        tombstone.swept(now);
        assert!(tombstone.is_remains() && tombstone.unfinished.is_some() && tombstone.deadline > Some(now.plus(Duration::from_mins(6))));
        tombstone.swept(now.plus(LATE_COPIES));
        assert_eq!((tombstone.unfinished, tombstone.deadline), (None, None));
    }

    #[test]
    fn a_deleted_post_is_swept_again_once_nobody_can_be_liking_it_any_more() {
        let now = Time::now();
        let later = now.plus(LATE_COPIES);
        let mut tombstone = published(now).tombstone(now);
        assert!(!tombstone.is_past_marking(now) && tombstone.is_past_marking(later));
        tombstone.swept(now);
        assert_eq!((tombstone.unfinished.is_some(), tombstone.deadline), (true, Some(later)));
        tombstone.swept(later);
        assert_eq!((tombstone.unfinished, tombstone.deadline), (None, None));
        // Nobody could like what nobody has seen.
        let mut unseen = published(now);
        (unseen.post.status, unseen.post.published_at) = (Status::Processing, None);
        let mut unseen = unseen.tombstone(now);
        unseen.swept(now);
        assert_eq!((unseen.unfinished, unseen.deadline), (None, None));
        assert!(!published(now).is_past_marking(later), "it is there");
    }

    #[test]
    fn a_tombstone_says_whose_post_it_was_and_where_its_files_are_and_nothing_of_what_was_in_it() {
        let published_at = Time::from_millis(1_790_000_000_000).unwrap();
        let now = published_at.plus(Duration::from_hours(1));
        let before = published(published_at);
        let tombstone = before.tombstone(now);
        assert!(!serde_json::to_string(&tombstone).unwrap().contains("secret"), "{tombstone:?}");
        let (post, was) = (&tombstone.post, &before.post);
        assert_eq!((post.id, post.author_id, &post.photos[0].media_id), (was.id, was.author_id, &was.photos[0].media_id));
        assert_eq!((post.created_at, post.published_at), (was.created_at, Some(published_at)));
        assert_eq!((tombstone.deleted_at, tombstone.version, tombstone.drives), (Some(now), 8, 0));
        // The janitor sweeps its files at once; late messages find it for a month.
        assert!(tombstone.is_remains() && tombstone.unfinished.is_some() && tombstone.deadline == Some(now));
        assert_eq!(tombstone.expires_at, Some(now.plus(REMAINS).as_seconds()));
    }
}
