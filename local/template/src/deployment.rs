//! What the template declares, resolved for this machine: the emulators are told this and nothing else.

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;
use serde_json::Value;

use crate::cron::Cron;

/// Everything that `template.yaml` makes, with parameters, conditions and references resolved.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// `AWS::DynamoDB::Table`
    pub tables: Vec<Table>,
    /// `AWS::SQS::Queue`
    pub queues: Vec<Queue>,
    /// `AWS::S3::Bucket`
    pub buckets: Vec<Bucket>,
    /// `AWS::SecretsManager::Secret`
    pub secrets: Vec<Secret>,
    /// `AWS::Serverless::Function`
    pub functions: Vec<Function>,
    /// `AWS::Serverless::Api`
    pub api: Api,
    /// Where `/media/*` of the distribution comes from.
    pub media: Option<MediaOrigin>,
}

/// A DynamoDB table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Physical name.
    pub name: String,
    /// The body of the `CreateTable` request that makes it.
    pub create: Value,
    /// The attribute (seconds since 1970) after which an item may go.
    pub ttl_attribute: Option<String>,
}

/// An SQS standard queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Physical name.
    pub name: String,
    /// `arn:aws:sqs:REGION:ACCOUNT:NAME`
    pub arn: String,
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// How long a new message stays hidden, unless it says otherwise.
    pub delay: Duration,
    /// How long a receive waits, unless it says otherwise.
    pub receive_wait: Duration,
    /// Most bytes of a message.
    pub max_message_bytes: usize,
    /// Where a message goes that was received too often.
    pub redrive: Option<Redrive>,
}

/// A queue's `RedrivePolicy`.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub dead_letter_arn: String,
    /// Receives after which a message moves there.
    pub max_receive_count: u32,
}

/// An S3 bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Physical name.
    pub name: String,
    /// Who is told of new objects.
    pub notifications: Vec<Notification>,
    /// What pages of other origins may do, by the first rule that fits; nothing if there is none.
    pub cors: Vec<CorsRule>,
}

/// What a bucket lets pages of any origin do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsRule {
    /// For example `PUT`.
    pub allowed_methods: Vec<String>,
    /// Names of headers that a request may have, in any case; never with a wildcard.
    pub allowed_headers: Vec<String>,
    /// Names of headers that a page may read of an answer.
    pub exposed_headers: Vec<String>,
    /// How long a browser need not ask again, seconds.
    pub max_age: Option<u32>,
}

/// An S3 event notification to a function.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Physical name of the function.
    pub function: String,
    /// For example `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys that end with this.
    pub suffix: String,
}

/// A secret whose value Secrets Manager generates.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Physical name.
    pub name: String,
    /// `arn:aws:secretsmanager:...`
    pub arn: String,
    /// Characters to generate.
    pub length: usize,
}

/// A Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Physical name, for example `tintype-posts`.
    pub name: String,
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`
    pub arn: String,
    /// The binary, which is also the name that the multi-call binary knows, for example `posts`.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Told to the function; not enforced here.
    pub memory_mb: u32,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Most workers at once (`ReservedConcurrentExecutions`).
    pub concurrency: Option<u32>,
    /// What becomes of asynchronous invocations that fail.
    pub asynchronous: Asynchronous,
    /// What invokes it, the API and buckets apart.
    pub triggers: Vec<Trigger>,
}

/// A function's `EventInvokeConfig`.
#[derive(Debug, Clone)]
pub struct Asynchronous {
    /// Retries after the first attempt (AWS: 2 unless told).
    pub max_retries: u32,
    /// Older than this an event is given up (AWS: 6 h unless told).
    pub max_age: Duration,
    /// ARN of the queue that failed events go to.
    pub on_failure: Option<String>,
}

/// An event source of a function.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// An SQS event source mapping.
    Queue(QueueTrigger),
    /// A DynamoDB stream event source mapping.
    Stream(StreamTrigger),
    /// An EventBridge schedule.
    Schedule(ScheduleTrigger),
}

/// SQS event source mapping.
#[derive(Debug, Clone)]
pub struct QueueTrigger {
    /// What SAM calls the mapping.
    pub id: String,
    /// ARN of the queue.
    pub queue_arn: String,
    /// Most messages in one event.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// Most concurrent invocations.
    pub max_concurrency: Option<u32>,
    /// `FilterCriteria` patterns, parsed; a message passes if any matches, else it is deleted. Empty: all pass.
    pub filters: Vec<Value>,
    /// `ReportBatchItemFailures`: the answer names the messages that failed.
    pub partial_failures: bool,
}

/// DynamoDB stream event source mapping.
#[derive(Debug, Clone)]
pub struct StreamTrigger {
    /// A name that stays the same across restarts: positions are kept under it.
    pub id: String,
    /// Physical name of the table.
    pub table: String,
    /// Where the mapping begins when it is new.
    pub start: StartingPosition,
    /// Most records in one event.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// `FilterCriteria` patterns, parsed; a record passes if any matches. Empty: all pass.
    pub filters: Vec<Value>,
    /// Retries of a failed batch; `None` is until the records expire.
    pub max_retries: Option<u32>,
    /// Older records are given up; `None` is until they expire.
    pub max_age: Option<Duration>,
    /// Halve a failed batch.
    pub bisect: bool,
    /// `ReportBatchItemFailures`: the answer names the first record that failed.
    pub partial_failures: bool,
    /// ARN of the queue that is told of batches given up.
    pub on_failure: Option<String>,
}

/// Where in a stream a new mapping begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// `TRIM_HORIZON`: with the oldest record.
    Oldest,
    /// `LATEST`: with what is written from then on.
    Latest,
}

/// A rule that runs at times.
#[derive(Debug, Clone)]
pub struct ScheduleTrigger {
    /// A name that stays the same across restarts.
    pub id: String,
    /// Name of the rule.
    pub name: String,
    /// When it runs.
    pub schedule: Schedule,
    /// What the function gets in the place of the event.
    pub input: Option<Value>,
}

/// When a rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// `rate(...)`: from one run to the next.
    Every(Duration),
    /// `cron(...)`
    Cron(Cron),
}

/// The REST API.
#[derive(Debug, Clone, Default)]
pub struct Api {
    /// Physical id.
    pub id: String,
    /// The stage, which is the base path too: `v1`.
    pub stage: String,
    /// All methods, in the template's order.
    pub routes: Vec<Route>,
    /// The authorizer that `Route::authorized` means.
    pub authorizer: Option<Authorizer>,
    /// Answers that the gateway itself gives, by response type, for example `UNAUTHORIZED`, `DEFAULT_4XX`.
    pub responses: BTreeMap<String, GatewayResponse>,
    /// Steady rate and burst of all methods together that have none of their own.
    pub throttle: Option<Throttle>,
    /// Rates and bursts of single methods, in the place of the stage's.
    pub method_throttles: Vec<MethodThrottle>,
    /// How preflights are answered, if they are.
    pub cors: Option<Cors>,
    /// Format of the access log's lines, with `$context...` variables.
    pub access_log: Option<String>,
    /// Media types whose bodies travel as base64.
    pub binary_media_types: Vec<String>,
}

/// A method of a resource.
#[derive(Debug, Clone)]
pub struct Route {
    /// Upper case, for example `GET`.
    pub method: String,
    /// Resource path with parameters, for example `/posts/{post_id}`.
    pub path: String,
    /// Physical name of the function.
    pub function: String,
    /// Whether the authorizer is asked first.
    pub authorized: bool,
}

/// A Lambda REQUEST authorizer.
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// Name in the template.
    pub name: String,
    /// Physical name of the function.
    pub function: String,
    /// Request headers that together are the cache's key, at least one; a missing one is 401 without asking.
    pub identity_headers: Vec<HeaderName>,
    /// How long an answer is cached; zero: not at all.
    pub ttl: Duration,
}

/// One of the gateway's own answers.
#[derive(Debug, Clone)]
pub struct GatewayResponse {
    /// Status, where it is not the type's own.
    pub status: Option<u16>,
    /// Headers, values unquoted.
    pub headers: BTreeMap<String, String>,
    /// Content type -> body template with `$context...` variables.
    pub templates: BTreeMap<String, String>,
}

/// Token bucket.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    /// Requests a second.
    pub rate: f64,
    /// Most at once.
    pub burst: u32,
}

/// Token bucket of one method.
#[derive(Debug, Clone)]
pub struct MethodThrottle {
    /// Upper case, for example `POST`.
    pub method: String,
    /// Resource path as routes have it, for example `/accounts`.
    pub path: String,
    /// Its own limits; those of the stage mean nothing to it.
    pub throttle: Throttle,
}

/// The `OPTIONS` methods that SAM adds to every path: what they answer. Values unquoted.
#[derive(Debug, Clone)]
pub struct Cors {
    /// `Access-Control-Allow-Origin`
    pub allow_origin: String,
    /// `Access-Control-Allow-Headers`
    pub allow_headers: Option<String>,
    /// `Access-Control-Allow-Methods`; unless told, the path's own methods and `OPTIONS`.
    pub allow_methods: Option<String>,
    /// `Access-Control-Max-Age`, seconds.
    pub max_age: Option<String>,
    /// Whether the authorizer is asked first: browsers send no token with a preflight, so this locks them out.
    pub authorized: bool,
}

/// The distribution's media behaviour.
#[derive(Debug, Clone)]
pub struct MediaOrigin {
    /// Physical name of the bucket.
    pub bucket: String,
    /// Path that goes before the key, for example `/public`.
    pub origin_path: String,
    /// Whether pages of any origin may read them.
    pub is_for_any_origin: bool,
}
