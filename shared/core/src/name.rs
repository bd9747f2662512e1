//! Usernames.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use utoipa::ToSchema;

/// Words that stand where a username could stand in a path, or that would let somebody pose as the service.
const RESERVED: [&str; 22] = [
    "accounts",
    "admin",
    "api",
    "explore",
    "feed",
    "health",
    "home",
    "me",
    "media",
    "notifications",
    "openapi.json",
    "places",
    "posts",
    "root",
    "search",
    "sessions",
    "suggested",
    "support",
    "tags",
    "tintype",
    "trending",
    "users",
];

/// A username: 3 to 30 of `a-z`, `0-9`, `.` and `_`; lower-cased on the way in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z0-9._]{3,30}$", example = "ada")]
pub struct Username(String);

/// Why a text is no username.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsernameError {
    /// Other characters, or too short, or too long.
    #[error("must be 3 to 30 letters a-z, digits, dots or underscores")]
    Malformed,
}

impl Username {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the service's own words. To be asked at sign-up alone: a word that is reserved later stays the name of
    /// whoever has it.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_lowercase();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'_';
        if !(3..=30).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(UsernameError::Malformed);
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_lower_cased_and_checked() {
        assert_eq!("Ada.L_1".parse::<Username>().unwrap().as_str(), "ada.l_1");
        for bad in ["", "ab", "a b", "ada!", "ädä", &"a".repeat(31)] {
            assert_eq!(bad.parse::<Username>(), Err(UsernameError::Malformed), "{bad}");
        }
        assert_eq!("ME".parse::<Username>(), Err(UsernameError::Malformed));
    }

    #[test]
    fn a_reserved_word_can_be_read_and_says_so() {
        let reserved = |name: &str| name.parse::<Username>().unwrap().is_reserved();
        assert!(reserved("Suggested") && reserved("openapi.json"));
        assert!(!reserved("ada") && !reserved("admins"));
    }

    proptest! {
        #[test]
        fn a_name_read_again_is_itself(text in "[A-Za-z0-9._]{3,30}") {
            if let Ok(name) = text.parse::<Username>() {
                prop_assert_eq!(name.as_str().parse::<Username>().unwrap(), name);
            }
        }

        #[test]
        fn a_name_is_one_in_any_case(text in "[A-Za-z0-9._]{3,30}") {
            let name = text.parse::<Username>().unwrap();
            prop_assert_eq!(text.to_uppercase().parse::<Username>().unwrap(), name.clone());
            prop_assert_eq!(text.to_lowercase(), name.as_str());
        }

        // Also of letters that look like ours, or become ours in lower case (K, the Kelvin sign).
        #[test]
        fn whatever_is_taken_is_of_the_few_characters_that_are_allowed(text in any::<String>(), alike in "[a-zA-Z\u{212a}\u{130}\u{410}-\u{44f}\u{ff21}]{3,30}") {
            for text in [text, alike] {
                if let Ok(name) = text.parse::<Username>() {
                    prop_assert!((3..=30).contains(&name.as_str().len()));
                    prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b)));
                    prop_assert_eq!(text.to_ascii_lowercase(), name.as_str());
                }
            }
        }
    }
}
