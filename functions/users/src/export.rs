//! Taking it all along: `POST /me/export`, and where the archive is.
//!
//! One at a time: a lock beside the job's item names the one that runs, and goes in the transaction that ends the job. The archive itself
//! is made by `functions/users-worker`.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tintype_core::{JobId, Time, UserId, event::What};
use tintype_edge::{Made, Once, PathId, Problem, ProblemBody, REPLAYED, Viewer, responses};
use tintype_tables::{
    Error, Table,
    jobs::{self, Export},
    outbox,
    table::text,
    users,
    writes::{self, Transaction},
};
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::{
    App,
    jobs::{JobFailure, JobStatus},
};

/// How long a link to an archive is good for; each answer has a new one.
const LINK_LIFETIME: Duration = Duration::from_mins(5);

/// An archive of all that the viewer has made.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportView {
    id: JobId,
    status: JobStatus,
    requested_at: Time,
    /// When it was done, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Time>,
    /// When the archive is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// The archive's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Where the archive, a tar file, can be fetched for five minutes, by whoever has this; only with status `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Only with status `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JobFailure>,
}

impl ExportView {
    fn new(job: Export, url: Option<String>) -> Self {
        let Export { id, course, bytes, .. } = job;
        Self {
            id,
            status: course.status.into(),
            requested_at: course.requested_at,
            finished_at: course.finished_at,
            expires_at: course.expires_at.and_then(Time::from_seconds),
            bytes,
            url,
            failure: course.failure.map(Into::into),
        }
    }
}

/// Asks for an archive of all that the viewer has made: what they have told, and their photographs.
///
/// One is made at a time; it can be fetched for a week.
#[utoipa::path(
    post,
    path = "/me/export",
    tag = "accounts",
    params(tintype_edge::IdempotencyKey),
    security(("access_token" = [])),
    responses(
        (status = 202, description = "It is being made", body = ExportView, headers(("Location" = String, description = "Where it will be"))),
        (status = 409, description = "`export-running`: another one is being made; `detail` says which", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Idempotent,
    )
)]
pub(crate) async fn request(State(app): State<App>, Viewer(viewer): Viewer, once: Once) -> Result<Response, Problem> {
    let (user, now) = (viewer.user_id, Time::now());
    let made = once.make(user, JobId::new(), StatusCode::ACCEPTED, async |id| begin(&app.users, Export::new(id, user, now), now).await);
    match made.await? {
        Made::Now(job) => {
            telemetry::field("job.id", job.id.to_string());
            Ok(accepted(StatusCode::ACCEPTED, job).into_response())
        }
        Made::Before { id, status } => {
            let job = read(&app.users, user, id).await?;
            Ok(([REPLAYED], accepted(status, job)).into_response())
        }
    }
}

fn accepted(status: StatusCode, job: Export) -> impl IntoResponse {
    let location = format!("/v1/me/export/{}", job.id);
    (status, [(header::LOCATION, location)], Json(ExportView::new(job, None)))
}

/// Writes the job, if there is none that runs. If it is itself the one that runs, an earlier attempt has written it.
async fn begin(users: &Table, job: Export, now: Time) -> Result<Export, Problem> {
    let mut item = jobs::item(&job)?;
    outbox::speak(&mut item, What::ExportRequested { user_id: job.user_id, job_id: job.id }, now);
    let mut lock = users::exporting(job.user_id).item();
    lock.insert("job_id".to_owned(), text(job.id.to_string()));
    let mut transaction = Transaction::default();
    transaction.push(writes::put_new(users, lock));
    transaction.push(writes::put_new(users, item));
    match transaction.commit(users).await {
        Ok(()) => Ok(job),
        Err(Error::Condition(_)) => match find(users, job.user_id, job.id).await? {
            Some(job) => Ok(job),
            None => Err(is_running(users, job.user_id).await?),
        },
        Err(error) => Err(error.into()),
    }
}

async fn is_running(users: &Table, user: UserId) -> Result<Problem, Error> {
    let lock: Option<users::Exporting> = users.get(&users::exporting(user), true).await?;
    let which = lock.map_or_else(String::new, |lock| format!(": /v1/me/export/{}", lock.job_id));
    Ok(Problem::conflict("export-running", format!("An archive is being made already{which}.")))
}

async fn find(users: &Table, user: UserId, id: JobId) -> Result<Option<Export>, Error> {
    let job: Option<Export> = users.get(&users::export(user, id), true).await?;
    // What has expired goes in the table's own time.
    Ok(job.filter(|job| job.course.expires_at.is_none_or(|at| at > Time::now().as_seconds())))
}

async fn read(users: &Table, user: UserId, id: JobId) -> Result<Export, Problem> {
    find(users, user, id).await?.ok_or_else(Problem::not_found)
}

/// How far an archive is, and where it can be fetched.
#[utoipa::path(
    get,
    path = "/me/export/{export_id}",
    tag = "accounts",
    params(("export_id" = JobId, Path, description = "The export")),
    security(("access_token" = [])),
    responses((status = 200, description = "How far it is", body = ExportView), responses::Authenticated, responses::Lookup)
)]
pub(crate) async fn status(State(app): State<App>, Viewer(viewer): Viewer, PathId(id): PathId<JobId>) -> Result<Response, Problem> {
    let job = read(&app.users, viewer.user_id, id).await?;
    let url = match job.course.status {
        jobs::Status::Done => Some(app.exports.presign_get(&job.object(), LINK_LIFETIME).await.map_err(Problem::unavailable)?),
        jobs::Status::Running | jobs::Status::Failed => None,
    };
    Ok(Json(ExportView::new(job, url)).into_response())
}
