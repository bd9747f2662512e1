//! Turns an uploaded photograph into its variants, and publishes the post that waited for it.
//!
//! The object store says at least once that an upload is there. [`upload`] says what is done about it, [`pipeline`] what happens to
//! the photograph itself.

pub mod pipeline;
mod upload;

use aws_lambda_events::s3::{S3Event, S3EventRecord};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use percent_encoding::percent_decode_str;
use tintype_buckets::Bucket;
use tintype_core::media::{NotAnUpload, UploadKey};
use tintype_tables::{Table, config};
use tintype_telemetry::{self as telemetry, Outcome, Work};

use upload::Ending;

/// What the function reads and writes.
struct Stores {
    posts: Table,
    uploads: Bucket,
    media: Bucket,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let buckets = tintype_buckets::client(&aws);
    let stores = Stores {
        posts: Table::from_env(&aws_sdk_dynamodb::Client::new(&aws), "POSTS_TABLE")?,
        uploads: Bucket::from_env(&buckets, "UPLOADS_BUCKET")?,
        media: Bucket::from_env(&buckets, "MEDIA_BUCKET")?,
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
    let Ok(upload) = upload_key(record) else {
        telemetry::field("error", "the object has no upload's key");
        return Ok(Ending::Rejected);
    };
    telemetry::field("post.id", upload.post_id.to_string());
    telemetry::field("photo.index", upload.index);
    // Boxed: the SDK's futures are large, and this one holds several.
    let result = Box::pin(upload::process(stores, upload)).await;
    match &result {
        Ok(ending) => telemetry::field("photo.ending", ending.as_str()),
        Err(error) => telemetry::field("error", error.to_string()),
    }
    result
}

/// Events have keys as HTML forms have values: `+` is a space, and what is not plain is in percent.
fn upload_key(record: &S3EventRecord) -> Result<UploadKey, NotAnUpload> {
    let key = record.s3.object.key.as_deref().unwrap_or_default().replace('+', " ");
    percent_decode_str(&key).decode_utf8().map_err(|_| NotAnUpload)?.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> S3EventRecord {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/photo-processor/object-created.json");
        let event: S3Event = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let [record] = event.records.try_into().unwrap();
        record
    }

    #[test]
    fn an_event_says_which_photo_of_which_post_is_there() {
        let upload = UploadKey { post_id: "0193a1f0-0000-7000-8000-0000000000d1".parse().unwrap(), index: 3 };
        assert_eq!(upload_key(&record()), Ok(upload));
        let mut encoded = record();
        encoded.s3.object.key = Some(upload.to_string().replace('/', "%2F"));
        assert_eq!(upload_key(&encoded), Ok(upload));
    }

    #[test]
    fn an_object_that_no_ticket_is_for_is_passed_over() {
        for key in ["uploads/+3", "uploads/%FF/0", "uploads/", ""] {
            let mut stray = record();
            stray.s3.object.key = Some(key.to_owned());
            assert_eq!(upload_key(&stray), Err(NotAnUpload), "{key}");
        }
    }
}
