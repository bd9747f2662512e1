//! The archive of all that a person has made; its state is the job's item ([`tintype_tables::jobs`]).
//!
//! It is written to the bucket in parts while it is made, so that memory holds one part and one post, however large it gets. Each part
//! ends where an entry ends, and after each the item says what the next begins with: whoever goes on after a crash goes on there, and
//! writes the part that was cut off again, under the same number.
//!
//! One invocation at a time: whoever works on it has it for longer than an invocation can last ([`LEASE`]), and renews that with each
//! part. Were there two all the same, the bucket would not join parts that the item does not know.

mod archive;
mod contents;

use std::time::Instant;

use tintype_core::{JobId, Time, UserId};
use tintype_queues::Failure;
use tintype_tables::{
    Error,
    jobs::{self, Archive, Export, LEASE, Overdue},
    users,
    writes::{self, Transaction},
};
use tintype_telemetry as telemetry;

use crate::{Stores, clock::Budget};
use archive::Builder;
use contents::{Contents, Cursor};

const CONTENT_TYPE: &str = "application/x-tar";
/// When a part is full: the bucket takes none below 5 MiB, but for the last, and 10,000 of them.
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
        Some(job) => go_on(stores, job).await,
        None => Ok(()),
    }
}

/// `job.overdue`: goes on where it stopped, or fails.
pub(crate) async fn overdue(stores: &Stores, user_id: UserId, id: JobId) -> Result<(), Failure> {
    let now = Time::now();
    let mut verdict = Overdue::No;
    let job = jobs::change(&stores.users, &users::export(user_id, id), |job: &mut Export| {
        verdict = job.course.drive(now.plus(LEASE), now);
        if verdict == Overdue::Drive {
            job.lease(now);
        }
        verdict == Overdue::Drive
    })
    .await?;
    match (verdict, job) {
        (Overdue::Drive, Some(job)) => go_on(stores, job).await,
        (Overdue::GiveUp, Some(job)) => give_up(stores, job).await,
        _ => Ok(()),
    }
}

async fn give_up(stores: &Stores, mut job: Export) -> Result<(), Failure> {
    let archive = job.archive.take();
    job.fail(Time::now());
    end(stores, &mut job).await?;
    if let Some(archive) = archive {
        stores.exports.drop_parts(&job.object(), &archive.upload_id).await?;
    }
    telemetry::field("job.ending", "failed");
    Ok(())
}

/// Makes the archive, or as much of it as there is time for.
async fn go_on(stores: &Stores, mut job: Export) -> Result<(), Failure> {
    telemetry::field("job.id", job.id.to_string());
    let budget = Budget::of(Instant::now());
    let contents = Contents { stores, user: job.user_id };
    if !contents.has_account().await? {
        // The account's deletion removes the job too.
        return Ok(());
    }
    let mut archive = match job.archive.take() {
        Some(archive) => archive,
        None => begin(stores, &job).await?,
    };
    let mut cursor: Option<Cursor> = serde_json::from_str(&archive.cursor)?;
    let mut part = Builder::default();
    while let Some(at) = cursor {
        let (entries, next) = contents.read(at).await?;
        for entry in entries {
            part.add(&entry.path, &entry.bytes, job.course.requested_at)?;
        }
        cursor = next;
        if part.len() < PART || cursor.is_none() {
            continue;
        }
        if !store(stores, &job, &mut archive, std::mem::take(&mut part), cursor.as_ref()).await? {
            return start_over(stores, job).await;
        }
        job.archive = Some(archive.clone());
        let now = Time::now();
        let is_spent = budget.is_spent();
        if is_spent {
            job.release(now);
        } else {
            job.course.get_on(now);
            job.lease(now);
        }
        if !save(stores, &mut job).await? || is_spent {
            return Ok(());
        }
    }
    part.end();
    if !store(stores, &job, &mut archive, part, None).await?
        || !stores.exports.join_parts(&job.object(), &archive.upload_id, &archive.etags).await?
    {
        return match stores.exports.size_of(&job.object()).await? {
            // They have been joined, and the attempt ended before it could say so.
            Some(bytes) => finish(stores, job, bytes).await,
            None => start_over(stores, job).await,
        };
    }
    let bytes = archive.bytes;
    finish(stores, job, bytes).await
}

async fn begin(stores: &Stores, job: &Export) -> Result<Archive, Failure> {
    let upload_id = stores.exports.begin_parts(&job.object(), CONTENT_TYPE).await?;
    Ok(Archive { upload_id, etags: Vec::new(), bytes: 0, cursor: serde_json::to_string(&Cursor::default())? })
}

/// Writes the next part. `false`: what was begun is gone.
async fn store(stores: &Stores, job: &Export, archive: &mut Archive, part: Builder, next: Option<&Cursor>) -> Result<bool, Failure> {
    let bytes = part.into_bytes();
    telemetry::count("export.parts", 1);
    archive.bytes += bytes.len() as u64;
    let Some(etag) = stores.exports.put_part(&job.object(), &archive.upload_id, archive.etags.len() + 1, bytes).await? else {
        return Ok(false);
    };
    archive.etags.push(etag);
    archive.cursor = serde_json::to_string(&next)?;
    Ok(true)
}

/// What was begun is gone: the bucket forgets what lies about. The janitor finds the job, and that counts.
async fn start_over(stores: &Stores, mut job: Export) -> Result<(), Failure> {
    job.archive = None;
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
    job.finish(bytes, Time::now());
    telemetry::field("export.bytes", bytes);
    telemetry::field("job.ending", "done");
    end(stores, &mut job).await
}

/// The job's end, and the lock's: from now on another export can be asked for.
async fn end(stores: &Stores, job: &mut Export) -> Result<(), Failure> {
    let before = job.course.version;
    job.course.version += 1;
    let mut transaction = Transaction::default();
    transaction.push(writes::put_over(&stores.users, jobs::item(job)?, before));
    transaction.push(writes::delete(&stores.users, &users::exporting(job.user_id)));
    match transaction.commit(&stores.users).await {
        // Somebody else has ended it, or the account is being deleted.
        Err(Error::Condition(_)) => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
