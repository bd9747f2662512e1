//! `Idempotency-Key`: whoever does not know whether a request arrived sends it again, and makes nothing twice.

use std::{collections::HashMap, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, config::Credentials, types::AttributeValue};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tintype_core::Time;
use uuid::Uuid;

use crate::harness::{
    Caller, Person, Ticket,
    client::Answer,
    people::ids,
    photographs::{SETTLES, small_photo},
    until,
};

fn post(caption: &str) -> Value {
    post_of(caption, &[small_photo().len()])
}

fn post_of(caption: &str, sizes: &[usize]) -> Value {
    let photos: Vec<Value> = sizes.iter().map(|bytes| json!({"content_type": "image/jpeg", "bytes": bytes})).collect();
    json!({"caption": caption, "photos": photos})
}

/// A key that nobody has used.
fn key() -> String {
    Uuid::now_v7().to_string()
}

async fn create(author: &Caller, key: &str, body: &Value) -> Answer {
    Answer::to(author.request(Method::POST, "/posts").header("Idempotency-Key", key).json(body)).await
}

fn id(answer: &Answer) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

fn ticket(answer: &Answer) -> Ticket {
    let uploads = answer["photos"].as_array().expect("photos").iter().map(|photo| photo["upload"].clone()).collect();
    Ticket { post_id: id(answer), uploads }
}

/// The ids of what the author has in the making.
async fn unpublished(author: &Person) -> Vec<String> {
    ids(&author.list("/me/posts?status=unpublished").await)
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_nothing_twice_and_is_told_so() {
    let (ada, key, body) = (Person::sign_up("ada").await, key(), post("once"));
    let first = create(&ada, &key, &body).await.expect(202);
    assert!(!is_replayed(&first));
    // In quotes it is the same key.
    for key in [key.clone(), format!("\"{key}\"")] {
        let again = create(&ada, &key, &body).await.expect(202);
        assert!(is_replayed(&again), "{:?}", again.headers);
        assert_eq!((id(&again), again.header("location")), (id(&first), first.header("location")));
        assert_eq!(again["status"], "awaiting_upload");
    }
    assert_eq!(unpublished(&ada).await, [id(&first)]);
    let other = create(&ada, &self::key(), &body).await.expect(202);
    assert!(!is_replayed(&other) && id(&other) != id(&first), "another key, another post");
    ada.post("/posts", body).await.expect(202);
    assert_eq!(unpublished(&ada).await.len(), 3, "without a key each request makes one");
}

#[tokio::test]
async fn clients_that_all_send_the_same_request_at_once_make_one_post() {
    let (ada, key, body) = (Person::sign_up("ada").await, key(), post("once"));
    let answers = join_all((0..32).map(|_| create(&ada, &key, &body))).await;
    let mut made = Vec::new();
    for answer in answers {
        if answer.status == 202 {
            made.push(id(&answer));
        } else {
            let answer = answer.problem(409, "idempotency-in-progress");
            assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{:?}", answer.headers);
        }
    }
    made.sort_unstable();
    made.dedup();
    assert_eq!(unpublished(&ada).await, made);
    assert_eq!(made.len(), 1, "somebody made it");
    assert_eq!(id(&create(&ada, &key, &body).await.expect(202)), made[0]);
}

#[tokio::test]
async fn the_tickets_of_a_repetition_work_and_are_for_what_is_still_awaited() {
    let ada = Person::sign_up("ada").await;
    let (bytes, key) = (small_photo(), key());
    let body = post_of("two", &[bytes.len(), bytes.len()]);
    let first = ticket(&create(&ada, &key, &body).await.expect(202));
    first.upload(&ada, 1, &bytes).await.expect(200);
    let again = until("the photo that has come is no longer awaited", SETTLES, async || {
        let again = create(&ada, &key, &body).await.expect(202);
        (again["photos"].as_array().expect("photos").len() == 1).then_some(again)
    })
    .await;
    assert_eq!((&again["status"], &again["photos"][0]["index"]), (&json!("processing"), &json!(0)));
    let expires_at: Time = again["photos"][0]["upload"]["expires_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    assert!(expires_at > Time::now());
    let again = ticket(&again);
    again.upload(&ada, 0, &bytes).await.expect(200);
    assert_eq!(again.settled(&ada).await["status"], "published");

    let last = create(&ada, &key, &body).await.expect(202);
    assert_eq!((id(&last), &last["status"], &last["photos"]), (first.post_id, &json!("published"), &json!([])));
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let (ada, key) = (Person::sign_up("ada").await, key());
    let first = create(&ada, &key, &post("one")).await.expect(202);
    create(&ada, &key, &post("another")).await.problem(422, "idempotency-key-reused");
    assert_eq!(id(&create(&ada, &key, &post("one")).await.expect(202)), id(&first));
    assert_eq!(unpublished(&ada).await, [id(&first)]);
}

#[tokio::test]
async fn a_key_belongs_to_one_person() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let (key, body) = (key(), post("same"));
    let hers = create(&ada, &key, &body).await.expect(202);
    let his = create(&bob, &key, &body).await.expect(202);
    assert!(!is_replayed(&his));
    assert_ne!(id(&his), id(&hers));
    assert_eq!((unpublished(&ada).await, unpublished(&bob).await), (vec![id(&hers)], vec![id(&his)]));
}

#[tokio::test]
async fn a_request_that_is_not_valid_leaves_its_key_free() {
    let (ada, key) = (Person::sign_up("ada").await, key());
    create(&ada, &key, &post_of("none", &[])).await.invalid(&["/photos"]);
    create(&Caller::nobody(), &key, &post("nobody's")).await.problem(401, "unauthorized");
    assert!(!is_replayed(&create(&ada, &key, &post("one")).await.expect(202)));
}

#[tokio::test]
async fn what_is_no_key_is_malformed_and_makes_nothing() {
    let ada = Person::sign_up("ada").await;
    let long = "x".repeat(256);
    for key in ["", "\"\"", "two words", "\"unfinished", &long] {
        let problem = create(&ada, key, &post("none")).await.problem(400, "malformed-request");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("Idempotency-Key")), "{}", problem.text);
    }
    assert!(unpublished(&ada).await.is_empty());
    create(&ada, &"x".repeat(255), &post("one")).await.expect(202);
}

#[tokio::test]
async fn a_post_that_was_deleted_is_not_made_again() {
    let (ada, key, body) = (Person::sign_up("ada").await, key(), post("once"));
    let first = create(&ada, &key, &body).await.expect(202);
    ada.delete(&format!("/posts/{}", id(&first))).await.expect(204);
    create(&ada, &key, &body).await.problem(404, "not-found");
    assert!(unpublished(&ada).await.is_empty());
}

#[tokio::test]
async fn whoever_comes_after_a_run_that_was_cut_off_finds_its_post_or_makes_it() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let Some(aws) = ada.aws() else { return };
    let claims = Claims::at(aws).await;
    let (key, body) = (key(), post("once"));

    // The post was made, but nobody was told, nor was it written down that it is.
    let first = create(&ada, &key, &body).await.expect(202);
    claims.update(&ada, "REMOVE answered").await;
    create(&ada, &key, &body).await.problem(409, "idempotency-in-progress");
    claims.update(&ada, "SET leased_until = :now").await;
    let again = create(&ada, &key, &body).await.expect(202);
    assert_eq!(id(&again), id(&first));
    let ticket = ticket(&again);
    ticket.upload(&ada, 0, &small_photo()).await.expect(200);
    assert_eq!(ticket.settled(&ada).await["status"], "published");
    assert!(unpublished(&ada).await.is_empty(), "there is no second one");

    // The run came no further than its claim: as if it had wanted to make the post of this id.
    let wanted = Uuid::now_v7().to_string();
    create(&bob, &key, &body).await.expect(202);
    claims.update_with(&bob, "REMOVE answered SET leased_until = :now, made_id = :text", &wanted).await;
    let made = create(&bob, &key, &body).await.expect(202);
    assert_eq!(id(&made), wanted);
    bob.get(&format!("/posts/{wanted}")).await.expect(200);
}

#[tokio::test]
async fn a_post_of_a_run_that_was_cut_off_is_not_made_again_once_it_is_deleted() {
    let ada = Person::sign_up("ada").await;
    let Some(aws) = ada.aws() else { return };
    let claims = Claims::at(aws).await;
    let (key, body) = (key(), post("cut off, and deleted"));
    let first = create(&ada, &key, &body).await.expect(202);
    claims.update(&ada, "REMOVE answered SET leased_until = :now").await;
    ada.delete(&format!("/posts/{}", id(&first))).await.expect(204);
    for _ in 0..2 {
        create(&ada, &key, &body).await.problem(404, "not-found");
    }
    assert_eq!(unpublished(&ada).await, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_day_a_key_is_free_again() {
    let (ada, key, body) = (Person::sign_up("ada").await, key(), post("once"));
    let Some(aws) = ada.aws() else { return };
    let claims = Claims::at(aws).await;
    let first = create(&ada, &key, &body).await.expect(202);
    let expires_at: i64 = claims.expiry(&ada).await;
    let day = Time::now().plus(Duration::from_hours(24)).as_seconds();
    assert!((day - 60..=day).contains(&expires_at), "{expires_at}");
    claims.update(&ada, "SET expires_at = :seconds").await;
    let second = create(&ada, &key, &body).await.expect(202);
    assert!(!is_replayed(&second) && id(&second) != id(&first));
}

/// The table in which claims are kept: to play what takes a crash or a day.
struct Claims {
    client: Client,
    table: String,
}

impl Claims {
    async fn at(aws: &str) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(aws)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let client = Client::new(&config);
        let tables = client.list_tables().send().await.expect("the tables").table_names.unwrap_or_default();
        let table = tables.into_iter().find(|name| name.contains("EdgeTable")).expect("the Edge table");
        Self { client, table }
    }

    /// The one claim of a person.
    async fn of(&self, person: &Person) -> HashMap<String, AttributeValue> {
        let claims = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(format!("USER#{}", person.id)))
            .expression_attribute_values(":prefix", AttributeValue::S("KEY#".to_owned()))
            .send()
            .await
            .expect("their claims");
        let [claim] = <[_; 1]>::try_from(claims.items.unwrap_or_default()).expect("one claim");
        claim
    }

    async fn expiry(&self, person: &Person) -> i64 {
        self.of(person).await["expires_at"].as_n().ok().and_then(|seconds| seconds.parse().ok()).expect("a time")
    }

    /// Changes the one claim of a person; `:now` and `:seconds` are this moment.
    async fn update(&self, person: &Person, expression: &str) {
        self.update_with(person, expression, "").await;
    }

    /// The same, with `:text`.
    async fn update_with(&self, person: &Person, expression: &str, text: &str) {
        let claim = self.of(person).await;
        let now = Time::now();
        let mut update = self.client.update_item().table_name(&self.table).update_expression(expression);
        for name in ["pk", "sk"] {
            update = update.key(name, claim[name].clone());
        }
        for (name, value) in [
            (":now", AttributeValue::N(now.as_millis().to_string())),
            (":seconds", AttributeValue::N(now.as_seconds().to_string())),
            (":text", AttributeValue::S(text.to_owned())),
        ] {
            if expression.contains(name) {
                update = update.expression_attribute_values(name, value);
            }
        }
        update.send().await.expect("it is changed");
    }
}
