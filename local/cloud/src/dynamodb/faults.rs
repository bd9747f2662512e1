//! What goes wrong with DynamoDB on purpose, in the words of its API: requests that others' transactions
//! get in the way of, batches that are done in part, and refusals.

use axum::{
    body::Bytes,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tintype_chaos::{Fault, Turn};

use super::Failure;
use crate::chaos::Refusal;

const CONFLICT: &str = "Transaction is ongoing for the item";
/// As tables in on-demand mode say it.
const THROTTLED: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or index so \
     please try again shortly. If exceptions persist, check if you have a hot key: \
     https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";

/// What a request that is not done is answered. A transaction is cancelled by the throttling of one of its items.
pub(super) fn refusal(refusal: Refusal, turn: &Turn, operation: &str, body: &[u8]) -> Response {
    match refusal {
        Refusal::Error => refuse(StatusCode::INTERNAL_SERVER_ERROR, &named("InternalServerError"), "Internal server error"),
        Refusal::Throttle => cancelled(turn, Fault::Throttle, operation, body, "ThrottlingError", THROTTLED)
            .unwrap_or_else(|| refuse(StatusCode::BAD_REQUEST, &named("ThrottlingException"), THROTTLED)),
    }
}

/// The answer to a request that meets somebody else's transaction, if this one does.
pub(super) fn conflict(turn: &Turn, operation: &str, body: &[u8]) -> Option<Response> {
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" if turn.strikes(Fault::Conflict) => {
            Some(refuse(StatusCode::BAD_REQUEST, &named("TransactionConflictException"), CONFLICT))
        }
        "TransactWriteItems" | "TransactGetItems" if turn.strikes(Fault::Conflict) => {
            cancelled(turn, Fault::Conflict, operation, body, "TransactionConflict", CONFLICT)
        }
        _ => None,
    }
}

/// The answer to a transaction that one of its items cancels, a random one. `None` if there is no transaction to be
/// cancelled; one without items is the database's to refuse.
fn cancelled(turn: &Turn, fault: Fault, operation: &str, body: &[u8], code: &str, message: &str) -> Option<Response> {
    if !matches!(operation, "TransactWriteItems" | "TransactGetItems") {
        return None;
    }
    let request: Value = serde_json::from_slice(body).ok()?;
    let items = request["TransactItems"].as_array().map(Vec::len).filter(|items| *items > 0)?;
    let culprit = turn.choices(fault)(items);
    let of_each =
        |culprits: Value, others: Value| (0..items).map(move |item| if item == culprit { culprits.clone() } else { others.clone() });
    let codes: Vec<_> = (0..items).map(|item| if item == culprit { code } else { "None" }).collect();
    let reasons: Vec<_> = of_each(json!({"Code": code, "Message": message}), json!({"Code": "None"})).collect();
    let mut response = respond(&json!({
        "__type": named("TransactionCanceledException"),
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", ")),
        "CancellationReasons": reasons,
    }));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Some(response)
}

/// A batch of which only a part is done.
pub(super) struct Part {
    request: Value,
    /// What is left undone, by table, as the answer has it.
    rest: Map<String, Value>,
    /// Where the answer has it.
    member: &'static str,
}

/// The part of a batch that is done, if this is a batch and not all of it is: from nothing to all entries but one.
/// `keys` are the key attributes of a table. A batch that DynamoDB refuses has no part: it is refused as a whole.
pub(super) fn part(turn: &Turn, operation: &str, body: &[u8], keys: impl Fn(&str) -> Option<Vec<String>>) -> Option<Part> {
    let (member, most) = match operation {
        "BatchWriteItem" => ("UnprocessedItems", 25),
        "BatchGetItem" => ("UnprocessedKeys", 100),
        _ => return None,
    };
    if !turn.strikes(Fault::Unprocessed) {
        return None;
    }
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let tables = request["RequestItems"].as_object_mut()?;
    let mut rest = tables.clone();
    let count: usize = tables.values_mut().filter_map(entries).map(|entries| entries.len()).sum();
    if count == 0 || count > most || tables.iter().any(|(table, asked)| has_duplicates(asked, keys(table))) {
        return None;
    }
    let mut undone = vec![false; count];
    let mut left: Vec<usize> = (0..count).collect();
    let mut choose = turn.choices(Fault::Unprocessed);
    for _ in 0..=choose(count) {
        undone[left.swap_remove(choose(left.len()))] = true;
    }
    keep(tables, undone.iter().map(|undone| !undone));
    keep(&mut rest, undone.iter().copied());
    Some(Part { request, rest, member })
}

/// Whether a batch asks for one item of a table twice. One whose table is unknown is refused anyway.
fn has_duplicates(asked: &Value, keys: Option<Vec<String>>) -> bool {
    let Some(keys) = keys else { return true };
    let key = |entry: &Value| -> Vec<Value> {
        let holder = entry["DeleteRequest"].get("Key").or_else(|| entry["PutRequest"].get("Item")).unwrap_or(entry);
        keys.iter().map(|name| holder[name].clone()).collect()
    };
    let asked: Vec<_> = asked.as_array().or_else(|| asked["Keys"].as_array()).into_iter().flatten().map(key).collect();
    // There are at most a hundred.
    asked.iter().enumerate().any(|(nth, key)| asked[..nth].contains(key))
}

/// Keeps the entries whose flag is set, and the tables that have any.
fn keep(tables: &mut Map<String, Value>, mut flags: impl Iterator<Item = bool>) {
    tables.retain(|_, table| {
        entries(table).is_some_and(|entries| {
            entries.retain(|_| flags.next().unwrap_or(false));
            !entries.is_empty()
        })
    });
}

/// What a batch asks of one table: writes are a list, reads a list of keys and how to read them.
fn entries(table: &mut Value) -> Option<&mut Vec<Value>> {
    match table {
        Value::Array(writes) => Some(writes),
        reads => reads.get_mut("Keys")?.as_array_mut(),
    }
}

impl Part {
    /// The request for what is done; `None` if that is nothing.
    pub(super) fn done(&self) -> Option<Bytes> {
        let is_nothing = self.request["RequestItems"].as_object().is_none_or(Map::is_empty);
        (!is_nothing).then(|| self.request.to_string().into())
    }

    /// The answer to the whole batch. What the database itself has left undone stays in it.
    pub(super) async fn completed(self, answer: Response) -> Result<Response, Failure> {
        if answer.status() != StatusCode::OK {
            return Ok(answer);
        }
        let mut answer = read(answer).await?;
        let unprocessed = answer.as_object_mut().ok_or("an answer is an object")?.entry(self.member).or_insert_with(|| json!({}));
        for (table, mut rest) in self.rest {
            match unprocessed.get_mut(&table).and_then(entries) {
                Some(known) => known.append(entries(&mut rest).ok_or("a batch has entries")?),
                None => unprocessed[table] = rest,
            }
        }
        if self.member == "UnprocessedKeys" && answer["Responses"].is_null() {
            answer["Responses"] = json!({});
        }
        Ok(respond(&answer))
    }
}

/// An answer's body.
pub(super) async fn read(answer: Response) -> Result<Value, Failure> {
    Ok(serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?)
}

/// A good answer.
pub(super) fn respond(answer: &Value) -> Response {
    let mut response = answer.to_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// A refusal of this type.
pub(super) fn refuse(status: StatusCode, kind: &str, message: &str) -> Response {
    let mut response = respond(&json!({"__type": kind, "message": message}));
    *response.status_mut() = status;
    response
}

fn named(error: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{error}")
}
