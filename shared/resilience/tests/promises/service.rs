//! A DynamoDB that answers what it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region, retry::RetryConfig},
    operation::get_item::GetItemOutput,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Answered,
    /// The request's own fault.
    Condition,
    Throttled,
    Internal,
    Disconnected,
    /// It never ends.
    Hangs,
}

impl Attempt {
    /// Whether the SDK would try again.
    pub(crate) fn is_tried_again(self) -> bool {
        !matches!(self, Self::Answered | Self::Condition)
    }
}

/// What the next attempts meet; the last one stays.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    next: VecDeque<Attempt>,
    attempts: usize,
}

impl Service {
    pub(crate) fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Self(Arc::new(Mutex::new(Script { next: attempts.into_iter().collect(), attempts: 0 })))
    }

    pub(crate) fn becomes(&self, attempt: Attempt) {
        self.0.lock().unwrap().next = [attempt].into();
    }

    /// How many attempts have come so far.
    pub(crate) fn attempts(&self) -> usize {
        self.0.lock().unwrap().attempts
    }

    /// Its client, as functions have it, but for what stands before it.
    pub(crate) fn client(&self, with: impl FnOnce(Builder) -> Builder) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Client::from_conf(with(config).build())
    }
}

impl HttpConnector for Service {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut script = self.0.lock().unwrap();
        script.attempts += 1;
        let attempt = if script.next.len() > 1 { script.next.pop_front() } else { script.next.front().copied() };
        let (status, code) = match attempt.expect("a script has something in it") {
            Attempt::Answered => (200, ""),
            Attempt::Condition => (400, "ConditionalCheckFailedException"),
            Attempt::Throttled => (400, "ThrottlingException"),
            Attempt::Internal => (500, "InternalServerError"),
            Attempt::Disconnected => return HttpConnectorFuture::ready(Err(ConnectorError::io("gone".into()))),
            Attempt::Hangs => return HttpConnectorFuture::new(std::future::pending()),
        };
        let body = if code.is_empty() { "{}".to_owned() } else { format!(r#"{{"__type":"{code}"}}"#) };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.into())))
    }
}

/// A call, and how it ended.
pub(crate) async fn call(client: &Client) -> Result<GetItemOutput, String> {
    let key = aws_sdk_dynamodb::types::AttributeValue::S("one".to_owned());
    let called = client.get_item().table_name("table").key("pk", key).send().await;
    called.map_err(|error| aws_sdk_dynamodb::error::DisplayErrorContext(error).to_string())
}
