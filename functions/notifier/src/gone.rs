//! What is taken back because it is gone: posts and comments for all who were told of them, people for those who must not hear of them.

use std::collections::BTreeMap;

use tintype_core::{CommentId, PostId, UserId};
use tintype_tables::{
    Error, Key,
    notifications::{self, After, Found},
    visibility::Relationship,
};
use tintype_telemetry as telemetry;

use crate::Stores;

/// All that was told of a post and of its comments.
pub(crate) async fn post(stores: &Stores, post_id: PostId) -> Result<(), Error> {
    all(stores, async |after| notifications::about(&stores.notifications, post_id, None, after).await, |_| true).await
}

/// All that was told of a comment, and of its replies if it had any.
pub(crate) async fn comment(stores: &Stores, post_id: PostId, comment_id: CommentId, parent_id: Option<CommentId>) -> Result<(), Error> {
    let about = notifications::about_comment(comment_id, parent_id);
    all(stores, async |after| notifications::about(&stores.notifications, post_id, Some(&about), after).await, |_| true).await
}

/// All that was told of a comment by somebody who did not live to see that it had gone; which thread it was in is not known any more.
pub(crate) async fn told_of(stores: &Stores, post_id: PostId, comment_id: CommentId) -> Result<(), Error> {
    let ending = format!("#{comment_id}");
    let about = async |after| notifications::about(&stores.notifications, post_id, Some("COMMENT#"), after).await;
    all(stores, about, |cause| cause.ends_with(&ending)).await
}

/// What each of two was told of the other, if one of them blocks the other now.
pub(crate) async fn block(stores: &Stores, blocker: UserId, blocked: UserId) -> Result<(), Error> {
    let edges = Relationship::read(&stores.users, blocker, blocked).await?;
    if edges.blocking || edges.blocked {
        person(stores, blocker, blocked).await?;
        person(stores, blocked, blocker).await?;
    }
    Ok(())
}

/// What somebody was told of a person whom they have muted, if they have now.
pub(crate) async fn mute(stores: &Stores, muter: UserId, muted: UserId) -> Result<(), Error> {
    if Relationship::read(&stores.users, muter, muted).await?.muting {
        person(stores, muter, muted).await?;
    }
    Ok(())
}

async fn person(stores: &Stores, recipient: UserId, actor: UserId) -> Result<(), Error> {
    let causes = notifications::causes_by(&stores.notifications, recipient, actor).await?;
    take_back(stores, recipient, &causes).await
}

/// Takes back what `find` finds, page by page, of which `counts` tells whether it is meant.
async fn all(
    stores: &Stores,
    find: impl AsyncFn(Option<After>) -> Result<Found, Error>,
    counts: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let (causes, next) = find(after).await?;
        those(stores, causes.into_iter().filter(|cause| counts(&cause.sk))).await?;
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Takes back what was told of these causes, in whoever's inbox.
pub(crate) async fn those(stores: &Stores, causes: impl IntoIterator<Item = Key>) -> Result<(), Error> {
    let mut inboxes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Key { pk, sk } in causes {
        inboxes.entry(pk).or_default().push(sk);
    }
    for (pk, causes) in inboxes {
        if let Some(recipient) = notifications::recipient(&pk) {
            take_back(stores, recipient, &causes).await?;
        }
    }
    Ok(())
}

async fn take_back(stores: &Stores, recipient: UserId, causes: &[String]) -> Result<(), Error> {
    telemetry::count("notifier.taken_back", causes.len());
    let _turn = stores.turns.take(recipient).await;
    notifications::take_back(&stores.notifications, recipient, causes).await
}
