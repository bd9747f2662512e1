//! How large a request may be, and how slow.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::{BodyExt as _, LengthLimitError, Limited, combinators::UnsyncBoxBody};

use crate::{call::Call, refusal::Refusal};

/// A request's body as it arrives.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// API Gateway's longest request line and headers together.
const MAX_HEAD: usize = 10_240;
/// API Gateway's largest body.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a refused body is still read, so that a client that is busy sending gets to read the answer.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// Refuses a head that is too large, or that no function could make a URL of.
pub(crate) fn check_head(call: &Call) -> Result<(), Refusal> {
    let request_line = call.path.len() + call.query.as_ref().map_or(0, String::len);
    let headers: usize = call.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if request_line + headers > MAX_HEAD {
        return Err(Refusal::HeadersTooLarge);
    }
    call.host().map(|_| ())
}

/// Reads the body whole. One that says it is too large is refused before any of it is kept.
pub(crate) async fn read_body(call: &Call, body: RequestBody) -> Result<Bytes, Refusal> {
    let declared = call.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > MAX_BODY) {
        // A client that waits for "100 Continue" sends nothing: it needs the answer alone.
        if !call.headers.contains_key(EXPECT) {
            discard(body);
        }
        return Err(Refusal::RequestTooLarge);
    }

    let mut body = body;
    let limited = Limited::new(&mut body, MAX_BODY);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Err(_) => Err(Refusal::RequestTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(body);
            Err(Refusal::RequestTooLarge)
        }
        // The client is gone, or does not speak HTTP.
        Ok(Err(_)) => Err(Refusal::BadRequest),
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
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body_util::Full;
    use hyper::body::{Body, Frame};

    use super::*;

    /// A client that sends nothing and does not hang up.
    struct StuckBody;

    impl Body for StuckBody {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            Poll::Pending
        }
    }

    fn body(bytes: usize) -> RequestBody {
        let never = |never: Infallible| match never {};
        Full::new(Bytes::from(vec![b'x'; bytes])).map_err(never).boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_may_be_ten_megabytes_and_no_more() {
        let call = Call::for_testing("POST", "/v1/posts");
        assert_eq!(read_body(&call, body(MAX_BODY)).await.unwrap().len(), MAX_BODY);
        assert_eq!(read_body(&call, body(MAX_BODY + 1)).await, Err(Refusal::RequestTooLarge));

        let mut call = call;
        call.headers.insert(CONTENT_LENGTH, (MAX_BODY + 1).into());
        assert_eq!(read_body(&call, body(0)).await, Err(Refusal::RequestTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let call = Call::for_testing("POST", "/v1/posts");
        let stuck = StuckBody.boxed_unsync();
        assert_eq!(read_body(&call, stuck).await, Err(Refusal::RequestTimeout));
    }

    #[test]
    fn a_head_may_be_ten_kilobytes_and_no_more() {
        let mut call = Call::for_testing("GET", "/v1/feed");
        assert_eq!(check_head(&call), Ok(()));
        call.headers.insert("x-long", "x".repeat(MAX_HEAD).parse().unwrap());
        assert_eq!(check_head(&call), Err(Refusal::HeadersTooLarge));
    }
}
