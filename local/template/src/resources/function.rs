//! `AWS::Serverless::Function`

use std::time::Duration;

use super::{Identity, Kind, Resource, event};
use crate::{
    Machine,
    deployment::{Asynchronous, Deployment, Function},
    error::Error,
    fields::{self, Fields},
    intrinsics::Scope,
};

/// What Lambda does unless told.
const TIMEOUT: Duration = Duration::from_secs(3);
const MEMORY_MB: u32 = 128;
const ASYNCHRONOUS: Asynchronous = Asynchronous { max_retries: 2, max_age: Duration::from_hours(6), on_failure: None };

pub(super) fn identity(resource: &Resource, scope: &Scope, machine: &Machine) -> Result<Identity, Error> {
    let name = resource.physical_name("FunctionName", scope, machine)?;
    let arn = format!("arn:aws:lambda:{}:{}:function:{name}", machine.region, machine.account_id);
    Ok(Identity::new(Kind::Function, name.clone(), [(Identity::REF, name), ("Arn", arn)]))
}

/// Adds the function to `deployment`, its routes to the API, and to the buckets whom they tell.
pub(super) fn read(resource: &Resource, scope: &Scope, deployment: &mut Deployment) -> Result<(), Error> {
    let identity = resource.itself(scope)?;
    let binary = binary(resource, scope)?;
    let function = resource.read(scope, |fields| {
        fields.text("FunctionName")?;
        fields.fixed("Handler", "bootstrap")?;
        fields.fixed("Runtime", "provided.al2023")?;
        let mut triggers = Vec::new();
        for (name, node) in fields.entries("Events")? {
            triggers.extend(event::read(&name, &node, &resource.logical_id, identity, scope, deployment)?);
        }
        Ok(Function {
            name: identity.name.clone(),
            arn: identity.arn(),
            binary,
            timeout: fields.seconds("Timeout", 1..=900)?.unwrap_or(TIMEOUT),
            memory_mb: fields.whole("MemorySize", 128..=10_240)?.unwrap_or(MEMORY_MB),
            environment: fields.nested("Environment", |environment| environment.named_texts("Variables"))?.unwrap_or_default(),
            concurrency: fields.whole("ReservedConcurrentExecutions", 0..=1000)?,
            asynchronous: fields.nested("EventInvokeConfig", asynchronous)?.unwrap_or(ASYNCHRONOUS),
            triggers,
        })
    })?;
    deployment.functions.push(function);
    Ok(())
}

/// The binary that `sam build` is told to build.
fn binary(resource: &Resource, scope: &Scope) -> Result<String, Error> {
    let metadata = resource.metadata.as_ref().ok_or_else(|| resource.properties.error("Metadata.BuildProperties.Binary is missing"))?;
    fields::read(metadata, "AWS::Serverless::Function.Metadata", scope, |metadata| {
        metadata.fixed("BuildMethod", "rust-cargolambda")?;
        metadata.nested("BuildProperties", |properties| properties.required("Binary"))?.ok_or_else(|| metadata.missing("BuildProperties"))
    })
}

fn asynchronous(fields: &mut Fields<'_>) -> Result<Asynchronous, Error> {
    Ok(Asynchronous {
        max_retries: fields.whole("MaximumRetryAttempts", 0..=2)?.unwrap_or(ASYNCHRONOUS.max_retries),
        max_age: fields.seconds("MaximumEventAgeInSeconds", 60..=21_600)?.unwrap_or(ASYNCHRONOUS.max_age),
        on_failure: on_failure(fields)?,
    })
}

/// The ARN of the queue in `DestinationConfig.OnFailure`.
pub(super) fn on_failure(fields: &mut Fields<'_>) -> Result<Option<String>, Error> {
    let destination = fields.nested("DestinationConfig", |destinations| {
        destinations.nested("OnFailure", |on_failure| {
            on_failure.fixed("Type", "SQS")?;
            on_failure.resource("Destination", Kind::Queue, "Arn")?.ok_or_else(|| on_failure.missing("Destination"))
        })
    })?;
    Ok(destination.flatten().map(Identity::arn))
}
