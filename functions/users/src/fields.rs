//! What a person says of themselves: how long it may be, and what may be in it.

use axum::http::Uri;
use thiserror::Error;
use tintype_core::text;

const MOST_NAME: usize = 50;
const MOST_BIO: usize = 150;
const MOST_WEBSITE: usize = 200;

/// Why a field can't be taken.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unfit {
    #[error("must be {0} to {1} characters")]
    Length(usize, usize),
    #[error("must be seen as it is: no control characters, none that hide, and none that turn the direction of text")]
    Characters,
    #[error("must be an http or https address of at most {MOST_WEBSITE} characters")]
    NotAWebsite,
}

/// A display name: 1 to 50 characters on one line.
pub(crate) fn display_name(written: &str) -> Result<String, Unfit> {
    let name = text::tidy_name(written);
    if !(1..=MOST_NAME).contains(&name.chars().count()) {
        return Err(Unfit::Length(1, MOST_NAME));
    }
    if text::is_plain_name(&name) { Ok(name) } else { Err(Unfit::Characters) }
}

/// A bio: up to 150 characters, on several lines if need be; an empty one is none.
pub(crate) fn bio(written: &str) -> Result<Option<String>, Unfit> {
    let bio = text::tidy(written);
    if bio.chars().count() > MOST_BIO {
        return Err(Unfit::Length(0, MOST_BIO));
    }
    if text::has_forbidden_characters(&bio, true) {
        return Err(Unfit::Characters);
    }
    Ok((!bio.is_empty()).then_some(bio))
}

/// A website: an address that a browser opens and that can do nothing else (no `javascript:`), and that shows where it leads
/// (no `https://bank.example@elsewhere.example`); an empty one is none.
pub(crate) fn website(written: &str) -> Result<Option<String>, Unfit> {
    let website = text::tidy(written);
    if website.is_empty() {
        return Ok(None);
    }
    let uri: Uri = website.parse().map_err(|_| Unfit::NotAWebsite)?;
    let leads_somewhere = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    let hides_it = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    // Other scripts are spelt in ASCII, as browsers show them where they might mislead: no look-alikes, and no turned direction.
    if leads_somewhere && !hides_it && website.is_ascii() && website.chars().count() <= MOST_WEBSITE {
        Ok(Some(website))
    } else {
        Err(Unfit::NotAWebsite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_characters_and_tidied() {
        assert_eq!(display_name("  Ada \u{65}\u{301} ").unwrap(), "Ada é");
        assert!(display_name(&"é".repeat(50)).is_ok());
        assert_eq!(display_name(&"é".repeat(51)), Err(Unfit::Length(1, 50)));
        assert_eq!(display_name("  "), Err(Unfit::Length(1, 50)));
        assert_eq!(display_name("A\u{0}B"), Err(Unfit::Characters));
        assert_eq!(display_name("A\u{200b}B"), Err(Unfit::Characters));
        assert_eq!(display_name("A\u{202e}B"), Err(Unfit::Characters));
    }

    #[test]
    fn a_bio_may_have_lines_and_may_be_none() {
        assert_eq!(bio("One\nTwo").unwrap().as_deref(), Some("One\nTwo"));
        assert_eq!(bio(" "), Ok(None));
        assert_eq!(bio(&"x".repeat(151)), Err(Unfit::Length(0, 150)));
        assert_eq!(bio("\u{7}"), Err(Unfit::Characters));
    }

    #[test]
    fn a_website_is_an_address_that_shows_where_it_leads() {
        for good in ["https://example.org", "http://example.org:8080/~ada/?q=1#top"] {
            assert_eq!(website(good).unwrap().as_deref(), Some(good));
        }
        assert_eq!(website(""), Ok(None));
        let long = format!("https://example.org/{}", "x".repeat(200));
        for bad in [
            "example.org",
            "javascript:alert(1)",
            "ftp://example.org",
            "https://",
            "https://bank.example@example.org/",
            "https://exa mple.org",
            "https://example.org/\u{202e}gpj.exe",
            &long,
        ] {
            assert_eq!(website(bad), Err(Unfit::NotAWebsite), "{bad}");
        }
    }
}
