//! `AWS::CloudFront::Distribution`: of it this machine has the photographs under `/media/*`.

use super::{Identity, Kind, Resource};
use crate::{deployment::MediaOrigin, error::Error, fields::Fields, intrinsics::Scope};

/// The path that the gateway serves beside the API.
const MEDIA: &str = "/media/*";
/// The policy of AWS's own that lets pages of any origin read answers.
const SIMPLE_CORS: &str = "60669652-455b-4ae9-85a4-c4c02393f86c";

pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Option<MediaOrigin>, Error> {
    resource.read(scope, |fields| Ok(fields.nested("DistributionConfig", media)?.flatten()))
}

fn media(fields: &mut Fields<'_>) -> Result<Option<MediaOrigin>, Error> {
    let origins = fields.each("Origins", |origin| {
        let id = origin.required("Id")?;
        let domain_name = origin.required("DomainName")?;
        Ok((id, domain_name, origin.text("OriginPath")?.unwrap_or_default()))
    })?;
    let targets = fields.each("CacheBehaviors", |behaviour| {
        behaviour.fixed("PathPattern", MEDIA)?;
        let target = behaviour.required("TargetOriginId")?;
        let policy = behaviour.text("ResponseHeadersPolicyId")?;
        if policy.as_ref().is_some_and(|policy| policy != SIMPLE_CORS) {
            return Err(behaviour.place.error(format!("the local host knows only {SIMPLE_CORS} as ResponseHeadersPolicyId")));
        }
        Ok((target, policy.is_some()))
    })?;
    let Some((target, is_for_any_origin)) = targets.first() else { return Ok(None) };
    let (_, domain_name, origin_path) =
        origins.iter().find(|(id, ..)| id == target).ok_or_else(|| fields.place.error(format!("there is no origin {target}")))?;
    let bucket =
        bucket_of(domain_name, fields.scope).ok_or_else(|| fields.place.error(format!("{MEDIA} comes from no bucket of the template")))?;
    Ok(Some(MediaOrigin { bucket: bucket.name.clone(), origin_path: origin_path.clone(), is_for_any_origin: *is_for_any_origin }))
}

fn bucket_of<'s>(domain_name: &str, scope: &'s Scope) -> Option<&'s Identity> {
    scope.resources.values().flatten().find(|identity| identity.kind == Kind::Bucket && identity.has("RegionalDomainName", domain_name))
}
