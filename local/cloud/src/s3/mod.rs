//! S3: objects as files, their index in SQLite, their notifications never lost.
//!
//! `s3s` speaks the protocol and verifies signatures. Below it stands a store of our own: the file
//! store that comes with `s3s` puts a body in place before its checksum is verified, makes buckets
//! out of thin air, keeps metadata beside the object in a second write, and cannot hold both `a` and
//! `a/b`. An index in SQLite has none of that, and lets the object and its notification be one write.

mod blob;
mod cors;
mod index;
mod journal;
mod listing;
mod multipart;
mod service;
mod store;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use s3s::{
    S3Error, S3ErrorCode,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tintype_chaos::{Fault, Place};
use tintype_template::deployment;
use tokio::io::AsyncReadExt as _;

use self::{blob::Blobs, cors::Cors, journal::Journal, store::Store};
use crate::{
    Credentials,
    chaos::{self, Refusal},
    state::{self, Control},
};

/// Hands an S3 event (JSON) to a function, durably: when it returns `Ok` the event is no longer
/// this module's to keep. It is called with the function's physical name; `Mismatch` says that there is
/// no such function (any more).
pub type Deliver = Arc<dyn Fn(&str, &[u8]) -> Result<(), state::Error> + Send + Sync>;

/// The buckets that the template declares.
#[derive(Clone)]
pub struct Buckets {
    store: Store,
    service: S3Service,
    cors: Cors,
    chaos: Place,
}

/// An object, as `/media/*` serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The whole body.
    pub bytes: Bytes,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// With its quotes.
    pub etag: String,
}

impl Buckets {
    /// Opens the buckets, whose objects are files below `root`, and delivers the notifications that
    /// a crash left in the journal.
    pub async fn open(
        root: &Path,
        buckets: &[deployment::Bucket],
        control: Control,
        credentials: &Credentials,
        deliver: Deliver,
        chaos: Place,
    ) -> Result<Self, state::Error> {
        refuse_what_is_not_emulated(buckets)?;
        let named = control.with(|connection| {
            index::create(connection)?;
            journal::create(connection)?;
            index::blobs(connection)
        })?;
        let blobs = Blobs::open(root, &named).await.map_err(|source| state::Error::Folder { path: root.to_owned(), source })?;
        let store = Store {
            journal: Journal::new(control.clone(), deliver, chaos.clone()),
            control,
            blobs,
            buckets: buckets.iter().map(|bucket| (bucket.name.clone(), bucket.notifications.clone())).collect(),
        };
        store.journal.deliver()?;

        let mut service = S3ServiceBuilder::new(store.clone());
        service.set_auth(SimpleAuth::from_single(credentials.access_key.clone(), credentials.secret_key.clone()));
        Ok(Self { store, service: service.build(), cors: Cors::of(buckets), chaos })
    }

    /// Reads an object whole; `None` if there is no such object, or no such bucket.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Option<Object>, state::Error> {
        let unreadable = |error: &dyn std::fmt::Display| state::Error::Unreadable(format!("s3://{bucket}/{key} cannot be read: {error}"));
        let (turn, refusal) = chaos::before(&self.chaos).await;
        if refusal.is_some() || turn.strikes(Fault::LostAnswer) {
            return Err(unreadable(&"a fault on demand"));
        }
        let (entry, mut file) = match self.store.read(bucket, key).await {
            Ok(found) => found,
            Err(error) if matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchBucket) => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        };
        let mut bytes = Vec::with_capacity(usize::try_from(entry.content.size).unwrap_or_default());
        file.read_to_end(&mut bytes).await.map_err(|error| unreadable(&error))?;
        Ok(Some(Object {
            bytes: bytes.into(),
            content_type: entry.attributes.content_type,
            cache_control: entry.attributes.cache_control,
            etag: format!("\"{}\"", entry.content.etag),
        }))
    }

    /// What the answer to a page of another origin says beside its own, whichever it is.
    pub(crate) fn cors_headers(&self, request: &Request) -> HeaderMap {
        self.cors.headers(request)
    }

    /// Answers a request of the S3 API.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        if request.method() == Method::OPTIONS {
            return self.cors.preflight(&request);
        }
        let answered = self.service.call(request.map(s3s::Body::http_body_unsync)).await;
        // S3's own errors are answers; this would be one that cannot even be written as an answer.
        answered.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |response| response.map(Body::new))
    }
}

/// The answer to a request that is not done.
pub(crate) fn refusal(refusal: Refusal) -> Response {
    error(match refusal {
        Refusal::Error => S3Error::with_message(S3ErrorCode::InternalError, "We encountered an internal error. Please try again."),
        Refusal::Throttle => S3Error::with_message(S3ErrorCode::SlowDown, "Please reduce your request rate."),
    })
}

fn error(error: S3Error) -> Response {
    error.to_http_response().map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |response| response.map(Body::new))
}

/// A notification that would never come is an error here, not a surprise later.
fn refuse_what_is_not_emulated(buckets: &[deployment::Bucket]) -> Result<(), state::Error> {
    for bucket in buckets {
        for event in bucket.notifications.iter().flat_map(|notification| &notification.events) {
            if !event.starts_with("s3:ObjectCreated:") {
                return Err(state::Error::Mismatch(format!("the bucket {}: notifications of {event} are not emulated", bucket.name)));
            }
        }
    }
    Ok(())
}
