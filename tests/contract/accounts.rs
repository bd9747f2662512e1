//! Accounts and profiles.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Caller, Person, people::PASSWORD, photographs::publish, unique, until};

/// Cards of others are read as of a moment ago.
const SHOWS: Duration = Duration::from_secs(15);

#[tokio::test]
async fn who_signs_up_gets_an_account_and_tokens() {
    let name = unique("Ada");
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD, "display_name": "Ada Lovelace"});
    let answer = Caller::nobody().post("/accounts", body).await.expect(201);

    assert_eq!(answer["user"]["username"], name.to_lowercase(), "usernames are lower-cased");
    assert_eq!(answer["user"]["display_name"], "Ada Lovelace");
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let ada = Caller::nobody().with_token(answer["access_token"].as_str().expect("a token"));
    assert_eq!(ada.get("/me").await.expect(200)["id"], answer["user"]["id"]);
}

#[tokio::test]
async fn of_sign_ups_with_one_username_at_once_exactly_one_wins() {
    let nobody = Caller::nobody();
    for _ in 0..4 {
        let name = unique("ada");
        let sign_up = |number: usize| {
            let body = json!({"username": name, "email": format!("{number}.{name}@example.com"), "password": PASSWORD});
            nobody.post("/accounts", body)
        };
        let mut winners = Vec::new();
        for answer in join_all((0..4).map(sign_up)).await {
            if answer.status == 201 {
                winners.push(answer["user"]["id"].clone());
            } else {
                answer.problem(409, "username-taken");
            }
        }
        assert_eq!(winners.len(), 1);
        let profile = nobody.get(&format!("/users/{name}")).await.expect(200);
        assert_eq!(profile["id"], winners[0], "the name is the winner's");
    }
}

#[tokio::test]
async fn of_32_sign_ups_with_one_username_at_once_exactly_one_is_left() {
    let nobody = Caller::nobody();
    let name = unique("ada");
    let email = |number: usize| format!("{number}.{name}@example.com");
    let sign_up = |number: usize| nobody.post("/accounts", json!({"username": name, "email": email(number), "password": PASSWORD}));
    let mut winners = Vec::new();
    for (number, answer) in join_all((0..32).map(sign_up)).await.into_iter().enumerate() {
        if answer.status == 201 {
            winners.push((number, answer["user"]["id"].clone()));
        } else {
            answer.problem(409, "username-taken");
        }
    }
    let [(winner, id)] = &winners[..] else { panic!("exactly one wins: {winners:?}") };
    assert_eq!(nobody.get(&format!("/users/{name}")).await.expect(200)["id"], *id);
    // Nothing is left of the others: their addresses are free, the winner's is not.
    let again = |number: usize| nobody.post("/accounts", json!({"username": unique("eve"), "email": email(number), "password": PASSWORD}));
    again(*winner).await.problem(409, "email-taken");
    again((winner + 1) % 32).await.expect(201);
}

#[tokio::test]
async fn of_sign_ups_with_one_address_at_once_exactly_one_wins_and_the_others_names_stay_free() {
    let nobody = Caller::nobody();
    let email = format!("{}@example.com", unique("ada"));
    let names: Vec<String> = (0..4).map(|_| unique("ada")).collect();
    let answers =
        join_all(names.iter().map(|name| nobody.post("/accounts", json!({"username": name, "email": email, "password": PASSWORD})))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for (name, answer) in names.iter().zip(answers) {
        if answer.status != 201 {
            answer.problem(409, "email-taken");
            nobody.get(&format!("/users/{name}")).await.problem(404, "not-found");
        }
    }
}

#[tokio::test]
async fn a_name_or_address_is_taken_whatever_its_case() {
    let ada = Person::sign_up("ada").await;
    let shouted = json!({"username": ada.username.to_uppercase(), "email": format!("other.{}", ada.email), "password": PASSWORD});
    ada.post("/accounts", shouted).await.problem(409, "username-taken");
    let shouted = json!({"username": unique("eve"), "email": ada.email.to_uppercase(), "password": PASSWORD});
    ada.post("/accounts", shouted).await.problem(409, "email-taken");
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_up_is_named_by_pointers() {
    let name = unique("ada");
    for (field, value) in [
        ("username", json!("ab")),
        ("username", json!("a b c")),
        ("username", json!("suggested")),
        ("username", json!(7)),
        ("email", json!("nowhere")),
        ("email", json!("a@b@example.com")),
        ("password", json!("short")),
        ("password", json!("x".repeat(2000))),
        ("display_name", json!("x".repeat(200))),
        ("display_name", json!("turned \u{202E} round")),
        ("is_admin", json!(true)),
    ] {
        let mut body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        body[field] = value;
        Caller::nobody().post("/accounts", body).await.invalid(&[&format!("/{field}")]);
    }
}

#[tokio::test]
async fn a_profile_shows_what_its_owner_made_of_it() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let change = json!({"display_name": "Ada L.", "bio": "Engines.\nAnalytical ones.", "website": "https://example.com/ada"});
    ada.patch("/me", change.clone()).await.expect(200);

    let profile = bob.get(&format!("/users/{}", ada.username.to_uppercase())).await.expect(200);
    for (field, value) in change.as_object().expect("fields") {
        assert_eq!(&profile[field], value);
    }
    assert_eq!(profile["username"], ada.username);
    assert_eq!(profile["id"], ada.id);
    assert_eq!(profile["counts"], json!({"posts": 0, "followers": 0, "following": 0}));
}

/// The person called `username`, wherever in an answer they stand.
fn cards_of(answer: &Value, username: &str) -> Vec<Value> {
    match answer {
        Value::Array(items) => items.iter().flat_map(|item| cards_of(item, username)).collect(),
        Value::Object(fields) if fields.get("username").is_some_and(|name| name == username) => vec![answer.clone()],
        Value::Object(fields) => fields.values().flat_map(|value| cards_of(value, username)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn an_edit_of_the_profile_reaches_every_card_of_the_person() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let of = |person: &Person, what: &str| format!("/users/{}/{what}", person.username);
    let post = publish(&ada, "mine").await;
    bob.follow(&ada).await;
    ada.follow(&bob).await;
    cyd.follow(&bob).await;
    cyd.put(&of(&ada, "mute")).await.expect(200);
    bob.patch("/me", json!({"is_private": true})).await.expect(200);
    let dan = Person::sign_up("dan").await;
    dan.patch("/me", json!({"is_private": true})).await.expect(200);
    ada.put(&of(&dan, "follow")).await.expect(200);
    let eve = Person::sign_up("eve").await;
    eve.put(&of(&ada, "block")).await.expect(200);
    let places: [(&Person, String); 8] = [
        (&bob, "/feed".to_owned()),
        (&bob, format!("/posts/{}", post["id"].as_str().expect("an id"))),
        (&bob, of(&ada, "posts")),
        (&cyd, of(&bob, "followers")),
        (&bob, of(&bob, "following")),
        (&cyd, "/me/mutes".to_owned()),
        (&eve, "/me/blocks".to_owned()),
        (&dan, "/me/follow-requests".to_owned()),
    ];
    let shows = async |name: &str| {
        for (viewer, path) in &places {
            until(&format!("{path} shows {name}"), SHOWS, async || {
                let cards = cards_of(&viewer.get(path).await.expect(200).body, &ada.username);
                (!cards.is_empty() && cards.iter().all(|card| card["display_name"] == name)).then_some(())
            })
            .await;
        }
    };
    shows(&ada.username).await;
    ada.patch("/me", json!({"display_name": "Ada, Countess of Lovelace"})).await.expect(200);
    shows("Ada, Countess of Lovelace").await;
}

#[tokio::test]
async fn a_change_of_one_field_leaves_the_others() {
    let ada = Person::sign_up("ada").await;
    ada.patch("/me", json!({"bio": "Engines", "website": "https://example.com"})).await.expect(200);
    ada.patch("/me", json!({"bio": "Poetry"})).await.expect(200);
    let me = ada.get("/me").await.expect(200);
    assert_eq!((&me["bio"], &me["website"]), (&json!("Poetry"), &json!("https://example.com")));
}

#[tokio::test]
async fn what_is_wrong_with_a_profile_is_named_by_pointers() {
    let ada = Person::sign_up("ada").await;
    for (field, value) in [
        ("display_name", json!("x".repeat(200))),
        ("bio", json!("x".repeat(5000))),
        ("website", json!("javascript:alert(1)")),
        ("username", json!("eve")),
    ] {
        ada.patch("/me", json!({field: value})).await.invalid(&[&format!("/{field}")]);
    }
}

#[tokio::test]
async fn nobody_has_a_name_that_nobody_took() {
    Caller::nobody().get(&format!("/users/{}", unique("nobody"))).await.problem(404, "not-found");
    Caller::nobody().get("/users/not!a!name").await.problem(404, "not-found");
}
