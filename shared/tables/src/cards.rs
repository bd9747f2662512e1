//! Cards and counts as a function remembers them: what pages are filled with, once it is known what may be on them.
//!
//! Who may see what is never asked here. One's own is read as it stands now, and so is what one has just changed: see [`crate::reception`]
//! for counts.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
};

use tintype_core::{PostId, Time, UserId, name::Username, post::Post, profile::ProfileCard};
use tokio::try_join;

use crate::{
    Error, Table, comments,
    memory::{BadLife, JUST_NOW, Life, Memory},
    posts::{self, marks},
    users,
};

/// Bytes of posts: one is 2 to 4 KB, the largest that may be made some hundred.
const MOST_POSTS: u64 = 16_000_000;
const POST: usize = 4_000;
/// A card of a person is 1 KB at most, and all else some 100 bytes.
const MOST_PEOPLE: usize = 10_000;
const MOST_COUNTS: usize = 20_000;

/// What a function remembers. Cheap to clone: all clones remember the same.
#[derive(Clone)]
pub struct Cards {
    people: Memory<UserId, Arc<ProfileCard>>,
    names: Memory<Username, UserId>,
    posts: Memory<PostId, Arc<Post>>,
    likes: Memory<PostId, i64>,
    comments: Memory<PostId, i64>,
}

impl Cards {
    /// That remember for as long as environment variable `CARD_SECONDS` says.
    pub fn from_env() -> Result<Self, BadLife> {
        Ok(Self::lasting(Life::from_env()?))
    }

    /// That remember for as long as `life` says.
    pub fn lasting(life: Life) -> Self {
        Self {
            people: Memory::new("people", life, MOST_PEOPLE),
            names: Memory::new("names", life, MOST_PEOPLE),
            posts: Memory::weighing("posts", life, MOST_POSTS, usize::try_from(MOST_POSTS).unwrap_or(usize::MAX) / POST, |post| {
                weight(post)
            }),
            likes: Memory::new("likes", life, MOST_COUNTS),
            comments: Memory::new("comments", life, MOST_COUNTS),
        }
    }

    /// The cards of those of `ids` who exist: whoever has just signed up, too. `viewer`'s own is as of now.
    pub async fn people(
        &self,
        table: &Table,
        ids: impl IntoIterator<Item = UserId>,
        viewer: Option<UserId>,
    ) -> Result<HashMap<UserId, Arc<ProfileCard>>, Error> {
        let (own, others): (Vec<UserId>, Vec<UserId>) = ids.into_iter().partition(|id| Some(*id) == viewer);
        // Who can't be read anew is shown by their old name.
        let own = self.people.anew_or_old(own, |ids| async { Ok(shared(users::cards_now(table, ids).await?)) });
        let (own, mut cards) = try_join!(own, self.people.all(others, |ids| existing(table, ids)))?;
        cards.extend(own);
        Ok(cards)
    }

    /// The person with this username, for `viewer`. Whoever has just signed up is found by themselves at once.
    pub async fn named(&self, table: &Table, username: &Username, viewer: Option<UserId>) -> Result<Option<UserId>, Error> {
        let load = |name: Username| async move { users::find(table, &name).await };
        let is_new = viewer.is_some_and(|viewer| viewer.made_at().is_none_or(|at| at.plus(JUST_NOW) > Time::now()));
        let name = username.clone();
        if is_new { self.names.one_anew(name, load).await } else { self.names.one(name, load).await }
    }

    /// The published ones among `ids`, as they are remembered. The viewer's own are to be read with [`Self::own_posts`], also if it is only
    /// seen here that they are.
    pub async fn posts(&self, table: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Arc<Post>>, Error> {
        self.posts.all(ids.iter().copied(), |ids| async move { Ok(shared(posts::published_cards(table, &ids).await?)) }).await
    }

    /// The published ones among `ids`, as of now: for their author, who must not see again what they have just deleted.
    pub async fn own_posts(&self, table: &Table, ids: &[PostId]) -> Result<HashMap<PostId, Arc<Post>>, Error> {
        self.posts.anew(ids.iter().copied(), |ids| async move { Ok(shared(posts::cards_now(table, &ids).await?)) }).await
    }

    /// How many like each of `ids`.
    pub(crate) async fn likes(&self, table: &Table, ids: &[PostId]) -> Result<HashMap<PostId, i64>, Error> {
        self.likes.all(ids.iter().copied(), |ids| async move { marks::likes(table, &ids, false).await }).await
    }

    /// The same as it stands now.
    pub(crate) async fn likes_now(&self, table: &Table, ids: Vec<PostId>) -> Result<HashMap<PostId, i64>, Error> {
        self.likes.anew(ids, |ids| async move { marks::likes(table, &ids, true).await }).await
    }

    /// How many comments each of `ids` has.
    pub(crate) async fn comments(&self, table: &Table, ids: &[PostId]) -> Result<HashMap<PostId, i64>, Error> {
        self.comments.all(ids.iter().copied(), |ids| async move { comments::numbers(table, &ids, false).await }).await
    }

    /// The same as it stands now.
    pub(crate) async fn comments_now(&self, table: &Table, ids: Vec<PostId>) -> Result<HashMap<PostId, i64>, Error> {
        self.comments.anew(ids, |ids| async move { comments::numbers(table, &ids, true).await }).await
    }
}

/// The cards of those who exist, eventually consistent; but whoever has just signed up is found.
async fn existing(table: &Table, ids: Vec<UserId>) -> Result<HashMap<UserId, Arc<ProfileCard>>, Error> {
    let mut cards = users::cards(table, ids.iter().copied()).await?;
    let unknown: Vec<UserId> = ids.into_iter().filter(|id| !cards.contains_key(id)).collect();
    cards.extend(users::cards_now(table, unknown).await?);
    Ok(shared(cards))
}

/// About how many bytes a card takes: in JSON each part is about as long as it is in memory, or its text is, which is what makes a post heavy.
fn weight(post: &Post) -> u64 {
    let mut length = Length(size_of::<Post>() as u64);
    // It fails if its sink does.
    let _ = serde_json::to_writer(&mut length, post);
    length.0
}

struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shared<K: std::hash::Hash + Eq, V>(cards: HashMap<K, V>) -> HashMap<K, Arc<V>> {
    cards.into_iter().map(|(id, card)| (id, Arc::new(card))).collect()
}

#[cfg(test)]
mod tests {
    use tintype_core::{
        media,
        post::{ContentType, Draft, Location, Photo, Rendition, Status, Variant},
    };

    use super::*;

    /// The largest post that the API takes: ten photographs, and each text as long as it may be, of characters of four bytes.
    fn largest() -> Post {
        let text = |characters: usize| "\u{1F30D}".repeat(characters);
        let variant = |name: &str| Variant { name: name.to_owned(), width: 1440, height: 1440, bytes: 999_999 };
        let photo = || {
            let variants = ["thumb", "w320", "w640", "w1080", "w1440"].map(variant).to_vec();
            let rendition = Rendition { width: 9999, height: 9999, blurhash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj".to_owned(), variants };
            let announced = Photo::announced(ContentType::Jpeg, 20_000_000, Some(text(1000)), media::new_id());
            Photo { rendition: Some(rendition), is_private: true, ..announced }
        };
        let location = Some(Location { name: text(100), lat: -12.345_678, lng: -123.456_789 });
        // Half of it is names, which are kept once more.
        let caption = format!("{}{}", text(1100), " #\u{20000}".repeat(366));
        let photos = (0..10).map(|_| photo()).collect();
        let draft = Draft { author_id: UserId::new(), caption, location, comments_enabled: true, photos };
        Post { status: Status::Published, published_at: Some(Time::now()), ..Post::new(draft, Time::now()) }
    }

    /// What it takes of the heap, counted field by field.
    fn bytes(post: &Post) -> usize {
        let photo = |photo: &Photo| {
            let variants = photo.rendition.iter().flat_map(|rendition| &rendition.variants);
            let variants: usize = variants.map(|variant| size_of::<Variant>() + variant.name.len()).sum();
            let blurhash = photo.rendition.as_ref().map_or(0, |rendition| rendition.blurhash.len());
            size_of::<Photo>() + photo.media_id.len() + photo.alt_text.as_ref().map_or(0, String::len) + blurhash + variants
        };
        let names = post.hashtags.iter().map(|tag| size_of::<String>() + tag.len()).sum::<usize>();
        let place = post.location.as_ref().map_or(0, |location| location.name.len());
        size_of::<Post>() + post.caption.len() + names + place + post.photos.iter().map(photo).sum::<usize>()
    }

    #[test]
    fn a_post_weighs_about_what_it_takes_also_the_largest_that_may_be_made() {
        let largest = largest();
        let plain = Post { caption: "hills".to_owned(), hashtags: vec![], photos: largest.photos[..1].to_vec(), ..largest.clone() };
        for post in [&largest, &plain] {
            let (weight, bytes) = (weight(post), bytes(post) as u64);
            assert!(weight * 5 >= bytes * 4 && weight <= bytes * 2, "{weight} for {bytes} bytes");
        }
        assert!(weight(&largest) > 50_000);
    }

    #[tokio::test]
    async fn as_many_of_the_largest_posts_are_remembered_as_there_is_room_for() {
        let cards = Cards::lasting(Life::default());
        let (post, ids): (_, Vec<PostId>) = (Arc::new(largest()), (0..1000).map(|_| PostId::new()).collect());
        let load = |ids: Vec<PostId>| {
            let post = &post;
            async move { Ok(ids.into_iter().map(|id| (id, Arc::clone(post))).collect()) }
        };
        for some in ids.chunks(20) {
            assert_eq!(cards.posts.all(some.iter().copied(), load).await.unwrap().len(), 20);
        }
        let kept = MOST_POSTS / weight(&post);
        assert!((kept * 9 / 10..=kept).contains(&(cards.posts.len() as u64)), "{} of {kept}", cards.posts.len());
    }
}
