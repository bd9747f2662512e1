//! One request as the gateway received it, with the ids it was given.

use std::net::{IpAddr, SocketAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use http::{HeaderMap, Method, Version, header::HOST, request::Parts};
use jiff::Timestamp;
use uuid::Uuid;

use crate::refusal::Refusal;

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
    pub(crate) source_ip: IpAddr,
    /// The port that the gateway listens on.
    pub(crate) port: u16,
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// With the stage, not decoded.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
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
            source_ip: client.ip(),
            port,
            method: head.method,
            version: head.version,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
        }
    }

    /// The `Host` header. Without a valid one no function is asked: AWS routes by it, and functions make URLs of it.
    pub(crate) fn host(&self) -> Result<&str, Refusal> {
        let mut hosts = self.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::BadRequest);
        };
        let host = host.to_str().map_err(|_| Refusal::BadRequest)?;
        let url = url::Url::parse(&format!("http://{host}/")).map_err(|_| Refusal::BadRequest)?;
        // Nothing in it may have been read as user, path or query.
        let is_authority = url.username().is_empty() && url.path() == "/" && !host.contains(['/', '\\', '?', '#', '@']);
        if is_authority { Ok(host) } else { Err(Refusal::BadRequest) }
    }

    /// For example `HTTP/1.1`.
    pub(crate) fn protocol(&self) -> String {
        format!("{:?}", self.version)
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
    let parts: Vec<&str> = root.split('-').collect();
    match parts[..] {
        ["1", time, unique] if hexadecimal(time, 8) && hexadecimal(unique, 24) => Some(root.to_owned()),
        _ => None,
    }
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
        for wrong in ["", "Root=", "Root=1-1-1", "Root=1-6789123z-abcdef012345678912345678", "Root=a\tb"] {
            assert_eq!(trace_id_of(&with_header("x-amzn-trace-id", wrong)), None, "{wrong}");
        }
        let made = new_trace_id(Timestamp::now());
        assert_eq!(trace_id_of(&with_header("x-amzn-trace-id", &format!("Root={made}"))), Some(made));
    }

    #[test]
    fn hosts() {
        let host = |value: &str| {
            let mut call = Call::for_testing("GET", "/v1/feed");
            call.headers = with_header("host", value);
            call.host().is_ok()
        };
        for good in ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "tintype.example", "a_b.example"] {
            assert!(host(good), "{good}");
        }
        // Functions parse a URL made of it, and would fail on these.
        for bad in ["", ":3000", "999.1.1.1", "a b", "u@h", "h/p", "h?q", "h#f", "[::", "localhost:99999", "xn--a"] {
            assert!(!host(bad), "{bad}");
        }
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
