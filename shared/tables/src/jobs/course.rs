//! How far a job is, and when somebody looks after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tintype_core::{JobId, Time};

use super::UNFINISHED_SHARDS;

/// How often a job is driven on before it fails.
pub const MOST_DRIVES: u32 = 3;
/// How long whatever a job has begun may take without a word.
pub const PATIENCE: Duration = Duration::from_mins(10);

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
    pub(super) fn new(job: JobId, now: Time) -> Self {
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
