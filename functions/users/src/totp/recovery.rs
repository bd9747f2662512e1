//! Recovery codes. Each has 80 random bits: nobody counts through them, so a plain hash keeps them, and no key that would be lost when
//! keys are rotated.

use aws_lc_rs::{
    digest::{SHA256, digest},
    error::Unspecified,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::code::base32;

const COUNT: usize = 10;

/// Fresh codes, as a person writes them down: `abcd-efgh-ijkl-mnop`.
pub(crate) fn generate() -> Result<Vec<String>, Unspecified> {
    let code = |bytes: [u8; 10]| {
        let letters = base32(&bytes).to_lowercase();
        format!("{}-{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..12], &letters[12..])
    };
    (0..COUNT).map(|_| super::random().map(code)).collect()
}

/// What is kept of a code, however it is typed.
pub(crate) fn hash(typed: &str) -> String {
    let letters: String = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    URL_SAFE_NO_PAD.encode(digest(&SHA256, letters.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_ten_codes_and_no_two_alike() {
        let codes = generate().unwrap();
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), COUNT);
        assert!(codes.iter().all(|code| code.len() == 19 && code.split('-').all(|group| group.len() == 4)), "{codes:?}");
    }

    #[test]
    fn a_code_is_the_same_however_it_is_typed_and_no_other_is() {
        let same = ["abcd-efgh-ijkl-mno2", "ABCD EFGH IJKL MNO2", "abcdefghijklmno2", " abcd-efgh ijklmno2\n"].map(hash);
        assert!(same.iter().all(|hash| *hash == same[0]));
        assert_ne!(hash("abcd-efgh-ijkl-mno3"), same[0]);
    }
}
