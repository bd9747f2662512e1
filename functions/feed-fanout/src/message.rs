//! Reading messages, and burying those that can't be read.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, error::DisplayErrorContext, types::MessageAttributeValue};
use tintype_core::event::{Event, VERSION, What};
use tintype_tables::config::{Missing, variable};
use tintype_telemetry::{self as telemetry, Outcome};

/// What a message's body says, or why it can't be understood.
pub(crate) fn read(body: &str) -> Result<What, String> {
    let event: Event = serde_json::from_str(body).map_err(|error| format!("not an event: {error}"))?;
    if event.version != VERSION {
        return Err(format!("version {} of {} is not known", event.version, event.id));
    }
    Ok(event.what)
}

/// The dead-letter queue, for messages whose reason is known.
pub(crate) struct DeadLetters {
    client: Client,
    queue: String,
}

impl DeadLetters {
    #[cfg(test)]
    pub(crate) fn new(client: Client, queue: &str) -> Self {
        Self { client, queue: queue.to_owned() }
    }

    pub(crate) fn from_env(aws: &SdkConfig) -> Result<Self, Missing> {
        Ok(Self { client: Client::new(aws), queue: variable("FEED_FANOUT_DLQ_URL")? })
    }

    /// Puts a message aside with attribute `reason`. If that fails it comes again instead: nothing is lost.
    pub(crate) async fn bury(&self, body: &str, reason: &str) -> Outcome {
        telemetry::field("error", reason);
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(reason).build().expect("a type is set");
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::sqs::SqsEvent;

    fn bodies(name: &str) -> Vec<String> {
        let path = format!("{}/../../events/feed-fanout/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: SqsEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        event.records.into_iter().map(|message| message.body.unwrap()).collect()
    }

    #[test]
    fn events_are_read() {
        let [published, follow] = bodies("post-published-and-follow").try_into().unwrap();
        assert!(matches!(read(&published), Ok(What::PostPublished { .. })));
        assert!(matches!(read(&follow), Ok(What::FollowChanged { .. })));
    }

    #[test]
    fn what_can_never_be_read_says_why() {
        let [newer, unknown, nonsense] = bodies("poison").try_into().unwrap();
        assert_eq!(read(&newer).unwrap_err(), "version 2 of 0193a1f0-0000-7000-8000-0000000000e3 is not known");
        assert!(read(&unknown).unwrap_err().starts_with("not an event: unknown variant `post.painted`"));
        assert!(read(&nonsense).unwrap_err().starts_with("not an event: "));
    }
}
