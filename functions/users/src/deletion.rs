//! Leaving: `DELETE /me`, and how far that is.
//!
//! One transaction takes the account and the profile away, and leaves a job. From then on nobody can log in, and the person is there for
//! nobody: no card, nothing shown. Their name and address stay taken until the job has removed all else, so that whoever has them next
//! finds nothing of somebody else's. What the job does stands in `functions/users-worker`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use tintype_core::{JobId, SessionId, Time, UserId, event::What};
use tintype_edge::{Body, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::{
    Error, Page, Table,
    jobs::{self, Deletion, Leaving},
    outbox,
    table::{Query, text},
    users::{self, Session},
    writes::{self, Transaction},
};
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::{
    App,
    accounts::{confirm::confirm, store::Account},
    caller::Caller,
    jobs::{JobFailure, JobStatus},
    profiles, sessions,
};

/// Sessions that are ended before the answer; the job ends the rest.
const SESSIONS_AT_ONCE: usize = 25;

/// Somebody who wants to leave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Farewell {
    /// Their own: whoever finds a telephone can't delete its owner.
    #[schema(example = "correct horse battery")]
    password: String,
}

/// How far the deletion of an account is.
#[derive(Serialize, ToSchema)]
#[schema(as = Deletion)]
pub(crate) struct DeletionView {
    /// Its id. Whoever knows it can read this.
    id: JobId,
    status: JobStatus,
    requested_at: Time,
    /// When it was done, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Time>,
    /// Only with status `failed`: nothing is lost, and it will be tried again once the cause is mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JobFailure>,
}

impl From<Deletion> for DeletionView {
    fn from(job: Deletion) -> Self {
        let Deletion { id, course, .. } = job;
        Self {
            id,
            status: course.status.into(),
            requested_at: course.requested_at,
            finished_at: course.finished_at,
            failure: course.failure.map(Into::into),
        }
    }
}

/// Deletes the viewer's account, and all that they have made.
///
/// With the answer it is gone for everybody, and its tokens end within a minute. Everything is then removed from where it is kept, which
/// takes some minutes; the username and the e-mail address are free again once that is done. If the answer gets lost, the same request
/// is answered again as long as the access token is believed.
#[utoipa::path(
    delete,
    path = "/me",
    tag = "accounts",
    request_body = Farewell,
    security(("access_token" = [])),
    responses(
        (status = 202, description = "It is being removed", body = DeletionView, headers(("Location" = String, description = "How far that is"))),
        (status = 403, description = "`wrong-password`", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::WithBody,
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    caller: Caller,
    Body(body): Body<Farewell>,
) -> Result<impl IntoResponse, Problem> {
    let id = id_of(viewer.session_id);
    telemetry::field("job.id", id.to_string());
    // Whoever did not get the answer asks again, as long as the token is believed; nobody could confirm a password any more.
    if let Some(job) = app.users.get::<Deletion>(&users::deletion(id), true).await? {
        return Ok(accepted(job));
    }
    let account = confirm(&app, viewer, &caller, &body.password).await?;
    let profile = profiles::store::read(&app.users, viewer.user_id).await?.ok_or_else(Problem::unauthorized)?;
    let now = Time::now();
    let leaving = Leaving { user_id: viewer.user_id, username: profile.card.username, email: account.email.clone() };
    let job = Deletion::new(id, leaving, now);
    begin(&app.users, viewer.user_id, &account, &job, now).await?;
    // Others end with the job's first step: the account is gone already, and must not look as if it were not.
    if let Err(error) = end_sessions(&app.users, viewer.user_id, now).await {
        telemetry::field("sessions.error", error.to_string());
    }
    Ok(accepted(job))
}

/// A session can end its account once: the same request again is about the same job.
fn id_of(session: SessionId) -> JobId {
    let hash = digest(&SHA256, format!("deletion {session}").as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_ref()[..16]);
    JobId::of(half)
}

fn accepted(job: Deletion) -> impl IntoResponse {
    let location = format!("/v1/deletions/{}", job.id);
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(DeletionView::from(job)))
}

/// The account as it was confirmed goes, and the job comes.
async fn begin(users: &Table, user: UserId, account: &Account, job: &Deletion, now: Time) -> Result<(), Problem> {
    let mut item = jobs::item(job)?;
    outbox::speak(&mut item, What::AccountDeleted { user_id: user, job_id: job.id, after: None }, now);
    let delete = Delete::builder()
        .table_name(&users.name)
        .set_key(Some(users::account(user).item()))
        .condition_expression("email = :email AND password_hash = :hash")
        .expression_attribute_values(":email", text(&account.email))
        .expression_attribute_values(":hash", text(&account.password_hash))
        .build()
        .expect("table and key are set");
    let mut transaction = Transaction::default();
    transaction.push(TransactWriteItem::builder().delete(delete).build());
    transaction.push(writes::delete_present(users, &users::profile(user)));
    transaction.push(writes::put_new(users, item));
    match transaction.commit(users).await {
        // Another request has deleted it, or given it another password or address: whoever asks again is told.
        Err(Error::Condition(_)) => Err(Problem::conflict("conflict", "The account has changed meanwhile; please try again.")),
        result => Ok(result?),
    }
}

async fn end_sessions(users: &Table, user: UserId, now: Time) -> Result<(), Error> {
    let page: Page<Session> = users
        .query(Query {
            pk: users::partition(user),
            prefix: Some(users::SESSIONS),
            after: None,
            descending: true,
            consistent: true,
            limit: SESSIONS_AT_ONCE,
        })
        .await?;
    for session in page.items {
        sessions::store::end(users, user, session.id, now).await?;
    }
    Ok(())
}

/// How far the deletion of an account is.
///
/// It can be read for 30 days after it has ended. It says nothing of whose account it was.
#[utoipa::path(
    get,
    path = "/deletions/{deletion_id}",
    tag = "accounts",
    params(("deletion_id" = JobId, Path, description = "The deletion")),
    responses((status = 200, description = "How far it is", body = DeletionView), responses::Lookup)
)]
pub(crate) async fn status(State(app): State<App>, PathId(id): PathId<JobId>) -> Result<Json<DeletionView>, Problem> {
    let job: Option<Deletion> = app.users.get(&users::deletion(id), true).await?;
    Ok(Json(job.ok_or_else(Problem::not_found)?.into()))
}
