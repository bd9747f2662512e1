//! An endpoint on a free port, with a temporary state folder that can be opened again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use dynoxide::Database;
use serde_json::{Value, json};
use tempfile::TempDir;
use tintype_chaos::Chaos;
use tintype_cloud::{
    Credentials, dynamodb,
    endpoint::{self, Services},
    s3::{Buckets, Deliver},
    secrets::Secrets,
    sqs::Queues,
    state::StateDir,
};
use tintype_template::deployment::{Bucket, CorsRule, Notification, Queue, Redrive, Secret, Table};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::Instant};

pub(crate) const UPLOADS: &str = "tintype-uploads-000000000000-us-east-1";
pub(crate) const MEDIA: &str = "tintype-media-000000000000-us-east-1";
pub(crate) const PROCESSOR: &str = "tintype-photo-processor";
/// LocalStack verifies the signatures of whom it does not know with `test`; so tests sign alike everywhere.
pub(crate) const ACCESS_KEY: &str = "test";
pub(crate) const SECRET_KEY: &str = "test";

/// A running endpoint.
pub(crate) struct Host {
    folder: Option<TempDir>,
    pub(crate) url: String,
    pub(crate) sdk: SdkConfig,
    pub(crate) database: Database,
    pub(crate) buckets: Buckets,
    pub(crate) chaos: Chaos,
    /// What was delivered to functions.
    delivered: Arc<Mutex<Vec<(String, Value)>>>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    state: StateDir,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        let state = StateDir::open(folder.path(), false).unwrap();
        let credentials = Credentials { access_key: ACCESS_KEY.to_owned(), secret_key: SECRET_KEY.to_owned() };
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let deliver: Deliver = Arc::new({
            let delivered = delivered.clone();
            move |function, event| {
                delivered.lock().unwrap().push((function.to_owned(), serde_json::from_slice(event).unwrap()));
                Ok(())
            }
        });
        let chaos = Chaos::with_tables([], ["PostsTable".to_owned(), "UsersTable".to_owned()]);
        let buckets =
            Buckets::open(&state.path("buckets"), &buckets(), state.control(), &credentials, deliver, chaos.place("s3")).await.unwrap();
        let database = dynamodb::open(&state.path("dynamodb.db"), &[posts_table()]).unwrap();
        let services = Services {
            chaos: chaos.clone(),
            streams: dynamodb::Streams::new(&state.path("dynamodb.db")),
            database: database.clone(),
            buckets: buckets.clone(),
            queues: Queues::open(&state.path("queues.db"), &queues(), chaos.place("sqs")).unwrap(),
            secrets: Secrets::open(state.control(), &[token_secret()]).unwrap(),
            lambda: axum::Router::new().route("/2015-03-31/functions/{name}/invocations", axum::routing::post(|| async { "invoked" })),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(endpoint::serve(listener, services, stopped));
        let sdk = sdk(&url).await;
        Self { folder: Some(folder), url, sdk, database, buckets, chaos, delivered, stop, server, state }
    }

    /// Stops, and starts again with what is kept.
    pub(crate) async fn restart(mut self) -> Self {
        let folder = self.folder.take().unwrap();
        self.stop.send_replace(true);
        self.server.await.unwrap().unwrap();
        // The lock goes with the folder, and the database closes with its last handle.
        drop((self.state, self.database, self.buckets));
        Self::start_in(folder).await
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.sdk)
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk)
    }

    /// The files below the buckets.
    pub(crate) fn blobs(&self) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(self.state.path("buckets")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    pub(crate) fn delivered(&self) -> Vec<(String, Value)> {
        self.delivered.lock().unwrap().clone()
    }

    /// The names and keys of the events that were delivered.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let record = |event: &Value| (text(&event["Records"][0]["eventName"]), text(&event["Records"][0]["s3"]["object"]["key"]));
        self.delivered().iter().map(|(_, event)| record(event)).collect()
    }
}

/// Asks until the answer is yes.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The SDK's configuration for an endpoint.
pub(crate) async fn sdk(url: &str) -> SdkConfig {
    let credentials = aws_sdk_s3::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(credentials))
        .load()
        .await
}

fn buckets() -> Vec<Bucket> {
    let notification = Notification {
        function: PROCESSOR.to_owned(),
        events: vec!["s3:ObjectCreated:*".to_owned()],
        prefix: "uploads/".to_owned(),
        suffix: String::new(),
    };
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let uploads_of_pages = CorsRule {
        allowed_methods: texts(&["PUT"]),
        allowed_headers: texts(&["Content-Type"]),
        exposed_headers: texts(&["ETag"]),
        max_age: None,
    };
    vec![
        Bucket { name: UPLOADS.to_owned(), notifications: vec![notification], cors: vec![uploads_of_pages] },
        Bucket { name: MEDIA.to_owned(), notifications: Vec::new(), cors: Vec::new() },
    ]
}

fn queues() -> Vec<Queue> {
    let queue = |name: &str, redrive| Queue {
        name: name.to_owned(),
        arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
        visibility_timeout: Duration::from_secs(1),
        retention: Duration::from_hours(24),
        delay: Duration::ZERO,
        receive_wait: Duration::ZERO,
        max_message_bytes: 1024 * 1024,
        redrive,
    };
    let dead = queue("tintype-FeedFanoutDlq", None);
    let redrive = Redrive { dead_letter_arn: dead.arn.clone(), max_receive_count: 2 };
    vec![queue("tintype-FeedFanoutQueue", Some(redrive)), dead]
}

fn token_secret() -> Secret {
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-TokenSecret-abc123".to_owned();
    Secret { name: "tintype-TokenSecret".to_owned(), arn, length: 64 }
}

pub(crate) fn posts_table() -> Table {
    let create = json!({
        "TableName": "tintype-PostsTable",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    });
    Table { name: "tintype-PostsTable".to_owned(), create, ttl_attribute: Some("expires_at".to_owned()) }
}
