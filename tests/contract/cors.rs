//! Pages of other origins: browsers ask before they send, and show a page only what the answer says it may read.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Caller, Person, client::Answer};

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
