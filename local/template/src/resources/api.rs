//! `AWS::Serverless::Api`

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;

use super::{Identity, Kind, Resource};
use crate::{
    Machine,
    deployment::{Api, Authorizer, Cors, GatewayResponse, MethodThrottle, Throttle},
    error::Error,
    fields::{self, Fields},
    intrinsics::Scope,
};

/// How long an authorizer's answer is cached unless told.
const AUTHORIZER_TTL: Duration = Duration::from_mins(5);

pub(super) fn identity(resource: &Resource, machine: &Machine) -> Identity {
    // Like the ids that API Gateway makes, which are parts of host names: lower-case letters and digits.
    let id = format!("{}{}", machine.stack_name, resource.logical_id).to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    Identity::new(Kind::Api, id.clone(), [(Identity::REF, id)])
}

/// The API; its routes are said by the functions.
pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Api, Error> {
    let id = resource.itself(scope)?.name.clone();
    resource.read(scope, |fields| {
        let mut responses = BTreeMap::new();
        for (kind, node) in fields.entries("GatewayResponses")? {
            responses.insert(kind, fields::read(&node, "GatewayResponse", scope, response)?);
        }
        let (authorizer, guards_preflights) = fields.nested("Auth", auth)?.unzip();
        let Throttles { stage: throttle, methods: method_throttles } = throttles(fields)?;
        Ok(Api {
            id,
            stage: fields.required("StageName")?,
            routes: Vec::new(),
            authorizer,
            responses,
            throttle,
            method_throttles,
            cors: fields.nested("Cors", |fields| cors(fields, guards_preflights.unwrap_or_default()))?,
            access_log: fields.nested("AccessLogSetting", access_log)?,
            // SAM writes `/` as `~1`.
            binary_media_types: fields.texts("BinaryMediaTypes")?.iter().map(|media_type| media_type.replace("~1", "/")).collect(),
        })
    })
}

/// Refuses the settings of a method that is not there: what they were meant for would go without.
pub(super) fn check(resource: &Resource, api: &Api) -> Result<(), Error> {
    let is_there = |throttle: &&MethodThrottle| api.routes.iter().any(|it| it.method == throttle.method && it.path == throttle.path);
    match api.method_throttles.iter().find(|throttle| !is_there(throttle)) {
        Some(MethodThrottle { method, path, .. }) => {
            Err(resource.properties.error(format!("MethodSettings names {method} {path}, which is no route")))
        }
        None => Ok(()),
    }
}

/// The one authorizer, which is the default, and whether SAM puts it before preflights too.
fn auth(fields: &mut Fields<'_>) -> Result<(Authorizer, bool), Error> {
    let default = fields.required("DefaultAuthorizer")?;
    let guards_preflights = fields.boolean("AddDefaultAuthorizerToCorsPreflight")?.unwrap_or(true);
    let authorizer = match fields.entries("Authorizers")?.as_slice() {
        [(name, node)] if *name == default => fields::read(node, "Authorizer", fields.scope, |fields| authorizer(fields, name.clone())),
        _ => Err(fields.place.error("the local host knows one authorizer, which is the default")),
    };
    Ok((authorizer?, guards_preflights))
}

fn authorizer(fields: &mut Fields<'_>, name: String) -> Result<Authorizer, Error> {
    fields.fixed("FunctionPayloadType", "REQUEST")?;
    let function = fields.resource("FunctionArn", Kind::Function, "Arn")?.ok_or_else(|| fields.missing("FunctionArn"))?;
    let identity = fields.nested("Identity", |identity| {
        Ok((identity_headers(identity)?, identity.seconds("ReauthorizeEvery", 0..=3600)?.unwrap_or(AUTHORIZER_TTL)))
    })?;
    let (identity_headers, ttl) = identity.ok_or_else(|| fields.missing("Identity"))?;
    Ok(Authorizer { name, function: function.name.clone(), identity_headers, ttl })
}

/// The headers that tell callers apart. Without any, all of them would share one cached verdict.
fn identity_headers(identity: &mut Fields<'_>) -> Result<Vec<HeaderName>, Error> {
    let names = identity.texts("Headers")?;
    if names.is_empty() {
        return Err(identity.missing("Headers"));
    }
    let parse = |name: &String| name.parse().map_err(|_| identity.place.error(format!("`{name}` is no name of a header")));
    names.iter().map(parse).collect()
}

fn response(fields: &mut Fields<'_>) -> Result<GatewayResponse, Error> {
    let mut headers = BTreeMap::new();
    let given = fields.nested("ResponseParameters", |parameters| parameters.named_texts::<Vec<_>>("Headers"))?;
    for (name, value) in given.unwrap_or_default() {
        let value = unquoted(fields, &name, &value)?;
        headers.insert(name, value);
    }
    let status = fields.whole("StatusCode", 100..=599)?.map(u16::try_from).transpose();
    Ok(GatewayResponse {
        status: status.map_err(|_| fields.place.error("StatusCode is no HTTP status"))?,
        headers,
        templates: fields.named_texts("ResponseTemplates")?,
    })
}

/// The value of a header. Quoted it is the value itself, otherwise the name of something in the request.
fn unquoted(fields: &Fields<'_>, name: &str, value: &str) -> Result<String, Error> {
    let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    let inner = inner.ok_or_else(|| fields.place.error(format!("the local host knows only quoted values; the header {name} has none")))?;
    Ok(inner.to_owned())
}

fn cors(fields: &mut Fields<'_>, authorized: bool) -> Result<Cors, Error> {
    let mut value = |name| fields.text(name)?.map(|value| unquoted(fields, name, &value)).transpose();
    Ok(Cors {
        // SAM's own default.
        allow_origin: value("AllowOrigin")?.unwrap_or_else(|| "*".to_owned()),
        allow_headers: value("AllowHeaders")?,
        allow_methods: value("AllowMethods")?,
        max_age: value("MaxAge")?,
        authorized,
    })
}

/// The format, which API Gateway refuses as well if it is not like this.
fn access_log(fields: &mut Fields<'_>) -> Result<String, Error> {
    let format = fields.required("Format")?;
    let names_requests = ["$context.requestId", "$context.extendedRequestId"].iter().any(|id| format.contains(id));
    if format.contains('\n') || !names_requests {
        return Err(fields.place.error("Format must be one line with $context.requestId in it"));
    }
    Ok(format)
}

/// `MethodSettings`
#[derive(Default)]
struct Throttles {
    stage: Option<Throttle>,
    methods: Vec<MethodThrottle>,
}

fn throttles(fields: &mut Fields<'_>) -> Result<Throttles, Error> {
    let settings = fields.each("MethodSettings", |setting| {
        let path = setting.required("ResourcePath")?;
        let method = setting.required("HttpMethod")?.to_uppercase();
        let rate = setting.number("ThrottlingRateLimit")?.ok_or_else(|| setting.missing("ThrottlingRateLimit"))?;
        let burst = setting.whole("ThrottlingBurstLimit", 0..=u32::MAX)?.ok_or_else(|| setting.missing("ThrottlingBurstLimit"))?;
        let throttle = Throttle { rate, burst };
        match (path.as_str(), method.as_str()) {
            ("/*", "*") => Ok((None, throttle)),
            (path, method) if !path.contains('*') && method != "*" => Ok((Some((method.to_owned(), resource_path(path))), throttle)),
            _ => Err(setting.place.error("the local host knows settings of /* with the method *, or of one path and one method")),
        }
    })?;
    let mut throttles = Throttles::default();
    for (of, throttle) in settings {
        match of {
            None => throttles.stage = Some(throttle),
            Some((method, path)) => throttles.methods.push(MethodThrottle { method, path, throttle }),
        }
    }
    Ok(throttles)
}

/// `/~1users~1{username}`, as API Gateway wants it here, is `/users/{username}` everywhere else.
fn resource_path(encoded: &str) -> String {
    let path = encoded.replace("~1", "/");
    path.strip_prefix("//").map_or_else(|| path.clone(), |rest| format!("/{rest}"))
}
