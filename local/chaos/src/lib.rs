//! Faults on demand: `--chaos "notifications:error=1.0;dynamodb:throttle=0.1,delay_ms=50;seed=7"`.
//!
//! The embedded database is always consistent and never conflicts, the queues deliver once and in
//! order, workers do not die: what AWS does now and then, this machine does when it is told to. A
//! [`Chaos`] holds what is asked for, and can be told anew while the system runs. Whoever can fail
//! holds a [`Place`] and asks it at the moment when it could.
//!
//! Each fault of each place has a sequence of its own: the n-th time it is asked, the answer follows
//! from the seed alone. What the rest of the system does meanwhile changes nothing, so a failure repeats.

mod spec;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::spec::Spec;
pub use crate::spec::{Fault, SpecError};

/// What goes wrong in this process, and how often. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Chaos(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    functions: Vec<String>,
    current: RwLock<Option<Arc<Current>>>,
}

/// A specification in force.
#[derive(Debug)]
struct Current {
    spec: Spec,
    /// How often each was asked.
    asked: BTreeMap<(String, Fault), AtomicU64>,
}

impl Chaos {
    /// Nothing goes wrong yet. `functions` are the names that may be targets beside the services.
    pub fn new(functions: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Inner { functions: functions.into_iter().collect(), current: RwLock::default() }))
    }

    /// Puts a specification in the place of the one before; an empty one ends all faults. Without a `seed` it is given one.
    pub fn set(&self, spec: &str) -> Result<(), SpecError> {
        let spec = Spec::parse(spec, &self.0.functions)?;
        let asked = spec.faults().map(|fault| (fault, AtomicU64::new(0))).collect();
        let current = (!spec.is_empty()).then(|| Arc::new(Current { spec, asked }));
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// Where `target` may fail: the name of a function, `dynamodb`, `s3`, `sqs` or `streams`.
    pub fn place(&self, target: &str) -> Place {
        Place { chaos: self.clone(), target: target.to_owned() }
    }

    fn current(&self) -> Option<Arc<Current>> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The specification in force, with its seed, as [`Chaos::set`] takes it; empty if there is none.
impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().map_or(Ok(()), |current| current.spec.fmt(f))
    }
}

/// A target that can be asked whether it is to fail now.
#[derive(Debug, Clone)]
pub struct Place {
    chaos: Chaos,
    target: String,
}

impl Place {
    /// Whether the fault happens this time. To be asked once wherever it can happen.
    pub fn strikes(&self, fault: Fault) -> bool {
        let Some(current) = self.chaos.current() else { return false };
        let key = (self.target.clone(), fault);
        let (Some(probability), Some(asked)) = (current.spec.value(&key), current.asked.get(&key)) else { return false };
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        current.spec.dice(&key, nth).f64() < probability
    }

    /// A random number below `below` for the decision that a fault needs besides: the same from the same seed.
    /// Zero if `below` is.
    pub fn choose(&self, fault: Fault, below: usize) -> usize {
        let Some(current) = self.chaos.current() else { return 0 };
        let key = (self.target.clone(), fault);
        let Some(asked) = current.asked.get(&key) else { return 0 };
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        if below == 0 { 0 } else { current.spec.dice(&key, nth).usize(..below) }
    }

    /// How long [`Fault::DelayMs`] or [`Fault::StaleMs`] is; zero if it is not asked for.
    pub fn time(&self, fault: Fault) -> Duration {
        let value = self.chaos.current().and_then(|current| current.spec.value(&(self.target.clone(), fault)));
        value.map_or(Duration::ZERO, |millis| Duration::from_secs_f64(millis / 1000.0))
    }

    /// Waits as long as `delay_ms` says.
    pub async fn delay(&self) {
        let delay = self.time(Fault::DelayMs);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chaos(spec: &str) -> Chaos {
        let chaos = Chaos::new(["posts".to_owned(), "users".to_owned()]);
        chaos.set(spec).unwrap();
        chaos
    }

    fn strikes(place: &Place, fault: Fault, times: usize) -> Vec<bool> {
        (0..times).map(|_| place.strikes(fault)).collect()
    }

    #[test]
    fn nothing_fails_unless_it_is_asked_for() {
        for quiet in [chaos(""), chaos("posts:error=0"), chaos("users:error=1"), chaos("posts:kill=1")] {
            assert!(!strikes(&quiet.place("posts"), Fault::Error, 100).contains(&true));
            assert_eq!(quiet.place("posts").time(Fault::DelayMs), Duration::ZERO);
        }
        assert!(!strikes(&chaos("posts:error=1").place("posts"), Fault::Error, 100).contains(&false));
    }

    #[test]
    fn a_change_holds_for_places_that_exist() {
        let chaos = chaos("");
        let place = chaos.place("dynamodb");
        assert!(!place.strikes(Fault::Conflict));
        chaos.set("dynamodb:conflict=1,stale_ms=1500").unwrap();
        assert!(place.strikes(Fault::Conflict));
        assert_eq!(place.time(Fault::StaleMs), Duration::from_millis(1500));
        chaos.set("").unwrap();
        assert!(!place.strikes(Fault::Conflict));
        assert_eq!(chaos.to_string(), "");
    }

    #[test]
    fn a_wrong_specification_leaves_the_one_in_force() {
        let chaos = chaos("posts:error=1;seed=3");
        chaos.set("nobody:error=1").unwrap_err();
        assert_eq!(chaos.to_string(), "posts:error=1;seed=3");
    }

    #[tokio::test(start_paused = true)]
    async fn delays() {
        let started = tokio::time::Instant::now();
        chaos("s3:delay_ms=250").place("s3").delay().await;
        assert_eq!(started.elapsed(), Duration::from_millis(250));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_same_seed_gives_the_same_faults_whatever_else_is_asked(seed: u32, noise in proptest::collection::vec(0..20_usize, 20)) {
            let spec = format!("posts:error=0.5,kill=0.5;users:error=0.5;seed={seed}");
            let (quiet, busy) = (chaos(&spec), chaos(&spec));
            let alone = strikes(&quiet.place("posts"), Fault::Error, noise.len());
            let together: Vec<bool> = noise
                .iter()
                .map(|others| {
                    strikes(&busy.place("users"), Fault::Error, *others);
                    strikes(&busy.place("posts"), Fault::Kill, *others);
                    busy.place("posts").strikes(Fault::Error)
                })
                .collect();
            prop_assert_eq!(alone, together);
        }

        #[test]
        fn faults_come_as_often_as_they_are_asked_for(seed: u32, percent in 0..=100_u32) {
            let place = chaos(&format!("sqs:duplicate={};seed={seed}", f64::from(percent) / 100.0)).place("sqs");
            let struck = (0..2000_u32).map(|_| u32::from(place.strikes(Fault::Duplicate))).sum();
            // Six standard deviations of 2000 throws.
            prop_assert!(u32::abs_diff(struck, 20 * percent) < 135, "{} of 2000 at {} %", struck, percent);
        }

        #[test]
        fn a_specification_in_force_reads_back_as_itself(seed: u64, a in 0..=100_u32, b in 0..100_000_u32) {
            let once = chaos(&format!("s3:lost_answer={},delay_ms={b} ; seed={seed}", f64::from(a) / 100.0));
            prop_assert_eq!(chaos(&once.to_string()).to_string(), once.to_string());
        }
    }
}
