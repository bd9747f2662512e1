//! Profiles.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};
use tintype_core::{JobId, Time, UserId, event::What, name::Username, patch::Patch, profile::ProfileCard, upload::AvatarUpload};
use tintype_tables::{
    Error, Table,
    jobs::{self, Turning},
    outbox, posts,
    table::{Item, failure, text, write_units},
    users,
    writes::{self, Transaction},
};

use crate::settings::{NotificationPatch, Notified};

/// How others see a person: the card that other services read, and what only this one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    #[serde(flatten)]
    pub(crate) card: ProfileCard,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bio: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) website: Option<String>,
    /// The newest ticket for a picture, until the picture is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) avatar_upload: Option<AvatarUpload>,
    #[serde(flatten)]
    pub(crate) notified: Notified,
}

impl Profile {
    /// The profile of a new person.
    pub(crate) fn new(id: UserId, username: Username, display_name: Option<String>) -> Self {
        let display_name = display_name.unwrap_or_else(|| username.to_string());
        let card = ProfileCard { id, username, display_name, is_private: false, avatar: None };
        Self { card, bio: None, website: None, avatar_upload: None, notified: Notified::default() }
    }
}

/// What changes in a profile.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) display_name: Patch,
    pub(crate) bio: Patch,
    pub(crate) website: Patch,
    /// `None`: as it is.
    pub(crate) is_private: Option<bool>,
    pub(crate) notified: NotificationPatch,
}

impl Change {
    /// The update expression, and the values in it; `None` if nothing changes.
    fn expression(self, user_id: UserId, now: Time) -> Option<(String, Item)> {
        let (mut set, mut remove, mut values) = (Vec::new(), Vec::new(), Item::new());
        for (attribute, patch) in [("display_name", self.display_name), ("bio", self.bio), ("website", self.website)] {
            match patch {
                Patch::Set(value) => {
                    set.push(format!("{attribute} = :{attribute}"));
                    values.insert(format!(":{attribute}"), text(value));
                }
                // Without a name of their own people are called by their username.
                Patch::Clear if attribute == "display_name" => set.push("display_name = username".to_owned()),
                Patch::Clear => remove.push(attribute.to_owned()),
                Patch::Keep => {}
            }
        }
        for (attribute, value) in self.notified.assignments() {
            set.push(format!("{attribute} = :{attribute}"));
            values.insert(format!(":{attribute}"), AttributeValue::Bool(value));
        }
        if let Some(is_private) = self.is_private {
            set.push("is_private = :is_private, event_id = :event_id, event = :event".to_owned());
            values.insert(":is_private".to_owned(), AttributeValue::Bool(is_private));
            let mut spoken = Item::new();
            outbox::speak(&mut spoken, What::PrivacyChanged { user_id, job_id: None, after: None }, now);
            values.extend(spoken.into_iter().map(|(attribute, value)| (format!(":{attribute}"), value)));
        }
        let clause = |verb: &str, parts: Vec<String>| (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(", ")));
        let clauses: Vec<String> = [clause("SET", set), clause("REMOVE", remove)].into_iter().flatten().collect();
        (!clauses.is_empty()).then(|| (clauses.join(" "), values))
    }
}

const PRESENT: &str = "attribute_exists(pk)";

/// A person's profile. Consistent: whoever has just signed up is found.
pub(crate) async fn read(users: &Table, user: UserId) -> Result<Option<Profile>, Error> {
    users.get(&users::profile(user), true).await
}

/// Changes a profile, and answers what it is now. `None`: there is none.
pub(crate) async fn change(users: &Table, user: UserId, mut change: Change, now: Time) -> Result<Option<Profile>, Error> {
    if change.is_private.is_some() {
        // Said once more, it is no news: photographs would be moved to where they are.
        let Some(profile) = read(users, user).await? else { return Ok(None) };
        change.is_private = change.is_private.filter(|is_private| *is_private != profile.card.is_private);
    }
    let turns = change.is_private.is_some();
    let Some((expression, values)) = change.expression(user, now) else { return read(users, user).await };
    if turns {
        return turn(users, user, expression, values, now).await;
    }
    let request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(users::profile(user).item()))
        .update_expression(expression)
        .condition_expression(PRESENT)
        // An empty map is refused.
        .set_expression_attribute_values((!values.is_empty()).then_some(values))
        .return_values(ReturnValue::AllNew)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(answer.attributes.map(serde_dynamo::from_item).transpose()?)
        }
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same where the account turns private or public. What follows from that is noted together with it, in the place of what was noted
/// of an older turn: so it goes on until it is done, whatever becomes of messages about it.
async fn turn(users: &Table, user: UserId, expression: String, values: Item, now: Time) -> Result<Option<Profile>, Error> {
    let update = Update::builder()
        .table_name(&users.name)
        .set_key(Some(users::profile(user).item()))
        .update_expression(expression)
        .condition_expression(PRESENT)
        .set_expression_attribute_values(Some(values));
    let update = update.build().expect("table, key and expression are set");
    let mut transaction = Transaction::default();
    transaction.push(TransactWriteItem::builder().update(update).build());
    transaction.push(writes::put(users, jobs::item(&Turning::new(JobId::new(), user, now))?));
    match transaction.commit(users).await {
        Ok(()) => read(users, user).await,
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many posts a person has published.
pub(crate) async fn published_posts(posts: &Table, author: UserId, consistent: bool) -> Result<i64, Error> {
    #[derive(Deserialize)]
    struct Counter {
        count: i64,
    }
    let counter: Option<Counter> = posts.get(&posts::count(author), consistent).await?;
    Ok(counter.map_or(0, |counter| counter.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph_tests::{empty_table, person};

    #[test]
    fn other_services_read_a_profile_as_a_card() {
        let profile = Profile { bio: Some("Analyst".to_owned()), ..Profile::new(UserId::new(), "ada".parse().unwrap(), None) };
        assert_eq!(profile.card.display_name, "ada");
        let item: Item = serde_dynamo::to_item(&profile).unwrap();
        assert!(!item.contains_key("website"));
        assert_eq!(serde_dynamo::from_item::<_, ProfileCard>(item.clone()).unwrap(), profile.card);
        assert_eq!(serde_dynamo::from_item::<_, Profile>(item).unwrap(), profile);
    }

    #[test]
    fn an_update_says_what_changes_and_nothing_else() {
        let (id, now) = (UserId::new(), Time::now());
        let set = |text: &str| Patch::Set(text.to_owned());
        assert_eq!(Change::default().expression(id, now), None);
        let change = Change { display_name: set("Ada"), bio: Patch::Clear, website: set("https://example.org"), ..Change::default() };
        let (expression, values) = change.expression(id, now).unwrap();
        assert_eq!(expression, "SET display_name = :display_name, website = :website REMOVE bio");
        let expected = [(":display_name", "Ada"), (":website", "https://example.org")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), text(value))).into());
        let change = Change { display_name: Patch::Clear, ..Change::default() };
        assert_eq!(change.expression(id, now), Some(("SET display_name = username".to_owned(), Item::new())));
    }

    #[test]
    fn a_profile_speaks_when_it_turns_private_or_public_and_only_then() {
        let change = Change { bio: Patch::Clear, is_private: Some(true), ..Change::default() };
        let (expression, values) = change.expression(UserId::new(), Time::now()).unwrap();
        assert_eq!(expression, "SET is_private = :is_private, event_id = :event_id, event = :event REMOVE bio");
        assert!(values[":event"].as_s().unwrap().contains("privacy.changed"));
        assert_eq!(values[":is_private"], AttributeValue::Bool(true));
        let change = Change { bio: Patch::Clear, ..Change::default() };
        assert!(!change.expression(UserId::new(), Time::now()).unwrap().0.contains("event"));
    }

    #[tokio::test]
    async fn who_turns_private_or_public_leaves_a_job_that_sees_to_what_follows_and_the_newest_turn_counts() {
        let table = empty_table().await;
        let ada = person(&table, "ada").await;
        let turn = async |is_private| {
            let change = Change { is_private: Some(is_private), ..Change::default() };
            super::change(&table, ada, change, Time::now()).await.unwrap().unwrap();
            table.get::<Turning>(&users::turning(ada), true).await.unwrap()
        };
        assert_eq!(turn(false).await, None, "it is public");
        let first = turn(true).await.unwrap();
        assert!(first.course.unfinished.is_some() && first.course.deadline.is_some(), "the janitor finds it");
        assert_eq!(turn(true).await, Some(first.clone()), "said once more, it is no news");
        assert_ne!(turn(false).await.unwrap().id, first.id);
        // Of who is gone there is nothing to follow.
        let gone = UserId::new();
        let change = Change { bio: Patch::Clear, is_private: Some(true), ..Change::default() };
        assert_eq!(super::change(&table, gone, change, Time::now()).await.unwrap(), None);
        assert_eq!(table.get::<Turning>(&users::turning(gone), true).await.unwrap(), None);
    }
}
