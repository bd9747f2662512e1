//! What an author says of a post: how long it may be, and what may be in it.

use tintype_core::{post::Location, text};
use tintype_edge::Checks;

/// Most photos of a post.
pub(crate) const MOST_PHOTOS: usize = 10;
const MOST_CAPTION_CHARACTERS: usize = 2200;
const MOST_ALT_TEXT_CHARACTERS: usize = 1000;
const MOST_PLACE_CHARACTERS: usize = 100;

/// A caption; may be empty.
pub(crate) fn caption(written: &str, checks: &mut Checks) -> String {
    let caption = text::tidy(written);
    check_text(checks, "/caption", &caption, MOST_CAPTION_CHARACTERS);
    caption
}

/// What a photo shows, for those who can't see it; an empty text is none.
pub(crate) fn alt_text(written: &str, pointer: &str, checks: &mut Checks) -> Option<String> {
    let alt_text = text::tidy(written);
    check_text(checks, pointer, &alt_text, MOST_ALT_TEXT_CHARACTERS);
    (!alt_text.is_empty()).then_some(alt_text)
}

/// A place, with the numbers that mean something.
pub(crate) fn location(location: Location, checks: &mut Checks) -> Location {
    let name = text::tidy_name(&location.name);
    let is_short = name.chars().count() <= MOST_PLACE_CHARACTERS;
    checks.require(is_short, "/location/name", format_args!("must have {MOST_PLACE_CHARACTERS} characters at most"));
    checks.require(text::is_plain_name(&name), "/location/name", "must be one line, with something to see in it and nothing hidden");
    checks.require((-90.0..=90.0).contains(&location.lat), "/location/lat", "must be from -90 to 90");
    checks.require((-180.0..=180.0).contains(&location.lng), "/location/lng", "must be from -180 to 180");
    Location { name, ..location }.rounded()
}

fn check_text(checks: &mut Checks, pointer: &str, text: &str, most_characters: usize) {
    let is_short = text.chars().count() <= most_characters;
    checks.require(is_short, pointer, format_args!("must have {most_characters} characters at most"));
    let is_clean = !text::has_forbidden_characters(text, true);
    checks.require(is_clean, pointer, "must not have control characters, or ones that change the direction of writing");
}
