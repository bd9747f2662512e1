//! API Gateway's REST API on this machine, and the CDN's media path beside it.
//!
//! A request goes through the same stations as on AWS, in [`gateway`]: limits, route, throttles, authorizer, function. Whatever
//! stops it on the way is a [`refusal`], and the template's `GatewayResponses` give that its shape.

mod access_log;
mod authorizer;
mod cache;
mod call;
mod connections;
mod context;
mod cors;
mod event;
mod gateway;
mod integration;
mod limits;
mod media;
mod parameters;
mod policy;
mod refusal;
mod responses;
mod routes;
mod server;
mod text;
mod throttle;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tintype_cloud::{Log, s3::Buckets};
use tintype_lambda::Lambda;
use tintype_template::deployment::{Api, MediaOrigin};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    gateway::Gateway,
    integration::{Invocation, Invoke},
    media::Media,
};

/// Whose API this is; part of the ARNs that authorizers see.
#[derive(Debug, Clone)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// For example `us-east-1`.
    pub region: String,
}

/// What the gateway is made of.
pub struct Parts {
    /// Whose API it is.
    pub account: Account,
    /// The API.
    pub api: Api,
    /// What is served below `/media`.
    pub media: Option<MediaOrigin>,
    /// Where that lies.
    pub buckets: Buckets,
    /// The functions behind the API.
    pub lambda: Lambda,
    /// Where the access log goes.
    pub access_log: Log,
}

/// Serves the API below `/{stage}`, and media below `/media`, until `stop` turns true; then lets running requests end.
pub async fn serve(listener: TcpListener, parts: Parts, stop: watch::Receiver<bool>) {
    let Parts { account, api, media, buckets, lambda, access_log } = parts;
    let media = media.map(|origin| Media::new(origin, buckets));
    let gateway = Gateway::new(account, api, media, invoke_with(lambda), Some(access_log));
    server::serve(listener, Arc::new(gateway), server::MOST_CONNECTIONS, stop).await;
}

/// A client that hangs up, or the gateway's own timeout, ends no invocation that has begun: the function runs to its end, as on AWS.
fn invoke_with(lambda: Lambda) -> Invoke {
    Arc::new(move |Invocation { function, payload, trace, repeatable }| {
        let lambda = lambda.clone();
        Box::pin(async move { lambda.invoke(&function, payload, &trace, repeatable).await })
    })
}
