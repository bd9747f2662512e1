//! A follow: an edge on both sides, a count on both sides, and the fence between, in one transaction.
//!
//! The transaction holds or fails by the edge's own condition: whatever is repeated, counts equal edges.

use tintype_core::{Time, UserId, event::What};
use tintype_tables::{
    Error, Table,
    feeds::FENCE_LIFETIME,
    outbox,
    table::{number, text},
    users,
    writes::{self, Place, Transaction},
};

/// `follower` follows `followee`, if they did not already.
pub(crate) async fn follow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<(), Error> {
    let since = || ("since".to_owned(), text(now.to_string()));
    let mut edge = users::following(follower, followee).item();
    edge.extend([since()]);
    outbox::speak(&mut edge, What::FollowChanged { follower_id: follower, followee_id: followee }, now);
    let mut other_side = users::follower(followee, follower).item();
    other_side.extend([since()]);
    let mut transaction = Transaction::default();
    let edge = transaction.push(writes::put_new(users, edge));
    transaction.push(writes::put(users, other_side));
    transaction.push(writes::add(users, &users::follower_count(followee, follower), 1));
    transaction.push(writes::add(users, &users::following_count(follower, followee), 1));
    transaction.push(writes::delete(users, &users::fence(follower, followee)));
    unless_done(transaction.commit(users).await, edge)
}

/// `follower` does not follow `followee` any more, if they did; a fence hides what is already in the timeline.
pub(crate) async fn unfollow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<(), Error> {
    let mut fence = users::fence(follower, followee).item();
    fence.extend([("since".to_owned(), text(now.to_string())), ("expires_at".to_owned(), number(now.plus(FENCE_LIFETIME).as_seconds()))]);
    outbox::speak(&mut fence, What::FollowChanged { follower_id: follower, followee_id: followee }, now);
    let mut transaction = Transaction::default();
    let edge = transaction.push(writes::delete_present(users, &users::following(follower, followee)));
    transaction.push(writes::delete(users, &users::follower(followee, follower)));
    transaction.push(writes::add(users, &users::follower_count(followee, follower), -1));
    transaction.push(writes::add(users, &users::following_count(follower, followee), -1));
    transaction.push(writes::put(users, fence));
    unless_done(transaction.commit(users).await, edge)
}

/// If the edge's condition did not hold, all is as it should be.
fn unless_done(result: Result<(), Error>, edge: Place) -> Result<(), Error> {
    match result {
        Err(Error::Condition(failed)) if edge.is_in(&failed) => Ok(()),
        result => result,
    }
}
