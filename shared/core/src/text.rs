//! What people write: what is allowed in it, and what is found in it.

use unicode_normalization::UnicodeNormalization;

use crate::name::Username;

/// Composed (NFC) and trimmed, with line breaks as Unix has them: Windows and form fields write CR LF, old Macs CR.
pub fn tidy(text: &str) -> String {
    text.trim().replace("\r\n", "\n").replace('\r', "\n").nfc().collect()
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
    for word in marked_words(text, '#', |c| c.is_alphanumeric() || c == '_') {
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
    for word in marked_words(text, '@', |c| c.is_ascii_alphanumeric() || c == '.' || c == '_') {
        // A full stop after a name ends the sentence, not the name.
        if let Ok(name) = word.trim_end_matches('.').parse::<Username>()
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The runs of `part` characters after a `mark` that starts a word (`a@b.c` is an address, not a mention).
fn marked_words(text: &str, mark: char, part: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = &str> {
    text.match_indices(mark).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == mark) {
            return None;
        }
        let rest = &text[at + mark.len_utf8()..];
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert!(has_forbidden_characters(&tidy("a\r\nb"), false));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            let _ = (hashtags(&text), mentions(&text), has_forbidden_characters(&text, true));
            prop_assert_eq!(tidy(&tidy(&text)), tidy(&text));
        }
    }
}
