//! What a message is made of, and the limits that AWS sets to it.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};

use super::Error;

/// Bytes of body and attributes together; in a batch, of all its messages.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
const MAX_ATTRIBUTES: usize = 10;
const MAX_DELAY: Duration = Duration::from_mins(15);

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
    /// How long it stays hidden at first.
    pub delay: Duration,
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

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireAttribute", into = "WireAttribute")]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, perhaps with `.label`.
    pub data_type: String,
    /// The value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of data types `String` and `Number`.
    Text(String),
    /// Of data type `Binary`.
    Binary(Vec<u8>),
}

impl AttributeValue {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A message attribute as the API writes it, and as the database keeps it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAttribute {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl TryFrom<WireAttribute> for MessageAttribute {
    type Error = String;

    fn try_from(wire: WireAttribute) -> Result<Self, String> {
        let value = match (wire.string_value, wire.binary_value) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(encoded)) => {
                AttributeValue::Binary(BASE64_STANDARD.decode(encoded).map_err(|_| "BinaryValue is not base64".to_owned())?)
            }
            _ => return Err("a message attribute has either a StringValue or a BinaryValue".to_owned()),
        };
        Ok(Self { data_type: wire.data_type, value })
    }
}

impl From<MessageAttribute> for WireAttribute {
    fn from(attribute: MessageAttribute) -> Self {
        let (string_value, binary_value) = match attribute.value {
            AttributeValue::Text(text) => (Some(text), None),
            AttributeValue::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        Self { data_type: attribute.data_type, string_value, binary_value }
    }
}

impl NewMessage {
    /// Refuses what AWS refuses.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.body.is_empty() {
            return Err(Error::MissingParameter("The request must contain the parameter MessageBody.".to_owned()));
        }
        if !self.body.chars().all(is_allowed) {
            return Err(Error::InvalidMessageContents);
        }
        if self.size() > MAX_BYTES {
            return Err(invalid(format!("One or more parameters are invalid. Reason: Message must be shorter than {MAX_BYTES} bytes.")));
        }
        if self.delay > MAX_DELAY {
            let seconds = self.delay.as_secs();
            return Err(invalid(format!(
                "Value {seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            )));
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(invalid(format!("Number of message attributes [{}] exceeds the allowed maximum [10].", self.attributes.len())));
        }
        self.attributes.iter().try_for_each(|(name, attribute)| attribute.validate(name))
    }

    /// Bytes that count against the limit.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, a)| name.len() + a.data_type.len() + a.value.bytes().len());
        self.body.len() + attributes.sum::<usize>()
    }
}

impl MessageAttribute {
    fn validate(&self, name: &str) -> Result<(), Error> {
        let named_well = !name.is_empty() && name.len() <= 256 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !named_well {
            return Err(invalid(format!("The message attribute name '{name}' is invalid.")));
        }
        let base = self.data_type.split('.').next().unwrap_or_default();
        let typed_well = match &self.value {
            AttributeValue::Text(_) => matches!(base, "String" | "Number"),
            AttributeValue::Binary(_) => base == "Binary",
        };
        if !typed_well {
            return Err(invalid(format!("The message attribute '{name}' has an invalid message attribute type '{}'.", self.data_type)));
        }
        if self.value.bytes().is_empty() {
            return Err(invalid(format!("The message attribute '{name}' must contain a non-empty value.")));
        }
        Ok(())
    }
}

/// The characters of XML 1.0, as AWS documents for message bodies.
fn is_allowed(c: char) -> bool {
    matches!(c, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn invalid(message: String) -> Error {
    Error::InvalidParameter(message)
}

/// MD5 in hex, as SDKs verify it for bodies.
pub(super) fn md5_of_body(body: &str) -> String {
    hex(Md5::checksum(body.as_bytes()))
}

/// MD5 of message attributes, as SDKs verify it: names in order, each part with its length before it.
pub(super) fn md5_of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Option<String> {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    if attributes.is_empty() {
        return None;
    }
    let mut encoded = Vec::new();
    for (name, attribute) in attributes {
        push_part(&mut encoded, name.as_bytes());
        push_part(&mut encoded, attribute.data_type.as_bytes());
        encoded.push(if matches!(attribute.value, AttributeValue::Text(_)) { TEXT } else { BINARY });
        push_part(&mut encoded, attribute.value.bytes());
    }
    Some(hex(Md5::checksum(&encoded)))
}

fn push_part(encoded: &mut Vec<u8>, part: &[u8]) {
    // A part is under 1 MiB, so its length always fits.
    encoded.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    encoded.extend(part);
}

fn hex(digest: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(digest))
}
