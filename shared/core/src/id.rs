//! Identifiers: `UUIDv7` (RFC 9562), so that they sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Time;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id.
            #[expect(clippy::new_without_default, reason = "a default id would be a different one each time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// One of `shards` partitions, always the same one: the last byte of a `UUIDv7` is random.
            pub fn shard(self, shards: u8) -> u8 {
                self.0.as_bytes()[15] % shards
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// An account, and the person behind it.
    UserId
);

impl UserId {
    /// The first id there could be of the same millisecond, which is nobody's: a place among people that names none of them.
    #[must_use]
    pub fn floor(self) -> Self {
        Self(floor(self.0))
    }

    /// When they signed up, as its first 48 bits say; `None` beyond the year 9999.
    pub fn made_at(self) -> Option<Time> {
        made_at(self.0)
    }
}
id!(
    /// A post.
    PostId
);
id!(
    /// A comment on a post, or a reply to one.
    CommentId
);

impl CommentId {
    /// The first id there could be of the same millisecond, which is no comment's: a place among comments that names none of them.
    #[must_use]
    pub fn floor(self) -> Self {
        Self(floor(self.0))
    }

    /// When it was made, as its first 48 bits say; `None` beyond the year 9999.
    pub fn made_at(self) -> Option<Time> {
        made_at(self.0)
    }
}
id!(
    /// Something that somebody is told.
    NotificationId
);
id!(
    /// A log-in on one device; also the family of its refresh tokens.
    SessionId
);
id!(
    /// Work that goes on after the answer: the deletion of an account, an export.
    JobId
);

impl JobId {
    /// The id of work that is the same whenever it is asked for with what has this hash; which nobody must be able to guess.
    #[must_use]
    pub fn of(hash: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(hash).into_uuid())
    }
}

fn made_at(id: Uuid) -> Option<Time> {
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&id.as_bytes()[..6]);
    Time::from_millis(i64::from_be_bytes(millis))
}

fn floor(id: Uuid) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&id.as_bytes()[..6]);
    // Version 7, variant 10, and no randomness.
    (bytes[6], bytes[8]) = (0x70, 0x80);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_made_and_its_floor_is_before_all_of_that_millisecond() {
        let before = Time::now();
        let ids: Vec<CommentId> = (0..1000).map(|_| CommentId::new()).collect();
        let after = Time::now();
        for id in ids {
            let made_at = id.made_at().unwrap();
            assert!(before <= made_at && made_at <= after.plus(std::time::Duration::from_millis(1)), "{id}");
            assert!(id.floor() < id && id.floor().made_at() == Some(made_at), "{id}");
            assert_eq!(id.floor().to_string().parse(), Ok(id.floor()));
        }
        assert_eq!("ffffffff-ffff-7000-8000-000000000000".parse::<CommentId>().unwrap().made_at(), None);
    }
}
