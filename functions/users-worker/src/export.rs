//! The archive of all that a person has made; its state is the job's item ([`tintype_tables::jobs`]).
//!
//! It is written to the bucket in parts while it is made, so that memory holds one part and one post, however large it gets. Each part
//! ends where an entry ends, and after each the item says what comes next: whoever goes on after a crash goes on there, and writes the
//! part that was cut off again, under the same number. If an invocation's time is up before there is enough for a part, what there is
//! is put aside in an object of its own: each invocation gets on by one piece at least, however slow.
//!
//! One invocation at a time: whoever works on it has it for longer than an invocation can last ([`LEASE`]), and renews that with each
//! part. Were there two all the same, the bucket would not join parts that the item does not know.

mod archive;
mod contents;

use std::time::Instant;

use tintype_buckets::LEAST_PART;
use tintype_core::{JobId, Time, UserId, event::What};
use tintype_queues::Failure;
use tintype_tables::{
    Error,
    jobs::{self, Archive, Export, LEASE, Overdue, Status},
    outbox, users,
    writes::{self, Transaction},
};
use tintype_telemetry as telemetry;

use crate::{Stores, clock::Budget, readable};
use archive::Builder;
use contents::{Contents, Cursor};

const CONTENT_TYPE: &str = "application/x-tar";
/// When a part is full: the bucket takes none below [`LEAST_PART`], but for the last, and 10,000 of them.
const PART: usize = 8 * 1024 * 1024;

/// `export.requested`: makes the archive, unless somebody does already.
pub(crate) async fn run(stores: &Stores, user_id: UserId, id: JobId) -> Result<(), Failure> {
    let now = Time::now();
    let mut is_mine = false;
    let job = jobs::change(&stores.users, &users::export(user_id, id), |job: &mut Export| {
        is_mine = job.course.is_running() && !job.is_leased(now);
        if is_mine {
            job.lease(now);
        }
        is_mine
    })
    .await?;
    match job.filter(|_| is_mine) {
        Some(job) => go_on(stores, job, Budget::of(Instant::now())).await,
        None => Ok(()),
    }
}

/// `job.overdue`: goes on where it stopped, or fails.
pub(crate) async fn overdue(stores: &Stores, user_id: UserId, id: JobId) -> Result<(), Failure> {
    let now = Time::now();
    let mut verdict = Overdue::No;
    let key = users::export(user_id, id);
    let result = jobs::change(&stores.users, &key, |job: &mut Export| {
        verdict = job.course.drive(now.plus(LEASE), now);
        if verdict == Overdue::Drive {
            job.lease(now);
        }
        verdict == Overdue::Drive
    })
    .await;
    match (verdict, readable(stores, &key, result).await?) {
        (Overdue::Drive, Some(job)) => go_on(stores, job, Budget::of(Instant::now())).await,
        (Overdue::GiveUp, Some(job)) => give_up(stores, job).await,
        _ => Ok(()),
    }
}

async fn give_up(stores: &Stores, mut job: Export) -> Result<(), Failure> {
    // Before the item forgets it: after that nobody else would know.
    if let Some(archive) = &job.archive {
        stores.exports.drop_parts(&job.object(), &archive.upload_id).await?;
        forget(stores, archive.rest.as_ref()).await?;
    }
    job.fail(Time::now());
    end(stores, &mut job).await?;
    telemetry::field("job.ending", "failed");
    Ok(())
}

/// Makes the archive, or as much of it as there is time for.
async fn go_on(stores: &Stores, mut job: Export, budget: Budget) -> Result<(), Failure> {
    telemetry::field("job.id", job.id.to_string());
    let contents = Contents { stores, user: job.user_id };
    if !contents.has_account().await? {
        // The account's deletion removes the job too.
        return Ok(());
    }
    let mut archive = match job.archive.clone() {
        Some(archive) => archive,
        None => match begin(stores, &mut job).await? {
            Some(archive) => archive,
            None => return Ok(()),
        },
    };
    let Some(mut part) = rest(stores, &archive).await? else { return lost(stores, job).await };
    let mut cursor: Option<Cursor> = serde_json::from_str(&archive.cursor)?;
    while let Some(at) = cursor {
        let (entries, next) = contents.read(at).await?;
        for entry in entries {
            part.add(&entry.path, &entry.bytes, job.course.requested_at)?;
        }
        cursor = next;
        let is_spent = budget.is_spent();
        if cursor.is_none() || (part.len() < PART && !is_spent) {
            continue;
        }
        let before = archive.rest.take();
        if part.len() < LEAST_PART {
            put_aside(stores, &job, &mut archive, std::mem::take(&mut part)).await?;
        } else if !store(stores, &job, &mut archive, std::mem::take(&mut part)).await? {
            return lost(stores, job).await;
        }
        archive.cursor = serde_json::to_string(&cursor)?;
        job.archive = Some(archive.clone());
        let now = Time::now();
        if is_spent {
            job.release(now);
        } else {
            job.course.get_on(now);
            job.lease(now);
        }
        if !save(stores, &mut job).await? {
            return Ok(());
        }
        forget(stores, before.as_ref()).await?;
        if is_spent {
            return Ok(());
        }
    }
    part.end();
    if !store(stores, &job, &mut archive, part).await?
        || !stores.exports.join_parts(&job.object(), &archive.upload_id, &archive.etags).await?
    {
        return lost(stores, job).await;
    }
    let bytes = archive.bytes;
    finish(stores, job, bytes).await
}

/// Begins the upload, and notes it at once: whoever comes after a crash, or removes the account, knows of it. `None`: somebody else has
/// gone on meanwhile.
async fn begin(stores: &Stores, job: &mut Export) -> Result<Option<Archive>, Failure> {
    let upload_id = stores.exports.begin_parts(&job.object(), CONTENT_TYPE).await?;
    let cursor = serde_json::to_string(&Cursor::default())?;
    let archive = Archive { upload_id, etags: Vec::new(), bytes: 0, cursor, rest: None };
    job.archive = Some(archive.clone());
    job.lease(Time::now());
    match save(stores, job).await {
        Ok(true) => Ok(Some(archive)),
        result => {
            stores.exports.drop_parts(&job.object(), &archive.upload_id).await?;
            result.map(|_| None)
        }
    }
}

/// What the next part begins with; `None` if it was put aside and is gone.
async fn rest(stores: &Stores, archive: &Archive) -> Result<Option<Builder>, Failure> {
    let Some(key) = &archive.rest else { return Ok(Some(Builder::default())) };
    match stores.exports.get(key).await? {
        Some(object) => Ok(Some(Builder::after(&object.bytes().await?))),
        None => Ok(None),
    }
}

/// Keeps what is not enough for a part yet.
async fn put_aside(stores: &Stores, job: &Export, archive: &mut Archive, part: Builder) -> Result<(), Failure> {
    let key = job.rest();
    stores.exports.put(&key, part.into_bytes(), CONTENT_TYPE, "no-store").await?;
    archive.rest = Some(key);
    Ok(())
}

/// Removes what was put aside, and is in a part or elsewhere by now.
async fn forget(stores: &Stores, rest: Option<&String>) -> Result<(), Failure> {
    if let Some(key) = rest {
        stores.exports.delete(std::slice::from_ref(key)).await?;
    }
    Ok(())
}

/// Writes the next part. `false`: what was begun is gone.
async fn store(stores: &Stores, job: &Export, archive: &mut Archive, part: Builder) -> Result<bool, Failure> {
    let bytes = part.into_bytes();
    telemetry::count("export.parts", 1);
    archive.bytes += bytes.len() as u64;
    let Some(etag) = stores.exports.put_part(&job.object(), &archive.upload_id, archive.etags.len() + 1, bytes).await? else {
        return Ok(false);
    };
    archive.etags.push(etag);
    Ok(true)
}

/// What was begun is gone: it has been joined, and the attempt ended before it could say so; or the bucket has forgotten what lay about.
/// Then it begins anew: the janitor finds the job, and that counts.
async fn lost(stores: &Stores, mut job: Export) -> Result<(), Failure> {
    if let Some(bytes) = stores.exports.size_of(&job.object()).await? {
        return finish(stores, job, bytes).await;
    }
    if let Some(archive) = job.archive.take() {
        stores.exports.drop_parts(&job.object(), &archive.upload_id).await?;
        forget(stores, archive.rest.as_ref()).await?;
    }
    save(stores, &mut job).await?;
    Err(Failure::ForNow("the upload is gone".to_owned()))
}

/// `false`: somebody else has gone on with it.
async fn save(stores: &Stores, job: &mut Export) -> Result<bool, Failure> {
    match jobs::save(&stores.users, job).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn finish(stores: &Stores, mut job: Export, bytes: u64) -> Result<(), Failure> {
    forget(stores, job.archive.as_ref().and_then(|archive| archive.rest.as_ref())).await?;
    job.finish(bytes, Time::now());
    telemetry::field("export.bytes", bytes);
    telemetry::field("job.ending", "done");
    end(stores, &mut job).await
}

/// The job's end, and the lock's: from now on another export can be asked for.
async fn end(stores: &Stores, job: &mut Export) -> Result<(), Failure> {
    let before = job.course.version;
    job.course.version += 1;
    let mut item = jobs::item(job)?;
    if job.course.status == Status::Done {
        outbox::speak(&mut item, What::ExportReady { user_id: job.user_id, job_id: job.id }, Time::now());
    }
    let mut transaction = Transaction::default();
    transaction.push(writes::put_over(&stores.users, item, before));
    transaction.push(writes::delete(&stores.users, &users::exporting(job.user_id)));
    match transaction.commit(&stores.users).await {
        // Somebody else has ended it, or the account is being deleted.
        Err(Error::Condition(_)) => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
