//! The second factor: an app's codes, and recovery codes.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use uuid::Uuid;

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD};

async fn log_in(person: &Person, password: &str, code: Option<&str>) -> Answer {
    Caller::nobody().post("/sessions", json!({"login": person.username, "password": password, "totp": code})).await
}

async fn send(person: &Person, method: Method, body: Value) -> Answer {
    Answer::to(person.request(method, "/me/totp").json(&body)).await
}

/// An authenticator app.
struct App(Vec<u8>);

impl App {
    /// Reads what it is told, by the letters of RFC 4648.
    fn scan(uri: &str) -> Self {
        let secret = uri.split("secret=").nth(1).and_then(|rest| rest.split('&').next()).expect("a secret");
        let value = |letter: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).expect("base 32");
        let bits: Vec<usize> = secret.chars().flat_map(|letter| (0..5).rev().map(move |bit| value(letter) >> bit & 1)).collect();
        let byte = |bits: &[usize]| u8::try_from(bits.iter().fold(0, |byte, bit| byte << 1 | bit)).expect("eight bits");
        Self(bits.chunks_exact(8).map(byte).collect())
    }

    /// The code of now, or of some steps from now.
    fn code(&self, from_now: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let step = (now / 30).checked_add_signed(from_now).expect("a step");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0), &step.to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 15);
        let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

/// Switches it on with the code before the present one, so that the present one is still to be used.
async fn enrol(person: &Person) -> (App, Vec<String>) {
    let begun = send(person, Method::POST, json!({"password": PASSWORD})).await.expect(201);
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    let app = App::scan(begun["uri"].as_str().expect("a URI"));
    let enabled = send(person, Method::PUT, json!({"code": app.code(-1)})).await;
    // It may have become too old on the way.
    let enabled = if enabled.status == 403 { send(person, Method::PUT, json!({"code": app.code(-1)})).await } else { enabled };
    let enabled = enabled.expect(200);
    assert_eq!(enabled.header("cache-control"), Some("no-store"));
    let codes = enabled["recovery_codes"].as_array().expect("codes").iter().map(|code| code.as_str().expect("a code").to_owned());
    (app, codes.collect())
}

#[tokio::test]
async fn once_it_is_on_a_log_in_needs_a_code_and_only_who_has_the_password_learns_that() {
    let ada = Person::sign_up("ada").await;
    assert_eq!(ada.get("/me").await.expect(200)["totp_enabled"], false);
    let (app, codes) = enrol(&ada).await;
    assert_eq!(codes.len(), 10);
    assert_eq!(ada.get("/me").await.expect(200)["totp_enabled"], true);

    log_in(&ada, PASSWORD, None).await.problem(401, "totp-required");
    log_in(&ada, "not the password", None).await.problem(401, "invalid-credentials");
    log_in(&ada, "not the password", Some(&app.code(0))).await.problem(401, "invalid-credentials");
    for wrong in ["", "000000x", "not a code", &app.code(-5), &app.code(5)] {
        log_in(&ada, PASSWORD, Some(wrong)).await.problem(401, "invalid-credentials");
    }
    // Of one code used many times at once one is good.
    let code = app.code(1);
    let answers = join_all((0..4).map(|_| log_in(&ada, PASSWORD, Some(&code)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    log_in(&ada, PASSWORD, Some(&code)).await.problem(401, "invalid-credentials");
}

#[tokio::test]
async fn a_recovery_code_is_good_once() {
    let ada = Person::sign_up("ada").await;
    let (_, codes) = enrol(&ada).await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    let answers = join_all((0..4).map(|_| log_in(&ada, PASSWORD, Some(&typed)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    log_in(&ada, PASSWORD, Some(&codes[3])).await.problem(401, "invalid-credentials");
    log_in(&ada, PASSWORD, Some(&codes[4])).await.expect(201);
}

#[tokio::test]
async fn it_is_switched_on_by_a_code_and_off_by_the_password_and_a_code() {
    let ada = Person::sign_up("ada").await;
    send(&ada, Method::PUT, json!({"code": "123456"})).await.problem(409, "totp-not-begun");
    send(&ada, Method::POST, json!({"password": "not the password"})).await.problem(403, "wrong-password");
    let begun = send(&ada, Method::POST, json!({"password": PASSWORD})).await.expect(201);
    let void = App::scan(begun["uri"].as_str().expect("a URI"));
    // A secret that waits asks nobody for codes, and is void when another takes its place.
    log_in(&ada, PASSWORD, None).await.expect(201);
    send(&ada, Method::POST, json!({"password": PASSWORD})).await.expect(201);
    send(&ada, Method::PUT, json!({"code": void.code(0)})).await.problem(403, "wrong-code");

    let (app, _) = enrol(&ada).await;
    send(&ada, Method::POST, json!({"password": PASSWORD})).await.problem(409, "totp-enabled");
    send(&ada, Method::DELETE, json!({"password": "not the password"})).await.problem(403, "wrong-password");
    log_in(&ada, PASSWORD, None).await.problem(401, "totp-required");
    // By what a log-in asks for.
    send(&ada, Method::DELETE, json!({"password": PASSWORD})).await.problem(403, "totp-required");
    send(&ada, Method::DELETE, json!({"password": PASSWORD, "code": app.code(-5)})).await.problem(403, "wrong-code");
    send(&ada, Method::DELETE, json!({"password": "not the password", "code": app.code(0)})).await.problem(403, "wrong-password");
    for _ in 0..2 {
        send(&ada, Method::DELETE, json!({"password": PASSWORD, "code": app.code(0)})).await.expect(204);
    }
    assert_eq!(ada.get("/me").await.expect(200)["totp_enabled"], false);
    log_in(&ada, PASSWORD, None).await.expect(201);
}

/// An address that no other test plays.
async fn somewhere() -> Option<Caller> {
    let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
    Caller::nobody().calling_from(&format!("2001:db8:{:x}:{:x}::1", u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))).await
}

async fn log_in_from(caller: &Caller, login: &str, code: &str) -> Answer {
    caller.post("/sessions", json!({"login": login, "password": PASSWORD, "totp": code})).await
}

#[tokio::test]
async fn whoever_has_the_password_guesses_no_code_from_strange_addresses_nor_from_one_that_is_known() {
    let Some(home) = somewhere().await else { return };
    let thief = somewhere().await.expect("it can be played");
    let ada = Person::sign_up_at(&home, "ada").await;
    // An address that is known from before there was a second factor has never shown one.
    thief.post("/sessions", json!({"login": ada.username, "password": PASSWORD})).await.expect(201);
    let (app, codes) = enrol(&ada).await;
    for _ in 0..2 {
        log_in_from(&thief, &ada.username, "not a code").await.problem(401, "invalid-credentials");
    }
    for _ in 0..8 {
        let eve = somewhere().await.expect("it can be played");
        log_in_from(&eve, &ada.username, "not a code").await.problem(401, "invalid-credentials");
    }
    for stranger in [thief, somewhere().await.expect("it can be played")] {
        let refused = log_in_from(&stranger, &ada.username, &codes[0]).await.problem(429, "quota-exceeded");
        assert_eq!(refused["violated-policies"], json!(["second-factors-of-an-account"]), "{}", refused.text);
    }

    // She is not locked out at home, and there are no more tries there either.
    log_in_from(&home, &ada.username, &app.code(0)).await.expect(201);
    for number in 0..9 {
        let login = if number % 2 == 0 { &ada.username } else { &ada.email };
        log_in_from(&home, login, "not a code").await.problem(401, "invalid-credentials");
    }
    let refused = log_in_from(&home, &ada.email, &codes[0]).await.problem(429, "quota-exceeded");
    assert_eq!(refused["violated-policies"], json!(["second-factors"]), "{}", refused.text);
}
