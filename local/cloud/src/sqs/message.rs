//! What a message is made of, and the limits that AWS sets to it.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Error, MessageAttribute,
    attribute::{AttributeValue, md5, md5_of_attributes},
};

/// Bytes of body and attributes together; in a batch, of all its messages.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
const MAX_ATTRIBUTES: usize = 10;
const MAX_DELAY: Duration = Duration::from_mins(15);
/// Letters of a `MessageGroupId`.
const MAX_GROUP: usize = 128;

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The text.
    pub body: String,
    /// Message attributes by name.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// System attribute `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// `MessageGroupId`: on a standard queue a hint for fairness, which orders nothing.
    pub group_id: Option<String>,
    /// How long it stays hidden at first, if not as long as its queue says.
    pub delay: Option<Duration>,
}

/// The answer to a sent message.
#[derive(Debug, Clone)]
pub struct Sent {
    /// A UUID.
    pub message_id: String,
    /// MD5 of the body, in hex.
    pub md5_of_body: String,
    /// MD5 of the attributes, in hex, if there are any.
    pub md5_of_attributes: Option<String>,
    /// MD5 of the system attributes, likewise.
    pub md5_of_system_attributes: Option<String>,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// A UUID, the same at each receive.
    pub message_id: String,
    /// Names this receive, to delete the message or to change its visibility.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// MD5 of the body, in hex.
    pub md5_of_body: String,
    /// Message attributes by name.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// `SentTimestamp`, `ApproximateReceiveCount`, `ApproximateFirstReceiveTimestamp`, `SenderId`;
    /// `AWSTraceHeader` and `MessageGroupId` if it was sent with them, `DeadLetterQueueSourceArn` if
    /// it was moved.
    pub system: BTreeMap<String, String>,
}

impl Message {
    /// MD5 of all attributes, in hex, if there are any.
    pub fn md5_of_attributes(&self) -> Option<String> {
        md5_of_attributes(&self.attributes)
    }
}

impl NewMessage {
    /// Refuses what AWS refuses, whatever the queue.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.body.is_empty() {
            return Err(Error::MissingParameter("The request must contain the parameter MessageBody.".to_owned()));
        }
        if !self.body.chars().all(is_allowed) {
            return Err(Error::InvalidMessageContents);
        }
        self.check_size(MAX_BYTES)?;
        if let Some(delay) = self.delay.filter(|delay| *delay > MAX_DELAY) {
            let seconds = delay.as_secs();
            return Err(Error::InvalidParameter(format!(
                "Value {seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            )));
        }
        if self.group_id.as_ref().is_some_and(|group| !is_group(group)) {
            return Err(Error::InvalidParameter(
                "Value for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation \
                 characters. 1 to 128 in length."
                    .to_owned(),
            ));
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            let count = self.attributes.len();
            return Err(Error::InvalidParameter(format!("Number of message attributes [{count}] exceeds the allowed maximum [10].")));
        }
        self.attributes.iter().try_for_each(|(name, attribute)| attribute.validate(name))
    }

    /// Refuses a message that is larger than `limit`, which its queue may set.
    pub(super) fn check_size(&self, limit: usize) -> Result<(), Error> {
        if self.size() <= limit {
            return Ok(());
        }
        Err(Error::InvalidParameter(format!("One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.")))
    }

    /// Bytes that count against the limit: system attributes do not.
    pub(super) fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(|(name, attribute)| name.len() + attribute.size()).sum::<usize>()
    }

    /// What the sender is told about it.
    pub(super) fn sent_as(&self, message_id: String) -> Sent {
        let trace_header = self.trace_header.as_ref().map(|value| {
            let attribute = MessageAttribute { data_type: "String".to_owned(), value: AttributeValue::Text(value.clone()) };
            ("AWSTraceHeader".to_owned(), attribute)
        });
        Sent {
            message_id,
            md5_of_body: md5(self.body.as_bytes()),
            md5_of_attributes: md5_of_attributes(&self.attributes),
            md5_of_system_attributes: md5_of_attributes(&trace_header.into_iter().collect()),
        }
    }
}

/// Letters, digits and punctuation: all that ASCII can print but the space.
fn is_group(group: &str) -> bool {
    (1..=MAX_GROUP).contains(&group.len()) && group.chars().all(|c| c.is_ascii_graphic())
}

/// The characters of XML 1.0, as AWS documents for message bodies.
pub(super) fn is_allowed(c: char) -> bool {
    matches!(c, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
