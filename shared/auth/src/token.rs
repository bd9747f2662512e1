//! The access token: a JWT (RFC 7519) in the profile of RFC 9068, verified as RFC 8725 asks.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
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

/// Ours have some 430 bytes: what is much longer is not read at all, for a token costs whoever makes it up nothing.
const MOST_BYTES: usize = 2048;
/// How far the clocks of two machines may be apart.
const SKEW: Duration = Duration::from_mins(1);

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
    /// From when on; ours don't say it, and whatever says it is held to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
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
            nbf: None,
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
    /// Its time is over; whether its key, which is not known any more, has signed it nobody can tell.
    #[error("the token has expired")]
    Expired,
}

/// What a token says, if it is a good one at `now`.
pub fn verify(token: &str, keys: &Keys, now: Time) -> Result<Claims, TokenError> {
    if token.len() > MOST_BYTES {
        return Err(TokenError::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    // The header chooses among our keys and nothing else: not the algorithm, not the kind, not a key that it brings along. What it
    // says must be understood (`crit`, RFC 7515 §4.1.11) we do not understand.
    if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYP) || header.crit.is_some() {
        return Err(TokenError::Invalid);
    }
    let Some(key) = keys.get(header.kid.as_deref().ok_or(TokenError::Invalid)?) else { return Err(unknown_key(token, now)) };
    let claims = jsonwebtoken::decode::<Claims>(token, key, &VALIDATION).map_err(|_| TokenError::Invalid)?.claims;
    if claims.exp <= now.as_seconds() {
        return Err(TokenError::Expired);
    }
    let soon = now.plus(SKEW).as_seconds();
    if claims.iat > soon || claims.nbf.is_some_and(|nbf| nbf > soon) {
        return Err(TokenError::Invalid);
    }
    Ok(claims)
}

/// Keys are forgotten once all that they signed has expired. Nobody can tell then whether they signed it, and it is no good either
/// way; but an app that comes back after weeks comes with such a token, and must not pass for somebody who guesses.
fn unknown_key(token: &str, now: Time) -> TokenError {
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims: Option<Claims> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    let has_ended = claims.is_some_and(|claims| claims.iss == ISSUER && claims.aud == AUDIENCE && claims.exp <= now.as_seconds());
    if has_ended { TokenError::Expired } else { TokenError::UnknownKey }
}

/// What `jsonwebtoken` checks beside the signature; the same for every token.
static VALIDATION: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Expiry is judged above by the caller's clock, so that tests are exact.
    validation.validate_exp = false;
    validation
});

#[cfg(test)]
mod tests;
