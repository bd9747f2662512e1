//! Turns an uploaded photograph into its variants, and publishes the post that waited for it; or into the picture of a person.
//!
//! The object store says at least once that an upload is there. [`upload`] says what is done about a post's, [`portrait`] about a
//! person's, and [`pipeline`] what happens to the photograph itself.

pub mod pipeline;
mod portrait;
mod upload;

use aws_lambda_events::s3::{S3Event, S3EventRecord};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use percent_encoding::percent_decode_str;
use tintype_buckets::Bucket;
use tintype_core::media::{AvatarUploadKey, NotAnUpload, UploadKey};
use tintype_queues::Sender;
use tintype_tables::{Table, config};
use tintype_telemetry::{self as telemetry, Outcome, Work};

use upload::Ending;

/// What the function reads and writes.
struct Stores {
    /// Read for whether an author is private.
    users: Table,
    posts: Table,
    uploads: Bucket,
    media: Bucket,
    /// Whose pictures are ready is told to the users service, which alone writes profiles.
    users_queue: Sender,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let buckets = tintype_buckets::client(&aws);
    let tables = aws_sdk_dynamodb::Client::new(&aws);
    let stores = Stores {
        users: Table::from_env(&tables, "USERS_TABLE")?,
        posts: Table::from_env(&tables, "POSTS_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
        users_queue: Sender::from_env(&aws, "USERS_QUEUE_URL")?,
    };
    stores.posts.warm().await;
    lambda_runtime::run(service_fn(|event: LambdaEvent<S3Event>| handle(&stores, event))).await
}

/// Works on each record, also after one has failed. If one did, the event comes again, and what was done is passed over then.
async fn handle(stores: &Stores, event: LambdaEvent<S3Event>) -> Result<(), Error> {
    let mut result = Ok(());
    for record in &event.payload.records {
        let work = Work {
            service: "photo-processor",
            operation: "photo".to_owned(),
            request_id: event.context.request_id.clone(),
            trace_id: event.context.xray_trace_id.clone().unwrap_or_default(),
        };
        result = result.and(telemetry::observe(work, consume(stores, record), outcome).await.map(drop));
    }
    result
}

fn outcome(result: &Result<Ending, Error>) -> Outcome {
    match result {
        Ok(Ending::Rejected) => Outcome::Rejected,
        Ok(_) => Outcome::Ok,
        Err(_) => Outcome::Failed,
    }
}

async fn consume(stores: &Stores, record: &S3EventRecord) -> Result<Ending, Error> {
    // Boxed: the SDK's futures are large, and these hold several.
    let result = match announced(record) {
        Ok(Announced::Photo(upload)) => {
            telemetry::field("post.id", upload.post_id.to_string());
            telemetry::field("photo.index", upload.index);
            Box::pin(upload::process(stores, upload)).await
        }
        Ok(Announced::Portrait(upload)) => {
            telemetry::operation("avatar");
            telemetry::field("user.id", upload.user_id.to_string());
            Box::pin(portrait::process(stores, upload)).await
        }
        Err(NotAnUpload) => {
            telemetry::field("error", "the object has no upload's key");
            return Ok(Ending::Rejected);
        }
    };
    match &result {
        Ok(ending) => telemetry::field("photo.ending", ending.as_str()),
        Err(error) => telemetry::field("error", error.to_string()),
    }
    result
}

/// What has been uploaded.
#[derive(Debug, PartialEq, Eq)]
enum Announced {
    /// A photo of a post.
    Photo(UploadKey),
    /// A picture of a person.
    Portrait(AvatarUploadKey),
}

/// Events have keys as HTML forms have values: `+` is a space, and what is not plain is in percent.
fn announced(record: &S3EventRecord) -> Result<Announced, NotAnUpload> {
    let key = record.s3.object.key.as_deref().unwrap_or_default().replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().map_err(|_| NotAnUpload)?;
    key.parse().map(Announced::Photo).or_else(|_| key.parse().map(Announced::Portrait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::{UserId, media};

    fn record() -> S3EventRecord {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/photo-processor/object-created.json");
        let event: S3Event = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let [record] = event.records.try_into().unwrap();
        record
    }

    #[test]
    fn an_event_says_which_photo_of_which_post_is_there() {
        let upload = UploadKey { post_id: "0193a1f0-0000-7000-8000-0000000000d1".parse().unwrap(), index: 3 };
        assert_eq!(announced(&record()), Ok(Announced::Photo(upload)));
        let mut encoded = record();
        encoded.s3.object.key = Some(upload.to_string().replace('/', "%2F"));
        assert_eq!(announced(&encoded), Ok(Announced::Photo(upload)));
    }

    #[test]
    fn an_event_says_whose_picture_is_there() {
        let upload = AvatarUploadKey { user_id: UserId::new(), media_id: media::new_id() };
        let mut picture = record();
        picture.s3.object.key = Some(upload.to_string());
        assert_eq!(announced(&picture), Ok(Announced::Portrait(upload)));
    }

    #[test]
    fn an_object_that_no_ticket_is_for_is_passed_over() {
        for key in ["uploads/+3", "uploads/%FF/0", "uploads/", "uploads/avatars/", "uploads/avatars/me/you", ""] {
            let mut stray = record();
            stray.s3.object.key = Some(key.to_owned());
            assert_eq!(announced(&stray), Err(NotAnUpload), "{key}");
        }
    }
}
