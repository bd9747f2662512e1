//! All that lies in the person's own partition, and what it is the other side of in others'.
//!
//! The partition is read from its beginning until it is empty: what is removed is the progress, and whoever is interrupted finds the rest.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::UserId;
use tintype_queues::Failure;
use tintype_tables::{
    Error, Key, Page, Table,
    jobs::Export,
    table::{Query, failure, write_units},
    users::{self, EXPORTS, FENCED_BY, FOLLOWERS, FOLLOWING, MUTED_BY, REQUESTED, REQUESTS, SESSIONS},
    visibility::Fence,
    writes::{self, Transaction},
};
use tintype_telemetry as telemetry;

use crate::{Stores, clock::Budget};

/// Items read at a time.
const PAGE: usize = 100;
/// Items removed at once.
const PARALLEL: usize = 8;

/// What became of what the person did to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawal {
    /// There was nothing (any more).
    Nothing,
    /// There was something, and it is gone.
    Done,
    /// There is more than there was time for.
    Unfinished,
}

/// Ends the person's sessions, follows and requests: who may act in their name, and whose posts come to them.
pub(crate) async fn withdraw(stores: &Stores, user: UserId, budget: &Budget) -> Result<Withdrawal, Failure> {
    let mut withdrawal = Withdrawal::Nothing;
    for prefix in [SESSIONS, REQUESTED, FOLLOWING] {
        loop {
            let page = page(&stores.users, users::partition(user), Some(prefix)).await?;
            if page.is_empty() {
                break;
            }
            withdrawal = Withdrawal::Done;
            remove(stores, user, &page).await?;
            if budget.is_spent() {
                return Ok(Withdrawal::Unfinished);
            }
        }
    }
    Ok(withdrawal)
}

/// Removes all of it; `false` if the time was up before.
pub(crate) async fn remove_all(stores: &Stores, user: UserId, budget: &Budget) -> Result<bool, Failure> {
    loop {
        let page = page(&stores.users, users::partition(user), None).await?;
        if page.is_empty() {
            return Ok(true);
        }
        remove(stores, user, &page).await?;
        if budget.is_spent() {
            return Ok(false);
        }
    }
}

/// Removes a whole partition in which nothing refers to anything; `false` if the time was up before.
pub(crate) async fn remove_partition(table: &Table, pk: String, budget: &Budget) -> Result<bool, Failure> {
    loop {
        let page = page(table, pk.clone(), None).await?;
        if page.is_empty() {
            return Ok(true);
        }
        stream::iter(page.iter().map(|key| delete(table, key))).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        if budget.is_spent() {
            return Ok(false);
        }
    }
}

async fn page(table: &Table, pk: String, prefix: Option<&str>) -> Result<Vec<Key>, Error> {
    let query = Query { pk, prefix, after: None, descending: false, consistent: true, limit: PAGE };
    let page: Page<Key> = table.query(query).await?;
    Ok(page.items)
}

async fn remove(stores: &Stores, user: UserId, keys: &[Key]) -> Result<(), Failure> {
    telemetry::count("removal.items", keys.len());
    stream::iter(keys.iter().map(|key| remove_one(stores, user, key))).buffer_unordered(PARALLEL).try_collect().await
}

async fn remove_one(stores: &Stores, user: UserId, key: &Key) -> Result<(), Failure> {
    match kind(user, &key.sk) {
        Kind::Follow { follower, followee } => unfollow(&stores.users, user, follower, followee).await?,
        Kind::Mirrored(other_side) => {
            let mut transaction = Transaction::default();
            transaction.push(writes::delete(&stores.users, key));
            transaction.push(writes::delete(&stores.users, &other_side));
            transaction.commit(&stores.users).await?;
        }
        Kind::Export => {
            if let Some(export) = stores.users.get::<Export>(key, true).await? {
                if let Some(archive) = &export.archive {
                    stores.exports.drop_parts(&export.object(), &archive.upload_id).await?;
                }
                stores.exports.delete(&[export.object()]).await?;
            }
            delete(&stores.users, key).await?;
        }
        Kind::Own => delete(&stores.users, key).await?,
    }
    Ok(())
}

/// What an item of the person's partition is.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// One side of a follow: both sides go, and the other person's count with them.
    Follow { follower: UserId, followee: UserId },
    /// One side of something: the other is there, in somebody else's partition.
    Mirrored(Key),
    /// An export, of which there may be files.
    Export,
    /// Nobody else's business; whatever comes later and is not named here, too.
    Own,
}

fn kind(user: UserId, sk: &str) -> Kind {
    if let Some((other, fence)) = Fence::of_key(sk) {
        return Kind::Mirrored(match fence {
            Fence::Unfollowed => users::fenced_by(other, user),
            Fence::Blocking => users::blocked(other, user),
            Fence::Blocked => users::blocking(other, user),
            Fence::Muting => users::muted_by(other, user),
        });
    }
    if sk.starts_with(EXPORTS) {
        return Kind::Export;
    }
    let other = |prefix: &str| sk.strip_prefix(prefix)?.parse::<UserId>().ok();
    if let Some(followee) = other(FOLLOWING) {
        return Kind::Follow { follower: user, followee };
    }
    if let Some(follower) = other(FOLLOWERS) {
        return Kind::Follow { follower, followee: user };
    }
    let mirrors = [
        (FENCED_BY, users::fence as fn(UserId, UserId) -> Key),
        (MUTED_BY, users::muting),
        (REQUESTED, users::request),
        (REQUESTS, users::requested),
    ];
    let mirror = mirrors.iter().find_map(|(prefix, mirror)| other(prefix).map(|other| mirror(other, user)));
    mirror.map_or(Kind::Own, Kind::Mirrored)
}

/// Ends a follow, with the count of whoever stays: the one of `user` goes as a whole. The condition is the edge's own, as in every
/// transaction about it, so counts stay equal to edges however often this is repeated.
async fn unfollow(table: &Table, user: UserId, follower: UserId, followee: UserId) -> Result<(), Error> {
    let (edge, other_side) = (users::following(follower, followee), users::follower(followee, follower));
    let count = if user == follower { users::follower_count(followee, follower) } else { users::following_count(follower, followee) };
    let mut transaction = Transaction::default();
    transaction.push(writes::delete_present(table, &edge));
    transaction.push(writes::delete(table, &other_side));
    transaction.push(writes::add(table, &count, -1));
    match transaction.commit(table).await {
        Err(Error::Condition(_)) => {
            // There is no follow (any more): what is left of it is not counted.
            delete(table, &other_side).await
        }
        result => result,
    }
}

/// Deletes an item, if there is one.
async fn delete(table: &Table, key: &Key) -> Result<(), Error> {
    let request = table.client.delete_item().table_name(&table.name).set_key(Some(key.item()));
    let answer = Box::pin(request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await.map_err(failure)?;
    write_units(answer.consumed_capacity.as_slice());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_has_another_side_leads_to_it_and_back() {
        let (user, other) = (UserId::new(), UserId::new());
        let pairs = [
            (users::fence(user, other), users::fenced_by(other, user)),
            (users::blocking(user, other), users::blocked(other, user)),
            (users::muting(user, other), users::muted_by(other, user)),
            (users::requested(user, other), users::request(other, user)),
        ];
        for (one, another) in pairs {
            assert_eq!(kind(user, &one.sk), Kind::Mirrored(another.clone()), "{one:?}");
            assert_eq!(kind(other, &another.sk), Kind::Mirrored(one), "{another:?}");
        }
        let follow = || Kind::Follow { follower: user, followee: other };
        assert_eq!(kind(user, &users::following(user, other).sk), follow());
        assert_eq!(kind(other, &users::follower(other, user).sk), follow());
    }

    #[test]
    fn what_is_nobody_elses_business_is_removed_as_it_is() {
        let user = UserId::new();
        for sk in [
            users::account(user).sk,
            users::profile(user).sk,
            users::exporting(user).sk,
            users::turning(user).sk,
            "SOMETHING#NEW".to_owned(),
        ] {
            assert_eq!(kind(user, &sk), Kind::Own, "{sk}");
        }
        assert_eq!(kind(user, &users::export(user, tintype_core::JobId::new()).sk), Kind::Export);
    }
}
