//! What of a person the caller may see, as an answer.

use tintype_core::{UserId, profile::ProfileCard};
use tintype_tables::{
    Table,
    visibility::{self, Sight},
};

use crate::Problem;

/// The card of `person`, if `viewer` (`None`: nobody in particular) may see what they have made and whom they know. Else 403
/// `private-account`, or 404 where one of the two blocks the other.
pub async fn open_to(users: &Table, viewer: Option<UserId>, person: UserId) -> Result<ProfileCard, Problem> {
    match visibility::look(users, viewer, person).await? {
        Some((card, Sight::Everything)) => Ok(card),
        Some((_, Sight::Profile)) => {
            Err(Problem::forbidden("private-account", "The account is private: only approved followers see this."))
        }
        Some((_, Sight::Nothing)) | None => Err(Problem::not_found()),
    }
}
