//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use utoipa::IntoParams;

use crate::problem::Problem;

const NAME: &str = "idempotency-key";
const MOST_CHARACTERS: usize = 255;

/// The header, for a route's documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKey {
    /// A name of your own for this request, 1 to 255 visible ASCII characters, a UUID for example. For 24 hours the same request with the
    /// same key makes nothing twice, and is answered with what was made (`Idempotent-Replayed: true`).
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, example = "6f9c1a52-0d0b-4c39-9a6c-0f8f4f7f6e0e")]
    pub key: Option<String>,
}

/// The key of a request, if it has one.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = if values.next().is_some() { None } else { read(value) };
    let detail = format!("`Idempotency-Key` must be given once, as 1 to {MOST_CHARACTERS} visible ASCII characters.");
    key.map(Some).ok_or_else(|| Problem::malformed(detail))
}

/// A key as most clients send it, or as a structured field's string (RFC 9651 §3.3.3): `abc` and `"abc"` are the same one.
fn read(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let key = match text.strip_prefix('"') {
        Some(rest) => unescape(rest.strip_suffix('"')?)?,
        None => text.to_owned(),
    };
    let is_key = (1..=MOST_CHARACTERS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then_some(key)
}

/// What stands between the quotes: a quote or a backslash only behind a backslash, and nothing else behind one.
fn unescape(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// SHA-256 of several parts, in base64. Each is preceded by its length, so that no two lists of parts are one text.
pub(super) fn hash(parts: &[&[u8]]) -> String {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(*part);
    }
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
        }
        of(&headers)
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        assert_eq!(key(&[]).unwrap(), None);
        for (sent, meant) in [("abc", "abc"), ("\"abc\"", "abc"), (r#""a\"b\\c""#, r#"a"b\c"#), ("8e03978e-40d5", "8e03978e-40d5")] {
            assert_eq!(key(&[sent.as_bytes()]).unwrap().as_deref(), Some(meant), "{sent}");
        }
        assert_eq!(key(&["x".repeat(255).as_bytes()]).unwrap().map(|key| key.len()), Some(255));
    }

    #[test]
    fn what_is_no_key_is_malformed_and_says_so() {
        let long = "x".repeat(256);
        for sent in ["", "\"\"", "\"abc", "\"a\"b\"", "\"a\\", r#""a\bc""#, "a b", "a\tb", "ü", &long, &format!("\"{long}\"")] {
            let problem = key(&[sent.as_bytes()]).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "malformed-request"), "{sent}");
            assert!(problem.detail.contains("Idempotency-Key"), "{}", problem.detail);
        }
        assert_eq!(key(&[b"abc", b"abc"]).unwrap_err().code, "malformed-request");
    }

    #[test]
    fn parts_are_not_run_together() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab"]), hash(&[b"ab", b""]));
        assert_eq!(hash(&[b"ab", b"c"]).len(), 43);
    }

    proptest! {
        #[test]
        fn every_visible_text_is_a_key_in_quotes_too(text in "[!-~]{1,255}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let read = key(&[quoted.as_bytes()]).unwrap();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn whatever_is_taken_is_visible_and_not_too_long(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) && let Some(key) = read(&value) {
                prop_assert!((1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
