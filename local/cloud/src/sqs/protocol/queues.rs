//! Actions on queues.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rusqlite::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Error, Queues, queue_name, queue_url};
use crate::{
    ACCOUNT_ID,
    sqs::{
        queue::{Queue, Settings, is_attribute},
        tags::{self, Tags},
    },
    unix_millis,
};

/// Most queues of a list.
const MAX_RESULTS: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// The one parameter of this API that begins in lower case.
    #[serde(default, rename = "tags")]
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSources {
    queue_url: String,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    max_results: Option<usize>,
    next_token: Option<String>,
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
pub(super) struct TagQueue {
    queue_url: String,
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagQueue {
    queue_url: String,
    tag_keys: Vec<String>,
}

impl Queues {
    /// A queue of the same name and attributes is returned; other attributes are refused.
    pub(super) fn create_queue(&self, host: &str, request: CreateQueue) -> Result<Value, Error> {
        let name = request.queue_name;
        if name.strip_suffix(".fifo").is_some() {
            return Err(Error::Unsupported("FIFO queues".to_owned()));
        }
        let named_well = (1..=80).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !named_well {
            return Err(Error::InvalidParameter(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.".to_owned(),
            ));
        }
        tags::check(&request.tags)?;
        self.store.transaction(|tx| match Queue::find(tx, &name)? {
            Some(existing) => Ok(refuse_other_attributes(&existing, &request.attributes)),
            None => match changed(tx, Settings::new(&name), &request.attributes)? {
                Ok(settings) => {
                    let queue = Queue::save(tx, &name, &settings, unix_millis())?;
                    tags::save(tx, queue, &request.tags)
                }
                Err(refused) => Ok(Err(refused)),
            },
        })??;
        Ok(json!({"QueueUrl": queue_url(host, &name)}))
    }

    /// A queue of the template is there again, and empty, after the next start.
    pub(super) fn delete_queue(&self, request: &OfQueue) -> Result<Value, Error> {
        let name = queue_name(&request.queue_url);
        self.store.delete_queue(name)?;
        self.forget(name);
        Ok(json!({}))
    }

    pub(super) fn get_queue_url(&self, host: &str, request: &GetQueueUrl) -> Result<Value, Error> {
        if request.owner.as_ref().is_some_and(|owner| owner != ACCOUNT_ID) {
            return Err(Error::NoSuchQueue);
        }
        let queue = self.store.queue(&request.queue_name)?;
        Ok(json!({"QueueUrl": queue_url(host, &queue.name)}))
    }

    pub(super) fn list_queues(&self, host: &str, request: &ListQueues) -> Result<Value, Error> {
        let names = self.store.transaction(|tx| Queue::names(tx, &request.queue_name_prefix))?;
        request.page.of("QueueUrls", host, names)
    }

    pub(super) fn list_dead_letter_source_queues(&self, host: &str, request: &ListSources) -> Result<Value, Error> {
        let queue = self.store.queue(queue_name(&request.queue_url))?;
        let sources = self.store.transaction(|tx| Queue::sources(tx, &queue.settings.arn))?;
        // The one answer of this API that begins its members in lower case.
        request.page.of("queueUrls", host, sources)
    }

    pub(super) fn get_queue_attributes(&self, request: &GetQueueAttributes) -> Result<Value, Error> {
        if let Some(unknown) = request.attribute_names.iter().find(|name| !is_attribute(name)) {
            return Err(Error::InvalidAttributeName(unknown.clone()));
        }
        let queue = self.store.queue(queue_name(&request.queue_url))?;
        let counts = self.store.counts(&queue.name, unix_millis())?;
        let mut attributes = queue.settings.attributes();
        attributes.extend([
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("CreatedTimestamp", (queue.created / 1000).to_string()),
            ("LastModifiedTimestamp", (queue.modified / 1000).to_string()),
        ]);
        if !request.attribute_names.iter().any(|name| name == "All") {
            attributes.retain(|name, _| request.attribute_names.iter().any(|wanted| wanted == name));
        }
        Ok(json!({"Attributes": attributes}))
    }

    pub(super) fn set_queue_attributes(&self, request: &SetQueueAttributes) -> Result<Value, Error> {
        let name = queue_name(&request.queue_url);
        self.store.on_queue(name, |tx, queue| match changed(tx, queue.settings.clone(), &request.attributes)? {
            Ok(settings) => Queue::save(tx, name, &settings, unix_millis()).map(|_| Ok(())),
            Err(refused) => Ok(Err(refused)),
        })??;
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&self, request: &OfQueue) -> Result<Value, Error> {
        self.store.purge(queue_name(&request.queue_url))?;
        Ok(json!({}))
    }

    pub(super) fn tag_queue(&self, request: &TagQueue) -> Result<Value, Error> {
        tags::check(&request.tags)?;
        self.store.tag(queue_name(&request.queue_url), &request.tags)?;
        Ok(json!({}))
    }

    pub(super) fn untag_queue(&self, request: &UntagQueue) -> Result<Value, Error> {
        self.store.untag(queue_name(&request.queue_url), &request.tag_keys)?;
        Ok(json!({}))
    }

    pub(super) fn list_queue_tags(&self, request: &OfQueue) -> Result<Value, Error> {
        let tags = self.store.tags(queue_name(&request.queue_url))?;
        Ok(if tags.is_empty() { json!({}) } else { json!({"Tags": tags}) })
    }
}

impl Page {
    /// The URLs of this page of the named queues, which are in order. The token says after which name the next page begins;
    /// as on AWS, there is one only for those who say how long a page is to be.
    fn of(&self, member: &str, host: &str, mut names: Vec<String>) -> Result<Value, Error> {
        if let Some(token) = &self.next_token {
            let last = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
            let last = last.ok_or_else(|| Error::InvalidParameter("Invalid or expired next token.".to_owned()))?;
            names.retain(|name| *name > last);
        }
        let length = self.max_results.unwrap_or(MAX_RESULTS);
        if !(1..=MAX_RESULTS).contains(&length) {
            return Err(Error::InvalidParameter(format!(
                "Value {length} for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and {MAX_RESULTS}."
            )));
        }
        let has_more = names.len() > length;
        names.truncate(length);
        let urls: Vec<_> = names.iter().map(|name| queue_url(host, name)).collect();
        let mut answer = json!({ member: urls });
        if has_more
            && self.max_results.is_some()
            && let Some(last) = names.last()
        {
            answer["NextToken"] = BASE64_URL_SAFE_NO_PAD.encode(last).into();
        }
        Ok(answer)
    }
}

/// The settings with the attributes that are named. A dead-letter queue must exist.
fn changed(
    tx: &Transaction<'_>,
    mut settings: Settings,
    attributes: &BTreeMap<String, String>,
) -> rusqlite::Result<Result<Settings, Error>> {
    if let Err(refused) = settings.set(attributes) {
        return Ok(Err(refused));
    }
    if let Some(redrive) = settings.redrive.as_ref().filter(|_| attributes.contains_key("RedrivePolicy"))
        && Queue::find_by_arn(tx, &redrive.dead_letter_arn)?.is_none()
    {
        return Ok(Err(Error::InvalidParameter(
            "Value for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.".to_owned(),
        )));
    }
    Ok(Ok(settings))
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
