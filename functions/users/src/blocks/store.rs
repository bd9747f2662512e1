//! A block, both its sides, and what it ends, in one transaction.

use tintype_core::{Time, UserId, event::What};
use tintype_tables::{
    Error, Table,
    graph::{self, kind, since},
    outbox, users,
    visibility::{Fence, Relationship},
    writes::{self, Transaction},
};
use tokio::try_join;

/// `blocker` blocks `blocked`: neither follows the other, or waits to, from now on. `false`: `blocked` is gone, and nothing is written
/// that the deletion of their account would not find.
pub(crate) async fn block(users: &Table, blocker: UserId, blocked: UserId, now: Time) -> Result<bool, Error> {
    graph::settle(|| async move {
        let (card, edges) = try_join!(users::card_now(users, blocked), Relationship::read(users, blocker, blocked))?;
        if card.is_none() {
            return Ok(Some(false));
        }
        if edges.blocking {
            return Ok(Some(true));
        }
        let mut block = users::blocking(blocker, blocked).item();
        block.extend([kind(Fence::Blocking), since(now)]);
        outbox::speak(&mut block, What::BlockChanged { blocker_id: blocker, blocked_id: blocked }, now);
        let mut other_side = users::blocked(blocked, blocker).item();
        other_side.extend([kind(Fence::Blocked), since(now)]);
        let mut transaction = Transaction::default();
        graph::demand_person(&mut transaction, users, blocked);
        transaction.push(writes::put_new(users, block));
        transaction.push(writes::put(users, other_side));
        for (follower, followee, follows) in [(blocker, blocked, edges.following), (blocked, blocker, edges.followed_by)] {
            if follows {
                graph::disconnect(&mut transaction, users, follower, followee, now);
            } else {
                transaction.push(writes::check_absent(users, &users::following(follower, followee)));
            }
            graph::drop_request(&mut transaction, users, follower, followee);
        }
        Ok(graph::commit(transaction, users).await?.map(|()| true))
    })
    .await
}

/// `blocker` does not block `blocked` any more.
pub(crate) async fn unblock(users: &Table, blocker: UserId, blocked: UserId) -> Result<(), Error> {
    let mut transaction = Transaction::default();
    transaction.push(writes::delete(users, &users::blocking(blocker, blocked)));
    transaction.push(writes::delete(users, &users::blocked(blocked, blocker)));
    transaction.commit(users).await
}
