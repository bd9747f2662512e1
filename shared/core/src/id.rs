//! Identifiers: `UUIDv7` (RFC 9562), so that they sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

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
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.0.as_bytes()[..6]);
        // Version 7, variant 10, and no randomness.
        (bytes[6], bytes[8]) = (0x70, 0x80);
        Self(Uuid::from_bytes(bytes))
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
