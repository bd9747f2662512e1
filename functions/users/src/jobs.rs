//! How jobs are shown.

use serde::Serialize;
use tintype_tables::jobs;
use utoipa::ToSchema;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// It will end by itself.
    Running,
    /// All is done.
    Done,
    /// It will not be: `failure` says why.
    Failed,
}

impl From<jobs::Status> for JobStatus {
    fn from(status: jobs::Status) -> Self {
        match status {
            jobs::Status::Running => Self::Running,
            jobs::Status::Done => Self::Done,
            jobs::Status::Failed => Self::Failed,
        }
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JobFailure {
    /// For programs.
    code: String,
    /// A sentence for the person.
    detail: String,
}

impl From<jobs::Failure> for JobFailure {
    fn from(failure: jobs::Failure) -> Self {
        Self { code: failure.code, detail: failure.detail }
    }
}
