//! A small HTTP client that speaks the API, and holds every error answer against the contract.

use std::{
    ops::Index,
    time::{Duration, Instant},
};

use reqwest::{
    Method, RequestBuilder, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{
    host::{self, Addresses},
    secrets,
};

/// What only the inside knows: no error answer may hold any of it.
const INTERNAL: [&str; 9] = ["dynamodb", "sqlite", "tintype-", "aws_", "lambda_", "conditionalcheck", "panicked", "backtrace", ".rs:"];

/// How long a patient caller goes on trying.
const PATIENCE: Duration = Duration::from_secs(30);

/// And how soon, where the answer does not say.
const PAUSE: Duration = Duration::from_millis(50);

/// Somebody who sends requests, with an access token or without.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    addresses: Addresses,
    token: Option<String>,
    is_patient: bool,
    /// What the CDN would add to every request.
    from_cdn: HeaderMap,
}

impl Caller {
    /// Nobody in particular, at the host that all tests share.
    pub(crate) fn nobody() -> Self {
        Self::nobody_at(host::shared())
    }

    /// Nobody in particular, at some host.
    pub(crate) fn nobody_at(addresses: &Addresses) -> Self {
        // A client of each test's own: its connections belong to the test's runtime.
        // Hosts hang up on connections that nobody has used for a while, this one's after 30 s: a request must not meet that on its way.
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).pool_idle_timeout(Duration::from_secs(15)).build();
        let http = http.expect("a client");
        Self { http, addresses: addresses.clone(), token: None, is_patient: false, from_cdn: HeaderMap::new() }
    }

    /// The same, but with this access token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, but tries again, as apps do, what fails or is not whole for no fault of its own, and what it asked for too often.
    pub(crate) fn patient(&self) -> Self {
        Self { is_patient: true, ..self.clone() }
    }

    /// The same, calling from this address, as the CDN tells it. `None` where that can't be played: a host that is another's.
    pub(crate) async fn calling_from(&self, address: &str) -> Option<Self> {
        let secret = secrets::origin_secret(self.aws()?).await;
        let header = |value: &str| value.parse::<HeaderValue>().expect("a header's value");
        let from_cdn = [("x-origin-secret", header(&secret)), ("x-viewer-address", header(address))];
        let from_cdn = from_cdn.map(|(name, value)| (HeaderName::from_static(name), value)).into_iter().collect();
        Some(Self { from_cdn, ..self.clone() })
    }

    /// The same, after the host has moved.
    pub(crate) fn at(&self, addresses: &Addresses) -> Self {
        Self { addresses: addresses.clone(), ..self.clone() }
    }

    /// Where the AWS endpoints are, if tests may touch them.
    pub(crate) fn aws(&self) -> Option<&str> {
        self.addresses.aws.as_deref()
    }

    /// A URL as it stands in an answer, made absolute.
    pub(crate) fn url(&self, root_relative: &str) -> String {
        format!("{}{root_relative}", self.addresses.origin)
    }

    /// A request to any URL, without the token.
    pub(crate) fn plain(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// A request to the API that is still to be shaped; `path` is below `/v1`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.plain(method, &self.url(&format!("/v1{path}"))).headers(self.from_cdn.clone());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str) -> Answer {
        self.send(self.request(Method::PUT, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let started = Instant::now();
        loop {
            let answer = Answer::to(request.try_clone().expect("its body is in memory")).await;
            let is_enough = answer.status < 500 && answer.status != 429 && answer.header("tintype-degraded").is_none();
            if !self.is_patient || is_enough || started.elapsed() > PATIENCE {
                return answer;
            }
            // What fails says so in the API's own words.
            let is_said = answer["code"].is_string() && answer["request_id"].is_string();
            assert!(answer.status == 200 || is_said, "{}", answer.text);
            let wait = answer.header("retry-after").filter(|_| answer.status == 429).and_then(|seconds| seconds.parse().ok());
            tokio::time::sleep(wait.map_or(PAUSE, Duration::from_secs)).await;
        }
    }

    /// The pages of a list, followed through their `Link` headers.
    pub(crate) async fn pages(&self, path: &str, limit: usize) -> Vec<Vec<Value>> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{path}{separator}limit={limit}"));
        let mut pages = Vec::new();
        while let Some(path) = next {
            let answer = self.get(&path).await.expect(200);
            pages.push(answer["items"].as_array().expect("items").clone());
            let link = answer.header("link").map(|link| link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")));
            let link = link.map(|link| link.expect("the header is a link to the next page"));
            assert_eq!(link.and_then(cursor_of).as_deref(), answer["next_cursor"].as_str(), "header and body name the same page");
            next = link.map(|link| link.strip_prefix("/v1").expect("it is root-relative").to_owned());
        }
        pages
    }

    /// All items of a list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        self.pages(path, 100).await.concat()
    }
}

fn cursor_of(root_relative: &str) -> Option<String> {
    let url = Url::parse("http://host").and_then(|host| host.join(root_relative)).expect("it is a URL");
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// `Null` where the text is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("its body");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Demands a status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Demands an error answer, with all that the contract says of one.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let text = &self.text;
        assert_eq!((self.status, self["code"].as_str()), (status, Some(code)), "{text}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{text}");
        assert_eq!(self["type"], "about:blank", "{text}");
        assert_eq!(self["status"], status, "{text}");
        for field in ["title", "detail", "request_id"] {
            assert!(self[field].as_str().is_some_and(|value| !value.is_empty()), "{field} of {text}");
        }
        assert_eq!(self["errors"].is_array(), code == "validation-failed", "{text}");
        // API Gateway keeps that name for its own answers: a function's goes by another one.
        let challenge = self.header("www-authenticate").or(self.header("x-amzn-remapped-www-authenticate"));
        assert_eq!(challenge, (status == 401).then_some("Bearer"), "{text}");
        let shown = text.to_lowercase();
        for internal in INTERNAL {
            assert!(!shown.contains(internal), "the inside shows ({internal}): {text}");
        }
        self
    }

    /// Demands 422 `validation-failed` that names exactly these fields.
    #[track_caller]
    pub(crate) fn invalid(self, pointers: &[&str]) -> Self {
        let answer = self.problem(422, "validation-failed");
        let errors = answer["errors"].as_array().expect("errors");
        let mut named: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        let mut wanted = pointers.to_vec();
        named.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(named, wanted, "{}", answer.text);
        assert!(errors.iter().all(|error| error["detail"].as_str().is_some_and(|detail| !detail.is_empty())), "{}", answer.text);
        answer
    }
}

/// A field of the body.
impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.body[field]
    }
}
