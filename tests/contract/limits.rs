//! How much anybody may ask, and who is sent away for a while.
//!
//! Addresses are played as the CDN tells them, each test's own; where that can't be done, because the host is another's, such a test
//! says so and ends.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD, until};

/// What an environment may not have heard of yet.
const HEARD: Duration = Duration::from_secs(20);
/// How many ask at the same time, and so how many environments there may be.
const AT_ONCE: usize = 8;

/// The parameters of a header's one item: `"name";a=1;b=2`.
fn item(answer: &Answer, header: &str) -> (String, Vec<(String, u64)>) {
    let value = answer.header(header).unwrap_or_else(|| panic!("{header}: {:?} {}", answer.headers, answer.text));
    let mut parts = value.split(';');
    let name = parts.next().expect("a name").trim_matches('"').to_owned();
    let parameter = |part: &str| {
        let (name, number) = part.split_once('=').expect("a parameter");
        (name.to_owned(), number.parse().expect("a number"))
    };
    (name, parts.map(parameter).collect())
}

fn quota(answer: &Answer) -> u64 {
    item(answer, "ratelimit-policy").1[0].1
}

fn remaining(answer: &Answer) -> u64 {
    item(answer, "ratelimit").1[0].1
}

/// Demands a refusal for this policy's sake; in how many seconds to try again.
#[track_caller]
fn exceeds(answer: Answer, policy: &str) -> u64 {
    let answer = answer.problem(429, "quota-exceeded");
    assert_eq!(answer["violated-policies"], json!([policy]), "{}", answer.text);
    assert_eq!((item(&answer, "ratelimit").0.as_str(), remaining(&answer)), (policy, 0));
    seconds(&answer)
}

fn seconds(answer: &Answer) -> u64 {
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("Retry-After");
    assert!(seconds > 0, "it would be refused again");
    seconds
}

/// Asks until the first refusal, `at_once` at a time: how many passed, in how long, and the refusal.
async fn exhaust(at_once: usize, ask: impl AsyncFn() -> Answer) -> (usize, Duration, Answer) {
    let (started, mut passed) = (Instant::now(), 0);
    loop {
        let answers = join_all((0..at_once).map(|_| ask())).await;
        passed += answers.iter().filter(|answer| answer.status != 429).count();
        assert!(started.elapsed() < Duration::from_mins(1), "nobody is refused: {passed}");
        if let Some(refusal) = answers.into_iter().find(|answer| answer.status == 429) {
            return (passed, started.elapsed(), refusal);
        }
    }
}

/// Between what was there at once and what has grown since.
#[track_caller]
fn is_within(passed: usize, quota: usize, interval: Duration, elapsed: Duration) {
    let most = quota + usize::try_from(elapsed.as_millis() / interval.as_millis()).expect("a small number");
    assert!((quota..=most).contains(&passed), "{passed} passed, from {quota} to {most} should");
}

/// An IPv4 address that no other test has, of a network for tests.
fn somewhere() -> String {
    let bytes = Uuid::new_v4().into_bytes();
    format!("198.{}.{}.{}", 18 + bytes[0] % 2, bytes[1], bytes[2])
}

/// Somebody at an address of their own; `None` where it can't be played.
async fn from(address: &str) -> Option<Caller> {
    let caller = Caller::nobody().calling_from(address).await;
    if caller.is_none() {
        println!("no address can be played at a host of another: skipped");
    }
    caller
}

/// A log-in that never gets as far as a password.
async fn try_to_log_in(caller: &Caller) -> Answer {
    caller.post("/sessions", json!({})).await
}

#[tokio::test]
async fn every_limited_answer_says_the_policy_and_counts_down() {
    let ada = Person::sign_up("ada").await;
    let first = ada.get("/me").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some("\"reads\";q=600;w=60"));
    let (name, parameters) = item(&first, "ratelimit");
    assert_eq!((name.as_str(), parameters[1].0.as_str()), ("reads", "t"));
    assert!((1..=60).contains(&parameters[1].1), "{parameters:?}");
    // An error counts as well. Another environment may answer, who knows less: nobody sees more than there is.
    let second = ada.get("/users/nobody.of.this.name").await.problem(404, "not-found");
    assert!(remaining(&second) < 600 && remaining(&first) < 600);

    let follow = "/users/nobody.of.this.name/follow";
    let lefts = [remaining(&ada.delete(follow).await), remaining(&ada.delete(follow).await), remaining(&ada.delete(follow).await)];
    // An exact limit is told exactly; one comes back each half second.
    assert!(lefts[0] < 120 && lefts.is_sorted_by(|a, b| *b + 1 == *a || a == b || *b == *a + 1), "{lefts:?}");
    let free = Caller::nobody().get("/health").await.expect(200);
    assert_eq!((free.header("ratelimit"), free.header("ratelimit-policy")), (None, None));
}

#[tokio::test]
async fn who_writes_more_than_the_quota_is_refused_and_nobody_else() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let write = async |person: &Person| person.patch("/me", json!({"surprise": 1})).await;
    let (passed, elapsed, refusal) = exhaust(AT_ONCE, async || write(&ada).await).await;
    is_within(passed, 120, Duration::from_millis(500), elapsed);
    let wait = exceeds(refusal, "writes");
    write(&bob).await.invalid(&["/surprise"]);
    ada.get("/me").await.expect(200);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    write(&ada).await.invalid(&["/surprise"]);
}

#[tokio::test]
async fn who_reads_more_than_the_quota_is_refused() {
    let ada = Person::sign_up("ada").await;
    let (passed, elapsed, refusal) = exhaust(AT_ONCE, async || ada.get("/feed?limit=none").await).await;
    exceeds(refusal, "reads");
    // Nine for each environment, and what comes free when the window moves.
    let most = 600 + 9 * AT_ONCE + usize::try_from(elapsed.as_millis() / 100).expect("a small number");
    assert!((600..=most).contains(&passed), "{passed} passed, from 600 to {most} should");
}

#[tokio::test]
async fn an_address_signs_in_so_often_and_no_more_whoever_is_logged_in() {
    let Some(nobody) = from(&somewhere()).await else { return };
    let ada = Person::sign_up("ada").await;
    let (passed, elapsed, refusal) = exhaust(1, async || try_to_log_in(&nobody).await).await;
    is_within(passed, 20, Duration::from_secs(3), elapsed);
    assert_eq!(quota(&refusal), 20);
    exceeds(refusal, "sign-ins");
    exceeds(try_to_log_in(&nobody.with_token(&ada.access_token)).await, "sign-ins");
    exceeds(nobody.post("/accounts", json!({})).await, "sign-ins");

    let Some(elsewhere) = from(&somewhere()).await else { return };
    elsewhere.post("/sessions", json!({"login": ada.username, "password": PASSWORD})).await.expect(201);
}

#[tokio::test]
async fn an_ipv6_customer_is_one_address_whichever_host_of_theirs_calls() {
    let id = Uuid::new_v4().simple().to_string();
    let network = format!("2001:db8:{}:{}", &id[..4], &id[4..8]);
    let mut hosts = Vec::new();
    for host in 1..=40 {
        let Some(caller) = from(&format!("{network}::{host:x}")).await else { return };
        hosts.push(caller);
    }
    let (started, mut passed) = (Instant::now(), 0);
    for host in &hosts {
        passed += usize::from(try_to_log_in(host).await.status != 429);
    }
    is_within(passed, 20, Duration::from_secs(3), started.elapsed());
    let Some(neighbour) = from(&format!("2001:db8:{}:{}::1", &id[..4], &id[8..12])).await else { return };
    try_to_log_in(&neighbour).await.expect(422);
}

#[tokio::test]
async fn a_header_of_the_clients_own_changes_no_address() {
    let address = somewhere();
    let Some(nobody) = from(&address).await else { return };
    exceeds(exhaust(1, async || try_to_log_in(&nobody).await).await.2, "sign-ins");
    let with = async |caller: &Caller, headers: &[(&str, &str)]| {
        let request = caller.request(Method::POST, "/sessions").json(&json!({}));
        Answer::to(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    // Behind the CDN, somebody who claims to be elsewhere.
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cloudfront-viewer-address"] {
        exceeds(with(&nobody, &[(header, "198.18.255.255")]).await, "sign-ins");
    }
    // Past the CDN, somebody who claims to be this one: without the secret it is not counted against them.
    for forged in [&[("x-viewer-address", address.as_str())][..], &[("x-viewer-address", &address), ("x-origin-secret", "guessed")]] {
        let answer = with(&Caller::nobody(), forged).await;
        assert_ne!(answer.status, 429, "{}", answer.text);
    }
}

#[tokio::test]
async fn an_address_that_scans_is_banned_for_a_while_and_living_sessions_go_on() {
    let Some(scanner) = from(&somewhere()).await else { return };
    let ada = Person::sign_up("ada").await;
    let profile = format!("/users/{}", ada.username);
    scanner.get(&profile).await.expect(200);
    let (passed, _, refusal) = exhaust(1, async || scanner.get("/wp-login.php").await).await;
    assert!((20..60).contains(&passed), "{passed} unknown paths were answered");
    let wait = seconds(&refusal.problem(429, "address-banned"));
    assert!(wait <= 60, "{wait}");
    let banned_at = Instant::now();

    // Other functions hear of it.
    let refused = async || Some(scanner.get(&profile).await).filter(|answer| answer.status == 429);
    until("the ban is known", HEARD, refused).await.problem(429, "address-banned");
    let log_in = json!({"login": ada.username, "password": PASSWORD});
    until("and where one logs in", HEARD, async || (scanner.post("/sessions", log_in.clone()).await.status == 429).then_some(())).await;
    let session = scanner.with_token(&ada.access_token);
    session.get("/me").await.expect(200);
    session.get(&profile).await.expect(200);
    scanner.post("/sessions/refresh", json!({"refresh_token": ada.refresh_token})).await.expect(200);
    scanner.get("/health").await.expect(200);
    Caller::nobody().get(&profile).await.expect(200);

    tokio::time::sleep((Duration::from_secs(wait + 1)).saturating_sub(banned_at.elapsed())).await;
    scanner.get(&profile).await.expect(200);
    scanner.post("/sessions", log_in).await.expect(201);
}

#[tokio::test]
async fn an_address_that_guesses_tokens_is_banned_and_one_whose_token_has_ended_is_not() {
    let Some(guesser) = from(&somewhere()).await else { return };
    let Some(late) = from(&somewhere()).await else { return };
    let ada = Person::sign_up("ada").await;
    let profile = format!("/users/{}", ada.username);
    let (head, signature) = ada.access_token.rsplit_once('.').expect("a JWT");
    // Half of them where a token must be, half where it may be.
    for guess in 0..40 {
        let forged = guesser.with_token(&format!("{head}.{}{guess:02}", &signature[..signature.len() - 2]));
        forged.get("/me").await.problem(401, "unauthorized");
        let answer = forged.get(&profile).await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
    }
    until("the ban is known", HEARD, async || (guesser.get(&profile).await.status == 429).then_some(())).await;

    ada.delete("/sessions/current").await.expect(204);
    let ended = late.with_token(&ada.access_token);
    until("the log-out is known", Duration::from_mins(1), async || (ended.get(&profile).await.status == 401).then_some(())).await;
    for _ in 0..40 {
        ended.get(&profile).await.problem(401, "unauthorized");
    }
    late.get(&profile).await.expect(200);
}
