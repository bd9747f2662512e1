//! What caches may do with an answer, and the short answer to who has it already (RFC 9110 §13, RFC 9111).
//!
//! An entity tag is the hash of the answer's bytes, and strong: the same tag is the same answer. An answer with presigned URLs has
//! another tag each time, as it should: whoever were told that theirs is still good would go on with URLs that end.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::problem::Problem;

/// May be kept by the caller alone, who asks before each use whether it is still so.
const PERSONAL: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Errors, and what answers a change: nobody keeps them.
const UNKEPT: HeaderValue = HeaderValue::from_static("no-store");

/// Says what may be kept where the handler has not, and answers 304 where the caller has the same already.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_get = request.method() == Method::GET;
    let had = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let mut response = next.run(request).await;
    let default = if is_read && response.status().is_success() { PERSONAL } else { UNKEPT };
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(default);
    if is_get && response.status() == StatusCode::OK && is_tagged(response.headers()) { tagged(response, &had).await } else { response }
}

/// JSON that may be kept.
fn is_tagged(headers: &HeaderMap) -> bool {
    let has =
        |name: HeaderName, part: &str| headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(part));
    has(header::CONTENT_TYPE, "json") && !has(header::CACHE_CONTROL, "no-store")
}

async fn tagged(response: Response, had: &[HeaderValue]) -> Response {
    let (mut parts, body) = response.into_parts();
    // It is in memory already: handlers answer whole values.
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let tag = parts.headers.entry(header::ETAG).or_insert_with(|| tag(&bytes)).clone();
    if !had.iter().any(|list| names(list, &tag)) {
        return Response::from_parts(parts, Body::from(bytes));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    // What describes the body that is not sent. All the rest updates what the caller has kept (§15.4.5).
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::empty())
}

/// 128 bits of its hash.
fn tag(bytes: &[u8]) -> HeaderValue {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest(&SHA256, bytes).as_ref()[..16]));
    HeaderValue::from_str(&tag).expect("base64 in quotes can be a header")
}

/// Whether `If-None-Match: list` names a tag. The comparison is weak (§13.1.2): a CDN that compresses makes our tags weak ones.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    list.trim() == "*" || opaque_tags(list).any(|other| other == tag.trim_start_matches("W/").trim_matches('"'))
}

/// What stands between the quotes of each tag in a list; the first that is none ends it. A tag may have commas in it.
fn opaque_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (tag, after) = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, middleware, routing::get};
    use lambda_http::tower::ServiceExt;
    use proptest::prelude::*;
    use serde_json::json;

    async fn answer(method: Method, path: &str, had: &[&str]) -> (StatusCode, HeaderMap, String) {
        let link = [(header::LINK, "</v1/next>; rel=\"next\"")];
        let router = Router::new()
            .route("/mine", get(move || async move { (link, Json(json!({"a": 1}))) }).post(|| async { (StatusCode::ACCEPTED, Json(1)) }))
            .route("/public", get(|| async { ([(header::CACHE_CONTROL, "public, max-age=300")], Json(json!({"a": 1}))) }))
            .route("/token", get(|| async { ([(header::CACHE_CONTROL, "no-store")], Json(json!({"a": 1}))) }))
            .route("/own", get(|| async { ([(header::ETAG, "\"mine\"")], Json(json!({"a": 1}))) }))
            .route("/text", get(|| async { "text" }))
            .route("/wrong", get(|| async { Problem::not_found() }))
            .layer(middleware::from_fn(layer));
        let mut request = Request::builder().method(method).uri(path);
        for had in had {
            request = request.header(header::IF_NONE_MATCH, *had);
        }
        let (parts, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        (parts.status, parts.headers, String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap())
    }

    async fn tag_of(path: &str) -> String {
        answer(Method::GET, path, &[]).await.1[header::ETAG].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn every_answer_says_what_may_be_kept_of_it() {
        for (method, path, rule) in [
            (Method::GET, "/mine", "private, no-cache"),
            (Method::POST, "/mine", "no-store"),
            (Method::GET, "/public", "public, max-age=300"),
            (Method::GET, "/token", "no-store"),
            (Method::GET, "/wrong", "no-store"),
            (Method::GET, "/nowhere", "no-store"),
        ] {
            let (_, headers, _) = answer(method.clone(), path, &[]).await;
            assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().collect::<Vec<_>>(), [rule], "{method} {path}");
            let has_tag = method == Method::GET && ["/mine", "/public"].contains(&path);
            assert_eq!(headers.contains_key(header::ETAG), has_tag, "{method} {path}");
        }
        assert!(!answer(Method::GET, "/text", &[]).await.1.contains_key(header::ETAG), "only JSON has a tag");
    }

    #[tokio::test]
    async fn whoever_has_it_already_is_told_so_without_the_body_and_with_the_same_headers() {
        let tag = tag_of("/mine").await;
        for had in [tag.clone(), format!("W/{tag}"), "*".to_owned(), format!("\"a,b\", W/\"c\" ,{tag}")] {
            let (status, headers, body) = answer(Method::GET, "/mine", &[&had]).await;
            assert_eq!((status.as_u16(), body.as_str()), (304, ""), "{had}");
            assert_eq!((&headers[header::ETAG], &headers[header::CACHE_CONTROL]), (&tag.parse().unwrap(), &PERSONAL));
            assert!(headers.contains_key(header::LINK) && !headers.contains_key(header::CONTENT_TYPE));
        }
        let (status, ..) = answer(Method::GET, "/mine", &["\"other\"", &tag]).await;
        assert_eq!(status.as_u16(), 304, "in the second of two headers");
        assert_eq!(answer(Method::GET, "/public", &[&tag_of("/public").await]).await.0.as_u16(), 304);
        assert_eq!(answer(Method::GET, "/own", &["\"mine\""]).await.0.as_u16(), 304, "a handler's own tag stands");
    }

    #[tokio::test]
    async fn whoever_has_something_else_gets_it_whole() {
        let tag = tag_of("/mine").await;
        for had in ["\"other\"", "", ",", "nonsense", tag.trim_matches('"'), &format!("nonsense, {tag}"), "\"*\"", "W/*"] {
            let (status, _, body) = answer(Method::GET, "/mine", &[had]).await;
            assert_eq!((status.as_u16(), body.as_str()), (200, r#"{"a":1}"#), "{had}");
        }
        assert_eq!(answer(Method::POST, "/mine", &["*"]).await.0.as_u16(), 202);
        assert_eq!(answer(Method::GET, "/token", &["*"]).await.0.as_u16(), 200);
        assert_eq!(answer(Method::GET, "/wrong", &["*"]).await.0.as_u16(), 404);
    }

    proptest! {
        #[test]
        fn a_list_names_what_is_in_it_and_nothing_else(tags in prop::collection::vec("[!#-~]{0,8}", 0..6), other in "[!#-~]{0,8}") {
            let list = tags.iter().enumerate().map(|(index, tag)| format!("{}\"{tag}\"", ["", "W/"][index % 2])).collect::<Vec<_>>().join(", ");
            let list = HeaderValue::from_str(&list).unwrap();
            let named = |tag: &str| names(&list, &HeaderValue::from_str(&format!("\"{tag}\"")).unwrap());
            prop_assert!(tags.iter().all(|tag| named(tag)));
            prop_assert_eq!(named(&other), tags.contains(&other));
        }
    }
}
