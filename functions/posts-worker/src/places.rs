//! The photographs of a private account lie where only a signature opens them, those of others with the CDN.
//!
//! A message says that an account has turned private or public, or that a post is there; what is to be done about it is read from the
//! account and the post as they stand. So messages may come twice, late and in any order: the last to be worked on finds what the
//! account is then. Each step ([`tintype_tables::posts::Relocation`]) is in the post's record before the next begins, so that whoever
//! comes after somebody who was killed goes on from there.
//!
//! Only published posts are moved. Others are seen by their authors alone, and become published, with a message, or are swept.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tintype_buckets::sweep_strays;
use tintype_core::{
    PostId, Time, UserId,
    media::{self, Place},
};
use tintype_queues::Failure;
use tintype_tables::{
    posts::{self, Record, Relocation},
    users,
};
use tintype_telemetry as telemetry;
use tokio::time::sleep;

use crate::Stores;

/// Posts of an author that are worked on at once.
const PARALLEL_POSTS: usize = 8;
/// Files of a post that are copied at once.
const PARALLEL_FILES: usize = 8;
/// Posts that are read at a time.
const PAGE: usize = 100;
/// A move takes four steps. Who meets others at the same post needs more, and after so many somebody else shall try later.
const MOST_STEPS: usize = 20;
/// What failed is tried again after a pause: a message that is given back comes only when its queue's visibility timeout is over, and
/// until then files would lie in the wrong place.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Brings all of an author's posts to where they belong.
pub(crate) async fn of_account(stores: &Stores, author: UserId) -> Result<(), Failure> {
    let mut hidden = Vec::new();
    let mut attempt = 1;
    let result = loop {
        match pass(stores, author, &mut hidden).await {
            Err(_) if attempt < ATTEMPTS => sleep(PAUSE * attempt).await,
            result => break result,
        }
        attempt += 1;
    };
    telemetry::field("media.hidden_posts", hidden.len());
    stores.cdn.forget(&hidden).await;
    result
}

/// Goes through the author's posts once. Whatever becomes of one, the others are looked at.
async fn pass(stores: &Stores, author: UserId, hidden: &mut Vec<PostId>) -> Result<(), Failure> {
    let (mut after, mut failed, mut reason) = (None, 0, String::new());
    loop {
        let page = posts::published_by(&stores.posts, author, after, PAGE).await?;
        let work = page.items.iter().map(|listed| async { (listed.post_id, place(stores, author, listed.post_id, true).await) });
        let mut results = stream::iter(work).buffer_unordered(PARALLEL_POSTS);
        while let Some((post, result)) = results.next().await {
            match result {
                Ok(true) => hidden.push(post),
                Ok(false) => {}
                Err(Failure::ForNow(error) | Failure::ForEver(error)) => {
                    failed += 1;
                    reason = format!("{post}: {error}");
                }
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::ForNow(format!("{failed} posts are not in their place: {reason}"))) }
}

/// Brings one post to where it belongs: its photographs were worked on while its author may have turned private or public.
pub(crate) async fn of_post(stores: &Stores, author: UserId, post: PostId) -> Result<(), Failure> {
    let mut attempt = 1;
    let is_hidden = loop {
        match place(stores, author, post, false).await {
            Err(_) if attempt < ATTEMPTS => sleep(PAUSE * attempt).await,
            result => break result?,
        }
        attempt += 1;
    };
    if is_hidden {
        stores.cdn.forget(&[post]).await;
    }
    Ok(())
}

/// Brings a post's files to where they belong; whether files that had been public are so no more. If it is `thorough`, strays are looked
/// for also where nothing is to be moved.
///
/// The account is read before the post at every step. So when nothing is to be done, the post is as the account was after the last step
/// here; and of what the account has become since then there is another message.
async fn place(stores: &Stores, author: UserId, post: PostId, thorough: bool) -> Result<bool, Failure> {
    let mut is_hidden = false;
    for _ in 0..MOST_STEPS {
        // Of who is gone all goes; what was copied while a post of theirs went is found by nobody else.
        let card = users::card_now(&stores.users, author).await?;
        let record = posts::read_record(&stores.posts, post).await?;
        let (Some(card), Some(record)) = (card, record) else {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            return Ok(is_hidden);
        };
        let Some(relocation) = record.relocation.clone() else {
            if record.is_remains() || !record.is_misplaced(card.is_private) {
                if thorough || card.is_private {
                    sweep_strays(&stores.media, &stores.posts, post).await?;
                }
                return Ok(is_hidden);
            }
            posts::relocate(&stores.posts, post, Place::of(card.is_private), Time::now()).await?;
            continue;
        };
        if record.is_remains() {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            return Ok(is_hidden);
        }
        if relocation.is_over {
            sweep_strays(&stores.media, &stores.posts, post).await?;
            posts::settle_relocation(&stores.posts, post, &relocation, Time::now()).await?;
            telemetry::count("media.moved_posts", 1);
            is_hidden |= relocation.to_private;
        } else {
            let is_wanted = relocation.to_private == card.is_private;
            if is_wanted && !copy(stores, &record, &relocation).await? {
                explain_missing(stores, &record).await?;
                continue;
            }
            posts::relocated(&stores.posts, post, &relocation, is_wanted, Time::now()).await?;
        }
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
