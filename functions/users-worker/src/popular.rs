//! Who has the most followers: noted whenever a follow changes.

use tintype_core::{UserId, profile::ProfileCard};
use tintype_tables::{
    Error, Table, graph,
    popular::Popular,
    users::{self, follow_counts_now},
};

/// Notes how many follow `user` now. Counted consistently: after the last of several follows nobody comes back to count again.
pub(crate) async fn note(users: &Table, user: UserId) -> Result<(), Error> {
    let followers = follow_counts_now(users, user).await?.followers;
    let followers = if is_there(users, user).await? { followers } else { 0 };
    write(users, user, followers).await?;
    // Somebody whose account went in between was not in the list yet when it was removed from it.
    if followers > 0 && !is_there(users, user).await? {
        remove(users, user).await?;
    }
    Ok(())
}

/// Takes `user` off the list: their account is gone.
pub(crate) async fn remove(users: &Table, user: UserId) -> Result<(), Error> {
    write(users, user, 0).await
}

async fn is_there(users: &Table, user: UserId) -> Result<bool, Error> {
    Ok(users.get::<ProfileCard>(&users::profile(user), true).await?.is_some())
}

async fn write(users: &Table, user: UserId, followers: i64) -> Result<(), Error> {
    graph::settle(|| async move {
        let mut popular = Popular::read(users, true).await?;
        if !popular.note(user, followers) {
            return Ok(Some(()));
        }
        Ok(popular.write(users).await?.then_some(()))
    })
    .await
}
