//! Files of a post that are nobody's: left by who was killed, or came late.

use thiserror::Error;
use tintype_core::{PostId, media};
use tintype_tables::{Table, posts};
use tintype_telemetry as telemetry;

use crate::Bucket;

/// Why strays could not be removed.
#[derive(Debug, Error)]
pub enum SweepError {
    /// They could not be listed or deleted.
    #[error(transparent)]
    Bucket(#[from] crate::Error),
    /// The post could not be read.
    #[error(transparent)]
    Table(#[from] tintype_tables::Error),
}

/// Removes what lies in a post's prefixes of `media` and is neither one of its files nor on the way to become one; all, if there is no
/// such post.
pub async fn sweep_strays(media: &Bucket, posts: &Table, post: PostId) -> Result<(), SweepError> {
    let mut keys = Vec::new();
    for prefix in media::variants_of(post) {
        keys.extend(media.keys(&prefix).await?);
    }
    if keys.is_empty() {
        return Ok(());
    }
    // Read after they were listed: see `Record::names`.
    let record = posts::read_record(posts, post).await?;
    keys.retain(|key| !record.as_ref().is_some_and(|record| record.names(key)));
    telemetry::count("media.strays", keys.len());
    media.delete(&keys).await?;
    Ok(())
}
