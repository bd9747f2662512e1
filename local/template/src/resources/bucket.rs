//! `AWS::S3::Bucket`

use super::{Identity, Kind, Resource};
use crate::{Machine, deployment::Bucket, error::Error, intrinsics::Scope};

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
        // SAM writes the notifications down at the functions that are told.
        Ok(Bucket { name, notifications: Vec::new() })
    })
}
