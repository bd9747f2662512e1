//! What the users service does by itself, told by its queue.

mod approvals;
mod avatar;
mod clock;
mod deletion;
mod export;
mod popular;

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_buckets::Bucket;
use tintype_core::event::What;
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Table, config, users};

/// What the function works with.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) users: Table,
    /// Read for exports, and for nothing else.
    pub(crate) posts: Table,
    /// Claims and limits of a person who is deleted.
    pub(crate) edge: Table,
    pub(crate) uploads: Bucket,
    pub(crate) media: Bucket,
    pub(crate) exports: Bucket,
    /// Where a deletion tells who keeps timelines.
    pub(crate) feed_fanout_queue: Sender,
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
        edge: Table::from_env(&client, "EDGE_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
        exports: Bucket::from_env(&buckets, "EXPORTS_BUCKET")?,
        feed_fanout_queue: Sender::from_env(&aws, "FEED_FANOUT_QUEUE_URL")?,
        posts_queue: Sender::from_env(&aws, "POSTS_QUEUE_URL")?,
    };
    let dead_letters = DeadLetters::from_env(&aws, "USERS_DLQ_URL")?;
    tintype_queues::serve("users-worker", dead_letters, async |what| process(&stores, what).await).await
}

async fn process(stores: &Stores, what: What) -> Result<(), Failure> {
    match what {
        // How many the follower follows matters to nobody else.
        What::FollowChanged { followee_id, .. } => popular::note(&stores.users, followee_id).await?,
        What::PrivacyChanged { user_id } => approvals::approve_all(&stores.users, user_id).await?,
        What::AccountDeleted { job_id, .. } => deletion::begin(stores, job_id).await?,
        What::DataRemoved { job_id, service, next, .. } => deletion::reported(stores, job_id, service, next).await?,
        What::ExportRequested { user_id, job_id } => export::run(stores, user_id, job_id).await?,
        What::AvatarReady { user_id, media_id } => avatar::ready(stores, user_id, &media_id).await?,
        What::AvatarFailed { user_id, media_id, code, detail } => avatar::failed(stores, user_id, &media_id, code, detail).await?,
        What::JobOverdue { pk, sk } => overdue(stores, &pk, &sk).await?,
        other => return Err(Failure::ForEver(format!("the users service does not follow {}", other.kind()))),
    }
    Ok(())
}

/// A job is known by its key.
async fn overdue(stores: &Stores, pk: &str, sk: &str) -> Result<(), Failure> {
    if let Some(id) = pk.strip_prefix("DELETION#").and_then(|id| id.parse().ok()) {
        return deletion::overdue(stores, id).await;
    }
    let export = (pk.strip_prefix("USER#"), sk.strip_prefix(users::EXPORTS));
    if let (Some(Ok(user_id)), Some(Ok(job_id))) = (export.0.map(str::parse), export.1.map(str::parse)) {
        return export::overdue(stores, user_id, job_id).await;
    }
    Err(Failure::ForEver(format!("no job is at {pk}, {sk}")))
}

#[cfg(test)]
mod tests;
