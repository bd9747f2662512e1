//! The AWS JSON 1.0 protocol of SQS: `POST` with `X-Amz-Target: AmazonSQS.ACTION`.
//!
//! All actions of standard queues are here. FIFO queues, permissions and encryption are refused as
//! `UnsupportedOperation`, whether they are asked for by an action or by an attribute. AWS' waits of 60 seconds, after a
//! queue is deleted and between two purges, are not kept: here nothing needs time to spread.

mod messages;
mod moves;
mod queues;

use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Error, Queues};
use crate::ACCOUNT_ID;

/// What `X-Amz-Target` begins with.
pub(crate) const TARGET_PREFIX: &str = "AmazonSQS.";

impl Queues {
    /// Answers a request for `action`. `host` is the request's `Host`: queue URLs lead back to it.
    pub(crate) async fn answer(&self, action: &str, host: &str, body: &[u8]) -> Response<String> {
        match self.act(action, host, body).await {
            Ok(answer) => respond(StatusCode::OK, &answer),
            Err(error) => refuse(&error),
        }
    }

    async fn act(&self, action: &str, host: &str, body: &[u8]) -> Result<Value, Error> {
        match action {
            "CreateQueue" => self.create_queue(host, parse(body)?),
            "DeleteQueue" => self.delete_queue(&parse(body)?),
            "GetQueueUrl" => self.get_queue_url(host, &parse(body)?),
            "ListQueues" => self.list_queues(host, &parse(body)?),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(host, &parse(body)?),
            "GetQueueAttributes" => self.get_queue_attributes(&parse(body)?),
            "SetQueueAttributes" => self.set_queue_attributes(&parse(body)?),
            "PurgeQueue" => self.purge_queue(&parse(body)?),
            "TagQueue" => self.tag_queue(&parse(body)?),
            "UntagQueue" => self.untag_queue(&parse(body)?),
            "ListQueueTags" => self.list_queue_tags(&parse(body)?),
            "StartMessageMoveTask" => self.start_message_move_task(&parse(body)?),
            "ListMessageMoveTasks" => self.list_message_move_tasks(&parse(body)?),
            "CancelMessageMoveTask" => self.cancel_message_move_task(&parse(body)?),
            "SendMessage" => self.send_message(parse(body)?),
            "SendMessageBatch" => self.send_message_batch(parse(body)?),
            "ReceiveMessage" => self.receive_message(parse(body)?).await,
            "DeleteMessage" => self.delete_message(&parse(body)?),
            "DeleteMessageBatch" => self.delete_message_batch(parse(body)?),
            "ChangeMessageVisibility" => self.change_message_visibility(&parse(body)?),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(parse(body)?),
            "AddPermission" | "RemovePermission" => Err(Error::Unsupported(action.to_owned())),
            unknown => Err(Error::UnknownOperation(unknown.to_owned())),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() && error.to_string().starts_with("missing field") {
            Error::MissingParameter(format!("The request must contain the parameter: {error}."))
        } else {
            Error::Malformed(error.to_string())
        }
    })
}

fn respond(status: StatusCode, answer: &Value) -> Response<String> {
    let mut response = Response::new(answer.to_string());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    // SDKs show it with their errors.
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn refuse(error: &Error) -> Response<String> {
    let (shape, query_code) = error.names();
    let (status, fault) =
        if error.is_senders() { (StatusCode::BAD_REQUEST, "Sender") } else { (StatusCode::INTERNAL_SERVER_ERROR, "Receiver") };
    let mut response = respond(status, &json!({"__type": shape, "message": error.to_string()}));
    // SDKs name the error by this header where it is present, as they did before the JSON protocol.
    if let Ok(value) = HeaderValue::from_str(&format!("{query_code};{fault}")) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

/// What clients from before 2023 are told, who send forms and read XML; `None` for any other request.
pub(crate) fn refuse_query_protocol(method: &Method, headers: &HeaderMap) -> Option<Response<String>> {
    let is_form = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if method != Method::POST || !is_form {
        return None;
    }
    let mut response = Response::new(
        "<?xml version=\"1.0\"?>\n<ErrorResponse><Error><Type>Sender</Type><Code>UnsupportedOperation</Code><Message>The query protocol \
         (Action=...) is not emulated on this machine. Use a client that speaks AWS JSON: SDKs and CLIs do for SQS since the end of \
         2023.</Message></Error></ErrorResponse>"
            .to_owned(),
    );
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Some(response)
}

/// The queue's name, which is the last part of its URL.
fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// `http://HOST/000000000000/NAME`
fn queue_url(host: &str, name: &str) -> String {
    format!("http://{host}/{ACCOUNT_ID}/{name}")
}
