//! `AWS::SecretsManager::Secret`

use super::{Identity, Kind, Resource};
use crate::{Machine, deployment::Secret, error::Error, intrinsics::Scope};

/// What Secrets Manager generates unless told.
const LENGTH: u32 = 32;

pub(super) fn identity(resource: &Resource, scope: &Scope, machine: &Machine) -> Result<Identity, Error> {
    let name = resource.physical_name("Name", scope, machine)?;
    // Secrets Manager puts six random characters behind the name.
    let arn = format!("arn:aws:secretsmanager:{}:{}:secret:{name}-000000", machine.region, machine.account_id);
    Ok(Identity::new(Kind::Secret, name, [(Identity::REF, arn.clone()), ("Id", arn.clone()), ("Arn", arn)]))
}

pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Secret, Error> {
    let identity = resource.itself(scope)?;
    resource.read(scope, |fields| {
        fields.text("Name")?;
        let length = fields.nested("GenerateSecretString", |generate| Ok(generate.whole("PasswordLength", 1..=4096)?.unwrap_or(LENGTH)))?;
        let length = length.ok_or_else(|| fields.missing("GenerateSecretString"))?;
        Ok(Secret { name: identity.name.clone(), arn: identity.arn(), length: length as usize })
    })
}
