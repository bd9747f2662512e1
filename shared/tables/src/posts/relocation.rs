//! Moving a post's files between the CDN and where only a signature opens them.
//!
//! The record says beforehand where the files go to, under ids that are new each time; they are copied; one write makes the copies the
//! post's files; the old ones go; the record forgets the move. Killed anywhere in between, what the record names is whole, and who
//! comes next goes on from there. Whatever lies in a post's prefixes and is not named by a record that is read after it was listed is
//! nobody's, and may go: see [`Relocation::names`].

use serde::{Deserialize, Serialize};
use tintype_core::{
    PostId, Time,
    media::{self, Place},
    post::{Photo, Step},
};

use super::{Record, change::change_live};
use crate::{Error, Table};

/// A move of a post's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// Whether they go where only a signature opens them.
    pub to_private: bool,
    /// The new `media_id` of each photo.
    pub media_ids: Vec<String>,
    /// The copies are the post's files, or nobody needs them any more: what is left is to tidy up.
    pub is_over: bool,
}

impl Relocation {
    /// Where the files go.
    pub fn to(&self) -> Place {
        Place::of(self.to_private)
    }

    /// Those photos that are not there yet, each with its new `media_id`.
    pub fn photos<'a>(&'a self, photos: &'a [Photo]) -> impl Iterator<Item = (&'a Photo, &'a str)> {
        let all = photos.iter().zip(self.media_ids.iter().map(String::as_str));
        all.filter(|(photo, _)| photo.is_private != self.to_private && photo.rendition.is_some())
    }
}

impl Record {
    /// Whether the post's files do not lie where those of an account that is private, or is not, belong.
    pub fn is_misplaced(&self, is_private: bool) -> bool {
        self.post.photos.iter().any(|photo| photo.is_private != is_private && photo.rendition.is_some())
    }

    /// Whether an object of the post's prefixes is, or may become, one of its files. Whoever has listed objects must read the record
    /// afterwards: then what it does not name is nobody's.
    pub fn names(&self, key: &str) -> bool {
        if self.is_remains() {
            return false;
        }
        let post = &self.post;
        let lies = |place: Place, media_id: &str| key.starts_with(&media::variants_at(place, post.id, media_id));
        let is_file = |photo: &Photo| match photo.rendition {
            Some(_) => lies(photo.place(), &photo.media_id),
            // It is being worked on, and where it will lie is not known.
            None => Place::ALL.iter().any(|place| lies(*place, &photo.media_id)),
        };
        let is_copy = |relocation: &Relocation| !relocation.is_over && relocation.media_ids.iter().any(|id| lies(relocation.to(), id));
        post.photos.iter().any(is_file) || self.relocation.as_ref().is_some_and(is_copy)
    }
}

/// Notes that the post's files are to be moved, unless a move is under way already, or they all lie there. Answers the record as it is then.
pub async fn relocate(posts: &Table, post: PostId, to: Place, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        let to_private = to == Place::Private;
        if record.relocation.is_some() || record.is_remains() || !record.is_misplaced(to_private) {
            return Step::Nothing;
        }
        let media_ids = record.post.photos.iter().map(|_| media::new_id()).collect();
        record.relocation = Some(Relocation { to_private, media_ids, is_over: false });
        Step::Progress
    })
    .await
}

/// All copies of `relocation` are there, or, if not `is_wanted` any more, need not be: from here on the post's files are the copies, or
/// remain what they are. Nothing happens if it is over already, or another one is under way.
pub async fn relocated(posts: &Table, post: PostId, relocation: &Relocation, is_wanted: bool, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| if end(record, relocation, is_wanted) { Step::Progress } else { Step::Nothing }).await
}

/// What the move has left behind is gone: the record forgets it.
pub async fn settle_relocation(posts: &Table, post: PostId, relocation: &Relocation, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        let is_this = record.relocation.as_ref().is_some_and(|now| now.is_over && now.media_ids == relocation.media_ids);
        if !is_this {
            return Step::Nothing;
        }
        record.relocation = None;
        Step::Progress
    })
    .await
}

/// Ends a move; `false` if it is not under way.
fn end(record: &mut Record, relocation: &Relocation, is_wanted: bool) -> bool {
    if record.relocation.as_ref() != Some(relocation) || relocation.is_over {
        return false;
    }
    if is_wanted {
        for (photo, media_id) in record.post.photos.iter_mut().zip(&relocation.media_ids) {
            if photo.is_private != relocation.to_private && photo.rendition.is_some() {
                photo.media_id.clone_from(media_id);
                photo.is_private = relocation.to_private;
            }
        }
    }
    record.relocation = Some(Relocation { is_over: true, ..relocation.clone() });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::{
        UserId,
        post::{ContentType, Draft, Post, Rendition, Status},
    };

    fn record(photos: usize) -> Record {
        let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
        let photo = || Photo { rendition: Some(rendition.clone()), ..Photo::announced(ContentType::Jpeg, 1, None, media::new_id()) };
        let photos = (0..photos).map(|_| photo()).collect();
        let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
        let mut record = Record::new(Post::new(draft, Time::now()));
        record.post.status = Status::Published;
        record
    }

    fn begun(record: &mut Record, to_private: bool) -> Relocation {
        let media_ids = record.post.photos.iter().map(|_| media::new_id()).collect();
        let relocation = Relocation { to_private, media_ids, is_over: false };
        record.relocation = Some(relocation.clone());
        relocation
    }

    fn key(record: &Record, place: Place, media_id: &str) -> String {
        media::variant_key(place, record.post.id, media_id, "w320")
    }

    #[test]
    fn at_every_moment_of_a_move_the_record_names_the_posts_files_and_the_copies_that_may_become_them() {
        let mut record = record(2);
        let old: Vec<String> = record.post.photos.iter().map(|photo| key(&record, Place::Public, &photo.media_id)).collect();
        let relocation = begun(&mut record, true);
        let new: Vec<String> = relocation.media_ids.iter().map(|id| key(&record, Place::Private, id)).collect();
        let stray = key(&record, Place::Public, &relocation.media_ids[0]);
        let named = |record: &Record, keys: &[String]| keys.iter().map(|key| record.names(key)).collect::<Vec<_>>();

        assert_eq!((named(&record, &old), named(&record, &new)), (vec![true; 2], vec![true; 2]));
        assert!(!record.names(&stray));
        assert!(end(&mut record, &relocation, true));
        assert_eq!((named(&record, &old), named(&record, &new)), (vec![false; 2], vec![true; 2]));
        record.relocation = None;
        assert_eq!((named(&record, &old), named(&record, &new)), (vec![false; 2], vec![true; 2]));
        assert!(record.is_misplaced(false) && !record.is_misplaced(true));
    }

    #[test]
    fn a_move_that_nobody_wants_any_more_leaves_the_post_as_it_was() {
        let mut record = record(1);
        let before = record.post.clone();
        let relocation = begun(&mut record, true);
        assert!(end(&mut record, &relocation, false));
        assert_eq!(record.post, before);
        assert!(!record.names(&key(&record, Place::Private, &relocation.media_ids[0])));
    }

    #[test]
    fn who_comes_late_with_a_move_that_is_over_or_another_one_changes_nothing() {
        let mut record = record(1);
        let first = begun(&mut record, true);
        assert!(end(&mut record, &first, true));
        let after = record.clone();
        assert!(!end(&mut record, &first, true) && !end(&mut record, &first, false));
        assert_eq!(record, after);
        let second = begun(&mut record, false);
        assert!(!end(&mut record, &first, true));
        assert_eq!(record.relocation, Some(second));
    }

    #[test]
    fn a_photo_that_is_worked_on_may_come_to_lie_in_either_place_and_remains_name_nothing() {
        let mut record = record(1);
        record.post.photos[0].rendition = None;
        let id = record.post.photos[0].media_id.clone();
        assert!(record.names(&key(&record, Place::Public, &id)) && record.names(&key(&record, Place::Private, &id)));
        assert!(!record.names(&key(&record, Place::Public, &media::new_id())));
        record.deleted_at = Some(Time::now());
        assert!(!record.names(&key(&record, Place::Public, &id)));
    }
}
