//! What happens to a request, from top to bottom.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::body::Body as _;
use tintype_cloud::Log;
use tintype_template::deployment::Api;

use crate::{
    Account,
    access_log::AccessLog,
    authorizer::Authorizer,
    call::Call,
    context::{Answered, Context, Journey},
    event::{ApiIdentity, Caller, has_binary_body},
    integration::{self, Invoke},
    limits::{Bodies, RequestBody, check_head},
    media::Media,
    refusal::Refusal,
    responses::GatewayResponses,
    routes::{Integration, Matched, RouteTable},
    throttle::TokenBucket,
};

/// The REST API and the media path, ready to answer.
pub(crate) struct Gateway {
    api: ApiIdentity,
    binary_media_types: Vec<String>,
    bodies: Bodies,
    routes: RouteTable,
    throttle: Option<TokenBucket>,
    authorizer: Option<Authorizer>,
    invoke: Invoke,
    responses: GatewayResponses,
    media: Option<Media>,
    access_log: Option<AccessLog>,
}

impl Gateway {
    /// `access_log` is where its lines go, if the template has such a log.
    pub(crate) fn new(account: Account, api: Api, media: Option<Media>, invoke: Invoke, access_log: Option<Log>) -> Self {
        let Api { id, stage, routes, authorizer, responses, throttle, method_throttles, cors, access_log: format, binary_media_types } =
            api;
        Self {
            api: ApiIdentity { account, id, stage },
            binary_media_types,
            bodies: Bodies::new(),
            routes: RouteTable::new(routes, &method_throttles, cors.as_ref()),
            throttle: throttle.map(TokenBucket::new),
            authorizer: authorizer.map(|authorizer| Authorizer::new(authorizer, Invoke::clone(&invoke))),
            invoke,
            responses: GatewayResponses::new(responses),
            media,
            access_log: format.zip(access_log).map(|(format, log)| AccessLog::new(&format, log)),
        }
    }

    /// Answers a request, whatever it is.
    pub(crate) async fn answer(&self, request: Request<RequestBody>, client: SocketAddr, port: u16) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let call = Call::new(head, client, port);
        let mut journey = Journey::default();
        let answer = self.respond(&call, body, &mut journey).await;

        let refused = answer.as_ref().err().map(|refusal| refusal.describe());
        let mut context = Context { api: &self.api, call: &call, journey: &journey, refused, answered: None };
        let mut response = match (answer, refused) {
            (Ok(response), _) => response,
            (Err(refusal), described) => self.responses.answer(described.unwrap_or_else(|| refusal.describe()), &context),
        };
        let headers = response.headers_mut();
        headers.insert("x-amzn-requestid", header_value(&call.request_id));
        headers.insert("x-amz-apigw-id", header_value(&call.extended_request_id));
        // What the CDN serves, and what is refused at the front door, is no request of this API.
        let is_the_apis = !Media::covers(call.path()) && refused.is_none_or(|refused| refused.response_type.is_some());
        if let Some(access_log) = self.access_log.as_ref().filter(|_| is_the_apis) {
            let length = response.body().size_hint().lower();
            context.answered = Some(Answered { status: response.status().as_u16(), length });
            access_log.write(&context);
        }
        response
    }

    async fn respond<'g>(&'g self, call: &Call, body: RequestBody, journey: &mut Journey<'g>) -> Result<Response<Full<Bytes>>, Refusal> {
        check_head(call)?;
        if Media::covers(call.path()) {
            return self.media(call).await;
        }
        let body = self.bodies.read(call, body).await?;
        let matched = self.route(call)?;
        journey.resource = Some((matched.resource_path, matched.resource_id));
        // A method's own settings override those that it has from the stage.
        let throttle = matched.endpoint.throttle.as_ref().or(self.throttle.as_ref());
        if !throttle.is_none_or(TokenBucket::take) {
            return Err(Refusal::Throttled);
        }
        let caller = self.authorize(call, &matched, journey).await?;
        match &matched.endpoint.integration {
            Integration::Preflight(preflight) => Ok(preflight.answer()),
            Integration::Function(function) => {
                let binary = has_binary_body(&self.binary_media_types, call);
                let event = self.api.proxy_request(call, &matched, caller.as_ref(), &body, binary);
                drop(body);
                let mut response = integration::respond(&self.invoke, function, event, call, &self.binary_media_types, journey).await?;
                response.headers_mut().insert("x-amzn-trace-id", header_value(&format!("Root={}", call.trace_id)));
                Ok(response)
            }
        }
    }

    /// What is not there is answered like a route that is not there.
    async fn media(&self, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
        let media = self.media.as_ref().ok_or(Refusal::MissingAuthenticationToken)?;
        let response = media.answer(&call.method, call.path(), &call.headers).await;
        response.ok_or(Refusal::MissingAuthenticationToken)
    }

    fn route(&self, call: &Call) -> Result<Matched<'_>, Refusal> {
        let path = self.api.below_stage(call.path()).ok_or(Refusal::MissingAuthenticationToken);
        let matched = path.and_then(|path| self.routes.find(&call.method, path));
        let is_signed = call.headers.contains_key(AUTHORIZATION);
        matched.map_err(|refusal| match refusal {
            Refusal::MissingAuthenticationToken if is_signed => Refusal::InvalidSignature,
            refusal => refusal,
        })
    }

    /// Who is calling, where the route asks; `None` where it does not.
    async fn authorize(&self, call: &Call, matched: &Matched<'_>, journey: &mut Journey<'_>) -> Result<Option<Caller>, Refusal> {
        if !matched.endpoint.authorized {
            return Ok(None);
        }
        // A route that asks for an authorizer the API does not have lets nobody in.
        let authorizer = self.authorizer.as_ref().ok_or(Refusal::AuthorizerConfigurationError)?;
        authorizer.authorize(call, matched, &self.api, journey).await.map(Some)
    }
}

/// Ids are ASCII.
fn header_value(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).expect("ids have no characters that a header cannot have")
}
