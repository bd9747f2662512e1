//! Signed reads of private photographs: a page of posts has hundreds of them, so that each must cost next to nothing.
//!
//! The SDK signs a request by building all of it, in some hundred microseconds. This is the SDK's own signer alone, without a request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_s3::{
    config::{Credentials, ProvideCredentials, SharedCredentialsProvider},
    error::DisplayErrorContext,
};
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tintype_core::post_view::OpenPrivate;
use tintype_tables::config::{Missing, variable};

use crate::Error;

/// How long a signature is good for.
const LIFETIME: Duration = Duration::from_mins(5);
/// Signatures are dated to the last full minute: what is asked twice within it is answered alike, so that its `ETag` holds, and whoever
/// gets a URL has four minutes at least.
const STEP_SECONDS: u64 = 60;
/// What RFC 3986 leaves as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A bucket whose objects are shown to some, by what signs for it.
#[derive(Debug, Clone)]
pub struct PrivateMedia {
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// The bucket's URL, without a slash at the end.
    root: String,
}

/// What signs for a minute's answers.
#[derive(Debug)]
pub struct Keyring<'a> {
    media: &'a PrivateMedia,
    credentials: Credentials,
    time: SystemTime,
}

impl PrivateMedia {
    /// The bucket `name`.
    pub fn new(aws: &SdkConfig, name: &str) -> Self {
        let region = aws.region().map(ToString::to_string).unwrap_or_default();
        let root = match aws.endpoint_url() {
            // A bucket has no host name of its own at an emulator.
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None if region.starts_with("cn-") => format!("https://{name}.s3.{region}.amazonaws.com.cn"),
            None => format!("https://{name}.s3.{region}.amazonaws.com"),
        };
        Self { credentials: aws.credentials_provider(), region, root }
    }

    /// The bucket whose name is in environment variable `name`.
    pub fn from_env(aws: &SdkConfig, name: &str) -> Result<Self, Missing> {
        Ok(Self::new(aws, &variable(name)?))
    }

    /// What opens the bucket's objects in answers that are given now. Nothing is asked of the object store.
    pub async fn keyring(&self) -> Result<Keyring<'_>, Error> {
        self.keyring_at(SystemTime::now()).await
    }

    async fn keyring_at(&self, now: SystemTime) -> Result<Keyring<'_>, Error> {
        let provider = self.credentials.as_ref().ok_or_else(|| Error("no credentials are configured".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| Error(DisplayErrorContext(error).to_string()))?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Keyring { media: self, credentials, time: UNIX_EPOCH + Duration::from_secs(seconds - seconds % STEP_SECONDS) })
    }
}

impl OpenPrivate for Keyring<'_> {
    fn open(&self, key: &str) -> String {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(LIFETIME);
        // S3 takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(&self.media.region).name("s3").time(self.time);
        let params = params.settings(settings).build().expect("all are set").into();

        let mut url = format!("{}/{key}", self.media.root);
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::UnsignedPayload);
        let signed = sign(request.expect("keys of media are plain"), &params).expect("the identity is credentials");
        for (index, (name, value)) in signed.output().params().iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, RESERVED));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_s3::presigning::PresigningConfig;

    const KEY: &str = "private/0193a1f0-0000-7000-8000-0000000000d1/0f0f/w320.jpg";

    fn aws(endpoint: Option<&str>, token: Option<&str>) -> SdkConfig {
        let credentials = Credentials::new("an-access-key", "a-secret-key", token.map(str::to_owned), None, "test");
        let mut aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        aws.set_endpoint_url(endpoint.map(str::to_owned));
        aws.build()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The parameters of a URL, and what stands before them.
    fn parts(url: &str) -> (&str, Vec<&str>) {
        let (address, parameters) = url.split_once('?').unwrap();
        let mut parameters: Vec<&str> = parameters.split('&').filter(|parameter| *parameter != "x-id=GetObject").collect();
        parameters.sort_unstable();
        (address, parameters)
    }

    // The SDK adds `x-id`, which is signed too: the two differ in the signature, and in nothing else.
    #[tokio::test]
    async fn a_read_is_signed_as_the_sdk_signs_it() {
        for (endpoint, token) in [(None, None), (None, Some("a/session+token=")), (Some("http://127.0.0.1:4566"), None)] {
            let aws = aws(endpoint, token);
            let ours = PrivateMedia::new(&aws, "media").keyring_at(at(1_790_000_040)).await.unwrap().open(KEY);
            let config = PresigningConfig::builder().expires_in(LIFETIME).start_time(at(1_790_000_040)).build().unwrap();
            let theirs = crate::client(&aws).get_object().bucket("media").key(KEY).presigned(config).await.unwrap();
            let ((address, ours), (their_address, theirs)) = (parts(&ours), parts(theirs.uri()));
            assert_eq!(address, their_address);
            let unsigned = |all: &[&str]| -> Vec<String> {
                all.iter().filter(|parameter| !parameter.starts_with("X-Amz-Signature=")).map(ToString::to_string).collect()
            };
            assert_eq!(unsigned(&ours), unsigned(&theirs));
            assert_eq!(ours.len(), theirs.len());
        }
    }

    #[tokio::test]
    async fn a_url_lives_for_four_to_five_minutes_and_is_the_same_for_a_minute() {
        let media = PrivateMedia::new(&aws(None, None), "media");
        let open = async |now| media.keyring_at(at(now)).await.unwrap().open(KEY);
        // 2026-09-21T13:33:00Z
        let first = open(1_789_997_580).await;
        assert!(first.contains("X-Amz-Date=20260921T133300Z&") && first.contains("X-Amz-Expires=300&"), "{first}");
        assert_eq!(first, open(1_789_997_639).await);
        assert_ne!(first, open(1_789_997_640).await);
    }
}
