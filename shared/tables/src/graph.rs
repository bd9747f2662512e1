//! Follows, as pieces of transactions: who follows whom, the counts of it, and the fences between change together or not at all.
//!
//! Between two people there is a follow, a request, or neither, and neither where one blocks the other. Every transaction here and in
//! `functions/users` demands what it relies on; whichever of two that cross comes second looks again ([`settle`]).

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tintype_core::{Time, UserId, event::What};

use crate::{
    Error, Table,
    feeds::FENCE_LIFETIME,
    outbox,
    table::{Item, number, text},
    users,
    visibility::Fence,
    writes::{self, Place, Transaction},
};

/// How often what has changed meanwhile is looked at again: each time somebody else did something to the same two people.
const MOST_LOOKS: usize = 12;

/// Has `attempt` look and act until what it saw still stood when it acted (`Some`). Where others were at the same items all the time, it
/// looks again as well: what they did will be seen.
pub async fn settle<T, F: Future<Output = Result<Option<T>, Error>>>(mut attempt: impl FnMut() -> F) -> Result<T, Error> {
    for _ in 0..MOST_LOOKS {
        match attempt().await {
            Ok(Some(settled)) => return Ok(settled),
            Ok(None) | Err(Error::Conflict) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..25))).await;
    }
    Err(Error::Conflict)
}

/// Commits what was decided by a look: `None` if a condition did not hold, and it is time to look again.
pub async fn commit(transaction: Transaction, users: &Table) -> Result<Option<()>, Error> {
    match transaction.commit(users).await {
        Ok(()) => Ok(Some(())),
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An edge's `since`.
pub fn since(now: Time) -> (String, AttributeValue) {
    ("since".to_owned(), text(now.to_string()))
}

/// A fence's `kind`.
pub fn kind(fence: Fence) -> (String, AttributeValue) {
    ("kind".to_owned(), text(fence.kind()))
}

/// `follower` follows `followee`, who must not be followed by them yet: the place of this condition. Requests and blocks are the
/// caller's to see to. `approved`: a request of theirs comes true by it.
pub fn connect(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId, approved: bool, now: Time) -> Place {
    let mut edge = users::following(follower, followee).item();
    edge.extend([since(now)]);
    outbox::speak(&mut edge, What::FollowChanged { follower_id: follower, followee_id: followee, approved }, now);
    let mut other_side = users::follower(followee, follower).item();
    other_side.extend([since(now)]);
    let edge = transaction.push(writes::put_new(users, edge));
    transaction.push(writes::put(users, other_side));
    transaction.push(writes::add(users, &users::follower_count(followee, follower), 1));
    transaction.push(writes::add(users, &users::following_count(follower, followee), 1));
    transaction.push(writes::delete(users, &users::fence(follower, followee)));
    transaction.push(writes::delete(users, &users::fenced_by(followee, follower)));
    edge
}

/// `follower` follows `followee` no more, and must have followed until now: the place of this condition. A fence hides what is already
/// in the timeline, or still on its way there.
pub fn disconnect(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId, now: Time) -> Place {
    let edge = transaction.push(writes::delete_present(users, &users::following(follower, followee)));
    transaction.push(writes::delete(users, &users::follower(followee, follower)));
    transaction.push(writes::add(users, &users::follower_count(followee, follower), -1));
    transaction.push(writes::add(users, &users::following_count(follower, followee), -1));
    fence_off(transaction, users, follower, followee, now);
    edge
}

/// `follower` asks to follow `followee` no more, and must have asked until now: the place of this condition. What is gone can't speak: a
/// fence says it, as after an unfollow. It hides what is hidden anyway, and goes with the next follow.
pub fn withdraw(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId, now: Time) -> Place {
    let edge = transaction.push(writes::delete_present(users, &users::requested(follower, followee)));
    transaction.push(writes::delete(users, &users::request(followee, follower)));
    fence_off(transaction, users, follower, followee, now);
    edge
}

/// Hides `followee` from `follower`'s home, and says that what was between them has changed.
fn fence_off(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId, now: Time) {
    let expires_at = || ("expires_at".to_owned(), number(now.plus(FENCE_LIFETIME).as_seconds()));
    let mut fence = users::fence(follower, followee).item();
    fence.extend([kind(Fence::Unfollowed), since(now), expires_at()]);
    outbox::speak(&mut fence, What::FollowChanged { follower_id: follower, followee_id: followee, approved: false }, now);
    let mut other_side: Item = users::fenced_by(followee, follower).item();
    other_side.extend([expires_at()]);
    transaction.push(writes::put(users, fence));
    transaction.push(writes::put(users, other_side));
}

/// Removes `follower`'s request, if there is one.
pub fn drop_request(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId) {
    transaction.push(writes::delete(users, &users::requested(follower, followee)));
    transaction.push(writes::delete(users, &users::request(followee, follower)));
}

/// Demands that `user`'s account is private, or that it is not.
pub fn demand_privacy(transaction: &mut Transaction, users: &Table, user: UserId, is_private: bool) -> Place {
    // Profiles of old have no such attribute.
    let condition = if is_private { "is_private = :yes" } else { "attribute_exists(pk) AND NOT is_private = :yes" };
    transaction.push(writes::check(users, &users::profile(user), condition, [(":yes", AttributeValue::Bool(true))]))
}

/// Demands that `user` is there: once the deletion of an account has begun, nothing is written that it might not find any more.
pub fn demand_person(transaction: &mut Transaction, users: &Table, user: UserId) -> Place {
    transaction.push(writes::check_present(users, &users::profile(user)))
}

/// Why requests are approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Whoever is asked says yes.
    Given,
    /// The account has turned public. Nothing is approved if it is private again by then.
    TurnedPublic,
}

/// Makes a follow of `follower`'s request. `false`: there is none (any more), or the account is not public.
pub async fn approve(users: &Table, followee: UserId, follower: UserId, approval: Approval, now: Time) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    transaction.push(writes::delete_present(users, &users::request(followee, follower)));
    transaction.push(writes::delete(users, &users::requested(follower, followee)));
    connect(&mut transaction, users, follower, followee, true, now);
    if approval == Approval::TurnedPublic {
        demand_privacy(&mut transaction, users, followee, false);
    }
    Ok(commit(transaction, users).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_was_in_the_way_is_a_reason_to_look_again_a_few_times_and_a_failure_is_none() {
        let mut answers = vec![Ok(Some(7)), Err(Error::Conflict), Ok(None), Err(Error::Conflict)];
        assert_eq!(settle(|| std::future::ready(answers.pop().unwrap())).await.unwrap(), 7);
        let mut looks = 0;
        let busy = settle(|| {
            looks += 1;
            std::future::ready(Err::<Option<()>, _>(Error::Conflict))
        });
        assert!(matches!(busy.await, Err(Error::Conflict)));
        assert_eq!(looks, MOST_LOOKS);
        let mut failed = vec![Ok(Some(7)), Err(Error::Refused("no".to_owned()))];
        assert!(matches!(settle(|| std::future::ready(failed.pop().unwrap())).await, Err(Error::Refused(_))));
    }
}
