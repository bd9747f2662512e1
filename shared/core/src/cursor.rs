//! Where the next page of a list starts, as an opaque text.
//!
//! A cursor is bound to the list that made it (`list` names the query and what it depends on): given to another list it is
//! refused instead of answering nonsense. It is versioned, so that its inside may change. It is no secret and carries no rights.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const VERSION: u8 = 1;

/// Not a cursor, or not one of this list.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("is not a cursor of this list")]
pub struct CursorError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside<T> {
    v: u8,
    l: String,
    k: T,
}

/// The cursor of `list` that goes on after `key`.
pub fn encode(list: &str, key: &str) -> String {
    let inside = Inside { v: VERSION, l: list.to_owned(), k: key };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&inside).expect("strings and a number are JSON"))
}

/// The key after which `list` goes on.
pub fn decode(list: &str, cursor: &str) -> Result<String, CursorError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError)?;
    let inside: Inside<String> = serde_json::from_slice(&bytes).map_err(|_| CursorError)?;
    // As it was made, and not otherwise: JSON would let blanks stand around it.
    if inside.v == VERSION && inside.l == list && encode(list, &inside.k) == cursor { Ok(inside.k) } else { Err(CursorError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_with_blanks_after_it_is_refused() {
        // A line's end, where the last sextet still has room for it.
        let cursor = (0..3).map(|length| encode("list", &"k".repeat(length))).find(|cursor| cursor.len() % 4 == 2).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(format!("{cursor}0")).unwrap().last(), Some(&b'\r'));
        assert_eq!(decode("list", &format!("{cursor}0")), Err(CursorError));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_cursor_leads_back_to_its_key_in_its_own_list_only(list in any::<String>(), other in any::<String>(), key in any::<String>()) {
            let cursor = encode(&list, &key);
            prop_assert_eq!(decode(&list, &cursor), Ok(key));
            if other != list {
                prop_assert_eq!(decode(&other, &cursor), Err(CursorError));
            }
        }

        #[test]
        fn nonsense_is_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(decode("list", &text), Err(CursorError));
            prop_assert_eq!(decode("list", &URL_SAFE_NO_PAD.encode(bytes)), Err(CursorError));
        }

        #[test]
        fn what_was_cut_off_or_added_to_is_refused(key in any::<String>(), end in any::<prop::sample::Index>(), more in "[A-Za-z0-9_=-]{1,8}") {
            let cursor = encode("list", &key);
            prop_assert_eq!(decode("list", &cursor[..end.index(cursor.len())]), Err(CursorError));
            // What is no text of base64 any more is refused as well; the same key it never is.
            prop_assert_eq!(decode("list", &(cursor + &more)), Err(CursorError));
        }

        #[test]
        fn another_version_is_refused(key in any::<String>(), version in any::<u8>()) {
            let inside = Inside { v: version, l: "list".to_owned(), k: key.clone() };
            let cursor = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&inside).unwrap());
            prop_assert_eq!(decode("list", &cursor), if version == VERSION { Ok(key) } else { Err(CursorError) });
        }
    }
}
