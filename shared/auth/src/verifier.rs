//! From a token to who it is: the key, the signature, the times, and the session.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use thiserror::Error;
use tintype_core::{SessionId, Time, UserId};
use tintype_tables::{Table, users};

use crate::{
    keys::Keys,
    session::Sessions,
    token::{Claims, TokenError, verify},
};

/// How long the public keys are used before they are read again.
const KEYS_MEMORY: Duration = Duration::from_mins(5);
/// A token with an unknown key makes the keys be read again, but no more often than this: such a token costs its sender nothing.
const KEYS_PATIENCE: Duration = Duration::from_secs(1);

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The person.
    pub user_id: UserId,
    /// The device.
    pub session_id: SessionId,
    /// When the token ends, in seconds since 1970.
    pub expires_at: i64,
}

/// Why nobody could be told.
#[derive(Debug, Error)]
pub enum AuthError {
    /// Nobody of ours has signed the token, or not for this.
    #[error("the access token is missing or not valid")]
    Refused,
    /// The token was good: its time is over, or its session has ended. Apps come with such tokens in the course of things.
    #[error("the access token is no longer valid")]
    Ended,
    /// Keys or sessions can't be read.
    #[error(transparent)]
    Table(#[from] tintype_tables::Error),
}

/// Verifies tokens with the keys and sessions of the Users table.
pub struct Verifier {
    users: Table,
    keys: Mutex<Option<(Arc<Keys>, Time)>>,
    sessions: Sessions,
}

impl Verifier {
    /// A verifier that has read nothing yet.
    pub fn new(users: Table) -> Self {
        Self { users, keys: Mutex::default(), sessions: Sessions::default() }
    }

    /// The table that it reads: whoever needs a client has one with a warm connection there.
    pub fn users(&self) -> &Table {
        &self.users
    }

    /// Who `token` stands for at `now`.
    pub async fn identify(&self, token: &str, now: Time) -> Result<Identity, AuthError> {
        let claims = self.claims(token, now).await?;
        if !self.sessions.is_alive(&self.users, claims.sub, claims.sid, now).await? {
            return Err(AuthError::Ended);
        }
        Ok(Identity { user_id: claims.sub, session_id: claims.sid, expires_at: claims.exp })
    }

    async fn claims(&self, token: &str, now: Time) -> Result<Claims, AuthError> {
        let keys = self.keys(now, KEYS_MEMORY).await?;
        let result = match verify(token, &keys, now) {
            Err(TokenError::UnknownKey) => verify(token, &*self.keys(now, KEYS_PATIENCE).await?, now),
            result => result,
        };
        result.map_err(|error| if error == TokenError::Expired { AuthError::Ended } else { AuthError::Refused })
    }

    /// The public keys, read no longer than `memory` ago.
    async fn keys(&self, now: Time, memory: Duration) -> Result<Arc<Keys>, AuthError> {
        if let Some((keys, read_at)) = &*self.keys.lock().unwrap_or_else(PoisonError::into_inner)
            && now.since(*read_at) < memory
        {
            return Ok(Arc::clone(keys));
        }
        let stored: Option<StoredKeys> = self.users.get(&users::jwks(), true).await?;
        let jwks = stored.map_or_else(|| r#"{"keys":[]}"#.to_owned(), |stored| stored.jwks);
        let keys =
            Keys::from_jwks(&jwks).map_err(|error| tintype_tables::Error::Unavailable(format!("the key set can't be read: {error}")))?;
        let keys = Arc::new(keys);
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&keys), now));
        Ok(keys)
    }
}

#[derive(Deserialize)]
struct StoredKeys {
    jwks: String,
}
