//! The authorizer's cache: what it said of a caller, for as long as the template lets it stand.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, header::GetAll};
use tokio::time::Instant;

use crate::authorizer::Verdict;

/// All values of each identity header: callers that differ in any are different.
///
/// They are copied: a header's value is a part of the buffer that its connection was read into, and would keep all of that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity(Arc<[u8]>);

impl Identity {
    /// The values of each header, in the order of the template.
    pub(crate) fn of<'a>(headers: impl Iterator<Item = GetAll<'a, HeaderValue>>) -> Self {
        // Before each header how many values it has, and before each value how long it is: no two lists look alike.
        let mut bytes = Vec::new();
        for values in headers {
            bytes.extend(values.iter().count().to_le_bytes());
            for value in values {
                bytes.extend(value.len().to_le_bytes());
                bytes.extend(value.as_bytes());
            }
        }
        Self(bytes.into())
    }
}

/// The most verdicts that are kept. Whoever sends made-up tokens without end costs no more memory than this, only other callers'
/// place in the cache.
const MOST: usize = 10_000;

/// Verdicts by identity.
pub(crate) struct VerdictCache {
    ttl: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Identity, Entry>,
    /// The order in which they came, which is that in which they expire.
    order: VecDeque<(Instant, Identity)>,
}

struct Entry {
    verdict: Arc<Verdict>,
    expires: Instant,
}

impl VerdictCache {
    /// A `ttl` of zero keeps nothing.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, kept: Mutex::default() }
    }

    /// The verdict on a caller, if it still stands.
    pub(crate) fn get(&self, identity: &Identity) -> Option<Arc<Verdict>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.entries.get(identity)?;
        (Instant::now() < entry.expires).then(|| Arc::clone(&entry.verdict))
    }

    /// Keeps a verdict; for that, those that have expired go, and the oldest if there are too many.
    pub(crate) fn put(&self, identity: Identity, verdict: Arc<Verdict>) {
        if self.ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let expires = now + self.ttl;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { entries, order } = &mut *kept;
        while order.front().is_some_and(|(expires, _)| *expires <= now || order.len() >= MOST) {
            let Some((expires, identity)) = order.pop_front() else { break };
            // It may have been put again since, and then stands for longer.
            if entries.get(&identity).is_some_and(|entry| entry.expires == expires) {
                entries.remove(&identity);
            }
        }
        order.push_back((expires, identity.clone()));
        entries.insert(identity, Entry { verdict, expires });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName};

    use super::*;

    /// Of requests with these headers, where `x-a` and `x-b` are the identity's.
    fn identity_of(headers: &HeaderMap) -> Identity {
        Identity::of(["x-a", "x-b"].iter().map(|name| headers.get_all(*name)))
    }

    fn identity(name: &str) -> Identity {
        identity_of(&HeaderMap::from_iter([(HeaderName::from_static("x-a"), name.parse().unwrap())]))
    }

    #[test]
    fn callers_that_differ_in_anything_are_different() {
        let headers: [&[(&str, &str)]; 8] = [
            &[],
            &[("x-a", "")],
            &[("x-a", "ab")],
            &[("x-b", "ab")],
            &[("x-a", "a"), ("x-a", "b")],
            &[("x-a", "b"), ("x-a", "a")],
            &[("x-a", "a"), ("x-b", "b")],
            &[("x-a", "a, b")],
        ];
        let pair = |&(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let identities: Vec<_> = headers.iter().map(|pairs| identity_of(&pairs.iter().map(pair).collect())).collect();
        for (n, identity) in identities.iter().enumerate() {
            assert_eq!(identities.iter().position(|other| other == identity), Some(n));
        }
    }

    #[test]
    fn an_identity_keeps_nothing_of_the_connections_buffer() {
        let buffer = Bytes::from(vec![b'x'; 64 * 1024]);
        let value = HeaderValue::from_maybe_shared(buffer.slice(..10)).unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-a"), value)]);
        assert!(!buffer.is_unique());
        let identity = identity_of(&headers);
        drop(headers);
        assert!(buffer.is_unique());
        assert_eq!(identity, super::tests::identity("xxxxxxxxxx"));
    }

    fn size(cache: &VerdictCache) -> (usize, usize) {
        let kept = cache.kept.lock().unwrap();
        (kept.entries.len(), kept.order.len())
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_tokens_take_no_more_than_their_share_of_memory() {
        let cache = VerdictCache::new(Duration::from_mins(1));
        let verdict = Arc::new(Verdict::for_testing());
        for n in 0..MOST + 500 {
            cache.put(identity(&n.to_string()), Arc::clone(&verdict));
        }
        assert_eq!(size(&cache), (MOST, MOST));
        assert!(cache.get(&identity("0")).is_none(), "the oldest went first");
        assert!(cache.get(&identity(&(MOST + 499).to_string())).is_some());

        tokio::time::advance(Duration::from_mins(1)).await;
        cache.put(identity("last"), verdict);
        assert_eq!(size(&cache), (1, 1), "what has expired goes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_verdict_that_is_put_again_stands_from_then() {
        let cache = VerdictCache::new(Duration::from_secs(30));
        let verdict = Arc::new(Verdict::for_testing());
        cache.put(identity("ada"), Arc::clone(&verdict));
        tokio::time::advance(Duration::from_secs(20)).await;
        cache.put(identity("ada"), Arc::clone(&verdict));
        tokio::time::advance(Duration::from_secs(15)).await;
        cache.put(identity("bob"), verdict);
        assert!(cache.get(&identity("ada")).is_some());
    }
}
