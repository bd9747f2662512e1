//! What is in an archive, read piece by piece: no file in it grows with the account, so that a piece always fits into memory.
//!
//! | file | what |
//! |---|---|
//! | `account.json` | username, e-mail address, profile and settings; no hash or secret |
//! | `avatar.jpg` | the picture, if there is one |
//! | `sessions.json` | devices |
//! | `following.json`, `followers.json`, `follow-requests-sent.json`, `follow-requests-received.json`, `blocks.json`, `mutes.json` | usernames; after a thousand `-2.json` and so on |
//! | `likes.json`, `saved.json` | ids of posts, and since when; after a thousand likewise |
//! | `comments.json`, `liked-comments.json` | what the person has written, with posts and times; comments that they like; more files likewise |
//! | `posts/{post}/post.json`, `posts/{post}/{index}.jpg` | a post, published or not, and its photographs in their largest variant |
//!
//! Who has blocked or muted the person, or has stopped following them, is nobody's but those people's.
//!
//! A service that comes later adds a section.

mod comments;
mod marks;
mod posts;

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tintype_core::{UserId, media, profile::ProfileCard};
use tintype_queues::Failure;
use tintype_tables::{
    Error, Key, Page,
    table::Query,
    users::{self, FOLLOWERS, FOLLOWING, REQUESTED, REQUESTS, SESSIONS, Session},
    visibility::{self, Fence},
};

use crate::Stores;

/// People or posts in a file.
const PEOPLE: usize = 1000;
/// Cards in a request; a file's requests go side by side.
const BATCH: usize = 100;

/// What an archive consists of, in this order: a cursor counts on it.
const SECTIONS: [Section; 15] = [
    Section::Account,
    Section::Avatar,
    Section::Sessions,
    Section::Edges { name: "following", prefix: FOLLOWING },
    Section::Edges { name: "followers", prefix: FOLLOWERS },
    Section::Edges { name: "follow-requests-sent", prefix: REQUESTED },
    Section::Edges { name: "follow-requests-received", prefix: REQUESTS },
    Section::Fences { name: "blocks", kind: Fence::Blocking },
    Section::Fences { name: "mutes", kind: Fence::Muting },
    Section::Likes,
    Section::Saved,
    // A post that is published meanwhile is in one of them at least; twice in the archive, it is one folder.
    Section::Posts { prefix: tintype_tables::posts::UNPUBLISHED },
    Section::Posts { prefix: tintype_tables::posts::PUBLISHED },
    Section::Comments,
    Section::LikedComments,
];

#[derive(Debug, Clone, Copy)]
enum Section {
    Account,
    Avatar,
    Sessions,
    /// People at the other ends of edges.
    Edges {
        name: &'static str,
        prefix: &'static str,
    },
    /// People before whom the person has put a fence.
    Fences {
        name: &'static str,
        kind: Fence,
    },
    /// The posts that the person likes.
    Likes,
    /// The posts that the person has saved.
    Saved,
    /// One of the lists of the person's posts.
    Posts {
        prefix: &'static str,
    },
    Comments,
    LikedComments,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Of [`SECTIONS`].
    section: usize,
    /// The piece of the section, from 0.
    piece: usize,
    /// The sort key after which the piece begins.
    after: Option<String>,
}

/// A file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) bytes: Bytes,
}

impl Entry {
    fn json(path: String, value: &Value) -> Self {
        Self { path, bytes: format!("{value:#}\n").into() }
    }

    /// A file of a list that may need several.
    fn piece(name: &str, piece: usize, value: &Value) -> Self {
        let number = if piece == 0 { String::new() } else { format!("-{}", piece + 1) };
        Self::json(format!("{name}{number}.json"), value)
    }
}

/// A person's things.
#[derive(Clone, Copy)]
pub(crate) struct Contents<'a> {
    pub(crate) stores: &'a Stores,
    pub(crate) user: UserId,
}

/// Files, and the sort key after which the section goes on, if it does.
type Piece = (Vec<Entry>, Option<String>);

impl Contents<'_> {
    /// Whether there is such a person (any more).
    pub(crate) async fn has_account(&self) -> Result<bool, Error> {
        let account: Option<Key> = self.stores.users.get(&users::account(self.user), true).await?;
        Ok(account.is_some())
    }

    /// The files at `cursor`, and what comes next.
    pub(crate) async fn read(&self, cursor: Cursor) -> Result<(Vec<Entry>, Option<Cursor>), Failure> {
        let Some(section) = SECTIONS.get(cursor.section) else { return Ok((Vec::new(), None)) };
        let (entries, after) = match *section {
            Section::Account => (vec![self.account().await?], None),
            Section::Avatar => (self.avatar().await?, None),
            Section::Sessions => (vec![self.sessions().await?], None),
            Section::Edges { name, prefix } => {
                let query = Query { pk: users::partition(self.user), prefix: Some(prefix), after: cursor.after, ..EVERYTHING };
                self.people(name, cursor.piece, users::edges(&self.stores.users, query).await?).await?
            }
            Section::Fences { name, kind } => {
                let page = visibility::fenced_off(&self.stores.users, self.user, kind, cursor.after, PEOPLE).await?;
                self.people(name, cursor.piece, page).await?
            }
            Section::Likes => marks::likes(self, cursor.piece, cursor.after).await?,
            Section::Saved => marks::saved(self, cursor.piece, cursor.after).await?,
            Section::Posts { prefix } => posts::read(self, prefix, cursor.after).await?,
            Section::Comments => comments::written(self, cursor.piece, cursor.after).await?,
            Section::LikedComments => comments::liked(self, cursor.piece, cursor.after).await?,
        };
        let next = match after {
            Some(after) => Some(Cursor { piece: cursor.piece + 1, after: Some(after), ..cursor }),
            None => Some(cursor.section + 1).filter(|next| *next < SECTIONS.len()).map(|section| Cursor { section, ..Cursor::default() }),
        };
        Ok((entries, next))
    }

    async fn account(&self) -> Result<Entry, Failure> {
        let read = async |key: Key| self.stores.users.get::<Map<String, Value>>(&key, true).await;
        let account = read(users::account(self.user)).await?.unwrap_or_default();
        let profile = read(users::profile(self.user)).await?.unwrap_or_default();
        Ok(Entry::json("account.json".to_owned(), &describe(&account, &profile)))
    }

    async fn avatar(&self) -> Result<Vec<Entry>, Failure> {
        let card: Option<ProfileCard> = self.stores.users.get(&users::profile(self.user), true).await?;
        let Some(avatar) = card.and_then(|card| card.avatar) else { return Ok(Vec::new()) };
        let object = self.stores.media.get(&media::avatar_key(self.user, &avatar.media_id, "a400")).await?;
        let Some(object) = object else { return Ok(Vec::new()) };
        Ok(vec![Entry { path: "avatar.jpg".to_owned(), bytes: object.bytes().await? }])
    }

    async fn sessions(&self) -> Result<Entry, Failure> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let query = Query { pk: users::partition(self.user), prefix: Some(SESSIONS), after, ..EVERYTHING };
            let page: Page<Session> = self.stores.users.query(query).await?;
            sessions.extend(page.items.into_iter().map(|session| {
                let Session { id, created_at, rotated_at, user_agent, .. } = session;
                json!({"id": id, "created_at": created_at, "last_used_at": rotated_at, "device": user_agent})
            }));
            after = page.next;
            if after.is_none() {
                return Ok(Entry::json("sessions.json".to_owned(), &sessions.into()));
            }
        }
    }

    async fn people(&self, name: &str, piece: usize, page: Page<UserId>) -> Result<Piece, Failure> {
        let batches = page.items.chunks(BATCH).map(|ids| users::cards(&self.stores.users, ids.iter().copied()));
        let cards: HashMap<UserId, ProfileCard> = try_join_all(batches).await?.into_iter().flatten().collect();
        let names: Vec<Value> = page.items.iter().filter_map(|id| cards.get(id)).map(|card| json!(card.username)).collect();
        Ok((vec![Entry::piece(name, piece, &names.into())], page.next))
    }
}

/// A query still to be shaped.
const EVERYTHING: Query<'static> =
    Query { pk: String::new(), prefix: None, after: None, descending: false, consistent: true, limit: PEOPLE };

/// What the items of an account and a profile say to their owner. What is not named here stays inside.
fn describe(account: &Map<String, Value>, profile: &Map<String, Value>) -> Value {
    let mut told = Map::new();
    for name in ["id", "username", "display_name", "bio", "website", "is_private"] {
        told.insert(name.to_owned(), profile.get(name).cloned().unwrap_or_default());
    }
    for name in ["email", "created_at"] {
        told.insert(name.to_owned(), account.get(name).cloned().unwrap_or_default());
    }
    told.insert("totp_enabled".to_owned(), account.contains_key("totp_secret").into());
    let settings = profile.iter().filter_map(|(name, value)| Some((name.strip_prefix("notify_")?.to_owned(), value.clone())));
    told.insert("notifications".to_owned(), Value::Object(settings.collect()));
    told.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_without_what_could_be_misused() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let account = object(json!({
            "email": "ada@example.org", "created_at": "2026-11-20T12:00:00.000Z", "password_hash": "secret", "totp_secret": "secret",
            "totp_recovery": ["secret"], "avatar_ticket": "secret", "pk": "secret", "something_new": "secret",
        }));
        let profile =
            object(json!({"id": "1", "username": "ada", "display_name": "Ada", "notify_like": false, "pk": "secret", "event": "secret"}));
        let told = describe(&account, &profile);
        assert!(!told.to_string().contains("secret\""), "{told}");
        assert_eq!(told["email"], "ada@example.org");
        assert_eq!((&told["totp_enabled"], &told["notifications"]), (&json!(true), &json!({"like": false})));
        assert_eq!(told["bio"], Value::Null);
    }
}
