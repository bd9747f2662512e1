//! What the comments service does by itself, told by its queue: whatever is left of comments that nobody sees any more is removed.
//!
//! Messages come at least once and in any order. What is to be removed is read from the table; what has been removed is the progress.
//! The queue delivers late (`CommentsQueue` in the template): whoever began to comment on a post before it was deleted has ended by then.

mod account;
mod removal;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_core::{Time, event::What};
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Table, comments, config};

use removal::Sweep;

/// How long it goes on before it lets itself, or a job, be told that there is more: the function has 60 s.
const TIME: Duration = Duration::from_secs(40);

/// What the function works with.
#[derive(Clone)]
pub(crate) struct Tables {
    /// Read for what a person has posted, and whether a post is there.
    pub(crate) posts: Table,
    pub(crate) comments: Table,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let tables = Tables { posts: Table::from_env(&client, "POSTS_TABLE")?, comments: Table::from_env(&client, "COMMENTS_TABLE")? };
    let users_queue = Sender::from_env(&aws, "USERS_QUEUE_URL")?;
    let dead_letters = DeadLetters::from_env(&aws, "COMMENTS_DLQ_URL")?;
    tintype_queues::serve("comments-worker", dead_letters, async |what| process(&tables, &users_queue, what).await).await
}

async fn process(tables: &Tables, users_queue: &Sender, what: What) -> Result<(), Failure> {
    let sweep = Sweep { comments: &tables.comments, up: Instant::now() + TIME };
    let now = Time::now();
    match what {
        What::CommentDeleted { comment_id, post_id, parent_id } => {
            if let Some(left) = removal::of_comment(&sweep, post_id, parent_id, comment_id).await? {
                comments::removal::remind_of_comment(&tables.comments, &left, now).await?;
            }
        }
        What::PostDeleted { post_id, author_id } => {
            if !removal::of_post(&sweep, &tables.posts, post_id).await? {
                comments::removal::remind_of_post(&tables.comments, post_id, author_id, now).await?;
            }
        }
        What::AccountDeleted { user_id, job_id, after } => {
            let next = account::remove(tables, &sweep, user_id, after).await?;
            users_queue.send(What::DataRemoved { user_id, job_id, service: "comments-worker".to_owned(), next }).await?;
        }
        other => return Err(Failure::ForEver(format!("comments do not follow {}", other.kind()))),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
