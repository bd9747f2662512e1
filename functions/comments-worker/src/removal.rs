//! A comment with its replies, and a post's comments, down to the last item.
//!
//! First a comment becomes a tombstone, so that nobody can like it or reply to it any more; then its replies go, then its likes, and
//! last what is left of itself. Whoever is interrupted finds it again where it was.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tintype_core::{CommentId, PostId, Time};
use tintype_queues::Failure;
use tintype_tables::{
    Table,
    comments::{
        Thread,
        removal::{self, Remains},
    },
    posts,
};
use tintype_telemetry as telemetry;
use tokio::time::sleep;

/// Comments found at a time.
const PAGE: usize = 50;
/// Comments of a post that are removed at once, and replies of each.
const PARALLEL: usize = 4;
/// How often the index is asked for likes that the comment counts and the index does not know yet, and how long apart: 5 s in all.
const LOOKS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// A removal that ends when its time is `up`.
#[derive(Clone, Copy)]
pub(crate) struct Sweep<'a> {
    pub(crate) comments: &'a Table,
    pub(crate) up: Instant,
}

/// Whether the locator of a removed comment stays for its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locator {
    /// It says for a while that the comment is deleted, to whoever sends the request again that has written it.
    Stays,
    /// What the comment was under is gone as well: such a request is refused anyway.
    Goes,
}

/// What was a comment's; if there was not time enough, what is left.
pub(crate) async fn of_comment(
    sweep: &Sweep<'_>,
    post: PostId,
    parent: Option<CommentId>,
    comment: CommentId,
) -> Result<Option<Remains>, Failure> {
    let key = Thread::holding(post, parent).item(comment);
    let Some(remains) = removal::at(sweep.comments, key).await? else { return Ok(None) };
    if !remains.is_deleted {
        return Err(Failure::ForEver(format!("comment {comment} is not deleted")));
    }
    let is_done = sweep.whole(&remains, Locator::Stays).await?;
    Ok((!is_done).then_some(remains))
}

/// All that was said of a post that is gone; `false` if there was not time enough.
pub(crate) async fn of_post(sweep: &Sweep<'_>, posts: &Table, post: PostId) -> Result<bool, Failure> {
    if posts::read(posts, post).await?.is_some() {
        return Err(Failure::ForEver(format!("post {post} is not deleted")));
    }
    sweep.thread(post).await
}

impl Sweep<'_> {
    pub(crate) fn is_up(&self) -> bool {
        Instant::now() >= self.up
    }

    /// All comments on a post that nobody sees any more, and their count; `false` if the time was up before.
    pub(crate) async fn thread(&self, post: PostId) -> Result<bool, Failure> {
        loop {
            let found = removal::first_of(self.comments, Thread::Of(post), PAGE).await?;
            if found.is_empty() {
                break;
            }
            let work = stream::iter(found.iter().map(|remains| self.whole(remains, Locator::Goes))).buffer_unordered(PARALLEL);
            if !all(work.try_collect().await?) {
                return Ok(false);
            }
        }
        removal::remove_counts(self.comments, post).await?;
        removal::remove_reminder(self.comments, post).await?;
        Ok(true)
    }

    /// A comment that is counted no more, whatever of it is still there.
    pub(crate) async fn uncounted(&self, remains: &Remains) -> Result<bool, Failure> {
        self.whole(remains, Locator::Goes).await
    }

    /// A comment with its replies.
    async fn whole(&self, remains: &Remains, locator: Locator) -> Result<bool, Failure> {
        self.silence(remains).await?;
        while remains.parent.is_none() {
            let replies = removal::first_of(self.comments, Thread::Under(remains.comment), PAGE).await?;
            if replies.is_empty() {
                break;
            }
            let work = stream::iter(replies.iter().map(|reply| self.alone(reply, Locator::Goes))).buffer_unordered(PARALLEL);
            if !all(work.try_collect().await?) {
                return Ok(false);
            }
        }
        self.alone(remains, locator).await
    }

    async fn silence(&self, remains: &Remains) -> Result<(), Failure> {
        if !remains.is_deleted {
            removal::silence(self.comments, remains, Time::now()).await?;
        }
        Ok(())
    }

    /// A comment that has no replies (any more).
    async fn alone(&self, remains: &Remains, locator: Locator) -> Result<bool, Failure> {
        if self.is_up() {
            return Ok(false);
        }
        self.silence(remains).await?;
        if locator == Locator::Goes {
            removal::remove_locator(self.comments, remains.comment).await?;
        }
        let mut looks = 0;
        while !removal::remove(self.comments, remains).await? {
            if self.is_up() {
                return Ok(false);
            }
            if removal::take_likes(self.comments, remains).await? {
                continue;
            }
            looks += 1;
            if looks == LOOKS {
                return Err(Failure::ForNow(format!("comment {} has likes that its index does not know", remains.comment)));
            }
            sleep(PAUSE).await;
        }
        telemetry::count("removal.comments", 1);
        Ok(true)
    }
}

fn all(are_done: Vec<bool>) -> bool {
    are_done.into_iter().all(|is_done| is_done)
}
