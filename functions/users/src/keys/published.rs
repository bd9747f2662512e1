//! Which public keys are published since when, and what follows when the secret's versions change.
//!
//! A key is published before it signs, by [`NOTICE`]; only the very first signs at once, for there is no other. A key that signs no
//! more stays, for [`AFTERLIFE`]. So no token is ever about whose key is not known, in whichever order, and however quickly, the
//! secret's stages are moved.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tintype_auth::{Jwk, Signer, read_jwks, write_jwks};
use tintype_core::Time;

use super::{AFTERLIFE, NOTICE};

/// What can sign, by the stages of the secret's versions.
pub(super) struct Signers {
    pub(super) current: Arc<Signer>,
    pub(super) previous: Option<Arc<Signer>>,
    pub(super) pending: Option<Arc<Signer>>,
}

/// The published keys, the one that signs first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Published(Vec<PublicKey>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct PublicKey {
    jwk: Jwk,
    times: Times,
}

/// In seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Times {
    /// When it was published.
    since: i64,
    /// When it was found that it signs no more, and will not soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired: Option<i64>,
}

/// As the table has it: the set by itself, for whoever verifies, and the times by `kid`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Stored {
    pub(super) jwks: String,
    /// Empty in what was published before there were times.
    #[serde(default)]
    pub(super) times: String,
}

impl Published {
    /// The keys, the one that signs first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Jwk> {
        self.0.iter().map(|key| &key.jwk)
    }

    /// Who signs now, and what is published from now on.
    pub(super) fn next(self, signers: &Signers, now: Time) -> (Arc<Signer>, Self) {
        let mut keys = self.0;
        let since = |signer: &Signer| keys.iter().find(|key| key.jwk == *signer.public()).map(|key| key.times.since);
        let is_known = |since: i64| since.saturating_add_unsigned(NOTICE.as_secs()) <= now.as_seconds();
        let signer = match (since(&signers.current), &signers.previous) {
            (Some(since), _) if is_known(since) => &signers.current,
            // The current key is too young: the one before it goes on, if people know it, and know it for longer.
            (current, Some(previous)) if since(previous).is_some_and(|before| current.is_none_or(|current| before < current)) => previous,
            _ => &signers.current,
        };
        let in_use: Vec<&Jwk> =
            [Some(signer), Some(&signers.current), signers.pending.as_ref()].into_iter().flatten().map(|it| it.public()).collect();
        for jwk in &in_use {
            if !keys.iter().any(|key| key.jwk == **jwk) {
                keys.push(PublicKey { jwk: (*jwk).clone(), times: Times { since: now.as_seconds(), retired: None } });
            }
        }
        for PublicKey { jwk, times } in &mut keys {
            times.retired = if in_use.contains(&&*jwk) { None } else { times.retired.or(Some(now.as_seconds())) };
        }
        keys.retain(|key| key.times.retired.is_none_or(|at| now.as_seconds() < at.saturating_add_unsigned(AFTERLIFE.as_secs())));
        keys.sort_by_key(|key| key.jwk != *signer.public());
        (Arc::clone(signer), Self(keys))
    }
}

impl From<&Stored> for Published {
    fn from(stored: &Stored) -> Self {
        let times: HashMap<String, Times> = serde_json::from_str(&stored.times).unwrap_or_default();
        let jwks = read_jwks(&stored.jwks).unwrap_or_default();
        let key = |jwk: Jwk| {
            // What has no time was there before there were any.
            let times = times.get(jwk.kid()).copied().unwrap_or(Times { since: 0, retired: None });
            PublicKey { jwk, times }
        };
        Self(jwks.into_iter().map(key).collect())
    }
}

impl From<&Published> for Stored {
    fn from(published: &Published) -> Self {
        // Ordered, so that what is the same is written in the same way.
        let times: std::collections::BTreeMap<&str, Times> = published.0.iter().map(|key| (key.jwk.kid(), key.times)).collect();
        Self { jwks: write_jwks(published.keys()), times: serde_json::to_string(&times).expect("numbers are JSON") }
    }
}
