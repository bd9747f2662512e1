//! Buckets of the object store: the few requests that functions make, and what their failures mean.

mod parts;
mod private;
mod strays;

use std::{collections::BTreeMap, time::Duration};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::{RequestChecksumCalculation, http::HttpResponse},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectError,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{Delete, MetadataDirective, ObjectIdentifier},
};
use bytes::Bytes;
use thiserror::Error;
use tintype_resilience::{Dependency, Guard};
use tintype_tables::config::{Missing, variable};
use tintype_telemetry as telemetry;

pub use parts::LEAST_PART;
pub use private::{Keyring, PrivateMedia};
pub use strays::{SweepError, sweep_strays};

/// Photographs are megabytes: an attempt takes longer than one at a table.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most keys that one `DeleteObjects` takes.
const MOST_KEYS: usize = 1000;

/// The object store did not do what it was asked, after retries.
#[derive(Debug, Error)]
#[error("the object store is unavailable: {0}")]
pub struct Error(String);

/// The object store's client.
pub fn client(aws: &SdkConfig) -> Client {
    let timeouts = aws.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let config = aws_sdk_s3::config::Builder::from(aws)
        // A bucket has no host name of its own at an emulator.
        .force_path_style(aws.endpoint_url().is_some())
        // Else every presigned URL would demand the checksum of an empty body.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .timeout_config(timeouts.operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
        .build();
    Client::from_conf(config)
}

fn guarded(client: &Client, dependency: &str) -> Client {
    let guard = Guard::new(Dependency::new(dependency), ATTEMPT_TIMEOUT);
    let config = client.config().to_builder().retry_partition(guard.retries()).interceptor(guard);
    Client::from_conf(config.build())
}

/// A bucket, by its client and its name.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    /// What signs requests that others make: nothing stands before it, for nothing is asked of the bucket.
    signer: Client,
    name: String,
}

/// A request that whoever holds it may make: nothing in it can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where to.
    pub url: String,
    /// What must be sent, as it was signed.
    pub headers: BTreeMap<String, String>,
}

/// An object whose bytes have not been read yet.
#[derive(Debug)]
pub struct Object {
    /// How many bytes there are.
    pub size: u64,
    /// As it was put there.
    pub content_type: Option<String>,
    body: ByteStream,
}

impl Object {
    /// All of it.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        let body = self.body.collect().await.map_err(|error| Error(DisplayErrorContext(error).to_string()))?;
        Ok(body.into_bytes())
    }
}

impl Bucket {
    /// The bucket `name`.
    pub fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), signer: client.clone(), name: name.into() }
    }

    /// The bucket whose name is in environment variable `name`, behind a breaker of its own.
    pub fn from_env(client: &Client, name: &str) -> Result<Self, Missing> {
        Ok(Self { client: guarded(client, &name.to_lowercase()), signer: client.clone(), name: variable(name)? })
    }

    /// Lets whoever holds the answer put an object of exactly this type and size at `key`, for as long as `lifetime`.
    pub async fn presign_put(&self, key: &str, content_type: &str, bytes: u64, lifetime: Duration) -> Result<PresignedPut, Error> {
        let lifetime = PresigningConfig::expires_in(lifetime).map_err(|error| Error(error.to_string()))?;
        let request = self.signer.put_object().bucket(&self.name).key(key).content_type(content_type);
        let request = request.content_length(i64::try_from(bytes).unwrap_or(i64::MAX)).presigned(lifetime).await.map_err(failed)?;
        // In a function the SDK gives every request the trace that it belongs to: nobody has to send that, and a browser would have to ask.
        let headers = request.headers().filter(|(name, _)| is_signed(request.uri(), name));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: request.uri().to_owned(), headers })
    }

    /// Lets whoever holds the answer, a URL, get the object at `key` for as long as `lifetime`.
    pub async fn presign_get(&self, key: &str, lifetime: Duration) -> Result<String, Error> {
        let lifetime = PresigningConfig::expires_in(lifetime).map_err(|error| Error(error.to_string()))?;
        let request = self.signer.get_object().bucket(&self.name).key(key).presigned(lifetime).await.map_err(failed)?;
        Ok(request.uri().to_owned())
    }

    /// The object at `key`, if there is one.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, Error> {
        count_request();
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(Object { size: size(object.content_length()), content_type: object.content_type, body: object.body })),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The keys of all objects whose keys start with `prefix`.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            count_request();
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(after);
            let page = request.send().await.map_err(failed)?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
            after = page.next_continuation_token;
            if after.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Writes an object, whatever was there.
    pub async fn put(&self, key: &str, bytes: Bytes, content_type: &str, cache_control: &str) -> Result<(), Error> {
        let request = self.client.put_object().bucket(&self.name).key(key).body(bytes.into());
        count_request();
        request.content_type(content_type).cache_control(cache_control).send().await.map_err(failed)?;
        Ok(())
    }

    /// Copies the object at `from` to `to`, as what a photo is in the new place. `false`: there is no object at `from`.
    pub async fn copy(&self, from: &str, to: &str, content_type: &str, cache_control: &str) -> Result<bool, Error> {
        let request = self.client.copy_object().bucket(&self.name).key(to).copy_source(format!("{}/{from}", self.name));
        let request = request.metadata_directive(MetadataDirective::Replace).content_type(content_type).cache_control(cache_control);
        count_request();
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Copies an object onto itself, so that the store tells once more that it is there; if it is gone, nothing happens.
    ///
    /// The store refuses a copy that changes nothing: it is told that the metadata is new.
    pub async fn announce_again(&self, key: &str, content_type: &str) -> Result<(), Error> {
        let request = self.client.copy_object().bucket(&self.name).key(key).copy_source(format!("{}/{key}", self.name));
        let request = request.metadata_directive(MetadataDirective::Replace).content_type(content_type);
        count_request();
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Deletes the objects at `keys`; none of them need be there.
    pub async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        for chunk in keys.chunks(MOST_KEYS) {
            let objects = chunk.iter().map(|key| ObjectIdentifier::builder().key(key).build().expect("the key is set")).collect();
            let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().expect("the objects are set");
            count_request();
            let answer = self.client.delete_objects().bucket(&self.name).delete(delete).send().await.map_err(failed)?;
            // The request as a whole succeeds even if every deletion in it fails.
            if let Some(error) = answer.errors().first() {
                return Err(Error(format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())));
            }
        }
        Ok(())
    }
}

/// Whether a presigned URL demands this header as it was signed.
fn is_signed(url: &str, header: &str) -> bool {
    let signed = url.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("X-Amz-SignedHeaders=")).unwrap_or_default();
    signed.split("%3B").any(|name| name == header)
}

fn count_request() {
    telemetry::count("s3.requests", 1);
}

fn size(content_length: Option<i64>) -> u64 {
    content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn failed<E: std::error::Error + 'static>(error: SdkError<E, HttpResponse>) -> Error {
    Error(DisplayErrorContext(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

    fn uploads(endpoint: Option<&str>) -> Bucket {
        let credentials = Credentials::new("an-access-key", "a-secret-key", None, None, "test");
        let mut aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        aws.set_endpoint_url(endpoint.map(str::to_owned));
        Bucket::new(&client(&aws.build()), "photos")
    }

    async fn presigned(endpoint: Option<&str>) -> PresignedPut {
        uploads(endpoint).presign_put("uploads/a/0", "image/jpeg", 1234, Duration::from_mins(15)).await.unwrap()
    }

    #[tokio::test]
    async fn a_presigned_upload_is_of_one_type_and_one_size_and_asks_for_no_checksum() {
        let put = presigned(None).await;
        assert!(put.url.starts_with("https://photos.s3.eu-central-1.amazonaws.com/uploads/a/0?"), "{}", put.url);
        assert!(put.url.contains("X-Amz-Expires=900"), "{}", put.url);
        assert!(put.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost"), "{}", put.url);
        assert!(!put.url.to_lowercase().contains("checksum"), "{}", put.url);
        let expected = [("content-length", "1234"), ("content-type", "image/jpeg")];
        assert_eq!(put.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_was_not_signed_need_not_be_sent() {
        let url = "https://host/photos/0?X-Amz-Expires=900&X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&X-Amz-Signature=0";
        let signed = |header| is_signed(url, header);
        assert!(signed("content-length") && signed("content-type") && signed("host"));
        assert!(!signed("x-amzn-trace-id") && !signed("content") && !signed(""));
    }

    #[tokio::test]
    async fn an_emulators_buckets_are_in_the_path() {
        let put = presigned(Some("http://127.0.0.1:4566")).await;
        assert!(put.url.starts_with("http://127.0.0.1:4566/photos/uploads/a/0?"), "{}", put.url);
    }
}
