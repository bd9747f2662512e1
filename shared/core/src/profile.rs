//! A person as others see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{UserId, name::Username};

/// What other services may read of a person: written by `users`, read by all that show people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileCard {
    /// Whose.
    pub id: UserId,
    /// Their username.
    pub username: Username,
    /// How they call themselves.
    pub display_name: String,
}

/// The author of a post in an answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Author {
    /// The account.
    pub id: UserId,
    /// Its username.
    pub username: Username,
    /// Its display name.
    pub display_name: String,
}

impl From<&ProfileCard> for Author {
    fn from(card: &ProfileCard) -> Self {
        Self { id: card.id, username: card.username.clone(), display_name: card.display_name.clone() }
    }
}
