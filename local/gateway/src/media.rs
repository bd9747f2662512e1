//! `/media/*` as the distribution serves it: objects below one prefix of the media bucket, read-only.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, ORIGIN, X_CONTENT_TYPE_OPTIONS},
};
use http_body_util::Full;
use tintype_cloud::{
    s3::{Buckets, Object},
    say,
};
use tintype_template::deployment::MediaOrigin;

use crate::routes::percent_decode;

/// Paths that belong to the media bucket.
const MOUNT: &str = "/media/";

/// The bucket behind `/media/*`.
pub(crate) struct Media {
    origin: MediaOrigin,
    buckets: Buckets,
}

impl Media {
    pub(crate) fn new(origin: MediaOrigin, buckets: Buckets) -> Self {
        Self { origin, buckets }
    }

    /// Whether a path is below `/media`.
    pub(crate) fn covers(path: &str) -> bool {
        path.starts_with(MOUNT)
    }

    /// The object at a path; `None` for whatever is not there to be read.
    pub(crate) async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
        if method != Method::GET && method != Method::HEAD {
            return None;
        }
        let key = object_key(&self.origin.origin_path, path)?;
        let object = match self.buckets.object(&self.origin.bucket, &key).await {
            Ok(object) => object?,
            Err(error) => {
                say("gateway", &format!("{path}: {error}"));
                return None;
            }
        };
        let mut response = response(object, headers.get(IF_NONE_MATCH));
        if self.origin.is_for_any_origin && headers.contains_key(ORIGIN) {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Some(response)
    }
}

/// The key that a path means: the origin's path, then what follows `/media/`, decoded.
///
/// Only names may follow: anything that could lead out of the prefix has no key.
fn object_key(origin_path: &str, path: &str) -> Option<String> {
    let rest = path.strip_prefix(MOUNT)?;
    let mut key = origin_path.trim_matches('/').to_owned();
    for segment in rest.split('/') {
        let name = percent_decode(segment)?;
        let is_name = !matches!(&*name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
        if !is_name {
            return None;
        }
        key.push('/');
        key.push_str(&name);
    }
    Some(key.trim_start_matches('/').to_owned())
}

/// The object, or 304 if the client has it.
fn response(object: Object, if_none_match: Option<&HeaderValue>) -> Response<Full<Bytes>> {
    let unchanged = if_none_match.is_some_and(|tags| names(tags, &object.etag));
    let mut response = if unchanged {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Full::new(object.bytes))
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let content_type = object.content_type.filter(|_| !unchanged);
    let described = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, object.cache_control), (ETAG, Some(object.etag))];
    for (name, value) in described {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// Whether `If-None-Match` names a tag: compared weakly, as caches do.
fn names(if_none_match: &HeaderValue, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tags) = if_none_match.to_str() else { return false };
    tags.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object() -> Object {
        Object {
            bytes: Bytes::from_static(b"jpeg"),
            content_type: Some("image/jpeg".to_owned()),
            cache_control: Some("public, max-age=31536000, immutable".to_owned()),
            etag: "\"abc\"".to_owned(),
        }
    }

    #[test]
    fn keys_stay_below_the_prefix() {
        let table = [
            ("/media/p/m/w320.jpg", Some("public/p/m/w320.jpg")),
            ("/media/p/a%20b+c", Some("public/p/a b+c")),
            ("/media/p/...", Some("public/p/...")),
            ("/media/", None),
            ("/media", None),
            ("/media//p", None),
            ("/media/p/", None),
            ("/media/../private/p", None),
            ("/media/p/./m", None),
            ("/media/%2e%2e/private", None),
            ("/media/..%2fprivate", None),
            ("/media/..%5cprivate", None),
            ("/media/p%00", None),
            ("/media/p%", None),
            ("/media/%ff", None),
        ];
        for (path, expected) in table {
            assert_eq!(object_key("/public", path).as_deref(), expected, "{path}");
        }
        assert_eq!(object_key("", "/media/p").as_deref(), Some("p"));
    }

    #[test]
    fn an_object_is_answered_with_its_headers() {
        let response = response(object(), None);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "image/jpeg");
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(response.headers()["etag"], "\"abc\"");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }

    #[test]
    fn a_client_that_has_it_gets_304() {
        for (tags, status) in
            [("\"abc\"", 304), ("W/\"abc\"", 304), ("\"x\", \"abc\"", 304), ("*", 304), ("\"x\"", 200), ("abc", 200), ("", 200)]
        {
            let response = response(object(), Some(&HeaderValue::from_static(tags)));
            assert_eq!(response.status(), status, "{tags}");
            assert_eq!(response.headers()["etag"], "\"abc\"");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_path_leads_out_of_the_prefix(path in "(/|\\.|%2e|%2F|%5c|%|[a-z]|\\PC){0,24}") {
            if let Some(key) = object_key("/public", &format!("/media/{path}")) {
                prop_assert!(key.starts_with("public/"));
                prop_assert!(key.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }
}
