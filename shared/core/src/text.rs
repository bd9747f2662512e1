//! What people write: what is allowed in it, and what is found in it.

mod hidden;

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use crate::name::Username;

pub use hidden::has_hidden_characters;

/// Composed (NFC) and trimmed, with line breaks as Unix has them: Windows and form fields write CR LF, old Macs CR, mainframes NEL, and
/// Unicode has two of its own.
pub fn tidy(text: &str) -> String {
    text.trim().replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n").nfc().collect()
}

/// [`tidy`], and with one plain space wherever there is space within a line, however wide: a second one shows as little as none.
pub fn tidy_name(name: &str) -> String {
    let mut tidied = String::with_capacity(name.len());
    for c in tidy(name).chars() {
        match c {
            c if !c.is_whitespace() || c.is_control() => tidied.push(c),
            _ if tidied.ends_with(' ') => {}
            _ => tidied.push(' '),
        }
    }
    tidied
}

/// Whether a text that is [`tidy_name`] can be a name: on one line, with something to see in it, and nothing in it that can't be seen, so
/// that no two names differ without showing it.
pub fn is_plain_name(name: &str) -> bool {
    !is_blank(name) && !has_forbidden_characters(name, false) && !has_hidden_characters(name)
}

/// Whether a text has nothing in it that can be seen.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || hidden::is_ignorable(c))
}

/// Whether a text holds a control character, or one that turns the direction of what follows: embeddings, overrides and isolates
/// (Trojan Source, CVE-2021-42574). The marks U+200E, U+200F and U+061C turn nothing, and Arabic and Hebrew are written with them.
/// Line breaks and tabs are allowed where `multiline`.
pub fn has_forbidden_characters(text: &str, multiline: bool) -> bool {
    text.chars().any(|c| match c {
        '\n' | '\t' => !multiline,
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    })
}

/// The hashtags of a text without `#`, lower-cased, each once, in order: runs of letters, digits and `_` that are not digits alone.
pub fn hashtags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for (_, word) in marked_words(text, '#', |c| c.is_alphanumeric() || c == '_') {
        let tag = word.to_lowercase();
        let only_digits = tag.chars().all(char::is_numeric);
        if !only_digits && tag.chars().count() <= 100 && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// The usernames that a text mentions with `@`, each once, in order. Whether they exist is another question.
pub fn mentions(text: &str) -> Vec<Username> {
    let mut names = Vec::new();
    for (_, name) in places_of_mentions(text) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Where a text mentions whom, in bytes and in order; a place begins with the `@`.
pub fn places_of_mentions(text: &str) -> impl Iterator<Item = (Range<usize>, Username)> {
    marked_words(text, '@', |c| c.is_ascii_alphanumeric() || c == '.' || c == '_').filter_map(|(at, word)| {
        // A full stop after a name ends the sentence, not the name.
        let word = word.trim_end_matches('.');
        Some((at..at + 1 + word.len(), word.parse().ok()?))
    })
}

/// The runs of `part` characters after a `mark` that starts a word (`a@b.c` is an address, not a mention), and where the marks are.
fn marked_words(text: &str, mark: char, part: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices(mark).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == mark) {
            return None;
        }
        let rest = &text[at + mark.len_utf8()..];
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        (end > 0).then(|| (at, &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::is_nfc;

    #[test]
    fn hashtags_are_folded_unique_and_not_numbers() {
        assert_eq!(hashtags("#Sun #sun, #café_1 (#東京)! #123 ##double a#b"), ["sun", "café_1", "東京"]);
    }

    #[test]
    fn mentions_end_before_a_full_stop_and_addresses_are_none() {
        let found: Vec<String> = mentions("hi @Ada. and @bob_2, ada@example.org @x").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["ada", "bob_2"]);
    }

    #[test]
    fn direction_overrides_and_controls_are_forbidden() {
        assert!(has_forbidden_characters("a\u{202E}b", true));
        assert!(has_forbidden_characters("a\u{0}b", true));
        assert!(has_forbidden_characters("a\nb", false));
        assert!(has_forbidden_characters("a\u{2066}b", true));
        assert!(!has_forbidden_characters("a\nb 👩‍👩‍👧 עברית", true));
    }

    #[test]
    fn marks_of_direction_are_ordinary_in_arabic_and_hebrew() {
        assert!(!has_forbidden_characters("עברית\u{200E}! \u{200F}(עברית) العربية\u{061C}", false));
    }

    #[test]
    fn every_systems_line_breaks_are_one() {
        assert_eq!(tidy("\r\none\r\ntwo\rthree\n\r\nfour\r"), "one\ntwo\nthree\n\nfour");
        assert_eq!(tidy("one\u{2028}two\u{2029}three\u{85}four\u{2028}"), "one\ntwo\nthree\nfour");
        for broken in ["a\r\nb", "a\u{2028}b", "a\u{85}b"] {
            assert!(has_forbidden_characters(&tidy(broken), false), "{broken:?}");
        }
    }

    #[test]
    fn a_name_is_on_one_line_and_has_something_to_see_in_it() {
        for name in ["Ada", "Ада", "عبد الله", "神", "👩‍👩‍👧", "7", "O\u{2019}Neill", "-"] {
            assert!(is_plain_name(&tidy_name(name)), "{name}");
        }
        for name in
            ["", " ", "\u{3000}", "\u{3164}", "\u{2800}", "\u{200B}", "\u{200E}", "a\nb", "a\tb", "a\u{7}b", "a\u{202E}b", "a\u{2067}b"]
        {
            assert!(!is_plain_name(&tidy_name(name)), "{name:?}");
        }
    }

    #[test]
    fn names_that_differ_in_nothing_but_space_or_composition_are_the_same() {
        for name in ["Ada\u{A0}L\u{E9}a", " Ada  Le\u{301}a ", "Ada\u{2003}\u{2003}L\u{E9}a", "Ada\u{3000}Le\u{301}a\u{2009}"] {
            assert_eq!(tidy_name(name), "Ada L\u{E9}a", "{name:?}");
        }
    }

    /// What people write, and what they should not.
    fn nasty() -> impl Strategy<Value = String> {
        const PARTS: [&str; 32] = [
            "\u{200B}",
            "\u{200D}",
            "\u{FE0F}",
            "\u{AD}",
            "\u{202E}",
            "\u{2066}",
            "\u{3164}",
            "\u{E0041}",
            "\u{200E}",
            "\u{FEFF}",
            " ",
            "\n",
            "\r\n",
            "\r",
            "\t",
            "\u{A0}",
            "\u{2028}",
            "\u{85}",
            "\u{3000}",
            "\0",
            "a",
            "e\u{301}",
            "\u{1100}\u{1161}",
            "ب",
            "क\u{94D}",
            "👩",
            "\u{212B}",
            "\u{0344}",
            "1\u{20E3}",
            "©",
            "神",
            "א",
        ];
        let part = prop::sample::select(&PARTS[..]);
        prop_oneof![prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat()), any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            let _ = (hashtags(&text), mentions(&text), has_forbidden_characters(&text, true));
        }

        #[test]
        fn what_is_tidy_stays_as_it_is(text in nasty()) {
            prop_assert_eq!(tidy(&tidy(&text)), tidy(&text));
            prop_assert_eq!(tidy_name(&tidy_name(&text)), tidy_name(&text));
            prop_assert_eq!(tidy(&tidy_name(&text)), tidy_name(&text));
        }

        #[test]
        fn whatever_is_taken_is_composed_and_has_no_character_that_is_forbidden(text in nasty()) {
            let (text, name) = (tidy(&text), tidy_name(&text));
            prop_assert!(is_nfc(&text) && is_nfc(&name));
            let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            if !has_forbidden_characters(&text, true) {
                prop_assert!(!text.chars().any(|c| turns(c) || (c.is_control() && c != '\n' && c != '\t')), "{:?}", text);
            }
            if is_plain_name(&name) {
                let breaks = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
                prop_assert!(!name.chars().any(|c| turns(c) || breaks(c)) && name.trim() == name && !name.contains("  "), "{:?}", name);
                prop_assert!(!name.contains(['\u{200B}', '\u{AD}', '\u{3164}', '\u{FEFF}']), "{:?}", name);
            }
        }

        #[test]
        fn a_hidden_character_in_a_latin_name_is_found_wherever_it_stands(name in "[A-Za-z]{1,8}", at in any::<prop::sample::Index>()) {
            for hidden in "\u{200B}\u{200C}\u{200D}\u{200E}\u{200F}\u{61C}\u{2060}\u{FEFF}\u{AD}\u{34F}\u{FE0F}\u{3164}\u{E0061}\u{E0101}".chars() {
                let mut other = name.clone();
                other.insert(at.index(name.len() + 1), hidden);
                prop_assert!(!is_plain_name(&tidy_name(&other)), "{:?}", other);
            }
        }
    }
}
