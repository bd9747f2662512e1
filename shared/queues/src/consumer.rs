//! Working on the messages of a batch, each with its own log line and its own end.

use std::fmt::Display;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tintype_core::event::{Event, VERSION, What};
use tintype_telemetry::{self as telemetry, Outcome, Work};

use crate::DeadLetters;

/// Why an event could not be processed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may pass: the message comes again.
    ForNow(String),
    /// It never will: the message is buried with this reason.
    ForEver(String),
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::ForNow(error.to_string())
    }
}

/// Runs `service`, which does `work` for each event, until its environment ends.
pub async fn serve(service: &'static str, dead_letters: DeadLetters, work: impl AsyncFn(What) -> Result<(), Failure>) -> Result<(), Error> {
    let (dead_letters, work) = (&dead_letters, &work);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(Box::pin(consume(service, dead_letters, work, event.payload)).await)
    }))
    .await
}

/// Works on all messages at once; those that failed for now are named, and come again.
pub async fn consume(
    service: &'static str,
    dead_letters: &DeadLetters,
    work: &impl AsyncFn(What) -> Result<(), Failure>,
    event: SqsEvent,
) -> SqsBatchResponse {
    let results = join_all(event.records.iter().map(|message| observe(service, dead_letters, work, message))).await;
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
async fn observe(
    service: &'static str,
    dead_letters: &DeadLetters,
    work: &impl AsyncFn(What) -> Result<(), Failure>,
    message: &SqsMessage,
) -> Option<String> {
    let message_id = message.message_id.clone().unwrap_or_default();
    let line = Work {
        service,
        operation: "unread".to_owned(),
        request_id: message_id.clone(),
        trace_id: message.attributes.get("AWSTraceHeader").cloned().unwrap_or_default(),
    };
    let outcome = telemetry::observe(line, Box::pin(process(dead_letters, work, message)), |outcome| *outcome).await;
    (outcome == Outcome::Failed).then_some(message_id)
}

async fn process(dead_letters: &DeadLetters, work: &impl AsyncFn(What) -> Result<(), Failure>, message: &SqsMessage) -> Outcome {
    let body = message.body.as_deref().unwrap_or_default();
    let result = match read(body) {
        Ok(what) => {
            telemetry::operation(what.kind());
            work(what).await
        }
        // It will never be readable: given back, it would only come again.
        Err(reason) => Err(Failure::ForEver(reason)),
    };
    match result {
        Ok(()) => Outcome::Ok,
        Err(Failure::ForNow(error)) => {
            telemetry::field("error", error);
            Outcome::Failed
        }
        Err(Failure::ForEver(reason)) => dead_letters.bury(body, &reason).await,
    }
}

/// What a message's body says, or why it can't be understood.
fn read(body: &str) -> Result<What, String> {
    let event: Event = serde_json::from_str(body).map_err(|error| format!("not an event: {error}"))?;
    if event.version != VERSION {
        return Err(format!("version {} of {} is not known", event.version, event.id));
    }
    Ok(event.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(name: &str) -> Vec<String> {
        let path = format!("{}/../../events/feed-fanout/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: SqsEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        event.records.into_iter().map(|message| message.body.unwrap()).collect()
    }

    #[test]
    fn events_are_read() {
        let [published, follow] = bodies("post-published-and-follow").try_into().unwrap();
        assert!(matches!(read(&published), Ok(What::PostPublished { .. })));
        assert!(matches!(read(&follow), Ok(What::FollowChanged { .. })));
    }

    #[test]
    fn what_can_never_be_read_says_why() {
        let [newer, unknown, nonsense] = bodies("poison").try_into().unwrap();
        assert_eq!(read(&newer).unwrap_err(), "version 2 of 0193a1f0-0000-7000-8000-0000000000e3 is not known");
        assert!(read(&unknown).unwrap_err().starts_with("not an event: unknown variant `post.painted`"));
        assert!(read(&nonsense).unwrap_err().starts_with("not an event: "));
    }
}
