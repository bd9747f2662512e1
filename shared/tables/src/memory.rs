//! What a warm function remembers of what it has read: cards and counts, never who may see what.
//!
//! Nothing is used for longer than nine tenths of [`Life`], from before it was read to its last use; the last tenth is for how far an
//! eventually consistent read may lag. So what others change shows within the whole of it, ten seconds unless it is set lower. How long exactly is drawn
//! anew for each read: what was read together is not missed together for ever.
//!
//! That something is not there is remembered, too. Who misses the same thing at the same time waits for one read, and a page that misses
//! twenty things reads them in one. Where the read fails because the table does, what is up to a minute old is used instead, and said to be
//! old: [`telemetry::degrade`].
//!
//! The clock is the system's, not a monotonic one, which may stand still while Lambda keeps an environment frozen.

use std::{
    collections::{HashMap, HashSet},
    env,
    fmt::Display,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quick_cache::unsync::Cache;
use thiserror::Error;
use tintype_core::Time;
use tintype_telemetry as telemetry;
use tokio::sync::watch;

use crate::Error;

/// How old something may be while the table that it comes from fails.
pub const OLDEST: Duration = Duration::from_mins(1);
/// What somebody has changed so lately is read anew for them: a memory may not have it yet, and clocks of functions may differ a little.
pub const JUST_NOW: Duration = Duration::from_secs(12);
/// The longest [`Life`]: the promise is ten seconds, and [`JUST_NOW`] is longer.
const LONGEST: u64 = 10;
/// Of a life, in hundredths, what a memory lives at least and at most.
const SHARES: std::ops::Range<u64> = 70..90;

/// Within what time a change shows to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life(Duration);

/// `CARD_SECONDS` is no number of seconds from 0 to 10.
#[derive(Debug, Error)]
#[error("CARD_SECONDS must be a whole number from 0 to {LONGEST}, not {0}")]
pub struct BadLife(String);

impl Life {
    /// As environment variable `CARD_SECONDS` says; ten seconds without it. 0: nothing is remembered.
    pub fn from_env() -> Result<Self, BadLife> {
        Self::of(env::var("CARD_SECONDS").ok())
    }

    fn of(seconds: Option<String>) -> Result<Self, BadLife> {
        let Some(text) = seconds.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        match text.parse::<u64>() {
            Ok(seconds) if seconds <= LONGEST => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(BadLife(text)),
        }
    }
}

impl Default for Life {
    fn default() -> Self {
        Self(Duration::from_secs(LONGEST))
    }
}

/// What is remembered of one kind. Cheap to clone: all clones remember the same.
pub struct Memory<K, V> {
    shelf: Arc<Shelf<K, V>>,
}

impl<K, V> Clone for Memory<K, V> {
    fn clone(&self) -> Self {
        Self { shelf: Arc::clone(&self.shelf) }
    }
}

struct Shelf<K, V> {
    /// Of the kind, in the log line and in `Tintype-Degraded`.
    name: &'static str,
    life: Life,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: Cache<K, Entry<V>>,
    /// What is being read just now.
    flights: HashMap<K, Flight>,
}

/// Says why a read has failed. Its sender is gone without a word when the read has ended well, or nobody waits for its end any more.
type Flight = watch::Receiver<Option<Error>>;

#[derive(Clone)]
struct Entry<V> {
    /// `None`: it was not there.
    value: Option<V>,
    /// From before the read.
    read_at: Time,
    fresh_until: Time,
}

impl<V> Entry<V> {
    /// Of a clock that was set back nothing is known.
    fn is_fresh(&self, now: Time) -> bool {
        (self.read_at..self.fresh_until).contains(&now)
    }

    fn is_bearable(&self, now: Time) -> bool {
        self.read_at <= now && now.since(self.read_at) <= OLDEST
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> {
    /// Remembers `most` things at most, called `name`.
    pub fn new(name: &'static str, life: Life, most: usize) -> Self {
        Self::with_clock(name, life, most, Time::now)
    }

    fn with_clock(name: &'static str, life: Life, most: usize, clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        let state = Mutex::new(State { entries: Cache::new(most), flights: HashMap::new() });
        Self { shelf: Arc::new(Shelf { name, life, clock: Box::new(clock), state }) }
    }

    /// Those of `keys` that are there, remembered or read with `load`, which answers those of the keys it is given that are there.
    ///
    /// While `load` fails with [`Error::Unavailable`] it is what is remembered, up to [`OLDEST`], and the line says that it is degraded; the
    /// error, if of all that is asked for nothing is.
    pub async fn all<F>(&self, keys: impl IntoIterator<Item = K>, load: impl Fn(Vec<K>) -> F) -> Result<HashMap<K, V>, Error>
    where
        F: Future<Output = Result<HashMap<K, V>, Error>>,
    {
        let mut wanted: HashSet<K> = keys.into_iter().collect();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        if self.shelf.life.0.is_zero() {
            self.count("misses", wanted.len());
            return load(wanted.into_iter().collect()).await;
        }
        let mut answer = Answer { found: HashMap::new(), known: 0 };
        let (mut failed, mut error) = (Vec::new(), None);
        let mut fresh = "hits";
        while !wanted.is_empty() {
            let Look { known, missing, flights, started, landing } = self.look(wanted);
            self.count(fresh, known.len());
            answer.extend(known);
            // What others have read for us meanwhile.
            fresh = "joined";
            if let Some(landing) = landing {
                self.count("misses", missing.len());
                match load(missing.clone()).await {
                    Ok(values) => answer.extend(self.keep(missing, values, started)),
                    Err(why) => {
                        landing.failed(why.clone());
                        failed.extend(missing);
                        error = Some(why);
                    }
                }
            }
            wanted = HashSet::new();
            for (key, mut flight) in flights {
                let why = flight.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
                if why.is_some() {
                    failed.push(key);
                    error = why;
                } else {
                    // It is there now, or who read it has gone: then we do.
                    wanted.insert(key);
                }
            }
        }
        match error {
            None => Ok(answer.found),
            Some(Error::Unavailable(why)) => self.bear(answer, failed, why),
            Some(error) => Err(error),
        }
    }

    /// The same for who must see what they have just changed: all of it is read, with a `load` that is consistent, and remembered for others.
    pub async fn anew<F>(&self, keys: impl IntoIterator<Item = K>, load: impl FnOnce(Vec<K>) -> F) -> Result<HashMap<K, V>, Error>
    where
        F: Future<Output = Result<HashMap<K, V>, Error>>,
    {
        let keys: Vec<K> = keys.into_iter().collect::<HashSet<K>>().into_iter().collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let started = (self.shelf.clock)();
        self.count("anew", keys.len());
        let values = load(keys.clone()).await?;
        if !self.shelf.life.0.is_zero() {
            self.keep(keys, values.clone(), started);
        }
        Ok(values)
    }

    /// What is known of `wanted`, who is reading it just now, and what is left to be read by the caller.
    fn look(&self, wanted: HashSet<K>) -> Look<'_, K, V> {
        let started = (self.shelf.clock)();
        let mut state = self.lock();
        let (mut known, mut missing, mut flights) = (Vec::new(), Vec::new(), Vec::new());
        for key in wanted {
            if let Some(entry) = state.entries.get(&key).filter(|entry| entry.is_fresh(started)) {
                let value = entry.value.clone();
                known.push((key, value));
            } else if let Some(flight) = state.flights.get(&key).cloned() {
                flights.push((key, flight));
            } else {
                missing.push(key);
            }
        }
        let landing = (!missing.is_empty()).then(|| {
            let (end, flight) = watch::channel(None);
            state.flights.extend(missing.iter().map(|key| (key.clone(), flight.clone())));
            Landing { memory: self, keys: missing.clone(), end }
        });
        Look { known, missing, flights, started, landing }
    }

    /// Remembers what a read that began at `read_at` has told of `keys`, and answers it.
    fn keep(&self, keys: Vec<K>, mut values: HashMap<K, V>, read_at: Time) -> Vec<(K, Option<V>)> {
        let whole = self.shelf.life.0;
        let mut state = self.lock();
        let mut kept = Vec::with_capacity(keys.len());
        for key in keys {
            let value = values.remove(&key);
            // Another read may have begun later, and ended sooner.
            if state.entries.peek(&key).is_none_or(|entry| entry.read_at <= read_at) {
                let share = u32::try_from(fastrand::u64(SHARES)).unwrap_or(0);
                let entry = Entry { value: value.clone(), read_at, fresh_until: read_at.plus(whole * share / 100) };
                state.entries.insert(key.clone(), entry);
            }
            kept.push((key, value));
        }
        kept
    }

    /// Adds to `answer` what is remembered of what could not be read.
    fn bear(&self, mut answer: Answer<K, V>, failed: Vec<K>, why: String) -> Result<HashMap<K, V>, Error> {
        let now = (self.shelf.clock)();
        let old: Vec<(K, Option<V>)> = {
            let state = self.lock();
            let bearable = |key: K| state.entries.get(&key).filter(|entry| entry.is_bearable(now)).map(|entry| (key, entry.value.clone()));
            failed.into_iter().filter_map(bearable).collect()
        };
        self.count("stale", old.len());
        answer.extend(old);
        if answer.known == 0 {
            return Err(Error::Unavailable(why));
        }
        telemetry::degrade(self.shelf.name);
        telemetry::field(&format!("cache.{}.error", self.shelf.name), why);
        Ok(answer.found)
    }

    fn count(&self, what: impl Display, how_many: usize) {
        if how_many > 0 {
            telemetry::count(&format!("cache.{}.{what}", self.shelf.name), how_many);
        }
    }
}

impl<K, V> Memory<K, V> {
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.shelf.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Look<'m, K: Hash + Eq, V> {
    known: Vec<(K, Option<V>)>,
    missing: Vec<K>,
    flights: Vec<(K, Flight)>,
    started: Time,
    landing: Option<Landing<'m, K, V>>,
}

/// What is found, and of how much it is known whether it is there.
struct Answer<K, V> {
    found: HashMap<K, V>,
    known: usize,
}

impl<K: Hash + Eq, V> Answer<K, V> {
    fn extend(&mut self, known: Vec<(K, Option<V>)>) {
        self.known += known.len();
        self.found.extend(known.into_iter().filter_map(|(key, value)| Some((key, value?))));
    }
}

/// However a read ends, also if whoever began it has gone, nobody waits for it any longer.
struct Landing<'m, K: Hash + Eq, V> {
    memory: &'m Memory<K, V>,
    keys: Vec<K>,
    end: watch::Sender<Option<Error>>,
}

impl<K: Hash + Eq, V> Landing<'_, K, V> {
    fn failed(self, why: Error) {
        self.end.send_replace(Some(why));
    }
}

impl<K: Hash + Eq, V> Drop for Landing<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        for key in &self.keys {
            state.flights.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
