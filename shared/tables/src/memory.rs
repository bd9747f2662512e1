//! What a warm function remembers of what it has read: cards and counts, never who may see what.
//!
//! Nothing is used for longer than nine tenths of [`Life`], from before it was read to its last use; the last tenth is for how far an
//! eventually consistent read may lag. So what others change shows within the whole of it, ten seconds unless it is set lower. How long
//! exactly is drawn anew for each read: what was read together is not missed together for ever.
//!
//! That something is not there is remembered, too. Who misses the same thing at the same time waits for one read and takes what it tells,
//! and a page that misses twenty things reads them in one. Where the read fails because the table does, or takes so long that the answer
//! would be too late, what is up to a minute old is used instead, and said to be old: [`telemetry::degrade`].
//!
//! The clock is the system's, not a monotonic one, which may stand still while Lambda keeps an environment frozen. Once it is seen to have
//! been set back, all is forgotten.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quick_cache::unsync::Cache;
use tintype_core::Time;
use tintype_telemetry as telemetry;
use tokio::{sync::watch, time::Instant};

use crate::Error;

mod entry;
mod life;
mod patience;

use entry::{Entry, Weights};
pub use life::{BadLife, Life};
pub use patience::Patience;
use patience::within;

/// How old something may be while the table that it comes from fails.
pub const OLDEST: Duration = Duration::from_mins(1);
/// What somebody has changed so lately is read anew for them: a memory may not have it yet. The longest [`Life`], the six seconds and more
/// that a write may take from the time it bears until it is done, retries and all, and what clocks of functions may differ.
pub const JUST_NOW: Duration = Duration::from_secs(20);
/// How long a table keeps the trace of a change that is read by [`JUST_NOW`]: longer, since it forgets by the second, and by its own clock.
pub const TRACE: Duration = Duration::from_mins(1);
/// So long a read may take of which all is remembered, if it is old.
const UNTIL_OLD: Duration = Duration::from_millis(300);
/// So long a read may take if some of what is asked for is remembered, and the rest would be missing. A second is all that home has.
const UNTIL_PARTIAL: Duration = Duration::from_millis(500);
/// Of a life, in hundredths, what a memory lives at least and at most.
const SHARES: std::ops::Range<u64> = 70..90;

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
    /// Of what is there.
    weigh: fn(&V) -> u64,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: Cache<K, Entry<V>, Weights>,
    /// What is being read just now.
    flights: HashMap<K, Flight<K, V>>,
    /// What the clock said last.
    now: Time,
}

/// What a read has told. Its sender is gone without a word if nobody waits for the read's end any more.
type Flight<K, V> = watch::Receiver<Option<Told<K, V>>>;
type Told<K, V> = Result<Arc<HashMap<K, V>>, Error>;

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> {
    /// Remembers `most` things at most, called `name`.
    pub fn new(name: &'static str, life: Life, most: usize) -> Self {
        Self::with_clock(name, life, most, Time::now)
    }

    /// Remembers things, called `name`, as long as they are no heavier together than `most`, some `expected` of them; `weigh` says how heavy
    /// one is.
    pub fn weighing(name: &'static str, life: Life, most: u64, expected: usize, weigh: fn(&V) -> u64) -> Self {
        Self::with(name, life, Cache::with_weighter(expected, most, Weights), weigh, Time::now)
    }

    fn with_clock(name: &'static str, life: Life, most: usize, clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self::with(name, life, Cache::with_weighter(most, most as u64, Weights), |_| 1, clock)
    }

    fn with(
        name: &'static str,
        life: Life,
        entries: Cache<K, Entry<V>, Weights>,
        weigh: fn(&V) -> u64,
        clock: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::new(State { entries, flights: HashMap::new(), now: clock() });
        Self { shelf: Arc::new(Shelf { name, life, clock: Box::new(clock), weigh, state }) }
    }

    /// Those of `keys` that are there, remembered or read with `load`, which answers those of the keys it is given that are there.
    ///
    /// While `load` fails with [`Error::Unavailable`], or takes too long for who has something to show, it is what is remembered, up to
    /// [`OLDEST`], and the line says that it is degraded; the error, if of all that is asked for nothing is.
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
        let (begun, mut patience, mut fresh) = (Instant::now(), None, "hits");
        while !wanted.is_empty() {
            let Look { known, missing, flights, bearable, started, landing } = self.look(wanted);
            self.count(fresh, known.len());
            answer.extend(known);
            let until = *patience.get_or_insert_with(|| {
                let is_all = bearable == missing.len() + flights.len();
                let patience = if is_all { UNTIL_OLD } else { UNTIL_PARTIAL };
                (is_all || answer.known + bearable > 0).then(|| begun + patience)
            });
            // What others have read for us meanwhile.
            fresh = "joined";
            if let Some(landing) = landing {
                self.count("misses", missing.len());
                match within(until, Box::pin(load(missing.clone()))).await {
                    Some(Ok(values)) => {
                        answer.extend(missing.iter().map(|key| (key.clone(), values.get(key).cloned())));
                        self.keep(missing, &values, started);
                        landing.ends(Ok(Arc::new(values)));
                    }
                    Some(Err(why)) => {
                        landing.ends(Err(why.clone()));
                        failed.extend(missing);
                        error = Some(why);
                    }
                    // Who waits for it may have less to show and more patience: it is begun again by them.
                    None => {
                        drop(landing);
                        failed.extend(missing);
                        error = Some(too_slow());
                    }
                }
            }
            wanted = HashSet::new();
            for (key, mut flight) in flights {
                let told = within(until, flight.wait_for(Option::is_some)).await.map(|told| told.ok().and_then(|told| told.clone()));
                match told {
                    Some(Some(Ok(values))) => {
                        self.count("joined", 1);
                        let value = values.get(&key).cloned();
                        answer.extend([(key, value)]);
                    }
                    Some(Some(Err(why))) => {
                        failed.push(key);
                        error = Some(why);
                    }
                    // Who read it has gone: then we do.
                    Some(None) => drop(wanted.insert(key)),
                    None => {
                        failed.push(key);
                        error = Some(too_slow());
                    }
                }
            }
        }
        match error {
            None => Ok(answer.found),
            Some(Error::Unavailable(why)) => self.bear(answer, failed, why),
            Some(error) => Err(error),
        }
    }

    /// The same of one thing, which `load` reads.
    pub async fn one<F>(&self, key: K, load: impl Fn(K) -> F) -> Result<Option<V>, Error>
    where
        F: Future<Output = Result<Option<V>, Error>>,
    {
        Ok(self.all([key.clone()], |_| of_one(key.clone(), load(key.clone()))).await?.remove(&key))
    }

    /// The same for who must see what they have just changed: all of it is read, with a `load` that is consistent, and remembered for others.
    pub async fn anew<F>(&self, keys: impl IntoIterator<Item = K>, load: impl FnOnce(Vec<K>) -> F) -> Result<HashMap<K, V>, Error>
    where
        F: Future<Output = Result<HashMap<K, V>, Error>>,
    {
        self.read_anew(distinct(keys), load).await
    }

    /// The same, but while `load` fails with [`Error::Unavailable`], or takes too long, it is what is remembered: see [`Self::all`].
    pub async fn anew_or_old<F>(&self, keys: impl IntoIterator<Item = K>, load: impl FnOnce(Vec<K>) -> F) -> Result<HashMap<K, V>, Error>
    where
        F: Future<Output = Result<HashMap<K, V>, Error>>,
    {
        let keys = distinct(keys);
        let until = self.remembers_all(&keys).then(|| Instant::now() + UNTIL_OLD);
        match within(until, Box::pin(self.read_anew(keys.clone(), load))).await.unwrap_or_else(|| Err(too_slow())) {
            Err(Error::Unavailable(why)) => self.bear(Answer { found: HashMap::new(), known: 0 }, keys, why),
            result => result,
        }
    }

    /// [`Self::anew`] of one thing.
    pub async fn one_anew<F>(&self, key: K, load: impl FnOnce(K) -> F) -> Result<Option<V>, Error>
    where
        F: Future<Output = Result<Option<V>, Error>>,
    {
        Ok(self.anew([key.clone()], |_| of_one(key.clone(), load(key.clone()))).await?.remove(&key))
    }

    async fn read_anew<F>(&self, keys: Vec<K>, load: impl FnOnce(Vec<K>) -> F) -> Result<HashMap<K, V>, Error>
    where
        F: Future<Output = Result<HashMap<K, V>, Error>>,
    {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let started = (self.shelf.clock)();
        self.count("anew", keys.len());
        let values = Box::pin(load(keys.clone())).await?;
        if !self.shelf.life.0.is_zero() {
            self.keep(keys, &values, started);
        }
        Ok(values)
    }

    fn remembers_all(&self, keys: &[K]) -> bool {
        let (state, now) = self.state();
        keys.iter().all(|key| state.entries.peek(key).is_some_and(|entry| entry.is_bearable(now)))
    }

    /// The state, and the time: it is taken by who holds the state, and so is set back only if the clock is. How old things are is not known
    /// then: they are forgotten.
    fn state(&self) -> (MutexGuard<'_, State<K, V>>, Time) {
        let mut state = self.lock();
        let now = (self.shelf.clock)();
        if now < state.now {
            state.entries.clear();
        }
        state.now = now;
        (state, now)
    }

    /// What is known of `wanted`, who is reading it just now, and what is left to be read by the caller.
    fn look(&self, wanted: HashSet<K>) -> Look<'_, K, V> {
        let (mut state, started) = self.state();
        let (mut known, mut missing, mut flights, mut bearable) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for key in wanted {
            let entry = state.entries.get(&key);
            if let Some(entry) = entry.filter(|entry| entry.is_fresh(started)) {
                let value = entry.value.clone();
                known.push((key, value));
                continue;
            }
            bearable += usize::from(entry.is_some_and(|entry| entry.is_bearable(started)));
            match state.flights.get(&key).cloned() {
                Some(flight) => flights.push((key, flight)),
                None => missing.push(key),
            }
        }
        let landing = (!missing.is_empty()).then(|| {
            let (end, flight) = watch::channel(None);
            state.flights.extend(missing.iter().map(|key| (key.clone(), flight.clone())));
            Landing { memory: self, keys: missing.clone(), end }
        });
        Look { known, missing, flights, bearable, started, landing }
    }

    /// Remembers what a read that began at `read_at` has told of `keys`.
    fn keep(&self, keys: Vec<K>, values: &HashMap<K, V>, read_at: Time) {
        let whole = self.shelf.life.0;
        let (mut state, now) = self.state();
        if read_at > now {
            return;
        }
        for key in keys {
            // Another read may have begun later, and ended sooner.
            if state.entries.peek(&key).is_none_or(|entry| entry.read_at <= read_at) {
                let share = u32::try_from(fastrand::u64(SHARES)).unwrap_or(0);
                let value = values.get(&key).cloned();
                let weight = value.as_ref().map_or(1, self.shelf.weigh);
                state.entries.insert(key, Entry { value, read_at, fresh_until: read_at.plus(whole * share / 100), weight });
            }
        }
    }

    /// Adds to `answer` what is remembered of what could not be read.
    fn bear(&self, mut answer: Answer<K, V>, failed: Vec<K>, why: String) -> Result<HashMap<K, V>, Error> {
        let old: Vec<(K, Option<V>)> = {
            let (state, now) = self.state();
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

impl<K: Hash + Eq, V> Memory<K, V> {
    /// How many things are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }
}

impl<K, V> Memory<K, V> {
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.shelf.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn distinct<K: Hash + Eq>(keys: impl IntoIterator<Item = K>) -> Vec<K> {
    keys.into_iter().collect::<HashSet<K>>().into_iter().collect()
}

async fn of_one<K: Hash + Eq, V>(key: K, load: impl Future<Output = Result<Option<V>, Error>>) -> Result<HashMap<K, V>, Error> {
    Ok(load.await?.map(|value| (key, value)).into_iter().collect())
}

fn too_slow() -> Error {
    Error::Unavailable("too slow".to_owned())
}

struct Look<'m, K: Hash + Eq, V> {
    known: Vec<(K, Option<V>)>,
    missing: Vec<K>,
    flights: Vec<(K, Flight<K, V>)>,
    /// How many of the latter two are remembered, if they are old.
    bearable: usize,
    started: Time,
    landing: Option<Landing<'m, K, V>>,
}

/// What is found, and of how much it is known whether it is there.
struct Answer<K, V> {
    found: HashMap<K, V>,
    known: usize,
}

impl<K: Hash + Eq, V> Answer<K, V> {
    fn extend(&mut self, known: impl IntoIterator<Item = (K, Option<V>)>) {
        let count = |_: &(K, Option<V>)| self.known += 1;
        self.found.extend(known.into_iter().inspect(count).filter_map(|(key, value)| Some((key, value?))));
    }
}

/// However a read ends, also if whoever began it has gone, nobody waits for it any longer.
struct Landing<'m, K: Hash + Eq, V> {
    memory: &'m Memory<K, V>,
    keys: Vec<K>,
    end: watch::Sender<Option<Told<K, V>>>,
}

impl<K: Hash + Eq, V> Landing<'_, K, V> {
    fn ends(self, told: Told<K, V>) {
        self.end.send_replace(Some(told));
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
