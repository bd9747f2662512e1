//! Working on the messages of a batch, each with its own log line and its own end.

use std::{
    fmt::Display,
    time::{Duration, Instant, SystemTime},
};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tintype_core::event::{Event, VERSION, What};
use tintype_telemetry::{self as telemetry, Outcome, Work};

use crate::DeadLetters;

/// How often an event is tried in one delivery.
const TRIES: usize = 3;
/// From one try to the next, and up to half as much again: an open breaker has its next probe before that
/// ([`tintype_resilience`]).
const PAUSE: Duration = Duration::from_secs(2);

/// Why an event could not be processed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may pass: it is tried again soon, and if there is no time for that the message comes again.
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
        let last_try = last_try(event.context.deadline());
        Ok::<_, Error>(Box::pin(consume(service, dead_letters, work, event.payload, last_try)).await)
    }))
    .await
}

/// A third of an invocation's time is for tries; two are left for the last of them to end in.
fn last_try(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or_default() / 3
}

/// Works on all messages at once; those that failed for now are named, and come again. No try begins after `last_try` but the first.
pub async fn consume(
    service: &'static str,
    dead_letters: &DeadLetters,
    work: &impl AsyncFn(What) -> Result<(), Failure>,
    event: SqsEvent,
    last_try: Instant,
) -> SqsBatchResponse {
    let results = join_all(event.records.iter().map(|message| observe(service, dead_letters, work, message, last_try))).await;
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
    last_try: Instant,
) -> Option<String> {
    let message_id = message.message_id.clone().unwrap_or_default();
    let line = Work {
        service,
        operation: "unread".to_owned(),
        request_id: message_id.clone(),
        trace_id: message.attributes.get("AWSTraceHeader").cloned().unwrap_or_default(),
    };
    let outcome = telemetry::observe(line, Box::pin(process(dead_letters, work, message, last_try)), |outcome| *outcome).await;
    (outcome == Outcome::Failed).then_some(message_id)
}

async fn process(
    dead_letters: &DeadLetters,
    work: &impl AsyncFn(What) -> Result<(), Failure>,
    message: &SqsMessage,
    last_try: Instant,
) -> Outcome {
    let body = message.body.as_deref().unwrap_or_default();
    let result = match read(body) {
        Ok(what) => {
            telemetry::operation(what.kind());
            persist(work, what, last_try).await
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

/// What fails for now is over in seconds, mostly: the queue would give the message back after minutes.
async fn persist(work: &impl AsyncFn(What) -> Result<(), Failure>, what: What, last_try: Instant) -> Result<(), Failure> {
    for tries in 1..TRIES {
        let pause = PAUSE.mul_f64(1.0 + fastrand::f64() / 2.0);
        match work(what.clone()).await {
            Err(Failure::ForNow(error)) if Instant::now() + pause < last_try => {
                telemetry::field("tries.failed", tries);
                telemetry::field("tries.error", error);
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
    work(what).await
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
    use std::cell::Cell;

    /// What [`persist`] makes of work that fails for now so many times, and how often it was done.
    async fn persisted(failures: u32, last_try: Duration) -> (Result<(), Failure>, u32) {
        let done = Cell::new(0);
        let work = async |_| {
            done.set(done.get() + 1);
            if done.get() > failures { Ok(()) } else { Err(Failure::ForNow("a breaker is open".to_owned())) }
        };
        (persist(&work, what(), Instant::now() + last_try).await, done.get())
    }

    #[tokio::test]
    async fn what_fails_for_now_is_tried_again_while_there_is_time() {
        let minute = Duration::from_mins(1);
        let (once, ever, late) = tokio::join!(persisted(1, minute), persisted(9, minute), persisted(1, PAUSE / 2));
        assert_eq!(once, (Ok(()), 2));
        assert_eq!(ever, (Err(Failure::ForNow("a breaker is open".to_owned())), 3));
        assert_eq!(late, (Err(Failure::ForNow("a breaker is open".to_owned())), 1));
    }

    #[tokio::test]
    async fn what_fails_for_ever_is_not_tried_again() {
        let done = Cell::new(0);
        let work = async |_| {
            done.set(done.get() + 1);
            Err(Failure::ForEver("nonsense".to_owned()))
        };
        let result = persist(&work, what(), Instant::now() + Duration::from_mins(1)).await;
        assert_eq!((result, done.get()), (Err(Failure::ForEver("nonsense".to_owned())), 1));
    }

    fn what() -> What {
        let [published, _] = bodies("post-published-and-follow").try_into().unwrap();
        read(&published).unwrap()
    }

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
