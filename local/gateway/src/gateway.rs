//! What happens to a request, from top to bottom.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use serde_json::Value;
use tintype_template::deployment::Api;

use crate::{
    Account,
    authorizer::Authorizer,
    call::Call,
    event::{Events, below_stage},
    integration::{self, Invoke},
    limits::{RequestBody, check_head, read_body},
    media::Media,
    refusal::Refusal,
    responses::GatewayResponses,
    routes::{Matched, RouteTable},
    throttle::TokenBucket,
};

/// The REST API and the media path, ready to answer.
pub(crate) struct Gateway {
    stage: String,
    binary_media_types: Vec<String>,
    routes: RouteTable,
    throttle: Option<TokenBucket>,
    authorizer: Option<Authorizer>,
    events: Events,
    invoke: Invoke,
    responses: GatewayResponses,
    media: Option<Media>,
}

impl Gateway {
    pub(crate) fn new(account: Account, api: Api, media: Option<Media>, invoke: Invoke) -> Self {
        let Api { id, stage, routes, authorizer, responses, throttle, binary_media_types } = api;
        Self {
            routes: RouteTable::new(routes),
            throttle: throttle.map(TokenBucket::new),
            authorizer: authorizer.map(|authorizer| Authorizer::new(authorizer, Invoke::clone(&invoke))),
            events: Events::new(account, id, stage.clone(), binary_media_types.clone()),
            responses: GatewayResponses::new(responses),
            stage,
            binary_media_types,
            invoke,
            media,
        }
    }

    /// Answers a request, whatever it is.
    pub(crate) async fn answer(&self, request: Request<RequestBody>, client: SocketAddr, port: u16) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let call = Call::new(head, client, port);
        let mut response = match self.respond(&call, body).await {
            Ok(response) => response,
            Err(refusal) => self.responses.answer(refusal, &call),
        };
        let headers = response.headers_mut();
        headers.insert("x-amzn-requestid", header_value(&call.request_id));
        headers.insert("x-amz-apigw-id", header_value(&call.extended_request_id));
        response
    }

    async fn respond(&self, call: &Call, body: RequestBody) -> Result<Response<Full<Bytes>>, Refusal> {
        check_head(call)?;
        if Media::covers(&call.path) {
            return self.media(call).await;
        }
        let body = read_body(call, body).await?;
        let matched = self.route(call)?;
        self.throttle()?;
        let caller = self.authorize(call, &matched).await?;
        let event = self.events.proxy_request(call, &matched, caller, &body)?;
        let function = &matched.route.function;
        let mut response = integration::respond(&self.invoke, function, &event, call, &self.binary_media_types).await?;
        response.headers_mut().insert("x-amzn-trace-id", header_value(&format!("Root={}", call.trace_id)));
        Ok(response)
    }

    /// What is not there is answered like a route that is not there.
    async fn media(&self, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
        let media = self.media.as_ref().ok_or(Refusal::MissingAuthenticationToken)?;
        let response = media.answer(&call.method, &call.path, &call.headers).await;
        response.ok_or(Refusal::MissingAuthenticationToken)
    }

    fn route(&self, call: &Call) -> Result<Matched<'_>, Refusal> {
        let path = below_stage(&self.stage, &call.path).ok_or(Refusal::MissingAuthenticationToken)?;
        self.routes.find(&call.method, path)
    }

    fn throttle(&self) -> Result<(), Refusal> {
        match &self.throttle {
            Some(bucket) if !bucket.take() => Err(Refusal::Throttled),
            _ => Ok(()),
        }
    }

    /// Who is calling, where the route asks; `None` where it does not.
    async fn authorize(&self, call: &Call, matched: &Matched<'_>) -> Result<Option<Value>, Refusal> {
        if !matched.route.authorized {
            return Ok(None);
        }
        // A route that asks for an authorizer the API does not have lets nobody in.
        let authorizer = self.authorizer.as_ref().ok_or(Refusal::AuthorizerConfigurationError)?;
        authorizer.authorize(call, matched, &self.events).await.map(Some)
    }
}

/// Ids are ASCII.
fn header_value(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).expect("ids have no characters that a header cannot have")
}
