//! Sending events straight into a queue: for workers that consume one themselves. Handlers never send: their table speaks.

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    error::DisplayErrorContext,
    types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue},
};
use thiserror::Error;
use tintype_core::{
    Time,
    event::{Event, What},
};
use tintype_tables::config::{Missing, variable};
use tintype_telemetry as telemetry;

use crate::client;

/// The queue did not take a message, after retries.
#[derive(Debug, Error)]
#[error("a queue is unavailable: {0}")]
pub struct SendError(String);

/// A queue to send to, by its client and its URL.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    queue: String,
}

impl Sender {
    /// The queue at this URL.
    pub fn new(client: Client, queue: impl Into<String>) -> Self {
        Self { client, queue: queue.into() }
    }

    /// The queue whose URL is in environment variable `name`.
    pub fn from_env(aws: &SdkConfig, name: &str) -> Result<Self, Missing> {
        Ok(Self::new(client(aws, name), variable(name)?))
    }

    /// Sends an event, with the trace of what is being worked on.
    pub async fn send(&self, what: What) -> Result<(), SendError> {
        let event = Event::new(what, Time::now(), &telemetry::trace_id());
        let mut message = self.client.send_message().queue_url(&self.queue).message_body(event.to_json());
        if !event.trace_id.is_empty() {
            let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(&event.trace_id).build();
            message = message.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.expect("a type is set"));
        }
        message.send().await.map_err(|error| SendError(DisplayErrorContext(error).to_string()))?;
        Ok(())
    }
}
