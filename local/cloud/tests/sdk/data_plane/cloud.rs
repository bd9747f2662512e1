//! The endpoint under test, and what a test makes there: under names of its own, and gone when it ends.

use std::{collections::HashMap, env, sync::Mutex};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::host::{self, Host, eventually, sdk};

/// An item of a table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The endpoint that the environment names (`TINTYPE_AWS_URL`, and for DynamoDB `TINTYPE_DYNAMODB_URL` if that is another), or else
/// ours, started for one test.
pub(crate) struct Cloud {
    aws: SdkConfig,
    dynamodb: SdkConfig,
    made: Mutex<Vec<Made>>,
    /// Kept until the test ends; `None` if the endpoint is somebody else's.
    host: Option<Host>,
}

/// What was made, by the name that deletes it.
enum Made {
    Table(String),
    Queue(String),
    Bucket(String),
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let (aws_url, dynamodb_url, host) = if let Ok(url) = env::var("TINTYPE_AWS_URL") {
            let dynamodb_url = env::var("TINTYPE_DYNAMODB_URL").unwrap_or_else(|_| url.clone());
            (url, dynamodb_url, None)
        } else {
            let host = Host::start().await;
            (host.url.clone(), host.url.clone(), Some(host))
        };
        Self { aws: sdk(&aws_url).await, dynamodb: sdk(&dynamodb_url).await, made: Mutex::default(), host }
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.dynamodb)
    }

    pub(crate) fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(&self.dynamodb)
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.aws)
    }

    /// The client that functions have.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        tintype_buckets::client(&self.aws)
    }

    /// A client as an SDK makes it when it is told nothing: it sends checksums in trailers.
    pub(crate) fn s3_with_trailers(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.aws)
    }

    /// Makes a table in the manner of the template's, with a stream and the sparse index `ByDeadline`.
    pub(crate) async fn table(&self) -> Table {
        let name = unique();
        let text = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap();
        let key = |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let by_deadline = GlobalSecondaryIndex::builder()
            .index_name("ByDeadline")
            .key_schema(key("unfinished", KeyType::Hash))
            .key_schema(key("deadline", KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
        let client = self.dynamodb();
        let create = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
        let create = create.set_attribute_definitions(Some(["pk", "sk", "unfinished", "deadline"].map(text).into()));
        let create = create.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
        let create = create.global_secondary_indexes(by_deadline.build().unwrap()).stream_specification(stream.build().unwrap());
        create.send().await.unwrap();
        self.made(Made::Table(name.clone()));
        eventually("the table is active", async || {
            let described = client.describe_table().table_name(&name).send().await.unwrap();
            described.table().unwrap().table_status() == Some(&TableStatus::Active)
        })
        .await;
        Table { client, name }
    }

    /// Makes a queue, and answers its URL.
    pub(crate) async fn queue(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let created = self.sqs().create_queue().queue_name(unique()).set_attributes(Some(attributes)).send().await.unwrap();
        let url = created.queue_url.unwrap();
        self.made(Made::Queue(url.clone()));
        url
    }

    /// Makes an empty bucket. At our own endpoint, where only the template makes buckets, it is one of the host's.
    pub(crate) async fn bucket(&self) -> String {
        if self.host.is_some() {
            return host::MEDIA.to_owned();
        }
        let name = unique();
        self.s3().create_bucket().bucket(&name).send().await.unwrap();
        self.made(Made::Bucket(name.clone()));
        name
    }

    fn made(&self, made: Made) {
        self.made.lock().unwrap().push(made);
    }
}

/// Our own endpoint ends with the test. Somebody else's keeps what is not deleted, whether the test passes or fails.
impl Drop for Cloud {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        if self.host.is_some() || made.is_empty() {
            return;
        }
        let url = |config: &SdkConfig| config.endpoint_url().unwrap().to_owned();
        let (aws_url, dynamodb_url) = (url(&self.aws), url(&self.dynamodb));
        // The test's own runtime waits here: its connections can't be used.
        let sweeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (aws, dynamodb) = (sdk(&aws_url).await, sdk(&dynamodb_url).await);
                for made in made {
                    made.delete(&aws, &dynamodb).await;
                }
            });
        });
        let swept = sweeper.join();
        // A test that fails already has more to say.
        assert!(swept.is_ok() || std::thread::panicking(), "what the test made can't be deleted");
    }
}

impl Made {
    async fn delete(self, aws: &SdkConfig, dynamodb: &SdkConfig) {
        match self {
            Self::Table(name) => drop(aws_sdk_dynamodb::Client::new(dynamodb).delete_table().table_name(name).send().await.unwrap()),
            Self::Queue(url) => drop(aws_sdk_sqs::Client::new(aws).delete_queue().queue_url(url).send().await.unwrap()),
            Self::Bucket(name) => {
                let client = tintype_buckets::client(aws);
                let mut pages = client.list_objects_v2().bucket(&name).into_paginator().send();
                while let Some(page) = pages.next().await {
                    let keys = page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key);
                    let keys: Vec<_> = keys.map(|key| ObjectIdentifier::builder().key(key).build().unwrap()).collect();
                    if !keys.is_empty() {
                        let delete = Delete::builder().set_objects(Some(keys)).build().unwrap();
                        client.delete_objects().bucket(&name).delete(delete).send().await.unwrap();
                    }
                }
                client.delete_bucket().bucket(&name).send().await.unwrap();
            }
        }
    }
}

/// A table of [`Cloud::table`].
pub(crate) struct Table {
    pub(crate) client: aws_sdk_dynamodb::Client,
    pub(crate) name: String,
}

impl Table {
    pub(crate) async fn put(&self, item: Item) {
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    /// Reads an item consistently.
    pub(crate) async fn get(&self, pk: &str, sk: &str) -> Option<Item> {
        self.client.get_item().table_name(&self.name).set_key(Some(item(pk, sk, []))).consistent_read(true).send().await.unwrap().item
    }
}

/// An item of a key and other attributes.
pub(crate) fn item<const N: usize>(pk: &str, sk: &str, attributes: [(&str, AttributeValue); N]) -> Item {
    let keys = [("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))];
    keys.into_iter().chain(attributes.map(|(name, value)| (name.to_owned(), value))).collect()
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A name that nobody else has, fit for tables, queues and buckets.
fn unique() -> String {
    format!("tintype-test-{}", uuid::Uuid::new_v4().simple())
}
