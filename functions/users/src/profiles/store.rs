//! Profiles.

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use serde::{Deserialize, Serialize};
use tintype_core::{UserId, name::Username, profile::ProfileCard};
use tintype_tables::{
    Error, Table, posts,
    table::{failure, text, write_units},
    users,
};

use crate::patch::Patch;

/// How others see a person: the card that other services read, and what only this one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    #[serde(flatten)]
    pub(crate) card: ProfileCard,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bio: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) website: Option<String>,
}

impl Profile {
    /// The profile of a new person.
    pub(crate) fn new(id: UserId, username: Username, display_name: Option<String>) -> Self {
        let display_name = display_name.unwrap_or_else(|| username.to_string());
        Self { card: ProfileCard { id, username, display_name }, bio: None, website: None }
    }
}

/// What changes in a profile.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) display_name: Patch,
    pub(crate) bio: Patch,
    pub(crate) website: Patch,
}

impl Change {
    /// The update expression, and the values in it; `None` if nothing changes.
    fn expression(self) -> Option<(String, Vec<(String, String)>)> {
        let (mut set, mut remove, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (attribute, patch) in [("display_name", self.display_name), ("bio", self.bio), ("website", self.website)] {
            match patch {
                Patch::Set(value) => {
                    set.push(format!("{attribute} = :{attribute}"));
                    values.push((format!(":{attribute}"), value));
                }
                // Without a name of their own people are called by their username.
                Patch::Clear if attribute == "display_name" => set.push("display_name = username".to_owned()),
                Patch::Clear => remove.push(attribute.to_owned()),
                Patch::Keep => {}
            }
        }
        let clause = |verb: &str, parts: Vec<String>| (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(", ")));
        let clauses: Vec<String> = [clause("SET", set), clause("REMOVE", remove)].into_iter().flatten().collect();
        (!clauses.is_empty()).then(|| (clauses.join(" "), values))
    }
}

/// A person's profile. Consistent: whoever has just signed up is found.
pub(crate) async fn read(users: &Table, user: UserId) -> Result<Option<Profile>, Error> {
    users.get(&users::profile(user), true).await
}

/// Changes a profile, and answers what it is now. `None`: there is none.
pub(crate) async fn change(users: &Table, user: UserId, change: Change) -> Result<Option<Profile>, Error> {
    let Some((expression, values)) = change.expression() else { return read(users, user).await };
    let mut request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(users::profile(user).item()))
        .update_expression(expression)
        .condition_expression("attribute_exists(pk)")
        .return_values(ReturnValue::AllNew)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    for (name, value) in values {
        request = request.expression_attribute_values(name, text(value));
    }
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(answer.attributes.map(serde_dynamo::from_item).transpose()?)
        }
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many posts a person has published, eventually consistent.
pub(crate) async fn published_posts(posts: &Table, author: UserId) -> Result<i64, Error> {
    #[derive(Deserialize)]
    struct Counter {
        count: i64,
    }
    let counter: Option<Counter> = posts.get(&posts::count(author), false).await?;
    Ok(counter.map_or(0, |counter| counter.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_tables::table::Item;

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
        let set = |text: &str| Patch::Set(text.to_owned());
        assert_eq!(Change::default().expression(), None);
        let change = Change { display_name: set("Ada"), bio: Patch::Clear, website: set("https://example.org") };
        let (expression, values) = change.expression().unwrap();
        assert_eq!(expression, "SET display_name = :display_name, website = :website REMOVE bio");
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [(":display_name", "Ada"), (":website", "https://example.org")]);
        let change = Change { display_name: Patch::Clear, ..Change::default() };
        assert_eq!(change.expression(), Some(("SET display_name = username".to_owned(), vec![])));
    }
}
