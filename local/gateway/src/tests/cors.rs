//! Preflights, as SAM's mock integrations answer them.

use http::Request;
use serde_json::json;
use tintype_template::deployment::{Api, Cors, Route};

use super::{Fixture, Read, api};

fn with_cors(change: impl FnOnce(&mut Cors)) -> Fixture {
    let mut cors = Cors {
        allow_origin: "*".to_owned(),
        allow_headers: Some("Authorization,Content-Type".to_owned()),
        allow_methods: None,
        max_age: Some("7200".to_owned()),
        authorized: false,
    };
    change(&mut cors);
    let mut routes = api().routes;
    routes.push(Route { method: "DELETE".to_owned(), ..routes[0].clone() });
    routes.push(Route { method: "ANY".to_owned(), path: "/any".to_owned(), ..routes[0].clone() });
    routes.push(Route { method: "OPTIONS".to_owned(), path: "/own".to_owned(), ..routes[0].clone() });
    Fixture::new(Api { cors: Some(cors), routes, ..api() }, |_, _| Ok(json!({"body": "the function's"})))
}

async fn options(fixture: &Fixture, path: &str) -> Read {
    let request = Request::options(path).header("origin", "https://elsewhere.example").header("access-control-request-method", "GET");
    fixture.send(request, "").await
}

#[tokio::test]
async fn a_preflight_is_answered_without_asking_anyone() {
    let fixture = with_cors(|_| ());
    for (path, methods) in [
        ("/v1/open/x", "DELETE,GET,OPTIONS"),
        ("/v1/open", "OPTIONS,POST"),
        ("/v1/closed", "GET,OPTIONS"),
        ("/v1/closed/x/", "OPTIONS,POST"),
        ("/v1/any", "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT"),
    ] {
        let response = options(&fixture, path).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.body, "{}\n");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", "Authorization,Content-Type"),
            ("access-control-max-age", "7200"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(response.headers[name], value, "{path}");
        }
        assert!(response.headers.contains_key("x-amzn-requestid"));
        assert!(!response.headers.contains_key("access-control-allow-credentials"));
    }
    assert_eq!(fixture.seen().len(), 0);
}

#[tokio::test]
async fn a_path_that_is_not_there_has_no_preflight() {
    let fixture = with_cors(|_| ());
    assert_eq!(options(&fixture, "/v1/nowhere").await.refusal(), (404, "MISSING_AUTHENTICATION_TOKEN".to_owned()));
}

#[tokio::test]
async fn a_path_keeps_an_options_method_of_its_own() {
    let fixture = with_cors(|_| ());
    assert_eq!(options(&fixture, "/v1/own").await.body, "the function's");
}

#[tokio::test]
async fn what_the_template_says_of_methods_and_leaves_out() {
    let fixture = with_cors(|cors| {
        cors.allow_methods = Some("GET".to_owned());
        (cors.allow_headers, cors.max_age) = (None, None);
    });
    let response = options(&fixture, "/v1/open").await;
    assert_eq!(response.headers["access-control-allow-methods"], "GET");
    assert!(!response.headers.contains_key("access-control-allow-headers"));
    assert!(!response.headers.contains_key("access-control-max-age"));
}

/// What `AddDefaultAuthorizerToCorsPreflight` does unless it is said to be false.
#[tokio::test]
async fn an_authorizer_before_preflights_locks_browsers_out() {
    let fixture = with_cors(|cors| cors.authorized = true);
    assert_eq!(options(&fixture, "/v1/open").await.refusal(), (401, "UNAUTHORIZED".to_owned()));
}
