//! What an on-failure destination is told of stream records that are tried no more.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::destination::timestamp;

/// Why records were given up.
#[derive(Debug)]
pub(super) struct Discarded {
    /// Of the last invocation.
    request_id: String,
    pub(super) condition: &'static str,
    /// How often the function has failed on just these.
    pub(super) attempts: u32,
    /// What the function said last, or nothing.
    pub(super) why: String,
}

impl Discarded {
    pub(super) fn exhausted(request_id: String, attempts: u32, why: String) -> Self {
        Self { request_id, condition: "RetryAttemptsExhausted", attempts, why }
    }

    /// They are too old, and were perhaps never tried.
    pub(super) fn expired(attempts: u32) -> Self {
        Self { request_id: Uuid::now_v7().to_string(), condition: "RecordAgeExceeded", attempts, why: String::new() }
    }

    /// As Lambda writes it: where the records were, not what they said.
    pub(super) fn record(&self, function_arn: &str, batch_info: Value) -> Value {
        let mut record = json!({
            "version": "1.0",
            "timestamp": timestamp(Timestamp::now()),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": function_arn,
                "condition": self.condition,
                "approximateInvokeCount": self.attempts,
            },
            "DDBStreamBatchInfo": batch_info,
        });
        if self.attempts > 0 {
            record["responseContext"] = json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" });
        }
        record
    }
}
