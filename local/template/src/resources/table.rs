//! `AWS::DynamoDB::Table`

use serde_json::{Value, json};

use super::{Identity, Kind, Resource};
use crate::{Machine, deployment::Table, error::Error, fields::Fields, intrinsics::Scope};

pub(super) fn identity(resource: &Resource, scope: &Scope, machine: &Machine) -> Result<Identity, Error> {
    let name = resource.physical_name("TableName", scope, machine)?;
    let arn = format!("arn:aws:dynamodb:{}:{}:table/{name}", machine.region, machine.account_id);
    let mut identity = Identity::new(Kind::Table, name.clone(), [(Identity::REF, name), ("Arn", arn.clone())]);
    if resource.properties.entries()?.iter().any(|(property, _)| property == "StreamSpecification") {
        identity.attributes.insert("StreamArn", format!("{arn}/stream/local"));
    }
    Ok(identity)
}

pub(super) fn read(resource: &Resource, scope: &Scope) -> Result<Table, Error> {
    let name = resource.itself(scope)?.name.clone();
    resource.read(scope, |fields| {
        fields.text("TableName")?;
        fields.fixed("BillingMode", "PAY_PER_REQUEST")?;
        let mut create = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": fields.each("AttributeDefinitions", |attribute| texts(attribute, ["AttributeName", "AttributeType"]))?,
            "KeySchema": key_schema(fields)?,
        });
        let indexes = fields.each("GlobalSecondaryIndexes", index)?;
        if !indexes.is_empty() {
            create["GlobalSecondaryIndexes"] = indexes.into();
        }
        if let Some(mut stream) = fields.nested("StreamSpecification", |stream| texts(stream, ["StreamViewType"]))? {
            // CloudFormation leaves out what the API wants to hear.
            stream["StreamEnabled"] = true.into();
            create["StreamSpecification"] = stream;
        }
        let ttl_attribute = fields.nested("TimeToLiveSpecification", |ttl| {
            let attribute = ttl.required("AttributeName")?;
            Ok(ttl.boolean("Enabled")?.ok_or_else(|| ttl.missing("Enabled"))?.then_some(attribute))
        })?;
        Ok(Table { name, create, ttl_attribute: ttl_attribute.flatten() })
    })
}

fn index(fields: &mut Fields<'_>) -> Result<Value, Error> {
    Ok(json!({
        "IndexName": fields.required("IndexName")?,
        "KeySchema": key_schema(fields)?,
        "Projection": fields.nested("Projection", projection)?.ok_or_else(|| fields.missing("Projection"))?,
    }))
}

fn projection(fields: &mut Fields<'_>) -> Result<Value, Error> {
    let mut projection = texts(fields, ["ProjectionType"])?;
    let attributes = fields.texts("NonKeyAttributes")?;
    if !attributes.is_empty() {
        projection["NonKeyAttributes"] = attributes.into();
    }
    Ok(projection)
}

fn key_schema(fields: &mut Fields<'_>) -> Result<Vec<Value>, Error> {
    fields.each("KeySchema", |key| texts(key, ["AttributeName", "KeyType"]))
}

/// An object of fields that are texts and must be there.
fn texts<const N: usize>(fields: &mut Fields<'_>, names: [&str; N]) -> Result<Value, Error> {
    names.into_iter().map(|name| Ok((name.to_owned(), Value::String(fields.required(name)?)))).collect()
}
