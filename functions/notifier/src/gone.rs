//! What is taken back because it is gone: posts and comments for all who were told of them, people for those who must not hear of them.
//!
//! It may be very much, and an attempt has little time. What is taken back stays so: the next attempt goes on with the rest.

use std::{collections::BTreeMap, time::Instant};

use tintype_core::{CommentId, PostId, UserId};
use tintype_queues::Failure;
use tintype_tables::{
    Error, Key,
    notifications::{self, After, Found, TAKEN_BACK_AT_ONCE},
    visibility::Relationship,
};
use tintype_telemetry as telemetry;

use crate::Stores;

/// How far it got. Some is taken back in any case, however little time there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    All,
    /// The time was up before.
    Some,
}

impl Progress {
    /// What is left is for the message to come again: the queue gives it so many attempts that some hundred thousand causes can go.
    pub(crate) fn or_again(self) -> Result<(), Failure> {
        match self {
            Self::All => Ok(()),
            Self::Some => Err(Failure::ForNow("more is gone than is taken back in one attempt".to_owned())),
        }
    }
}

/// All that was told of a post and of its comments.
pub(crate) async fn post(stores: &Stores, post_id: PostId, up: Instant) -> Result<Progress, Error> {
    all(stores, up, async |after| notifications::about(&stores.notifications, post_id, None, after).await).await
}

/// All that was told of a comment, and of its replies if it had any.
pub(crate) async fn comment(
    stores: &Stores,
    post_id: PostId,
    comment_id: CommentId,
    parent_id: Option<CommentId>,
    up: Instant,
) -> Result<Progress, Error> {
    let about = notifications::about_comment(comment_id, parent_id);
    all(stores, up, async |after| notifications::about(&stores.notifications, post_id, Some(&about), after).await).await
}

/// What each of two was told of the other, if one of them blocks the other now.
pub(crate) async fn block(stores: &Stores, blocker: UserId, blocked: UserId, up: Instant) -> Result<Progress, Error> {
    let edges = Relationship::read(&stores.users, blocker, blocked).await?;
    if !edges.blocking && !edges.blocked {
        return Ok(Progress::All);
    }
    match person(stores, blocker, blocked, up).await? {
        Progress::All => person(stores, blocked, blocker, up).await,
        Progress::Some => Ok(Progress::Some),
    }
}

/// What somebody was told of a person whom they have muted, if they have now.
pub(crate) async fn mute(stores: &Stores, muter: UserId, muted: UserId, up: Instant) -> Result<Progress, Error> {
    if Relationship::read(&stores.users, muter, muted).await?.muting { person(stores, muter, muted, up).await } else { Ok(Progress::All) }
}

async fn person(stores: &Stores, recipient: UserId, actor: UserId, up: Instant) -> Result<Progress, Error> {
    let causes = notifications::causes_by(&stores.notifications, recipient, actor).await?;
    take_back(stores, recipient, &causes, up).await
}

/// Takes back what `find` finds, page by page.
async fn all(stores: &Stores, up: Instant, find: impl AsyncFn(Option<After>) -> Result<Found, Error>) -> Result<Progress, Error> {
    let mut after = None;
    loop {
        let (causes, next) = find(after).await?;
        let progress = those(stores, causes, up).await?;
        after = next;
        if after.is_none() || progress == Progress::Some {
            return Ok(progress);
        }
    }
}

/// Takes back what was told of these causes, in whoever's inbox.
pub(crate) async fn those(stores: &Stores, causes: Vec<Key>, up: Instant) -> Result<Progress, Error> {
    let mut inboxes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Key { pk, sk } in causes {
        inboxes.entry(pk).or_default().push(sk);
    }
    let mut inboxes = inboxes.into_iter().peekable();
    while let Some((pk, causes)) = inboxes.next() {
        let Some(recipient) = notifications::recipient(&pk) else { continue };
        let progress = take_back(stores, recipient, &causes, up).await?;
        if progress == Progress::Some || (inboxes.peek().is_some() && Instant::now() >= up) {
            return Ok(Progress::Some);
        }
    }
    Ok(Progress::All)
}

/// The inbox is not held for all of them at once: whoever has something to tell there comes in between.
async fn take_back(stores: &Stores, recipient: UserId, causes: &[String], up: Instant) -> Result<Progress, Error> {
    let mut chunks = causes.chunks(TAKEN_BACK_AT_ONCE).peekable();
    while let Some(causes) = chunks.next() {
        {
            let _turn = stores.turns.take(recipient).await;
            notifications::take_back(&stores.notifications, recipient, causes).await?;
        }
        telemetry::count("notifier.taken_back", causes.len());
        if chunks.peek().is_some() && Instant::now() >= up {
            return Ok(Progress::Some);
        }
    }
    Ok(Progress::All)
}
