//! Bodies, queries and path parameters as types: what does not fit never reaches a handler.

use std::{fmt::Display, str::FromStr};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;

use crate::{
    input::{Input, json},
    problem::{FieldError, Problem},
};

/// The largest JSON body that is read.
pub const MOST_BODY_BYTES: usize = 64 * 1024;

/// A JSON body of type `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse(&read(request.into_body()).await?).map(Self)
    }
}

/// 415 for what does not say that it is JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let detail = "The body must be JSON, with `Content-Type: application/json`.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail))
}

/// A body's bytes, if they are not too many.
pub(crate) async fn read(body: axum::body::Body) -> Result<Bytes, Problem> {
    to_bytes(body, MOST_BODY_BYTES).await.map_err(|_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", format!("The body may have {MOST_BODY_BYTES} bytes at most."))
    })
}

/// JSON as a `T`.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let input = json::read(bytes).map_err(|error| Problem::malformed(format!("The body can't be read as JSON: {error}.")))?;
    input.fit().map_err(|misfit| Problem::invalid(vec![FieldError { pointer: pointer(&misfit.path), detail: misfit.detail }]))
}

/// RFC 6901 §3
fn pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |pointer, name| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// Query parameters of type `T`.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Any query is a list of names and values: form decoding puts a replacement character where it can't read one.
        let Query(parameters) = Query::try_from_uri(&parts.uri).map_err(|_| Problem::malformed("The query can't be read."))?;
        Input::from_query(parameters)
            .fit()
            .map(Self)
            .map_err(|misfit| Problem::invalid(vec![FieldError { pointer: format!("?{}", misfit.path.concat()), detail: misfit.detail }]))
    }
}

/// The one parameter of a path, as an id or a name; what can't be one names nothing: 404.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<T>
where
    T::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        size: u32,
    }

    fn problem(json: &str) -> Problem {
        parse::<Outer>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_pointer() {
        for (json, pointer, detail) in [
            (r#"{"inner": [{"size": 1}, {"size": "two"}]}"#, "/inner/1/size", "must be a whole number"),
            (r#"{"inner": [], "a/b~": 1}"#, "/a~1b~0", "is not known"),
            ("{}", "/inner", "is required"),
            ("[[]]", "", "must be an object"),
        ] {
            let wrong = problem(json);
            assert_eq!((wrong.status.as_u16(), wrong.code), (422, "validation-failed"), "{json}");
            assert_eq!(wrong.errors, [FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }], "{json}");
        }
    }

    #[tokio::test]
    async fn a_parameter_that_does_not_fit_is_named() {
        for (query, pointer, detail) in [
            ("size=two", "?size", "must be a whole number"),
            ("size=1&page=2", "?page", "is not known"),
            ("", "?size", "is required"),
            ("size=%ff", "?size", "must be a whole number"),
        ] {
            let (mut parts, ()) = http::Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
            let wrong = Parameters::<Inner>::from_request_parts(&mut parts, &()).await.unwrap_err();
            assert_eq!((wrong.status.as_u16(), wrong.code), (422, "validation-failed"), "{query}");
            assert_eq!(wrong.errors, [FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }], "{query}");
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        // The last is half of a character that needs two escapes: no text can hold it.
        for text in ["", "{", "{\"inner\": []} trailing", "\u{0}", r#"{"inner": "\ud800"}"#, r#"{"inner": "\udc00\ud800"}"#] {
            assert_eq!((problem(text).status.as_u16(), problem(text).code), (400, "malformed-request"), "{text}");
        }
        let not_utf8 = parse::<Outer>(b"{\"inner\": \"\xff\"}").unwrap_err();
        assert_eq!(not_utf8.code, "malformed-request");
    }

    #[test]
    fn what_is_nested_too_deeply_is_malformed_and_says_so() {
        for levels in [17, 100, 1000, 10_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                for text in [open.repeat(levels), format!("{}1{}", open.repeat(levels), close.repeat(levels))] {
                    let wrong = problem(&text);
                    assert_eq!((wrong.status.as_u16(), wrong.code), (400, "malformed-request"));
                    assert!(wrong.detail.contains("16 levels"), "{}", wrong.detail);
                }
            }
        }
        assert_eq!(problem(&format!("{}{}", "[".repeat(16), "]".repeat(16))).status.as_u16(), 422);
    }

    #[test]
    fn a_name_that_is_there_twice_is_told_by_its_pointer_whatever_would_have_read_it() {
        for (json, pointer) in [
            (r#"{"inner": [], "inner": []}"#, "/inner"),
            (r#"{"inner": [{"size": 1, "size": 2}]}"#, "/inner/0/size"),
            (r#"{"inner": [], "other": {"a/b": 1, "a\u002fb": 2}}"#, "/other/a~1b"),
        ] {
            let wrong = problem(json);
            let error = FieldError { pointer: pointer.to_owned(), detail: "must be given once only".to_owned() };
            assert_eq!((wrong.status.as_u16(), wrong.errors), (422, vec![error]), "{json}");
        }
    }
}
