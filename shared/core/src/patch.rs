//! A field of a merge patch (RFC 7396): what is not there stays, `null` clears.

use serde::{Deserialize, Deserializer};

/// What becomes of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T = String> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It has no value any more.
    Clear,
    /// It has this one.
    Set(T),
}

impl<T> Patch<T> {
    /// Has `field` judge a new value; `None` of it clears too.
    pub fn check<E>(self, field: impl FnOnce(&T) -> Result<Option<T>, E>) -> Result<Self, E> {
        match self {
            Self::Set(value) => Ok(field(&value)?.map_or(Self::Clear, Self::Set)),
            unchanged => Ok(unchanged),
        }
    }
}

/// Only what is there is deserialized: with `#[serde(default)]` the rest stays.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}
