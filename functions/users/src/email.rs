//! E-mail addresses, as far as a program can judge them: whether one is somebody's, only a letter to it can tell.

use std::str::FromStr;

use thiserror::Error;
use tintype_core::text;

/// An address in lower case, composed (NFC): one person's ways to write it are one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

/// A text that is no address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be an e-mail address of at most 254 bytes")]
pub(crate) struct NotAnAddress;

impl Email {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = NotAnAddress;

    fn from_str(written: &str) -> Result<Self, NotAnAddress> {
        let address = text::tidy(&text::tidy(written).to_lowercase());
        let (local, domain) = address.split_once('@').ok_or(NotAnAddress)?;
        // RFC 5321 §4.5.3.1: 64 bytes before the @, and 254 in all that a letter can be sent to.
        let fits = (1..=64).contains(&local.len()) && !domain.is_empty() && address.len() <= 254;
        // Marks of direction can't be seen: two addresses would look alike.
        let strange = |c: char| c == '@' || c.is_whitespace() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}');
        if !fits || address.matches(strange).count() != 1 || text::has_forbidden_characters(&address, false) {
            return Err(NotAnAddress);
        }
        Ok(Self(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_itself_when_it_is_read_again(text in any::<String>()) {
            if let Ok(email) = text.parse::<Email>() {
                let again = email.as_str().parse::<Email>();
                prop_assert_eq!(again, Ok(email));
            }
        }

        // Of any letters that have a lower case, also of more than one byte, and composed or not.
        #[test]
        fn one_address_is_one_in_any_case_and_composition(local in "[A-Za-z0-9._+ÄÖÜéèñΑ-Ωа-яA\u{30a}]{1,12}", domain in "[A-Za-z0-9-]{1,12}\\.[a-z]{2,5}") {
            use unicode_normalization::UnicodeNormalization;
            let written = format!("{local}@{domain}");
            let email = written.parse::<Email>().unwrap();
            for other in [written.to_lowercase(), written.nfd().collect(), written.nfc().collect(), format!("  {written}\t")] {
                let parsed = other.parse::<Email>();
                prop_assert_eq!(parsed, Ok(email.clone()), "{}", other);
            }
            prop_assert!(!email.as_str().chars().any(char::is_uppercase));
        }

        #[test]
        fn two_addresses_that_differ_in_more_than_case_stay_two(one in "[a-z0-9]{1,8}", other in "[a-z0-9]{1,8}") {
            let email = |local: &str| format!("{local}@example.org").parse::<Email>().unwrap();
            prop_assert_eq!(email(&one) == email(&other), one == other);
        }

        #[test]
        fn what_is_taken_can_stand_in_a_key_and_in_a_letter(local in ".{0,70}", domain in ".{0,260}") {
            if let Ok(email) = format!("{local}@{domain}").parse::<Email>() {
                let text = email.as_str();
                prop_assert!(text.len() <= 254 && text.matches('@').count() == 1);
                prop_assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }

    #[test]
    fn one_address_is_one_however_it_is_written() {
        let address: Email = " Ada.Lovelace@Example.ORG ".parse().unwrap();
        assert_eq!(address.as_str(), "ada.lovelace@example.org");
        assert_eq!("JOSE\u{301}@example.org".parse::<Email>(), "jos\u{e9}@example.org".parse());
    }

    #[test]
    fn what_no_letter_can_be_sent_to_is_refused() {
        let long = format!("{}@{}.org", "a".repeat(64), "b".repeat(186));
        assert_eq!(long.len(), 255);
        let long_local = format!("{}@example.org", "a".repeat(65));
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@b@c",
            "ada lovelace@example.org",
            "ada\u{0}@example.org",
            "ada@exa\u{202e}mple.org",
            "ada\u{200e}@example.org",
            &long,
            &long_local,
        ] {
            assert_eq!(text.parse::<Email>(), Err(NotAnAddress), "{text}");
        }
        assert!(long[1..].parse::<Email>().is_ok());
    }
}
