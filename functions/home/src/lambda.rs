//! Asks another function, as the gateway would: Lambda's `Invoke`, signed and sent without Lambda's SDK.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_config::SdkConfig;
use aws_lambda_events::apigw::ApiGatewayProxyResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use axum::http::{HeaderValue, Request, StatusCode};
use lambda_http::Error;
use serde_json::Value;
use tintype_signed::{Service, Unanswered};

/// Longer than any section's deadline, which is what ends a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a function gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Lambda can't be reached.
    #[error("Lambda can't be reached: {0}")]
    Unanswered(Unanswered),
    /// Lambda did not begin it: 429 where there is no room for one more.
    #[error("Lambda answers {0}")]
    Refused(StatusCode),
    /// It has ended without an answer.
    #[error("the function failed: {0}")]
    Failed(String),
    /// It has answered, but not with what it was asked for.
    #[error("the function answers {0}")]
    Status(i64),
    /// Its answer is none.
    #[error("the function's answer can't be read: {0}")]
    Unreadable(serde_json::Error),
}

/// As many connections as are used at once, and may be dead after a pause.
const CONNECTIONS: usize = 3;

/// Lambda, in this region or on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Lambda {
    service: Service,
    /// How many connections broke since the last answer.
    broken: Arc<AtomicUsize>,
    /// Without a slash at the end.
    endpoint: String,
}

impl Lambda {
    /// The one of the environment.
    pub(crate) fn from_env(aws: &SdkConfig) -> Result<Self, Error> {
        let region = aws.region().ok_or("AWS_REGION is not set")?.to_string();
        let emulated = env::var("AWS_ENDPOINT_URL_LAMBDA").ok().or_else(|| aws.endpoint_url().map(str::to_owned));
        let endpoint = emulated.filter(|endpoint| !endpoint.is_empty()).unwrap_or_else(|| endpoint_of(&region));
        let service = Service::new(aws, "lambda", region, PATIENCE).ok_or("there are no credentials")?;
        Ok(Self::of(service, &endpoint))
    }

    pub(crate) fn of(service: Service, endpoint: &str) -> Self {
        Self { service, broken: Arc::default(), endpoint: endpoint.trim_end_matches('/').to_owned() }
    }

    /// Opens as many connections as are needed at once.
    pub(crate) async fn warm(&self) {
        tokio::join!(self.service.warm(&self.endpoint), self.service.warm(&self.endpoint), self.service.warm(&self.endpoint));
    }

    /// Runs a function on an event of the gateway, and waits for what it answers. Once: what fails is missing, and who misses it asks again.
    /// But a kept connection may have ended while the environment was frozen: then it is asked once more, on a new one, which may be done
    /// twice, for it reads only. Not without end while Lambda can't be reached.
    pub(crate) async fn invoke(&self, function: &str, event: &Value, trace_id: &str) -> Result<ApiGatewayProxyResponse, Failure> {
        let mut request = Request::post(format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint))
            .header("content-type", "application/json")
            .body(event.to_string().into())
            .map_err(|error| Failure::Unanswered(error.into()))?;
        if let Some(trace_id) = HeaderValue::from_str(trace_id).ok().filter(|trace_id| !trace_id.is_empty()) {
            request.headers_mut().insert("x-amzn-trace-id", trace_id);
        }
        let answer = match self.service.ask(request.clone()).await {
            Err(error) if is_broken(&error) && self.broken.fetch_add(1, Ordering::Relaxed) < CONNECTIONS => self.service.ask(request).await,
            answer => answer,
        };
        let answer = answer.map_err(Failure::Unanswered)?;
        self.broken.store(0, Ordering::Relaxed);
        if answer.status() != StatusCode::OK {
            return Err(Failure::Refused(answer.status()));
        }
        // A failed invocation is 200 too. What it says may quote what it was asked, which is not for the log.
        if let Some(kind) = answer.headers().get("x-amz-function-error") {
            return Err(Failure::Failed(kind.to_str().unwrap_or_default().to_owned()));
        }
        serde_json::from_slice(answer.body()).map_err(Failure::Unreadable)
    }
}

/// Whether the connection is what went wrong, and not the time.
fn is_broken(error: &Unanswered) -> bool {
    error.downcast_ref::<ConnectorError>().is_some_and(|error| error.is_io() || error.as_other().is_some())
}

fn endpoint_of(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{domain}")
}
