//! Refresh tokens: what one says, how it is proved, and what follows when one is presented.
//!
//! A session is a family of refresh tokens, numbered by generation; each is used once and answered with its successor. The answer may
//! get lost: then the client presents the same token again and gets the same successor, until that one is used, and for a minute at
//! most. A token that comes back later was copied: thief and owner can't be told apart, so the family ends (RFC 9700 §4.14.2).
//!
//! A token is what it says and an HMAC of it: nothing is stored but the newest generation's number, and the same successor can be
//! made again.

use std::time::Duration;

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tintype_core::{SessionId, Time, UserId};
use tintype_tables::users::Session;

/// For how long a token whose successor nobody has used is answered again.
const GRACE: Duration = Duration::from_mins(1);

/// What a refresh token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) generation: u64,
}

/// Proves refresh tokens.
pub(crate) struct RefreshKey(hmac::Key);

impl RefreshKey {
    /// A key of its own, derived from the secret (RFC 5869): the signing key is made of the same one.
    pub(crate) fn from_secret(secret: &str) -> Self {
        const PURPOSE: &[&[u8]] = &[b"tintype refresh tokens"];
        let derived = Salt::new(HKDF_SHA256, &[]).extract(secret.as_bytes());
        let key = derived.expand(PURPOSE, hmac::HMAC_SHA256).expect("HKDF can make a key as long as its hash");
        Self(key.into())
    }

    /// The token's text.
    pub(crate) fn seal(&self, token: &RefreshToken) -> String {
        let RefreshToken { user_id, session_id, generation } = token;
        let said = format!("{user_id} {session_id} {generation}");
        let proof = hmac::sign(&self.0, said.as_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(said), URL_SAFE_NO_PAD.encode(proof))
    }

    /// What a text says, if this key made it.
    pub(crate) fn open(&self, text: &str) -> Option<RefreshToken> {
        let (said, proof) = text.split_once('.')?;
        let (said, proof) = (URL_SAFE_NO_PAD.decode(said).ok()?, URL_SAFE_NO_PAD.decode(proof).ok()?);
        hmac::verify(&self.0, &said, &proof).ok()?;
        let said = String::from_utf8(said).ok()?;
        let mut parts = said.split(' ');
        Some(RefreshToken {
            user_id: parts.next()?.parse().ok()?,
            session_id: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
        })
    }
}

/// What follows when a token of a living session is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is the newest: it gets a successor.
    Rotate,
    /// Its successor, the newest, is answered again.
    Repeat,
    /// It has been used before: the family ends.
    Revoke,
}

/// Decides it. That the successor was used shows by its having a successor itself.
pub(crate) fn rotate(session: &Session, presented: u64, now: Time) -> Decision {
    if presented == session.generation {
        Decision::Rotate
    } else if presented.checked_add(1) == Some(session.generation) && now.since(session.rotated_at) <= GRACE {
        Decision::Repeat
    } else {
        Decision::Revoke
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(generation: u64) -> RefreshToken {
        RefreshToken { user_id: UserId::new(), session_id: SessionId::new(), generation }
    }

    #[test]
    fn a_token_says_the_same_again_and_is_the_same_again() {
        let key = RefreshKey::from_secret("a secret");
        let token = token(u64::MAX);
        assert_eq!(key.open(&key.seal(&token)), Some(token));
        assert_eq!(key.seal(&token), RefreshKey::from_secret("a secret").seal(&token));
    }

    #[test]
    fn what_this_key_did_not_make_is_refused() {
        let key = RefreshKey::from_secret("a secret");
        let (first, second) = (key.seal(&token(1)), key.seal(&token(2)));
        let ((said, _), (_, proof)) = (first.split_once('.').unwrap(), second.split_once('.').unwrap());
        let others = RefreshKey::from_secret("another secret").seal(&token(1));
        for forged in [&format!("{said}.{proof}"), &format!("{said}."), said, &others, "", ".", "a.b", "\u{e9}.\u{e9}"] {
            assert_eq!(key.open(forged), None, "{forged}");
        }
    }

    /// A token of the family as the promise speaks of it: when it was given out, whether it was used, and what came after it.
    struct Given {
        at: i64,
        used: bool,
    }

    #[derive(Debug, PartialEq)]
    enum Answer {
        /// The token with this number in the order in which tokens were given out.
        Token(usize),
        Refused,
    }

    /// The promise, told without generations: given out tokens stand in a row, each the successor of the one before.
    struct Promise {
        row: Vec<Given>,
        ended: bool,
    }

    impl Promise {
        fn present(&mut self, index: usize, now: i64) -> Answer {
            if self.ended {
                return Answer::Refused;
            }
            let was_used = std::mem::replace(&mut self.row[index].used, true);
            if !was_used {
                self.row.push(Given { at: now, used: false });
                return Answer::Token(index + 1);
            }
            let successor = &self.row[index + 1];
            if !successor.used && now - successor.at <= 60_000 {
                return Answer::Token(index + 1);
            }
            self.ended = true;
            Answer::Refused
        }
    }

    /// The same through [`rotate`], as the handler does it.
    fn present(session: &mut Option<Session>, presented: u64, now: Time) -> Answer {
        let Some(living) = session else { return Answer::Refused };
        match rotate(living, presented, now) {
            Decision::Rotate => (living.generation, living.rotated_at) = (living.generation + 1, now),
            Decision::Repeat => {}
            Decision::Revoke => {
                *session = None;
                return Answer::Refused;
            }
        }
        Answer::Token(usize::try_from(living.generation).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_is_presented_when_the_answer_is_the_promised_one(
            // How far back from the newest the presented token stands, and how long after the one before it is presented.
            presentations in prop::collection::vec((0usize..4, prop_oneof![Just(0), Just(1), Just(59_999), Just(60_000), Just(60_001), 0i64..90_000]), 1..30),
        ) {
            let mut now = 1_790_000_000_000;
            let at = |millis| Time::from_millis(millis).unwrap();
            let mut promise = Promise { row: vec![Given { at: now, used: false }], ended: false };
            let mut session = Some(Session {
                id: SessionId::new(),
                generation: 0,
                rotated_at: at(now),
                created_at: at(now),
                user_agent: None,
                expires_at: i64::MAX,
                password_version: 0,
            });
            for (back, later) in presentations {
                now += later;
                let index = (promise.row.len() - 1).saturating_sub(back);
                let answer = present(&mut session, index as u64, at(now));
                prop_assert_eq!(answer, promise.present(index, now));
            }
        }
    }
}
