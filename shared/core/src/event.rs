//! What services tell each other: an item that speaks carries one of these, and the event router carries it to the queues.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{PostId, Time, UserId};

/// The version of the envelope; consumers send what they do not know to their dead-letter queue.
pub const VERSION: u32 = 1;

/// A thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Always [`VERSION`] here.
    pub version: u32,
    /// Fresh for every event; the item's attribute `event_id` says the same.
    pub id: Uuid,
    /// When it happened.
    pub occurred_at: Time,
    /// The `X-Amzn-Trace-Id` of the request or message that caused it.
    pub trace_id: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened, tagged by `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum What {
    /// A post is there to be seen.
    #[serde(rename = "post.published")]
    PostPublished {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
        /// When: its place in every timeline.
        published_at: Time,
    },
    /// A post is gone.
    #[serde(rename = "post.deleted")]
    PostDeleted {
        /// The post.
        post_id: PostId,
        /// Who made it.
        author_id: UserId,
    },
    /// Somebody follows somebody, or does no longer: the edge itself tells which.
    #[serde(rename = "follow.changed")]
    FollowChanged {
        /// Who follows.
        follower_id: UserId,
        /// Who is followed.
        followee_id: UserId,
    },
}

impl Event {
    /// Something that happened now.
    pub fn new(what: What, now: Time, trace_id: &str) -> Self {
        Self { version: VERSION, id: Uuid::now_v7(), occurred_at: now, trace_id: trace_id.to_owned(), what }
    }

    /// As the attribute `event` holds it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an event is JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_type_and_data_in_one_envelope() {
        let event = Event {
            version: 1,
            id: "0193a1f0-0000-7000-8000-000000000001".parse().unwrap(),
            occurred_at: Time::from_millis(0).unwrap(),
            trace_id: "Root=1-0-0".to_owned(),
            what: What::FollowChanged {
                follower_id: "0193a1f0-0000-7000-8000-000000000002".parse().unwrap(),
                followee_id: "0193a1f0-0000-7000-8000-000000000003".parse().unwrap(),
            },
        };
        let json = event.to_json();
        assert_eq!(
            json,
            r#"{"version":1,"id":"0193a1f0-0000-7000-8000-000000000001","occurred_at":"1970-01-01T00:00:00.000Z","trace_id":"Root=1-0-0","type":"follow.changed","data":{"follower_id":"0193a1f0-0000-7000-8000-000000000002","followee_id":"0193a1f0-0000-7000-8000-000000000003"}}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
