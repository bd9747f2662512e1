//! Promise 10: no answer tells what is nobody else's business.

use serde_json::json;

use crate::harness::{
    Person,
    people::PASSWORD,
    photographs::{publish_files, telephone_photo},
    until,
};

#[tokio::test]
async fn no_answer_tells_others_addresses_passwords_tokens_or_positions() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    ada.follow(&bob).await;
    let post = publish_files(&ada, "where was it?", &[("image/jpeg", &telephone_photo(3, 400, 300))]).await;
    let path = format!("/posts/{}", post["id"].as_str().expect("an id"));
    until("the feed shows the post", std::time::Duration::from_secs(20), async || (!bob.feed().await.is_empty()).then_some(())).await;

    let name = &ada.username;
    for path in [
        path.clone(),
        "/feed".to_owned(),
        format!("/users/{name}"),
        format!("/users/{name}/followers"),
        format!("/users/{name}/following"),
        format!("/users/{name}/posts"),
        format!("/users/{}/followers", bob.username),
    ] {
        let answer = bob.get(&path).await.expect(200);
        for secret in [ada.email.as_str(), "@example.com", "argon2", "password", "email", &ada.refresh_token, "52.3", "N0"] {
            assert!(!answer.text.contains(secret), "{path} tells {secret}: {}", answer.text);
        }
    }

    // Taken names and addresses are told to be taken, but not whose they are.
    let taken = json!({"username": name, "email": "somebody@example.org", "password": PASSWORD});
    let answer = bob.post("/accounts", taken).await.problem(409, "username-taken");
    assert!(!answer.text.contains(&ada.email) && !answer.text.contains(&ada.id), "{}", answer.text);
}

#[tokio::test]
async fn no_answer_to_its_owner_tells_a_password_or_its_hash() {
    let ada = Person::sign_up("ada").await;
    let log_in = json!({"login": ada.username, "password": PASSWORD});
    for answer in [
        ada.get("/me").await.expect(200),
        ada.patch("/me", json!({"bio": "x"})).await.expect(200),
        ada.get("/sessions").await.expect(200),
        ada.post("/sessions", log_in).await.expect(201),
        ada.post("/accounts", json!({"username": ada.username, "email": "x@example.org", "password": PASSWORD, "oops": 1})).await,
    ] {
        for secret in ["argon2", PASSWORD] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
    }
}
