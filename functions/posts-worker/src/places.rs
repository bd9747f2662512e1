//! The photographs of a private account lie where only a signature opens them, those of others with the CDN.
//!
//! A message says that an account has turned private or public, or that a post is there; what is to be done about it is read from the
//! account and the post as they stand. So messages may come twice, late and in any order: the last to be worked on finds what the
//! account is then. A job ([`tintype_tables::jobs::Turning`]) sees to it that all of an account's posts are looked at, whatever becomes
//! of messages: it is told how far this has come, and sends another if nothing is heard. Each step ([`tintype_tables::posts::Relocation`]) is in the post's record before the next begins, so that whoever
//! comes after somebody who was killed goes on from there.
//!
//! Only published posts are moved. Others are seen by their authors alone, and become published, with a message, or are swept.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tintype_buckets::sweep_strays;
use tintype_core::{
    JobId, PostId, Time, UserId,
    event::What,
    media::{self, Place},
};
use tintype_queues::Failure;
use tintype_tables::{
    jobs::Turning,
    posts::{self, Record, Relocation},
    users,
};
use tintype_telemetry as telemetry;
use tokio::time::sleep;

use crate::{Stores, cdn::MOST_POSTS};

/// Posts of an author that are worked on at once, and forgotten by the CDN at once.
const BATCH: usize = MOST_POSTS;
/// Files of a post that are copied at once.
const PARALLEL_FILES: usize = 8;
/// A move takes three steps. Who meets others at the same post needs more, and after so many somebody else shall try later.
const MOST_STEPS: usize = 20;
/// How often a post is looked at again after it was moved, if its author turns back and forth.
const MOST_ROUNDS: u32 = 8;
/// What failed is tried again after a pause.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long it goes on before it lets the job know how far it is: less than the job waits for that, with what may come after.
const TIME: Duration = Duration::from_secs(40);

/// Brings an author's posts to where they belong, from `after` on and for as long as there is time, and tells the job.
///
/// What fails with one post does not keep others where they must not be: it is passed over, and the job comes back to it.
pub(crate) async fn of_account(stores: &Stores, author: UserId, job_id: JobId, after: Option<String>) -> Result<(), Failure> {
    let job = stores.users.get::<Turning>(&users::turning(author), true).await?;
    // A message that has come twice, or late, finds the job elsewhere, or a newer one.
    let Some(job) = job.filter(|job| job.is_at(job_id, after.as_deref())) else { return Ok(()) };
    let (next, failed) = pass(stores, &job, after.clone(), Instant::now() + TIME).await?;
    if let Some(reason) = &failed {
        telemetry::field("error", reason.as_str());
    }
    stores.users_queue.send(What::MediaMoved { user_id: author, job_id, after, next, has_failed: failed.is_some() }).await?;
    Ok(())
}

/// Goes through the author's posts until the time is `up`; where to go on, and why something failed.
async fn pass(stores: &Stores, job: &Turning, mut after: Option<String>, up: Instant) -> Result<(Option<String>, Option<String>), Failure> {
    let mut failed = None;
    loop {
        let page = posts::published_by(&stores.posts, job.user_id, after, BATCH).await?;
        // The newest come first.
        let concerned: Vec<PostId> =
            page.items.iter().take_while(|listed| job.concerns(listed.published_at)).map(|listed| listed.post_id).collect();
        if let Err(Failure::ForNow(reason) | Failure::ForEver(reason)) = bring(stores, job.user_id, &concerned, true).await {
            telemetry::count("media.failed_batches", 1);
            failed = Some(reason);
        }
        after = page.next.filter(|_| concerned.len() == page.items.len());
        if after.is_none() || Instant::now() >= up {
            return Ok((after, failed));
        }
    }
}

/// Brings one post to where it belongs: its photographs were worked on while its author may have turned private or public.
pub(crate) async fn of_post(stores: &Stores, author: UserId, post: PostId) -> Result<(), Failure> {
    bring(stores, author, &[post], false).await
}

/// Brings posts to where they belong. Whatever becomes of one, the others are looked at.
///
/// The CDN is asked to forget what must not be public after the files are gone, so that it gets no new copies, and before the record
/// forgets the move: who comes after somebody who was killed in between asks again.
async fn bring(stores: &Stores, author: UserId, posts: &[PostId], is_thorough: bool) -> Result<(), Failure> {
    let (mut left, mut attempt, mut round) = (posts.to_vec(), 1, 0);
    while !left.is_empty() {
        let work = left.iter().map(|post| async { (*post, place(stores, author, *post, is_thorough).await) });
        let results: Vec<_> = stream::iter(work).buffer_unordered(BATCH).collect().await;
        let (mut moved, mut failed, mut reason) = (Vec::new(), Vec::new(), String::new());
        let mut fail = |post: PostId, error: String| {
            failed.push(post);
            reason = format!("{post}: {error}");
        };
        for (post, result) in results {
            match result {
                Ok(relocation) => moved.extend(relocation.map(|relocation| (post, relocation))),
                Err(Failure::ForNow(error) | Failure::ForEver(error)) => fail(post, error),
            }
        }
        let hidden: Vec<PostId> = moved.iter().filter(|(_, relocation)| relocation.to_private).map(|(post, _)| *post).collect();
        stores.cdn.forget(&hidden).await;
        left.clear();
        for (post, relocation) in moved {
            match posts::settle_relocation(&stores.posts, post, &relocation, Time::now()).await {
                Ok(_) => left.push(post),
                Err(error) => fail(post, error.to_string()),
            }
        }
        telemetry::count("media.moved_posts", left.len());
        round += 1;
        if (!failed.is_empty() && attempt >= ATTEMPTS) || (!left.is_empty() && round >= MOST_ROUNDS) {
            let reason = if reason.is_empty() { "the account keeps turning" } else { &reason };
            return Err(Failure::ForNow(format!("{} posts are not in their place: {reason}", failed.len() + left.len())));
        }
        if !failed.is_empty() {
            sleep(PAUSE * attempt).await;
            attempt += 1;
            left.append(&mut failed);
        }
    }
    Ok(())
}

/// Brings a post's files to where they belong; the move that is over but for being settled, and after which it must be looked at again;
/// `None` if the post is where it belongs. If it `is_thorough`, strays are looked for also where nothing is to be moved.
///
/// The account is read before the post at every step. So when nothing is to be done, the post is as the account was after the last step
/// here; and of what the account has become since then there is another message.
async fn place(stores: &Stores, author: UserId, post: PostId, is_thorough: bool) -> Result<Option<Relocation>, Failure> {
    for _ in 0..MOST_STEPS {
        // Of who is gone all goes; what was copied while a post of theirs went is found by nobody else.
        let card = users::card_now(&stores.users, author).await?;
        let record = posts::read_record(&stores.posts, post).await?;
        let (Some(card), Some(record)) = (card, record) else {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            return Ok(None);
        };
        let Some(relocation) = record.relocation.clone() else {
            if record.is_remains() || !record.is_misplaced(card.is_private) {
                if is_thorough || card.is_private {
                    sweep_strays(&stores.media, &stores.posts, post).await?;
                }
                return Ok(None);
            }
            posts::relocate(&stores.posts, post, Place::of(card.is_private), Time::now()).await?;
            continue;
        };
        if record.is_remains() {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            return Ok(None);
        }
        if relocation.is_over {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            return Ok(Some(relocation));
        }
        let is_wanted = relocation.to_private == card.is_private;
        if is_wanted && !copy(stores, &record, &relocation).await? {
            explain_missing(stores, &record).await?;
            continue;
        }
        posts::relocated(&stores.posts, post, &relocation, is_wanted, Time::now()).await?;
    }
    Err(Failure::ForNow("others keep moving the post".to_owned()))
}

/// Copies all that is to be moved; `false` if some of it is not there.
async fn copy(stores: &Stores, record: &Record, relocation: &Relocation) -> Result<bool, Failure> {
    let post = &record.post;
    let files = relocation.photos(&post.photos).flat_map(|(photo, media_id)| {
        let variants = photo.rendition.iter().flat_map(|rendition| &rendition.variants);
        variants.map(move |variant| {
            let from = media::variant_key(photo.place(), post.id, &photo.media_id, &variant.name);
            (from, media::variant_key(relocation.to(), post.id, media_id, &variant.name))
        })
    });
    let cache_control = relocation.to().cache_control();
    let copies = files.map(|(from, to)| async move { stores.media.copy(&from, &to, "image/jpeg", cache_control).await });
    let copied: Vec<bool> = stream::iter(copies).buffer_unordered(PARALLEL_FILES).try_collect().await?;
    Ok(copied.into_iter().all(|is_there| is_there))
}

/// A file that is not there has been moved by somebody else since the record was read; or else it is lost, and somebody must know.
async fn explain_missing(stores: &Stores, before: &Record) -> Result<(), Failure> {
    let now = posts::read_record(&stores.posts, before.post.id).await?;
    if now.is_some_and(|now| now.version == before.version) {
        return Err(Failure::ForNow("a photograph's file is missing".to_owned()));
    }
    Ok(())
}
