//! Passwords: which are taken, and how they are kept.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher, PasswordVerifier},
};
use thiserror::Error;
use tintype_edge::Problem;
use tokio::task::{JoinError, spawn_blocking};
use unicode_normalization::UnicodeNormalization;

const FEWEST: usize = 8;
const MOST: usize = 128;

/// A password composed (NFC, as RFC 8265 §4.2 asks): the same keys on another system are the same password.
pub(crate) struct Password(String);

/// Too short or too long; nothing else is asked of a password (NIST SP 800-63B §5.1.1.2).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be {FEWEST} to {MOST} characters")]
pub(crate) struct Length;

/// Why nothing can be said of a password: never that it is wrong.
#[derive(Debug, Error)]
pub(crate) enum HashError {
    #[error("a password can't be hashed: {0}")]
    Argon2(#[from] password_hash::Error),
    #[error("hashing a password ended early: {0}")]
    Task(#[from] JoinError),
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}

impl Password {
    /// A password that somebody chooses.
    pub(crate) fn chosen(text: &str) -> Result<Self, Length> {
        let password = Self::presented(text);
        if (FEWEST..=MOST).contains(&password.0.chars().count()) { Ok(password) } else { Err(Length) }
    }

    /// A password that somebody logs in with.
    pub(crate) fn presented(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// What is kept of it: a PHC string with its own salt.
    pub(crate) async fn hash(self) -> Result<String, HashError> {
        let hash = spawn_blocking(move || argon2id().hash_password(self.0.as_bytes()).map(|hash| hash.to_string()));
        Ok(hash.await??)
    }

    /// Whether `hash` was made of it. Without a hash the answer is no, and takes as long.
    pub(crate) async fn matches(self, hash: Option<String>) -> Result<bool, HashError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
        match spawn_blocking(move || argon2id().verify_password(self.0.as_bytes(), hash.as_str())).await? {
            Ok(()) => Ok(is_known),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A hash of the same cost as every other, made of nothing that is known.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCA6KQ$5dVn0mFq0K3f1Yw2ZJm7Qe8sT9uXcB4aLh6RkPiGoNE";

/// 19 MiB, two passes, one lane: the first choice of OWASP's password storage cheat sheet.
fn argon2id() -> Argon2<'static> {
    const COST: Params = match Params::new(19 * 1024, 2, 1, None) {
        Ok(params) => params,
        Err(_) => panic!("these are valid parameters"),
    };
    Argon2::new(Algorithm::Argon2id, Version::V0x13, COST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        assert!(Password::chosen(&"é".repeat(8)).is_ok());
        assert!(Password::chosen(&"é".repeat(128)).is_ok());
        assert!(Password::chosen("1234567").is_err());
        assert!(Password::chosen(&"x".repeat(129)).is_err());
        assert!(Password::chosen(&"e\u{301}".repeat(7)).is_err());
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_however_it_is_composed_and_no_other_does() {
        let hash = Password::presented("caf\u{e9} au lait").hash().await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(Password::presented("cafe\u{301} au lait").matches(Some(hash.clone())).await.unwrap());
        assert!(!Password::presented("cafe au lait").matches(Some(hash.clone())).await.unwrap());
        assert_ne!(hash, Password::presented("caf\u{e9} au lait").hash().await.unwrap());
    }

    // The cost is in the first 31 characters: whoever has no account waits as long as who has.
    #[tokio::test]
    async fn without_a_hash_the_same_work_is_done_and_nothing_matches() {
        let hash = Password::presented("a password").hash().await.unwrap();
        assert_eq!((&NOBODYS[..31], NOBODYS.len()), (&hash[..31], hash.len()));
        assert!(!Password::presented("a password").matches(None).await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        assert!(Password::presented("a password").matches(Some("$argon2id$".to_owned())).await.is_err());
    }
}
