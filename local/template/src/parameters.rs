//! The section `Parameters`: defaults, and what overrides them.

use std::collections::BTreeMap;

use crate::{
    error::{Error, Place},
    fields::{self, Fields},
    intrinsics::Scope,
    yaml::Node,
};

/// The value of every parameter.
pub(crate) fn read(section: Option<&Node>, overrides: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    let declared = section.map(Node::entries).transpose()?.unwrap_or_default();
    if let Some(unknown) = overrides.keys().find(|name| !declared.iter().any(|(known, _)| known == *name)) {
        return Err(Place::default().entry("Parameters", 0).error(format!("there is no parameter {unknown} to override")));
    }
    declared.iter().map(|(name, node)| Ok((name.clone(), value(node, overrides.get(name))?))).collect()
}

fn value(node: &Node, given: Option<&String>) -> Result<String, Error> {
    // Nothing has a name yet that a parameter could refer to.
    fields::read(node, "Parameter", &Scope::default(), |fields| {
        let kind = fields.required("Type")?;
        if !matches!(kind.as_str(), "String" | "Number") {
            return Err(fields.place.error(format!("parameters of type {kind} are not known to the local host")));
        }
        let default = fields.text("Default")?;
        let allowed = fields.texts("AllowedValues")?;
        let (least, most) = (bound(fields, "MinValue")?, bound(fields, "MaxValue")?);
        if kind != "Number" && (least.is_some() || most.is_some()) {
            return Err(fields.place.error("only numbers have a MinValue or MaxValue"));
        }
        let value =
            given.cloned().or(default).ok_or_else(|| fields.place.error("this parameter has no default, and no value was given"))?;
        if kind == "Number" {
            let number = value.parse::<f64>().map_err(|_| fields.place.error(format!("`{value}` is no number")))?;
            if least.is_some_and(|least| number < least) {
                return Err(fields.place.error(format!("`{value}` is less than MinValue")));
            }
            if most.is_some_and(|most| number > most) {
                return Err(fields.place.error(format!("`{value}` is more than MaxValue")));
            }
        }
        if !allowed.is_empty() && !allowed.contains(&value) {
            return Err(fields.place.error(format!("`{value}` is none of the allowed values ({})", allowed.join(", "))));
        }
        Ok(value)
    })
}

fn bound(fields: &mut Fields<'_>, name: &str) -> Result<Option<f64>, Error> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| fields.place.error(format!("{name}: `{text}` is no number")))
}
