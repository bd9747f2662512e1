//! The dead-letter queue, for messages whose reason is known.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, error::DisplayErrorContext, types::MessageAttributeValue};
use tintype_tables::config::{Missing, variable};
use tintype_telemetry::{self as telemetry, Outcome};

use crate::client;

/// A dead-letter queue, by its client and its URL.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    client: Client,
    queue: String,
}

impl DeadLetters {
    /// The queue at this URL.
    pub fn new(client: Client, queue: impl Into<String>) -> Self {
        Self { client, queue: queue.into() }
    }

    /// The queue whose URL is in environment variable `name`.
    pub fn from_env(aws: &SdkConfig, name: &str) -> Result<Self, Missing> {
        Ok(Self::new(client(aws, name), variable(name)?))
    }

    /// Puts a message aside with attribute `reason`. If that fails it comes again instead: nothing is lost.
    pub async fn bury(&self, body: &str, reason: &str) -> Outcome {
        telemetry::field("error", reason);
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(reason).build().expect("a type is set");
        // SQS takes no empty body.
        let body = if body.is_empty() { "{}" } else { body };
        let sent =
            self.client.send_message().queue_url(&self.queue).message_body(body).message_attributes("reason", attribute).send().await;
        match sent {
            Ok(_) => Outcome::Rejected,
            Err(error) => {
                telemetry::field("error", DisplayErrorContext(error).to_string());
                Outcome::Failed
            }
        }
    }
}
