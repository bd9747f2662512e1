//! Reads that are answered in this process: the way through the database's own server takes longer than most of them.
//!
//! Only plain ones, in which the server finds nothing to object to that the database itself would not, and only where they succeed. All
//! others go to the server, which knows in what words AWS refuses.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use dynoxide::{
    Database,
    auth_material::{AuthMaterial, validate},
};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, ORIGIN},
    request::Parts,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

const JSON: &str = "application/x-amz-json-1.0";

/// The answer to a plain read.
pub(super) fn read(database: &Database, head: &Parts, body: &[u8]) -> Option<Response> {
    let target = head.headers.get("x-amz-target")?.to_str().ok()?;
    let operation = target.strip_prefix("DynamoDB_20120810.").filter(|_| has_plain_head(head))?;
    let body = str::from_utf8(body).ok()?;
    match operation {
        "GetItem" => answer(body, |request| database.get_item(request)),
        "BatchGetItem" => answer(body, |request| database.batch_get_item(request)),
        "Query" => answer(body, |request| database.query(request)),
        _ => None,
    }
}

/// Whether the server would look at the body, and the answer depends on nothing else.
fn has_plain_head(head: &Parts) -> bool {
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let signature = AuthMaterial {
        authorization: text(AUTHORIZATION),
        query: "",
        has_date_header: head.headers.contains_key("x-amz-date") || head.headers.contains_key(DATE),
    };
    head.method == Method::POST
        && head.uri.path() == "/"
        && head.uri.query().is_none()
        && text(CONTENT_TYPE) == Some(JSON)
        && !head.headers.contains_key(ORIGIN)
        && validate(signature).is_none()
}

fn answer<Request: DeserializeOwned, Answer: Serialize>(
    body: &str,
    read: impl FnOnce(Request) -> dynoxide::Result<Answer>,
) -> Option<Response> {
    if !is_plain(&serde_json::from_str(body).ok()?) {
        return None;
    }
    // From the text once more: a member that is there twice is an error then.
    let answer = read(serde_json::from_str(body).ok()?).ok()?;
    let body = serde_json::to_vec(&answer).ok()?;
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(JSON)),
        (http::HeaderName::from_static("x-amzn-requestid"), HeaderValue::try_from(request_id()).ok()?),
        (http::HeaderName::from_static("x-amz-crc32"), HeaderValue::from(crc32fast::hash(&body))),
    ]);
    Some((headers, Body::from(body)).into_response())
}

/// 52 characters, as DynamoDB's.
fn request_id() -> String {
    format!("{:032X}{:020X}", fastrand::u128(..), fastrand::u128(..1 << 80))
}

/// Whether a request has nothing but members of the types that they have to be of. What else the server checks before it asks
/// the database, values that are no values among it, it cannot find in such a one.
fn is_plain(request: &Map<String, Value>) -> bool {
    request.iter().all(|(name, value)| match name.as_str() {
        "TableName" | "IndexName" | "KeyConditionExpression" | "FilterExpression" | "ProjectionExpression" | "ReturnConsumedCapacity" => {
            value.is_string()
        }
        "ConsistentRead" | "ScanIndexForward" => value.is_boolean(),
        "Limit" => value.is_u64(),
        "Key" | "ExclusiveStartKey" | "ExpressionAttributeValues" => is_item(value),
        "ExpressionAttributeNames" => value.as_object().is_some_and(|names| names.values().all(Value::is_string)),
        "Keys" => value.as_array().is_some_and(|keys| keys.iter().all(is_item)),
        "RequestItems" => value.as_object().is_some_and(|tables| tables.values().all(|reads| reads.as_object().is_some_and(is_plain))),
        _ => false,
    })
}

/// Whether these are named texts, numbers and bytes, as keys are.
fn is_item(value: &Value) -> bool {
    let is_value = |value: &Value| {
        let is_text = |(kind, value): (&String, &Value)| matches!(kind.as_str(), "S" | "N" | "B") && value.is_string();
        value.as_object().is_some_and(|members| members.len() == 1 && members.iter().all(is_text))
    };
    value.as_object().is_some_and(|attributes| attributes.values().all(is_value))
}

#[cfg(test)]
#[path = "direct_tests.rs"]
mod tests;
