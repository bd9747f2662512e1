//! Requests to AWS services of which one operation is all that is asked: with the SDK's signer and connector, without the service's own
//! crate, which would be larger than the rest of a function.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http::{Request, Response};

/// Why a request got no answer: no credentials, no connection, or an answer that broke off.
pub type Unanswered = Box<dyn std::error::Error + Send + Sync>;

/// A service, and who asks it. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Service {
    /// As signatures call it: `cloudfront`, `lambda`.
    name: &'static str,
    region: String,
    credentials: SharedCredentialsProvider,
    connector: SharedHttpConnector,
}

impl Service {
    /// A service that takes signatures for `region`; `patience`: with a connection, and with the beginning of an answer. `None` where the
    /// environment has no credentials at all.
    pub fn new(aws: &SdkConfig, name: &'static str, region: impl Into<String>, patience: Duration) -> Option<Self> {
        let settings = HttpConnectorSettings::builder().connect_timeout(patience).read_timeout(patience).build();
        let connector = aws_smithy_http_client::default_connector(&settings, aws.sleep_impl())?;
        Some(Self::of(name, region, aws.credentials_provider()?, connector))
    }

    /// The same, asked through a connector of one's own.
    pub fn of(
        name: &'static str,
        region: impl Into<String>,
        credentials: SharedCredentialsProvider,
        connector: SharedHttpConnector,
    ) -> Self {
        Self { name, region: region.into(), credentials, connector }
    }

    /// Signs the request and sends it, once; answers whatever the service does, refusals too.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unanswered> {
        let identity = self.credentials.provide_credentials().await?.into();
        let params = v4::SigningParams::builder().identity(&identity).region(&self.region).name(self.name).time(SystemTime::now());
        self.send(signed(request, &params.settings(SigningSettings::default()).build()?.into())?).await
    }

    /// Opens a connection, so that the first request need not wait for that. What `url` answers to a stranger matters to nobody.
    pub async fn warm(&self, url: &str) {
        if let Ok(request) = Request::get(url).body(Bytes::new()) {
            let _ = self.send(request).await;
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unanswered> {
        let response = self.connector.call(request.map(Into::into).try_into()?).await?.try_into_http1x()?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, ByteStream::new(body).collect().await?.into_bytes()))
    }
}

/// The same request with its signature, over all of its headers but the trace id, which hops may change.
fn signed(mut request: Request<Bytes>, params: &SigningParams<'_>) -> Result<Request<Bytes>, Unanswered> {
    let headers = request.headers().iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
    let headers: Vec<(&str, &str)> = headers.collect::<Result<_, Unanswered>>()?;
    let url = request.uri().to_string();
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(request.method().as_str(), &url, headers.into_iter(), body)?;
    let (instructions, _) = sign(signable, params)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    #[test]
    fn a_signature_covers_method_path_headers_and_body() {
        let identity = Credentials::new("an-access-key", "a-secret-key", Some("a-token".to_owned()), None, "test").into();
        let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("lambda").time(SystemTime::UNIX_EPOCH);
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let signature = |method: &str, path: &str, kind: &str, body: &'static str| {
            let request =
                Request::builder().method(method).uri(format!("http://127.0.0.1:4566{path}")).header("x-amz-invocation-type", kind);
            let signed = signed(request.header("x-amzn-trace-id", "Root=1").body(body.into()).unwrap(), &params).unwrap();
            assert_eq!((signed.headers()["x-amz-security-token"].to_str().unwrap(), signed.body().as_ref()), ("a-token", body.as_bytes()));
            signed.headers()["authorization"].to_str().unwrap().to_owned()
        };
        let whole = signature("POST", "/a", "Event", "{}");
        assert!(whole.starts_with("AWS4-HMAC-SHA256 Credential=an-access-key/19700101/us-east-1/lambda/aws4_request, "), "{whole}");
        assert!(whole.contains("SignedHeaders=host;x-amz-date;x-amz-invocation-type;x-amz-security-token, "), "{whole}");
        let others =
            [("PUT", "/a", "Event", "{}"), ("POST", "/b", "Event", "{}"), ("POST", "/a", "DryRun", "{}"), ("POST", "/a", "Event", "[]")];
        for (method, path, kind, body) in others {
            assert_ne!(signature(method, path, kind, body), whole, "{method} {path} {kind} {body}");
        }
    }
}
