//! Which event goes to which queue, and sending them.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    types::{MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry},
};
use tintype_tables::config::{Missing, aws, variable};
use tintype_telemetry as telemetry;

/// The most that SQS takes at once.
const BATCH: usize = 10;

/// What was told of something is found by an index, which may be behind: what is gone is looked for once more when it no longer is.
const LATER: Duration = Duration::from_secs(20);

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Destination {
    /// What the comments service does by itself.
    Comments,
    /// Timelines.
    FeedFanout,
    /// Who is told.
    Notification,
    /// The same queue, [`LATER`].
    NotificationLater,
    /// What the posts service does by itself.
    Posts,
    /// What the users service does by itself.
    Users,
    /// It can't be routed; somebody has to look at it.
    DeadLetters {
        /// Why.
        reason: String,
    },
}

/// The queues of those whom events of type `kind` concern; `None`: nobody knows such events.
fn concerned(kind: &str) -> Option<&'static [Destination]> {
    use Destination::{Comments, FeedFanout, Notification, NotificationLater, Posts, Users};
    Some(match kind {
        "post.published" => &[FeedFanout, Notification, Posts],
        // It leaves timelines when they are read: its card is gone.
        "post.deleted" | "comment.deleted" => &[Comments, Notification, NotificationLater],
        "follow.changed" => &[FeedFanout, Notification, Users],
        "block.changed" => &[FeedFanout, Notification],
        "post.edited" | "post.failed" | "post.liked" | "comment.created" | "comment.liked" | "follow.requested" | "mute.changed"
        | "export.ready" => &[Notification],
        // These are about jobs, which tell the other services themselves, in the order in which they must do their part.
        "privacy.changed" | "account.deleted" | "export.requested" => &[Users],
        _ => return None,
    })
}

/// An event on its way to one queue.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) sequence_number: String,
    pub(crate) body: String,
    pub(crate) trace_id: String,
    pub(crate) destination: Destination,
}

impl Outgoing {
    /// An event of type `kind`, on its way to all whom it concerns.
    pub(crate) fn to_all(sequence_number: &str, body: &str, kind: &str, trace_id: &str) -> Vec<Self> {
        let unknown = [Destination::DeadLetters { reason: format!("no queue is for events of type {kind}") }];
        let destinations = concerned(kind).unwrap_or(&unknown);
        let outgoing = |destination: &Destination| Self {
            sequence_number: sequence_number.to_owned(),
            body: body.to_owned(),
            trace_id: trace_id.to_owned(),
            destination: destination.clone(),
        };
        destinations.iter().map(outgoing).collect()
    }

    /// An event that nobody can read.
    pub(crate) fn dead(sequence_number: String, body: String, reason: String) -> Self {
        // SQS takes no empty body.
        let body = if body.is_empty() { "{}".to_owned() } else { body };
        Self { sequence_number, body, trace_id: String::new(), destination: Destination::DeadLetters { reason } }
    }
}

/// The queues that the router may send to.
pub(crate) struct Queues {
    comments: Queue,
    feed_fanout: Queue,
    notification: Queue,
    posts: Queue,
    users: Queue,
    dead_letters: Queue,
}

struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    fn from_env(aws: &SdkConfig, name: &str) -> Result<Self, Missing> {
        Ok(Self { client: tintype_queues::client(aws, name), url: variable(name)? })
    }
}

impl Queues {
    pub(crate) async fn from_env() -> Result<Self, Missing> {
        let aws = aws().await;
        Ok(Self {
            comments: Queue::from_env(&aws, "COMMENTS_QUEUE_URL")?,
            feed_fanout: Queue::from_env(&aws, "FEED_FANOUT_QUEUE_URL")?,
            notification: Queue::from_env(&aws, "NOTIFICATION_QUEUE_URL")?,
            posts: Queue::from_env(&aws, "POSTS_QUEUE_URL")?,
            users: Queue::from_env(&aws, "USERS_QUEUE_URL")?,
            dead_letters: Queue::from_env(&aws, "EVENT_ROUTER_DLQ_URL")?,
        })
    }

    /// Sends all; answers the sequence numbers of those that were not taken.
    pub(crate) async fn send(&self, outgoing: Vec<Outgoing>) -> HashSet<String> {
        let mut by_queue: BTreeMap<&str, (&Queue, Vec<Outgoing>)> = BTreeMap::new();
        for event in outgoing {
            let queue = match event.destination {
                Destination::Comments => &self.comments,
                Destination::FeedFanout => &self.feed_fanout,
                Destination::Notification | Destination::NotificationLater => &self.notification,
                Destination::Posts => &self.posts,
                Destination::Users => &self.users,
                Destination::DeadLetters { .. } => &self.dead_letters,
            };
            by_queue.entry(&queue.url).or_insert_with(|| (queue, Vec::new())).1.push(event);
        }
        let mut unsent = HashSet::new();
        for (queue, events) in by_queue.into_values() {
            for batch in events.chunks(BATCH) {
                unsent.extend(queue.send(batch).await);
            }
        }
        unsent
    }
}

impl Queue {
    /// Answers the sequence numbers of those that were not taken.
    async fn send(&self, batch: &[Outgoing]) -> Vec<String> {
        let entries = batch.iter().enumerate().map(|(index, event)| entry(index, event)).collect();
        let sequence_numbers = || batch.iter().map(|event| event.sequence_number.clone());
        match self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await {
            Ok(answer) => {
                let refused: HashSet<String> = answer.failed.iter().map(|failed| failed.id.clone()).collect();
                sequence_numbers().enumerate().filter(|(index, _)| refused.contains(&index.to_string())).map(|(_, number)| number).collect()
            }
            Err(error) => {
                telemetry::field("error", aws_sdk_sqs::error::DisplayErrorContext(error).to_string());
                sequence_numbers().collect()
            }
        }
    }
}

fn entry(index: usize, event: &Outgoing) -> SendMessageBatchRequestEntry {
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&event.body);
    if !event.trace_id.is_empty() {
        let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(&event.trace_id).build();
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.expect("a type is set"));
    }
    if event.destination == Destination::NotificationLater {
        entry = entry.delay_seconds(i32::try_from(LATER.as_secs()).unwrap_or(i32::MAX));
    }
    if let Destination::DeadLetters { reason } = &event.destination {
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build();
        entry = entry.message_attributes("reason", reason.expect("a type is set"));
    }
    entry.build().expect("id and body are set")
}
