//! Which passwords are guessed first: what attackers' lists are made of (NIST SP 800-63B §5.1.1.2 asks for such a check).
//!
//! Lists of breached passwords are a few hundred words with some digits before or behind them, letters written as digits, rows of the
//! keyboard, and repetitions. So this is told by rule: `common_words.txt`, put together by hand for this project, holds the words, and
//! the rest follows. What somebody thinks of only for us is theirs to choose: no rule asks for digits or capitals.

use std::{collections::HashSet, sync::LazyLock};

static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_words.txt").lines().collect());

/// What lies side by side on keyboards or in the alphabet, in either direction.
const ROWS: [&str; 11] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
];

/// Shorter numbers are dates, telephone numbers, and what is soon counted through.
const LONG_NUMBER: usize = 12;

/// Whether a password is one of those that are guessed first.
pub(super) fn is_common(password: &str) -> bool {
    let plain: String = password.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    // Of signs alone: nothing is left to judge, unless it is one sign over and over.
    if plain.is_empty() {
        return is_repetition(&password.chars().collect::<Vec<_>>());
    }
    let characters: Vec<char> = plain.chars().collect();
    let is_short_number = characters.len() < LONG_NUMBER && plain.bytes().all(|byte| byte.is_ascii_digit());
    is_short_number || is_word(password) || is_repetition(&characters) || is_along_the_rows(&characters)
}

/// Whether a password is little else than one of the names that anybody can see or guess of its owner.
pub(super) fn is_personal(password: &str, names: &[&str]) -> bool {
    const LITTLE: usize = 6;
    let plain = letters_and_digits(password);
    names.iter().map(|name| letters_and_digits(name)).filter(|name| name.chars().count() >= 3).any(|name| {
        let rest = plain.replace(&name, "");
        rest.len() < plain.len() && rest.chars().count() < LITTLE
    })
}

fn letters_and_digits(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// A word of the list, with digits or signs before and behind it, or in the place of letters.
fn is_word(password: &str) -> bool {
    let lower = password.to_lowercase();
    let bare = |c: char| !c.is_alphabetic();
    // `1loveyou`, `p@ssw0rd1`: a sign at an end is a letter or an ornament.
    let forms = [lower.as_str(), lower.trim_end_matches(bare), lower.trim_start_matches(bare), lower.trim_matches(bare)];
    forms.iter().any(|form| ['i', 'l'].into_iter().any(|one| WORDS.contains(unmasked(form, one).as_str())))
}

/// Letters that are written as digits or signs, as letters again; what is left of digits and signs is dropped.
fn unmasked(text: &str, one: char) -> String {
    let letter = |c: char| match c {
        '0' => Some('o'),
        '1' | '!' | '|' => Some(one),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' => Some('t'),
        '8' => Some('b'),
        c => c.is_alphabetic().then_some(c),
    };
    text.chars().filter_map(letter).collect()
}

/// The same few characters over and over, or a common word twice.
fn is_repetition(characters: &[char]) -> bool {
    const SHORT: usize = 4;
    let length = characters.len();
    let repeats = |block: &usize| characters.iter().enumerate().all(|(at, c)| *c == characters[at % block]);
    (1..=length / 2).filter(repeats).any(|block| block <= SHORT || is_word(&characters[..block].iter().collect::<String>()))
}

/// Hardly anything but pieces of rows.
fn is_along_the_rows(characters: &[char]) -> bool {
    const SHORTEST_PIECE: usize = 3;
    const MOST_ELSE: usize = 2;
    let (mut at, mut elsewhere) = (0, 0);
    while at < characters.len() {
        let piece = (SHORTEST_PIECE..=characters.len() - at).rev().find(|length| is_piece(&characters[at..at + length]));
        at += piece.unwrap_or(1);
        elsewhere += usize::from(piece.is_none());
    }
    elsewhere <= MOST_ELSE
}

fn is_piece(characters: &[char]) -> bool {
    let there: String = characters.iter().collect();
    let back: String = characters.iter().rev().collect();
    ROWS.iter().any(|row| row.contains(&there) || row.contains(&back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_leads_every_list_of_breached_passwords_is_refused() {
        for password in [
            "password",
            "password1",
            "password123",
            "Password1!",
            "P@ssw0rd",
            "p4ssw0rd",
            "passw0rd!",
            "pa$$word",
            "12345678",
            "123456789",
            "1234567890",
            "87654321",
            "0987654321",
            "11111111",
            "00000000",
            "11223344",
            "12341234",
            "19900101",
            "qwerty123",
            "qwertyuiop",
            "1q2w3e4r",
            "1qaz2wsx",
            "qazwsxedc",
            "zxcvbnm1",
            "asdfghjkl",
            "asdfasdf",
            "azerty123",
            "qwertz12",
            "abcd1234",
            "abc12345",
            "abcabcabc",
            "aaaaaaaa",
            "abababab",
            "iloveyou",
            "1loveyou",
            "iloveyou2",
            "sunshine",
            "princess1",
            "football",
            "baseball1",
            "welcome1",
            "Welcome2024!",
            "letmein1",
            "trustno1",
            "superman",
            "batman123",
            "starwars",
            "dragon12",
            "monkey123",
            "michael1",
            "jennifer",
            "charlie1",
            "liverpool1",
            "computer",
            "internet",
            "corvette",
            "mercedes",
            "whatever",
            "Summer2023",
            "winter2024!",
            "changeme",
            "changeme123",
            "admin123",
            "administrator",
            "test1234",
            "testtest",
            "passpass",
            "lovelove",
            "!!!!!!!!",
            "........",
            "minecraft1",
            "pokemon123",
            "tintype1",
        ] {
            if password.chars().count() >= 8 {
                assert!(is_common(password), "{password}");
            }
        }
    }

    #[test]
    fn what_somebody_thought_of_is_taken() {
        for password in [
            "correct horse battery",
            "correct horse battery staple",
            "not the password",
            "another one 4 me",
            "Tr0ub4dor&3",
            "xkcd is fun",
            "kX9#mPq2",
            "v8Jq2LmZ",
            "ilikemydogverymuch",
            "blau wie die see",
            "пароль от почты",
            "ひらがなのことば",
            "314159265358979",
            "sunshine over the hills",
            "my voice is my passport",
        ] {
            assert!(!is_common(password), "{password}");
        }
    }

    #[test]
    fn what_anybody_can_see_of_a_person_is_no_password() {
        let names = ["ada.lovelace", "countess", "tintype"];
        for password in ["ada.lovelace", "AdaLovelace1", "countess1815", "1countess", "tintype2026", "Countess!!"] {
            assert!(is_personal(password, &names), "{password}");
        }
        for password in ["countess of somewhere", "analytical engine", "lovelace and babbage"] {
            assert!(!is_personal(password, &names), "{password}");
        }
        assert!(!is_personal("whatever it is", &["", "a", "."]));
    }

    #[test]
    fn the_words_are_in_lower_case_each_once_and_in_order() {
        let lines: Vec<&str> = include_str!("common_words.txt").lines().collect();
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(lines.iter().all(|word| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    proptest! {
        #[test]
        fn any_text_can_be_judged(text in any::<String>(), name in any::<String>()) {
            let _ = (is_common(&text), is_personal(&text, &[&name]));
        }

        #[test]
        fn a_random_password_is_taken(text in "[a-zA-Z0-9]{16}") {
            prop_assert!(!is_common(&text));
        }

        #[test]
        fn a_common_word_stays_one_behind_digits(index in any::<prop::sample::Index>(), digits in "[0-9]{1,4}[!.]{0,2}") {
            let words: Vec<&str> = include_str!("common_words.txt").lines().collect();
            let password = [index.get(&words), digits.as_str()].concat();
            prop_assert!(is_common(&password));
        }
    }
}
