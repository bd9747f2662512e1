//! A memory beside a table that changes and fails, by a clock that the test sets.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
};

use futures::future::{join_all, poll_immediate};
use proptest::{
    collection::{hash_set, vec},
    prelude::*,
};
use telemetry::{Outcome, Work};
use tokio::sync::Semaphore;

use super::*;

/// Milliseconds since the test began.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn passes(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    fn memory<V: Clone>(&self, seconds: u64) -> Memory<u8, V> {
        let clock = self.clone();
        let at = move || Time::from_millis(1_790_000_000_000 + clock.now()).unwrap();
        Memory::with_clock("things", Life(Duration::from_secs(seconds)), 1000, at)
    }
}

/// What some work has put on its line, and what it answers.
async fn line<T>(work: impl Future<Output = T>) -> (T, Vec<String>, [usize; 5]) {
    let of = Work {
        service: "test",
        operation: "test".to_owned(),
        request_id: String::new(),
        trace_id: "Root=1-691f0f2a-5f1c2d3e4f5a6b7c8d9e0f1a".to_owned(),
    };
    let measured = async {
        let result = work.await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
        let counts = ["hits", "joined", "misses", "stale", "anew"].map(|what| telemetry::number(&format!("cache.things.{what}")) as usize);
        (result, telemetry::degraded(), counts)
    };
    telemetry::observe(of, measured, |_| Outcome::Ok).await
}

fn down() -> Error {
    Error::Unavailable("down".to_owned())
}

#[derive(Debug, Clone)]
enum Step {
    Ask(HashSet<u8>),
    Anew(u8),
    Pass(i64),
    /// The clock is set back by so much, and something else is looked at before and after.
    Back(i64),
    /// The thing has another value, or is gone.
    Change(u8),
    Fail(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => hash_set(0u8..6, 1..4).prop_map(Step::Ask),
        1 => (0u8..6).prop_map(Step::Anew),
        3 => prop_oneof![0..1500i64, 5000..11_000i64, 40_000..70_000i64].prop_map(Step::Pass),
        1 => prop_oneof![1..100i64, 5000..90_000i64].prop_map(Step::Back),
        3 => (0u8..6).prop_map(Step::Change),
        1 => any::<bool>().prop_map(Step::Fail),
    ]
}

/// The table, with all that it has ever held and since when, and when each thing was read last: the whole of what the promises need.
#[derive(Default)]
struct Reference {
    /// By key: since when, and what; at first nothing is there.
    histories: HashMap<u8, Vec<(i64, Option<u32>)>>,
    read_at: HashMap<u8, i64>,
    fails: bool,
    changes: u32,
}

impl Reference {
    fn now(&self, key: u8) -> Option<u32> {
        self.histories.get(&key).and_then(|history| history.last()?.1)
    }

    /// Every third change is a removal.
    fn change(&mut self, key: u8, now: i64) {
        self.changes += 1;
        let value = (!self.changes.is_multiple_of(3)).then_some(self.changes);
        self.histories.entry(key).or_default().push((now, value));
    }

    /// What it was when it was read last.
    fn when_read(&self, key: u8) -> Option<u32> {
        let read_at = self.read_at[&key];
        self.histories.get(&key).and_then(|history| history.iter().rfind(|(since, _)| *since <= read_at)?.1)
    }

    fn load(&mut self, keys: &[u8], now: i64) -> Result<HashMap<u8, u32>, Error> {
        if self.fails {
            return Err(down());
        }
        self.read_at.extend(keys.iter().map(|key| (*key, now)));
        Ok(keys.iter().filter_map(|key| Some((*key, self.now(*key)?))).collect())
    }
}

proptest! {
    #[test]
    fn what_is_answered_is_what_the_table_held_when_it_was_last_read_and_that_is_never_too_long_ago(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        // What the memory goes by, and what has passed indeed.
        let (clock, indeed) = (Clock::default(), Clock::default());
        let memory = clock.memory::<u32>(10);
        let reference = RefCell::new(Reference::default());
        let passes = |millis| {
            clock.passes(millis);
            indeed.passes(millis);
        };
        for step in steps {
            // Two things do not happen in one moment.
            passes(1);
            let now = indeed.now();
            match step {
                Step::Pass(millis) => passes(millis),
                Step::Back(millis) => {
                    let look = || runtime.block_on(memory.all([9], |_| std::future::ready(Ok(HashMap::new())))).unwrap();
                    look();
                    clock.passes(-millis);
                    look();
                    reference.borrow_mut().read_at.clear();
                }
                Step::Change(key) => reference.borrow_mut().change(key, now),
                Step::Fail(fails) => reference.borrow_mut().fails = fails,
                Step::Anew(key) => {
                    let answer = runtime.block_on(memory.anew([key], |keys| std::future::ready(reference.borrow_mut().load(&keys, now))));
                    let reference = reference.borrow();
                    prop_assert_eq!(answer.ok(), (!reference.fails).then(|| reference.now(key).map(|value| (key, value)).into_iter().collect()));
                }
                Step::Ask(keys) => {
                    let before = reference.borrow().read_at.clone();
                    let asked = RefCell::new(HashSet::new());
                    let (answer, degraded, counts) = runtime.block_on(line(memory.all(keys.iter().copied(), |missing| {
                        asked.borrow_mut().extend(missing.iter().copied());
                        std::future::ready(reference.borrow_mut().load(&missing, now))
                    })));
                    let (reference, asked) = (reference.borrow(), asked.into_inner());
                    for key in &keys {
                        let age = before.get(key).map(|read_at| now - read_at);
                        // What a memory's life is lies between the two; it is asked for anew after, and not before.
                        prop_assert!(!asked.contains(key) || age.is_none_or(|age| age >= 7000), "{key} was read {age:?} ms ago");
                        prop_assert!(asked.contains(key) || age.is_some_and(|age| age < 9000), "{key} is {age:?} ms old, and was used");
                    }
                    let bearable = |key: &u8| !asked.contains(key) || before.get(key).is_some_and(|read_at| now - read_at <= 60_000);
                    let known: Vec<u8> = keys.iter().copied().filter(|key| !reference.fails || bearable(key)).collect();
                    let hits = keys.len() - asked.len();
                    let stale = if reference.fails { known.len() - hits } else { 0 };
                    prop_assert_eq!(counts, [hits, 0, asked.len(), stale, 0]);
                    prop_assert_eq!(!degraded.is_empty(), reference.fails && !asked.is_empty() && !known.is_empty());
                    if known.is_empty() {
                        prop_assert!(matches!(answer, Err(Error::Unavailable(_))));
                    } else {
                        let expected: HashMap<u8, u32> = known.iter().filter_map(|key| Some((*key, reference.when_read(*key)?))).collect();
                        prop_assert_eq!(answer.unwrap(), expected);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_who_miss_the_same_things_at_once_wait_for_one_read_of_all_of_them() {
    let memory = Clock::default().memory::<u32>(10);
    let reads = AtomicUsize::new(0);
    let gate = Semaphore::new(0);
    let ask = || {
        line(memory.all(0..20, |keys| async {
            assert_eq!(keys.len(), 20, "a page is one read");
            reads.fetch_add(1, Ordering::Relaxed);
            let _open = gate.acquire().await.unwrap();
            Ok(keys.into_iter().map(|key| (key, u32::from(key))).collect())
        }))
    };
    let opens = async { gate.add_permits(100) };
    let (answers, ()) = tokio::join!(join_all((0..100).map(|_| ask())), opens);
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    assert!(answers.iter().all(|(answer, ..)| answer.as_ref().unwrap().len() == 20));
    let sum = |what: usize| answers.iter().map(|(_, _, counts)| counts[what]).sum::<usize>();
    assert_eq!([sum(0), sum(1), sum(2)], [0, 99 * 20, 20]);
}

#[tokio::test]
async fn who_misses_some_of_what_is_being_read_reads_the_rest() {
    let memory = Clock::default().memory::<u32>(10);
    let reads = RefCell::new(Vec::new());
    let gate = Semaphore::new(0);
    let load = |keys: Vec<u8>| async {
        let mut some = keys.clone();
        some.sort_unstable();
        reads.borrow_mut().push(some);
        let _open = gate.acquire().await.unwrap();
        Ok(keys.into_iter().map(|key| (key, 7)).collect())
    };
    let opens = async { gate.add_permits(2) };
    let (first, second, ()) = tokio::join!(memory.all([1, 2], load), memory.all([2, 3], load), opens);
    assert_eq!((first.unwrap().len(), second.unwrap().len()), (2, 2));
    assert_eq!(reads.into_inner(), [vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn a_read_that_fails_fails_all_who_wait_for_it_and_none_after_them() {
    let memory = Clock::default().memory::<u32>(10);
    let reads = AtomicUsize::new(0);
    let gate = Semaphore::new(0);
    let ask = || {
        memory.all([1], |_| async {
            reads.fetch_add(1, Ordering::Relaxed);
            let _open = gate.acquire().await.unwrap();
            Err(down())
        })
    };
    let opens = async { gate.add_permits(100) };
    let (answers, ()) = tokio::join!(join_all((0..100).map(|_| ask())), opens);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unavailable(_)))));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    let answer = memory.all([1], |_| async { Ok(HashMap::from([(1, 7)])) }).await;
    assert_eq!(answer.unwrap(), HashMap::from([(1, 7)]));
}

#[tokio::test]
async fn a_read_whose_caller_has_gone_is_begun_again_by_one_of_those_who_wait() {
    let memory = Clock::default().memory::<u32>(10);
    let reads = AtomicUsize::new(0);
    let load = |_: Vec<u8>| async {
        // The first never ends.
        if reads.fetch_add(1, Ordering::Relaxed) == 0 {
            std::future::pending::<()>().await;
        }
        Ok(HashMap::from([(1, 7)]))
    };
    let mut first = Box::pin(memory.all([1], load));
    assert!(poll_immediate(&mut first).await.is_none());
    let mut others = Box::pin(join_all((0..10).map(|_| memory.all([1], load))));
    assert!(poll_immediate(&mut others).await.is_none(), "they wait");
    drop(first);
    assert!(others.await.into_iter().all(|answer| answer.unwrap() == HashMap::from([(1, 7)])));
    assert_eq!(reads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_was_asked_for_before_a_change_does_not_replace_what_was_read_after_it() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(10);
    let gate = Semaphore::new(0);
    let mut before = Box::pin(memory.all([1], |_| async {
        let _open = gate.acquire().await.unwrap();
        Ok(HashMap::from([(1, 1)]))
    }));
    assert!(poll_immediate(&mut before).await.is_none());
    clock.passes(5);
    assert_eq!(memory.anew([1], |_| async { Ok(HashMap::from([(1, 2)])) }).await.unwrap()[&1], 2);
    gate.add_permits(1);
    assert_eq!(before.await.unwrap()[&1], 1, "it had asked before");
    let remembered = memory.all([1], |_| async { panic!("it is remembered") }).await;
    assert_eq!(remembered.unwrap()[&1], 2);
}

#[tokio::test]
async fn what_is_refused_is_no_failure_of_the_table_and_nothing_old_is_shown_for_it() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(10);
    memory.all([1], |_| async { Ok(HashMap::from([(1, 1)])) }).await.unwrap();
    clock.passes(9000);
    let (answer, degraded, _) = line(memory.all([1], |_| async { Err(Error::Refused("no".to_owned())) })).await;
    assert!(matches!(answer, Err(Error::Refused(_))) && degraded.is_empty());
    let (answer, degraded, _) = line(memory.all([1], |_| async { Err(down()) })).await;
    assert_eq!((answer.unwrap()[&1], degraded), (1, vec!["things".to_owned()]));
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_last_longer() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(10);
    let reads = |value| memory.one(1, move |_| std::future::ready(Ok(Some(value))));
    clock.passes(60_000);
    assert_eq!(reads(1).await.unwrap(), Some(1));
    clock.passes(-30_000);
    assert_eq!(reads(2).await.unwrap(), Some(2));
    assert_eq!(reads(3).await.unwrap(), Some(2), "it is remembered by the new time");
    // What was read first is half a minute old when the clock says so once more.
    clock.passes(31_000);
    assert_eq!(reads(4).await.unwrap(), Some(4));
}

/// A table that is asked and does not answer, and how long the caller waits for it.
async fn waits<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let result = work.await;
    (result, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_is_waited_for_only_by_who_has_nothing_to_show() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(10);
    let hangs = |_: Vec<u8>| std::future::pending::<Result<HashMap<u8, u32>, Error>>();
    let minute = Duration::from_mins(1);
    memory.all([1, 2], |_| async { Ok(HashMap::from([(1, 1), (2, 2)])) }).await.unwrap();
    clock.passes(9000);
    let ((answer, degraded, _), waited) = waits(line(memory.all([1, 2], hangs))).await;
    assert_eq!((answer.unwrap(), degraded, waited), (HashMap::from([(1, 1), (2, 2)]), vec!["things".to_owned()], UNTIL_OLD));
    let ((answer, degraded, _), waited) = waits(line(memory.anew_or_old([1], hangs))).await;
    assert_eq!((answer.unwrap(), degraded, waited), (HashMap::from([(1, 1)]), vec!["things".to_owned()], UNTIL_OLD));
    // The third would be missing: that is worth a little more.
    let ((answer, degraded, _), waited) = waits(line(memory.all([1, 3], hangs))).await;
    assert_eq!((answer.unwrap(), degraded, waited), (HashMap::from([(1, 1)]), vec!["things".to_owned()], UNTIL_PARTIAL));
    assert!(tokio::time::timeout(minute, memory.all([3], hangs)).await.is_err(), "there is nothing else to show");
    clock.passes(60_000);
    assert!(tokio::time::timeout(minute, memory.all([1, 2], hangs)).await.is_err(), "it is too old");
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_show_goes_on_with_a_read_that_others_have_given_up() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(10);
    memory.all([1], |_| async { Ok(HashMap::from([(1, 1)])) }).await.unwrap();
    let slow = |keys: Vec<u8>| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(keys.into_iter().map(|key| (key, 7)).collect())
    };
    let ((first, second), waited) = waits(async { tokio::join!(memory.all([1, 2], slow), memory.all([2], slow)) }).await;
    assert_eq!((first.unwrap(), second.unwrap()), (HashMap::from([(1, 1)]), HashMap::from([(2, 7)])));
    assert_eq!(waited, UNTIL_PARTIAL + Duration::from_secs(1));
}

#[tokio::test]
async fn who_waits_takes_what_the_read_tells_also_if_it_took_longer_than_it_is_remembered() {
    let clock = Clock::default();
    let memory = clock.memory::<u32>(1);
    let reads = AtomicUsize::new(0);
    let ask = || {
        memory.one(1, async |_| {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            clock.passes(5000);
            Ok(Some(7))
        })
    };
    let answers = join_all((0..100).map(|_| ask())).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(7)));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_done_without_is_waited_for_half_a_second_and_until_the_rest_is_there() {
    let after = |millis, value| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok::<u32, Error>(value)
    };
    let page = |needed, spare| {
        line(waits(async move {
            let patience = Patience::default();
            let needed = patience.needed(after(needed, 1));
            tokio::try_join!(needed, patience.spare("things", after(spare, 2))).unwrap()
        }))
    };
    let of =
        |((found, waited), degraded, _): (_, Vec<String>, _)| -> ((u32, Option<u32>), Duration, usize) { (found, waited, degraded.len()) };
    let millis = Duration::from_millis;
    assert_eq!(of(page(10, 400).await), ((1, Some(2)), millis(400), 0));
    assert_eq!(of(page(10, 10_000).await), ((1, None), millis(500), 1));
    assert_eq!(of(page(2000, 1900).await), ((1, Some(2)), millis(2000), 0));
    assert_eq!(of(page(2000, 10_000).await), ((1, None), millis(2000), 1));
}

#[tokio::test]
async fn without_a_life_nothing_is_remembered() {
    let memory = Clock::default().memory::<u32>(0);
    for value in [1, 2] {
        assert_eq!(memory.all([1], |_| async { Ok(HashMap::from([(1, value)])) }).await.unwrap()[&1], value);
        assert_eq!(memory.anew([1], |_| async { Ok(HashMap::from([(1, value)])) }).await.unwrap()[&1], value);
    }
    assert!(memory.all([1], |_| async { Err(down()) }).await.is_err());
}

#[tokio::test]
async fn no_more_is_remembered_than_there_is_room_for_and_what_is_asked_for_often_stays() {
    let clock = Clock::default();
    let at = move || Time::from_millis(1_790_000_000_000 + clock.now()).unwrap();
    let memory = Memory::<u32, u32>::with_clock("things", Life::default(), 100, at);
    let load = |keys: Vec<u32>| async { Ok(keys.into_iter().map(|key| (key, key)).collect()) };
    for round in 0..50 {
        memory.all(0..10, load).await.unwrap();
        memory.all(1000 + round * 50..1050 + round * 50, load).await.unwrap();
    }
    assert!(memory.lock().entries.len() <= 100);
    let (_, _, [hits, ..]) = line(memory.all(0..10, load)).await;
    assert!(hits >= 8, "{hits} of ten that were asked for fifty times");
}

#[test]
fn a_life_is_ten_seconds_at_most_and_what_makes_no_sense_stops_the_function() {
    let seconds = |text: &str| Life::of(Some(text.to_owned())).ok().map(|life| life.0.as_secs());
    assert_eq!((Life::of(None).unwrap(), seconds("")), (Life::default(), Some(10)));
    assert_eq!((seconds("0"), seconds("5"), seconds("10")), (Some(0), Some(5), Some(10)));
    for bad in ["11", "-1", "1.5", "ten"] {
        assert_eq!(seconds(bad), None, "{bad}");
    }
}

/// How often things are looked at of which the first is twice as popular as the second and thrice as the third.
struct Zipf(Vec<f64>);

impl Zipf {
    fn of(things: u32) -> Self {
        let mut sum = 0.0;
        let upto = |rank: u32| {
            sum += 1.0 / f64::from(rank);
            sum
        };
        Self((1..=things).map(upto).collect())
    }

    fn draw(&self, random: &mut fastrand::Rng) -> u32 {
        let at = random.f64() * self.0.last().unwrap();
        u32::try_from(self.0.partition_point(|sum| *sum < at)).unwrap()
    }
}

/// Of a hundred card reads (twenty posts a page, and their authors) how many are answered from memory, of posts and of people, by one process
/// that answers so many pages a second for two minutes after its first two seconds.
fn from_memory(pages_a_second: u32, posts: u32) -> [f64; 2] {
    const AUTHORS: u32 = 200;
    // What lives memories are given is drawn from this one.
    fastrand::seed(7);
    let mut random = fastrand::Rng::with_seed(7);
    let clock = Clock::default();
    let memory = |name| {
        let clock = clock.clone();
        let at = move || Time::from_millis(1_790_000_000_000 + clock.now()).unwrap();
        Memory::<u32, u32>::with_clock(name, Life::default(), 3000, at)
    };
    let (cards, people) = (memory("posts"), memory("people"));
    let zipf = Zipf::of(posts);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut asked, read) = ([0; 2], [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let load = |kind: usize| {
        let read = &read[kind];
        move |keys: Vec<u32>| {
            read.fetch_add(keys.len(), Ordering::Relaxed);
            std::future::ready(Ok(keys.into_iter().map(|key| (key, key)).collect()))
        }
    };
    for page in 0..122 * pages_a_second {
        clock.passes(i64::from(1000 / pages_a_second));
        if page == 2 * pages_a_second {
            asked = [0; 2];
            for read in &read {
                read.store(0, Ordering::Relaxed);
            }
        }
        let mut shown = HashSet::new();
        while shown.len() < 20 {
            shown.insert(zipf.draw(&mut random));
        }
        let authors: HashSet<u32> = shown.iter().map(|post| post % AUTHORS).collect();
        asked[0] += shown.len();
        asked[1] += authors.len();
        let answers = async { (cards.all(shown, load(0)).await.unwrap().len(), people.all(authors, load(1)).await.unwrap().len()) };
        let (found, named) = runtime.block_on(answers);
        assert!(found == 20 && named > 0);
    }
    let read = read.map(AtomicUsize::into_inner);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let share = |kind: usize| 100.0 * (1.0 - read[kind] as f64 / asked[kind] as f64);
    [share(0), share(1)]
}

#[test]
fn of_a_thousand_posts_of_two_hundred_people_ninety_five_of_a_hundred_reads_of_either_card_never_reach_the_database_at_125_pages_a_second()
{
    let [posts, people] = from_memory(125, 1000);
    assert!(posts >= 95.0 && people >= 95.0, "{posts} {people}");
}

/// The figures of `docs/BENCHMARKS.md`: how much it is elsewhere, of posts and of people.
#[test]
fn the_fewer_pages_and_the_more_posts_the_less_is_remembered() {
    let all = [
        (1000, 10, [74.0, 89.3]),
        (1000, 50, [90.7, 97.6]),
        (1000, 100, [94.7, 98.8]),
        (1000, 200, [97.2, 99.4]),
        (3000, 10, [62.8, 89.1]),
        (3000, 50, [81.8, 97.5]),
        (3000, 100, [88.2, 98.7]),
        (3000, 200, [92.9, 99.4]),
    ]
    .map(|(posts, pages_a_second, expected)| (posts, pages_a_second, expected, from_memory(pages_a_second, posts)));
    let is_near = |expected: &[f64; 2], measured: &[f64; 2]| expected.iter().zip(measured).all(|(a, b)| (a - b).abs() < 0.3);
    assert!(all.iter().all(|(_, _, expected, measured)| is_near(expected, measured)), "{all:#?}");
}
