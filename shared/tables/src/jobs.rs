//! Jobs in the Users table: work that goes on after the answer, until it is done or has failed with a reason.
//!
//! A job's item is all there is of its state. It is in the index `ByDeadline` while it runs; whoever finds its deadline passed
//! sends `job.overdue`, and `users-worker` drives it on: three times in a row without any progress, then it fails. A job that only
//! waits for its time, or has used up an invocation's, says so (`is_planned`): going on then is no drive.
//!
//! A deletion that has failed keeps its item, has lost nothing, and lies in the dead-letter queue of `UsersQueue` as the message that
//! failed it: once the cause is mended, that message is redriven, and the job goes on where it stopped.

mod turning;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tintype_core::{JobId, Time, UserId, name::Username};

use crate::{
    Error, Key, Table,
    table::{Item, back_off, failure, number, text, write_units},
    users,
    writes::OF_VERSION,
};

pub use turning::{TURNING_PATIENCE, Turning};

/// How often a job is driven on before it fails.
pub const MOST_DRIVES: u32 = 3;
/// How long whatever a job has begun may take without a word.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// How long nobody else goes on with an export after somebody has: longer than an invocation can last.
pub const LEASE: Duration = Duration::from_secs(90);
/// How long the end of a deletion can be read.
pub const DELETION_REMAINS: Duration = Duration::from_hours(30 * 24);
/// How long an archive can be fetched, and the end of an export be read.
pub const EXPORT_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Partitions of the index of jobs.
pub const UNFINISHED_SHARDS: u8 = 4;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It will end by itself.
    Running,
    /// All is done.
    Done,
    /// It never will be: its failure says why.
    Failed,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable and kebab-case, for programs.
    pub code: String,
    /// A sentence for the person.
    pub detail: String,
}

/// What all jobs have: how far they are, and when somebody looks after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Where it stands.
    pub status: Status,
    /// When somebody wanted it.
    pub requested_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How often it was driven on since it last got on.
    pub drives: u32,
    /// It waits for its deadline, and for nothing else.
    pub is_planned: bool,
    /// Rises with every write: a write that is conditional on it changes what it has read.
    pub version: u64,
    /// Shard of the index of jobs; absent once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// When it is driven on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Seconds since 1970: when the item may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// What is to be done about a job whose time may be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Nothing: it has ended, or somebody has driven it on meanwhile.
    No,
    /// It goes on.
    Drive,
    /// It was driven on often enough.
    GiveUp,
}

impl Course {
    fn new(job: JobId, now: Time) -> Self {
        Self {
            status: Status::Running,
            requested_at: now,
            finished_at: None,
            failure: None,
            drives: 0,
            is_planned: false,
            version: 0,
            unfinished: Some(shard(job)),
            deadline: Some(now.plus(PATIENCE)),
            expires_at: None,
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    /// Whether there is nothing to do until its deadline.
    pub fn is_waiting(&self, now: Time) -> bool {
        self.is_planned && self.deadline.is_some_and(|deadline| deadline > now)
    }

    /// It has got on, and has until `deadline` to get on again.
    pub fn get_on(&mut self, deadline: Time) {
        (self.drives, self.is_planned, self.deadline) = (0, false, Some(deadline));
    }

    /// It has got on, and goes on at `deadline`.
    pub fn plan(&mut self, deadline: Time) {
        (self.drives, self.is_planned, self.deadline) = (0, true, Some(deadline));
    }

    /// Counts a drive if its time is up; it then has until `deadline`.
    pub fn drive(&mut self, deadline: Time, now: Time) -> Overdue {
        if !self.is_running() || self.deadline.is_none_or(|deadline| deadline > now) {
            return Overdue::No;
        }
        if self.drives >= MOST_DRIVES {
            return Overdue::GiveUp;
        }
        self.drives += u32::from(!self.is_planned);
        (self.is_planned, self.deadline) = (false, Some(deadline));
        Overdue::Drive
    }

    /// Nothing more happens to it by itself.
    pub fn end(&mut self, status: Status, now: Time) {
        (self.status, self.finished_at) = (status, Some(now));
        (self.unfinished, self.deadline, self.is_planned, self.drives) = (None, None, false, 0);
    }

    /// It has failed.
    pub fn fail(&mut self, code: &str, detail: &str, now: Time) {
        self.failure = Some(Failure { code: code.to_owned(), detail: detail.to_owned() });
        self.end(Status::Failed, now);
    }

    /// It has failed, and is to be tried once more after all.
    pub fn revive(&mut self, job: JobId, deadline: Time) {
        (self.status, self.finished_at, self.failure, self.unfinished) = (Status::Running, None, None, Some(shard(job)));
        self.get_on(deadline);
    }
}

fn shard(job: JobId) -> String {
    job.shard(UNFINISHED_SHARDS).to_string()
}

/// An item that is a job.
pub trait Job: Clone + Serialize + DeserializeOwned {
    /// Its place.
    fn key(&self) -> Key;
    /// How far it is.
    fn course(&mut self) -> &mut Course;
}

/// Who leaves, as long as the job needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The account.
    pub user_id: UserId,
    /// A name that is free again at the end.
    pub username: Username,
    /// An address that is free again at the end.
    pub email: String,
}

/// The deletion of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Its id, which is all that one must know to read its status.
    pub id: JobId,
    /// How far it is.
    #[serde(flatten)]
    pub course: Course,
    /// Who leaves; absent once they are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Nobody can log in, and from now on no token is young enough to be let in somewhere for long.
    pub has_ended_sessions: bool,
    /// The services that have nothing more of the person.
    pub removed: Vec<String>,
    /// Where those services go on that could not do it at once.
    pub cursors: BTreeMap<String, String>,
}

impl Deletion {
    /// The deletion of `leaving`'s account, from now on.
    pub fn new(id: JobId, leaving: Leaving, now: Time) -> Self {
        Self {
            id,
            course: Course::new(id, now),
            leaving: Some(leaving),
            has_ended_sessions: false,
            removed: Vec::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// They are gone, and so is what the job knew of them.
    pub fn finish(&mut self, now: Time) {
        self.leaving = None;
        self.cursors.clear();
        self.course.expires_at = Some(now.plus(DELETION_REMAINS).as_seconds());
        self.course.end(Status::Done, now);
    }
}

impl Job for Deletion {
    fn key(&self) -> Key {
        users::deletion(self.id)
    }

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }
}

/// How much of an archive is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Of the upload in parts.
    pub upload_id: String,
    /// What the bucket said of each part, in their order.
    pub etags: Vec<String>,
    /// Of all parts.
    pub bytes: u64,
    /// What comes next.
    pub cursor: String,
    /// The object with what the next part begins with, if the time was up before that was enough for a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
}

/// An archive of all that a person has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub user_id: UserId,
    /// How far it is.
    #[serde(flatten)]
    pub course: Course,
    /// Until when nobody but who has it works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased_until: Option<Time>,
    /// What there is while it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// The archive's size, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Export {
    /// An export that is wanted now.
    pub fn new(id: JobId, user_id: UserId, now: Time) -> Self {
        Self { id, user_id, course: Course::new(id, now), leased_until: None, archive: None, bytes: None }
    }

    /// Whether somebody works on it.
    pub fn is_leased(&self, now: Time) -> bool {
        self.leased_until.is_some_and(|until| until > now)
    }

    /// Somebody works on it from now on, or has got on and goes on. It is driven on once that is over.
    pub fn lease(&mut self, now: Time) {
        let until = now.plus(LEASE);
        (self.leased_until, self.course.deadline, self.course.is_planned) = (Some(until), Some(until), false);
    }

    /// There was no more time: whoever comes next goes on.
    pub fn release(&mut self, now: Time) {
        self.leased_until = None;
        self.course.plan(now);
    }

    /// The archive is there.
    pub fn finish(&mut self, bytes: u64, now: Time) {
        (self.archive, self.leased_until, self.bytes) = (None, None, Some(bytes));
        self.course.end(Status::Done, now);
        self.course.expires_at = Some(now.plus(EXPORT_LIFETIME).as_seconds());
    }

    /// There will be none.
    pub fn fail(&mut self, now: Time) {
        (self.archive, self.leased_until) = (None, None);
        self.course.fail("export-failed", "The archive could not be made. We tried several times; please ask for it again.", now);
        self.course.expires_at = Some(now.plus(EXPORT_LIFETIME).as_seconds());
    }

    /// The archive's key in the bucket.
    pub fn object(&self) -> String {
        format!("{}{}.tar", archives_of(self.user_id), self.id)
    }

    /// A key for what is put aside: another one after each write of the item, so that no two who work on it meet there.
    pub fn rest(&self) -> String {
        format!("{}{}.{}.rest", archives_of(self.user_id), self.id, self.course.version)
    }
}

impl Job for Export {
    fn key(&self) -> Key {
        users::export(self.user_id, self.id)
    }

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }
}

/// What the keys of a person's archives start with.
pub fn archives_of(user_id: UserId) -> String {
    format!("exports/{user_id}/")
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
