//! Carries what items say from the tables' streams to the queues.
//!
//! It knows no table's schema: an item that speaks has `event_id` and `event`, and the mapping's filter lets no other pass.
//! A record whose `event_id` is the old image's repeats what was said before and is passed over.

mod outgoing;

use std::collections::HashSet;

use aws_lambda_events::{
    dynamodb::{Event as StreamEvent, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use tintype_telemetry::{self as telemetry, Outcome, Work};

use outgoing::{Outgoing, Queues};

/// What every item that speaks has, whatever else it has.
#[derive(Deserialize)]
struct Spoken {
    event_id: Option<String>,
    event: Option<String>,
}

/// All that the router reads of an event: the rest is the consumers'.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    trace_id: String,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let queues = Queues::from_env().await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<StreamEvent>| {
        let queues = &queues;
        async move { Ok::<_, Error>(Box::pin(handle(queues, event)).await) }
    }))
    .await
}

async fn handle(queues: &Queues, event: LambdaEvent<StreamEvent>) -> DynamoDbEventResponse {
    let work = Work {
        service: "event-router",
        operation: "stream".to_owned(),
        request_id: event.context.request_id,
        trace_id: event.context.xray_trace_id.unwrap_or_default(),
    };
    let outcome = |unsent: &HashSet<String>| if unsent.is_empty() { Outcome::Ok } else { Outcome::Failed };
    let unsent = telemetry::observe(work, forward(queues, &event.payload.records), outcome).await;
    let mut answer = DynamoDbEventResponse::default();
    answer.batch_item_failures = unsent.into_iter().map(failure).collect();
    answer
}

fn failure(sequence_number: String) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = Some(sequence_number);
    failure
}

/// Sends what the records say; answers the sequence numbers of those that could not be sent. Lambda goes on from the lowest.
async fn forward(queues: &Queues, records: &[EventRecord]) -> HashSet<String> {
    let outgoing: Vec<Outgoing> = records.iter().flat_map(what_to_send).collect();
    telemetry::field("stream.records", records.len());
    telemetry::field("stream.forwarded", outgoing.len());
    queues.send(outgoing).await
}

fn what_to_send(record: &EventRecord) -> Vec<Outgoing> {
    let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
    let spoken = |image: &serde_dynamo::Item| serde_dynamo::from_item::<_, Spoken>(image.clone());
    let (now, before) = match (spoken(&record.change.new_image), spoken(&record.change.old_image)) {
        (Ok(now), Ok(before)) => (now, before),
        (Err(error), _) | (_, Err(error)) => return vec![Outgoing::dead(sequence_number, String::new(), format!("not an event: {error}"))],
    };
    if now.event_id.is_none() || now.event_id == before.event_id {
        return Vec::new();
    }
    let event = now.event.unwrap_or_default();
    match serde_json::from_str::<Envelope>(&event) {
        Ok(envelope) => Outgoing::to_all(&sequence_number, &event, &envelope.kind, &envelope.trace_id),
        Err(error) => vec![Outgoing::dead(sequence_number, event, format!("not an event: {error}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outgoing::Destination;

    fn records(name: &str) -> Vec<EventRecord> {
        let path = format!("{}/../../events/event-router/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: StreamEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        event.records
    }

    #[test]
    fn a_published_post_goes_to_all_whom_it_concerns_with_its_trace() {
        let [record] = records("post-published").try_into().unwrap();
        let sent = what_to_send(&record);
        assert_eq!(
            sent.iter().map(|event| &event.destination).collect::<Vec<_>>(),
            [&Destination::FeedFanout, &Destination::Notification, &Destination::Posts]
        );
        for event in sent {
            assert_eq!(event.trace_id, "Root=1-691f0f2a-5f1c2d3e4f5a6b7c8d9e0f1a");
            assert!(event.body.contains(r#""type":"post.published""#), "{}", event.body);
        }
    }

    // Two who were told at once would each do their part, but the job would know of one.
    #[test]
    fn what_a_job_is_about_goes_to_who_has_the_jobs_alone() {
        for kind in ["privacy.changed", "account.deleted", "export.requested"] {
            let sent = Outgoing::to_all("1", "{}", kind, "");
            assert_eq!(sent.iter().map(|event| &event.destination).collect::<Vec<_>>(), [&Destination::Users], "{kind}");
        }
    }

    #[test]
    fn what_was_told_of_something_that_is_gone_is_looked_for_once_more() {
        for kind in ["post.deleted", "comment.deleted"] {
            let sent = Outgoing::to_all("1", "{}", kind, "");
            let destinations: Vec<_> = sent.iter().map(|event| &event.destination).collect();
            assert_eq!(destinations, [&Destination::Comments, &Destination::Notification, &Destination::NotificationLater], "{kind}");
        }
    }

    #[test]
    fn a_write_that_repeats_an_event_id_says_nothing_new() {
        let [mut record] = records("post-published").try_into().unwrap();
        record.change.old_image = record.change.new_image.clone();
        assert!(what_to_send(&record).is_empty());
    }

    #[test]
    fn an_unknown_or_unreadable_event_goes_to_the_dead_letters_with_its_reason() {
        let [unknown, unreadable] = records("unroutable").try_into().unwrap();
        let mut wordless = unreadable.clone();
        wordless.change.new_image = serde_dynamo::to_item(serde_json::json!({"event_id": "1"})).unwrap();
        let dead = |record| match what_to_send(record).pop().map(|event| event.destination) {
            Some(Destination::DeadLetters { reason }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(dead(&unknown), "no queue is for events of type post.painted");
        assert!(dead(&unreadable).starts_with("not an event: "));
        assert!(dead(&wordless).starts_with("not an event: "));
    }
}
