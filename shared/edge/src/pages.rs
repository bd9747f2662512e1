//! Lists in pages.

use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tintype_core::cursor;
use utoipa::{IntoParams, ToSchema};

use crate::{problem::Problem, validation::Checks};

/// `?limit=` and `?cursor=` of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page that is asked for.
#[derive(Debug)]
pub struct Paging {
    /// What the cursor is bound to: the path and whatever else tells this list from others.
    list: String,
    /// How many items, 1 to 100.
    pub limit: usize,
    /// The key after which it starts.
    pub after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; `null` if this was the last.
    pub next_cursor: Option<String>,
}

impl PageRequest {
    /// For a list that has parameters of its own beside these.
    pub fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The page of `list` that is asked for. `is_key` tells whether a key can be one of the list's: a cursor is no secret, and whoever
    /// makes one up must not get to choose what the table is asked.
    pub fn of(self, list: impl Into<String>, is_key: impl FnOnce(&str) -> bool) -> Result<Paging, Problem> {
        let list = list.into();
        let limit = self.limit.unwrap_or(20);
        let mut checks = Checks::default();
        checks.require((1..=100).contains(&limit), "?limit", "must be from 1 to 100");
        let after = self.cursor.map(|cursor| {
            let key = cursor::decode(&list, &cursor)?;
            if is_key(&key) { Ok(key) } else { Err(cursor::CursorError) }
        });
        let after = checks.keep("?cursor", after.transpose()).flatten();
        checks.finish()?;
        Ok(Paging { list, limit, after })
    }
}

impl Paging {
    /// The answer with `items`, which goes on after the key `next`: `Link` (RFC 8288) says where.
    pub fn answer<T>(self, path: &str, items: Vec<T>, next: Option<String>) -> (HeaderMap, axum::Json<List<T>>) {
        let next_cursor = next.map(|key| cursor::encode(&self.list, &key));
        let mut headers = HeaderMap::new();
        if let Some(cursor) = &next_cursor {
            let separator = if path.contains('?') { '&' } else { '?' };
            let cursor = utf8_percent_encode(cursor, NON_ALPHANUMERIC);
            let link = format!("</v1{path}{separator}limit={}&cursor={cursor}>; rel=\"next\"", self.limit);
            if let Ok(link) = HeaderValue::from_str(&link) {
                headers.insert(header::LINK, link);
            }
        }
        (headers, axum::Json(List { items, next_cursor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: &str) -> Result<Paging, Problem> {
        PageRequest::new(None, Some(cursor.to_owned())).of("list", |key| key == "a key")
    }

    #[test]
    fn a_cursor_of_the_list_is_taken_and_one_that_was_made_up_is_not() {
        assert_eq!(page(&cursor::encode("list", "a key")).unwrap().after.as_deref(), Some("a key"));
        for made_up in [cursor::encode("list", "another"), cursor::encode("list", ""), cursor::encode("another", "a key"), String::new()] {
            let problem = page(&made_up).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.errors[0].pointer.as_str()), (422, "?cursor"), "{made_up}");
        }
    }

    #[test]
    fn a_page_names_the_next_one_and_the_last_page_names_none() {
        let (headers, axum::Json(list)) =
            page(&cursor::encode("list", "a key")).unwrap().answer("/things", vec![1], Some("next".to_owned()));
        let next = list.next_cursor.unwrap();
        assert_eq!(cursor::decode("list", &next).as_deref(), Ok("next"));
        assert_eq!(headers[header::LINK], format!("</v1/things?limit=20&cursor={next}>; rel=\"next\""));
        let (headers, axum::Json(list)) = page(&cursor::encode("list", "a key")).unwrap().answer("/things", vec![1], None);
        assert_eq!((headers.get(header::LINK), list.next_cursor), (None, None));
    }
}
