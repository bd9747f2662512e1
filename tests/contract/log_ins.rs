//! How often log-ins may be tried, and that nobody is locked out by others.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD, unique, until};

/// An address that no other test plays: of the range for documentation, by /64.
fn address() -> String {
    let random = Uuid::new_v4();
    let [a, b, c, d, ..] = random.as_bytes();
    format!("2001:db8:{:x}:{:x}::1", u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
}

async fn log_in(caller: &Caller, login: &str, password: &str) -> Answer {
    caller.post("/sessions", json!({"login": login, "password": password})).await
}

fn is_exceeded(answer: &Answer, policy: &str) -> bool {
    answer.status == 429 && answer["violated-policies"] == json!([policy])
}

#[tokio::test]
async fn one_address_tries_one_login_ten_times_and_whether_it_exists_makes_no_difference() {
    let ada = Person::sign_up("ada").await;
    for login in [ada.username.clone(), unique("nobody"), format!("{}@example.com", unique("nobody"))] {
        let Some(eve) = Caller::nobody().calling_from(&address()).await else { return };
        for number in 0..10 {
            let answer = log_in(&eve, &login, "not the password").await;
            assert_eq!((number, answer["code"].as_str()), (number, Some("invalid-credentials")), "{}", answer.text);
        }
        // In other letters too, and with the right password.
        for login in [login.clone(), login.to_uppercase(), format!(" {login}\t")] {
            let refused = log_in(&eve, &login, PASSWORD).await.problem(429, "quota-exceeded");
            assert!(is_exceeded(&refused, "log-ins"), "{}", refused.text);
            assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
        }
    }
    // From elsewhere she is not concerned.
    log_in(&Caller::nobody(), &ada.username, PASSWORD).await.expect(201);
}

#[tokio::test]
async fn whoever_has_logged_in_from_an_address_can_not_be_locked_out_from_elsewhere() {
    let Some(home) = Caller::nobody().calling_from(&address()).await else { return };
    let ada = Person::sign_up_at(&home, "ada").await;
    log_in(&home, &ada.username, PASSWORD).await.expect(201);
    // Many addresses, each as often as it may.
    let mut tried = 0;
    let refused = 'all: loop {
        assert!(tried < 150, "many addresses add up to many guesses");
        let eve = Caller::nobody().calling_from(&address()).await.expect("it can be played");
        for _ in 0..9 {
            let answer = log_in(&eve, &ada.username, "not the password").await;
            if answer.status == 429 {
                break 'all answer;
            }
            answer.problem(401, "invalid-credentials");
            tried += 1;
        }
    };
    assert!(is_exceeded(&refused, "log-ins-of-an-account"), "{}", refused.text);
    assert!(tried >= 100, "{tried}");
    let stranger = Caller::nobody().calling_from(&address()).await.expect("it can be played");
    log_in(&stranger, &ada.username, PASSWORD).await.problem(429, "quota-exceeded");
    // Thrice within five seconds: a stranger may try once in six. Now and then the guard, which waits for its table for 300 ms and no longer,
    // may take somebody for one on a busy machine.
    let mut times = 0;
    let answer = until("who is known logs in", Duration::from_secs(5), async || {
        let answer = log_in(&home, &ada.username, PASSWORD).await;
        times += u32::from(answer.status == 201);
        (times == 3).then_some(answer)
    })
    .await;
    assert_eq!(answer["user"]["id"], Value::from(ada.id.clone()));
}

#[tokio::test]
async fn an_address_is_one_login_whether_its_accents_are_composed_or_not() {
    let Some(eve) = Caller::nobody().calling_from(&address()).await else { return };
    let name = unique("jos");
    for number in 0..10 {
        let accent = if number % 2 == 0 { "\u{e9}" } else { "e\u{301}" };
        log_in(&eve, &format!("{name}{accent}@example.com"), "not the password").await.problem(401, "invalid-credentials");
    }
    for accent in ["\u{e9}", "e\u{301}", "E\u{301}"] {
        let refused = log_in(&eve, &format!("{name}{accent}@example.com"), "not the password").await;
        assert!(is_exceeded(&refused, "log-ins"), "{}", refused.text);
    }
}

#[tokio::test]
async fn once_the_password_is_changed_an_address_that_knew_the_old_one_is_a_strangers() {
    let Some(home) = Caller::nobody().calling_from(&address()).await else { return };
    let thief = Caller::nobody().calling_from(&address()).await.expect("it can be played");
    let ada = Person::sign_up_at(&home, "ada").await;
    log_in(&thief, &ada.username, PASSWORD).await.expect(201);
    let change = json!({"current_password": PASSWORD, "new_password": "purple monkey dishwasher"});
    Answer::to(ada.request(reqwest::Method::PUT, "/me/password").json(&change)).await.expect(204);
    // What strangers may try is used up.
    let refused = 'all: loop {
        let eve = Caller::nobody().calling_from(&address()).await.expect("it can be played");
        for _ in 0..10 {
            let answer = log_in(&eve, &ada.username, "not the password").await;
            if answer.status == 429 {
                break 'all answer;
            }
        }
    };
    assert!(is_exceeded(&refused, "log-ins-of-an-account"), "{}", refused.text);
    let answer = log_in(&thief, &ada.username, PASSWORD).await;
    assert!(is_exceeded(&answer, "log-ins-of-an-account"), "{}", answer.text);
    log_in(&home, &ada.username, "purple monkey dishwasher").await.expect(201);
}

#[tokio::test]
async fn an_address_that_presents_made_up_refresh_tokens_is_banned() {
    let Some(eve) = Caller::nobody().calling_from(&address()).await else { return };
    for _ in 0..30 {
        eve.post("/sessions/refresh", json!({"refresh_token": "made.up"})).await.problem(401, "unauthorized");
    }
    eve.post("/sessions", json!({})).await.problem(429, "address-banned");
}

#[tokio::test]
async fn a_thief_of_a_session_does_not_guess_the_password() {
    let Some(home) = Caller::nobody().calling_from(&address()).await else { return };
    let ada = Person::sign_up_at(&home, "ada").await;
    for _ in 0..10 {
        ada.patch("/me", json!({"email": ada.email, "current_password": "not the password"})).await.problem(403, "wrong-password");
    }
    let refused = ada.patch("/me", json!({"email": ada.email, "current_password": PASSWORD})).await;
    assert!(is_exceeded(&refused, "password-confirmations"), "{}", refused.text);
    assert!(refused.header("ratelimit").is_some_and(|left| left.starts_with("\"password-confirmations\";r=0;t=")), "{:?}", refused.headers);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"password-confirmations\";q=10;w=600"));

    // In another session, the owner's, it is asked for all the same.
    let owner = log_in(&home, &ada.username, PASSWORD).await.expect(201);
    let owner = home.with_token(owner["access_token"].as_str().expect("a token"));
    owner.patch("/me", json!({"email": ada.email, "current_password": PASSWORD})).await.expect(200);
}
