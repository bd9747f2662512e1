//! `Globals`: what all functions, or all APIs, have in common.

use crate::{
    error::Error,
    intrinsics::call,
    yaml::{Node, Value},
};

/// The sections that `Globals` may have here, and the types that they are for.
const SECTIONS: &[(&str, &str)] = &[("Api", "AWS::Serverless::Api"), ("Function", "AWS::Serverless::Function")];

/// Refuses a section that is not known.
pub(crate) fn check(globals: &Node) -> Result<(), Error> {
    let unknown = globals.entries()?.iter().find(|(name, _)| !SECTIONS.iter().any(|(known, _)| known == name));
    match unknown {
        Some((_, node)) => Err(node.error("this section of Globals is not known to the local host")),
        None => Ok(()),
    }
}

/// The properties of a resource of `resource_type` together with those that `globals` adds.
pub(crate) fn apply(globals: Option<&Node>, resource_type: &str, properties: Node) -> Result<Node, Error> {
    let section = SECTIONS.iter().find(|(_, of)| *of == resource_type).map(|(section, _)| section);
    let (Some(section), Some(globals)) = (section, globals) else { return Ok(properties) };
    match globals.entries()?.iter().find(|(name, _)| name == section) {
        Some((_, global)) => merge(global, properties),
        None => Ok(properties),
    }
}

/// As SAM does it: maps are united, lists are joined with the global items first, anything else the resource's own value replaces.
fn merge(global: &Node, own: Node) -> Result<Node, Error> {
    if call(global)?.is_some() || call(&own)?.is_some() {
        return Ok(own);
    }
    let Node { place, value } = own;
    let value = match (&global.value, value) {
        (Value::Map(global), Value::Map(mut own)) => {
            for (name, global) in global {
                match own.iter_mut().find(|(known, _)| known == name) {
                    Some((_, value)) => *value = merge(global, value.clone())?,
                    None => own.push((name.clone(), global.clone())),
                }
            }
            Value::Map(own)
        }
        (Value::List(global), Value::List(own)) => Value::List(global.iter().cloned().chain(own).collect()),
        (_, own) => own,
    };
    Ok(Node { place, value })
}
