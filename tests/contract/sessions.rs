//! Log-ins, their refresh tokens, and their end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    client::Answer,
    people::{PASSWORD, ids},
    unique, until,
};

/// The authorizer remembers a live session for 20 s, and the gateway the authorizer's answer for 30 s.
const LOGGED_OUT_EVERYWHERE: Duration = Duration::from_mins(1);

async fn log_in(login: &str, password: &str) -> Answer {
    Caller::nobody().post("/sessions", json!({"login": login, "password": password})).await
}

async fn refresh(token: &Value) -> Answer {
    Caller::nobody().post("/sessions/refresh", json!({"refresh_token": token})).await
}

fn holder(answer: &Answer) -> Caller {
    Caller::nobody().with_token(answer["access_token"].as_str().expect("a token"))
}

#[tokio::test]
async fn a_person_logs_in_with_username_or_address_in_any_case() {
    let ada = Person::sign_up("ada").await;
    for login in [ada.username.clone(), ada.email.clone(), ada.username.to_uppercase(), ada.email.to_uppercase()] {
        let answer = log_in(&login, PASSWORD).await.expect(201);
        assert_eq!(answer["user"]["id"], ada.id);
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(holder(&answer).get("/me").await.expect(200)["id"], ada.id);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_are_answered_alike() {
    let ada = Person::sign_up("ada").await;
    let wrong = log_in(&ada.username, "not the password").await.problem(401, "invalid-credentials");
    let unknown = log_in(&unique("nobody"), PASSWORD).await.problem(401, "invalid-credentials");
    assert_eq!((&wrong["title"], &wrong["detail"]), (&unknown["title"], &unknown["detail"]));
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_a_new_pair() {
    let ada = Person::sign_up("ada").await;
    let first = refresh(&json!(ada.refresh_token)).await.expect(200);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_ne!(first["refresh_token"], ada.refresh_token);
    assert_eq!(holder(&first).get("/me").await.expect(200)["id"], ada.id);
    let second = refresh(&first["refresh_token"]).await.expect(200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
}

#[tokio::test]
async fn a_client_that_lost_the_answer_gets_the_same_successor_again() {
    let ada = Person::sign_up("ada").await;
    let lost = refresh(&json!(ada.refresh_token)).await.expect(200);
    let again = refresh(&json!(ada.refresh_token)).await.expect(200);
    assert_eq!(again["refresh_token"], lost["refresh_token"]);
    refresh(&again["refresh_token"]).await.expect(200);
}

#[tokio::test]
async fn refreshes_of_one_token_at_once_agree_on_the_successor() {
    let ada = Person::sign_up("ada").await;
    let token = json!(ada.refresh_token);
    let answers = futures::future::join_all((0..6).map(|_| refresh(&token))).await;
    let successors: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)["refresh_token"].clone()).collect();
    assert!(successors.windows(2).all(|pair| pair[0] == pair[1]), "{successors:?}");
}

#[tokio::test]
async fn a_token_that_comes_back_after_its_successor_was_used_ends_the_session() {
    let ada = Person::sign_up("ada").await;
    let second = refresh(&json!(ada.refresh_token)).await.expect(200);
    let third = refresh(&second["refresh_token"]).await.expect(200);
    refresh(&json!(ada.refresh_token)).await.problem(401, "refresh-reused");

    // Thief and owner cannot be told apart: neither can go on.
    refresh(&third["refresh_token"]).await.problem(401, "unauthorized");
    holder(&third).get("/me").await.problem(401, "unauthorized");
    // The person's other devices are not concerned.
    let other = log_in(&ada.username, PASSWORD).await.expect(201);
    holder(&other).get("/me").await.expect(200);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let ada = Person::sign_up("ada").await;
    let (head, _) = ada.refresh_token.split_at(ada.refresh_token.len() - 4);
    for token in ["", "nonsense", &ada.access_token, &format!("{head}AAAA"), &"x".repeat(5000)] {
        refresh(&json!(token)).await.problem(401, "unauthorized");
    }
    refresh(&json!(ada.refresh_token)).await.expect(200);
}

#[tokio::test]
async fn devices_are_listed_and_a_lost_one_is_logged_out() {
    let ada = Person::sign_up("ada").await;
    let telephone = log_in(&ada.username, PASSWORD).await.expect(201);
    let devices = ada.get("/sessions").await.expect(200);
    let mut ids = ids(devices["items"].as_array().expect("items"));
    assert_eq!(ids.len(), 2, "{}", devices.text);
    ids.retain(|id| devices["current"] != **id);
    let [lost] = &ids[..] else { panic!("one of them is this one: {}", devices.text) };

    ada.delete(&format!("/sessions/{lost}")).await.expect(204);
    holder(&telephone).get("/me").await.problem(401, "unauthorized");
    refresh(&telephone["refresh_token"]).await.problem(401, "unauthorized");
    ada.delete(&format!("/sessions/{lost}")).await.problem(404, "not-found");
    assert_eq!(ada.list("/sessions").await.len(), 1);
    ada.get("/me").await.expect(200);
}

#[tokio::test]
async fn nobody_ends_the_sessions_of_others() {
    let (ada, eve) = (Person::sign_up("ada").await, Person::sign_up("eve").await);
    let sessions = ada.list("/sessions").await;
    let path = format!("/sessions/{}", sessions[0]["id"].as_str().expect("an id"));
    eve.delete(&path).await.problem(404, "not-found");
    assert_eq!(ada.list("/sessions").await.len(), 1);
    refresh(&json!(ada.refresh_token)).await.expect(200);
}

/// Waits until a token is refused where one is needed and where it is optional, by functions that have just seen it alive.
async fn is_refused_everywhere(caller: &Caller, username: &str) {
    until("the access token is refused everywhere", LOGGED_OUT_EVERYWHERE, async || {
        let mut refused = 0;
        for path in ["/me", "/feed", "/sessions", &format!("/users/{username}"), &format!("/users/{username}/posts")] {
            let answer = caller.get(path).await;
            if answer.status == 401 {
                answer.problem(401, "unauthorized");
                refused += 1;
            }
        }
        if refused == 5 {
            return Some(());
        }
        // All that a person asks counts against the person, whichever device asks.
        tokio::time::sleep(Duration::from_secs(1)).await;
        None
    })
    .await;
}

/// Has every function on the way see the token alive, just before.
async fn warm(caller: &Caller, username: &str) {
    for path in ["/me", "/feed", "/sessions", &format!("/users/{username}"), &format!("/users/{username}/posts")] {
        caller.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn after_a_log_out_the_token_is_good_for_nothing_soon() {
    let ada = Person::sign_up("ada").await;
    warm(&ada, &ada.username).await;
    ada.delete("/sessions/current").await.expect(204);
    // The refresh token at once, the access token when all have forgotten it.
    refresh(&json!(ada.refresh_token)).await.problem(401, "unauthorized");
    is_refused_everywhere(&ada, &ada.username).await;
}

#[tokio::test]
async fn a_lost_device_that_was_just_seen_is_logged_out_everywhere_soon() {
    let ada = Person::sign_up("ada").await;
    let telephone = holder(&log_in(&ada.username, PASSWORD).await.expect(201));
    warm(&telephone, &ada.username).await;
    let id = telephone.get("/sessions").await.expect(200)["current"].as_str().expect("an id").to_owned();
    ada.delete(&format!("/sessions/{id}")).await.expect(204);
    is_refused_everywhere(&telephone, &ada.username).await;
    ada.get("/me").await.expect(200);
}

#[tokio::test]
async fn a_family_that_is_ended_by_a_copied_token_ends_everywhere_soon() {
    let ada = Person::sign_up("ada").await;
    let second = refresh(&json!(ada.refresh_token)).await.expect(200);
    let third = refresh(&second["refresh_token"]).await.expect(200);
    warm(&holder(&third), &ada.username).await;
    refresh(&json!(ada.refresh_token)).await.problem(401, "refresh-reused");
    is_refused_everywhere(&holder(&third), &ada.username).await;
}
