use proptest::prelude::*;

use super::*;

/// Fails as often as it is told to, one call after the other.
fn call(breaker: &mut Breaker, verdict: Verdict, now: Instant) -> Result<(), Duration> {
    breaker.admit(now).map(|pass| breaker.settle(pass, verdict, now, 0.5))
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..LEAST {
        call(&mut breaker, Verdict::Failed, now).unwrap();
    }
    assert_eq!(breaker.state(now), State::Open);
    breaker
}

#[test]
fn a_few_failures_prove_nothing_and_half_of_enough_calls_do() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for verdict in [Verdict::Failed, Verdict::Answered, Verdict::Failed, Verdict::Answered] {
        call(&mut breaker, verdict, now).unwrap();
    }
    assert_eq!(breaker.state(now), State::Closed);
    call(&mut breaker, Verdict::Failed, now).unwrap();
    assert_eq!(breaker.state(now), State::Open);

    let mut busy = Breaker::default();
    for _ in 0..WINDOW {
        call(&mut busy, Verdict::Answered, now).unwrap();
    }
    for failures in 1..=WINDOW / 2 {
        assert_eq!(busy.state(now), State::Closed, "after {} failures", failures - 1);
        call(&mut busy, Verdict::Failed, now).unwrap();
    }
    assert_eq!(busy.state(now), State::Open);
}

#[test]
fn what_is_long_ago_does_not_count() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 1..LEAST {
        call(&mut breaker, Verdict::Failed, now).unwrap();
    }
    call(&mut breaker, Verdict::Failed, now + MEMORY + Duration::from_millis(1)).unwrap();
    assert_eq!(breaker.state(now + MEMORY), State::Closed);
}

#[test]
fn a_dependency_that_hangs_is_noticed_by_one_request_at_a_time() {
    let mut now = Instant::now();
    let mut breaker = Breaker::default();
    for _ in 0..LEAST {
        now += Duration::from_secs(2);
        call(&mut breaker, Verdict::Failed, now).unwrap();
    }
    assert_eq!(breaker.state(now), State::Open);
}

#[test]
fn probes_are_the_calls_of_one_request_and_the_first_result_closes_or_opens_it() {
    let start = Instant::now();
    let mut breaker = opened(start);
    assert_eq!(breaker.admit(start), Err(OPEN.mul_f64(1.5)));
    let now = start + 2 * OPEN;
    assert_eq!(breaker.state(now), State::HalfOpen);
    let probes: Vec<Pass> = (0..PROBES).map(|_| breaker.admit(now).unwrap()).collect();
    assert_eq!(breaker.admit(now), Err(Duration::ZERO), "as many are under way as may be");
    breaker.settle(probes[0], Verdict::Failed, now, 0.0);
    breaker.settle(probes[1], Verdict::Answered, now, 0.0);
    assert_eq!(breaker.admit(now), Err(OPEN));

    let now = now + OPEN;
    let probe = breaker.admit(now).unwrap();
    breaker.settle(probe, Verdict::Answered, now, 0.0);
    assert_eq!(breaker.state(now), State::Closed);
    call(&mut breaker, Verdict::Failed, now).unwrap();
    assert_eq!(breaker.state(now), State::Closed, "what was before it opened is forgotten");
}

#[test]
fn a_probe_that_nobody_waits_for_makes_room_for_another() {
    let began = Instant::now();
    let mut breaker = opened(began);
    let now = began + 2 * OPEN;
    let probes: Vec<Pass> = (0..PROBES).map(|_| breaker.admit(now).unwrap()).collect();
    breaker.settle(probes[0], Verdict::Unknown, now, 0.9);
    assert!(breaker.admit(now).is_ok() && breaker.admit(now).is_err());
}

#[test]
fn what_was_let_through_before_it_opened_changes_nothing_when_it_comes_back() {
    let start = Instant::now();
    let mut breaker = Breaker::default();
    let late = breaker.admit(start).unwrap();
    for _ in 0..LEAST {
        call(&mut breaker, Verdict::Failed, start).unwrap();
    }
    breaker.settle(late, Verdict::Answered, start, 0.5);
    assert_eq!(breaker.state(start), State::Open);
    let now = start + 2 * OPEN;
    let probe = breaker.admit(now).unwrap();
    breaker.settle(late, Verdict::Answered, now, 0.5);
    assert_eq!(breaker.state(now), State::HalfOpen, "only the probe closes it");
    breaker.settle(probe, Verdict::Answered, now, 0.5);
    assert_eq!(breaker.state(now), State::Closed);
}

/// What the documentation says, computed from everything that ever happened.
#[derive(Default)]
struct Reference {
    /// Of the current closed phase.
    results: Vec<(u64, bool)>,
    open_until: Option<u64>,
    probes: Vec<usize>,
    /// Calls whose result still matters.
    current: Vec<usize>,
}

impl Reference {
    /// Times are milliseconds.
    fn admit(&mut self, call: usize, now: u64) -> bool {
        let admitted = match self.open_until {
            None => true,
            Some(until) => now >= until && self.probes.len() < 25,
        };
        if admitted {
            self.current.push(call);
            if self.open_until.is_some() {
                self.probes.push(call);
            }
        }
        admitted
    }

    fn settle(&mut self, call: usize, verdict: Verdict, now: u64, open_ms: u64) {
        if !self.current.contains(&call) {
            return;
        }
        self.current.retain(|other| *other != call);
        if self.probes.contains(&call) {
            self.probes.retain(|other| *other != call);
            match verdict {
                Verdict::Answered => *self = Self::default(),
                Verdict::Failed => *self = Self { open_until: Some(now + open_ms), ..Self::default() },
                Verdict::Unknown => {}
            }
        } else if verdict != Verdict::Unknown {
            self.results.push((now, verdict == Verdict::Failed));
            let latest: Vec<_> = self.results.iter().rev().take(20).filter(|(ended, _)| now - ended <= 10_000).collect();
            let failed = latest.iter().filter(|(_, failed)| *failed).count();
            if latest.len() >= 5 && failed * 2 >= latest.len() {
                *self = Self { open_until: Some(now + open_ms), ..Self::default() };
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Begin,
    End { which: usize, verdict: Verdict, dice: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![4 => Just(Verdict::Failed), 3 => Just(Verdict::Answered), 1 => Just(Verdict::Unknown)];
    prop_oneof![
        2 => (0..1500_u64).prop_map(Step::Wait),
        6 => Just(Step::Begin),
        5 => (0..1000_usize, verdict, 0..1000_u32).prop_map(|(which, verdict, dice)| Step::End { which, verdict, dice }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_does_what_the_documentation_says(steps in proptest::collection::vec(step(), 1..400)) {
        let start = Instant::now();
        let (mut breaker, mut reference) = (Breaker::default(), Reference::default());
        let (mut now, mut calls) = (0, 0);
        let mut under_way = Vec::new();
        for step in steps {
            let at = start + Duration::from_millis(now);
            match step {
                Step::Wait(millis) => now += millis,
                Step::Begin => {
                    calls += 1;
                    let admitted = breaker.admit(at);
                    prop_assert_eq!(admitted.is_ok(), reference.admit(calls, now));
                    under_way.extend(admitted.ok().map(|pass| (calls, pass)));
                }
                Step::End { which, verdict, dice } if !under_way.is_empty() => {
                    let (call, pass) = under_way.remove(which % under_way.len());
                    breaker.settle(pass, verdict, at, f64::from(dice) / 1000.0);
                    reference.settle(call, verdict, now, 1000 + u64::from(dice));
                }
                Step::End { .. } => {}
            }
        }
    }
}
