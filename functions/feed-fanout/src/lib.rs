//! Keeps timelines: writes a new post into those of its author's followers, and mends one when a follow changes.
//!
//! Messages come at least once and in any order. An entry written twice is one entry, under one key; what a message asks for is
//! always judged by the follows as they stand, read consistently.

mod fanout;
mod people;
mod reconcile;
mod removal;
mod timeline;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_core::event::What;
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Table, config};

/// How long the removal of a person goes on before it lets the job know where it is: the function has 60 s.
const REMOVAL: Duration = Duration::from_secs(30);

/// What the function works with.
#[derive(Clone)]
struct Tables {
    users: Table,
    posts: Table,
    feeds: Table,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let tables = Tables {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        feeds: Table::from_env(&client, "FEEDS_TABLE")?,
    };
    let users_queue = Sender::from_env(&aws, "USERS_QUEUE_URL")?;
    let dead_letters = DeadLetters::from_env(&aws, "FEED_FANOUT_DLQ_URL")?;
    tintype_queues::serve("feed-fanout", dead_letters, async |what| process(&tables, &users_queue, what).await).await
}

async fn process(tables: &Tables, users_queue: &Sender, what: What) -> Result<(), Failure> {
    match what {
        What::PostPublished { post_id, author_id, published_at } => {
            fanout::fan_out(tables, &fanout::NewPost { post_id, author_id, published_at }).await?;
        }
        What::FollowChanged { follower_id, followee_id, .. } => reconcile::reconcile(tables, follower_id, followee_id).await?,
        What::BlockChanged { blocker_id, blocked_id } => {
            reconcile::reconcile(tables, blocker_id, blocked_id).await?;
            reconcile::reconcile(tables, blocked_id, blocker_id).await?;
        }
        What::AccountDeleted { user_id, job_id, after } => {
            let next = removal::remove(tables, user_id, after, Instant::now() + REMOVAL).await?;
            users_queue.send(What::DataRemoved { user_id, job_id, service: "feed-fanout".to_owned(), next }).await?;
        }
        other => return Err(Failure::ForEver(format!("timelines do not follow {}", other.kind()))),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
