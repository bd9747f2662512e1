//! Where a request carries its access token.

use http::{HeaderMap, header::AUTHORIZATION};

use crate::AuthError;

/// The `Authorization` header's bearer token (RFC 6750 §2.1), if there is the header; whatever else stands in it is refused.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let credentials = value.to_str().ok().and_then(|value| value.split_once(' '));
    match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(Some(token.trim())),
        _ => Err(AuthError::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &str) -> Result<Option<String>, AuthError> {
        bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_the_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(value).unwrap().as_deref(), Some("a.b.c"), "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn another_scheme_or_no_token_is_refused_and_not_taken_for_nobody() {
        for value in ["", "Bearer", "Bearer ", "a.b.c", "Basic YWRhOnNlY3JldA==", "é Bearer"] {
            assert!(matches!(token(value), Err(AuthError::Refused)), "{value}");
        }
    }
}
