//! What the users service does by itself, told by its queue.

mod approvals;
mod avatar;
mod clock;
mod deletion;
mod export;
mod popular;
mod turning;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_buckets::Bucket;
use tintype_core::{Time, event::What};
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Key, Table, config, jobs, users};

/// What the function works with.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) users: Table,
    /// Read for exports, and for nothing else.
    pub(crate) posts: Table,
    /// Likewise.
    pub(crate) comments: Table,
    /// Claims and limits of a person who is deleted.
    pub(crate) edge: Table,
    pub(crate) uploads: Bucket,
    pub(crate) media: Bucket,
    pub(crate) exports: Bucket,
    /// Where a deletion tells who keeps timelines.
    pub(crate) feed_fanout_queue: Sender,
    /// Where it tells who keeps what people were told.
    pub(crate) notification_queue: Sender,
    /// Where it tells who keeps comments.
    pub(crate) comments_queue: Sender,
    /// Where it tells who keeps posts.
    pub(crate) posts_queue: Sender,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let buckets = tintype_buckets::client(&aws);
    let stores = Stores {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        comments: Table::from_env(&client, "COMMENTS_TABLE")?,
        edge: Table::from_env(&client, "EDGE_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
        exports: Bucket::from_env(&buckets, "EXPORTS_BUCKET")?,
        feed_fanout_queue: Sender::from_env(&aws, "FEED_FANOUT_QUEUE_URL")?,
        notification_queue: Sender::from_env(&aws, "NOTIFICATION_QUEUE_URL")?,
        comments_queue: Sender::from_env(&aws, "COMMENTS_QUEUE_URL")?,
        posts_queue: Sender::from_env(&aws, "POSTS_QUEUE_URL")?,
    };
    let dead_letters = DeadLetters::from_env(&aws, "USERS_DLQ_URL")?;
    tintype_queues::serve("users-worker", dead_letters, async |what| process(&stores, what).await).await
}

async fn process(stores: &Stores, what: What) -> Result<(), Failure> {
    match what {
        // How many the follower follows matters to nobody else.
        What::FollowChanged { followee_id, .. } => popular::note(&stores.users, followee_id).await?,
        What::PrivacyChanged { user_id, .. } => turning::begin(stores, user_id).await?,
        What::MediaMoved { user_id, job_id, after, next, has_failed } => {
            turning::moved(stores, user_id, job_id, after, next, has_failed).await?;
        }
        What::AccountDeleted { job_id, .. } => deletion::go_on(stores, job_id).await?,
        What::DataRemoved { job_id, service, next, .. } => deletion::reported(stores, job_id, service, next).await?,
        What::ExportRequested { user_id, job_id } => export::run(stores, user_id, job_id).await?,
        What::AvatarReady { user_id, media_id } => avatar::ready(stores, user_id, &media_id).await?,
        What::AvatarFailed { user_id, media_id, code, detail } => avatar::failed(stores, user_id, &media_id, code, detail).await?,
        What::JobOverdue { pk, sk } => overdue(stores, &pk, &sk).await?,
        other => return Err(Failure::ForEver(format!("the users service does not follow {}", other.kind()))),
    }
    Ok(())
}

/// How long a job that can't be read is let be.
const UNREADABLE: Duration = Duration::from_hours(1);

/// A job is known by its key.
async fn overdue(stores: &Stores, pk: &str, sk: &str) -> Result<(), Failure> {
    if let Some(id) = pk.strip_prefix("DELETION#").and_then(|id| id.parse().ok()) {
        return deletion::overdue(stores, id).await;
    }
    if let (Some(Ok(user_id)), users::TURNING) = (pk.strip_prefix("USER#").map(str::parse), sk) {
        return turning::overdue(stores, user_id).await;
    }
    let export = (pk.strip_prefix("USER#"), sk.strip_prefix(users::EXPORTS));
    if let (Some(Ok(user_id)), Some(Ok(job_id))) = (export.0.map(str::parse), export.1.map(str::parse)) {
        return export::overdue(stores, user_id, job_id).await;
    }
    Err(Failure::ForEver(format!("no job is at {pk}, {sk}")))
}

/// What came of driving a job on. One whose item can't be read would be met again by each round of the janitor's: it is let be for a
/// while, and the message lies with the dead letters.
pub(crate) async fn readable<T>(stores: &Stores, key: &Key, result: Result<T, tintype_tables::Error>) -> Result<T, Failure> {
    match result {
        Err(error @ tintype_tables::Error::Shape(_)) => {
            jobs::put_off(&stores.users, key, Time::now().plus(UNREADABLE)).await?;
            Err(Failure::ForEver(format!("the job at {}, {}: {error}", key.pk, key.sk)))
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
