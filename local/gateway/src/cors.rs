//! The `OPTIONS` methods that SAM makes of a template's `Cors`: mock integrations, which ask no function.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE,
    },
};
use http_body_util::Full;
use tintype_template::deployment::Cors;

use crate::routes::ANY;

/// What SAM makes of `ANY`.
const ALL: &str = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT";

/// What SAM's mock answers beside the headers.
const BODY: &str = "{}\n";

/// The answer to every `OPTIONS` request for one path.
#[derive(Debug)]
pub(crate) struct Preflight {
    headers: HeaderMap,
}

impl Preflight {
    /// For a path that has these methods.
    pub(crate) fn new<'m>(cors: &Cors, methods: impl Iterator<Item = &'m str>) -> Self {
        let methods = cors.allow_methods.clone().unwrap_or_else(|| {
            let mut methods: Vec<_> = methods.chain(["OPTIONS"]).collect();
            methods.sort_unstable();
            if methods.contains(&ANY) { ALL.to_owned() } else { methods.join(",") }
        });
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let mut add = |name: HeaderName, value: Option<&str>| {
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        };
        add(ACCESS_CONTROL_ALLOW_ORIGIN, Some(&cors.allow_origin));
        add(ACCESS_CONTROL_ALLOW_METHODS, Some(&methods));
        add(ACCESS_CONTROL_ALLOW_HEADERS, cors.allow_headers.as_deref());
        add(ACCESS_CONTROL_MAX_AGE, cors.max_age.as_deref());
        Self { headers }
    }

    pub(crate) fn answer(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(BODY));
        *response.headers_mut() = self.headers.clone();
        response
    }
}
