//! One invocation of a function, and how it can fail.

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use crate::output::Tail;

/// How often the function may be run on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// Once at most: who asked will see that it failed.
    Once,
    /// Again if its worker is killed.
    AgainIfKilled,
    /// As often as it happens: an event of a queue, a stream, a bucket or a schedule.
    AtLeastOnce,
}

/// An event on its way to a worker.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    /// Lambda's request id: a UUID, the same for each attempt of an asynchronous invocation.
    pub(crate) request_id: String,
    /// JSON
    pub(crate) payload: Bytes,
    /// `Root=...;Parent=...;Sampled=...`
    pub(crate) trace_id: String,
    pub(crate) runs: Runs,
    /// Takes the last of what the function prints meanwhile, if somebody wants it.
    pub(crate) tail: Option<Tail>,
}

impl Invocation {
    /// A synchronous invocation, with an id of its own. Without a trace it starts one.
    pub(crate) fn synchronous(payload: Bytes, trace_id: &str, repeatable: bool) -> Self {
        let id = Uuid::now_v7();
        let trace_id = if trace_id.is_empty() { trace_of(id) } else { trace_id.to_owned() };
        let runs = if repeatable { Runs::AgainIfKilled } else { Runs::Once };
        Self { request_id: id.to_string(), payload, trace_id, runs, tail: None }
    }

    /// A batch of a queue or a stream: delivered at least once.
    pub(crate) fn batch(payload: Bytes) -> Self {
        Self { runs: Runs::AtLeastOnce, ..Self::synchronous(payload, "", true) }
    }

    /// An asynchronous invocation that was stored under this id: delivered at least once.
    pub(crate) fn stored(id: Uuid, payload: Bytes) -> Self {
        Self { request_id: id.to_string(), payload, trace_id: trace_of(id), runs: Runs::AtLeastOnce, tail: None }
    }
}

/// An X-Ray trace header that begins with this `UUIDv7`: the same each time, so that all attempts of
/// one invocation share a trace.
fn trace_of(id: Uuid) -> String {
    let seconds = id.get_timestamp().map_or(0, |time| time.to_unix().0);
    let hex = id.simple().to_string();
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=1", &hex[8..], &hex[16..])
}

/// Why an invocation gave no answer. The payloads are JSON, as Lambda's own:
/// `{"errorType": ..., "errorMessage": ...}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// No function of that name.
    #[error("there is no function of this name")]
    UnknownFunction,
    /// It took longer than its timeout, and its worker was ended.
    #[error("the function timed out")]
    TimedOut {
        /// With error type `Sandbox.Timedout`.
        payload: Bytes,
    },
    /// Its worker ended, or could not start.
    #[error("the function's worker ended")]
    Crashed {
        /// With error type `Runtime.ExitError`, or what the worker said of its failed start.
        payload: Bytes,
    },
    /// It answered with an error.
    #[error("the function answered with an error")]
    FunctionError {
        /// As the function gave it.
        payload: Bytes,
    },
    /// As many invocations run as the template reserves concurrency for (none: the function is off), or wait as may: this one
    /// has not begun.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The host ends: nothing is known of the invocation.
    #[error("the host is stopping")]
    Stopping,
}

impl InvokeError {
    pub(crate) fn timed_out(request_id: &str, after: std::time::Duration) -> Self {
        let message = format!("RequestId: {request_id} Error: Task timed out after {:.2} seconds", after.as_secs_f64());
        Self::TimedOut { payload: error_payload("Sandbox.Timedout", &message) }
    }

    pub(crate) fn crashed(request_id: &str, how: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: Runtime exited with error: {how}");
        Self::Crashed { payload: error_payload("Runtime.ExitError", &message) }
    }

    /// What is told of the failure: the function's own words, or Lambda's.
    pub fn payload(&self) -> Bytes {
        match self {
            Self::TimedOut { payload } | Self::Crashed { payload } | Self::FunctionError { payload } => payload.clone(),
            Self::Throttled => error_payload("TooManyRequestsException", &self.to_string()),
            Self::UnknownFunction => error_payload("ResourceNotFoundException", &self.to_string()),
            Self::Stopping => error_payload("ServiceException", &self.to_string()),
        }
    }
}

/// Lambda's shape of an error.
pub(crate) fn error_payload(error_type: &str, message: &str) -> Bytes {
    json!({ "errorType": error_type, "errorMessage": message }).to_string().into()
}
