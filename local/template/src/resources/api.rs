//! `AWS::Serverless::Api`

use std::{collections::BTreeMap, time::Duration};

use super::{Identity, Kind, Resource};
use crate::{
    Machine,
    deployment::{Api, Authorizer, GatewayResponse, Throttle},
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
        Ok(Api {
            id,
            stage: fields.required("StageName")?,
            routes: Vec::new(),
            authorizer: fields.nested("Auth", auth)?,
            responses,
            throttle: throttle(fields)?,
            // SAM writes `/` as `~1`.
            binary_media_types: fields.texts("BinaryMediaTypes")?.iter().map(|media_type| media_type.replace("~1", "/")).collect(),
        })
    })
}

/// The one authorizer, which is the default.
fn auth(fields: &mut Fields<'_>) -> Result<Authorizer, Error> {
    let default = fields.required("DefaultAuthorizer")?;
    match fields.entries("Authorizers")?.as_slice() {
        [(name, node)] if *name == default => fields::read(node, "Authorizer", fields.scope, |fields| authorizer(fields, name.clone())),
        _ => Err(fields.place.error("the local host knows one authorizer, which is the default")),
    }
}

fn authorizer(fields: &mut Fields<'_>, name: String) -> Result<Authorizer, Error> {
    fields.fixed("FunctionPayloadType", "REQUEST")?;
    let function = fields.resource("FunctionArn", Kind::Function, "Arn")?.ok_or_else(|| fields.missing("FunctionArn"))?;
    let identity = fields.nested("Identity", |identity| {
        Ok((identity.texts("Headers")?, identity.seconds("ReauthorizeEvery", 0..=3600)?.unwrap_or(AUTHORIZER_TTL)))
    })?;
    let (identity_headers, ttl) = identity.ok_or_else(|| fields.missing("Identity"))?;
    Ok(Authorizer { name, function: function.name.clone(), identity_headers, ttl })
}

fn response(fields: &mut Fields<'_>) -> Result<GatewayResponse, Error> {
    let mut headers = BTreeMap::new();
    let given = fields.nested("ResponseParameters", |parameters| parameters.named_texts::<Vec<_>>("Headers"))?;
    for (name, value) in given.unwrap_or_default() {
        // Quoted it is the value itself, otherwise the name of something in the request.
        let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        let value =
            value.ok_or_else(|| fields.place.error(format!("the local host knows only quoted values; the header {name} has none")))?;
        headers.insert(name, value.to_owned());
    }
    let status = fields.whole("StatusCode", 100..=599)?.map(u16::try_from).transpose();
    Ok(GatewayResponse {
        status: status.map_err(|_| fields.place.error("StatusCode is no HTTP status"))?,
        headers,
        templates: fields.named_texts("ResponseTemplates")?,
    })
}

fn throttle(fields: &mut Fields<'_>) -> Result<Option<Throttle>, Error> {
    let settings = fields.each("MethodSettings", |setting| {
        setting.fixed("ResourcePath", "/*")?;
        setting.fixed("HttpMethod", "*")?;
        let rate = setting.number("ThrottlingRateLimit")?.ok_or_else(|| setting.missing("ThrottlingRateLimit"))?;
        let burst = setting.whole("ThrottlingBurstLimit", 0..=u32::MAX)?.ok_or_else(|| setting.missing("ThrottlingBurstLimit"))?;
        Ok(Throttle { rate, burst })
    })?;
    Ok(settings.into_iter().next())
}
