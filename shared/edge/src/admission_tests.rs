//! Events, and an Edge table that answers what a test says.

use std::sync::Mutex;

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use axum::{
    Router,
    routing::{get, post, put},
};
use serde_json::{Value, json};
use tintype_auth::{Identity, Verifier};
use tintype_core::{SessionId, Time, UserId};
use tintype_tables::Table;

use super::*;
use crate::{Edge, MaybeViewer, answer, service};

/// What the table says, and the writes that it was asked for.
#[derive(Debug, Clone, Default)]
struct Edges {
    /// Of an address that is banned until then, in milliseconds since 1970.
    banned_until: Option<i64>,
    /// No quota is left.
    is_spent: bool,
    written: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Edges {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let now = Time::now().as_millis();
        let (status, answer) = if asked["UpdateExpression"].is_string() {
            let key = ["pk", "sk"].map(|name| asked["Key"][name]["S"].as_str().unwrap());
            self.written.lock().unwrap().push(key.join(" "));
            let tat = |ahead: i64| json!({"tat": {"N": ((now + ahead) * 1000).to_string()}});
            if self.is_spent && asked["ConditionExpression"].is_string() {
                (400, json!({"__type": "ConditionalCheckFailedException", "Item": tat(24 * 3600 * 1000)}))
            } else {
                (200, json!({"Attributes": tat(1)}))
            }
        } else {
            let item = self.banned_until.filter(|_| asked["Key"]["sk"]["S"] == "BAN");
            (200, item.map_or_else(|| json!({}), |until| json!({"Item": {"banned_until": {"N": until.to_string()}}})))
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), answer.to_string().into())))
    }
}

impl Edges {
    fn table(&self) -> Table {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Table { client: Client::from_conf(config.build()), name: "edge".to_owned() }
    }

    /// The answer to an event of `events/users`, changed by `change`.
    async fn answer(&self, event: &str, change: impl FnOnce(&mut Value)) -> Response {
        let path = format!("{}/../../events/users/{event}.json", env!("CARGO_MANIFEST_DIR"));
        let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        change(&mut event);
        let router = Router::new()
            .route("/users/{username}", get(|MaybeViewer(_): MaybeViewer| async { "a profile" }))
            .route("/users/{username}/follow", put(|| async { "followed" }))
            .route("/sessions", post(|| async { "logged in" }))
            .route("/sessions/refresh", post(|| async { "refreshed" }));
        let verifier = Verifier::new(self.table());
        let edge = Edge::of(verifier, Guard::new(self.table()));
        answer("test", service(router, edge), lambda_http::request::from_str(&event.to_string()).unwrap()).await
    }

    fn written(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }
}

fn with_token(event: &mut Value) {
    event["headers"]["Authorization"] = json!("Bearer forged.forged.forged");
    event["multiValueHeaders"]["Authorization"] = json!(["Bearer forged.forged.forged"]);
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

const ADDRESS: &str = "ADDRESS#203.0.113.7";

#[tokio::test]
async fn an_answer_says_what_is_left_of_whose_quota() {
    let edges = Edges::default();
    let response = edges.answer("follow", |_| {}).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "ratelimit-policy"), Some("\"writes\";q=120;w=60"));
    assert!(header(&response, "ratelimit").unwrap().starts_with("\"writes\";r=119;t="), "{response:?}");
    edges.answer("log-in", |_| {}).await;
    let person = "USER#0193a1f0-0000-7000-8000-00000000000b LIMIT#writes".to_owned();
    assert_eq!(edges.written(), [person, format!("{ADDRESS} LIMIT#sign-ins")]);
}

#[tokio::test]
async fn what_one_of_our_functions_asks_for_somebody_counts_against_nobody() {
    let edges = Edges { is_spent: true, banned_until: Some(Time::now().as_millis() + 90_500), ..Edges::default() };
    let asked_by_home = |event: &mut Value| {
        let identity = Identity { user_id: UserId::new(), session_id: SessionId::new(), expires_at: Time::now().as_seconds() + 60 };
        event["requestContext"]["authorizer"] = json!(crate::on_behalf_of(&identity, "home"));
    };
    let response = edges.answer("follow", asked_by_home).await;
    assert_eq!((response.status().as_u16(), header(&response, "ratelimit")), (200, None));
    assert!(edges.written().is_empty());
    assert_eq!(edges.answer("follow", |_| {}).await.status(), 429, "a person who asks by themselves is counted");
}

#[tokio::test]
async fn no_header_says_that_one_of_our_functions_asks() {
    let edges = Edges { is_spent: true, ..Edges::default() };
    let response = edges
        .answer("follow", |event| {
            event["headers"]["aggregated"] = json!("home");
            event["multiValueHeaders"]["aggregated"] = json!(["home"]);
        })
        .await;
    assert_eq!(response.status(), 429);
}

#[tokio::test]
async fn a_request_too_many_is_refused_with_the_policy_and_when_to_come_back() {
    let edges = Edges { is_spent: true, ..Edges::default() };
    let response = edges.answer("log-in", |_| {}).await;
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "ratelimit-policy"), Some("\"sign-ins\";q=20;w=60"));
    let wait: u64 = header(&response, "retry-after").unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    assert!(header(&response, "ratelimit").unwrap().starts_with(&format!("\"sign-ins\";r=0;t={wait}")), "{response:?}");
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    let body = body(response).await;
    assert_eq!((&body["code"], &body["violated-policies"]), (&json!("quota-exceeded"), &json!(["sign-ins"])));
}

#[tokio::test]
async fn a_banned_address_may_do_what_a_living_session_does_and_nothing_else() {
    let edges = Edges { banned_until: Some(Time::now().as_millis() + 90_500), ..Edges::default() };
    let response = edges.answer("get-profile", |_| {}).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (429, Some("91")));
    assert_eq!(body(response).await["code"], "address-banned");
    assert_eq!(edges.answer("get-profile", with_token).await.status(), 429, "a bad token is no session");
    assert_eq!(edges.answer("log-in", |_| {}).await.status(), 429);
    let unknown = |event: &mut Value| event["path"] = json!("/wp-login.php");
    assert_eq!(edges.answer("get-profile", unknown).await.status(), 429);
    assert_eq!(edges.answer("follow", |_| {}).await.status(), 200);
    assert_eq!(edges.answer("refresh-forged", |_| {}).await.status(), 200);
}

#[tokio::test]
async fn a_bad_token_counts_against_its_address_where_it_is_looked_at_and_so_does_an_unknown_route() {
    let edges = Edges::default();
    let ban = format!("{ADDRESS} BAN");
    assert_eq!(edges.answer("get-profile", with_token).await.status(), 401);
    assert_eq!(edges.written(), [ban.as_str()]);
    assert_eq!(edges.answer("get-profile", |event| event["path"] = json!("/wp-login.php")).await.status(), 404);
    assert_eq!(edges.written(), [ban.as_str(), &ban]);
}

#[tokio::test]
async fn an_unknown_route_that_a_page_of_another_site_has_a_browser_ask_for_counts_against_nobody() {
    for (site, failures) in [("cross-site", 0), ("same-site", 0), ("same-origin", 1), ("none", 1)] {
        let edges = Edges::default();
        let scan = |event: &mut Value| {
            event["path"] = json!("/x1");
            event["headers"]["Sec-Fetch-Site"] = json!(site);
            event["multiValueHeaders"]["Sec-Fetch-Site"] = json!([site]);
        };
        assert_eq!(edges.answer("get-profile", scan).await.status(), 404);
        assert_eq!(edges.written().len(), failures, "{site}");
    }
}

#[tokio::test]
async fn a_limit_of_a_route_of_its_own_is_told_with_the_classs() {
    let exceeded = Exceeded { policy: Policy::gcra("log-ins", 10, Duration::from_mins(10)), retry_after: Duration::from_millis(30_500) };
    let response = Problem::from(exceeded).into_response();
    assert_eq!(header(&response, "ratelimit-policy"), Some("\"log-ins\";q=10;w=600"));
    assert_eq!(header(&response, "ratelimit"), Some("\"log-ins\";r=0;t=31"));
    assert_eq!(header(&response, "retry-after"), Some("31"));
    assert_eq!(body(response).await["violated-policies"], json!(["log-ins"]));
}

#[tokio::test]
async fn a_stale_token_is_nothing_to_a_route_that_does_not_ask() {
    let edges = Edges::default();
    for event in ["log-in", "refresh-forged"] {
        assert_eq!(edges.answer(event, with_token).await.status(), 200, "{event}");
    }
    assert!(edges.written().iter().all(|key| !key.ends_with("BAN")), "{:?}", edges.written());
}
