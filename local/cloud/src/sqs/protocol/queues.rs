//! Actions on queues.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{super::queue::Queue, Error, Queues, queue_name, queue_url};
use crate::{sqs::queue::Settings, unix_millis};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

impl Queues {
    /// A queue of the same name and attributes is returned; other attributes are refused.
    pub(super) fn create_queue(&self, host: &str, request: CreateQueue) -> Result<Value, Error> {
        let name = request.queue_name;
        let named_well = (1..=80).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !named_well {
            return Err(Error::InvalidParameter(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length. FIFO queues are not emulated."
                    .to_owned(),
            ));
        }
        match self.store.queue(&name) {
            Ok(existing) => refuse_other_attributes(&existing, &request.attributes)?,
            Err(Error::NoSuchQueue) => {
                let mut settings = Settings::new(&name);
                settings.set(&request.attributes)?;
                self.store.save_queue(&name, &settings, unix_millis())?;
            }
            Err(error) => return Err(error),
        }
        Ok(json!({"QueueUrl": queue_url(host, &name)}))
    }

    pub(super) fn get_queue_url(&self, host: &str, request: &GetQueueUrl) -> Result<Value, Error> {
        let queue = self.store.queue(&request.queue_name)?;
        Ok(json!({"QueueUrl": queue_url(host, &queue.name)}))
    }

    pub(super) fn list_queues(&self, host: &str, request: &ListQueues) -> Result<Value, Error> {
        let names = self.store.transaction(|tx| Queue::names(tx, &request.queue_name_prefix))?;
        Ok(json!({"QueueUrls": names.iter().map(|name| queue_url(host, name)).collect::<Vec<_>>()}))
    }

    pub(super) fn list_dead_letter_source_queues(&self, host: &str, request: &OfQueue) -> Result<Value, Error> {
        let queue = self.store.queue(queue_name(&request.queue_url))?;
        let sources = self.store.transaction(|tx| Queue::sources(tx, &queue.settings.arn))?;
        // The one answer of this API that begins its members in lower case.
        Ok(json!({"queueUrls": sources.iter().map(|source| queue_url(host, &source.name)).collect::<Vec<_>>()}))
    }

    pub(super) fn get_queue_attributes(&self, request: &GetQueueAttributes) -> Result<Value, Error> {
        let queue = self.store.queue(queue_name(&request.queue_url))?;
        let counts = self.store.counts(&queue.name, unix_millis())?;
        let mut attributes = queue.settings.attributes();
        attributes.extend([
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("CreatedTimestamp", (queue.created / 1000).to_string()),
        ]);
        if !request.attribute_names.iter().any(|name| name == "All") {
            attributes.retain(|name, _| request.attribute_names.iter().any(|wanted| wanted == name));
        }
        Ok(json!({"Attributes": attributes}))
    }

    pub(super) fn set_queue_attributes(&self, request: &SetQueueAttributes) -> Result<Value, Error> {
        let mut queue = self.store.queue(queue_name(&request.queue_url))?;
        queue.settings.set(&request.attributes)?;
        self.store.save_queue(&queue.name, &queue.settings, unix_millis())?;
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&self, request: &OfQueue) -> Result<Value, Error> {
        self.store.purge(queue_name(&request.queue_url))?;
        Ok(json!({}))
    }

    /// Moves the messages at once, where AWS takes its time; the task's handle names the queue.
    pub(super) fn start_message_move_task(&self, request: &StartMessageMoveTask) -> Result<Value, Error> {
        let sources = self.store.transaction(|tx| Queue::sources(tx, &request.source_arn))?;
        if sources.is_empty() {
            return Err(Error::InvalidParameter("Source queue must be configured as a Dead Letter Queue.".to_owned()));
        }
        let moved = self.store.redrive(&request.source_arn, request.destination_arn.as_deref(), unix_millis())?;
        for queue in moved.ok_or(Error::NoSuchResource("SourceArn"))? {
            self.arrivals(&queue).notify_waiters();
        }
        Ok(json!({"TaskHandle": request.source_arn}))
    }
}

fn refuse_other_attributes(existing: &Queue, wanted: &BTreeMap<String, String>) -> Result<(), Error> {
    let mut settings = existing.settings.clone();
    settings.set(wanted)?;
    let before = existing.settings.attributes();
    match settings.attributes().into_iter().find(|(name, value)| before.get(name) != Some(value)) {
        Some((name, _)) => Err(Error::QueueExists(name)),
        None => Ok(()),
    }
}
