//! A person as others see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{UserId, media, name::Username};

/// What other services may read of a person: written by `users`, read by all that show people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileCard {
    /// Whose.
    pub id: UserId,
    /// Their username.
    pub username: Username,
    /// How they call themselves.
    pub display_name: String,
    /// Only followers whom they have approved see their posts.
    #[serde(default)]
    pub is_private: bool,
    /// Their picture, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Avatar>,
}

/// A person's picture, as a card holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Avatar {
    /// Random, and another one for each picture: see [`crate::media`].
    pub media_id: String,
}

/// A person's picture, as it is answered: square, and everybody may see it, also of a private account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AvatarView {
    /// Root-relative URL of the picture in 150 x 150 pixels.
    pub small: String,
    /// Root-relative URL of the picture in 400 x 400 pixels.
    pub large: String,
}

impl ProfileCard {
    /// The picture, as it is answered.
    pub fn avatar(&self) -> Option<AvatarView> {
        let Avatar { media_id } = self.avatar.as_ref()?;
        let url = |size| media::avatar_url(self.id, media_id, size);
        Some(AvatarView { small: url("a150"), large: url("a400") })
    }
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
    /// Its picture; `null` if it has none.
    #[schema(required)]
    pub avatar: Option<AvatarView>,
}

impl From<&ProfileCard> for Author {
    fn from(card: &ProfileCard) -> Self {
        Self { id: card.id, username: card.username.clone(), display_name: card.display_name.clone(), avatar: card.avatar() }
    }
}
