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

    /// The page of `list` that is asked for.
    pub fn of(self, list: impl Into<String>) -> Result<Paging, Problem> {
        let list = list.into();
        let limit = self.limit.unwrap_or(20);
        let mut checks = Checks::default();
        checks.require((1..=100).contains(&limit), "?limit", "must be from 1 to 100");
        let after = self.cursor.map(|cursor| cursor::decode(&list, &cursor)).transpose();
        let after = checks.keep("?cursor", after).flatten();
        checks.finish()?;
        Ok(Paging { list, limit, after })
    }
}

impl Paging {
    /// The key after which it starts, for a list whose keys all start with `prefix`: no cursor that we gave out holds another.
    pub fn after_within(&self, prefix: &str) -> Result<Option<String>, Problem> {
        let mut checks = Checks::default();
        let is_ours = self.after.as_ref().is_none_or(|key| key.starts_with(prefix));
        checks.require(is_ours, "?cursor", cursor::CursorError);
        checks.finish()?;
        Ok(self.after.clone())
    }

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
