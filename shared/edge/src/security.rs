//! What browsers are told about every answer, so that none can be made into something else.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue, header};

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    // It is what its type says: a caption is never a script.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // For two years, over TLS only. Our own name and no other: who deploys this knows what else there is below it.
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000")),
    // Opened as a page it loads and runs nothing, and stands in nobody's frame.
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    // Addresses have ids and cursors in them.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // As CORS says it: any page may read an answer for which it has a token.
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
];

/// Adds them.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware, routing::get};
    use lambda_http::tower::ServiceExt;

    #[tokio::test]
    async fn every_answer_has_them_once_each_also_where_there_is_no_route() {
        let router =
            Router::new().route("/here", get(|| async { [(header::REFERRER_POLICY, "origin")] })).layer(middleware::from_fn(layer));
        for path in ["/here", "/nowhere"] {
            let response = router.clone().oneshot(Request::get(path).body(axum::body::Body::empty()).unwrap()).await.unwrap();
            for (name, value) in HEADERS {
                assert_eq!(response.headers().get_all(&name).iter().collect::<Vec<_>>(), [&value], "{path}: {name}");
            }
        }
    }
}
