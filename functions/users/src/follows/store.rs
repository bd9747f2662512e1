//! A follow: an edge on both sides, a count on both sides, and the fence between, in one transaction.
//!
//! The transaction holds or fails by the edge's own condition: whatever is repeated, counts equal edges.

use std::time::Duration;

use tintype_core::{Time, UserId, event::What};
use tintype_tables::{
    Error, Table, outbox,
    table::{number, text},
    users,
};

use crate::writes;

/// How long a fence stands. The fan-out drops messages older than 14 days: what it hides can't come back when it is gone.
const FENCE_LIFETIME: Duration = Duration::from_hours(15 * 24);

/// `follower` follows `followee`, if they did not already.
pub(crate) async fn follow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<(), Error> {
    let since = || ("since".to_owned(), text(now.to_string()));
    let mut edge = users::following(follower, followee).item();
    edge.extend([since()]);
    outbox::speak(&mut edge, What::FollowChanged { follower_id: follower, followee_id: followee }, now);
    let mut other_side = users::follower(followee, follower).item();
    other_side.extend([since()]);
    let writes = vec![
        writes::put_new(users, edge),
        writes::put(users, other_side),
        writes::add(users, &users::follower_count(followee, follower), 1),
        writes::add(users, &users::following_count(follower, followee), 1),
        writes::delete(users, &users::fence(follower, followee)),
    ];
    unless_done(users.transact(writes).await)
}

/// `follower` does not follow `followee` any more, if they did; a fence hides what is already in the timeline.
pub(crate) async fn unfollow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<(), Error> {
    let mut fence = users::fence(follower, followee).item();
    fence.extend([("since".to_owned(), text(now.to_string())), ("expires_at".to_owned(), number(now.plus(FENCE_LIFETIME).as_seconds()))]);
    outbox::speak(&mut fence, What::FollowChanged { follower_id: follower, followee_id: followee }, now);
    let writes = vec![
        writes::delete_present(users, &users::following(follower, followee)),
        writes::delete(users, &users::follower(followee, follower)),
        writes::add(users, &users::follower_count(followee, follower), -1),
        writes::add(users, &users::following_count(follower, followee), -1),
        writes::put(users, fence),
    ];
    unless_done(users.transact(writes).await)
}

/// The edge's condition is the first write's: if it fails, all is as it should be.
fn unless_done(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Condition(failed)) if failed.first() == Some(&true) => Ok(()),
        result => result,
    }
}
