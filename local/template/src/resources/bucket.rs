//! `AWS::S3::Bucket`

use super::{Identity, Kind, Resource};
use crate::{
    Machine,
    deployment::{Bucket, CorsRule},
    error::Error,
    fields::Fields,
    intrinsics::Scope,
};

/// The methods that S3 takes in a rule.
const METHODS: [&str; 5] = ["DELETE", "GET", "HEAD", "POST", "PUT"];

pub(super) fn identity(resource: &Resource, scope: &Scope, machine: &Machine) -> Result<Identity, Error> {
    // Bucket names are lower case.
    let name = resource.physical_name("BucketName", scope, machine)?.to_lowercase();
    let attributes = [
        (Identity::REF, name.clone()),
        ("Arn", format!("arn:aws:s3:::{name}")),
        ("RegionalDomainName", format!("{name}.s3.{}.amazonaws.com", machine.region)),
    ];
    Ok(Identity::new(Kind::Bucket, name, attributes))
}

pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Bucket, Error> {
    let name = resource.itself(scope)?.name.clone();
    resource.read(scope, |fields| {
        fields.text("BucketName")?;
        let cors = fields.nested("CorsConfiguration", |cors| cors.each("CorsRules", cors_rule))?.unwrap_or_default();
        // SAM writes the notifications down at the functions that are told.
        Ok(Bucket { name, notifications: Vec::new(), cors })
    })
}

fn cors_rule(fields: &mut Fields<'_>) -> Result<CorsRule, Error> {
    if fields.texts("AllowedOrigins")? != ["*"] {
        return Err(fields.place.error("the local host knows only `*` as AllowedOrigins"));
    }
    let allowed_methods = fields.texts("AllowedMethods")?;
    if allowed_methods.is_empty() || !allowed_methods.iter().all(|method| METHODS.contains(&method.as_str())) {
        return Err(fields.place.error(format!("AllowedMethods are some of {}", METHODS.join(", "))));
    }
    let allowed_headers = fields.texts("AllowedHeaders")?;
    if allowed_headers.iter().any(|name| name.contains('*')) {
        return Err(fields.place.error("the local host knows no `*` in AllowedHeaders"));
    }
    let (exposed_headers, max_age) = (fields.texts("ExposedHeaders")?, fields.whole("MaxAge", 0..=86_400)?);
    Ok(CorsRule { allowed_methods, allowed_headers, exposed_headers, max_age })
}
