//! A post, from its upload ticket to its publication: the states, and what may follow what.
//!
//! ```text
//! awaiting_upload ──first photo──▶ processing ──last photo──▶ published
//!        └────────────── a photo is bad, or never came ──────▶ failed
//! ```

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PostId, Time, UserId, media::Place, name::Username, patch::Patch, text};

/// Where a post stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The tickets are out; no photo is there yet.
    AwaitingUpload,
    /// At least one photo is there.
    Processing,
    /// Everybody who may can see it.
    Published,
    /// It never will be: `failure` says why.
    Failed,
}

/// Why a post failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Stable and kebab-case, for programs; for example `truncated-or-damaged`.
    pub code: String,
    /// A sentence for the person.
    pub detail: String,
    /// Which photo, if it was one, from 0.
    pub photo: Option<usize>,
}

/// Where a photograph was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// What the place is called; 1 to 100 characters.
    pub name: String,
    /// Latitude in degrees, -90 to 90.
    pub lat: f64,
    /// Longitude in degrees, -180 to 180.
    pub lng: f64,
}

/// The media types that may be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ContentType {
    /// JPEG
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// PNG
    #[serde(rename = "image/png")]
    Png,
    /// WebP
    #[serde(rename = "image/webp")]
    WebP,
}

impl ContentType {
    /// As `Content-Type` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

/// One size of a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// `thumb`, `w320`, `w640`, `w1080` or `w1440`.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Size of the file.
    pub bytes: u64,
}

/// What became of an uploaded photograph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Of the upright original, pixels.
    pub width: u32,
    /// Of the upright original, pixels.
    pub height: u32,
    /// What stands there until a variant is loaded (<https://blurha.sh>).
    pub blurhash: String,
    /// Smallest first.
    pub variants: Vec<Variant>,
}

/// One photo of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// What the ticket says: the upload's type.
    pub content_type: ContentType,
    /// What the ticket says: the upload's size.
    pub bytes: u64,
    /// For those who can't see it.
    pub alt_text: Option<String>,
    /// 128 random bits in hex, in the address of each variant: chosen with the ticket, so that processing twice writes the same files;
    /// another one when the files are moved.
    pub media_id: String,
    /// Whether its files lie where only a signature opens them: see [`crate::media::Place`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_private: bool,
    /// Once processed.
    pub rendition: Option<Rendition>,
}

/// What its author says of a post that is to be.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who makes it.
    pub author_id: UserId,
    /// Tidy; may be empty.
    pub caption: String,
    /// Where it was taken.
    pub location: Option<Location>,
    /// Whether others may comment.
    pub comments_enabled: bool,
    /// 1 to 10.
    pub photos: Vec<Photo>,
}

/// A post: the item of the Posts table, and, once published, the card that other services read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// Who made it.
    pub author_id: UserId,
    /// Where it stands.
    pub status: Status,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What the author wrote; may be empty.
    pub caption: String,
    /// Found in the caption.
    pub hashtags: Vec<String>,
    /// Found in the caption.
    pub mentions: Vec<Username>,
    /// Where it was taken.
    pub location: Option<Location>,
    /// Whether others may comment.
    pub comments_enabled: bool,
    /// 1 to 10.
    pub photos: Vec<Photo>,
    /// When the tickets were made.
    pub created_at: Time,
    /// Its place in every timeline.
    pub published_at: Option<Time>,
    /// When what it says was last changed, if it was after it had been published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
}

/// What its author changes of a post.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// Tidy.
    pub caption: Patch<String>,
    /// Where it was taken.
    pub location: Patch<Location>,
    /// Whether others may comment; `None`: as it is.
    pub comments_enabled: Option<bool>,
    /// New `alt_text`s, each with its photo's place in the post.
    pub alt_texts: Vec<(usize, Option<String>)>,
}

/// What a step changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it had happened before, or comes too late.
    Nothing,
    /// The post goes on waiting for the others.
    Progress,
    /// That was the last one: the post is published.
    Published,
    /// A published post says something else.
    Edited,
}

impl Location {
    /// To about a centimetre: 7 decimals of a degree. Beyond that a number means nothing, and some that JSON can say are too small for
    /// a table.
    #[must_use]
    pub fn rounded(self) -> Self {
        // Adding zero makes `-0.0` plain zero.
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7 + 0.0;
        Self { lat: round(self.lat), lng: round(self.lng), ..self }
    }
}

impl Photo {
    /// A photo that is announced and has not come yet.
    pub fn announced(content_type: ContentType, bytes: u64, alt_text: Option<String>, media_id: String) -> Self {
        Self { content_type, bytes, alt_text, media_id, is_private: false, rendition: None }
    }

    /// Where its files lie.
    pub fn place(&self) -> Place {
        Place::of(self.is_private)
    }
}

impl Post {
    /// A post that waits for its photos.
    pub fn new(draft: Draft, now: Time) -> Self {
        let Draft { author_id, caption, location, comments_enabled, photos } = draft;
        Self {
            id: PostId::new(),
            author_id,
            status: Status::AwaitingUpload,
            failure: None,
            hashtags: text::hashtags(&caption),
            mentions: text::mentions(&caption),
            caption,
            location,
            comments_enabled,
            photos,
            created_at: now,
            published_at: None,
            edited_at: None,
        }
    }

    /// Whether nothing more will happen to it by itself.
    pub fn is_settled(&self) -> bool {
        matches!(self.status, Status::Published | Status::Failed)
    }

    /// A photograph has arrived and is being worked on.
    pub fn start(&mut self) -> Step {
        if self.status != Status::AwaitingUpload {
            return Step::Nothing;
        }
        self.status = Status::Processing;
        Step::Progress
    }

    /// Photo `index` has been processed and its files lie at `place`; the last one publishes the post.
    pub fn finish_photo(&mut self, index: usize, rendition: Rendition, place: Place, now: Time) -> Step {
        if self.is_settled() {
            return Step::Nothing;
        }
        match self.photos.get_mut(index) {
            Some(photo) if photo.rendition.is_none() => {
                photo.rendition = Some(rendition);
                photo.is_private = place == Place::Private;
            }
            _ => return Step::Nothing,
        }
        if self.photos.iter().any(|photo| photo.rendition.is_none()) {
            self.status = Status::Processing;
            return Step::Progress;
        }
        self.status = Status::Published;
        self.published_at = Some(now);
        Step::Published
    }

    /// Its author changes what it says, or whether others may comment: which is nothing that it says.
    pub fn edit(&mut self, edit: &Edit, now: Time) -> Step {
        let before = self.clone();
        match &edit.caption {
            Patch::Keep => {}
            Patch::Clear => self.say(String::new()),
            Patch::Set(caption) => self.say(caption.clone()),
        }
        match &edit.location {
            Patch::Keep => {}
            Patch::Clear => self.location = None,
            Patch::Set(location) => self.location = Some(location.clone()),
        }
        for (index, alt_text) in &edit.alt_texts {
            if let Some(photo) = self.photos.get_mut(*index) {
                photo.alt_text.clone_from(alt_text);
            }
        }
        let says_else = *self != before;
        self.comments_enabled = edit.comments_enabled.unwrap_or(self.comments_enabled);
        if says_else && self.status == Status::Published {
            self.edited_at = Some(now);
            return Step::Edited;
        }
        if *self == before { Step::Nothing } else { Step::Progress }
    }

    fn say(&mut self, caption: String) {
        self.hashtags = text::hashtags(&caption);
        self.mentions = text::mentions(&caption);
        self.caption = caption;
    }

    /// It is deleted: what its author said of it and what its photos show goes, and where its files are stays.
    pub fn erase(&mut self) {
        self.caption.clear();
        self.hashtags.clear();
        self.mentions.clear();
        self.location = None;
        for photo in &mut self.photos {
            photo.alt_text = None;
            photo.rendition = None;
        }
    }

    /// It can't be finished.
    pub fn fail(&mut self, failure: Failure) -> Step {
        if self.is_settled() {
            return Step::Nothing;
        }
        self.status = Status::Failed;
        self.failure = Some(failure);
        Step::Progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn post(photos: usize) -> Post {
        let photo = Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16));
        let photos = vec![photo; photos];
        let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
        Post::new(draft, Time::now())
    }

    fn rendition() -> Rendition {
        Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] }
    }

    fn failure() -> Failure {
        Failure { code: "not-an-image".to_owned(), detail: "It is no image.".to_owned(), photo: Some(0) }
    }

    #[test]
    fn a_place_is_known_to_a_centimetre() {
        let rounded = |lat, lng| {
            let Location { lat, lng, .. } = Location { name: String::new(), lat, lng }.rounded();
            (lat.to_string(), lng.to_string())
        };
        assert_eq!(rounded(1e-200, -1e-200), ("0".to_owned(), "0".to_owned()));
        assert_eq!(rounded(48.858_370_149, -179.999_999_99), ("48.8583701".to_owned(), "-180".to_owned()));
        assert_eq!(rounded(-90.0, 180.0), ("-90".to_owned(), "180".to_owned()));
    }

    #[test]
    fn an_edit_changes_what_it_names_and_a_published_post_tells_when_it_said_something_else() {
        let mut post = post(2);
        let now = Time::from_millis(1).unwrap();
        let set = |caption: &str| Edit { caption: Patch::Set(caption.to_owned()), ..Edit::default() };
        assert_eq!(post.edit(&set("#sea by @bob"), now), Step::Progress);
        assert_eq!((post.hashtags.len(), post.mentions.len(), post.edited_at), (1, 1, None), "nobody has seen it otherwise");
        post.status = Status::Published;
        assert_eq!(post.edit(&set("#sea by @bob"), now), Step::Nothing);
        assert_eq!(post.edit(&Edit { comments_enabled: Some(false), ..Edit::default() }, now), Step::Progress);
        assert_eq!((post.comments_enabled, post.edited_at), (false, None));
        let place = Location { name: "Here".to_owned(), lat: 1.0, lng: 2.0 };
        let alt_texts = vec![(1, Some("A wave".to_owned()))];
        let edit = Edit { caption: Patch::Clear, location: Patch::Set(place.clone()), comments_enabled: None, alt_texts };
        assert_eq!(post.edit(&edit, now), Step::Edited);
        assert_eq!((post.caption.as_str(), post.hashtags.len(), post.mentions.len()), ("", 0, 0));
        assert_eq!((&post.location, post.edited_at), (&Some(place), Some(now)));
        assert_eq!((post.photos[0].alt_text.as_deref(), post.photos[1].alt_text.as_deref()), (None, Some("A wave")));
        assert_eq!(post.edit(&edit, now.plus(std::time::Duration::from_secs(1))), Step::Nothing);
        assert_eq!(post.edited_at, Some(now));
    }

    proptest! {
        // Promise 1, in the small: whatever the order and however often photos finish or fail, a post is published when and only
        // when all are there, once, and what is settled stays as it is.
        #[test]
        fn a_post_is_published_exactly_once_when_all_photos_are_there(
            photos in 1usize..=10,
            steps in prop::collection::vec((0usize..12, any::<bool>(), 0u8..40), 0..60),
        ) {
            let mut post = post(photos);
            let mut published = 0;
            for (index, starts, dice) in steps {
                let before = post.clone();
                let step = if dice == 0 {
                    post.fail(failure())
                } else if starts {
                    post.start()
                } else {
                    post.finish_photo(index, rendition(), Place::Public, Time::now())
                };
                if before.is_settled() || step == Step::Nothing {
                    prop_assert_eq!(&post, &before);
                }
                published += usize::from(step == Step::Published);
                let all = post.photos.iter().all(|photo| photo.rendition.is_some());
                prop_assert_eq!(post.status == Status::Published, all);
                prop_assert_eq!(post.published_at.is_some(), all);
                prop_assert_eq!(published, usize::from(all));
                prop_assert_eq!(post.failure.is_some(), post.status == Status::Failed);
            }
        }
    }
}
