//! The access token: a JWT (RFC 7519) in the profile of RFC 9068, verified as RFC 8725 asks.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tintype_core::{SessionId, Time, UserId};

use crate::keys::Keys;

/// How long an access token is good for.
pub const LIFETIME: Duration = Duration::from_mins(15);

/// `typ` of the header: no other kind of token passes for an access token.
pub(crate) const TYP: &str = "at+jwt";
const ISSUER: &str = "tintype";
const AUDIENCE: &str = "tintype";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// Who.
    pub sub: UserId,
    /// In which session.
    pub sid: SessionId,
    iat: i64,
    /// Until when, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// A token of `user` in `session`, good from `now` on.
    pub fn new(user: UserId, session: SessionId, now: Time) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: session,
            iat: now.as_seconds(),
            exp: now.plus(LIFETIME).as_seconds(),
        }
    }
}

/// Why a token is no good.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// Signed with a key that is not known (yet).
    #[error("the token's key is not known")]
    UnknownKey,
    /// Forged, of another kind, or not a token at all.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// What a token says, if it is a good one at `now`.
pub fn verify(token: &str, keys: &Keys, now: Time) -> Result<Claims, TokenError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    // The header chooses among our keys and nothing else: not the algorithm, not the kind.
    if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYP) {
        return Err(TokenError::Invalid);
    }
    let key = keys.get(header.kid.as_deref().ok_or(TokenError::Invalid)?).ok_or(TokenError::UnknownKey)?;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation()).map_err(|_| TokenError::Invalid)?.claims;
    if claims.exp <= now.as_seconds() {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Expiry is judged above by the caller's clock, so that tests are exact.
    validation.validate_exp = false;
    validation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    fn signer() -> Signer {
        Signer::from_secret("a secret")
    }

    fn keys() -> Keys {
        Keys::from_jwks(&signer().jwks()).unwrap()
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds).unwrap()
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn a_token_is_good_until_its_time_is_over() {
        let claims = Claims::new(UserId::new(), SessionId::new(), at(1000));
        let token = signer().sign(&claims).unwrap();
        assert_eq!(verify(&token, &keys(), at(1899)), Ok(claims));
        assert_eq!(verify(&token, &keys(), at(1900)), Err(TokenError::Expired));
    }

    #[test]
    fn another_key_or_a_changed_byte_is_refused() {
        let claims = Claims::new(UserId::new(), SessionId::new(), at(1000));
        let other = Signer::from_secret("another secret");
        assert_eq!(verify(&other.sign(&claims).unwrap(), &keys(), at(1000)), Err(TokenError::UnknownKey));
        let token = signer().sign(&claims).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = head.split_once('.').unwrap();
        let forged =
            json!({"iss": "tintype", "aud": "tintype", "sub": UserId::new(), "sid": SessionId::new(), "iat": 0, "exp": 9_999_999_999_i64});
        assert_eq!(verify(&format!("{header}.{}.{signature}", part(&forged)), &keys(), at(1000)), Err(TokenError::Invalid));
    }

    // RFC 8725 §2: no algorithm, an algorithm that takes the public key for a shared secret, another kind of token.
    #[test]
    fn the_header_can_choose_neither_algorithm_nor_kind() {
        let claims = Claims::new(UserId::new(), SessionId::new(), at(1000));
        let token = signer().sign(&claims).unwrap();
        let mut parts = token.split('.');
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
        let (payload, signature) = (parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(header["typ"], "at+jwt");
        for (name, value) in
            [("alg", json!("none")), ("alg", json!("HS256")), ("typ", json!("JWT")), ("kid", json!("../KEYS")), ("kid", Value::Null)]
        {
            let mut changed = header.clone();
            changed[name] = value;
            for signature in [signature, ""] {
                let result = verify(&format!("{}.{payload}.{signature}", part(&changed)), &keys(), at(1000));
                assert!(matches!(result, Err(TokenError::Invalid | TokenError::UnknownKey)), "{changed}: {result:?}");
            }
        }
    }

    #[test]
    fn another_issuer_or_audience_is_refused() {
        for name in ["iss", "aud"] {
            let mut claims = Claims::new(UserId::new(), SessionId::new(), at(1000));
            if name == "iss" {
                claims.iss = "evil".to_owned();
            } else {
                claims.aud = "evil".to_owned();
            }
            assert_eq!(verify(&signer().sign(&claims).unwrap(), &keys(), at(1000)), Err(TokenError::Invalid), "{name}");
        }
    }
}
