//! The CDN forgets what must not be public any more.
//!
//! It keeps copies of photographs for an hour. After that it asks the bucket, which has none. So forgetting is haste and not what
//! protects them: if it fails, that is counted and said in the log, and the hour does it. The CDN takes 15 paths with a wildcard at a
//! time, and a post takes two, so posts are forgotten by sevens, newest first. Of an account with many posts the next seven may be
//! refused while those before are in hand. Nobody waits for that: first all files must be gone, and a copy lives for an hour at most. Nor
//! is everything forgotten at once instead: whoever turned back and forth would empty the CDN for all.
//!
//! One request is all that is asked of the CDN: it is made with the SDK's signer and connector, without the SDK of the CDN, which would be
//! larger than the rest of the function.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use lambda_runtime::Error;
use tintype_core::PostId;
use tintype_resilience::Dependency;
use tintype_telemetry as telemetry;
use uuid::Uuid;

/// Of how many posts it forgets the photographs at a time: there may be 15 paths with wildcards in hand.
pub(crate) const MOST_POSTS: usize = 7;
const TIMEOUT: Duration = Duration::from_secs(5);
/// It is the same everywhere, and has its keys from this region.
const HOST: &str = "cloudfront.amazonaws.com";
const REGION: &str = "us-east-1";

/// The distribution before the media bucket, if there is one.
#[derive(Clone)]
pub(crate) struct Cdn(Option<Distribution>);

#[derive(Clone)]
struct Distribution {
    dependency: Dependency,
    id: String,
    credentials: SharedCredentialsProvider,
    connector: SharedHttpConnector,
}

impl Cdn {
    /// The distribution whose id is in environment variable `DISTRIBUTION_ID`; emulators have none that keeps copies.
    pub(crate) fn from_env(aws: &SdkConfig) -> Self {
        let id = std::env::var("DISTRIBUTION_ID").ok().filter(|id| !id.is_empty());
        let settings = HttpConnectorSettings::builder().connect_timeout(TIMEOUT).read_timeout(TIMEOUT).build();
        let distribution = || {
            let connector = aws_smithy_http_client::default_connector(&settings, aws.sleep_impl())?;
            Some(Distribution { dependency: Dependency::new("cdn"), id: id?, credentials: aws.credentials_provider()?, connector })
        };
        Self(distribution())
    }

    /// Forgets the photographs of the first of these posts.
    pub(crate) async fn forget(&self, posts: &[PostId]) {
        let posts = &posts[..posts.len().min(MOST_POSTS)];
        let Some(distribution) = self.0.as_ref().filter(|_| !posts.is_empty()) else { return };
        let asked = distribution.dependency.call(TIMEOUT, Box::pin(distribution.invalidate(posts)), is_failure).await;
        match asked.map_err(|refusal| refusal.to_string().into()).and_then(taken) {
            Ok(()) => telemetry::count("cdn.invalidations", posts.len()),
            Err(error) => {
                telemetry::count("cdn.unforgotten", posts.len());
                telemetry::field("cdn.error", error.to_string());
            }
        }
    }
}

impl Distribution {
    /// Answers the status of the CDN's answer.
    async fn invalidate(&self, posts: &[PostId]) -> Result<u16, Error> {
        let identity = self.credentials.provide_credentials().await?.into();
        let request = request(&self.id, &batch(posts, Uuid::now_v7()));
        let params = v4::SigningParams::builder().identity(&identity).region(REGION).name("cloudfront").time(SystemTime::now());
        let params = params.settings(SigningSettings::default()).build()?.into();
        let request = signed(request, &params)?;
        let answer = self.connector.call(request.map(Into::into).try_into()?).await?;
        Ok(answer.status().as_u16())
    }
}

fn taken(status: u16) -> Result<(), Error> {
    if (200..300).contains(&status) { Ok(()) } else { Err(format!("the CDN answers {status}").into()) }
}

/// That it has too many invalidations in hand (400) says nothing against the CDN.
fn is_failure(asked: &Result<u16, Error>) -> bool {
    asked.as_ref().map_or(true, |status| *status >= 500 || *status == 429)
}

/// What is to be forgotten, as the CDN wants to read it.
fn batch(posts: &[PostId], reference: Uuid) -> String {
    // As viewers ask for it, and as the CDN's function has it look for it: under which of them a copy lies is the CDN's business.
    let paths = posts.iter().map(|post| format!("<Path>/media/{post}/*</Path><Path>/{post}/*</Path>")).collect::<Vec<_>>().concat();
    format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>{}</Quantity><Items>{paths}</Items></Paths>\
         <CallerReference>{reference}</CallerReference></InvalidationBatch>",
        2 * posts.len()
    )
}

fn request(distribution: &str, body: &str) -> http::Request<String> {
    let url = format!("https://{HOST}/2020-05-31/distribution/{distribution}/invalidation");
    let request = http::Request::post(url).header("host", HOST).header("content-type", "application/xml");
    request.body(body.to_owned()).expect("an id is plain")
}

fn signed(mut request: http::Request<String>, params: &aws_sigv4::http_request::SigningParams<'_>) -> Result<http::Request<String>, Error> {
    let headers = request.headers().iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
    let headers: Vec<(&str, &str)> = headers.collect::<Result<_, Error>>()?;
    let url = request.uri().to_string();
    let signable = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(request.body().as_bytes()))?;
    let (instructions, _) = sign(signable, params)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    #[test]
    fn a_request_names_each_post_with_a_wildcard_and_is_signed_with_all_that_matters() {
        let posts = [PostId::new(), PostId::new()];
        let request = request("E2EXAMPLE", &batch(&posts, Uuid::nil()));
        let identity = Credentials::new("an-access-key", "a-secret-key", Some("a-token".to_owned()), None, "test").into();
        let params = v4::SigningParams::builder().identity(&identity).region(REGION).name("cloudfront").time(SystemTime::UNIX_EPOCH);
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let request = signed(request, &params).unwrap();
        assert_eq!(request.uri(), "https://cloudfront.amazonaws.com/2020-05-31/distribution/E2EXAMPLE/invalidation");
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=an-access-key/19700101/us-east-1/cloudfront/aws4_request, "));
        assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "), "{authorization}");
        assert_eq!(request.headers()["x-amz-security-token"], "a-token");
        let body = request.body();
        assert!(body.contains("<Quantity>4</Quantity>"), "{body}");
        for post in posts {
            assert!(body.contains(&format!("<Path>/media/{post}/*</Path>")), "{body}");
            assert!(body.contains(&format!("<Path>/{post}/*</Path>")), "{body}");
        }
    }

    // No connector reaches anything here: it returns because it asks for nothing.
    #[tokio::test]
    async fn where_no_cdn_is_there_is_nothing_to_forget() {
        Cdn(None).forget(&[PostId::new()]).await;
    }
}
