//! What a comment's text may be, and what is found in it. Graphemes are what counts: what readers call characters (UAX #29).

use linkify::{LinkFinder, LinkKind};
use serde::Serialize;
use tintype_core::{name::Username, text};
use tintype_edge::Checks;
use unicode_segmentation::UnicodeSegmentation;
use utoipa::ToSchema;

/// Most graphemes of a text.
const MOST_GRAPHEMES: usize = 2200;
/// Most code points of one grapheme: the longest emoji has a dozen, and what is longer is made to run over other people's lines.
const MOST_CODE_POINTS: usize = 32;
/// So many people are mentioned by one comment; the names that follow are text like any other.
const MOST_MENTIONS: usize = 20;

/// The text as it is kept, or what is wrong with it.
pub(crate) fn check(text: &str, checks: &mut Checks) -> String {
    let text = text::tidy(text);
    let length = text.graphemes(true).count();
    checks.require(length <= MOST_GRAPHEMES, "/text", format_args!("must have {MOST_GRAPHEMES} characters at most"));
    checks.require(!text::is_blank(&text), "/text", "must have something to see in it");
    let is_clean = !text::has_forbidden_characters(&text, true);
    checks.require(is_clean, "/text", "must not have control characters, or ones that change the direction of writing");
    let is_flat = text.graphemes(true).all(|grapheme| grapheme.chars().count() <= MOST_CODE_POINTS);
    checks.require(is_flat, "/text", format_args!("must have no character that is made of more than {MOST_CODE_POINTS} others"));
    text
}

/// What is found in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Each once, in order.
    pub(crate) mentions: Vec<Username>,
    /// Each once, in order, as they stand in the text.
    pub(crate) links: Vec<String>,
    /// In order; none overlaps another.
    pub(crate) spans: Vec<Span>,
}

/// Where in the text something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Span {
    /// What.
    pub(crate) kind: Kind,
    /// Its first character: how many are before it, in graphemes (UAX #29).
    pub(crate) start: usize,
    /// After its last character, likewise.
    pub(crate) end: usize,
}

/// What is found in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A username with its `@`.
    Mention,
    /// An `http` or `https` URL.
    Link,
}

/// The mentions and links of a text. A name within a URL mentions nobody: `https://example.org/@ada`.
pub(crate) fn find(text: &str) -> Findings {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let links: Vec<_> = finder.links(text).filter(|link| is_of_the_web(link.as_str())).collect();
    let mut found = Findings::default();
    let mut places: Vec<_> = links.iter().map(|link| (link.start()..link.end(), Kind::Link)).collect();
    for link in &links {
        if !found.links.iter().any(|known| known == link.as_str()) {
            found.links.push(link.as_str().to_owned());
        }
    }
    for (place, name) in text::places_of_mentions(text) {
        if links.iter().any(|link| place.start < link.end() && link.start() < place.end) {
            continue;
        }
        if !found.mentions.contains(&name) {
            if found.mentions.len() == MOST_MENTIONS {
                continue;
            }
            found.mentions.push(name);
        }
        places.push((place, Kind::Mention));
    }
    if places.is_empty() {
        return found;
    }
    places.sort_by_key(|(place, _)| place.start);
    let beginnings: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    let before = |byte: usize| beginnings.partition_point(|beginning| *beginning < byte);
    found.spans = places
        .into_iter()
        // A place may begin or end within a grapheme, where a mark follows that belongs to it.
        .map(|(place, kind)| Span { kind, start: before(place.start + 1) - 1, end: before(place.end) })
        .collect();
    found
}

fn is_of_the_web(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAMILY: &str = "👩‍👩‍👧‍👦";

    fn is_taken(text: &str) -> bool {
        let mut checks = Checks::default();
        check(text, &mut checks);
        checks.finish().is_ok()
    }

    /// What stands at a span.
    fn cut(text: &str, span: Span) -> String {
        text.graphemes(true).skip(span.start).take(span.end - span.start).collect()
    }

    #[test]
    fn two_thousand_two_hundred_graphemes_are_taken_whatever_they_are_made_of_and_one_more_is_not() {
        for grapheme in ["a", "é", "e\u{301}", "東", FAMILY, "🇺🇦", "n\u{303}\u{323}"] {
            assert!(is_taken(&grapheme.repeat(MOST_GRAPHEMES)), "{grapheme}");
            assert!(!is_taken(&grapheme.repeat(MOST_GRAPHEMES + 1)), "{grapheme}");
        }
        assert!(is_taken(&format!("  {}\r\n", "a".repeat(MOST_GRAPHEMES))), "what is around it does not count");
        assert!(is_taken(&"\r\n".repeat(2100).replace("\r\n", "a\r\n")[..2200]), "a line break is one");
    }

    #[test]
    fn a_text_in_which_there_is_nothing_to_see_is_none() {
        for text in ["", " ", "\n\t ", "\u{200B}", "\u{3164}\u{2800} ", "\u{200D}\u{FE0F}"] {
            assert!(!is_taken(text), "{text:?}");
        }
        for text in [".", "👍", "❤\u{FE0F}", "عربية", "\u{200F}א"] {
            assert!(is_taken(text), "{text:?}");
        }
    }

    #[test]
    fn controls_and_turned_directions_and_towers_of_marks_are_refused() {
        for text in ["a\u{0}b", "a\u{1b}[31mb", "a\u{202E}b", "a\u{2066}b", &format!("Z{}", "\u{301}\u{300}".repeat(17))] {
            assert!(!is_taken(text), "{text:?}");
        }
        assert!(is_taken("one\n\ttwo") && is_taken(&format!("Z{}", "\u{315}".repeat(31))));
    }

    #[test]
    fn mentions_and_links_are_found_where_they_stand_in_graphemes() {
        let text = format!("{FAMILY}é @Ada, see https://example.org/{FAMILY}?a=(b). And @bob_2!");
        let found = find(&text);
        assert_eq!(found.mentions.iter().map(Username::as_str).collect::<Vec<_>>(), ["ada", "bob_2"]);
        assert_eq!(found.links, [format!("https://example.org/{FAMILY}?a=(b)")]);
        assert_eq!(found.spans[0], Span { kind: Kind::Mention, start: 3, end: 7 });
        let cut: Vec<String> = found.spans.iter().map(|span| cut(&text, *span)).collect();
        assert_eq!(cut, ["@Ada", &found.links[0], "@bob_2"]);
    }

    #[test]
    fn what_only_looks_like_a_mention_or_a_link_is_none() {
        for text in
            ["ada@example.org", "@ad", "a@ada", "@@ada", "example.org", "ftp://example.org/a", "javascript://example.org", "https://"]
        {
            assert_eq!(find(text), Findings::default(), "{text}");
        }
        let within = find("(https://social.example/@ada/1)");
        assert_eq!((within.mentions.len(), within.links.as_slice()), (0, &["https://social.example/@ada/1".to_owned()][..]));
        assert_eq!(find("HTTPS://EXAMPLE.ORG/ä").links, ["HTTPS://EXAMPLE.ORG/ä"]);
    }

    #[test]
    fn twenty_people_are_mentioned_each_once_and_all_their_names_are_shown_as_such() {
        let names: Vec<String> = (0..25).map(|number| format!("@somebody{number}")).collect();
        let found = find(&format!("{} {}", names.join(" "), names.join(" ")));
        assert_eq!(found.mentions.len(), MOST_MENTIONS);
        assert_eq!(found.mentions[19].as_str(), "somebody19");
        assert_eq!(found.spans.len(), 2 * MOST_MENTIONS);
    }

    #[test]
    fn a_mark_that_follows_a_name_is_shown_with_it() {
        let text = "@bobx\u{30C}\u{323} hi";
        let found = find(text);
        assert_eq!(cut(text, found.spans[0]), "@bobx\u{30C}\u{323}");
    }

    proptest! {
        #[test]
        fn spans_are_in_order_within_the_text_and_stand_where_what_is_found_does(
            text in "([ .,(\u{301}👩\u{200D}\nא]|@[a-z.]{1,5}|https?://[a-z.@/]{1,9}){0,12}"
        ) {
            let found = find(&text);
            let length = text.graphemes(true).count();
            let mut end = 0;
            for span in &found.spans {
                prop_assert!(end <= span.start && span.start < span.end && span.end <= length, "{:?} in {:?}", found, text);
                // Where a mark follows the last letter it is shared by two that follow one another.
                end = span.end;
                let cut = cut(&text, *span);
                match span.kind {
                    Kind::Mention => prop_assert!(found.mentions.iter().any(|name| cut.contains(&format!("@{name}"))), "{:?} in {:?}", found, text),
                    Kind::Link => prop_assert!(found.links.iter().any(|link| cut.contains(link.as_str())), "{:?} in {:?}", found, text),
                }
            }
        }
    }
}
