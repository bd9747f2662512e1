//! How large a request may be, and how slow.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::{BodyExt as _, Limited, combinators::UnsyncBoxBody};
use tokio::sync::Semaphore;

use crate::{call::Call, refusal::Refusal};

/// A request's body as it arrives.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// The longest path and query of a regional API.
const MAX_URL: usize = 10_240;
/// API Gateway's longest request line and header values together.
const MAX_HEAD: usize = 10_240;
/// API Gateway's largest body.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies up to here are as many as there are connections; no request of ours is larger.
const SMALL_BODY: usize = 64 * 1024;
/// Larger ones wait for each other, so that all bodies together have a bound.
const LARGE_BODIES: usize = 16;
/// How much of a refused body is still read, so that a client that is busy sending gets to read the answer.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// Refuses a head that is too large, or that no function could make a URL of.
pub(crate) fn check_head(call: &Call) -> Result<(), Refusal> {
    let query = call.query();
    let url = call.path().len() + if query.is_empty() { 0 } else { 1 + query.len() };
    if url > MAX_URL {
        return Err(Refusal::UrlTooLong);
    }
    let request_line = call.method.as_str().len() + url + call.protocol().len() + 2;
    let values: usize = call.headers.values().map(http::HeaderValue::len).sum();
    if request_line + values > MAX_HEAD {
        return Err(Refusal::HeadersTooLarge);
    }
    // API Gateway wants these encoded.
    let is_understood = !query.contains(['|', '{', '}']) && call.host().is_some_and(is_host);
    if is_understood { Ok(()) } else { Err(Refusal::BadRequest) }
}

/// AWS routes by it, and functions make URLs of it: nothing in it may be read as user, path or query.
fn is_host(host: &str) -> bool {
    let url = url::Url::parse(&format!("http://{host}/"));
    url.is_ok_and(|url| url.username().is_empty() && url.path() == "/" && !host.contains(['/', '\\', '?', '#', '@']))
}

/// The bodies that are being read.
pub(crate) struct Bodies {
    large: Semaphore,
}

impl Bodies {
    pub(crate) fn new() -> Self {
        Self { large: Semaphore::new(LARGE_BODIES) }
    }

    /// Reads a body whole. One that says it is too large is refused before any of it is kept.
    pub(crate) async fn read(&self, call: &Call, mut body: RequestBody) -> Result<Bytes, Refusal> {
        let declared = call.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: usize| length > MAX_BODY) {
            // A client that waits for "100 Continue" sends nothing: it needs the answer alone.
            if !call.headers.contains_key(EXPECT) {
                discard(body);
            }
            return Err(Refusal::RequestTooLarge);
        }
        let read = tokio::time::timeout(BODY_TIMEOUT, self.collect(&mut body)).await.unwrap_or(Err(Refusal::RequestTimeout));
        if read == Err(Refusal::RequestTooLarge) {
            discard(body);
        }
        read
    }

    async fn collect(&self, body: &mut RequestBody) -> Result<Bytes, Refusal> {
        let mut read = BytesMut::new();
        let mut large = None;
        // Most bodies are one frame, and are passed on as they came.
        let mut only = Bytes::new();
        while let Some(frame) = body.frame().await {
            // The client is gone, or does not speak HTTP.
            let Ok(data) = frame.map_err(|_| Refusal::BadRequest)?.into_data() else { continue };
            let length = only.len() + read.len() + data.len();
            if length > MAX_BODY {
                return Err(Refusal::RequestTooLarge);
            }
            if length > SMALL_BODY && large.is_none() {
                large = self.large.acquire().await.ok();
            }
            if length == data.len() {
                only = data;
            } else {
                read.extend_from_slice(&std::mem::take(&mut only));
                read.extend_from_slice(&data);
            }
        }
        Ok(if read.is_empty() { only } else { read.freeze() })
    }
}

/// Reads on in the background and keeps nothing: to close with bytes unread would reset the connection, and
/// the client might lose the answer.
fn discard(body: RequestBody) {
    tokio::spawn(tokio::time::timeout(BODY_TIMEOUT, async move {
        let mut body = Limited::new(body, MAX_DISCARDED);
        while let Some(Ok(_)) = body.frame().await {}
    }));
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body_util::Full;
    use hyper::body::{Body, Frame};
    use tokio::time::Instant;

    use super::*;

    /// A client that sends these chunks, and then ends or is stuck.
    struct Chunks {
        left: VecDeque<Bytes>,
        ends: bool,
    }

    impl Body for Chunks {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            match self.left.pop_front() {
                Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn stuck_after(bytes: usize) -> RequestBody {
        Chunks { left: [vec![b'x'; bytes].into()].into(), ends: false }.boxed_unsync()
    }

    fn body(bytes: usize) -> RequestBody {
        let never = |never: Infallible| match never {};
        Full::new(Bytes::from(vec![b'x'; bytes])).map_err(never).boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_may_be_ten_megabytes_and_no_more() {
        let bodies = Bodies::new();
        let call = Call::for_testing("POST", "/v1/posts");
        assert_eq!(bodies.read(&call, body(MAX_BODY)).await.unwrap().len(), MAX_BODY);
        assert_eq!(bodies.read(&call, body(MAX_BODY + 1)).await, Err(Refusal::RequestTooLarge));

        let mut call = call;
        call.headers.insert(CONTENT_LENGTH, (MAX_BODY + 1).into());
        assert_eq!(bodies.read(&call, body(0)).await, Err(Refusal::RequestTooLarge));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let pieces = Chunks { left: ["a", "", "bc", "d"].map(Bytes::from).into(), ends: true };
        let read = Bodies::new().read(&Call::for_testing("POST", "/v1/posts"), pieces.boxed_unsync()).await;
        assert_eq!(read.unwrap(), "abcd");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let call = Call::for_testing("POST", "/v1/posts");
        assert_eq!(Bodies::new().read(&call, stuck_after(0)).await, Err(Refusal::RequestTimeout));
    }

    /// So all bodies that are being read take no more memory than a few large ones and all small ones.
    #[tokio::test(start_paused = true)]
    async fn large_bodies_that_get_stuck_keep_no_small_one_waiting_and_are_given_up() {
        let bodies = std::sync::Arc::new(Bodies::new());
        let started = Instant::now();
        let stuck: Vec<_> = (0..=LARGE_BODIES)
            .map(|_| {
                let bodies = std::sync::Arc::clone(&bodies);
                tokio::spawn(async move { bodies.read(&Call::for_testing("POST", "/v1/posts"), stuck_after(MAX_BODY)).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(bodies.large.available_permits(), 0);
        let call = Call::for_testing("POST", "/v1/posts");
        assert_eq!(bodies.read(&call, body(SMALL_BODY)).await.unwrap().len(), SMALL_BODY);
        assert_eq!(started.elapsed(), Duration::ZERO);
        for stuck in stuck {
            assert_eq!(stuck.await.unwrap(), Err(Refusal::RequestTimeout));
        }
        assert_eq!(bodies.read(&call, body(MAX_BODY)).await.unwrap().len(), MAX_BODY);
    }

    #[test]
    fn a_head_may_be_ten_kilobytes_and_no_more() {
        let mut call = Call::for_testing("GET", "/v1/feed");
        assert_eq!(check_head(&call), Ok(()));
        let rest = MAX_HEAD - "GET /v1/feed HTTP/1.1".len() - "127.0.0.1:3000".len();
        call.headers.insert("x-long", "x".repeat(rest).parse().unwrap());
        assert_eq!(check_head(&call), Ok(()));
        call.headers.insert("x-long", "x".repeat(rest + 1).parse().unwrap());
        assert_eq!(check_head(&call), Err(Refusal::HeadersTooLarge));
    }

    #[test]
    fn a_url_may_be_ten_kilobytes_and_no_more() {
        let url = |length: usize| Call::for_testing("GET", &format!("/{}?{}", "p".repeat(100), "q".repeat(length - 102)));
        assert_eq!(check_head(&url(MAX_URL + 1)), Err(Refusal::UrlTooLong));
        // The request line is longer than the URL.
        assert_eq!(check_head(&url(MAX_URL)), Err(Refusal::HeadersTooLarge));
        assert_eq!(check_head(&url(MAX_URL - 100)), Ok(()));
    }

    #[test]
    fn pipes_and_braces_have_to_be_encoded() {
        for query in ["a=|", "a={", "}"] {
            assert_eq!(check_head(&Call::for_testing("GET", &format!("/v1/feed?{query}"))), Err(Refusal::BadRequest), "{query}");
        }
        assert_eq!(check_head(&Call::for_testing("GET", "/v1/feed?a=%7C%7B")), Ok(()));
    }

    #[test]
    fn hosts() {
        for good in ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "tintype.example", "a_b.example"] {
            assert!(is_host(good), "{good}");
        }
        // Functions parse a URL made of it, and would fail on these.
        for bad in ["", ":3000", "999.1.1.1", "a b", "u@h", "h/p", "h?q", "h#f", "[::", "localhost:99999", "xn--a"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
