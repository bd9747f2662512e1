//! Cards and counts as a function remembers them: what pages are filled with, once it is known what may be on them.
//!
//! Who may see what is never asked here. One's own is read as it stands now, and so is what one has just changed: see [`crate::reception`]
//! for counts.

use std::{collections::HashMap, sync::Arc};

use tintype_core::{PostId, Time, UserId, name::Username, post::Post, profile::ProfileCard};
use tokio::try_join;

use crate::{
    Error, Table, comments,
    memory::{BadLife, JUST_NOW, Life, Memory},
    posts::{self, marks},
    users,
};

/// A card of a post is some 3 KB, of a person and all else some 300 bytes: 10 to 20 MB in all, if all are full.
const MOST_POSTS: usize = 3_000;
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
            posts: Memory::new("posts", life, MOST_POSTS),
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
        let now = |ids: Vec<UserId>| async { Ok(shared(users::cards_now(table, ids).await?)) };
        let known = |ids: Vec<UserId>| self.people.all(ids, |ids| existing(table, ids));
        let own = async {
            match self.people.anew(own.clone(), now).await {
                // Who fails to be asked of their new name is shown by the old one.
                Err(Error::Unavailable(_)) => known(own).await,
                result => result,
            }
        };
        let (own, mut cards) = try_join!(own, known(others))?;
        cards.extend(own);
        Ok(cards)
    }

    /// The person with this username, for `viewer`. Whoever has just signed up is found by themselves at once.
    pub async fn named(&self, table: &Table, username: &Username, viewer: Option<UserId>) -> Result<Option<UserId>, Error> {
        let load = |names: Vec<Username>| async move {
            // One at a time is ever asked for.
            let mut found = HashMap::new();
            for name in names {
                if let Some(id) = users::find(table, &name).await? {
                    found.insert(name, id);
                }
            }
            Ok(found)
        };
        let is_new = viewer.is_some_and(|viewer| viewer.made_at().is_none_or(|at| at.plus(JUST_NOW) > Time::now()));
        let name = [username.clone()];
        let found = if is_new { self.names.anew(name, load).await? } else { self.names.all(name, load).await? };
        Ok(found.get(username).copied())
    }

    /// The published ones among `ids`, none of which is the viewer's own.
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

fn shared<K: std::hash::Hash + Eq, V>(cards: HashMap<K, V>) -> HashMap<K, Arc<V>> {
    cards.into_iter().map(|(id, card)| (id, Arc::new(card))).collect()
}
