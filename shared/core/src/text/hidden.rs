//! Characters that nobody sees: with one of them a name can look like another and be a different one.
//!
//! Some have work to do and stay where they do it: joiners within Persian, Indic scripts and families of emoji, marks of direction
//! among Arabic and Hebrew, selectors of a character's form. UTS #39 and RFC 5892 (appendix A) go further, with tables of all scripts; this
//! takes the scripts by their blocks.

/// What has no shape of its own: Unicode's `Default_Ignorable_Code_Point`, and the few that are blank without being space.
pub(super) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether a text has a character that can't be seen and does nothing where it stands.
pub fn has_hidden_characters(text: &str) -> bool {
    let is_right_to_left = text.chars().any(is_right_to_left);
    let characters: Vec<char> = text.chars().collect();
    characters.iter().enumerate().any(|(at, &c)| {
        let before = at.checked_sub(1).map(|at| characters[at]);
        is_ignorable(c) && !before.is_some_and(|before| has_work(c, before, characters.get(at + 1).copied(), is_right_to_left))
    })
}

/// Whether an ignorable character does something between these two.
fn has_work(c: char, before: char, after: Option<char>, is_right_to_left: bool) -> bool {
    match c {
        '\u{61C}' | '\u{200E}' | '\u{200F}' => is_right_to_left && !is_ignorable(before),
        '\u{200C}' | '\u{200D}' => joins_letters(before) || (c == '\u{200D}' && is_emoji(before) && after.is_some_and(is_symbol)),
        '\u{FE0E}' | '\u{FE0F}' => is_symbol(before) || matches!(before, '©' | '®') || (is_keycap(before) && after == Some('\u{20E3}')),
        '\u{FE00}'..='\u{FE02}' | '\u{E0100}'..='\u{E01EF}' => is_han(before),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => matches!(before, '\u{1820}'..='\u{18AA}'),
        // England, Scotland and Wales: a black flag, then letters that nobody sees.
        '\u{E0020}'..='\u{E007F}' => matches!(before, '\u{1F3F4}' | '\u{E0020}'..='\u{E007E}'),
        _ => false,
    }
}

/// A letter or mark of a script that writes with joiners: Arabic, Syriac, N'Ko, the scripts of India and around, Mongolian.
fn joins_letters(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{DFF}' | '\u{F00}'..='\u{109F}' | '\u{1780}'..='\u{17B3}' | '\u{17B6}'..='\u{17DD}' | '\u{1810}'..='\u{18AA}'
        | '\u{1900}'..='\u{1C4F}' | '\u{A800}'..='\u{ABFF}' | '\u{10A00}'..='\u{11FFF}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{61B}' | '\u{61D}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}'
        | '\u{1E800}'..='\u{1EFFF}')
}

/// A symbol that may be shown as a picture.
fn is_symbol(c: char) -> bool {
    matches!(c, '\u{203C}' | '\u{2049}' | '\u{2122}'..='\u{27FF}' | '\u{2900}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}'
        | '\u{1F000}'..='\u{1FAFF}')
}

fn is_emoji(c: char) -> bool {
    is_symbol(c) || c == '\u{FE0F}'
}

/// What stands on a telephone's keys.
fn is_keycap(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*')
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_cant_be_seen_is_hidden_where_it_does_nothing() {
        for hidden in [
            "Ad\u{200B}a",
            "Ad\u{AD}a",
            "Ada\u{FEFF}",
            "Ad\u{200D}a",
            "Ad\u{200C}a",
            "\u{200D}क",
            "Ада\u{200D}",
            "Ada\u{200E}",
            "Ada\u{FE0F}",
            "1\u{FE0F}",
            "\u{3164}",
            "Ad\u{2800}a",
            "Ad\u{E0061}a",
            "神\u{200D}",
            "👩\u{200D}",
            "👩\u{200D}a",
            "❤\u{FE0F}\u{FE0F}",
            "क\u{200D}\u{200D}",
            "ب\u{200E}\u{200E}",
            "A\u{2063}B",
        ] {
            assert!(has_hidden_characters(hidden), "{hidden:?}");
        }
    }

    #[test]
    fn a_character_that_cant_be_seen_stays_where_it_has_work_to_do() {
        for plain in [
            "می\u{200C}خواهم",
            "ശ്രീ ന\u{D4D}\u{200D}",
            "👩\u{200D}👩\u{200D}👧",
            "❤\u{FE0F}\u{200D}🔥",
            "👩🏽\u{200D}🚀",
            "1\u{FE0F}\u{20E3}",
            "©\u{FE0F} Ada",
            "葛\u{E0100}城",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "עברית\u{200E}!",
            "Ada Lovelace",
        ] {
            assert!(!has_hidden_characters(plain), "{plain:?}");
        }
    }
}
