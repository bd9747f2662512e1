//! What an environment has learnt from its own requests: it saves most reads, and is all there is while the table is down.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tintype_tables::Key;

use crate::{address::Address, bans::Record, policy::Policy, windows::Tally};

/// Forgetting is harmless: of each kind no more than this is kept.
const MOST_REMEMBERED: usize = 10_000;
/// How long an address counts as not banned without asking, in milliseconds.
const BAN_MEMORY: i64 = 10_000;

#[derive(Default)]
pub(crate) struct Memory {
    tats: Mutex<HashMap<Key, i64>>,
    tallies: Mutex<HashMap<Key, (Tally, Vec<i64>)>>,
    records: Mutex<HashMap<Address, (Record, i64)>>,
}

impl Memory {
    pub(crate) fn tat(&self, key: &Key) -> Option<i64> {
        lock(&self.tats).get(key).copied()
    }

    pub(crate) fn remember_tat(&self, key: &Key, tat: Option<i64>, now: i64) {
        let mut tats = lock(&self.tats);
        let Some(tat) = tat else {
            tats.remove(key);
            return;
        };
        if tats.len() >= MOST_REMEMBERED {
            // What lies behind the clock says nothing.
            tats.retain(|_, tat| *tat > now);
        }
        make_room(&mut tats);
        tats.insert(key.clone(), tat);
    }

    /// Does something with a subject's tally, and the windows that are left over in its item.
    pub(crate) fn tally<T>(&self, key: &Key, policy: &Policy, now: i64, act: impl FnOnce(&mut Tally, &mut Vec<i64>) -> T) -> T {
        let mut tallies = lock(&self.tallies);
        if tallies.len() >= MOST_REMEMBERED && !tallies.contains_key(key) {
            tallies.retain(|_, (tally, _)| tally.is_current(policy, now));
            make_room(&mut tallies);
        }
        let (tally, leftovers) = tallies.entry(key.clone()).or_insert_with(|| (Tally::new(policy, now), Vec::new()));
        act(tally, leftovers)
    }

    /// What is known of an address, if it is known well enough: a ban never ends early.
    pub(crate) fn record(&self, address: Address, now: i64) -> Option<Record> {
        let (record, seen_at) = lock(&self.records).get(&address).copied()?;
        (record.left(now).is_some() || now - seen_at < BAN_MEMORY).then_some(record)
    }

    pub(crate) fn remember_record(&self, address: Address, record: Record, now: i64) {
        let mut records = lock(&self.records);
        make_room(&mut records);
        records.insert(address, (record, now));
    }
}

fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= MOST_REMEMBERED {
        map.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
