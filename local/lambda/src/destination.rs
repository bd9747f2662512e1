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
    /// How the last attempt failed.
    pub(crate) error: &'a InvokeError,
}

impl Failure<'_> {
    /// Of an asynchronous invocation with this payload.
    pub(crate) fn asynchronous(&self, payload: &[u8]) -> Value {
        let mut record = self.record();
        record["requestPayload"] = parsed(payload);
        record["responsePayload"] = parsed(&self.error.payload());
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
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
        })
    }
}

/// Sends a record to the queue of this ARN.
pub(crate) fn send(queues: &Queues, queue_arn: &str, record: &Value) -> Result<(), sqs::Error> {
    let message = NewMessage { body: record.to_string(), ..NewMessage::default() };
    queues.send(name_in(queue_arn), message).map(drop)
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
