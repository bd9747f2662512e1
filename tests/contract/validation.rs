//! What people send is taken in one form, or refused with a pointer to what is wrong.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Caller, Person, client::Answer, people::PASSWORD, unique};

async fn raw(caller: &Caller, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::to(caller.request(method, path).header("content-type", "application/json").body(body.into())).await
}

fn post(caption: &str) -> Value {
    json!({"caption": caption, "photos": [{"content_type": "image/jpeg", "bytes": 1000}]})
}

#[tokio::test]
async fn a_body_nested_more_deeply_than_any_of_ours_is_malformed() {
    let ada = Person::sign_up("ada").await;
    for levels in [17, 127, 128, 500, 20_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            if body.len() > 64 * 1024 {
                continue;
            }
            let problem = raw(&ada, Method::POST, "/posts", body).await.problem(400, "malformed-request");
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("levels")), "{}", problem.text);
        }
    }
    let body = format!("{}1{}", "[".repeat(16), "]".repeat(16));
    raw(&ada, Method::POST, "/posts", body).await.invalid(&[""]);
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_refused_by_its_pointer() {
    let ada = Person::sign_up("ada").await;
    for (method, path, body, pointer) in [
        (Method::PATCH, "/me", r#"{"bio": "a", "bio": "a"}"#, "/bio"),
        (Method::PATCH, "/me", r#"{"bio": "a", "b\u0069o": "b"}"#, "/bio"),
        (Method::POST, "/posts", r#"{"photos": [{"content_type": "image/jpeg", "bytes": 1, "bytes": 2}]}"#, "/photos/0/bytes"),
        (Method::POST, "/posts", r#"{"photos": [], "location": {"name": "a", "lat": 1, "lat": 2, "lng": 0}}"#, "/location/lat"),
    ] {
        raw(&ada, method, path, body).await.invalid(&[pointer]);
    }
}

#[tokio::test]
async fn text_that_is_no_unicode_is_malformed() {
    let ada = Person::sign_up("ada").await;
    for body in [r#"{"bio": "\ud83d"}"#, r#"{"bio": "\ude00\ud83d"}"#, r#"{"bio": "\ud83dx"}"#] {
        raw(&ada, Method::PATCH, "/me", body).await.problem(400, "malformed-request");
    }
    let answer = raw(&ada, Method::PATCH, "/me", r#"{"bio": "\ud83d\ude00"}"#).await.expect(200);
    assert_eq!(answer["bio"], "😀");
}

#[tokio::test]
async fn text_is_kept_composed_and_with_plain_line_breaks() {
    let ada = Person::sign_up("ada").await;
    let answer = ada.post("/posts", post(" Le\u{301}a\r\nand\u{2028}#cafe\u{301} ")).await.expect(202);
    let post = ada.get(&format!("/posts/{}", answer["id"].as_str().expect("an id"))).await.expect(200);
    assert_eq!(post["caption"], "L\u{e9}a\nand\n#caf\u{e9}");
    assert_eq!(post["hashtags"], json!(["caf\u{e9}"]));
    let answer = ada.patch("/me", json!({"bio": "e\u{301}\r\ntwo"})).await.expect(200);
    assert_eq!(answer["bio"], "\u{e9}\ntwo");
}

#[tokio::test]
async fn what_turns_or_controls_text_is_refused_wherever_people_write() {
    let ada = Person::sign_up("ada").await;
    for bad in ["a\u{0}b", "a\u{7}b", "a\u{1b}[31m", "a\u{202e}b", "a\u{2066}b", "a\u{202a}b\u{202c}", "a\u{9c}b"] {
        ada.post("/posts", post(bad)).await.invalid(&["/caption"]);
        let mut body = post("x");
        body["photos"][0]["alt_text"] = bad.into();
        ada.post("/posts", body).await.invalid(&["/photos/0/alt_text"]);
        ada.patch("/me", json!({"bio": bad, "display_name": bad})).await.invalid(&["/bio", "/display_name"]);
    }
    // Right-to-left text itself is welcome.
    ada.post("/posts", post("שלום \u{200f}(עולם) مرحبا")).await.expect(202);
}

#[tokio::test]
async fn a_name_has_one_line_and_nothing_hidden() {
    let ada = Person::sign_up("ada").await;
    let place = |name: &str| {
        let mut body = post("x");
        body["location"] = json!({"name": name, "lat": 1, "lng": 2});
        body
    };
    for bad in [
        "",
        " ",
        "a\nb",
        "a\u{2028}b",
        "Ad\u{200b}a",
        "Ad\u{200d}a",
        "Ada\u{feff}",
        "Ad\u{ad}a",
        "\u{3164}",
        "\u{2800}",
        "Ada\u{200e}",
        "a\u{202e}b",
    ] {
        ada.post("/posts", place(bad)).await.invalid(&["/location/name"]);
        ada.patch("/me", json!({"display_name": bad})).await.invalid(&["/display_name"]);
    }
    let eve = unique("eve");
    let sign_up = json!({"username": eve, "email": format!("{eve}@example.com"), "password": PASSWORD, "display_name": "Ad\u{200b}a"});
    Caller::nobody().post("/accounts", sign_up).await.invalid(&["/display_name"]);
    for (sent, kept) in [
        ("  Ada\u{a0}\u{2003}Le\u{301}a ", "Ada L\u{e9}a"),
        ("👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
    ] {
        assert_eq!(ada.patch("/me", json!({"display_name": sent})).await.expect(200)["display_name"], kept);
        let answer = ada.post("/posts", place(sent)).await.expect(202);
        let post = ada.get(&format!("/posts/{}", answer["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(post["location"]["name"], kept);
    }
}

#[tokio::test]
async fn a_website_shows_where_it_leads() {
    let ada = Person::sign_up("ada").await;
    for bad in [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "https://bank.example@example.org",
        "https://example.org/\u{202e}gpj.exe",
        "https://exa mple.org",
        "https://example.org/a b",
        "https://example.org\\@bank.example",
    ] {
        ada.patch("/me", json!({"website": bad})).await.invalid(&["/website"]);
    }
    assert_eq!(ada.patch("/me", json!({"website": " https://example.org/ada "})).await.expect(200)["website"], "https://example.org/ada");
}
