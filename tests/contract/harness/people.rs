//! People who have signed up.

use std::{ops::Deref, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Answer, Caller},
    host::Addresses,
    until,
};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// How long an eventually consistent read may lag.
const SHOWS: Duration = Duration::from_secs(5);

/// Somebody who has signed up, and calls with their own token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    caller: Caller,
}

impl Deref for Person {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Person {
    /// Somebody new, whose username begins with `name`.
    pub(crate) async fn sign_up(name: &str) -> Self {
        Self::sign_up_at(&Caller::nobody(), name).await
    }

    /// Somebody new where `nobody` calls.
    pub(crate) async fn sign_up_at(nobody: &Caller, name: &str) -> Self {
        Self::try_to_sign_up_at(nobody, name).await.unwrap_or_else(|answer| panic!("{}", answer.text))
    }

    /// The same, or the answer to one who could not.
    pub(crate) async fn try_to_sign_up_at(nobody: &Caller, name: &str) -> Result<Self, Answer> {
        let username = unique(name);
        let email = format!("{username}@example.com");
        let answer = nobody.post("/accounts", json!({"username": username, "email": email, "password": PASSWORD})).await;
        if answer.status != 201 {
            return Err(answer);
        }
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let access_token = text(&answer["access_token"]);
        Ok(Self {
            id: text(&answer["user"]["id"]),
            username,
            email,
            caller: nobody.with_token(&access_token),
            access_token,
            refresh_token: text(&answer["refresh_token"]),
        })
    }

    /// The same person, who tries again what fails ([`Caller::patient`]).
    pub(crate) fn patient(&self) -> Self {
        Self { caller: self.caller.patient(), ..self.clone() }
    }

    /// The same person, after the host has moved.
    pub(crate) fn at(&self, addresses: &Addresses) -> Self {
        Self { caller: self.caller.at(addresses), ..self.clone() }
    }

    pub(crate) async fn follow(&self, other: &Self) {
        let answer = self.put(&format!("/users/{}/follow", other.username)).await.expect(200);
        assert_eq!(answer.body, json!({"following": true, "requested": false}));
    }

    pub(crate) async fn unfollow(&self, other: &Self) {
        let answer = self.delete(&format!("/users/{}/follow", other.username)).await.expect(200);
        assert_eq!(answer.body, json!({"following": false, "requested": false}));
    }

    /// Waits until this person's profile counts so many posts, followers and followed. Counts are read as of a moment ago.
    pub(crate) async fn counts_become(&self, wanted: [u64; 3]) {
        let path = format!("/users/{}", self.username);
        until(&format!("posts, followers, following are {wanted:?}"), SHOWS, async || {
            let profile = self.get(&path).await.expect(200);
            let counts = ["posts", "followers", "following"].map(|name| profile["counts"][name].as_u64().expect("a count"));
            (counts == wanted).then_some(())
        })
        .await;
    }

    /// The ids of the posts that this person's feed shows, newest first.
    pub(crate) async fn feed(&self) -> Vec<String> {
        ids(&self.list("/feed").await)
    }
}

/// The ids of posts or people in a list.
pub(crate) fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// A username that nobody has.
pub(crate) fn unique(name: &str) -> String {
    // What a UUIDv7 ends with is random.
    let id = Uuid::now_v7().simple().to_string();
    format!("{name}.{}", &id[20..])
}
