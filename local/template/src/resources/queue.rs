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
const MAX_MESSAGE_BYTES: u32 = 1024 * 1024;

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
            delay: fields.seconds("DelaySeconds", 0..=900)?.unwrap_or_default(),
            receive_wait: fields.seconds("ReceiveMessageWaitTimeSeconds", 0..=20)?.unwrap_or_default(),
            max_message_bytes: fields.whole("MaximumMessageSize", 1024..=MAX_MESSAGE_BYTES)?.unwrap_or(MAX_MESSAGE_BYTES) as usize,
            redrive: fields.nested("RedrivePolicy", redrive)?,
        })
    })
}

fn redrive(fields: &mut Fields<'_>) -> Result<Redrive, Error> {
    let target = fields.resource("deadLetterTargetArn", Kind::Queue, "Arn")?.ok_or_else(|| fields.missing("deadLetterTargetArn"))?;
    let max_receive_count = fields.whole("maxReceiveCount", 1..=1000)?.ok_or_else(|| fields.missing("maxReceiveCount"))?;
    Ok(Redrive { dead_letter_arn: target.arn(), max_receive_count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::read_with;

    fn queue(properties: &str) -> Queue {
        let text = format!("Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q{properties}}}}}}}");
        read_with(&text, &[]).unwrap().queues.remove(0)
    }

    #[test]
    fn a_queue_is_what_it_is_declared_as_else_what_sqs_makes() {
        let times = |queue: &Queue| [queue.visibility_timeout, queue.retention, queue.delay, queue.receive_wait].map(|time| time.as_secs());
        let plain = queue("");
        assert_eq!((times(&plain), plain.max_message_bytes), ([30, 345_600, 0, 0], 1_048_576));
        let own = queue(
            ", VisibilityTimeout: 1, MessageRetentionPeriod: 60, DelaySeconds: 900, ReceiveMessageWaitTimeSeconds: 20, \
             MaximumMessageSize: 1024",
        );
        assert_eq!((times(&own), own.max_message_bytes), ([1, 60, 900, 20], 1024));
    }
}
