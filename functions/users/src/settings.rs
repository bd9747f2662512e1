//! What somebody wants to be notified of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $attribute:literal),* $(,)?) => {
        /// Of what a person is notified. Everything, unless they say otherwise.
        ///
        /// Each is an attribute of the profile's item, so that one is changed without the others being read.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) struct Notified {
            $(
                #[serde(rename = $attribute, default = "yes")]
                $kind: bool,
            )*
        }

        impl Default for Notified {
            fn default() -> Self {
                Self { $($kind: true,)* }
            }
        }

        /// Of what a person is notified.
        #[derive(Debug, Serialize, ToSchema)]
        #[cfg_attr(test, derive(PartialEq))]
        pub(crate) struct NotificationSettings {
            $(
                $(#[$doc])*
                $kind: bool,
            )*
        }

        impl From<&Notified> for NotificationSettings {
            fn from(stored: &Notified) -> Self {
                Self { $($kind: stored.$kind,)* }
            }
        }

        /// What changes of it; what is not there stays.
        #[derive(Debug, Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct NotificationPatch {
            $(
                $(#[$doc])*
                $kind: Option<bool>,
            )*
        }

        impl NotificationPatch {
            /// The attributes of the profile's item that change, and their values.
            pub(crate) fn assignments(&self) -> Vec<(&'static str, bool)> {
                [$(($attribute, self.$kind)),*].into_iter().filter_map(|(attribute, value)| Some((attribute, value?))).collect()
            }
        }
    };
}

kinds! {
    /// Somebody follows them.
    follow = "notify_follow",
    /// Somebody asks to follow them.
    follow_request = "notify_follow_request",
    /// Somebody lets them follow.
    follow_accepted = "notify_follow_accepted",
    /// Somebody likes a post of theirs.
    like = "notify_like",
    /// Somebody comments on a post of theirs.
    comment = "notify_comment",
    /// Somebody replies to a comment of theirs.
    reply = "notify_reply",
    /// Somebody likes a comment of theirs.
    comment_like = "notify_comment_like",
    /// Somebody mentions them.
    mention = "notify_mention",
    /// A post of theirs could not be published.
    post_failed = "notify_post_failed",
    /// An archive that they asked for is ready.
    export_ready = "notify_export_ready",
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use serde_json::json;
    use tintype_core::notification::Kind;

    #[test]
    fn every_kind_of_notification_has_a_switch_and_every_switch_is_of_a_kind() {
        let shown = serde_json::to_value(NotificationSettings::from(&Notified::default())).unwrap();
        let switches: BTreeSet<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(switches, Kind::ALL.iter().map(|kind| kind.as_str()).collect());
        for kind in Kind::ALL {
            let patch: NotificationPatch = serde_json::from_value(json!({kind.as_str(): false})).unwrap();
            // What `users::wants` reads.
            let attribute = format!("notify_{}", kind.as_str());
            assert_eq!(patch.assignments(), [(attribute.as_str(), false)]);
        }
    }

    #[test]
    fn whoever_said_nothing_is_notified_of_everything() {
        let stored: Notified = serde_json::from_value(json!({})).unwrap();
        assert_eq!(stored, Notified::default());
        let shown = serde_json::to_value(NotificationSettings::from(&stored)).unwrap();
        assert_eq!(shown.as_object().unwrap().len(), 10);
        assert!(shown.as_object().unwrap().values().all(|value| *value == json!(true)));
    }

    #[test]
    fn one_switch_changes_and_the_others_stay() {
        let patch: NotificationPatch = serde_json::from_value(json!({"like": false, "follow": true})).unwrap();
        assert_eq!(patch.assignments(), [("notify_follow", true), ("notify_like", false)]);
        let stored: Notified = serde_json::from_value(json!({"notify_like": false})).unwrap();
        let shown = serde_json::to_value(NotificationSettings::from(&stored)).unwrap();
        assert_eq!((&shown["like"], &shown["comment"]), (&json!(false), &json!(true)));
        assert!(serde_json::from_value::<NotificationPatch>(json!({"likes": false})).is_err());
    }
}
