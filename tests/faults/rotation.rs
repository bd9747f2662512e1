//! A rotation of the keys that tokens are made with, by command from its beginning to its end. The minutes that it takes pass by decree: in
//! the age of the secret's version, and in the times that are published with the keys.

use std::{collections::BTreeSet, path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    harness::{
        Caller, Person,
        inside::Inside,
        people::PASSWORD,
        secrets::{refused, rotate},
        until,
    },
    process::{Host, Worker, all_end, folder},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than a key must be known before it signs.
const NOTICE: i64 = 11 * 60;
/// Longer than a key stays known that signs no more.
const AFTERLIFE: i64 = 41 * 60;

/// The name of the key that has signed a token.
fn signed_by(token: &str) -> String {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok()).expect("a header");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a key").to_owned()
}

async fn known_keys(nobody: &Caller) -> BTreeSet<String> {
    let set = nobody.get("/.well-known/jwks.json").await.expect(200);
    set["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
}

/// Lets all who make or verify tokens read the keys anew, as they do every five minutes.
fn forget_keys(host: &Host) {
    let mut workers = host.workers();
    workers.retain(|worker| matches!(worker.function.as_str(), "users" | "authorizer"));
    workers.iter().for_each(Worker::kill);
    all_end(&workers);
}

/// As if the secret's versions and the published keys were older by so many seconds.
async fn pass(seconds: i64, folder: &Path, inside: &Inside) {
    let secrets = rusqlite::Connection::open(folder.join("state/control.db")).expect("the host's own database");
    secrets.busy_timeout(PATIENCE).expect("a setting");
    let changed = secrets.execute("UPDATE secret_versions SET created_s = created_s - ?1", [seconds]).expect("an update");
    assert!(changed >= 2, "the secret of tokens, and another");

    let item = inside.item("UsersTable", "KEYS", "JWKS").await.expect("the published keys");
    let times = item["times"].as_s().expect("a text");
    let mut older: Value = serde_json::from_str(times).expect("JSON");
    for moment in
        older.as_object_mut().expect("times by key").values_mut().flat_map(|times| times.as_object_mut().expect("times").values_mut())
    {
        *moment = json!(moment.as_i64().expect("seconds") - seconds);
    }
    inside.set("UsersTable", ("KEYS", "JWKS"), "times", AttributeValue::S(older.to_string())).await;
}

#[tokio::test]
async fn a_rotation_ends_with_another_key_that_signs_and_no_token_is_lost_over_it() {
    let folder = folder();
    let host = Host::start(folder.path());
    let nobody = Caller::nobody_at(&host.addresses).patient();
    let aws = host.addresses.aws.clone().expect("the endpoint");
    let inside = Inside::of(&nobody).await.expect("the endpoint");
    let log_in = async |person: &Person| {
        let session = nobody.post("/sessions", json!({"login": person.username, "password": PASSWORD})).await.expect(201);
        session["access_token"].as_str().expect("a token").to_owned()
    };
    // The gateway remembers for half a minute whom it knows: each of these tokens is shown once, later.
    let ada = Person::sign_up_at(&nobody, "ada").await;
    let (old, late) = (log_in(&ada).await, log_in(&ada).await);
    let first = signed_by(&old);
    assert_eq!(known_keys(&nobody).await, BTreeSet::from([first.clone()]));

    let begun = rotate("begin", &aws);
    assert!(begun.status.success(), "{begun:?}");
    forget_keys(&host);
    let next = until("the next key is known", PATIENCE, async || known_keys(&nobody).await.into_iter().find(|key| *key != first)).await;
    assert_eq!(signed_by(&log_in(&ada).await), first, "nothing is signed with it yet");
    assert!(refused(&rotate("finish", &aws)).contains("too early"));

    pass(NOTICE, folder.path(), &inside).await;
    let finished = rotate("finish", &aws);
    assert!(finished.status.success(), "{finished:?}");
    assert!(refused(&rotate("finish", &aws)).contains("no rotation has begun"));
    forget_keys(&host);
    let new = log_in(&ada).await;
    assert_eq!(signed_by(&new), next);
    assert_eq!(known_keys(&nobody).await, BTreeSet::from([first.clone(), next.clone()]));
    for token in [&new, &old] {
        nobody.with_token(token).get("/me").await.expect(200);
    }
    // What was sealed with the last key opens still, and what comes of it is of the next.
    let refreshed = nobody.post("/sessions/refresh", json!({"refresh_token": ada.refresh_token})).await.expect(200);
    assert_eq!(signed_by(refreshed["access_token"].as_str().expect("a token")), next);

    // Once the last of its tokens has died the key goes; what it has signed is nobody's then.
    pass(AFTERLIFE, folder.path(), &inside).await;
    forget_keys(&host);
    assert_eq!(known_keys(&nobody).await, BTreeSet::from([next]));
    nobody.with_token(&late).get("/me").await.problem(401, "unauthorized");
    nobody.with_token(&log_in(&ada).await).get("/me").await.expect(200);
    let begun = rotate("begin", &aws);
    assert!(begun.status.success(), "the next rotation: {begun:?}");
}
