//! Races in which one may win, while the table throttles, conflicts, and loses its answers: what is left is what one request makes.

use std::{collections::BTreeSet, fs, time::Duration};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    harness::{
        Caller, Person,
        client::Answer,
        host,
        inside::Inside,
        people::{PASSWORD, ids, unique},
        until,
    },
    operator::Operator,
    process::{Host, folder},
};

const FAULTS: &str = "dynamodb:conflict=0.1,throttle=0.15,error=0.05,lost_answer=0.15;seed=13";
const CLIENTS: usize = 32;
/// A claim whose run was lost is somebody else's after half a minute.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn of_32_who_want_one_name_one_gets_it_and_nothing_half_made_stays() {
    let folder = folder();
    let host = Host::start_with(folder.path(), "0", &["--chaos", FAULTS]);
    let nobody = Caller::nobody_at(&host.addresses);
    let inside = Inside::of(&nobody).await.expect("the endpoint");
    let name = unique("ada");
    // Half of them want one address, too.
    let address =
        |number: usize| if number.is_multiple_of(2) { format!("{name}@example.com") } else { format!("{number}.{name}@example.com") };
    let patient = nobody.patient();
    let sign_up = |number: usize| patient.post("/accounts", json!({"username": name, "email": address(number), "password": PASSWORD}));
    let answers = join_all((0..CLIENTS).map(sign_up)).await;
    Operator::of(&host.addresses).set_chaos("").await;

    let winners: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 201).collect();
    for answer in answers.iter().filter(|answer| answer.status < 500 && answer.status != 201) {
        assert_eq!((answer.status, answer["code"].as_str()), (409, Some("username-taken")), "{}", answer.text);
    }
    assert!(winners.len() <= 1, "{winners:?}");
    // The winner's answer may be the one that got lost: the account is there all the same.
    let items = inside.items("UsersTable").await;
    let key = |of: &str| items.iter().map(|item| item[of].as_s().expect("a text").clone()).collect::<Vec<_>>();
    let starting = |with: &str| key("pk").into_iter().filter(|pk| pk.starts_with(with)).collect::<BTreeSet<_>>();
    let (people, names, addresses) = (starting("USER#"), starting("USERNAME#"), starting("EMAIL#"));
    let [Some(person), Some(email)] = [&people, &addresses].map(|set| set.first().filter(|_| set.len() == 1)) else {
        panic!("one person with one address: {people:?} {addresses:?}")
    };
    assert_eq!(names, BTreeSet::from([format!("USERNAME#{name}")]));
    let (id, email) = (person.replace("USER#", ""), email.replace("EMAIL#", ""));
    assert!(winners.iter().all(|(number, answer)| answer["user"]["id"] == id.as_str() && address(*number) == email), "{winners:?}");
    let claims = items.iter().filter(|item| item["pk"].as_s().is_ok_and(|pk| pk.starts_with("USERNAME#") || pk.starts_with("EMAIL#")));
    assert!(claims.clone().all(|claim| claim["user_id"].as_s().is_ok_and(|whose| *whose == id)), "{:?}", claims.collect::<Vec<_>>());
    for item in ["ACCOUNT", "PROFILE"] {
        assert!(key("sk").iter().any(|sk| sk == item), "{item}");
    }
    assert_eq!(key("sk").iter().filter(|sk| sk.starts_with("SESSION#")).count(), 1, "the one that came with it");

    for login in [&name, &email] {
        let session = nobody.post("/sessions", json!({"login": login, "password": PASSWORD})).await.expect(201);
        assert_eq!(session["user"]["id"], id.as_str());
    }
    let free = (0..CLIENTS).map(address).find(|address| *address != email).expect("somebody else's");
    nobody.post("/accounts", json!({"username": unique("eve"), "email": free, "password": PASSWORD})).await.expect(201);
}

#[tokio::test]
async fn a_request_that_32_send_with_one_key_makes_one_post_and_all_are_told_of_it() {
    let folder = folder();
    // All that is tried again counts against the person.
    let template = fs::read_to_string(host::root().join("template.yaml")).expect("template.yaml");
    let generous = template.replace("may take in an hour\n    Default: 60\n", "may take in an hour\n    Default: 100000\n");
    assert_ne!(generous, template);
    let path = folder.path().join("template.yaml");
    fs::write(&path, generous).expect("a file");
    let host = Host::start_with(folder.path(), "0", &["--template", path.to_str().expect("a path")]);
    let operator = Operator::of(&host.addresses);
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    let inside = Inside::of(&ada).await.expect("the endpoint");
    operator.set_chaos(FAULTS).await;

    let (key, body) = (Uuid::now_v7().to_string(), json!({"caption": "once", "photos": [{"content_type": "image/jpeg", "bytes": 1000}]}));
    let create = async || {
        let started = Instant::now();
        loop {
            let answer = Answer::to(ada.request(Method::POST, "/posts").header("idempotency-key", &key).json(&body)).await;
            match answer.status {
                202 => return answer["id"].as_str().expect("an id").to_owned(),
                409 => assert_eq!(answer["code"], "idempotency-in-progress", "{}", answer.text),
                500.. => {}
                _ => panic!("{}", answer.text),
            }
            assert!(started.elapsed() < PATIENCE, "{}", answer.text);
            // As `Retry-After` says.
            sleep(Duration::from_secs(1)).await;
        }
    };
    let made: BTreeSet<String> = join_all((0..CLIENTS).map(|_| create())).await.into_iter().collect();
    operator.set_chaos("").await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(ids(&ada.list("/me/posts?status=unpublished").await), made.iter().cloned().collect::<Vec<_>>());
    let posts = inside.items("PostsTable").await;
    let posts: BTreeSet<_> = posts.iter().filter_map(|item| item["pk"].as_s().ok()?.strip_prefix("POST#").map(str::to_owned)).collect();
    assert_eq!(posts, made);
    // What was answered last is what everybody is told from now on.
    until("the claim is answered", PATIENCE, async || {
        let again = Answer::to(ada.request(Method::POST, "/posts").header("idempotency-key", &key).json(&body)).await.expect(202);
        assert!(made.contains(again["id"].as_str().expect("an id")));
        (again.header("idempotent-replayed") == Some("true")).then_some(())
    })
    .await;
}
