//! What `--chaos` says: `target:fault=value[,fault=value...]`, several joined by `;`, and `seed=N` among them.

use std::{collections::BTreeMap, fmt};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The service answers that something went wrong inside, and has done nothing; a function fails.
    Error,
    /// Every answer waits so many milliseconds.
    DelayMs,
    /// The service has had too many requests, and has done nothing.
    Throttle,
    /// Some entries of a batch are not done, and the answer says which.
    Unprocessed,
    /// A message, notification, batch of records or event is delivered twice.
    Duplicate,
    /// What is delivered is not in the order in which it came: of a stream, not beyond what belongs to one key.
    Reorder,
    /// It was done, and the answer does not arrive.
    LostAnswer,
    /// The worker is killed in the middle.
    Kill,
    /// Another transaction is at work on the same items.
    Conflict,
    /// Reads that do not ask for consistency answer what was so many milliseconds ago.
    StaleMs,
}

use Fault::{Conflict, DelayMs, Duplicate, Error, Kill, LostAnswer, Reorder, StaleMs, Throttle, Unprocessed};

/// The services, and what can go wrong with each.
const SERVICES: [(&str, &[Fault]); 4] = [
    ("dynamodb", &[Error, DelayMs, Throttle, Unprocessed, LostAnswer, Conflict, StaleMs]),
    ("s3", &[Error, DelayMs, Throttle, Duplicate, Reorder, LostAnswer]),
    ("sqs", &[Error, DelayMs, Throttle, Unprocessed, Duplicate, Reorder, LostAnswer]),
    ("streams", &[Error, DelayMs, Throttle, Duplicate, Reorder]),
];

/// What can go wrong with one table: what is `dynamodb`'s, but that the replica is one of all tables.
const TABLE: &[Fault] = &[Error, DelayMs, Throttle, Unprocessed, LostAnswer, Conflict];

/// What can go wrong with a function. Events that may come twice are those of queues, streams, buckets and schedules.
const FUNCTION: &[Fault] = &[Error, DelayMs, Throttle, Duplicate, LostAnswer, Kill];

/// An hour: longer delays are a slip.
const LONGEST_MS: f64 = 3_600_000.0;

impl Fault {
    const ALL: [Self; 10] = [Error, DelayMs, Throttle, Unprocessed, Duplicate, Reorder, LostAnswer, Kill, Conflict, StaleMs];

    fn name(self) -> &'static str {
        match self {
            Error => "error",
            DelayMs => "delay_ms",
            Throttle => "throttle",
            Unprocessed => "unprocessed",
            Duplicate => "duplicate",
            Reorder => "reorder",
            LostAnswer => "lost_answer",
            Kill => "kill",
            Conflict => "conflict",
            StaleMs => "stale_ms",
        }
    }

    fn is_time(self) -> bool {
        matches!(self, DelayMs | StaleMs)
    }
}

/// Why a specification is refused. Displays as one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("chaos: {0}")]
pub struct SpecError(String);

/// Which throw of a fault's dice.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Throw {
    /// Whether it strikes the n-th time.
    Strike(u64),
    /// The n-th choice.
    Choice(u64),
    /// The n-th choice of a turn.
    ChoiceOf { turn: u64, nth: u64 },
}

/// FNV-1a with 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): written out, so that a seed means the same with
/// every toolchain.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn write_numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.write(&number.to_le_bytes());
        }
    }

    /// Every bit from every bit, as the finalizer of `SplitMix64` does it (Steele, Lea and Flood, "Fast Splittable
    /// Pseudorandom Number Generators", 2014): FNV's upper bits know little of the last bytes.
    fn mixed(self) -> u64 {
        let once = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        twice ^ (twice >> 31)
    }
}

/// A specification that was read.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    values: BTreeMap<(String, Fault), f64>,
    seed: u64,
}

impl Spec {
    pub(crate) fn parse(text: &str, functions: &[String], tables: &[String]) -> Result<Self, SpecError> {
        let mut values = BTreeMap::new();
        let mut seed = None;
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(number) = part.strip_prefix("seed=") {
                let number = number.parse().map_err(|_| refused(format!("`{part}`: a seed is a whole number")))?;
                if seed.replace(number).is_some() {
                    return Err(refused("there are two seeds".to_owned()));
                }
                continue;
            }
            let (target, faults) =
                part.split_once(':').ok_or_else(|| refused(format!("`{part}` is not `target:fault=value`, nor `seed=N`")))?;
            let known = faults_of(target.trim(), functions, tables)?;
            for given in faults.split(',') {
                let (fault, value) = fault(given.trim(), target.trim(), known)?;
                if values.insert((target.trim().to_owned(), fault), value).is_some() {
                    return Err(refused(format!("{target} has two values for {}", fault.name())));
                }
            }
        }
        // Small enough to be copied from a terminal.
        Ok(Self { values, seed: seed.unwrap_or_else(|| fastrand::u32(..).into()) })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn faults(&self) -> impl Iterator<Item = (String, Fault)> {
        self.values.keys().cloned()
    }

    pub(crate) fn value(&self, fault: &(String, Fault)) -> Option<f64> {
        self.values.get(fault).copied()
    }

    /// What decides a fault, or what it does: 64 bits that follow from the seed and from which throw this is.
    pub(crate) fn dice(&self, (target, fault): &(String, Fault), throw: Throw) -> u64 {
        let mut hash = Fnv::default();
        hash.write(&self.seed.to_le_bytes());
        for name in [target, fault.name()] {
            hash.write(name.as_bytes());
            // No name has this byte.
            hash.write(&[0xff]);
        }
        match throw {
            Throw::Strike(nth) => hash.write_numbers(&[0, nth]),
            Throw::Choice(nth) => hash.write_numbers(&[1, nth]),
            Throw::ChoiceOf { turn, nth } => hash.write_numbers(&[2, turn, nth]),
        }
        hash.mixed()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((target, fault), value) in &self.values {
            match last.replace(target) {
                Some(last) if last == target => f.write_str(",")?,
                Some(_) => write!(f, ";{target}:")?,
                None => write!(f, "{target}:")?,
            }
            write!(f, "{}={value}", fault.name())?;
        }
        write!(f, ";seed={}", self.seed)
    }
}

fn refused(why: String) -> SpecError {
    SpecError(why)
}

fn faults_of(target: &str, functions: &[String], tables: &[String]) -> Result<&'static [Fault], SpecError> {
    if let Some((_, faults)) = SERVICES.iter().find(|(service, _)| *service == target) {
        return Ok(faults);
    }
    if functions.iter().any(|function| function == target) {
        return Ok(FUNCTION);
    }
    if tables.iter().any(|table| table == target) {
        return Ok(TABLE);
    }
    let services = SERVICES.map(|(service, _)| service).join(", ");
    let tables = if tables.is_empty() { String::new() } else { format!(", and the tables {}", tables.join(", ")) };
    Err(refused(format!("there is no `{target}`; there are {services} and the functions {}{tables}", functions.join(", "))))
}

fn fault(given: &str, target: &str, known: &[Fault]) -> Result<(Fault, f64), SpecError> {
    let (name, value) = given.split_once('=').ok_or_else(|| refused(format!("`{given}` of {target} is not `fault=value`")))?;
    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name && known.contains(fault)).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|fault| fault.name()).collect();
        refused(format!("{target} has no fault `{name}`; it has {}", known.join(", ")))
    })?;
    let (most, what) = if fault.is_time() { (LONGEST_MS, "milliseconds up to an hour") } else { (1.0, "a probability from 0 to 1") };
    let value: f64 = value
        .parse()
        .ok()
        .filter(|value| (0.0..=most).contains(value))
        .ok_or_else(|| refused(format!("`{given}` of {target}: the value is {what}")))?;
    Ok((fault, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spec, SpecError> {
        Spec::parse(text, &["notifications".to_owned()], &[])
    }

    #[test]
    fn specifications_are_read() {
        let spec = parse("notifications:error=1.0; dynamodb:throttle=0.1,delay_ms=50 ;seed=7").unwrap();
        assert_eq!(spec.to_string(), "dynamodb:delay_ms=50,throttle=0.1;notifications:error=1;seed=7");
        assert!(parse(" ; ").unwrap().is_empty());
        assert!(parse("seed=7").unwrap().is_empty());
    }

    #[test]
    fn the_hash_is_the_published_one() {
        let hash = |text: &str| {
            let mut hash = Fnv::default();
            hash.write(text.as_bytes());
            hash.0
        };
        assert_eq!([hash(""), hash("a"), hash("foobar")], [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]);
    }

    /// Whoever has noted a seed finds the same failure again.
    #[test]
    fn a_seed_means_the_same_next_year() {
        let spec = parse("s3:error=1;seed=7").unwrap();
        let dice = |throw| spec.dice(&("s3".to_owned(), Error), throw);
        assert_eq!(
            [Throw::Strike(0), Throw::Strike(1), Throw::Choice(1), Throw::ChoiceOf { turn: 1, nth: 0 }].map(dice),
            [0x7da3_051b_c85f_d9ac, 0x6c5d_0500_05c2_4f31, 0x61c4_98aa_c885_01f2, 0x25d9_273f_ee4d_6a60]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (wrong, reason) in [
            ("error=1", "`error=1` is not `target:fault=value`, nor `seed=N`"),
            ("posts:error=1", "there is no `posts`; there are dynamodb, s3, sqs, streams and the functions notifications"),
            ("s3:conflict=1", "s3 has no fault `conflict`; it has error, delay_ms, throttle, duplicate, reorder, lost_answer"),
            ("s3:error", "`error` of s3 is not `fault=value`"),
            ("s3:", "`` of s3 is not `fault=value`"),
            ("s3:error=1.1", "`error=1.1` of s3: the value is a probability from 0 to 1"),
            ("s3:error=NaN", "`error=NaN` of s3: the value is a probability from 0 to 1"),
            ("s3:delay_ms=-1", "`delay_ms=-1` of s3: the value is milliseconds up to an hour"),
            ("s3:error=1,error=0", "s3 has two values for error"),
            ("s3:error=1;s3:error=0", "s3 has two values for error"),
            ("seed=1;seed=2", "there are two seeds"),
            ("seed=x", "`seed=x`: a seed is a whole number"),
        ] {
            assert_eq!(parse(wrong).unwrap_err(), SpecError(reason.to_owned()), "{wrong}");
        }
    }
}
