//! SQS event source mappings: messages in batches, deleted once the function has succeeded.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tintype_cloud::{
    say,
    sqs::{self, AttributeValue, Message, MessageAttribute, Queues},
};
use tintype_template::deployment::QueueTrigger;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    batch::{self, failed_items},
    filter::BodyPattern,
    name_in, region_and_account, title,
};
use crate::{
    Error,
    invocation::{Invocation, InvokeError},
    pool::Pool,
    stop::{is_stopped, stopped},
};

/// One long poll, and most messages of a receive: SQS' own limits.
const LONG_POLL: Duration = Duration::from_secs(20);
const MOST_MESSAGES: usize = 10;

/// The pause after the queue failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// A mapping: one task waits for messages, and hands each batch to one that is started for it. It waits only while
/// another batch may run, so that nothing is received for which the function has no room.
struct Mapping {
    trigger: QueueTrigger,
    filters: Vec<BodyPattern>,
    pool: Arc<Pool>,
    queues: Queues,
    /// The queue's name.
    queue: String,
}

/// `None` for a function that is off: its messages stay where they are.
pub(super) fn start(
    trigger: &QueueTrigger,
    pool: &Arc<Pool>,
    queues: &Queues,
    stop: &watch::Receiver<bool>,
) -> Result<Option<JoinHandle<()>>, Error> {
    let filters = trigger.filters.iter().map(BodyPattern::parse).collect::<Result<_, _>>();
    let mapping = Mapping {
        trigger: trigger.clone(),
        filters: filters.map_err(|source| Error::Filter { id: trigger.id.clone(), function: pool.function.name.clone(), source })?,
        pool: Arc::clone(pool),
        queues: queues.clone(),
        queue: name_in(&trigger.queue_arn).to_owned(),
    };
    // What the mapping had in hand when an earlier process ended need not wait until it would be
    // visible by itself: with six times the function's timeout that is minutes.
    queues.show_received(&mapping.queue)?;
    let most = trigger.max_concurrency.map_or(pool.limit, |most| pool.limit.min(most as usize));
    Ok((most > 0).then(|| tokio::spawn(Arc::new(mapping).run(most, stop.clone()))))
}

impl Mapping {
    async fn run(self: Arc<Self>, most: usize, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(most));
        let mut batches = JoinSet::new();
        loop {
            let place = tokio::select! {
                () = stopped(&mut stop) => break,
                place = Arc::clone(&room).acquire_owned() => place,
            };
            while batches.try_join_next().is_some() {}
            match self.next_batch(&mut stop).await {
                Ok(messages) if is_stopped(&stop) => {
                    self.give_back(&messages);
                    break;
                }
                Ok(messages) => {
                    let this = Arc::clone(&self);
                    batches.spawn(async move {
                        this.work_on(&messages).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    self.say(&error.to_string());
                    tokio::select! {
                        () = stopped(&mut stop) => break,
                        () = tokio::time::sleep(TROUBLE_PAUSE) => {}
                    }
                }
            }
        }
        while batches.join_next().await.is_some() {}
    }

    /// Waits for a message that passes the filters, and then for more until the batch is full or the window over.
    async fn next_batch(&self, stop: &mut watch::Receiver<bool>) -> Result<Vec<Message>, sqs::Error> {
        let mut batch = Vec::new();
        let mut wait = LONG_POLL;
        let mut window_ends = None;
        loop {
            let most = (self.trigger.batch_size - batch.len()).min(MOST_MESSAGES);
            let received = tokio::select! {
                () = stopped(stop) => break,
                received = self.queues.receive(&self.queue, most, wait, None) => received,
            };
            match received {
                Ok(messages) => {
                    let (passed, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| self.passes(message));
                    batch.extend(passed);
                    self.delete(&others);
                }
                // What is in hand is processed; the trouble comes up again.
                Err(_) if !batch.is_empty() => break,
                Err(error) => return Err(error),
            }
            if batch.is_empty() {
                continue;
            }
            let ends = *window_ends.get_or_insert_with(|| Instant::now() + self.trigger.window);
            wait = ends.saturating_duration_since(Instant::now()).min(LONG_POLL);
            if batch.len() >= self.trigger.batch_size || wait.is_zero() {
                break;
            }
        }
        Ok(batch)
    }

    fn passes(&self, message: &Message) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(&message.body))
    }

    /// Invokes the function, more than once if the batch is too large for one event.
    async fn work_on(&self, messages: &[Message]) {
        let records: Vec<_> = messages.iter().map(|message| self.record(message).to_string()).collect();
        for part in batch::cut(records.iter().map(String::len), messages.len()) {
            let event = batch::event(records[part.clone()].iter().map(String::as_str));
            self.process(&messages[part], event.into()).await;
        }
    }

    /// Invokes the function and deletes what it has done. What it has not comes again when the
    /// queue's visibility timeout is over.
    async fn process(&self, messages: &[Message], event: Bytes) {
        let answer = match self.pool.invoke(Invocation::batch(event)).await {
            Ok(answer) => answer,
            Err(InvokeError::Stopping) => return self.give_back(messages),
            Err(error) => return self.report(messages, &String::from_utf8_lossy(&error.payload())),
        };
        let failed = if self.trigger.partial_failures {
            let ids: Vec<_> = messages.iter().map(|message| message.message_id.as_str()).collect();
            let Some(failed) = failed_items(&answer, &ids) else {
                return self.report(messages, "the answer names no message of the batch");
            };
            failed
        } else {
            HashSet::new()
        };
        self.delete(messages.iter().filter(|message| !failed.contains(&message.message_id)));
    }

    /// What cannot be deleted comes again.
    fn delete<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) {
        for message in messages {
            if let Err(error) = self.queues.delete(&self.queue, &message.receipt_handle) {
                self.say(&format!("message {}: {error}", message.message_id));
            }
        }
    }

    /// Makes messages visible again that nobody has worked on.
    fn give_back(&self, messages: &[Message]) {
        for message in messages {
            // If this fails they come again later, when their visibility timeout is over.
            let _ = self.queues.change_visibility(&self.queue, &message.receipt_handle, Duration::ZERO);
        }
    }

    fn report(&self, messages: &[Message], reason: &str) {
        let ids: Vec<_> = messages.iter().map(|message| message.message_id.as_str()).collect();
        self.say(&format!("messages {} failed: {reason}", ids.join(", ")));
    }

    fn say(&self, line: &str) {
        say(title(&self.pool), &format!("queue {}: {line}", self.queue));
    }

    fn record(&self, message: &Message) -> Value {
        let arn = &self.trigger.queue_arn;
        let (region, _) = region_and_account(arn);
        let mut record = json!({
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": message.system,
            "messageAttributes": attributes(message),
            "md5OfBody": message.md5_of_body,
            "eventSource": "aws:sqs",
            "eventSourceARN": arn,
            "awsRegion": region,
        });
        if let Some(md5) = message.md5_of_attributes() {
            record["md5OfMessageAttributes"] = md5.into();
        }
        record
    }
}

fn attributes(message: &Message) -> Map<String, Value> {
    let attributes = message.attributes.iter();
    attributes.map(|(name, attribute)| (name.clone(), attribute_in_event(attribute))).collect()
}

fn attribute_in_event(attribute: &MessageAttribute) -> Value {
    let mut event = json!({
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": attribute.data_type,
    });
    match &attribute.value {
        AttributeValue::Text(text) => event["stringValue"] = text.as_str().into(),
        AttributeValue::Binary(bytes) => event["binaryValue"] = BASE64_STANDARD.encode(bytes).into(),
    }
    event
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
