//! `AWS::SQS::Queue`

use std::time::Duration;

use super::{Identity, Kind, Resource};
use crate::{
    Machine,
    deployment::{Queue, Redrive},
    error::Error,
    fields::Fields,
    intrinsics::Scope,
};

/// What SQS does unless told.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
const RETENTION: Duration = Duration::from_hours(4 * 24);

pub(super) fn identity(resource: &Resource, scope: &Scope, machine: &Machine) -> Result<Identity, Error> {
    let Machine { account_id, region, aws_endpoint, .. } = machine;
    let name = resource.physical_name("QueueName", scope, machine)?;
    let url = format!("{aws_endpoint}/{account_id}/{name}");
    let arn = format!("arn:aws:sqs:{region}:{account_id}:{name}");
    let attributes = [(Identity::REF, url.clone()), ("Arn", arn), ("QueueName", name.clone()), ("QueueUrl", url)];
    Ok(Identity::new(Kind::Queue, name, attributes))
}

pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Queue, Error> {
    let identity = resource.itself(scope)?;
    resource.read(scope, |fields| {
        fields.text("QueueName")?;
        Ok(Queue {
            name: identity.name.clone(),
            arn: identity.arn(),
            visibility_timeout: fields.seconds("VisibilityTimeout", 0..=43_200)?.unwrap_or(VISIBILITY_TIMEOUT),
            retention: fields.seconds("MessageRetentionPeriod", 60..=1_209_600)?.unwrap_or(RETENTION),
            redrive: fields.nested("RedrivePolicy", redrive)?,
        })
    })
}

fn redrive(fields: &mut Fields<'_>) -> Result<Redrive, Error> {
    let target = fields.resource("deadLetterTargetArn", Kind::Queue, "Arn")?.ok_or_else(|| fields.missing("deadLetterTargetArn"))?;
    let max_receive_count = fields.whole("maxReceiveCount", 1..=1000)?.ok_or_else(|| fields.missing("maxReceiveCount"))?;
    Ok(Redrive { dead_letter_arn: target.arn(), max_receive_count })
}
