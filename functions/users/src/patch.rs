//! A field of a merge patch (RFC 7396): what is not there stays, `null` clears.

use serde::{Deserialize, Deserializer};

/// What becomes of a field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch {
    #[default]
    Keep,
    Clear,
    Set(String),
}

impl Patch {
    /// Has `field` judge a new value; `None` of it clears too.
    pub(crate) fn check<E>(self, field: impl FnOnce(&str) -> Result<Option<String>, E>) -> Result<Self, E> {
        match self {
            Self::Set(value) => Ok(field(&value)?.map_or(Self::Clear, Self::Set)),
            unchanged => Ok(unchanged),
        }
    }
}

/// Only what is there is deserialized: with `#[serde(default)]` the rest stays.
impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}
