//! What an on-failure queue is told of an event that was given up, in Lambda's own shapes.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};
use tintype_cloud::sqs::{self, NewMessage, Queues};

use crate::invocation::InvokeError;

/// An invocation that was given up.
pub(crate) struct Failure<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) function_arn: &'a str,
    /// Why no more is tried, for example `RetriesExhausted`.
    pub(crate) condition: &'a str,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// How the last attempt failed; nothing if there was none to tell of.
    pub(crate) error: Option<&'a InvokeError>,
}

impl Failure<'_> {
    /// Of an asynchronous invocation with this payload.
    pub(crate) fn asynchronous(&self, payload: &[u8]) -> Value {
        let mut record = self.record();
        record["requestPayload"] = parsed(payload);
        if let Some(error) = self.error {
            record["responseContext"] = json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" });
            record["responsePayload"] = parsed(&error.payload());
        }
        record
    }

    fn record(&self) -> Value {
        json!({
            "version": "1.0",
            "timestamp": timestamp(Timestamp::now()),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": format!("{}:$LATEST", self.function_arn),
                "condition": self.condition,
                "approximateInvokeCount": self.attempts,
            },
        })
    }
}

/// Tells the queue of this ARN of a record. An error may pass, and it is to be told again; what the queue never takes is sent
/// without its payloads, or not at all, and `say` has why. (AWS gives up in both cases, and counts it.)
pub(crate) fn tell(queues: &Queues, queue_arn: &str, mut record: Value, say: impl Fn(&str)) -> Result<(), sqs::Error> {
    let name = name_in(queue_arn);
    let mut refused = match send(queues, name, &record) {
        Err(error) if is_final(&error) => error,
        sent => return sent,
    };
    if remove_payloads(&mut record) && !matches!(refused, sqs::Error::NoSuchQueue) {
        say(&format!("its destination {name} is told of it without payloads: {refused}"));
        refused = match send(queues, name, &record) {
            Err(error) if is_final(&error) => error,
            sent => return sent,
        };
    }
    say(&format!("its destination {name} is not told of it: {refused}"));
    Ok(())
}

fn send(queues: &Queues, queue: &str, record: &Value) -> Result<(), sqs::Error> {
    let message = NewMessage { body: record.to_string(), ..NewMessage::default() };
    queues.send(queue, message).map(drop)
}

/// Whether the queue would refuse it again: all but trouble of this machine.
fn is_final(error: &sqs::Error) -> bool {
    !matches!(error, sqs::Error::State(_))
}

/// Whether there were any.
fn remove_payloads(record: &mut Value) -> bool {
    let payloads = ["requestPayload", "responsePayload"];
    record.as_object_mut().is_some_and(|fields| payloads.into_iter().filter(|name| fields.remove(*name).is_some()).count() > 0)
}

/// The resource's name, which ends an ARN.
pub(crate) fn name_in(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// RFC 3339 with milliseconds.
pub(crate) fn timestamp(time: Timestamp) -> String {
    let time = time.round(Unit::Millisecond).unwrap_or(time);
    format!("{time:.3}")
}

/// JSON as it is, anything else as a string.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}
