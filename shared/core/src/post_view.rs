//! A post as it is answered: by `posts` one at a time and in lists, by `feed` in timelines.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    PostId, Time,
    media::{self, Place},
    name::Username,
    post::{Failure, Location, Photo, Post, Status, Variant},
    profile::{Author, ProfileCard},
};

/// A post.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PostView {
    /// Its id.
    pub id: PostId,
    /// Who made it.
    pub author: Author,
    /// Where it stands. Only its author sees a post that is not `published`.
    pub status: Status,
    /// Why it failed; only with status `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the author wrote; may be empty.
    pub caption: String,
    /// Found in the caption: lower-case, without `#`.
    pub hashtags: Vec<String>,
    /// Usernames found in the caption, without `@`; whether such people exist is not said.
    pub mentions: Vec<Username>,
    /// Where it was taken, if the author says so.
    #[schema(required)]
    pub location: Option<Location>,
    /// 1 to 10.
    pub photos: Vec<PhotoView>,
    /// Whether others may comment.
    pub comments_enabled: bool,
    /// How it was received.
    pub counts: PostCounts,
    /// What the viewer has done to it; only where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<Marks>,
    /// When its upload tickets were made.
    pub created_at: Time,
    /// Its place in every timeline; `null` until it is published.
    #[schema(required)]
    pub published_at: Option<Time>,
    /// When what it says was last changed, if it was after its publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
}

/// What others have made of a post, and what the viewer has, if there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reception {
    /// How much of it.
    pub counts: PostCounts,
    /// What the viewer has done to it.
    pub viewer: Option<Marks>,
}

/// How a post was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PostCounts {
    /// How many like it.
    pub likes: u64,
    /// How many comments there are, replies included.
    pub comments: u64,
}

impl PostCounts {
    /// Of sums over shards. Shards are not read in one moment: what is taken away at one may be seen before what was added at another, so
    /// that for that moment a sum may be below zero.
    pub fn of_sums(likes: i64, comments: i64) -> Self {
        let count = |sum: i64| u64::try_from(sum).unwrap_or(0);
        Self { likes: count(likes), comments: count(comments) }
    }
}

/// What a viewer has done to a post.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ViewerMarks)]
pub struct Marks {
    /// They like it.
    pub liked: bool,
    /// They have saved it, which nobody else knows.
    pub saved: bool,
}

/// A photo of a post. Until it has been processed, size and blurhash are `null` and it has no variants.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PhotoView {
    /// Its place in the post, from 0.
    pub index: usize,
    /// For those who can't see it.
    #[schema(required)]
    pub alt_text: Option<String>,
    /// Of the upright original, in pixels.
    #[schema(required)]
    pub width: Option<u32>,
    /// Of the upright original, in pixels.
    #[schema(required)]
    pub height: Option<u32>,
    /// What to show until a variant is loaded (<https://blurha.sh>).
    #[schema(required)]
    pub blurhash: Option<String>,
    /// Smallest first.
    pub variants: Vec<VariantView>,
}

/// One size of a photo.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VariantView {
    /// `thumb`, `w320`, `w640`, `w1080` or `w1440`.
    #[schema(example = "w640")]
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Size of the file.
    pub bytes: u64,
    /// Always `image/jpeg`.
    pub content_type: &'static str,
    /// Root-relative and good for ever; of a private account's post absolute, and good for four minutes at least and five at most.
    pub url: String,
}

/// What opens the files that lie where only a signature opens them.
pub trait OpenPrivate: Sync {
    /// A URL that whoever holds it may fetch the object at `key` with, for a few minutes.
    fn open(&self, key: &str) -> String;
}

/// The URL of a post's first photo in its smallest size, for somebody who may see it; `None` if it has none (yet).
pub fn thumb_url(post: &Post, private: &impl OpenPrivate) -> Option<String> {
    let first = PhotoView::new(post.id, 0, post.photos.first()?, private);
    first.variants.into_iter().find(|variant| variant.name == "thumb").map(|thumb| thumb.url)
}

impl PostView {
    /// The view of `post`, whose author is the person of `card`, for somebody who may see it: `private` opens its files to them.
    pub fn new(post: &Post, card: &ProfileCard, reception: Reception, private: &impl OpenPrivate) -> Self {
        Self {
            id: post.id,
            author: card.into(),
            status: post.status,
            failure: post.failure.clone(),
            caption: post.caption.clone(),
            hashtags: post.hashtags.clone(),
            mentions: post.mentions.clone(),
            location: post.location.clone(),
            photos: post.photos.iter().enumerate().map(|(index, photo)| PhotoView::new(post.id, index, photo, private)).collect(),
            comments_enabled: post.comments_enabled,
            counts: reception.counts,
            viewer: reception.viewer,
            created_at: post.created_at,
            published_at: post.published_at,
            edited_at: post.edited_at,
        }
    }
}

impl PhotoView {
    fn new(post_id: PostId, index: usize, photo: &Photo, private: &impl OpenPrivate) -> Self {
        let rendition = photo.rendition.as_ref();
        let variants = rendition.map_or(&[][..], |rendition| &rendition.variants);
        let url = |variant: &str| match photo.place() {
            Place::Public => media::variant_url(post_id, &photo.media_id, variant),
            Place::Private => private.open(&media::variant_key(Place::Private, post_id, &photo.media_id, variant)),
        };
        let view = |variant: &Variant| VariantView {
            name: variant.name.clone(),
            width: variant.width,
            height: variant.height,
            bytes: variant.bytes,
            content_type: "image/jpeg",
            url: url(&variant.name),
        };
        Self {
            index,
            alt_text: photo.alt_text.clone(),
            width: rendition.map(|rendition| rendition.width),
            height: rendition.map(|rendition| rendition.height),
            blurhash: rendition.map(|rendition| rendition.blurhash.clone()),
            variants: variants.iter().map(view).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        UserId,
        post::{ContentType, Draft, Rendition},
    };
    use serde_json::json;

    fn post() -> Post {
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "0f".repeat(16))];
        let draft = Draft { author_id: UserId::new(), caption: "Sun".to_owned(), location: None, comments_enabled: true, photos };
        Post::new(draft, Time::from_millis(0).unwrap())
    }

    fn answer(post: &Post, reception: Reception) -> serde_json::Value {
        let (username, display_name) = ("ada".parse().unwrap(), "Ada".to_owned());
        let card = ProfileCard { id: post.author_id, username, display_name, is_private: false, avatar: None };
        serde_json::to_value(PostView::new(post, &card, reception, &Signed)).unwrap()
    }

    /// Signs in ink.
    struct Signed;

    impl OpenPrivate for Signed {
        fn open(&self, key: &str) -> String {
            format!("{key}?signed")
        }
    }

    #[test]
    fn a_post_that_waits_says_so_with_nulls() {
        let post = post();
        assert_eq!(
            answer(&post, Reception::default()),
            json!({
                "id": post.id, "author": {"id": post.author_id, "username": "ada", "display_name": "Ada", "avatar": null},
                "status": "awaiting_upload", "caption": "Sun", "hashtags": [], "mentions": [], "location": null,
                "photos": [{"index": 0, "alt_text": null, "width": null, "height": null, "blurhash": null, "variants": []}],
                "comments_enabled": true, "counts": {"likes": 0, "comments": 0}, "created_at": "1970-01-01T00:00:00.000Z", "published_at": null,
            })
        );
    }

    #[test]
    fn what_a_viewer_has_done_is_said_where_there_is_one() {
        let (counts, now) = (PostCounts { likes: 3, comments: 2 }, Time::from_millis(0).unwrap());
        let post = Post { edited_at: Some(now), ..post() };
        let anonymous = answer(&post, Reception { counts, viewer: None });
        assert_eq!((&anonymous["counts"], anonymous.get("viewer")), (&json!({"likes": 3, "comments": 2}), None));
        let viewer = Some(Marks { liked: true, saved: false });
        let seen = answer(&post, Reception { counts, viewer });
        assert_eq!((&seen["viewer"], &seen["edited_at"]), (&json!({"liked": true, "saved": false}), &json!("1970-01-01T00:00:00.000Z")));
    }

    #[test]
    fn a_count_is_never_below_zero() {
        assert_eq!(PostCounts::of_sums(-1, 2), PostCounts { likes: 0, comments: 2 });
        assert_eq!(PostCounts::of_sums(3, -2), PostCounts { likes: 3, comments: 0 });
    }

    #[test]
    fn a_published_one_shows_where_its_variants_are() {
        let mut post = post();
        let variant = Variant { name: "w320".to_owned(), width: 320, height: 240, bytes: 9 };
        let rendition = Rendition { width: 640, height: 480, blurhash: "L".to_owned(), variants: vec![variant] };
        post.finish_photo(0, rendition, Place::Public, Time::from_millis(0).unwrap());
        let public = answer(&post, Reception::default());
        assert_eq!(public["status"], "published");
        assert_eq!(
            public["photos"][0],
            json!({
                "index": 0, "alt_text": null, "width": 640, "height": 480, "blurhash": "L",
                "variants": [{
                    "name": "w320", "width": 320, "height": 240, "bytes": 9, "content_type": "image/jpeg",
                    "url": format!("/media/{}/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f/w320.jpg", post.id),
                }],
            })
        );
        post.photos[0].is_private = true;
        let url = &answer(&post, Reception::default())["photos"][0]["variants"][0]["url"];
        assert_eq!(*url, format!("private/{}/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f/w320.jpg?signed", post.id));
    }
}
