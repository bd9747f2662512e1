//! Objects and unfinished uploads: the index, the blobs and the journal together.

use std::collections::BTreeMap;

use rusqlite::{Transaction, TransactionBehavior};
use s3s::{S3Error, S3Result, dto::ETagCondition, s3_error};
use tintype_template::deployment::Notification;

use super::{
    blob::{Blobs, Unkept},
    index::{self, Entry},
    journal::{self, Happening, Journal},
};
use crate::{
    say,
    state::{Control, Error},
};

/// Everything that the API works on.
#[derive(Clone)]
pub(super) struct Store {
    pub control: Control,
    pub blobs: Blobs,
    pub journal: Journal,
    /// The template's buckets, and who is told of their new objects.
    pub buckets: BTreeMap<String, Vec<Notification>>,
}

/// A write: where, and what is told of it.
pub(super) struct Write<'a> {
    pub bucket: &'a str,
    pub happening: Happening,
    pub region: &'a str,
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
}

/// What became of a write in its transaction.
pub(super) struct Written {
    pub entry: Entry,
    /// Blobs that nothing names any more.
    pub released: Vec<String>,
}

impl Store {
    pub(super) fn notifications(&self, bucket: &str) -> S3Result<&[Notification]> {
        self.buckets.get(bucket).map(Vec::as_slice).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    /// Runs `f` in one transaction, which is undone if `f` fails.
    pub(super) fn transaction<T>(&self, f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<S3Result<T>>) -> S3Result<T> {
        self.control
            .with(|connection| {
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = f(&tx)?;
                if done.is_ok() {
                    tx.commit()?;
                }
                Ok(done)
            })
            .map_err(internal)?
    }

    pub(super) fn find(&self, bucket: &str, key: &str) -> S3Result<Entry> {
        self.notifications(bucket)?;
        self.transaction(|tx| Ok(index::find(tx, bucket, key)?.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))))
    }

    /// Puts the object that `make` makes in the same transaction, with the notifications of it, and
    /// delivers those. `new` is the file of its blob, if it has a new one.
    pub(super) fn write(
        &self,
        write: &Write<'_>,
        new: Option<Unkept>,
        make: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<S3Result<Written>>,
    ) -> S3Result<Entry> {
        let notifications = self.notifications(write.bucket)?;
        let Written { entry, released } = self.transaction(|tx| {
            let mut written = match make(tx)? {
                Ok(written) => written,
                Err(error) => return Ok(Err(error)),
            };
            let current = index::find(tx, write.bucket, &written.entry.key)?;
            if !write.may_replace(current.as_ref()) {
                return Ok(Err(s3_error!(PreconditionFailed)));
            }
            written.released.extend(index::put(tx, write.bucket, &written.entry)?);
            journal::record(tx, notifications, write.happening, write.bucket, &written.entry, write.region, &self.journal.chaos)?;
            Ok(Ok(written))
        })?;
        if let Some(new) = new {
            new.keep();
        }
        self.blobs.remove(&released);
        if let Err(error) = self.journal.deliver() {
            // The object is there, which is what the client asked for.
            say("s3", &format!("events are delivered later: {error}"));
            self.journal.deliver_later();
        }
        Ok(entry)
    }

    pub(super) fn delete(&self, bucket: &str, keys: &[String]) -> S3Result<()> {
        self.notifications(bucket)?;
        let released = self.transaction(|tx| {
            let released = keys.iter().map(|key| index::delete(tx, bucket, key)).collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Ok(released.into_iter().flatten().collect::<Vec<_>>()))
        })?;
        self.blobs.remove(&released);
        Ok(())
    }
}

impl Write<'_> {
    fn may_replace(&self, current: Option<&Entry>) -> bool {
        let is_current = |condition: &ETagCondition| current.is_some_and(|current| matches(condition, &current.content.etag));
        self.if_match.as_ref().is_none_or(is_current) && !self.if_none_match.as_ref().is_some_and(is_current)
    }
}

/// Whether a condition names this entity tag.
pub(super) fn matches(condition: &ETagCondition, etag: &str) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|wanted| wanted.value() == etag)
}

pub(super) fn internal(error: Error) -> S3Error {
    S3Error::internal_error(error)
}
