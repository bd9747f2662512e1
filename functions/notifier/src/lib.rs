//! Tells people what others have done that concerns them, and takes it back when it is gone.
//!
//! Messages come at least once and in any order. None is believed: it says where to look, and what is told is decided by how things stand
//! then ([`verdict`]), read consistently. After it was told they are looked at again, so that whoever deletes, blocks or mutes beside it
//! is seen either by that look or by the message of what they did ([`delivery`]).
//!
//! Web push and e-mail would begin where [`delivery`] has told somebody something new; docs/ARCHITECTURE.md says how.

mod delivery;
mod gone;
mod notices;
mod removal;
mod turns;
mod verdict;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use lambda_runtime::Error;
use tintype_core::event::What;
use tintype_queues::{DeadLetters, Failure, Sender};
use tintype_tables::{Table, config};

use turns::Turns;

/// How long what is gone is taken back before the rest is left to the next attempt: the function has 30 s, and what was begun is finished.
const ATTEMPT: Duration = Duration::from_secs(15);

/// What the function works with.
pub(crate) struct Stores {
    pub(crate) users: Table,
    pub(crate) posts: Table,
    pub(crate) comments: Table,
    pub(crate) notifications: Table,
    /// Who writes to which inbox.
    pub(crate) turns: Turns,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let stores = Stores {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        comments: Table::from_env(&client, "COMMENTS_TABLE")?,
        notifications: Table::from_env(&client, "NOTIFICATIONS_TABLE")?,
        turns: Turns::default(),
    };
    let users_queue = Sender::from_env(&aws, "USERS_QUEUE_URL")?;
    let dead_letters = DeadLetters::from_env(&aws, "NOTIFICATION_DLQ_URL")?;
    tintype_queues::serve("notifier", dead_letters, async |what| process(&stores, &users_queue, what).await).await
}

async fn process(stores: &Stores, users_queue: &Sender, what: What) -> Result<(), Failure> {
    work(stores, users_queue, what, Instant::now() + ATTEMPT).await
}

async fn work(stores: &Stores, users_queue: &Sender, what: What, up: Instant) -> Result<(), Failure> {
    match what {
        What::PostDeleted { post_id, .. } => gone::post(stores, post_id, up).await?.or_again()?,
        What::CommentDeleted { comment_id, post_id, parent_id } => {
            gone::comment(stores, post_id, comment_id, parent_id, up).await?.or_again()?;
        }
        What::BlockChanged { blocker_id, blocked_id } => gone::block(stores, blocker_id, blocked_id, up).await?.or_again()?,
        What::MuteChanged { muter_id, muted_id } => gone::mute(stores, muter_id, muted_id, up).await?.or_again()?,
        What::AccountDeleted { user_id, job_id, after } => {
            let next = removal::remove(stores, user_id, after, up).await?;
            users_queue.send(What::DataRemoved { user_id, job_id, service: "notifier".to_owned(), next }).await?;
        }
        what => {
            let kind = what.kind();
            let Some(notices) = notices::of(stores, what, up).await? else {
                return Err(Failure::ForEver(format!("nobody is notified of {kind}")));
            };
            for notice in &notices {
                delivery::deliver(stores, notice).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
