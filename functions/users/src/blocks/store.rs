//! A block, both its sides, and what it ends, in one transaction.

use tintype_core::{Time, UserId, event::What};
use tintype_tables::{
    Error, Table,
    graph::{self, kind, since},
    outbox, users,
    visibility::{Fence, Relationship},
    writes::{self, Transaction},
};

/// `blocker` blocks `blocked`: neither follows the other, or waits to, from now on.
pub(crate) async fn block(users: &Table, blocker: UserId, blocked: UserId, now: Time) -> Result<(), Error> {
    graph::settle(|| async move {
        let edges = Relationship::read(users, blocker, blocked).await?;
        if edges.blocking {
            return Ok(Some(()));
        }
        let mut block = users::blocking(blocker, blocked).item();
        block.extend([kind(Fence::Blocking), since(now)]);
        outbox::speak(&mut block, What::BlockChanged { blocker_id: blocker, blocked_id: blocked }, now);
        let mut other_side = users::blocked(blocked, blocker).item();
        other_side.extend([kind(Fence::Blocked), since(now)]);
        let mut transaction = Transaction::default();
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
        graph::commit(transaction, users).await
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
