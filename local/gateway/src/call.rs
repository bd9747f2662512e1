//! One request as the gateway received it, with the ids it was given.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use http::{HeaderMap, Method, Uri, Version, header::HOST, request::Parts};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// The head of a request, and what is known of it before any function is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `x-amzn-RequestId`
    pub(crate) request_id: String,
    /// `x-amz-apigw-id`
    pub(crate) extended_request_id: String,
    /// X-Ray's trace id: `1-{time}-{96 bits}`.
    pub(crate) trace_id: String,
    pub(crate) received: Timestamp,
    /// The same moment, to measure from.
    pub(crate) started: Instant,
    pub(crate) source_ip: String,
    /// The port that the gateway listens on.
    pub(crate) port: u16,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    uri: Uri,
}

impl Call {
    pub(crate) fn new(head: Parts, client: SocketAddr, port: u16) -> Self {
        let received = Timestamp::now();
        let trace_id = trace_id_of(&head.headers).unwrap_or_else(|| new_trace_id(received));
        Self {
            request_id: Uuid::now_v7().to_string(),
            extended_request_id: URL_SAFE.encode(&Uuid::now_v7().as_bytes()[5..]),
            trace_id,
            received,
            started: Instant::now(),
            source_ip: client.ip().to_string(),
            port,
            method: head.method,
            version: head.version,
            headers: head.headers,
            uri: head.uri,
        }
    }

    /// With the stage, not decoded.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Not decoded; empty if there is none.
    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// The `Host` header, if there is exactly one; `limits` has seen to it that it is a host.
    pub(crate) fn host(&self) -> Option<&str> {
        let mut hosts = self.headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            _ => None,
        }
    }

    /// For example `HTTP/1.1`.
    pub(crate) fn protocol(&self) -> &'static str {
        if self.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }
    }

    /// In Common Log Format: `15/May/2020:06:01:09 +0000`.
    pub(crate) fn request_time(&self) -> String {
        self.received.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
    }

    /// What Lambda is given to pass on: the trace, a new segment as parent, and that it is sampled.
    pub(crate) fn trace_header(&self) -> String {
        let parent = Uuid::now_v7().as_u64_pair().1;
        format!("Root={};Parent={parent:016x};Sampled=1", self.trace_id)
    }
}

/// The trace that the client says this request belongs to.
fn trace_id_of(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root="))?;
    let hexadecimal = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = root.split('-');
    let (version, time, unique) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = version == "1" && hexadecimal(time, 8) && hexadecimal(unique, 24) && parts.next().is_none();
    is_id.then(|| root.to_owned())
}

fn new_trace_id(now: Timestamp) -> String {
    // The last 96 bits of a UUIDv7: unique to this process's clock and random.
    let unique = Uuid::now_v7().as_u128() & ((1 << 96) - 1);
    format!("1-{:08x}-{unique:024x}", now.as_second())
}

#[cfg(test)]
impl Call {
    pub(crate) fn for_testing(method: &str, path: &str) -> Self {
        let request = http::Request::builder().method(method).uri(path).header(HOST, "127.0.0.1:3000");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Self::new(head, SocketAddr::from(([127, 0, 0, 1], 50_000)), 3000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_clients_trace_is_kept_and_nonsense_is_not() {
        let root = "1-67891233-abcdef012345678912345678";
        let header = with_header("x-amzn-trace-id", &format!("Self=1-2-3;Root={root};Sampled=0"));
        assert_eq!(trace_id_of(&header).as_deref(), Some(root));
        for wrong in ["", "Root=", "Root=1-1-1", "Root=1-6789123z-abcdef012345678912345678", "Root=a\tb", &format!("Root={root}-1")] {
            assert_eq!(trace_id_of(&with_header("x-amzn-trace-id", wrong)), None, "{wrong}");
        }
        let made = new_trace_id(Timestamp::now());
        assert_eq!(trace_id_of(&with_header("x-amzn-trace-id", &format!("Root={made}"))), Some(made));
    }

    #[test]
    fn ids_differ_and_have_their_lengths() {
        let (a, b) = (Call::for_testing("GET", "/"), Call::for_testing("GET", "/"));
        assert_ne!(a.request_id, b.request_id);
        assert_ne!(a.extended_request_id, b.extended_request_id);
        assert_ne!(a.trace_id, b.trace_id);
        assert_eq!(a.extended_request_id.len(), 16);
    }
}
