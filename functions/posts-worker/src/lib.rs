//! What the posts service does by itself, told by its queue.

mod cdn;
mod places;
mod removal;

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_buckets::Bucket;
use tintype_core::event::What;
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Table, config};

use cdn::Cdn;

/// What the function works with.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Read for whether an account is private.
    pub(crate) users: Table,
    pub(crate) posts: Table,
    pub(crate) uploads: Bucket,
    pub(crate) media: Bucket,
    pub(crate) users_queue: Sender,
    pub(crate) cdn: Cdn,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let buckets = tintype_buckets::client(&aws);
    let stores = Stores {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
        users_queue: Sender::from_env(&aws, "USERS_QUEUE_URL")?,
        cdn: Cdn::from_env(&aws),
    };
    let dead_letters = DeadLetters::from_env(&aws, "POSTS_DLQ_URL")?;
    tintype_queues::serve("posts-worker", dead_letters, async |what| process(&stores, what).await).await
}

async fn process(stores: &Stores, what: What) -> Result<(), Failure> {
    match what {
        What::PostPublished { post_id, author_id, .. } => places::of_post(stores, author_id, post_id).await,
        What::PrivacyChanged { user_id, job_id: Some(job_id), after } => places::of_account(stores, user_id, job_id, after).await,
        What::AccountDeleted { user_id, job_id, .. } => removal::remove_all(stores, user_id, job_id).await,
        other => Err(Failure::ForEver(format!("posts do not follow {}", other.kind()))),
    }
}
