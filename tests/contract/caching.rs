//! What may be kept of an answer, by whom, and what else browsers are told of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Caller, Person,
    client::Answer,
    people::PASSWORD,
    photographs::{publish, small_photo},
    unique, until,
};

async fn get_if_changed(caller: &Caller, path: &str, had: &str) -> Answer {
    Answer::to(caller.request(Method::GET, path).header("if-none-match", had)).await
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {:?}", answer.headers)).to_owned()
}

#[tokio::test]
async fn whoever_has_an_answer_already_is_not_sent_it_again() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let post = publish(&ada, "one").await;
    until("the feed shows the post", std::time::Duration::from_secs(20), async || (!bob.feed().await.is_empty()).then_some(())).await;
    bob.counts_become([0, 0, 1]).await;
    ada.counts_become([1, 1, 0]).await;
    for path in [
        "/me".to_owned(),
        "/feed".to_owned(),
        "/sessions".to_owned(),
        format!("/users/{}", ada.username),
        format!("/users/{}/followers?limit=1", ada.username),
        format!("/users/{}/posts", ada.username),
        format!("/posts/{}", post["id"].as_str().expect("an id")),
    ] {
        let first = bob.get(&path).await.expect(200);
        assert_eq!(first.header("cache-control"), Some("private, no-cache"), "{path}");
        let tag = etag(&first);
        assert!(tag.len() > 10 && tag.ends_with('"'), "{tag}");
        for had in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let answer = get_if_changed(&bob, &path, &had).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path} {had}");
            // What the caller has kept it keeps under the same rules (RFC 9110 §15.4.5).
            for name in ["etag", "cache-control", "access-control-allow-origin", "access-control-expose-headers", "x-content-type-options"]
            {
                assert_eq!(answer.header(name), first.header(name), "{name} of {path}");
            }
        }
        for had in ["\"x\"", "W/\"x\"", tag.trim_matches('"')] {
            assert_eq!(get_if_changed(&bob, &path, had).await.expect(200).text, first.text, "{path} {had}");
        }
    }
}

#[tokio::test]
async fn what_has_changed_is_sent_and_has_another_tag() {
    let ada = Person::sign_up("ada").await;
    let path = format!("/users/{}", ada.username);
    let (mine, public) = (ada.get("/me").await.expect(200), Caller::nobody().get(&path).await.expect(200));
    ada.patch("/me", json!({"bio": "new"})).await.expect(200);
    let changed = get_if_changed(&ada, "/me", &etag(&mine)).await.expect(200);
    assert_eq!(changed["bio"], "new");
    assert_ne!(etag(&changed), etag(&mine));
    // Others may read a profile as it was a moment ago.
    until("the profile shows it", std::time::Duration::from_secs(20), async || {
        let answer = get_if_changed(&Caller::nobody(), &path, &etag(&public)).await;
        (answer.status == 200 && answer["bio"] == "new").then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_persons_tag_is_not_anothers() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let tag = etag(&ada.get("/me").await.expect(200));
    assert_eq!(get_if_changed(&bob, "/me", &tag).await.expect(200)["username"], bob.username);
    // Without access there is nothing to compare.
    get_if_changed(&Caller::nobody(), "/me", &tag).await.problem(401, "unauthorized");
    get_if_changed(&Caller::nobody(), "/me", "*").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn the_documents_for_everybody_may_be_kept_by_everybody_and_have_a_tag() {
    for path in ["/.well-known/jwks.json", "/openapi.json"] {
        let answer = Caller::nobody().get(path).await.expect(200);
        let rule = answer.header("cache-control").unwrap_or_default();
        assert!(rule.contains("public") && rule.contains("max-age="), "{path}: {rule}");
        let again = get_if_changed(&Caller::nobody(), path, &etag(&answer)).await;
        assert_eq!((again.status, again.text.as_str(), again.header("cache-control")), (304, "", Some(rule)), "{path}");
    }
}

#[tokio::test]
async fn nobody_keeps_tokens_tickets_or_errors() {
    let ada = Person::sign_up("ada").await;
    let name = unique("eve");
    let sign_up = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    let photo = json!([{"content_type": "image/jpeg", "bytes": small_photo().len()}]);
    for (caller, path, body, status) in [
        (&Caller::nobody(), "/accounts", sign_up, 201),
        (&Caller::nobody(), "/sessions", json!({"login": ada.username, "password": PASSWORD}), 201),
        (&Caller::nobody(), "/sessions/refresh", json!({"refresh_token": ada.refresh_token}), 200),
        (&Caller::nobody(), "/sessions", json!({"login": ada.username, "password": "wrong wrong"}), 401),
        (&*ada, "/posts", json!({"photos": photo}), 202),
        (&*ada, "/posts", json!({"photos": []}), 422),
    ] {
        let answer = caller.post(path, body).await.expect(status);
        assert_eq!((answer.header("cache-control"), answer.header("etag")), (Some("no-store"), None), "{path} {status}");
    }
    for (caller, path, status) in [(&*ada, "/users/nobody.at.all", 404), (&*ada, "/feed?limit=0", 422), (&*ada, "/posts/1", 404)] {
        let answer = get_if_changed(caller, path, "*").await.expect(status);
        assert_eq!((answer.header("cache-control"), answer.header("etag")), (Some("no-store"), None), "{path}");
    }
}

#[tokio::test]
async fn browsers_can_make_nothing_else_of_any_answer() {
    let ada = Person::sign_up("ada").await;
    let photo = json!([{"content_type": "image/jpeg", "bytes": small_photo().len()}]);
    for (method, path, body, status) in [
        (Method::GET, "/me", Value::Null, 200),
        (Method::GET, "/feed", Value::Null, 200),
        (Method::GET, "/health", Value::Null, 200),
        (Method::GET, "/openapi.json", Value::Null, 200),
        (Method::GET, "/.well-known/jwks.json", Value::Null, 200),
        (Method::POST, "/posts", json!({"photos": photo}), 202),
        (Method::PATCH, "/me", json!({"bio": "<script>alert(1)</script>"}), 200),
        (Method::PATCH, "/me", json!({"surprise": 1}), 422),
        (Method::POST, "/posts", json!("text"), 422),
        (Method::GET, "/posts/1", Value::Null, 404),
        (Method::GET, "/users/nobody.at.all", Value::Null, 404),
        (Method::DELETE, "/sessions/current", Value::Null, 204),
    ] {
        let request = ada.request(method.clone(), path);
        let answer = Answer::to(if body.is_null() { request } else { request.json(&body) }).await.expect(status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {method} {path}");
        }
        assert!(answer.header("cache-control").is_some(), "{method} {path}");
    }
}
