//! What is remembered of one thing.

use quick_cache::Weighter;
use tintype_core::Time;

use super::OLDEST;

#[derive(Clone)]
pub(super) struct Entry<V> {
    /// `None`: it was not there.
    pub(super) value: Option<V>,
    /// From before the read.
    pub(super) read_at: Time,
    pub(super) fresh_until: Time,
    pub(super) weight: u64,
}

impl<V> Entry<V> {
    pub(super) fn is_fresh(&self, now: Time) -> bool {
        (self.read_at..self.fresh_until).contains(&now)
    }

    pub(super) fn is_bearable(&self, now: Time) -> bool {
        self.read_at <= now && now.since(self.read_at) <= OLDEST
    }
}

#[derive(Clone)]
pub(super) struct Weights;

impl<K, V> Weighter<K, Entry<V>> for Weights {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        entry.weight
    }
}
