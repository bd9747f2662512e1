//! The CDN forgets what must not be public any more.
//!
//! It keeps copies of photographs for an hour. After that it asks the bucket, which has none. So forgetting is haste and not what
//! protects them: if it fails, that is counted and said in the log, and the hour does it. The CDN takes 15 paths with a wildcard at a
//! time, and a post takes two, so posts are forgotten by sevens, newest first. Of an account with many posts the next seven may be
//! refused while those before are in hand. Nobody waits for that: first all files must be gone, and a copy lives for an hour at most. Nor
//! is everything forgotten at once instead: whoever turned back and forth would empty the CDN for all.
//!
//! One request is all that is asked of the CDN: it is signed and sent without the CDN's SDK.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use lambda_runtime::Error;
use tintype_core::PostId;
use tintype_resilience::Dependency;
use tintype_signed::Service;
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
    cdn: Service,
}

impl Cdn {
    /// The distribution whose id is in environment variable `DISTRIBUTION_ID`; emulators have none that keeps copies.
    pub(crate) fn from_env(aws: &SdkConfig) -> Self {
        let id = std::env::var("DISTRIBUTION_ID").ok().filter(|id| !id.is_empty());
        let distribution = |id| {
            let cdn = Service::new(aws, "cloudfront", REGION, TIMEOUT)?;
            Some(Distribution { dependency: Dependency::new("cdn"), id, cdn })
        };
        Self(id.and_then(distribution))
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
        let answer = self.cdn.ask(request(&self.id, &batch(posts, Uuid::now_v7()))).await?;
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

fn request(distribution: &str, body: &str) -> http::Request<Bytes> {
    let url = format!("https://{HOST}/2020-05-31/distribution/{distribution}/invalidation");
    let request = http::Request::post(url).header("content-type", "application/xml");
    request.body(Bytes::copy_from_slice(body.as_bytes())).expect("an id is plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_each_post_with_a_wildcard() {
        let posts = [PostId::new(), PostId::new()];
        let request = request("E2EXAMPLE", &batch(&posts, Uuid::nil()));
        assert_eq!(request.uri(), "https://cloudfront.amazonaws.com/2020-05-31/distribution/E2EXAMPLE/invalidation");
        let body = std::str::from_utf8(request.body()).unwrap();
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
