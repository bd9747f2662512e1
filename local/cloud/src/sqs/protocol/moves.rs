//! Actions on tasks that move messages.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Error, Queues};
use crate::{sqs::moves::Task, unix_millis};

/// Most messages a second, and most tasks of a list.
const MAX_RATE: i64 = 500;
const MAX_TASKS: i64 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelMessageMoveTask {
    task_handle: String,
}

impl Queues {
    pub(super) fn start_message_move_task(&self, request: &StartMessageMoveTask) -> Result<Value, Error> {
        let rate = request.max_number_of_messages_per_second;
        let rate = rate.map(|rate| up_to("MaxNumberOfMessagesPerSecond", rate, MAX_RATE)).transpose()?;
        let task = self.store.start_move(&request.source_arn, request.destination_arn.as_deref(), rate, unix_millis())?;
        self.wake(self.store.advance_moves(unix_millis())?);
        // Those who wait where the task will bring more must know when.
        self.wake_all();
        Ok(json!({"TaskHandle": handle(task)}))
    }

    pub(super) fn list_message_move_tasks(&self, request: &ListMessageMoveTasks) -> Result<Value, Error> {
        let max = request.max_results.map_or(Ok(1), |max| up_to("MaxResults", max, MAX_TASKS))?;
        let tasks = self.store.moves(&request.source_arn, max as usize, unix_millis())?;
        let results: Vec<_> = tasks.into_iter().map(|task| result(task, &request.source_arn)).collect();
        Ok(json!({"Results": results}))
    }

    pub(super) fn cancel_message_move_task(&self, request: &CancelMessageMoveTask) -> Result<Value, Error> {
        let task = task_of(&request.task_handle)
            .ok_or_else(|| Error::InvalidParameter("Value for parameter TaskHandle is invalid.".to_owned()))?;
        let moved = self.store.cancel_move(task, unix_millis())?;
        Ok(json!({"ApproximateNumberOfMessagesMoved": moved}))
    }
}

/// What is not known, or not said by AWS in the task's state, is left out.
fn result(task: Task, source_arn: &str) -> Value {
    let mut result = json!({
        "Status": task.status.name(),
        "SourceArn": source_arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started,
    });
    let optional = [
        ("TaskHandle", task.is_running().then(|| json!(handle(task.id)))),
        ("DestinationArn", task.destination_arn.map(Value::from)),
        ("MaxNumberOfMessagesPerSecond", task.per_second.map(Value::from)),
        ("FailureReason", task.failure.map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            result[name] = value;
        }
    }
    result
}

fn handle(task: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("task:{task}"))
}

fn task_of(handle: &str) -> Option<i64> {
    let decoded = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(handle).ok()?).ok()?;
    decoded.strip_prefix("task:")?.parse().ok()
}

fn up_to(parameter: &str, value: i64, max: i64) -> Result<u32, Error> {
    u32::try_from(value).ok().filter(|_| (1..=max).contains(&value)).ok_or_else(|| {
        Error::InvalidParameter(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: Must be between 1 and {max}, if provided."
        ))
    })
}
