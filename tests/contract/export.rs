//! Taking it all along: the archive of all that a person has made.

use std::{collections::BTreeMap, io::Read, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    comments,
    harness::{
        Caller, Person,
        client::Answer,
        photographs::{publish, publish_files, small_photo, telephone_photo},
        until,
    },
};

const PATIENCE: Duration = Duration::from_mins(2);

/// The export once it is done, as its owner reads it.
pub(crate) async fn done(person: &Person, location: &str) -> Answer {
    let path = location.strip_prefix("/v1").expect("it is root-relative");
    until("the archive is made", PATIENCE, async || {
        let answer = person.get(path).await.expect(200);
        assert_ne!(answer["status"], "failed", "{}", answer.text);
        (answer["status"] == "done").then_some(answer)
    })
    .await
}

/// The files of an archive.
fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("it is an archive").map(|entry| {
        let mut entry = entry.expect("a whole entry");
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).expect("its contents");
        (entry.path().expect("a path").to_str().expect("a plain path").to_owned(), contents)
    });
    entries.collect()
}

#[tokio::test]
async fn an_archive_has_all_that_a_person_has_made_and_nothing_of_others_that_is_not_theirs_to_know() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    ada.patch("/me", json!({"bio": "Analyst"})).await.expect(200);
    ada.follow(&bob).await;
    bob.follow(&ada).await;
    cyd.put(&format!("/users/{}/mute", ada.username)).await.expect(200);
    cyd.put(&format!("/users/{}/block", ada.username)).await.expect(200);
    let large = telephone_photo(1, 1200, 1600);
    let post = publish_files(&ada, "Two of them #sea", &[("image/jpeg", &large), ("image/jpeg", &small_photo())]).await;
    let his = publish(&bob, "not hers").await;
    let his = his["id"].as_str().expect("an id").to_owned();
    for mark in ["like", "save"] {
        ada.put(&format!("/posts/{his}/{mark}")).await.expect(200);
    }
    ada.put(&format!("/posts/{}/like", post["id"].as_str().expect("an id"))).await.expect(200);
    let said = comments::say(&ada, &his, "How beautiful").await;
    let answered = comments::reply(&bob, &said, "not hers either").await;
    let replied = comments::reply(&ada, &said, "I mean it").await;
    ada.put(&format!("{}/like", comments::at(&answered))).await.expect(200);

    let answer = ada.post("/me/export", json!({})).await.expect(202);
    let location = answer.header("location").expect("a location").to_owned();
    assert_eq!(location, format!("/v1/me/export/{}", answer["id"].as_str().expect("an id")));
    let export = done(&ada, &location).await;
    bob.get(&location[3..]).await.problem(404, "not-found");
    Caller::nobody().get(&location[3..]).await.problem(401, "unauthorized");

    let url = export["url"].as_str().expect("a URL");
    let archive = ada.plain(Method::GET, url).send().await.expect("an answer");
    assert_eq!(archive.status(), StatusCode::OK);
    let archive = archive.bytes().await.expect("the archive");
    assert_eq!(export["bytes"], archive.len());
    let files = unpack(&archive);
    let json = |path: &str| -> Value {
        serde_json::from_slice(files.get(path).unwrap_or_else(|| panic!("{path} of {:?}", files.keys()))).expect("JSON")
    };
    let account = json("account.json");
    assert_eq!((&account["username"], &account["email"], &account["bio"]), (&json!(ada.username), &json!(ada.email), &json!("Analyst")));
    assert_eq!((json("following.json"), json("followers.json")), (json!([bob.username]), json!([bob.username])));
    let marked = |path: &str| json(path).as_array().expect("marks").iter().map(|mark| mark["post_id"].clone()).collect::<Vec<_>>();
    assert_eq!(marked("saved.json"), [json!(his)]);
    assert_eq!(marked("likes.json"), [post["id"].clone(), json!(his)]);
    assert!(json("likes.json")[0]["liked_at"].is_string() && json("saved.json")[0]["saved_at"].is_string());
    assert_eq!(json("sessions.json").as_array().expect("sessions").len(), 1);
    let folder = format!("posts/{}", post["id"].as_str().expect("an id"));
    let told = json(&format!("{folder}/post.json"));
    for field in ["id", "caption", "hashtags", "created_at", "published_at"] {
        assert_eq!(told[field], post[field], "{field}");
    }
    for (index, photo) in post["photos"].as_array().expect("photos").iter().enumerate() {
        let file = &files[&format!("{folder}/{}", told["photos"][index]["file"].as_str().expect("a name"))];
        let picture = image::load_from_memory(file).expect("it decodes");
        let largest = photo["variants"].as_array().expect("variants").last().expect("one");
        assert_eq!((json!(picture.width()), json!(picture.height())), (largest["width"].clone(), largest["height"].clone()));
    }
    assert_eq!(files.keys().filter(|path| path.starts_with("posts/")).count(), 3, "{:?}", files.keys());
    let written: Vec<Value> = [&said, &replied]
        .map(|comment| {
            let told = ["id", "post_id", "parent_id", "text", "created_at"].map(|name| (name.to_owned(), comment[name].clone()));
            Value::Object(told.into_iter().collect())
        })
        .into();
    assert_eq!(json("comments.json"), json!(written));
    assert_eq!(json("liked-comments.json")[0]["comment_id"], answered["id"]);
    // Who has blocked or muted her is theirs to know; and what a thief could use is in no file.
    for (path, contents) in files.iter().filter(|(_, contents)| serde_json::from_slice::<Value>(contents).is_ok()) {
        let text = String::from_utf8_lossy(contents);
        for secret in [&*cyd.username, &cyd.id, "argon2", "X-Amz-", &ada.refresh_token] {
            assert!(!text.contains(secret), "{secret} in {path}: {text}");
        }
    }
}

#[tokio::test]
async fn one_archive_is_made_at_a_time_and_a_repeated_request_is_the_same() {
    let ada = Person::sign_up("ada").await;
    let ask = async |key: &str| Answer::to(ada.request(Method::POST, "/me/export").header("idempotency-key", key)).await;
    let first = ask("one").await.expect(202);
    let again = ask("one").await.expect(202);
    assert_eq!((first["id"].as_str(), again.header("idempotent-replayed")), (again["id"].as_str(), Some("true")));
    let location = first.header("location").expect("a location");
    // Whether it is done already is chance; if not, it says which one it is.
    let second = ask("two").await;
    if second.status == 409 {
        assert!(second["detail"].as_str().expect("a sentence").contains(location), "{}", second.text);
        second.problem(409, "export-running");
    } else {
        assert_ne!(second.expect(202)["id"], first["id"]);
    }
    done(&ada, location).await;
}
