//! Who is there at all.

use tintype_core::{UserId, profile::ProfileCard};
use tintype_tables::{Error, Table, users};

/// Whether a person has an account, as of now. Who has not gets no entry, and nobody gets one of theirs: a message may come long after
/// an account was deleted, and what it wrote then nobody would remove.
pub(crate) async fn is_there(users: &Table, user: UserId) -> Result<bool, Error> {
    let card: Option<ProfileCard> = users.get(&users::profile(user), true).await?;
    Ok(card.is_some())
}
