//! A comment is written, and deleted: each in one transaction with whatever counts it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use tintype_core::{CommentId, Time, UserId, comment::Comment, event::What};

use super::{Thread, count, find, key, locator, read::Locator, traces};
use crate::{
    Error, Key, Table,
    graph::settle,
    outbox,
    table::{Item, number, text},
    writes::{self, Transaction},
};

/// How long it is known of an id that its comment is deleted: longer than an `Idempotency-Key` may ask for that comment again.
const REMEMBERED: Duration = Duration::from_hours(48);

/// It is no tombstone: that has no author.
pub(super) const ALIVE: &str = "attribute_exists(author_id)";
/// A comment speaks when it is written, and the router passes over what stays; without these the item costs less to write.
const HAS_SPOKEN: &str = "REMOVE event, event_id";

/// What became of a comment that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It is there now.
    Created,
    /// There was one with this id before, or has been: nothing was written.
    Known,
    /// What it replies to is not there (any more): nothing was written.
    NoParent,
}

/// Writes a new comment, and counts it.
pub async fn create(comments: &Table, comment: &Comment, now: Time) -> Result<Creation, Error> {
    let &Comment { id, post_id, parent_id, author_id, .. } = comment;
    let mut item: Item = serde_dynamo::to_item(comment)?;
    item.extend(key(comment).item());
    outbox::speak(&mut item, What::CommentCreated { comment_id: id, post_id, parent_id, author_id }, now);
    let mut leads: Item = serde_dynamo::to_item(Locator { post_id: Some(post_id), parent_id })?;
    leads.extend(locator(id).item());

    let mut transaction = Transaction::default();
    transaction.push(writes::put(comments, item));
    // One who repeats a request must not get a second comment, nor the first one back that they have deleted since.
    let known = transaction.push(writes::put_new(comments, leads));
    transaction.push(writes::add(comments, &count(post_id, author_id), 1));
    transaction.push(writes::put(comments, traces::item(author_id, post_id, now)));
    let parent = parent_id.map(|parent| transaction.push(count_reply(comments, &Thread::Of(post_id).item(parent), 1)));
    match transaction.commit(comments).await {
        Ok(()) => Ok(Creation::Created),
        Err(Error::Condition(failed)) if known.is_in(&failed) => Ok(Creation::Known),
        Err(Error::Condition(failed)) if parent.is_some_and(|parent| parent.is_in(&failed)) => Ok(Creation::NoParent),
        Err(error) => Err(error),
    }
}

/// Deletes a comment, and with it its replies. `by`: who does so and is to see at once that there is one less. `false`: it was not there
/// (any more).
///
/// What is left of it is removed when the tombstone's event is worked on ([`super::removal`]); it is there for nobody from now on.
pub async fn delete(comments: &Table, comment: CommentId, by: Option<UserId>, now: Time) -> Result<bool, Error> {
    settle(|| async move {
        let Some(found) = find(comments, comment).await? else { return Ok(Some(false)) };
        // A reply that has come or gone meanwhile would be counted wrongly: it is looked at again.
        match bury(comments, &found.comment, by, now).commit(comments).await {
            Ok(()) => Ok(Some(true)),
            Err(Error::Condition(_)) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}

/// The comment as it was read becomes a tombstone that speaks.
fn bury(comments: &Table, comment: &Comment, by: Option<UserId>, now: Time) -> Transaction {
    let &Comment { id, post_id, parent_id, author_id, reply_count, .. } = comment;
    let mut transaction = Transaction::default();
    let mut words = Item::new();
    outbox::speak(&mut words, What::CommentDeleted { comment_id: id, post_id, parent_id }, now);
    let mut word = |name: &str| words.remove(name).unwrap_or(AttributeValue::Null(true));
    transaction.push(writes::update(
        comments,
        &key(comment),
        "SET deleted_at = :now, event = :event, event_id = :event_id REMOVE author_id, mentions, #text",
        &format!("{ALIVE} AND reply_count = :replies"),
        [(":now", text(now.to_string())), (":event", word("event")), (":event_id", word("event_id")), (":replies", number(reply_count))],
    ));
    transaction.push(writes::put(comments, forgotten(id, now)));
    transaction.push(writes::add(comments, &count(post_id, author_id), -(1 + reply_count.cast_signed())));
    transaction.extend(by.map(|user| writes::put(comments, traces::item(user, post_id, now))));
    if let Some(parent) = parent_id {
        transaction.push(count_reply(comments, &Thread::Of(post_id).item(parent), -1));
    }
    transaction
}

/// The locator of a deleted comment leads nowhere, and says for a while that there was one.
fn forgotten(comment: CommentId, now: Time) -> Item {
    let mut item = locator(comment).item();
    item.insert("deleted_at".to_owned(), text(now.to_string()));
    item.insert("expires_at".to_owned(), number(now.plus(REMEMBERED).as_seconds()));
    item
}

/// A reply comes to a comment, or leaves it, which must be there.
fn count_reply(comments: &Table, parent: &Key, amount: i64) -> TransactWriteItem {
    writes::update(comments, parent, &format!("ADD reply_count :amount {HAS_SPOKEN}"), ALIVE, [(":amount", number(amount))])
}
