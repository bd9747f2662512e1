//! Every intrinsic function in the template is known and names something that is there, also where nothing is made of it.

use crate::{
    error::{Error, Place},
    intrinsics::{Intrinsic, NO_VALUE, Scope, attribute_of},
    sub::Piece,
    yaml::{Node, Value},
};

/// Checks `node` and all that is in it.
pub(crate) fn check(node: &Node, scope: &Scope) -> Result<(), Error> {
    let Some(intrinsic) = Intrinsic::of(node)? else {
        return match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| check(item, scope)),
            Value::Map(entries) => entries.iter().try_for_each(|(_, value)| check(value, scope)),
            _ => Ok(()),
        };
    };
    match intrinsic {
        Intrinsic::Ref(NO_VALUE) => Ok(()),
        Intrinsic::Ref(name) => reference(name, scope, &node.place),
        Intrinsic::GetAtt { resource: name, attribute: of } => attribute(&name, &of, scope, &node.place),
        Intrinsic::If { condition, then, otherwise } => {
            if !scope.conditions.contains_key(condition) {
                return Err(node.error(format!("{condition} is no condition")));
            }
            check(then, scope)?;
            check(otherwise, scope)
        }
        Intrinsic::Join { items, .. } => check(items, scope),
        Intrinsic::Sub { pieces, variables } => {
            variables.iter().try_for_each(|(_, value)| check(value, scope))?;
            pieces.iter().try_for_each(|piece| match piece {
                Piece::Variable(name) if !variables.iter().any(|(known, _)| known == name) => match attribute_of(name) {
                    Some((resource, of)) => attribute(resource, of, scope, &node.place),
                    None => reference(name, scope, &node.place),
                },
                _ => Ok(()),
            })
        }
    }
}

fn reference(name: &str, scope: &Scope, place: &Place) -> Result<(), Error> {
    if scope.values.contains_key(name) || scope.resources.contains_key(name) {
        return Ok(());
    }
    Err(place.error(format!("{name} is neither a parameter nor a resource")))
}

fn attribute(resource: &str, attribute: &str, scope: &Scope, place: &Place) -> Result<(), Error> {
    match scope.resources.get(resource) {
        Some(Some(identity)) => identity.attribute(attribute, place).map(|_| ()),
        // Nothing is known here of its attributes.
        Some(None) => Ok(()),
        None => Err(place.error(format!("{resource} is no resource"))),
    }
}
