//! Message attributes: what they may be, how the API writes them, and their MD5.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};

use super::{Error, message::is_allowed};

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

/// Letters of a name, and of a data type.
const MAX_NAME: usize = 256;
/// What AWS keeps exactly of a number.
const MAX_DIGITS: usize = 38;

impl MessageAttribute {
    /// Refuses what AWS refuses.
    pub(super) fn validate(&self, name: &str) -> Result<(), Error> {
        let invalid = |why: String| Err(Error::InvalidParameter(why));
        if !is_name(name) {
            return invalid(format!("The message attribute name '{name}' is invalid."));
        }
        let base = self.data_type.split('.').next().unwrap_or_default();
        let typed_well = match &self.value {
            AttributeValue::Text(_) => matches!(base, "String" | "Number"),
            AttributeValue::Binary(_) => base == "Binary",
        };
        if !typed_well || self.data_type.len() > MAX_NAME {
            return invalid(format!("The message attribute '{name}' has an invalid message attribute type '{}'.", self.data_type));
        }
        if self.value.bytes().is_empty() {
            return invalid(format!("The message attribute '{name}' must contain a non-empty value."));
        }
        match &self.value {
            AttributeValue::Text(text) if base == "Number" && !is_number(text) => {
                invalid(format!("Can't cast the value of message (user) attribute '{name}' to a number."))
            }
            AttributeValue::Text(text) if !text.chars().all(is_allowed) => Err(Error::InvalidMessageContents),
            _ => Ok(()),
        }
    }

    /// Bytes that count against the message's limit, the name's apart.
    pub(super) fn size(&self) -> usize {
        self.data_type.len() + self.value.bytes().len()
    }
}

fn is_name(name: &str) -> bool {
    let reserved = ["aws.", "amazon."].iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix));
    (1..=MAX_NAME).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !reserved
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
}

/// A decimal number of up to 38 digits, with an exponent if need be.
fn is_number(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default().chars().filter(char::is_ascii_digit).count();
    // The parser takes `inf` and `NaN` too, which have no digits.
    (1..=MAX_DIGITS).contains(&digits) && text.parse::<f64>().is_ok_and(f64::is_finite)
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
    Some(md5(&encoded))
}

fn push_part(encoded: &mut Vec<u8>, part: &[u8]) {
    // A part is under 1 MiB, so its length always fits.
    encoded.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    encoded.extend(part);
}

/// MD5 in hex.
pub(super) fn md5(bytes: &[u8]) -> String {
    format!("{:032x}", u128::from_be_bytes(Md5::checksum(bytes)))
}
