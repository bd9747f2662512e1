//! What `template.yaml` says, read for this machine.
//!
//! [`read`] goes the way CloudFormation and SAM go: the text becomes a tree (`yaml`), parameters get their values, conditions are
//! decided, resources get their names, and every resource that is emulated is made of its properties with all intrinsic functions
//! resolved. Whatever is not known is an error that says where it stands; what is known to mean nothing here is written down in
//! `not_local`, with the reason.

pub mod cron;
pub mod deployment;

mod conditions;
mod error;
mod fields;
mod globals;
mod intrinsics;
mod not_local;
mod parameters;
mod references;
mod resources;
mod sub;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::{deployment::Deployment, intrinsics::Scope, yaml::Node};
pub use error::Error;

/// What the template leaves to whom it is deployed by.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Twelve digits.
    pub account_id: String,
    /// For example `us-east-1`.
    pub region: String,
    /// Comes before the names of all that the template makes.
    pub stack_name: String,
    /// Where the AWS APIs are served, without a slash at the end: queue URLs start with it.
    pub aws_endpoint: String,
}

/// Reads a template. `parameters` override its defaults.
pub fn read(text: &str, parameters: &BTreeMap<String, String>, machine: &Machine) -> Result<Deployment, Error> {
    let template = yaml::parse(text)?;
    // Sections are read as they are written: no name has a meaning before parameters and conditions have.
    fields::read(&template, "Template", &Scope::default(), |sections| {
        sections.fixed("Transform", "AWS::Serverless-2016-10-31")?;
        let mut scope = Scope::of_machine(machine);
        scope.values.extend(parameters::read(sections.node("Parameters")?.as_ref(), parameters)?);
        if let Some(conditions) = sections.node("Conditions")? {
            scope.conditions = conditions::read(&conditions, &scope)?;
        }
        let globals = sections.node("Globals")?;
        globals.as_ref().map(globals::check).transpose()?;
        let resources = sections.node("Resources")?.ok_or_else(|| sections.missing("Resources"))?;
        let emulated = resources::declare(&resources, globals.as_ref(), &mut scope, machine)?;
        check_references([globals.as_ref(), Some(&resources), sections.node("Outputs")?.as_ref()], &scope)?;
        resources::build(&emulated, &scope)
    })
}

fn check_references(sections: [Option<&Node>; 3], scope: &Scope) -> Result<(), Error> {
    sections.into_iter().flatten().try_for_each(|section| references::check(section, scope))
}
