//! The Feeds table, written by `feed-fanout` alone.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Entry | `TIMELINE#{viewer}` | `{published_at}#{post}` | `author_id`, `expires_at` | feed |
//!
//! The key is the post's place in the timeline and never changes: writing an entry again writes the same entry.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tintype_core::{PostId, Time, UserId};

use crate::Key;

/// Nobody scrolls back further: entries go 90 days after they were written.
pub const ENTRY_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How long a fence hides an author. An entry may be written just after the unfollow, by a worker that had read the followers just
/// before, and that worker may die before it mends this: the fence outlives whatever such an entry's life is.
pub const FENCE_LIFETIME: Duration = ENTRY_LIFETIME.saturating_add(Duration::from_hours(24));

/// A post in a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Partition.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Whose post it is: an unfollow hides it without reading the post.
    pub author_id: UserId,
    /// Seconds since 1970.
    pub expires_at: i64,
}

impl Entry {
    /// The entry of a post in `viewer`'s timeline.
    pub fn new(viewer: UserId, post: PostId, author: UserId, published_at: Time, now: Time) -> Self {
        let Key { pk, sk } = key(viewer, post, published_at);
        Self { pk, sk, author_id: author, expires_at: now.plus(ENTRY_LIFETIME).as_seconds() }
    }

    /// Whether its time is over: DynamoDB removes it only some days later.
    pub fn has_expired(&self, now: Time) -> bool {
        self.expires_at <= now.as_seconds()
    }

    /// The post, which the sort key ends with.
    pub fn post_id(&self) -> Option<PostId> {
        self.sk.split_once('#')?.1.parse().ok()
    }
}

/// A viewer's timeline.
pub fn timeline(viewer: UserId) -> String {
    format!("TIMELINE#{viewer}")
}

/// Where a post stands in `viewer`'s timeline.
pub fn key(viewer: UserId, post: PostId, published_at: Time) -> Key {
    Key::new(timeline(viewer), format!("{published_at}#{post}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_knows_its_post_and_is_small_enough_for_one_write_unit_and_twenty_in_half_a_read_unit() {
        let (viewer, post, author, now) = (UserId::new(), PostId::new(), UserId::new(), Time::now());
        let entry = Entry::new(viewer, post, author, now, now);
        assert_eq!(entry.post_id(), Some(post));
        // Item size as DynamoDB counts it: names and values, a number in about half its digits plus one.
        let size = "pk".len()
            + entry.pk.len()
            + "sk".len()
            + entry.sk.len()
            + "author_id".len()
            + author.to_string().len()
            + "expires_at".len()
            + 6;
        assert!(size <= 200, "{size} bytes");
    }
}
