//! Lists come in pages: complete, without repetition, and each cursor good for its own list alone.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    people::{PASSWORD, ids},
    photographs::publish,
};

fn next_cursor(body: &Value) -> String {
    body["next_cursor"].as_str().expect("there is a next page").to_owned()
}

/// What a cursor has in it: anybody can read it.
pub(crate) fn inside(cursor: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn pages_of_any_size_hold_every_item_once_in_the_same_order() {
    let bob = Person::sign_up("bob").await;
    join_all((0..7).map(|_| async { Person::sign_up("fan").await.follow(&bob).await })).await;
    let path = format!("/users/{}/followers", bob.username);
    let all = ids(&bob.list(&path).await);
    assert_eq!(all.len(), 7);
    for limit in [1, 2, 3, 7, 8] {
        let pages = Caller::nobody().pages(&path, limit).await;
        assert_eq!(ids(&pages.concat()), all, "by {limit}");
        assert!(pages.iter().all(|page| page.len() <= limit), "by {limit}");
    }
}

#[tokio::test]
async fn what_comes_in_between_neither_repeats_nor_hides_what_was_there() {
    let ada = Person::sign_up("ada").await;
    let mut before = Vec::new();
    for _ in 0..4 {
        before.push(publish(&ada, "before").await["id"].as_str().expect("an id").to_owned());
    }
    before.reverse();
    let path = format!("/users/{}/posts?limit=2", ada.username);
    let first = ada.get(&path).await.expect(200);
    publish(&ada, "in between").await;
    let second = ada.get(&format!("{path}&cursor={}", next_cursor(&first.body))).await.expect(200);
    let seen = [ids(first["items"].as_array().expect("items")), ids(second["items"].as_array().expect("items"))].concat();
    assert_eq!(seen, before);
}

#[tokio::test]
async fn a_cursor_of_another_list_or_person_is_refused() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    for person in [&ada, &bob] {
        join_all((0..2).map(|_| async { Person::sign_up("fan").await.follow(person).await })).await;
    }
    let followers = |person: &Person| format!("/users/{}/followers", person.username);
    let cursor = next_cursor(&ada.get(&format!("{}?limit=1", followers(&ada))).await.expect(200).body);
    ada.get(&format!("{}?limit=1&cursor={cursor}", followers(&ada))).await.expect(200);
    for path in
        [followers(&bob), format!("/users/{}/following", ada.username), format!("/users/{}/posts", ada.username), "/feed".to_owned()]
    {
        ada.get(&format!("{path}?cursor={cursor}")).await.invalid(&["?cursor"]);
    }
    for nonsense in ["", "nonsense", "eyJ2IjoxfQ", &"A".repeat(3000)] {
        ada.get(&format!("{}?cursor={nonsense}", followers(&ada))).await.invalid(&["?cursor"]);
    }
}

#[tokio::test]
async fn a_cursor_whose_key_somebody_made_up_is_refused() {
    let ada = Person::sign_up("ada").await;
    join_all((0..2).map(|_| async { Person::sign_up("fan").await.follow(&ada).await })).await;
    ada.post("/sessions", json!({"login": ada.username, "password": PASSWORD})).await.expect(201);
    for _ in 0..2 {
        publish(&ada, "a post").await;
    }
    for path in [format!("/users/{}/followers", ada.username), format!("/users/{}/posts", ada.username), "/sessions".to_owned()] {
        let cursor = next_cursor(&ada.get(&format!("{path}?limit=1")).await.expect(200).body);
        let inside = inside(&cursor);
        let key = inside["k"].as_str().expect("a key");
        let (prefix, _) = key.split_once('#').expect("a key has parts");
        for made_up in ["", "x", "ACCOUNT", prefix, &format!("{prefix}#"), &format!("{prefix}#x"), &format!("{key}x"), &"x".repeat(2000)] {
            let mut forged = inside.clone();
            forged["k"] = json!(made_up);
            let cursor = URL_SAFE_NO_PAD.encode(forged.to_string());
            ada.get(&format!("{path}?cursor={cursor}")).await.invalid(&["?cursor"]);
        }
    }
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_refused() {
    let ada = Person::sign_up("ada").await;
    for path in ["/feed".to_owned(), format!("/users/{}/followers", ada.username), format!("/users/{}/posts", ada.username)] {
        for limit in ["0", "101", "-1", "many", "1.5", "99999999999999999999"] {
            ada.get(&format!("{path}?limit={limit}")).await.invalid(&["?limit"]);
        }
        for limit in ["1", "100"] {
            ada.get(&format!("{path}?limit={limit}")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_refused() {
    let ada = Person::sign_up("ada").await;
    for path in ["/feed".to_owned(), format!("/users/{}/followers", ada.username)] {
        ada.get(&format!("{path}?page=2")).await.problem(422, "validation-failed");
    }
}
