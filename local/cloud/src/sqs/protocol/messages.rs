//! Actions on messages, one by one and in batches.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use tintype_chaos::Fault;

use super::{Error, Queues, queue_name};
use crate::sqs::{Message, MessageAttribute, NewMessage, attribute::md5_of_attributes, message::MAX_BYTES};

const MAX_BATCH: usize = 10;
const MAX_DELAY_SECONDS: i64 = 900;
const MAX_VISIBILITY_SECONDS: i64 = 43_200;
const MAX_WAIT_SECONDS: i64 = 20;

/// What a receive may ask for: those of FIFO queues too, which no message has.
const SYSTEM_ATTRIBUTES: [&str; 11] = [
    "All",
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
    "SqsManagedSseEnabled",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: WireMessage,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireMessage {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, MessageAttribute>,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, WireSystemAttribute>,
    message_group_id: Option<String>,
    /// Of FIFO queues only.
    message_deduplication_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireSystemAttribute {
    data_type: String,
    string_value: Option<String>,
}

/// A batch of entries, each with an id that is unique in it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: String,
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    id: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    wait_time_seconds: Option<i64>,
    visibility_timeout: Option<i64>,
    /// The older name of the next field.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfMessage<T> {
    queue_url: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deletion {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VisibilityChange {
    receipt_handle: String,
    visibility_timeout: i64,
}

impl TryFrom<WireMessage> for NewMessage {
    type Error = Error;

    fn try_from(message: WireMessage) -> Result<Self, Error> {
        if message.message_deduplication_id.is_some() {
            return Err(Error::InvalidParameter(
                "The request includes a parameter that is not valid for this queue type: MessageDeduplicationId.".to_owned(),
            ));
        }
        let mut system = message.message_system_attributes;
        let trace_header = system.remove("AWSTraceHeader").map(trace_header).transpose()?;
        if let Some(name) = system.keys().next() {
            return Err(Error::InvalidParameter(format!("Message system attribute name '{name}' is invalid.")));
        }
        Ok(Self {
            body: message.message_body,
            attributes: message.message_attributes,
            trace_header,
            group_id: message.message_group_id,
            delay: message.delay_seconds.map(|seconds| seconds_in("DelaySeconds", seconds, MAX_DELAY_SECONDS)).transpose()?,
        })
    }
}

fn trace_header(attribute: WireSystemAttribute) -> Result<String, Error> {
    let value = attribute.string_value.filter(|value| attribute.data_type == "String" && !value.is_empty());
    value.ok_or_else(|| Error::InvalidParameter("The message system attribute 'AWSTraceHeader' must be a non-empty String.".to_owned()))
}

impl Queues {
    pub(super) fn send_message(&self, request: SendMessage) -> Result<Value, Error> {
        self.send_one(queue_name(&request.queue_url), request.message.try_into())
    }

    pub(super) fn send_message_batch(&self, batch: Batch<WireMessage>) -> Result<Value, Error> {
        let Batch { queue_url, entries } = batch;
        let entries: Vec<Entry<Result<NewMessage, Error>>> =
            entries.into_iter().map(|Entry { id, content }| Entry { id, content: content.try_into() }).collect();
        let sent = entries.iter().filter_map(|entry| entry.content.as_ref().ok()).map(NewMessage::size).sum();
        if sent > MAX_BYTES {
            return Err(Error::BatchTooLong { limit: MAX_BYTES, sent });
        }
        self.each(Batch { queue_url, entries }, "SendMessageBatchRequestEntry", |queue, message| self.send_one(queue, message))
    }

    fn send_one(&self, queue: &str, message: Result<NewMessage, Error>) -> Result<Value, Error> {
        let sent = self.send(queue, message?)?;
        let mut answer = json!({"MessageId": sent.message_id, "MD5OfMessageBody": sent.md5_of_body});
        if let Some(md5) = sent.md5_of_attributes {
            answer["MD5OfMessageAttributes"] = md5.into();
        }
        if let Some(md5) = sent.md5_of_system_attributes {
            answer["MD5OfMessageSystemAttributes"] = md5.into();
        }
        Ok(answer)
    }

    pub(super) async fn receive_message(&self, request: ReceiveMessage) -> Result<Value, Error> {
        let queue = queue_name(&request.queue_url);
        let system_names = [request.attribute_names, request.message_system_attribute_names].concat();
        if let Some(unknown) = system_names.iter().find(|name| !SYSTEM_ATTRIBUTES.contains(&&***name)) {
            return Err(Error::InvalidAttributeName(unknown.clone()));
        }
        let max = request.max_number_of_messages.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&max) {
            return Err(Error::InvalidParameter(format!(
                "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            )));
        }
        let wait = match request.wait_time_seconds {
            Some(seconds) => seconds_in("WaitTimeSeconds", seconds, MAX_WAIT_SECONDS)?,
            None => Duration::from_millis(self.store.queue(queue)?.settings.wait.unsigned_abs()),
        };
        let visibility =
            request.visibility_timeout.map(|seconds| seconds_in("VisibilityTimeout", seconds, MAX_VISIBILITY_SECONDS)).transpose()?;
        let received = self.receive(queue, max, wait, visibility).await?;
        if received.is_empty() {
            return Ok(json!({}));
        }
        let messages = received.into_iter().map(|message| received_message(message, &system_names, &request.message_attribute_names));
        Ok(json!({"Messages": messages.collect::<Vec<_>>()}))
    }

    pub(super) fn delete_message(&self, request: &OfMessage<Deletion>) -> Result<Value, Error> {
        self.delete(queue_name(&request.queue_url), &request.content.receipt_handle)?;
        Ok(json!({}))
    }

    pub(super) fn delete_message_batch(&self, batch: Batch<Deletion>) -> Result<Value, Error> {
        self.each(batch, "DeleteMessageBatchRequestEntry", |queue, deletion| {
            self.delete(queue, &deletion.receipt_handle)?;
            Ok(json!({}))
        })
    }

    pub(super) fn change_message_visibility(&self, request: &OfMessage<VisibilityChange>) -> Result<Value, Error> {
        self.change_one(queue_name(&request.queue_url), &request.content)
    }

    pub(super) fn change_message_visibility_batch(&self, batch: Batch<VisibilityChange>) -> Result<Value, Error> {
        self.each(batch, "ChangeMessageVisibilityBatchRequestEntry", |queue, change| self.change_one(queue, &change))
    }

    fn change_one(&self, queue: &str, change: &VisibilityChange) -> Result<Value, Error> {
        let timeout = seconds_in("VisibilityTimeout", change.visibility_timeout, MAX_VISIBILITY_SECONDS)?;
        self.change_visibility(queue, &change.receipt_handle, timeout)?;
        Ok(json!({}))
    }

    /// Does `f` with each entry; some may fail while others succeed, and chaos may leave some undone.
    /// What is wrong with the batch itself, or with its queue, fails the whole of it.
    fn each<T>(&self, batch: Batch<T>, kind: &'static str, f: impl Fn(&str, T) -> Result<Value, Error>) -> Result<Value, Error> {
        let queue = self.store.queue(queue_name(&batch.queue_url))?.name;
        check_ids(batch.entries.iter().map(|entry| &*entry.id).collect(), kind)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in batch.entries {
            let done = if self.chaos.strikes(Fault::Unprocessed) { Err(Error::Unprocessed) } else { f(&queue, entry.content) };
            match done {
                Ok(mut answer) => {
                    answer["Id"] = entry.id.into();
                    successful.push(answer);
                }
                Err(error) => {
                    let (_, code) = error.names();
                    let message = error.to_string();
                    failed.push(json!({"Id": entry.id, "Code": code, "Message": message, "SenderFault": error.is_senders()}));
                }
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }
}

fn check_ids(ids: Vec<&str>, kind: &'static str) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Error::EmptyBatch(kind));
    }
    if ids.len() > MAX_BATCH {
        return Err(Error::TooManyEntries(ids.len()));
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        let well_formed = (1..=80).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !well_formed {
            return Err(Error::InvalidEntryId);
        }
        if !seen.insert(id) {
            return Err(Error::RepeatedEntryId(id.to_owned()));
        }
    }
    Ok(())
}

fn seconds_in(parameter: &str, seconds: i64, max: i64) -> Result<Duration, Error> {
    u64::try_from(seconds).ok().filter(|_| seconds <= max).map(Duration::from_secs).ok_or_else(|| {
        Error::InvalidParameter(format!(
            "Value {seconds} for parameter {parameter} is invalid. Reason: Must be >= 0 and <= {max}, if provided."
        ))
    })
}

/// A message with the attributes that were asked for, which alone count for their MD5.
fn received_message(message: Message, system_names: &[String], attribute_names: &[String]) -> Value {
    let system: BTreeMap<_, _> =
        message.system.into_iter().filter(|(name, _)| system_names.iter().any(|wanted| wanted == "All" || wanted == name)).collect();
    let attributes: BTreeMap<_, _> = message.attributes.into_iter().filter(|(name, _)| is_wanted(name, attribute_names)).collect();
    let mut answer = json!({
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt_handle,
        "Body": message.body,
        "MD5OfBody": message.md5_of_body,
    });
    if !system.is_empty() {
        answer["Attributes"] = json!(system);
    }
    if let Some(md5) = md5_of_attributes(&attributes) {
        answer["MD5OfMessageAttributes"] = md5.into();
        answer["MessageAttributes"] = json!(attributes);
    }
    answer
}

/// Whether a list of names, `All`, or prefixes such as `trace.*` asks for this one.
fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted
        .iter()
        .any(|wanted| wanted == "All" || wanted == name || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix)))
}
