//! Faults on demand: `--chaos "notifications:error=1.0;dynamodb:throttle=0.1,delay_ms=50;seed=7"`.
//!
//! The embedded database is always consistent and never conflicts, the queues deliver once and in
//! order, workers do not die: what AWS does now and then, this machine does when it is told to. A
//! [`Chaos`] holds what is asked for, and can be told anew while the system runs. Whoever can fail
//! holds a [`Place`] and asks it at the moment when it could.
//!
//! Each fault of each place has a sequence of its own: the n-th time it is asked, the answer follows
//! from the seed alone. What the rest of the system does meanwhile changes nothing, so a failure repeats.
//! Faults of one and the same request are asked by its [`Turn`]: whether the n-th request is struck by one
//! of them does not depend on the others, though a request that one has refused never gets as far as the next.

mod spec;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

pub use crate::spec::{Fault, SpecError};
use crate::spec::{Spec, Throw};

/// What goes wrong in this process, and how often. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Chaos(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    functions: Vec<String>,
    tables: Vec<String>,
    current: watch::Sender<Option<Arc<Current>>>,
}

/// A specification in force.
#[derive(Debug)]
struct Current {
    spec: Spec,
    /// How often each was asked.
    asked: BTreeMap<(String, Fault), Asked>,
    /// How many turns each target has had.
    turns: BTreeMap<String, AtomicU64>,
}

/// How often a fault was asked whether it strikes, and what to choose: rows of their own, so that a fault that
/// chooses strikes no differently.
#[derive(Debug, Default)]
struct Asked {
    strikes: AtomicU64,
    choices: AtomicU64,
}

impl Current {
    fn of(spec: Spec) -> Self {
        let asked = spec.faults().map(|fault| (fault, Asked::default())).collect();
        let turns = spec.faults().map(|(target, _)| (target, AtomicU64::new(0))).collect();
        Self { spec, asked, turns }
    }

    fn strikes(&self, fault: &(String, Fault), nth: u64) -> bool {
        self.spec.value(fault).is_some_and(|probability| fraction(self.spec.dice(fault, Throw::Strike(nth))) < probability)
    }
}

impl Chaos {
    /// Nothing goes wrong yet. `functions` are the names that may be targets beside the services.
    pub fn new(functions: impl IntoIterator<Item = String>) -> Self {
        Self::with_tables(functions, [])
    }

    /// The same, where tables may be targets too, each by itself: by their logical ids in the template.
    pub fn with_tables(functions: impl IntoIterator<Item = String>, tables: impl IntoIterator<Item = String>) -> Self {
        let (functions, tables) = (functions.into_iter().collect(), tables.into_iter().collect());
        Self(Arc::new(Inner { functions, tables, current: watch::Sender::default() }))
    }

    /// Puts a specification in the place of the one before; an empty one ends all faults. Without a `seed` it is given one.
    pub fn set(&self, spec: &str) -> Result<(), SpecError> {
        let spec = Spec::parse(spec, &self.0.functions, &self.0.tables)?;
        self.0.current.send_replace((!spec.is_empty()).then(|| Arc::new(Current::of(spec))));
        Ok(())
    }

    /// Whether anything is asked for that strikes single tables.
    pub fn strikes_tables(&self) -> bool {
        self.current().is_some_and(|current| current.turns.keys().any(|target| self.0.tables.contains(target)))
    }

    /// Where `target` may fail: the name of a function or of a table, `dynamodb`, `s3`, `sqs` or `streams`.
    pub fn place(&self, target: &str) -> Place {
        Place { chaos: self.clone(), target: target.to_owned() }
    }

    fn current(&self) -> Option<Arc<Current>> {
        self.0.current.borrow().clone()
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
    /// The next request, read or invocation, to be asked for the faults that strike it as a whole.
    pub fn turn(&self) -> Turn {
        let current = self.chaos.current();
        let turns = current.as_ref().and_then(|current| current.turns.get(&self.target));
        let nth = turns.map_or(0, |turns| turns.fetch_add(1, Ordering::Relaxed));
        Turn(vec![One { current, target: self.target.clone(), nth }])
    }

    /// Whether the fault happens this time. To be asked once wherever it can happen, and where a [`Turn`] is not
    /// asked: for messages, entries, notifications.
    pub fn strikes(&self, fault: Fault) -> bool {
        let Some(current) = self.chaos.current() else { return false };
        let key = (self.target.clone(), fault);
        let Some(asked) = current.asked.get(&key) else { return false };
        current.strikes(&key, asked.strikes.fetch_add(1, Ordering::Relaxed))
    }

    /// A random number below `below` for the decision that a fault needs besides: the same from the same seed.
    /// Zero if `below` is.
    pub fn choose(&self, fault: Fault, below: usize) -> usize {
        let Some(current) = self.chaos.current() else { return 0 };
        let key = (self.target.clone(), fault);
        let Some(asked) = current.asked.get(&key) else { return 0 };
        let nth = asked.choices.fetch_add(1, Ordering::Relaxed);
        chosen(current.spec.dice(&key, Throw::Choice(nth)), below)
    }

    /// How long [`Fault::DelayMs`] or [`Fault::StaleMs`] is; zero if it is not asked for.
    pub fn time(&self, fault: Fault) -> Duration {
        self.time_in(self.chaos.current().as_deref(), fault)
    }

    fn time_in(&self, current: Option<&Current>, fault: Fault) -> Duration {
        let value = current.and_then(|current| current.spec.value(&(self.target.clone(), fault)));
        value.map_or(Duration::ZERO, |millis| Duration::from_secs_f64(millis / 1000.0))
    }

    /// Waits until [`Place::time`] of the fault is zero. One that is asked for again at once may go unnoticed.
    pub async fn ended(&self, fault: Fault) {
        let mut current = self.chaos.0.current.subscribe();
        // It is an error only once nobody is left to ask for anything.
        let _ = current.wait_for(|current| self.time_in(current.as_deref(), fault).is_zero()).await;
    }

    /// Waits as long as `delay_ms` says.
    pub async fn delay(&self) {
        let delay = self.time(Fault::DelayMs);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// The n-th request to a place, read of a stream or invocation, under the specification that was in force when it
/// came. Which faults strike it follows from the seed and from n, each fault by itself.
///
/// A request may be one of several places: of the database, and of a table in it. What strikes it at one of them strikes it.
#[derive(Debug, Clone)]
pub struct Turn(Vec<One>);

#[derive(Debug, Clone)]
struct One {
    current: Option<Arc<Current>>,
    target: String,
    nth: u64,
}

impl One {
    fn strikes(&self, fault: Fault) -> bool {
        self.current.as_ref().is_some_and(|current| current.strikes(&(self.target.clone(), fault), self.nth))
    }
}

impl Turn {
    /// The same request at another place, too.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether the fault strikes: the same however often it is asked.
    pub fn strikes(&self, fault: Fault) -> bool {
        self.0.iter().any(|one| one.strikes(fault))
    }

    /// Random numbers for the decisions that a fault needs besides, each below what it is given: the same from the same seed. They are
    /// those of the first place at which it strikes.
    pub fn choices(&self, fault: Fault) -> impl FnMut(usize) -> usize + use<> {
        let one = self.0.iter().find(|one| one.strikes(fault)).unwrap_or(&self.0[0]);
        let (current, key, turn) = (one.current.clone(), (one.target.clone(), fault), one.nth);
        let mut numbers = 0..;
        move |below| {
            let nth = numbers.next().unwrap_or_default();
            current.as_ref().map_or(0, |current| chosen(current.spec.dice(&key, Throw::ChoiceOf { turn, nth }), below))
        }
    }
}

/// From 0 up to 1, in as many steps as it can be exact about.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what it has")]
fn fraction(dice: u64) -> f64 {
    (dice >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number below `below`; zero if that is.
fn chosen(dice: u64, below: usize) -> usize {
    let part = (u128::from(dice) * below as u128) >> 64;
    usize::try_from(part).unwrap_or_default()
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
    fn one_table_fails_by_itself_and_what_strikes_a_request_at_one_place_strikes_it() {
        let chaos = Chaos::with_tables([], ["PostsTable".to_owned(), "UsersTable".to_owned()]);
        assert!(!chaos.strikes_tables());
        chaos.set("dynamodb:conflict=1").unwrap();
        assert!(!chaos.strikes_tables());
        chaos.set("PostsTable:error=1,delay_ms=3;dynamodb:conflict=1").unwrap();
        assert!(chaos.strikes_tables());
        let [posts, users, all] = ["PostsTable", "UsersTable", "dynamodb"].map(|target| chaos.place(target));
        let struck = |turn: Turn| [Fault::Error, Fault::Conflict, Fault::Throttle].map(|fault| turn.strikes(fault));
        assert_eq!(struck(all.turn()), [false, true, false]);
        assert_eq!(struck(all.turn().and(posts.turn())), [true, true, false]);
        assert_eq!(struck(all.turn().and(users.turn())), [false, true, false]);
        assert_eq!(struck(all.turn().and(users.turn()).and(posts.turn())), [true, true, false]);
        assert_eq!((posts.time(Fault::DelayMs), users.time(Fault::DelayMs)), (Duration::from_millis(3), Duration::ZERO));
        let refused = chaos.set("PostsTable:stale_ms=3").unwrap_err().to_string();
        assert_eq!(
            refused,
            "chaos: PostsTable has no fault `stale_ms`; it has error, delay_ms, throttle, unprocessed, lost_answer, conflict"
        );
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

    #[tokio::test]
    async fn the_end_of_a_fault_is_told() {
        let chaos = chaos("dynamodb:stale_ms=5");
        let place = chaos.place("dynamodb");
        let mut ended = std::pin::pin!(place.ended(Fault::StaleMs));
        assert!(polled(ended.as_mut()).await.is_pending());
        chaos.set("dynamodb:stale_ms=6,error=1").unwrap();
        assert!(polled(ended.as_mut()).await.is_pending());
        chaos.set("dynamodb:error=1").unwrap();
        ended.await;
    }

    async fn polled<F: Future<Output = ()>>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<()> {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
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
        fn another_fault_does_not_change_which_requests_the_first_strikes(seed: u32, choices in 0..5_usize) {
            let struck = |spec: &str, also: &[Fault]| -> Vec<(bool, usize)> {
                let place = chaos(&format!("{spec};seed={seed}")).place("dynamodb");
                let one = |_| {
                    let turn = place.turn();
                    for other in also {
                        if turn.strikes(*other) {
                            assert!((0..choices).all(|_| turn.choices(*other)(3) < 3));
                        }
                    }
                    (turn.strikes(Fault::Throttle), turn.choices(Fault::Throttle)(1000))
                };
                (0..50).map(one).collect()
            };
            let alone = struck("dynamodb:throttle=0.5", &[]);
            prop_assert_eq!(&alone, &struck("dynamodb:throttle=0.5,error=0.5;s3:error=0.5", &[Fault::Error]));
            let all = [Fault::Error, Fault::Conflict, Fault::Unprocessed, Fault::LostAnswer];
            let spec = "dynamodb:throttle=0.5,error=1,conflict=0.1,unprocessed=0.5,lost_answer=0.9,stale_ms=5";
            prop_assert_eq!(alone, struck(spec, &all));
        }

        #[test]
        fn a_fault_that_chooses_strikes_no_differently(seed: u32, choices in 0..5_usize) {
            let spec = format!("sqs:reorder=0.5;seed={seed}");
            let (still, choosing) = (chaos(&spec).place("sqs"), chaos(&spec).place("sqs"));
            for _ in 0..50 {
                let struck = choosing.strikes(Fault::Reorder);
                prop_assert_eq!(still.strikes(Fault::Reorder), struck);
                for _ in 0..choices {
                    prop_assert!(choosing.choose(Fault::Reorder, 7) < 7);
                }
            }
        }

        #[test]
        fn choices_reach_everything_below_and_nothing_else(seed: u32, below in 1..10_usize) {
            let chaos = chaos(&format!("sqs:reorder=1;seed={seed}"));
            let (place, mut of_a_turn) = (chaos.place("sqs"), chaos.place("sqs").turn().choices(Fault::Reorder));
            let chosen: std::collections::BTreeSet<_> = (0..300).map(|_| place.choose(Fault::Reorder, below)).collect();
            prop_assert_eq!(&chosen, &(0..below).collect());
            prop_assert_eq!(chosen, (0..300).map(|_| of_a_turn(below)).collect());
            prop_assert_eq!(place.choose(Fault::Reorder, 0), 0);
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
