//! Codes from a shared secret and the time: RFC 6238 with SHA-1, 30 seconds and 6 digits, which is what every authenticator app does.
//! SHA-1's broken collision resistance is no matter here: HMAC does not rest on it.

use aws_lc_rs::{constant_time::verify_slices_are_equal, error::Unspecified, hmac};
use tintype_core::{Time, name::Username};

const PERIOD: u64 = 30;
/// RFC 4226 §4 asks for 160 bits.
const BYTES: usize = 20;
/// How many steps a telephone's clock may be off, in either direction (RFC 6238 §5.2).
const DRIFT: u64 = 1;

/// A secret that an app shares with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; BYTES]);

impl Secret {
    /// A fresh one.
    pub(crate) fn new() -> Result<Self, Unspecified> {
        super::random().map(Self)
    }

    pub(crate) fn to_base32(&self) -> String {
        base32(&self.0)
    }

    pub(crate) fn from_base32(text: &str) -> Option<Self> {
        from_base32(text)?.try_into().ok().map(Self)
    }

    /// The address that an app scans (Google's "key URI format"). A username has no character that an address would need escaped.
    pub(crate) fn uri(&self, username: &Username) -> String {
        format!("otpauth://totp/Tintype:{username}?secret={}&issuer=Tintype&algorithm=SHA1&digits=6&period={PERIOD}", self.to_base32())
    }

    /// The step whose code was typed, if it is one of now, and later than the last one that was used: each is good once.
    pub(crate) fn step_of(&self, typed: &str, now: Time, last_used: Option<u64>) -> Option<u64> {
        let typed: Vec<u8> = typed.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let this = u64::try_from(now.as_seconds()).ok()? / PERIOD;
        let steps = this.saturating_sub(DRIFT)..=this + DRIFT;
        // All are looked at, whichever is right.
        let right = steps.filter(|step| verify_slices_are_equal(self.code(*step).as_bytes(), &typed).is_ok());
        right.filter(|step| last_used.is_none_or(|last| *step > last)).max()
    }

    /// The code of a step (RFC 4226 §5.3).
    pub(crate) fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[tag.len() - 1] & 0xf);
        let number = tag[offset..offset + 4].iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648 §6 without padding: our lengths are multiples of 5 bytes.
pub(super) fn base32(bytes: &[u8]) -> String {
    let bits = |chunk: &[u8]| chunk.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letter = |bits: u64, place: u64| char::from(ALPHABET[usize::try_from(bits >> (5 * place) & 31).expect("it is less than 32")]);
    bytes.chunks_exact(5).flat_map(|chunk| (0..8).rev().map(move |place| letter(bits(chunk), place))).collect()
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let value = |letter: u8| ALPHABET.iter().position(|other| *other == letter).and_then(|value| u64::try_from(value).ok());
    let mut bytes = Vec::with_capacity(text.len() / 8 * 5);
    for chunk in text.as_bytes().chunks(8) {
        if chunk.len() < 8 {
            return None;
        }
        let bits = chunk.iter().try_fold(0u64, |bits, letter| Some(bits << 5 | value(*letter)?))?;
        bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The secret of the RFCs' examples.
    fn example() -> Secret {
        Secret(*b"12345678901234567890")
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds).unwrap()
    }

    // RFC 4226 appendix D.
    #[test]
    fn codes_are_those_of_rfc_4226() {
        let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(example().code(step), code);
        }
    }

    // RFC 6238 appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(example().step_of(code, at(seconds), None), Some(u64::try_from(seconds).unwrap() / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_in_its_step_and_in_those_beside_it() {
        let code = example().code(100);
        let good: Vec<i64> = (97..=103).filter(|step| example().step_of(&code, at(step * 30 + 7), None) == Some(100)).collect();
        assert_eq!(good, [99, 100, 101]);
    }

    #[test]
    fn a_code_is_good_once_and_none_before_it_is_good_again() {
        let secret = example();
        let now = at(100 * 30);
        assert_eq!(secret.step_of(&secret.code(100), now, Some(99)), Some(100));
        for used in [100, 101] {
            assert_eq!(secret.step_of(&secret.code(100), now, Some(used)), None);
        }
        assert_eq!(secret.step_of(&secret.code(101), now, Some(100)), Some(101));
    }

    #[test]
    fn a_code_may_have_a_space_in_the_middle_and_nothing_else() {
        let secret = Secret(*b"12345678901234567890");
        assert_eq!(secret.step_of("287 082", at(59), None), Some(1));
        for typed in ["", "28708", "2870820", "-287082", "287083", "２８７０８２"] {
            assert_eq!(secret.step_of(typed, at(59), None), None, "{typed}");
        }
    }

    #[test]
    fn an_app_is_told_all_that_it_must_know() {
        assert_eq!(
            example().uri(&"ada".parse().unwrap()),
            "otpauth://totp/Tintype:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tintype&algorithm=SHA1&digits=6&period=30"
        );
    }

    // RFC 4648 §10, those of whole groups.
    #[test]
    fn base_32_is_that_of_rfc_4648() {
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
        assert_eq!(from_base32("MZXW6YTB").unwrap(), b"fooba");
        for text in ["MZXW6YT", "mzxw6ytb", "MZXW6YT1", "MZXW6YT="] {
            assert_eq!(from_base32(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_that_is_written_down_is_the_same(bytes in any::<[u8; BYTES]>()) {
            let secret = Secret(bytes);
            prop_assert_eq!(Secret::from_base32(&secret.to_base32()), Some(secret));
        }
    }
}
