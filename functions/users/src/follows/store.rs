//! A follow, or the request for one: decided by what stands between two people, and written if it still stands.
//!
//! Each transaction holds or fails by its own conditions: whatever is repeated or crosses another, counts equal edges.

use tintype_core::{Time, UserId, event::What, profile::ProfileCard};
use tintype_tables::{
    Error, Table,
    graph::{self, since},
    outbox, users,
    visibility::Relationship,
    writes::{self, Place, Transaction},
};
use tokio::try_join;

/// How it stands after somebody wanted to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// They follow.
    Following,
    /// They wait for an approval.
    Requested,
    /// They block whom they want to follow.
    Blocking,
    /// There is nobody whom they could follow, or nobody who lets them.
    Nobody,
}

/// `follower` follows `followee`, or requests to, if they did not already.
pub(crate) async fn follow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<Followed, Error> {
    graph::settle(|| async move {
        let seen = look(users, follower, followee).await?;
        act(users, seen, follower, followee, now).await
    })
    .await
}

/// What stands between two people: it decides what a follow comes to.
pub(crate) struct Seen {
    /// Of whom is to be followed; `None`: they are gone.
    card: Option<ProfileCard>,
    edges: Relationship,
}

pub(crate) async fn look(users: &Table, follower: UserId, followee: UserId) -> Result<Seen, Error> {
    let profile = users::profile(followee);
    let (card, edges) = try_join!(users.get::<ProfileCard>(&profile, true), Relationship::read(users, follower, followee))?;
    Ok(Seen { card, edges })
}

/// Does what was decided by a look; `None`: it is not as it was seen any more.
///
/// The account must be as it was seen, private or not: nobody follows unapproved once it has turned private, and none asks once all have
/// been approved. So those who follow one person contend for that profile; docs/DECISIONS.md says what this costs.
pub(crate) async fn act(users: &Table, seen: Seen, follower: UserId, followee: UserId, now: Time) -> Result<Option<Followed>, Error> {
    let Seen { card, edges } = seen;
    let Some(card) = card.filter(|_| !edges.blocked) else { return Ok(Some(Followed::Nobody)) };
    if edges.blocking {
        return Ok(Some(Followed::Blocking));
    }
    if edges.following {
        return Ok(Some(Followed::Following));
    }
    let mut transaction = Transaction::default();
    let (edge, outcome) = if card.is_private {
        (request(&mut transaction, users, follower, followee, now), Followed::Requested)
    } else {
        // A request may be left from when the account was private.
        graph::drop_request(&mut transaction, users, follower, followee);
        (graph::connect(&mut transaction, users, follower, followee, false, now), Followed::Following)
    };
    let privacy = graph::demand_privacy(&mut transaction, users, followee, card.is_private);
    for block in [users::blocking(followee, follower), users::blocking(follower, followee)] {
        transaction.push(writes::check_absent(users, &block));
    }
    match transaction.commit(users).await {
        Ok(()) => Ok(Some(outcome)),
        // Somebody else has written the same edge meanwhile.
        Err(Error::Condition(failed)) if edge.is_in(&failed) && !privacy.is_in(&failed) => Ok(Some(outcome)),
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A request, of which there must be none yet: the place of this condition.
fn request(transaction: &mut Transaction, users: &Table, follower: UserId, followee: UserId, now: Time) -> Place {
    let mut item = users::requested(follower, followee).item();
    item.extend([since(now)]);
    outbox::speak(&mut item, What::FollowRequested { follower_id: follower, followee_id: followee }, now);
    let mut other_side = users::request(followee, follower).item();
    other_side.extend([since(now)]);
    let edge = transaction.push(writes::put_new(users, item));
    transaction.push(writes::put(users, other_side));
    transaction.push(writes::check_absent(users, &users::following(follower, followee)));
    edge
}

/// `follower` neither follows `followee` any more, nor wants to. `false`: `followee` is nobody that `follower` may know of.
pub(crate) async fn unfollow(users: &Table, follower: UserId, followee: UserId, now: Time) -> Result<bool, Error> {
    graph::settle(|| async move {
        let edges = Relationship::read(users, follower, followee).await?;
        if edges.blocked {
            return Ok(Some(false));
        }
        let mut transaction = Transaction::default();
        if edges.following {
            graph::disconnect(&mut transaction, users, follower, followee, now);
        } else if edges.requested {
            graph::withdraw(&mut transaction, users, follower, followee, now);
        } else {
            return Ok(Some(true));
        }
        Ok(graph::commit(transaction, users).await?.map(|()| true))
    })
    .await
}
