//! Keeps timelines: writes a new post into those of its author's followers, and mends one when a follow changes.
//!
//! Messages come at least once and in any order. An entry written twice is one entry, under one key; what a message asks for is
//! always judged by the follows as they stand, read consistently.

mod fanout;
mod message;
mod reconcile;
mod timeline;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::Client;
use futures::future::join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tintype_core::event::What;
use tintype_tables::{Table, config};
use tintype_telemetry::{self as telemetry, Outcome, Work};

use message::DeadLetters;

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
    let dead_letters = DeadLetters::from_env(&aws)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| {
        let (tables, dead_letters) = (&tables, &dead_letters);
        async move { Ok::<_, Error>(Box::pin(handle(tables, dead_letters, event.payload)).await) }
    }))
    .await
}

/// Works on all messages at once; those that failed for now are named, and come again.
async fn handle(tables: &Tables, dead_letters: &DeadLetters, event: SqsEvent) -> SqsBatchResponse {
    let results = join_all(event.records.iter().map(|message| observe(tables, dead_letters, message))).await;
    let mut answer = SqsBatchResponse::default();
    answer.batch_item_failures = results.into_iter().flatten().map(failure).collect();
    answer
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}

/// Works on one message; answers its id if it must come again.
async fn observe(tables: &Tables, dead_letters: &DeadLetters, message: &SqsMessage) -> Option<String> {
    let message_id = message.message_id.clone().unwrap_or_default();
    let work = Work {
        service: "feed-fanout",
        operation: "unread".to_owned(),
        request_id: message_id.clone(),
        trace_id: message.attributes.get("AWSTraceHeader").cloned().unwrap_or_default(),
    };
    let outcome = telemetry::observe(work, Box::pin(consume(tables, dead_letters, message)), |outcome| *outcome).await;
    (outcome == Outcome::Failed).then_some(message_id)
}

async fn consume(tables: &Tables, dead_letters: &DeadLetters, message: &SqsMessage) -> Outcome {
    let body = message.body.as_deref().unwrap_or_default();
    let result = match message::read(body) {
        Ok(What::PostPublished { post_id, author_id, published_at }) => {
            telemetry::operation("post.published");
            fanout::fan_out(tables, &fanout::NewPost { post_id, author_id, published_at }).await
        }
        Ok(What::FollowChanged { follower_id, followee_id }) => {
            telemetry::operation("follow.changed");
            reconcile::reconcile(tables, follower_id, followee_id).await
        }
        Ok(What::PostDeleted { .. }) => return dead_letters.bury(body, "timelines do not follow post.deleted").await,
        // It will never be readable: given back, it would only come again.
        Err(reason) => return dead_letters.bury(body, &reason).await,
    };
    match result {
        Ok(()) => Outcome::Ok,
        Err(error) => {
            telemetry::field("error", error.to_string());
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests;
