//! What pages of other origins may do with a bucket: the answers to preflights, and the headers by which a browser lets a page read an answer.

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use s3s::{S3Error, S3ErrorCode};
use tintype_template::deployment::{self, CorsRule};

const NOT_ENABLED: &str = "CORSResponse: CORS is not enabled for this bucket.";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / \
    Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
const NO_ORIGIN: &str = "Insufficient information. Origin request header needed.";

/// The rules of every bucket that has some.
#[derive(Debug, Clone)]
pub(super) struct Cors(Vec<(String, Vec<CorsRule>)>);

impl Cors {
    pub(super) fn of(buckets: &[deployment::Bucket]) -> Self {
        let rules = buckets.iter().filter(|bucket| !bucket.cors.is_empty());
        Self(rules.map(|bucket| (bucket.name.clone(), bucket.cors.clone())).collect())
    }

    /// The answer to an `OPTIONS` request: no other part of S3 knows any.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Response {
        if !request.headers().contains_key(ORIGIN) {
            return refused(StatusCode::BAD_REQUEST, "BadRequest", NO_ORIGIN);
        }
        let Some(rules) = self.rules(request) else { return forbidden(NOT_ENABLED) };
        let method = value(request.headers(), &ACCESS_CONTROL_REQUEST_METHOD);
        let wanted = value(request.headers(), &ACCESS_CONTROL_REQUEST_HEADERS).to_ascii_lowercase();
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        match rules.iter().find(|rule| allows(rule, method) && wanted.iter().all(|name| has(&rule.allowed_headers, name))) {
            Some(rule) => (headers(rule, &wanted), Body::empty()).into_response(),
            None => forbidden(NOT_ALLOWED),
        }
    }

    /// What the answer to a page's request says beside its own, whether it is done or refused; nothing for who is no page.
    pub(super) fn headers<B>(&self, request: &Request<B>) -> HeaderMap {
        let rules = self.rules(request).filter(|_| request.headers().contains_key(ORIGIN) && request.method() != Method::OPTIONS);
        let rule = rules.and_then(|rules| rules.iter().find(|rule| allows(rule, request.method().as_str())));
        rule.map(|rule| headers(rule, &[])).unwrap_or_default()
    }

    /// Those of the bucket that a request is for.
    fn rules<B>(&self, request: &Request<B>) -> Option<&[CorsRule]> {
        let bucket = request.uri().path().split('/').nth(1)?;
        self.0.iter().find(|(name, _)| name == bucket).map(|(_, rules)| rules.as_slice())
    }
}

fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn allows(rule: &CorsRule, method: &str) -> bool {
    rule.allowed_methods.iter().any(|allowed| allowed == method)
}

fn has(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
}

fn headers(rule: &CorsRule, wanted: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method")),
    ]);
    let mut add = |name: HeaderName, value: String| {
        if let Some(value) = Some(value).filter(|value| !value.is_empty()).and_then(|value| value.try_into().ok()) {
            headers.insert(name, value);
        }
    };
    add(ACCESS_CONTROL_ALLOW_METHODS, rule.allowed_methods.join(", "));
    add(ACCESS_CONTROL_ALLOW_HEADERS, wanted.join(", "));
    add(ACCESS_CONTROL_EXPOSE_HEADERS, rule.exposed_headers.join(", "));
    add(ACCESS_CONTROL_MAX_AGE, rule.max_age.map(|seconds| seconds.to_string()).unwrap_or_default());
    headers
}

fn forbidden(message: &'static str) -> Response {
    refused(StatusCode::FORBIDDEN, "AccessForbidden", message)
}

fn refused(status: StatusCode, code: &'static str, message: &'static str) -> Response {
    // `s3s` has no names for the codes of preflights.
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    super::error(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://elsewhere.example";

    fn cors() -> Cors {
        let rule = CorsRule {
            allowed_methods: vec!["PUT".to_owned(), "HEAD".to_owned()],
            allowed_headers: vec!["Content-Type".to_owned(), "content-length".to_owned()],
            exposed_headers: vec!["ETag".to_owned()],
            max_age: Some(7200),
        };
        let bucket = |name: &str, cors| deployment::Bucket { name: name.to_owned(), notifications: Vec::new(), cors };
        Cors::of(&[bucket("open", vec![rule]), bucket("closed", Vec::new())])
    }

    fn request(method: &str, path: &str, headers: &[(HeaderName, &str)]) -> Request<()> {
        let request = Request::builder().method(method).uri(path);
        headers.iter().fold(request, |request, (name, value)| request.header(name, *value)).body(()).unwrap()
    }

    fn asked(path: &str, method: &str, headers: &str) -> Response {
        let said = [(ORIGIN, PAGE), (ACCESS_CONTROL_REQUEST_METHOD, method), (ACCESS_CONTROL_REQUEST_HEADERS, headers)];
        cors().preflight(&request("OPTIONS", path, &said))
    }

    fn said(headers: &HeaderMap) -> [&str; 5] {
        let names = [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ];
        names.map(|name| value(headers, &name))
    }

    #[test]
    fn a_preflight_is_answered_by_the_buckets_rules() {
        for (headers, echoed) in
            [("", ""), ("content-type", "content-type"), ("Content-Type,  content-length", "content-type, content-length")]
        {
            let answer = asked("/open/a/key", "PUT", headers);
            assert_eq!(answer.status(), 200, "{headers}");
            assert_eq!(said(answer.headers()), ["*", "PUT, HEAD", echoed, "ETag", "7200"], "{headers}");
            assert!(value(answer.headers(), &VARY).contains("Origin"));
        }
    }

    #[tokio::test]
    async fn what_no_rule_allows_is_refused_and_the_reason_is_said() {
        for (answer, message) in [
            (asked("/open/a", "DELETE", ""), NOT_ALLOWED),
            (asked("/open/a", "", ""), NOT_ALLOWED),
            (asked("/open/a", "PUT", "content-type,x-amz-acl"), NOT_ALLOWED),
            (asked("/closed/a", "PUT", ""), NOT_ENABLED),
            (asked("/nowhere/a", "PUT", ""), NOT_ENABLED),
        ] {
            assert_eq!((answer.status().as_u16(), said(answer.headers())), (403, [""; 5]), "{message}");
            let body = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
            let body = String::from_utf8_lossy(&body).replace("&apos;", "'");
            assert!(body.contains("<Code>AccessForbidden</Code>") && body.contains(message), "{body}");
        }
        let no_page = cors().preflight(&request("OPTIONS", "/open/a", &[(ACCESS_CONTROL_REQUEST_METHOD, "PUT")]));
        assert_eq!(no_page.status(), 400);
    }

    #[test]
    fn a_page_may_read_the_answer_to_what_it_may_send() {
        let of = |method, path, headers: &[(HeaderName, &str)]| cors().headers(&request(method, path, headers));
        assert_eq!(said(&of("PUT", "/open/a", &[(ORIGIN, PAGE)])), ["*", "PUT, HEAD", "", "ETag", "7200"]);
        for (method, path) in [("GET", "/open/a"), ("PUT", "/closed/a"), ("PUT", "/"), ("OPTIONS", "/open/a")] {
            assert!(of(method, path, &[(ORIGIN, PAGE)]).is_empty(), "{method} {path}");
        }
        assert!(of("PUT", "/open/a", &[]).is_empty(), "who is no page");
    }
}
