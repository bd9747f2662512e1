//! Which comments are there, for who has their ids and needs no more.

use std::collections::{HashMap, HashSet};

use tintype_core::CommentId;

use super::{locator, read::Locator};
use crate::{Error, Key, Table};

/// Those of `ids`, each once, that are there, as of now: neither they are deleted, nor what they reply to is.
pub async fn there(comments: &Table, ids: &[CommentId]) -> Result<HashSet<CommentId>, Error> {
    let found = located(comments, ids.iter().copied()).await?;
    let parents: HashSet<CommentId> = found.values().filter_map(|parent| *parent).collect();
    let parents = located(comments, parents.into_iter()).await?;
    let is_reachable = |parent: &Option<CommentId>| parent.is_none_or(|parent| parents.contains_key(&parent));
    Ok(found.iter().filter(|(_, parent)| is_reachable(parent)).map(|(id, _)| *id).collect())
}

/// Those that are not deleted, and what they reply to.
async fn located(comments: &Table, ids: impl Iterator<Item = CommentId>) -> Result<HashMap<CommentId, Option<CommentId>>, Error> {
    #[derive(serde::Deserialize)]
    struct Located {
        pk: String,
        #[serde(flatten)]
        locator: Locator,
    }
    let keys: Vec<Key> = ids.map(locator).collect();
    let located: Vec<Located> = comments.batch_get(&keys, true).await?;
    let alive = located.into_iter().filter(|located| located.locator.post_id.is_some());
    Ok(alive.filter_map(|located| Some((located.pk.strip_prefix("COMMENT#")?.parse().ok()?, located.locator.parent_id))).collect())
}
