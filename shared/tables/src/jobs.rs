//! Jobs in the Users table: work that goes on after the answer, until it is done or has failed with a reason.
//!
//! A job's item is all there is of its state. It is in the index `ByDeadline` while it runs; whoever finds its deadline passed
//! sends `job.overdue`, and `users-worker` drives it on: three times in a row without any progress, then it fails. A job that only
//! waits for its time, or has used up an invocation's, says so (`is_planned`): going on then is no drive.
//!
//! A deletion that has failed keeps its item, has lost nothing, and lies in the dead-letter queue of `UsersQueue` as the message that
//! failed it: once the cause is mended, that message is redriven, and the job goes on where it stopped.

mod course;
mod deletion;
mod export;
mod turning;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::{Serialize, de::DeserializeOwned};
use tintype_core::Time;

use crate::{
    Error, Key, Table,
    table::{Item, back_off, failure, number, text, write_units},
    writes::OF_VERSION,
};

pub use course::{Course, Failure, MOST_DRIVES, Overdue, PATIENCE, Status};
pub use deletion::{DELETION_REMAINS, Deletion, Leaving};
pub use export::{Archive, EXPORT_LIFETIME, Export, LEASE, archives_of};
pub use turning::{TURNING_PATIENCE, Turning};

/// Partitions of the index of jobs.
pub const UNFINISHED_SHARDS: u8 = 4;

/// An item that is a job.
pub trait Job: Clone + Serialize + DeserializeOwned {
    /// Its place.
    fn key(&self) -> Key;
    /// How far it is.
    fn course(&mut self) -> &mut Course;
}

/// The item of a job.
pub fn item(job: &impl Job) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::to_item(job)?;
    item.extend(job.key().item());
    Ok(item)
}

/// Whoever writes the same job at the same moment.
const MOST_RIVALS: u32 = 20;

/// Reads, changes and writes a job until nobody else wrote in between; answers what it became. `apply` says whether it changed
/// anything. `None`: there is no such job.
pub async fn change<J: Job>(users: &Table, key: &Key, mut apply: impl FnMut(&mut J) -> bool) -> Result<Option<J>, Error> {
    for attempt in 0..MOST_RIVALS {
        let Some(mut job) = users.get::<J>(key, true).await? else { return Ok(None) };
        if !apply(&mut job) {
            return Ok(Some(job));
        }
        match save(users, &mut job).await {
            Err(Error::Condition(_) | Error::Conflict) => back_off(attempt.min(2)).await?,
            result => return result.map(|()| Some(job)),
        }
    }
    Err(Error::Conflict)
}

/// Writes a job in the place of what was read; [`Error::Condition`] if somebody else has written it since.
pub async fn save<J: Job>(users: &Table, job: &mut J) -> Result<(), Error> {
    let before = job.course().version;
    job.course().version += 1;
    let request = users
        .client
        .put_item()
        .table_name(&users.name)
        .set_item(Some(item(job)?))
        .condition_expression(OF_VERSION)
        .expression_attribute_values(":version", number(before))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    write_units(answer.consumed_capacity.as_slice());
    Ok(())
}

/// Lets a job be until `until` that can't be read: its item is left as it is. Nothing happens to one that has ended.
pub async fn put_off(users: &Table, key: &Key, until: Time) -> Result<(), Error> {
    let request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(key.item()))
        .update_expression("SET deadline = :until")
        .condition_expression("attribute_exists(unfinished)")
        .expression_attribute_values(":until", text(until.to_string()))
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

/// Jobs of one shard whose deadline has passed, most overdue first.
pub async fn overdue(users: &Table, shard: u8, now: Time, limit: usize) -> Result<Vec<Key>, Error> {
    let request = users
        .client
        .query()
        .table_name(&users.name)
        .index_name("ByDeadline")
        .key_condition_expression("unfinished = :shard AND deadline <= :now")
        .expression_attribute_values(":shard", text(shard.to_string()))
        .expression_attribute_values(":now", text(now.to_string()))
        .limit(i32::try_from(limit).unwrap_or(i32::MAX));
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    Ok(answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
