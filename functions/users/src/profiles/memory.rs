//! What is remembered of people as their profiles show them: for everybody but themselves, and for whoever has just changed how many follow
//! them or whom they follow.

use std::sync::Arc;

use tintype_core::UserId;
use tintype_tables::{
    Error, Table,
    memory::{Life, Memory},
    users::{self, FollowCounts},
};

use super::store::{self, Profile};

/// A profile and its counts are some 500 bytes.
const MOST: usize = 10_000;

/// Cheap to clone: all clones remember the same.
#[derive(Clone)]
pub(crate) struct Profiles {
    pages: Memory<UserId, Arc<Profile>>,
    follows: Memory<UserId, FollowCounts>,
    published: Memory<UserId, i64>,
}

impl Profiles {
    /// That are remembered for as long as `life` says.
    pub(crate) fn lasting(life: Life) -> Self {
        let published = Memory::new("published", life, MOST);
        Self { pages: Memory::new("profiles", life, MOST), follows: Memory::new("follows", life, MOST), published }
    }

    /// Somebody's profile, or that there is none (any more).
    pub(crate) async fn of(&self, users: &Table, id: UserId) -> Result<Option<Arc<Profile>>, Error> {
        self.pages.one(id, |id| profile(users, id)).await
    }

    /// The same as it stands now: for themselves.
    pub(crate) async fn of_now(&self, users: &Table, id: UserId) -> Result<Option<Arc<Profile>>, Error> {
        self.pages.one_anew(id, |id| profile(users, id)).await
    }

    /// How many follow somebody, and how many they follow.
    pub(crate) async fn follows(&self, users: &Table, id: UserId) -> Result<FollowCounts, Error> {
        Ok(self.follows.one(id, async |id| users::follow_counts(users, id).await.map(Some)).await?.unwrap_or_default())
    }

    /// The same as it stands now: for themselves, and for whoever has just changed it.
    pub(crate) async fn follows_now(&self, users: &Table, id: UserId) -> Result<FollowCounts, Error> {
        Ok(self.follows.one_anew(id, async |id| users::follow_counts_now(users, id).await.map(Some)).await?.unwrap_or_default())
    }

    /// How many posts somebody has published.
    pub(crate) async fn published(&self, posts: &Table, id: UserId) -> Result<i64, Error> {
        Ok(self.published.one(id, async |id| store::published_posts(posts, id, false).await.map(Some)).await?.unwrap_or_default())
    }

    /// The same as it stands now: for themselves.
    pub(crate) async fn published_now(&self, posts: &Table, id: UserId) -> Result<i64, Error> {
        Ok(self.published.one_anew(id, async |id| store::published_posts(posts, id, true).await.map(Some)).await?.unwrap_or_default())
    }
}

async fn profile(users: &Table, id: UserId) -> Result<Option<Arc<Profile>>, Error> {
    Ok(store::read(users, id).await?.map(Arc::new))
}
