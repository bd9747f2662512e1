//! A private account, those who stand to it in one way or another, and what it has made.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tintype_auth::{Claims, LIFETIME, Signer};
use tintype_core::Time;

use super::matrix::{Relation, Row};
use crate::{
    comments,
    harness::{
        Caller, Person,
        client::Answer,
        people::{PASSWORD, ids},
        photographs::publish,
        secrets::token_secret,
        unique, until,
    },
};

/// A session of the owner's, besides the first.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) refresh_token: String,
    caller: Caller,
}

impl Session {
    async fn begin(owner: &Person) -> Self {
        let answer = Caller::nobody().post("/sessions", json!({"login": owner.username, "password": PASSWORD})).await.expect(201);
        let caller = Caller::nobody().with_token(&text(&answer["access_token"]));
        let id = text(&caller.get("/sessions").await.expect(200)["current"]);
        Self { id, refresh_token: text(&answer["refresh_token"]), caller }
    }
}

/// Somebody with a session that has ended.
pub(super) struct Owner {
    person: Person,
    ended: Session,
}

impl Owner {
    pub(super) async fn sign_up() -> Self {
        let person = Person::sign_up("owner").await;
        let ended = Session::begin(&person).await;
        // It has been seen alive: with an authorizer, and by two functions without.
        for path in ["/me".to_owned(), format!("/users/{}", person.username), format!("/users/{}/posts", person.username)] {
            ended.caller.get(&path).await.expect(200);
        }
        ended.caller.delete("/sessions/current").await.expect(204);
        Self { person, ended }
    }
}

/// Who and what one row, or all that only read, are tried with.
pub(super) struct Cast {
    pub(super) owner: Person,
    other: Person,
    follower: Person,
    blocked: Person,
    /// Waits for the owner's approval.
    requester: Person,
    /// The session whose access token has expired; its refresh token is good.
    pub(super) spare: Session,
    expired: Option<Caller>,
    pub(super) ended: Session,
    /// In the caption of the owner's post, and in the comment: what must not be read in others' answers.
    secret: String,
    /// Values of the paths' parameters.
    post_id: String,
    comment_id: String,
    export_id: String,
    deletion_id: String,
    /// What the owner had before the first cell was tried.
    belongings: Value,
}

impl Cast {
    /// For one row, or for all that only read.
    pub(super) async fn assemble(Owner { person: owner, ended }: Owner, row: Option<&Row>) -> Self {
        let needs = |parameter: &str| row.is_none_or(|row| row.path.contains(parameter));
        let people = join_all(["other", "follower", "blocked", "requester"].map(Person::sign_up)).await;
        let [other, follower, blocked, requester] = <[Person; 4]>::try_from(people).expect("four");
        let spare = Session::begin(&owner).await;
        let expired = expired(&owner, &spare).await;

        owner.patch("/me", json!({"is_private": true})).await.expect(200);
        for waiting in [&follower, &requester] {
            let answer = waiting.put(&format!("/users/{}/follow", owner.username)).await.expect(200);
            assert_eq!(answer.body, json!({"following": false, "requested": true}));
        }
        owner.put(&format!("/me/follow-requests/{}", follower.username)).await.expect(204);
        owner.put(&format!("/users/{}/block", blocked.username)).await.expect(200);

        let secret = unique("secret");
        let needs_comment = needs("{comment_id}");
        let post_id = if needs("{post_id}") || needs_comment { text(&publish(&owner, &secret).await["id"]) } else { String::new() };
        let comment_id = if needs_comment { text(&comments::say(&owner, &post_id, &secret).await["id"]) } else { String::new() };
        let export_id =
            if needs("{export_id}") { text(&owner.post("/me/export", json!({})).await.expect(202)["id"]) } else { String::new() };
        let deletion_id = if needs("{deletion_id}") { deletion().await } else { String::new() };
        let belongings = belongings(&owner, row).await;
        Self {
            owner,
            other,
            follower,
            blocked,
            requester,
            spare,
            expired,
            ended,
            secret,
            post_id,
            comment_id,
            export_id,
            deletion_id,
            belongings,
        }
    }

    /// Who calls; `None`: nobody here can be such a one.
    pub(super) fn caller(&self, who: Relation) -> Option<Caller> {
        let person = match who {
            Relation::Owner => &self.owner,
            Relation::Other => &self.other,
            Relation::Follower => &self.follower,
            Relation::Blocked => &self.blocked,
            Relation::Anonymous => return Some(Caller::nobody()),
            Relation::Expired => return self.expired.clone(),
            Relation::Ended => return Some(self.ended.caller.clone()),
        };
        Some(Caller::clone(person))
    }

    /// A row's path, with the owner's names and ids in it.
    pub(super) fn path(&self, row: &Row) -> String {
        let username = if row.path.starts_with("/me/") { &self.requester.username } else { &self.owner.username };
        let path = [
            ("{username}", username),
            ("{session_id}", &self.spare.id),
            ("{post_id}", &self.post_id),
            ("{comment_id}", &self.comment_id),
            ("{export_id}", &self.export_id),
            ("{deletion_id}", &self.deletion_id),
        ];
        let path = path.into_iter().fold(row.path.clone(), |path, (parameter, value)| path.replace(parameter, value));
        assert!(!path.contains(['{', '}']), "nobody knows a value for {path}");
        if path == "/me/posts" { path + "?status=unpublished" } else { path }
    }

    /// What an answer shows that its reader must not see.
    pub(super) fn leak(&self, who: Relation, answer: &Answer) -> Option<&str> {
        let may_see_posts = matches!(who, Relation::Owner | Relation::Follower);
        // Who has the password has logged in.
        let is_the_owner = who == Relation::Owner || answer["access_token"].is_string();
        let kept = [(&self.secret, may_see_posts), (&self.owner.email, is_the_owner)];
        kept.into_iter().find(|(text, may)| !may && answer.text.contains(text.as_str())).map(|(text, _)| text.as_str())
    }

    /// What the owner has no more, or has without having asked for it, after all others were there.
    pub(super) async fn damage(&self, row: &Row) -> Option<String> {
        let now = belongings(&self.owner, Some(row)).await;
        (now != self.belongings).then(|| format!("{}: others have changed {} into {now}", row.route, self.belongings))
    }
}

/// What a person has and is, as they see it themselves: but for what the row's other cells may change.
async fn belongings(owner: &Person, row: Option<&Row>) -> Value {
    let lists = [
        "/sessions".to_owned(),
        "/me/posts?status=unpublished".to_owned(),
        format!("/users/{}/posts", owner.username),
        "/me/follow-requests".to_owned(),
        format!("/users/{}/followers", owner.username),
        "/me/blocks".to_owned(),
        "/me/mutes".to_owned(),
    ];
    let kept = lists.into_iter().filter(|list| !row.is_some_and(|row| is_changed_by(row, list)));
    let lists = join_all(kept.map(async |list| {
        let ids = ids(&owner.list(&list).await);
        (list, ids)
    }));
    let (me, lists) = tokio::join!(owner.get("/me"), lists);
    let news = if row.is_some_and(|row| row.route == "PUT /notifications/read") { news(owner).await } else { Value::Null };
    json!({"me": me.expect(200).body, "lists": lists, "news": news})
}

/// Whether the owner has read that somebody waits for their approval, once they are told.
async fn news(owner: &Person) -> Value {
    until("the owner is told of a request", Duration::from_secs(40), async || {
        let notes = owner.list("/notifications").await;
        notes.iter().find(|note| note["kind"] == "follow_request").map(|request| request["read"].clone())
    })
    .await
}

/// Whether a list of the owner's is what the row's other cells, too, are about.
fn is_changed_by(row: &Row, list: &str) -> bool {
    let of_followers = list.ends_with("/followers") || list == "/me/follow-requests";
    match row.route.as_str() {
        // With the password, though the token has expired.
        "POST /sessions" => list == "/sessions",
        // Whoever has gone is on no list.
        "DELETE /me" => of_followers || list == "/me/blocks",
        route => of_followers && (route.ends_with("/follow") || route.ends_with("/block")),
    }
}

/// A token of the spare session that ended a minute ago; `None` where nobody tells the host's secret.
async fn expired(owner: &Person, session: &Session) -> Option<Caller> {
    let signer = Signer::from_secret(&token_secret(owner.aws()?).await);
    let age = i64::try_from((LIFETIME + Duration::from_mins(1)).as_millis()).expect("a short time");
    let issued_at = Time::from_millis(Time::now().as_millis() - age).expect("a time");
    let claims = Claims::new(owner.id.parse().expect("an id"), session.id.parse().expect("an id"), issued_at);
    Some(Caller::nobody().with_token(&signer.sign(&claims).expect("a token")))
}

/// Of somebody who was there and no longer is.
async fn deletion() -> String {
    let gone = Person::sign_up("gone").await;
    let request = gone.request(reqwest::Method::DELETE, "/me").json(&json!({"password": PASSWORD}));
    text(&Answer::to(request).await.expect(202)["id"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}
