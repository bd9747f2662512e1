//! Bodies, queries and path parameters as types: what does not fit never reaches a handler.

use std::{fmt::Display, str::FromStr};

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use http::{StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::problem::{FieldError, Problem};

/// The largest JSON body that is read.
pub const MOST_BODY_BYTES: usize = 64 * 1024;

/// A JSON body of type `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be JSON, with `Content-Type: application/json`.",
            ));
        }
        let bytes = to_bytes(request.into_body(), MOST_BODY_BYTES).await.map_err(|_| {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", format!("The body may have {MOST_BODY_BYTES} bytes at most."))
        })?;
        parse(&bytes).map(Self)
    }
}

fn is_json(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() {
            Problem::invalid(vec![FieldError { pointer, detail: without_position(&error) }])
        } else {
            Problem::malformed(format!("The body is no JSON: {error}."))
        }
    })?;
    json.end().map_err(|error| Problem::malformed(format!("The body is no JSON: {error}.")))?;
    Ok(value)
}

/// The position says nothing to a program: the pointer does.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Unknown => pointer,
    })
}

/// Query parameters of type `T`.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(parameters) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let detail = rejection.body_text();
            let detail = detail.trim_start_matches("Failed to deserialize query string: ");
            let (name, reason) = detail.split_once(": ").unwrap_or(("", detail));
            Problem::invalid(vec![FieldError { pointer: format!("?{name}"), detail: reason.to_owned() }])
        })?;
        Ok(Self(parameters))
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
        let wrong = problem(r#"{"inner": [{"size": 1}, {"size": "two"}]}"#);
        assert_eq!(wrong.errors[0].pointer, "/inner/1/size");
        assert_eq!(wrong.errors[0].detail, "invalid type: string \"two\", expected u32");
        let unknown = problem(r#"{"inner": [], "a/b": 1}"#);
        assert_eq!((unknown.status.as_u16(), unknown.code, unknown.errors[0].pointer.as_str()), (422, "validation-failed", "/a~1b"));
        let missing = problem("{}");
        assert_eq!((missing.status.as_u16(), missing.errors[0].detail.as_str()), (422, "missing field `inner`"));
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", "{\"inner\": []} trailing", "\u{0}"] {
            assert_eq!((problem(text).status.as_u16(), problem(text).code), (400, "malformed-request"), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_ne!(problem(&deep).code, "internal");
    }
}
