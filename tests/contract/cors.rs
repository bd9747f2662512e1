//! Pages of other origins: browsers ask before they send, and show a page only what the answer says it may read.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::harness::{
    Caller, Person, Ticket,
    client::Answer,
    photographs::{publish, small_photo},
    until,
};

const ORIGIN: &str = "https://elsewhere.example";

/// The names in a header that lists some.
fn names(answer: &Answer, header: &str) -> BTreeSet<String> {
    let value = answer.header(header).unwrap_or_else(|| panic!("{header} of {}", answer.text));
    value.split(',').map(|name| name.trim().to_lowercase()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_browser_that_asks_may_call_every_route() {
    let nobody = Caller::nobody();
    for (path, method) in [
        ("/accounts", "POST"),
        ("/me", "PATCH"),
        ("/feed", "GET"),
        ("/users/ada/follow", "PUT"),
        ("/users/ada/follow", "DELETE"),
        ("/posts/01890a5d-ac96-774b-bcce-b302099a8057", "DELETE"),
        ("/health", "GET"),
    ] {
        let request = nobody
            .request(Method::OPTIONS, path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "authorization,content-type");
        let answer = Answer::to(request).await;
        assert!(matches!(answer.status, 200 | 204), "{path}: {} {}", answer.status, answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(names(&answer, "access-control-allow-methods").contains(&method.to_lowercase()), "{method} {path}");
        assert!(names(&answer, "access-control-allow-headers").is_superset(&set(&["authorization", "content-type"])), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
    }
}

#[tokio::test]
async fn a_page_is_told_that_a_path_is_not_there() {
    // The catch-all answers preflights too: the request itself says 404, and the page may read it.
    let nowhere = |method| Caller::nobody().request(method, "/nowhere").header("origin", ORIGIN);
    let preflight = Answer::to(nowhere(Method::OPTIONS)).await.expect(200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    let answer = Answer::to(nowhere(Method::GET)).await.problem(404, "not-found");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn pages_read_answers_of_functions_and_of_the_gateway_alike() {
    let ada = Person::sign_up("ada").await;
    let nobody = Caller::nobody();
    for (answer, status) in [
        (ada.get("/me").await, 200),
        (ada.get("/users/nobody.of.that.name").await, 404),
        (ada.patch("/me", json!({"surprise": 1})).await, 422),
        (nobody.get("/feed").await, 401),
        (nobody.get("/nowhere").await, 404),
        (nobody.with_token("nonsense").get("/feed").await, 401),
    ] {
        let answer = answer.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{status}");
    }
    let exposed = names(&ada.get("/me").await, "access-control-expose-headers");
    let wanted = set(&["etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after"]);
    assert!(exposed.is_superset(&wanted), "{exposed:?}");
}

/// The names that a browser asks a preflight for: what it sets itself, and what is harmless, it does not ask for.
fn asked_for(headers: &serde_json::Value) -> String {
    let names = headers.as_object().expect("headers").keys().map(|name| name.to_lowercase());
    names.filter(|name| name != "content-length" && name != "host").collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn a_page_uploads_by_a_ticket_and_may_read_whatever_is_answered() {
    let (ada, photo) = (Person::sign_up("ada").await, small_photo());
    let ticket = Ticket::of(&ada, "from a page", &[("image/jpeg", &photo)]).await;
    let url = ticket.uploads[0]["url"].as_str().expect("a URL");
    let preflight = |method: &'static str, headers: String| {
        let request = ada.plain(Method::OPTIONS, url).header("origin", ORIGIN).header("access-control-request-method", method);
        Answer::to(request.header("access-control-request-headers", headers))
    };
    let asked = asked_for(&ticket.uploads[0]["headers"]);
    assert_eq!(asked, "content-type", "a ticket asks for nothing more");
    let allowed = preflight("PUT", asked.clone()).await;
    assert!(matches!(allowed.status, 200 | 204), "{} {}", allowed.status, allowed.text);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("*"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert!(names(&allowed, "access-control-allow-methods").contains("put"));
    assert!(names(&allowed, "access-control-allow-headers").is_superset(&set(&asked.split(',').collect::<Vec<_>>())));
    for (method, headers) in [("DELETE", asked.clone()), ("PUT", format!("{asked},x-amz-acl"))] {
        let refused = preflight(method, headers).await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None), "{method}: {}", refused.text);
    }

    // Refused first, so that nothing is published meanwhile: a page is told why.
    let send =
        |instead: &'static [(&'static str, &'static str)]| Answer::to(ticket.request(&ada, 0, &photo, instead).header("origin", ORIGIN));
    for (answer, status) in [(send(&[("content-type", "image/png")]).await, 403), (send(&[]).await, 200)] {
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some("*")), "{}", answer.text);
        assert!(names(&answer, "access-control-expose-headers").contains("etag"), "{status}");
    }
    assert_eq!(ticket.settled(&ada).await["status"], "published");
}

#[tokio::test]
async fn a_page_may_read_the_pixels_of_photographs_it_may_see() {
    let ada = Person::sign_up("ada").await;
    let path = format!("/posts/{}", publish(&ada, "public, then private").await["id"].as_str().expect("an id"));
    let url = async || {
        let post = ada.get(&path).await.expect(200).body;
        post["photos"][0]["variants"][0]["url"].as_str().expect("a URL").to_owned()
    };
    let public = url().await;
    let get = |url: String| Answer::to(ada.plain(Method::GET, &url).header("origin", ORIGIN));
    let answer = get(ada.url(&public)).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));

    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    let signed =
        until("the photograph has a signed URL", Duration::from_secs(30), async || Some(url().await).filter(|url| url.starts_with("http")))
            .await;
    let answer = get(signed).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
