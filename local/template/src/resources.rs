//! The resources: which there are, what others call them by, and, a file a type, what is made of them.

mod api;
mod bucket;
mod distribution;
mod event;
mod function;
mod queue;
mod schedule;
mod secret;
mod table;

use std::collections::BTreeMap;

use crate::{
    Machine,
    deployment::Deployment,
    error::{Error, Place},
    fields::{self, Fields},
    globals,
    intrinsics::Scope,
    not_local,
    yaml::{Node, Value},
};

/// The types of resources that are emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Api,
    Bucket,
    Distribution,
    Function,
    Queue,
    Secret,
    Table,
}

impl Kind {
    const ALL: [Kind; 7] = [Kind::Api, Kind::Bucket, Kind::Distribution, Kind::Function, Kind::Queue, Kind::Secret, Kind::Table];

    /// What a template calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Api => "AWS::Serverless::Api",
            Kind::Bucket => "AWS::S3::Bucket",
            Kind::Distribution => "AWS::CloudFront::Distribution",
            Kind::Function => "AWS::Serverless::Function",
            Kind::Queue => "AWS::SQS::Queue",
            Kind::Secret => "AWS::SecretsManager::Secret",
            Kind::Table => "AWS::DynamoDB::Table",
        }
    }
}

/// How the rest of the template refers to a resource.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    /// Physical name.
    pub(crate) name: String,
    attributes: BTreeMap<&'static str, String>,
}

impl Identity {
    /// Stands for what `Ref` gives, beside the attributes of `GetAtt`.
    pub(crate) const REF: &'static str = "Ref";

    fn new<const N: usize>(kind: Kind, name: String, attributes: [(&'static str, String); N]) -> Identity {
        Identity { kind, name, attributes: attributes.into() }
    }

    /// What `GetAtt` gives for `attribute`.
    pub(crate) fn attribute(&self, attribute: &str, place: &Place) -> Result<&str, Error> {
        let value = self.attributes.get(attribute).map(String::as_str);
        value.ok_or_else(|| place.error(format!("{} has no attribute {attribute} that the local host knows", self.kind.name())))
    }

    /// Whether `attribute` is `value`.
    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|known| known == value)
    }

    /// Its ARN. An API has none, and nobody asks for it.
    fn arn(&self) -> String {
        self.attributes.get("Arn").cloned().unwrap_or_default()
    }
}

/// A resource that is emulated.
pub(crate) struct Resource {
    logical_id: String,
    kind: Kind,
    /// With what `Globals` adds.
    properties: Node,
    metadata: Option<Node>,
}

impl Resource {
    /// Makes a `T` of the properties.
    fn read<'s, T>(&self, scope: &'s Scope, build: impl FnOnce(&mut Fields<'s>) -> Result<T, Error>) -> Result<T, Error> {
        fields::read(&self.properties, self.kind.name(), scope, build)
    }

    /// The physical name: what `property` says, or `{stack}-{logical id}`.
    fn physical_name(&self, property: &str, scope: &Scope, machine: &Machine) -> Result<String, Error> {
        let given = self.properties.entries()?.iter().find(|(name, _)| name == property);
        match given {
            Some((_, node)) => scope.text(node),
            None => Ok(format!("{}-{}", machine.stack_name, self.logical_id)),
        }
    }

    /// What others call it by; `None` for what nothing here refers to.
    fn identity(&self, scope: &Scope, machine: &Machine) -> Result<Option<Identity>, Error> {
        match self.kind {
            Kind::Api => Ok(Some(api::identity(self, machine))),
            Kind::Bucket => bucket::identity(self, scope, machine).map(Some),
            Kind::Distribution => Ok(None),
            Kind::Function => function::identity(self, scope, machine).map(Some),
            Kind::Queue => queue::identity(self, scope, machine).map(Some),
            Kind::Secret => secret::identity(self, scope, machine).map(Some),
            Kind::Table => table::identity(self, scope, machine).map(Some),
        }
    }

    /// Its own identity, which `declare` put into the scope.
    fn itself<'s>(&self, scope: &'s Scope) -> Result<&'s Identity, Error> {
        let identity = scope.resources.get(&self.logical_id).and_then(Option::as_ref);
        identity.ok_or_else(|| self.properties.error("this resource has no name on the local host"))
    }
}

/// Reads which resources there are, and puts the names of all into the scope. Those that are emulated come back.
pub(crate) fn declare(section: &Node, globals: Option<&Node>, scope: &mut Scope, machine: &Machine) -> Result<Vec<Resource>, Error> {
    let mut resources = Vec::new();
    let mut identities = BTreeMap::new();
    for (logical_id, node) in section.entries()? {
        let resource = fields::read(node, "Resource", scope, |fields| declaration(logical_id, globals, fields))?;
        // A physical name may be made of parameters alone: the scope knows no resources yet.
        let identity = resource.as_ref().map(|resource| resource.identity(scope, machine)).transpose()?.flatten();
        identities.insert(logical_id.clone(), identity);
        resources.extend(resource);
    }
    scope.resources = identities;
    Ok(resources)
}

/// The resource that `fields` declare, if its type is emulated and its condition holds.
fn declaration(logical_id: &str, globals: Option<&Node>, fields: &mut Fields<'_>) -> Result<Option<Resource>, Error> {
    let resource_type = fields.required("Type")?;
    let condition = fields.text("Condition")?;
    let properties = fields.node("Properties")?;
    let metadata = fields.node("Metadata")?;
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == resource_type) else {
        if not_local::resource_type(&resource_type) {
            return Ok(None);
        }
        return Err(fields.place.error(format!("resources of type {resource_type} are not known to the local host")));
    };
    if let Some(name) = condition {
        let holds = fields.scope.conditions.get(&name).ok_or_else(|| fields.place.error(format!("{name} is no condition")))?;
        if !holds {
            return Ok(None);
        }
    }
    let properties = properties.unwrap_or_else(|| Node { place: fields.place.clone(), value: Value::Map(Vec::new()) });
    let properties = globals::apply(globals, &resource_type, properties)?;
    Ok(Some(Resource { logical_id: logical_id.to_owned(), kind, properties, metadata }))
}

/// What `resources` make.
pub(crate) fn build(resources: &[Resource], scope: &Scope) -> Result<Deployment, Error> {
    let mut deployment = Deployment::default();
    let of = |kind| resources.iter().filter(move |resource| resource.kind == kind);
    // Functions say what they want of the API and of buckets, so these are there first.
    for (count, resource) in of(Kind::Api).enumerate() {
        if count > 0 {
            return Err(resource.properties.error("the local host knows one API"));
        }
        deployment.api = api::read(resource, scope)?;
    }
    for resource in of(Kind::Bucket) {
        deployment.buckets.push(bucket::read(resource, scope)?);
    }
    for resource in of(Kind::Function) {
        function::read(resource, scope, &mut deployment)?;
    }
    for resource in of(Kind::Api) {
        api::check(resource, &deployment.api)?;
    }
    for resource in of(Kind::Table) {
        deployment.tables.push(table::read(resource, scope)?);
    }
    for resource in of(Kind::Queue) {
        deployment.queues.push(queue::read(resource, scope)?);
    }
    for resource in of(Kind::Secret) {
        deployment.secrets.push(secret::read(resource, scope)?);
    }
    for resource in of(Kind::Distribution) {
        deployment.media = distribution::read(resource, scope)?;
    }
    Ok(deployment)
}
