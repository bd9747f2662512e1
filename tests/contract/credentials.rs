//! Passwords and e-mail addresses, and their change.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD, unique, until};

const ANOTHER: &str = "purple monkey dishwasher";
/// The authorizer remembers a live session for 20 s, and the gateway the authorizer's answer for 30 s.
const LOGGED_OUT_EVERYWHERE: Duration = Duration::from_secs(50);

async fn log_in(login: &str, password: &str) -> Answer {
    Caller::nobody().post("/sessions", json!({"login": login, "password": password})).await
}

async fn refresh(token: &Value) -> Answer {
    Caller::nobody().post("/sessions/refresh", json!({"refresh_token": token})).await
}

async fn change_password(who: &Caller, current: &str, new: &str) -> Answer {
    Answer::to(who.request(Method::PUT, "/me/password").json(&json!({"current_password": current, "new_password": new}))).await
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions_and_leaves_this_one() {
    let ada = Person::sign_up("ada").await;
    let others = join_all((0..3).map(|_| log_in(&ada.username, PASSWORD))).await;
    let telephone = Caller::nobody().with_token(others[0]["access_token"].as_str().expect("a token"));
    telephone.get("/me").await.expect(200);
    assert_eq!(ada.list("/sessions").await.len(), 4);

    change_password(&ada, PASSWORD, ANOTHER).await.expect(204);
    assert_eq!(ada.list("/sessions").await.len(), 1);
    for other in &others {
        refresh(&other["refresh_token"]).await.problem(401, "unauthorized");
    }
    until("the other's access token is refused", LOGGED_OUT_EVERYWHERE, async || {
        let answers = [telephone.get("/me").await, telephone.get(&format!("/users/{}", ada.username)).await];
        answers.iter().all(|answer| answer.status == 401).then_some(())
    })
    .await;

    ada.get("/me").await.expect(200);
    refresh(&json!(ada.refresh_token)).await.expect(200);
    log_in(&ada.username, PASSWORD).await.problem(401, "invalid-credentials");
    log_in(&ada.username, ANOTHER).await.expect(201);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_can_be_asked_for_again() {
    let ada = Person::sign_up("ada").await;
    for _ in 0..2 {
        change_password(&ada, PASSWORD, ANOTHER).await.expect(204);
    }
    // By the session that made it, and by no other.
    let other = log_in(&ada.username, ANOTHER).await.expect(201);
    let other = Caller::nobody().with_token(other["access_token"].as_str().expect("a token"));
    change_password(&other, PASSWORD, ANOTHER).await.problem(403, "wrong-password");
    assert_eq!(ada.list("/sessions").await.len(), 2);
}

#[tokio::test]
async fn no_session_that_begins_beside_a_change_outlives_it_with_the_old_password() {
    for _ in 0..3 {
        let ada = Person::sign_up("ada").await;
        let log_ins = join_all((0..4).map(|_| log_in(&ada.username, PASSWORD)));
        let (log_ins, changed) = tokio::join!(log_ins, change_password(&ada, PASSWORD, ANOTHER));
        changed.expect(204);
        assert_eq!(ada.list("/sessions").await.len(), 1);
        for answer in log_ins {
            match answer.status {
                201 => refresh(&answer["refresh_token"]).await.problem(401, "unauthorized"),
                _ => answer.problem(401, "invalid-credentials"),
            };
        }
    }
}

#[tokio::test]
async fn without_the_current_password_nothing_changes() {
    let ada = Person::sign_up("ada").await;
    change_password(&ada, "not the password", ANOTHER).await.problem(403, "wrong-password");
    log_in(&ada.username, PASSWORD).await.expect(201);
    for new in ["short", "password1", "12345678", "qwertyuiop", &ada.username, &format!("{}12", ada.username), &"x".repeat(129)] {
        change_password(&ada, PASSWORD, new).await.invalid(&["/new_password"]);
    }
}

#[tokio::test]
async fn common_and_breached_passwords_are_refused_at_the_sign_up() {
    let name = unique("ada");
    for password in
        ["password", "Passw0rd!", "iloveyou2", "11111111", "abcd1234", "Football1", "tintype2026", &name, &format!("{name}@example.com")]
    {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": password});
        Caller::nobody().post("/accounts", body).await.invalid(&["/password"]);
    }
}

#[tokio::test]
async fn an_address_is_changed_with_the_password_and_the_old_one_is_free_again() {
    let ada = Person::sign_up("ada").await;
    let new = format!("new.{}", ada.email);
    ada.patch("/me", json!({"email": new})).await.invalid(&["/current_password"]);
    ada.patch("/me", json!({"email": "nowhere", "current_password": PASSWORD})).await.invalid(&["/email"]);
    ada.patch("/me", json!({"email": new, "current_password": "not the password"})).await.problem(403, "wrong-password");
    assert_eq!(ada.get("/me").await.expect(200)["email"], ada.email);

    // Twice: the answer to the first may get lost.
    for _ in 0..2 {
        let me = ada.patch("/me", json!({"email": new.to_uppercase(), "current_password": PASSWORD, "bio": "moved"})).await.expect(200);
        assert_eq!((&me["email"], &me["bio"]), (&json!(new), &json!("moved")));
    }
    log_in(&new, PASSWORD).await.expect(201);
    log_in(&ada.email, PASSWORD).await.problem(401, "invalid-credentials");
    ada.post("/accounts", json!({"username": unique("eve"), "email": ada.email, "password": PASSWORD})).await.expect(201);
    ada.patch("/me", json!({"email": ada.email, "current_password": PASSWORD})).await.problem(409, "email-taken");
    assert_eq!(ada.get("/me").await.expect(200)["email"], new);
}

#[tokio::test]
async fn of_many_who_want_one_address_at_once_exactly_one_gets_it() {
    let people = join_all((0..6).map(|_| Person::sign_up("ada"))).await;
    let wanted = format!("{}@example.com", unique("wanted"));
    let change = |person: &Person| {
        let (person, wanted) = (person.clone(), wanted.clone());
        async move { person.patch("/me", json!({"email": wanted, "current_password": PASSWORD})).await }
    };
    let answers = join_all(people.iter().map(change)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for (person, answer) in people.iter().zip(answers) {
        let email = person.get("/me").await.expect(200)["email"].clone();
        if answer.status == 200 {
            assert_eq!(email, wanted);
            log_in(&wanted, PASSWORD).await.expect(201);
            log_in(&person.email, PASSWORD).await.problem(401, "invalid-credentials");
        } else {
            answer.problem(409, "email-taken");
            assert_eq!(email, person.email);
            log_in(&person.email, PASSWORD).await.expect(201);
        }
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_notified_of_everything_and_each_kind_is_switched_by_itself() {
    let ada = Person::sign_up("ada").await;
    let all = ada.get("/me").await.expect(200)["notifications"].clone();
    let kinds = all.as_object().expect("settings");
    assert_eq!(kinds.len(), 10);
    assert!(kinds.values().all(|value| *value == json!(true)), "{all}");
    ada.patch("/me", json!({"notifications": {"like": false, "mention": false}})).await.expect(200);
    let me = ada.patch("/me", json!({"notifications": {"mention": true}})).await.expect(200);
    let mut expected = all;
    expected["like"] = json!(false);
    assert_eq!(me["notifications"], expected);
    assert_eq!(ada.get("/me").await.expect(200)["notifications"], expected);
    ada.patch("/me", json!({"notifications": {"likes": false}})).await.invalid(&["/notifications/likes"]);
}
