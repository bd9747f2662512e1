//! What happens to a post, each as one write that is conditional on what was read.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use tintype_core::{
    PostId, Time,
    event::What,
    media::Place,
    post::{Edit, Failure, Post, Rendition, Status, Step},
};

use super::{LISTED_LONGER, PROCESSING_TIME, REMAINS, Record, TICKET_LIFETIME, count, key, published, read_record, removal, unpublished};
use crate::{
    Error, Table, outbox,
    table::{Item, back_off, failure, number, text, write_units},
    writes::{self, OF_VERSION},
};

/// Writes a new post that waits for its photos.
pub async fn create(posts: &Table, post: Post) -> Result<(), Error> {
    let listed = unpublished(&post).item();
    let item = Record::new(post).item()?;
    posts.transact(vec![writes::put_new(posts, item), writes::put(posts, listed)]).await
}

/// New tickets for the photos that still wait go out: the post has the time that they are good for.
pub async fn prolong(posts: &Table, post: PostId, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        let deadline = Some(now.plus(TICKET_LIFETIME).plus(PROCESSING_TIME));
        if record.post.is_settled() || record.deadline >= deadline {
            return Step::Nothing;
        }
        record.deadline = deadline;
        Step::Progress
    })
    .await
}

/// Photo work has begun.
pub async fn start(posts: &Table, post: PostId, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        // The tickets of the other photos are still good: the deadline is never brought forward.
        record.deadline = record.deadline.max(Some(now.plus(PROCESSING_TIME)));
        record.post.start()
    })
    .await
}

/// Photo `index` is processed, and its files lie at `place`. If it was the last one, the same write publishes the post.
pub async fn finish_photo(
    posts: &Table,
    post: PostId,
    index: usize,
    rendition: Rendition,
    place: Place,
    now: Time,
) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        let step = record.post.finish_photo(index, rendition.clone(), place, now);
        if step == Step::Published {
            record.forget();
        }
        step
    })
    .await
}

/// Its author changes what it says.
pub async fn edit(posts: &Table, post: PostId, edit: &Edit, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| record.post.edit(edit, now)).await
}

/// The post can't be finished: what was uploaded is swept by the janitor.
pub async fn fail(posts: &Table, post: PostId, failure: Failure, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        record.look_after(now);
        record.expires_at = Some(now.plus(REMAINS).as_seconds());
        record.post.fail(failure.clone())
    })
    .await
}

/// The janitor drives a post on: it has until `deadline`.
pub async fn drive(posts: &Table, post: PostId, deadline: Time, now: Time) -> Result<Option<Record>, Error> {
    change_live(posts, post, now, |record| {
        if record.post.is_settled() {
            return Step::Nothing;
        }
        record.drives += 1;
        record.deadline = Some(deadline);
        Step::Progress
    })
    .await
}

/// The janitor has swept what a failed or deleted post had left behind.
pub async fn swept(posts: &Table, post: PostId, now: Time) -> Result<Option<Record>, Error> {
    change(posts, post, now, |record| {
        if !record.is_remains() || record.unfinished.is_none() {
            return Step::Nothing;
        }
        record.swept(now);
        Step::Progress
    })
    .await
}

/// Others get their turn before a post that could not be looked after: the janitor meets it again at `until`.
///
/// Its item is not read first, since it may be the very thing that can't be read. Nor does the version rise: whoever changes the post
/// at the same moment knows better when its time is up.
pub async fn put_off(posts: &Table, post: PostId, until: Time) -> Result<(), Error> {
    let request = posts
        .client
        .update_item()
        .table_name(&posts.name)
        .set_key(Some(key(post).item()))
        .update_expression("SET deadline = :until")
        .condition_expression("attribute_exists(unfinished)")
        .expression_attribute_values(":until", text(until.to_string()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(())
        }
        // Somebody has finished it meanwhile.
        Err(Error::Condition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces a post by a tombstone that says so; its files are swept by the janitor. `false`: there was none, or it was deleted before.
pub async fn delete(posts: &Table, post: PostId, now: Time) -> Result<bool, Error> {
    for attempt in 0..MOST_RIVALS {
        let Some(before) = read_record(posts, post).await?.filter(|record| record.deleted_at.is_none()) else { return Ok(false) };
        let tombstone = before.tombstone(now);
        let mut item = tombstone.item()?;
        let Post { id, author_id, published_at, .. } = tombstone.post;
        outbox::speak(&mut item, What::PostDeleted { post_id: id, author_id }, now);
        let mut all = vec![writes::put_over(posts, item, before.version), writes::put(posts, removal::listed(&before.post, now))];
        if let Some(published_at) = published_at {
            all.push(writes::delete(posts, &published(&before.post, published_at)));
            all.push(writes::add(posts, &count(author_id), -1));
        } else {
            all.push(writes::delete(posts, &unpublished(&before.post)));
        }
        match posts.transact(all).await {
            Err(error) if is_lost_race(&error) => step_back(attempt).await?,
            result => return result.map(|()| true),
        }
    }
    Err(Error::Conflict)
}

/// [`change`], but a tombstone stays as it is.
pub(super) async fn change_live(
    posts: &Table,
    post: PostId,
    now: Time,
    mut apply: impl FnMut(&mut Record) -> Step,
) -> Result<Option<Record>, Error> {
    change(posts, post, now, |record| if record.deleted_at.is_some() { Step::Nothing } else { apply(record) }).await
}

/// Reads, changes and writes a post until nobody else wrote in between; answers what it became. `None`: there is no such post.
async fn change(posts: &Table, post: PostId, now: Time, mut apply: impl FnMut(&mut Record) -> Step) -> Result<Option<Record>, Error> {
    for attempt in 0..MOST_RIVALS {
        let Some(before) = read_record(posts, post).await? else { return Ok(None) };
        let mut after = before.clone();
        let step = apply(&mut after);
        if step == Step::Nothing {
            return Ok(Some(before));
        }
        after.version += 1;
        match store(posts, &before, &after, step, now).await {
            Err(error) if is_lost_race(&error) => step_back(attempt).await?,
            result => return result.map(|()| Some(after)),
        }
    }
    Err(Error::Conflict)
}

/// Ten photos of a post may finish at once; of those that write at the same moment at least one wins.
const MOST_RIVALS: u32 = 20;

/// Whether somebody else has written the post since it was read, or is writing it now.
fn is_lost_race(error: &Error) -> bool {
    matches!(error, Error::Condition(_) | Error::Conflict)
}

/// Waits a random while before the post is read again, 200 ms at most.
async fn step_back(attempt: u32) -> Result<(), Error> {
    back_off(attempt.min(2)).await
}

async fn store(posts: &Table, before: &Record, after: &Record, step: Step, now: Time) -> Result<(), Error> {
    let mut item = after.item()?;
    if step == Step::Published {
        let Post { id, author_id, .. } = after.post;
        outbox::speak(&mut item, What::PostPublished { post_id: id, author_id, published_at: now }, now);
        return posts
            .transact(vec![
                writes::put_over(posts, item, before.version),
                writes::delete(posts, &unpublished(&after.post)),
                writes::put(posts, published(&after.post, now).item()),
                writes::add(posts, &count(author_id), 1),
            ])
            .await;
    }
    if after.post.status == Status::Failed && before.post.status != Status::Failed {
        let Post { id, author_id, .. } = after.post;
        outbox::speak(&mut item, What::PostFailed { post_id: id, author_id }, now);
    }
    if step == Step::Edited {
        let Post { id, author_id, .. } = after.post;
        outbox::speak(&mut item, What::PostEdited { post_id: id, author_id }, now);
    }
    if after.expires_at != before.expires_at {
        let mut listed = unpublished(&after.post).item();
        listed.extend(after.expires_at.map(|at| ("expires_at".to_owned(), number(at.saturating_add_unsigned(LISTED_LONGER.as_secs())))));
        return posts.transact(vec![writes::put_over(posts, item, before.version), writes::put(posts, listed)]).await;
    }
    put_alone(posts, item, before.version).await
}

/// [`writes::put_over`] without a transaction, which would cost twice as much.
async fn put_alone(posts: &Table, item: Item, version: u64) -> Result<(), Error> {
    let request = posts
        .client
        .put_item()
        .table_name(&posts.name)
        .set_item(Some(item))
        .condition_expression(OF_VERSION)
        .expression_attribute_values(":version", number(version))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    write_units(answer.consumed_capacity.as_slice());
    Ok(())
}

#[cfg(test)]
mod tests {
    use tintype_core::patch::Patch;

    use super::*;
    use crate::posts::marks::tests::{empty_table, post};

    #[tokio::test]
    async fn a_published_post_speaks_when_it_says_something_else_and_only_then() {
        let (table, post) = (empty_table().await, post());
        let (id, now) = (post.id, Time::now());
        let spoken = async || {
            let item = table.client.get_item().table_name("posts").set_key(Some(key(id).item())).send().await.unwrap().item.unwrap();
            item.get("event").and_then(|event| event.as_s().ok()).cloned().unwrap_or_default()
        };
        let caption = |caption: &str| Edit { caption: Patch::Set(caption.to_owned()), ..Edit::default() };
        create(&table, post).await.unwrap();
        edit(&table, id, &caption("a draft"), now).await.unwrap();
        assert_eq!(spoken().await, "");
        let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
        finish_photo(&table, id, 0, rendition, Place::Public, now).await.unwrap();
        edit(&table, id, &caption("a draft"), now).await.unwrap();
        assert!(spoken().await.contains("post.published"), "nothing was written");
        let edited = edit(&table, id, &caption("better"), now).await.unwrap().unwrap();
        assert_eq!((edited.post.caption.as_str(), edited.post.edited_at), ("better", Some(now)));
        assert!(spoken().await.contains("post.edited"));
        edit(&table, id, &Edit { comments_enabled: Some(false), ..Edit::default() }, now).await.unwrap();
        assert_eq!(spoken().await, "");
        delete(&table, id, now).await.unwrap();
        let gone = edit(&table, id, &caption("too late"), now).await.unwrap().unwrap();
        assert!(gone.deleted_at.is_some() && gone.post.caption.is_empty());
    }

    #[test]
    fn whoever_loses_a_race_reads_again_and_any_other_failure_is_one() {
        assert!(is_lost_race(&Error::Condition(vec![true])) && is_lost_race(&Error::Conflict));
        assert!(!is_lost_race(&Error::Unavailable("down".to_owned())) && !is_lost_race(&Error::Refused("no".to_owned())));
    }
}
