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
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{batch::failed_items, name_in, region_and_account, title};
use crate::{
    invocation::{Invocation, InvokeError},
    pool::Pool,
    stop::{is_stopped, stopped},
};

/// One long poll, and most messages of a receive: SQS' own limits.
const LONG_POLL: Duration = Duration::from_secs(20);
const MOST_MESSAGES: usize = 10;

/// The pause after the queue failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// One of a mapping's pollers: it has at most one batch in hand, so that there are as many of them
/// as invocations may run at once.
struct Poller {
    trigger: QueueTrigger,
    pool: Arc<Pool>,
    queues: Queues,
    /// The queue's name.
    queue: String,
}

pub(super) fn start(
    trigger: &QueueTrigger,
    pool: &Arc<Pool>,
    queues: &Queues,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, sqs::Error> {
    // What the mapping had in hand when an earlier process ended need not wait until it would be
    // visible by itself: with six times the function's timeout that is minutes.
    queues.show_received(name_in(&trigger.queue_arn))?;
    // None for a function that is off: its messages stay where they are.
    let pollers = trigger.max_concurrency.map_or(pool.limit, |most| pool.limit.min(most as usize));
    let tasks = (0..pollers).map(|_| {
        let poller = Poller {
            trigger: trigger.clone(),
            pool: Arc::clone(pool),
            queues: queues.clone(),
            queue: name_in(&trigger.queue_arn).to_owned(),
        };
        tokio::spawn(poller.run(stop.clone()))
    });
    Ok(tasks.collect())
}

impl Poller {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let outcome = match self.next_batch(&mut stop).await {
                Ok(messages) if is_stopped(&stop) => {
                    self.give_back(&messages);
                    return;
                }
                Ok(messages) if messages.is_empty() => Ok(()),
                Ok(messages) => self.process(&messages).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                say(title(&self.pool), &format!("queue {}: {error}", self.queue));
                tokio::select! {
                    () = stopped(&mut stop) => return,
                    () = tokio::time::sleep(TROUBLE_PAUSE) => {}
                }
            }
        }
    }

    /// Waits for a message, and then for more until the batch is full or the window over.
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
                Ok(messages) => batch.extend(messages),
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

    /// Invokes the function and deletes what it has done. What it has not comes again when the
    /// queue's visibility timeout is over.
    async fn process(&self, messages: &[Message]) -> Result<(), sqs::Error> {
        let payload = Bytes::from(self.event(messages).to_string());
        let answer = match self.pool.invoke(Invocation::batch(payload)).await {
            Ok(answer) => answer,
            Err(InvokeError::Stopping) => {
                self.give_back(messages);
                return Ok(());
            }
            Err(error) => {
                self.report(messages, &String::from_utf8_lossy(&error.payload()));
                return Ok(());
            }
        };
        let failed = if self.trigger.partial_failures {
            let ids: Vec<_> = messages.iter().map(|message| message.message_id.as_str()).collect();
            let Some(failed) = failed_items(&answer, &ids) else {
                self.report(messages, "the answer names no message of the batch");
                return Ok(());
            };
            failed
        } else {
            HashSet::new()
        };
        for message in messages {
            if !failed.contains(&message.message_id) {
                self.queues.delete(&self.queue, &message.receipt_handle)?;
            }
        }
        Ok(())
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
        let line = format!("queue {}: messages {} failed: {reason}", self.queue, ids.join(", "));
        say(title(&self.pool), &line);
    }

    fn event(&self, messages: &[Message]) -> Value {
        let arn = &self.trigger.queue_arn;
        let (region, _) = region_and_account(arn);
        let records: Vec<_> = messages
            .iter()
            .map(|message| {
                json!({
                    "messageId": message.message_id,
                    "receiptHandle": message.receipt_handle,
                    "body": message.body,
                    "attributes": message.system,
                    "messageAttributes": attributes(message),
                    "md5OfBody": message.md5_of_body,
                    "eventSource": "aws:sqs",
                    "eventSourceARN": arn,
                    "awsRegion": region,
                })
            })
            .collect();
        json!({ "Records": records })
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
