//! Passwords: which are taken, and how they are kept.

pub(crate) mod change;
mod common;

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

/// Why somebody should choose another one.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unfit {
    #[error("must be {FEWEST} to {MOST} characters")]
    Length,
    #[error("is one of the passwords that are guessed first")]
    Common,
    #[error("is little else than your username, your e-mail address or our name")]
    Personal,
}

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
    /// A password that somebody chooses, who is known by `username` and `email`.
    pub(crate) fn chosen(text: &str, username: &str, email: &str) -> Result<Self, Unfit> {
        let password = Self::presented(text);
        if !(FEWEST..=MOST).contains(&password.0.chars().count()) {
            return Err(Unfit::Length);
        }
        let local = email.split('@').next().unwrap_or_default();
        if common::is_personal(&password.0, &[username, local, email, "tintype"]) {
            return Err(Unfit::Personal);
        }
        if common::is_common(&password.0) { Err(Unfit::Common) } else { Ok(password) }
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

/// The first choice of OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
pub(crate) const MEMORY_KIB: u32 = 19 * 1024;
pub(crate) const PASSES: u32 = 2;

fn argon2id() -> Argon2<'static> {
    const COST: Params = match Params::new(MEMORY_KIB, PASSES, 1, None) {
        Ok(params) => params,
        Err(_) => panic!("these are valid parameters"),
    };
    Argon2::new(Algorithm::Argon2id, Version::V0x13, COST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(text: &str) -> Option<Unfit> {
        Password::chosen(text, "ada", "countess@example.org").err()
    }

    #[test]
    fn length_is_counted_in_characters() {
        let long = "les élèves à l'école ".repeat(7);
        let first = |count: usize| long.chars().take(count).collect::<String>();
        assert_eq!([8, 128].map(|count| unfit(&first(count))), [None, None]);
        assert_eq!([7, 129].map(|count| unfit(&first(count))), [Some(Unfit::Length), Some(Unfit::Length)]);
        assert_eq!(unfit(&"e\u{301}".repeat(7)), Some(Unfit::Length));
    }

    #[test]
    fn common_and_personal_passwords_are_refused() {
        assert_eq!(unfit("Passw0rd!"), Some(Unfit::Common));
        assert_eq!(unfit("countess12"), Some(Unfit::Personal));
        assert_eq!(unfit("ada-12345"), Some(Unfit::Personal));
        assert_eq!(unfit("correct horse battery"), None);
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
