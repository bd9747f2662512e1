//! What is left of comments that nobody sees any more, and of people who leave.
//!
//! A tombstone's likes are counted like a comment's, and it stays until the last is gone: index `ByMark` may not know yet of one that
//! was given a moment ago. Its replies are read from the table itself, consistently, and no more can come.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use tintype_core::{CommentId, PostId, Time, UserId, event::What};

use super::{
    COMMENTS, Thread,
    change::ALIVE,
    counts,
    likes::{Like, count_likes, likes_after},
    likes_of, locator,
    read::{Record, written_after},
    traces, viewer,
};
use crate::{
    Error, Key, Page, Table, outbox,
    table::{Query, failure, number, read_units, text, write_units},
    writes::{self, Transaction},
};

/// Likes taken away in one transaction, which takes a hundred writes.
const LIKES: i32 = 50;

/// What stands at a place in a thread.
#[derive(Debug, Clone)]
pub struct Remains {
    /// Where.
    pub key: Key,
    /// Of which comment.
    pub comment: CommentId,
    /// About which post.
    pub post: PostId,
    /// The comment that it replied to.
    pub parent: Option<CommentId>,
    /// Whether it is a tombstone.
    pub is_deleted: bool,
    /// Whose it is, if it is none.
    pub author: Option<UserId>,
    /// How many likes it still has.
    pub likes: u64,
}

impl Remains {
    fn of(key: Key, record: &Record) -> Self {
        let &Record { id, post_id, parent_id, author_id, likes, .. } = record;
        Self { key, comment: id, post: post_id, parent: parent_id, is_deleted: author_id.is_none(), author: author_id, likes }
    }
}

/// What stands at `key`, as of now.
pub async fn at(comments: &Table, key: Key) -> Result<Option<Remains>, Error> {
    let record: Option<Record> = comments.get(&key, true).await?;
    Ok(record.map(|record| Remains::of(key, &record)))
}

/// The first comments of a thread, tombstones too, as of now.
pub async fn first_of(comments: &Table, thread: Thread, limit: usize) -> Result<Vec<Remains>, Error> {
    let query = Query { pk: thread.pk(), prefix: Some(COMMENTS), after: None, descending: false, consistent: true, limit };
    let page: Page<Record> = comments.query(query).await?;
    Ok(page.items.iter().map(|record| Remains::of(thread.item(record.id), record)).collect())
}

/// A comment that nobody sees any more, and that is counted no more, becomes a tombstone without a word: nobody can like it or reply.
pub async fn silence(comments: &Table, remains: &Remains, now: Time) -> Result<(), Error> {
    let update = writes::update(
        comments,
        &remains.key,
        "SET deleted_at = :now REMOVE author_id, mentions, #text, event, event_id",
        ALIVE,
        [(":now", text(now.to_string()))],
    );
    match comments.transact(vec![update]).await {
        // It is one, or gone.
        Err(Error::Condition(_)) => Ok(()),
        result => result,
    }
}

/// Takes away some likes of a tombstone. `false`: the index knows of none.
pub async fn take_likes(comments: &Table, remains: &Remains) -> Result<bool, Error> {
    let mut found = known_likes(comments, remains.comment).await?;
    if found.is_empty() {
        return Ok(false);
    }
    if commit(comments, &remains.key, &found).await? {
        return Ok(true);
    }
    // The index is as of a moment ago: somebody else has taken one of them away since.
    found = comments.batch_get(&found, true).await?;
    if found.is_empty() {
        return Ok(false);
    }
    commit(comments, &remains.key, &found).await
}

async fn commit(comments: &Table, comment: &Key, likes: &[Key]) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    for like in likes {
        transaction.push(writes::delete_present(comments, like));
    }
    let taken = i64::try_from(likes.len()).unwrap_or(i64::MAX);
    transaction.push(count_likes(comments, comment, -taken, "attribute_exists(pk)"));
    match transaction.commit(comments).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn known_likes(comments: &Table, comment: CommentId) -> Result<Vec<Key>, Error> {
    let request = comments
        .client
        .query()
        .table_name(&comments.name)
        .index_name("ByMark")
        .key_condition_expression("marked = :comment")
        .expression_attribute_values(":comment", text(likes_of(comment)))
        .limit(LIKES)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    Ok(answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?)
}

/// Removes a tombstone that has neither likes nor replies left. `false`: it has a like.
pub async fn remove(comments: &Table, remains: &Remains) -> Result<bool, Error> {
    let request = comments
        .client
        .delete_item()
        .table_name(&comments.name)
        .set_key(Some(remains.key.item()))
        .condition_expression("attribute_not_exists(pk) OR likes = :none")
        .expression_attribute_values(":none", number(0))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what leads to a comment that is gone with its parent or its post.
pub async fn remove_locator(comments: &Table, comment: CommentId) -> Result<(), Error> {
    comments.delete(&locator(comment)).await
}

/// Removes the counters of a post that has no comments left.
pub async fn remove_counts(comments: &Table, post: PostId) -> Result<(), Error> {
    let query = Query { pk: counts(post), prefix: None, after: None, descending: false, consistent: true, limit: 100 };
    let page: Page<Key> = comments.query(query).await?;
    for key in &page.items {
        comments.delete(key).await?;
    }
    Ok(())
}

/// A tombstone says once more that its comment is deleted: there was not time enough to remove all that was the comment's.
pub async fn remind_of_comment(comments: &Table, remains: &Remains, now: Time) -> Result<(), Error> {
    let mut words = remains.key.item();
    let what = What::CommentDeleted { comment_id: remains.comment, post_id: remains.post, parent_id: remains.parent };
    outbox::speak(&mut words, what, now);
    let request = comments
        .client
        .update_item()
        .table_name(&comments.name)
        .set_key(Some(remains.key.item()))
        .update_expression("SET event = :event, event_id = :event_id")
        .condition_expression("attribute_exists(deleted_at)")
        .set_expression_attribute_values(Some(
            ["event", "event_id"].into_iter().filter_map(|name| Some((format!(":{name}"), words.remove(name)?))).collect(),
        ))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(())
        }
        Err(Error::Condition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Something says once more that a post is deleted, likewise. It goes with [`remove_reminder`].
pub async fn remind_of_post(comments: &Table, post: PostId, author: UserId, now: Time) -> Result<(), Error> {
    let mut item = reminder(post).item();
    outbox::speak(&mut item, What::PostDeleted { post_id: post, author_id: author }, now);
    let request = comments.client.put_item().table_name(&comments.name).set_item(Some(item));
    let answer = Box::pin(request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await.map_err(failure)?;
    write_units(answer.consumed_capacity.as_slice());
    Ok(())
}

/// Nothing of a deleted post's comments is left to be reminded of.
pub async fn remove_reminder(comments: &Table, post: PostId) -> Result<(), Error> {
    comments.delete(&reminder(post)).await
}

fn reminder(post: PostId) -> Key {
    Key::new(format!("REMOVAL#{post}"), "REMOVAL")
}

/// Some of what a person has written, as of a moment ago: where it is.
pub async fn written_by(comments: &Table, author: UserId, limit: i32) -> Result<Vec<Key>, Error> {
    let (keys, _) = written_after(comments, author, None, limit).await?;
    Ok(keys)
}

/// Some of a person's likes, as of now; empty once there are no more.
pub async fn likes_by(comments: &Table, user: UserId, limit: usize) -> Result<Vec<Like>, Error> {
    Ok(likes_after(comments, user, None, limit).await?.items)
}

/// Removes some of the traces that a person has left; `false` once there are no more.
pub async fn remove_traces(comments: &Table, user: UserId, limit: usize) -> Result<bool, Error> {
    let found = traces::left_by(comments, user, limit).await?;
    for trace in &found {
        comments.delete(trace).await?;
    }
    Ok(!found.is_empty())
}

/// Removes a like of a comment of which nothing is left.
pub async fn remove_like(comments: &Table, like: &Like, user: UserId) -> Result<(), Error> {
    comments.delete(&Key::new(viewer(user), &like.sk)).await
}
