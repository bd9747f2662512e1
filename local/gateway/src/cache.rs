//! The authorizer's cache: what it said of a caller, for as long as the template lets it stand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;

use crate::authorizer::Verdict;

/// All values of each identity header: callers that differ in any are different.
pub(crate) type Identity = Vec<Vec<HeaderValue>>;

/// Entries at which those that have expired are swept.
const SWEEP_AT: usize = 1024;

/// Verdicts by identity.
pub(crate) struct VerdictCache {
    ttl: Duration,
    entries: Mutex<HashMap<Identity, Entry>>,
}

struct Entry {
    verdict: Arc<Verdict>,
    expires: Instant,
}

impl VerdictCache {
    /// A `ttl` of zero keeps nothing.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, entries: Mutex::default() }
    }

    /// The verdict on a caller, if it still stands.
    pub(crate) fn get(&self, identity: &Identity) -> Option<Arc<Verdict>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(identity)?;
        (Instant::now() < entry.expires).then(|| Arc::clone(&entry.verdict))
    }

    /// Keeps a verdict.
    pub(crate) fn put(&self, identity: Identity, verdict: Arc<Verdict>) {
        if self.ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= SWEEP_AT {
            entries.retain(|_, entry| now < entry.expires);
        }
        entries.insert(identity, Entry { verdict, expires: now + self.ttl });
    }
}
