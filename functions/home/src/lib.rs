//! Home; health, the API's own description, and what is said of a route that does not exist.
//!
//! The gateway sends here whatever no other route takes, rather than refusing it by itself: so that addresses which try one path after
//! the other are counted, and banned. The answer is the one that it would give (`MISSING_AUTHENTICATION_TOKEN`), by the edge's fallback.

mod home;
mod lambda;
mod section;

pub use home::Home;

use aws_sdk_dynamodb::Client;
use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lambda_http::Error;
use serde::Serialize;
use tintype_auth::Verifier;
use tintype_edge::Edge;
use tintype_guard::Guard;
use tintype_tables::{Table, config};
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Merged from what every function's code says of itself; a test keeps it current.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let guard = Guard::from_env(&client);
    let warm = async {
        if let Some(table) = guard.table() {
            table.warm().await;
        }
    };
    let (home, ()) = tokio::join!(Home::from_env(&aws), warm);
    let router = router(home?);
    // Behind the gateway its authorizer has said who calls. `cargo lambda watch` has none, but one environment for all functions: there
    // tokens are verified here.
    let edge = match Table::from_env(&client, "USERS_TABLE") {
        Ok(users) => Edge::of(Verifier::new(users), guard),
        Err(_) => guard.into(),
    };
    tintype_edge::serve("home", router, edge).await
}

/// The function's routes.
pub fn router(home: Home) -> Router {
    api().split_for_parts().0.with_state(home)
}

/// What the function's routes say of themselves.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<Home> {
    OpenApiRouter::default().routes(routes!(home::home)).routes(routes!(health)).routes(routes!(document))
}

/// That the API answers.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
    /// The version that is deployed.
    version: &'static str,
}

/// Whether the API answers.
#[utoipa::path(get, path = "/health", tag = "service", responses((status = 200, description = "It does", body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// This document (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses((status = 200, description = "The document", body = Object, content_type = "application/json")))]
async fn document() -> Response {
    let mut response = DOCUMENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::Value;

    async fn respond(event: &str) -> Response {
        let event = lambda_http::request::from_str(event).unwrap();
        tintype_edge::answer("home", tintype_edge::service(router(home::tests::asking_nobody()), None), event).await
    }

    fn event(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../../events/home/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    async fn answer(name: &str) -> Value {
        let response = respond(&event(name)).await;
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"application/json".parse().unwrap()));
        serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn it_is_healthy_and_says_its_version() {
        assert_eq!(answer("health").await, serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    }

    #[tokio::test]
    async fn the_document_is_openapi() {
        assert_eq!(answer("openapi").await["openapi"], "3.1.0");
    }

    #[tokio::test]
    async fn whatever_no_route_takes_is_not_found_as_the_gateway_says_it() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let mut event: Value = serde_json::from_str(&event("unknown")).unwrap();
            event["httpMethod"] = method.into();
            event["requestContext"]["httpMethod"] = method.into();
            let response = respond(&event.to_string()).await;
            assert_eq!(response.status().as_u16(), 404, "{method}");
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(
                (header("content-type").as_str(), header("access-control-allow-origin").as_str()),
                ("application/problem+json", "*")
            );
            let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
            for (field, value) in [("type", "about:blank"), ("title", "Not Found"), ("code", "not-found"), ("detail", "No such route.")] {
                assert_eq!(body[field], value, "{method}");
            }
        }
    }
}
