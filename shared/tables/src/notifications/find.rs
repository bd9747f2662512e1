//! Reading inboxes, and finding what is to be taken back.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use tintype_core::{
    PostId, Time, UserId,
    notification::{Inbox, LIFETIME, Note},
};

use super::{NOTES, by, inbox, mark_read, state_key, updated_at};
use crate::{
    Error, Key, Page, Table,
    table::{Query, failure, read_units, text},
};

/// Keys read at a time.
const PAGE: usize = 1000;

/// The state of an inbox as it stands now.
pub async fn state(table: &Table, recipient: UserId) -> Result<Inbox, Error> {
    Ok(table.get(&state_key(recipient), true).await?.unwrap_or_default())
}

/// How many notifications somebody has not read, as of about a second ago: half a read unit. Where some may have gone by themselves they
/// are counted, and the answer is kept: once for each that goes.
pub async fn unread(table: &Table, recipient: UserId, now: Time) -> Result<u64, Error> {
    let Some(state) = table.get::<Inbox>(&state_key(recipient), false).await? else { return Ok(0) };
    unread_of(table, recipient, &state, now).await
}

/// The same, of a state that was read already: it costs no more.
pub async fn unread_of(table: &Table, recipient: UserId, state: &Inbox, now: Time) -> Result<u64, Error> {
    match state.unread_since.filter(|since| now.since(*since) > LIFETIME) {
        Some(_) => mark_read(table, recipient, now.minus(LIFETIME)).await,
        None => Ok(state.unread),
    }
}

/// A page of somebody's notifications, newest first, as of now.
pub async fn page(table: &Table, recipient: UserId, after: Option<String>, limit: usize) -> Result<Page<Note>, Error> {
    table.query(Query { pk: inbox(recipient), prefix: Some(NOTES), after, descending: true, consistent: true, limit }).await
}

/// How many notifications were updated after this, and when the oldest of them was.
pub(super) async fn count_after(table: &Table, recipient: UserId, up_to: Time) -> Result<(u64, Option<Time>), Error> {
    // After all that were updated at that very time.
    let mut after = Some(format!("{NOTES}{up_to}#~"));
    let (mut count, mut oldest) = (0, None);
    loop {
        let query = Query { pk: inbox(recipient), prefix: Some(NOTES), after, descending: false, consistent: true, limit: PAGE };
        let page: Page<Key> = table.query(query).await?;
        count += page.items.len() as u64;
        oldest = oldest.or_else(|| page.items.first().and_then(|key| updated_at(&key.sk)));
        after = page.next;
        if after.is_none() {
            return Ok((count, oldest));
        }
    }
}

/// The causes of what somebody was told of `actor`, as of now.
pub async fn causes_by(table: &Table, recipient: UserId, actor: UserId) -> Result<Vec<String>, Error> {
    let prefix = by(Some(actor));
    let (mut causes, mut after) = (Vec::new(), None);
    loop {
        let query = Query { pk: inbox(recipient), prefix: Some(&prefix), after, descending: false, consistent: true, limit: PAGE };
        let page: Page<Key> = table.query(query).await?;
        causes.extend(page.items.into_iter().map(|key| key.sk));
        after = page.next;
        if after.is_none() {
            return Ok(causes);
        }
    }
}

/// Some of the causes that are about a post, or about a comment of it if `about` says so ([`super::about_comment`]), in whoever's inbox; and
/// where to go on. As of about a second ago.
pub async fn about(table: &Table, post: PostId, about: Option<&str>, after: Option<After>) -> Result<Found, Error> {
    let condition = if about.is_some() { "post_id = :of AND begins_with(about, :about)" } else { "post_id = :of" };
    let values = about.map(|about| (":about", text(about)));
    of_index(table, "ByPost", condition, [(":of", text(post.to_string()))].into_iter().chain(values), after).await
}

/// Some of the causes of what `actor` did, in whoever's inbox; and where to go on. As of about a second ago.
pub async fn by_actor(table: &Table, actor: UserId, after: Option<After>) -> Result<Found, Error> {
    of_index(table, "ByActor", "actor_id = :of", [(":of", text(actor.to_string()))], after).await
}

/// A place in an index.
pub type After = std::collections::HashMap<String, AttributeValue>;

/// Keys of causes, and the place in the index to go on from.
pub type Found = (Vec<Key>, Option<After>);

async fn of_index(
    table: &Table,
    index: &str,
    condition: &str,
    values: impl IntoIterator<Item = (&str, AttributeValue)>,
    after: Option<After>,
) -> Result<Found, Error> {
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(index)
        .key_condition_expression(condition)
        .set_expression_attribute_values(Some(values))
        .set_exclusive_start_key(after)
        .limit(i32::try_from(PAGE).unwrap_or(i32::MAX))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    let keys = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    Ok((keys, answer.last_evaluated_key))
}
