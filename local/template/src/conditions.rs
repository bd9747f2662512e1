//! The section `Conditions`, and the functions that only it knows.

use std::collections::BTreeMap;

use crate::{
    error::Error,
    intrinsics::{Call, Scope, call},
    yaml::Node,
};

/// Which conditions hold. They may stand in any order and name each other.
pub(crate) fn read(section: &Node, scope: &Scope) -> Result<BTreeMap<String, bool>, Error> {
    let conditions = Conditions { declared: section.entries()?, scope };
    conditions.declared.iter().map(|(name, node)| Ok((name.clone(), conditions.holds(node, &mut vec![name])?))).collect()
}

struct Conditions<'t> {
    declared: &'t [(String, Node)],
    scope: &'t Scope,
}

impl<'t> Conditions<'t> {
    /// Evaluates `node`; `within` names the conditions that are being evaluated, so that a circle is found.
    fn holds(&self, node: &'t Node, within: &mut Vec<&'t str>) -> Result<bool, Error> {
        let Some(Call { name, argument }) = call(node)? else { return Err(node.error("a condition function belongs here")) };
        match &*name {
            "Condition" => self.named(argument, within),
            "Fn::Equals" => match argument.items()? {
                [left, right] => Ok(self.scope.text(left)? == self.scope.text(right)?),
                _ => Err(argument.error("Fn::Equals takes two values")),
            },
            "Fn::Not" => match argument.items()? {
                [condition] => Ok(!self.holds(condition, within)?),
                _ => Err(argument.error("Fn::Not takes one condition")),
            },
            "Fn::And" => self.all_and_any(argument, within).map(|(all, _)| all),
            "Fn::Or" => self.all_and_any(argument, within).map(|(_, any)| any),
            _ => Err(node.error(format!("the condition function {name} is not known to the local host"))),
        }
    }

    fn named(&self, argument: &'t Node, within: &mut Vec<&'t str>) -> Result<bool, Error> {
        let name = argument.name()?;
        if within.contains(&name) {
            return Err(argument.error(format!("the condition {name} depends on itself")));
        }
        let (_, node) =
            self.declared.iter().find(|(known, _)| known == name).ok_or_else(|| argument.error(format!("{name} is no condition")))?;
        within.push(name);
        let holds = self.holds(node, within)?;
        within.pop();
        Ok(holds)
    }

    /// Whether all conditions of a list hold, and whether any does. All are evaluated, so that an error in one is always found.
    fn all_and_any(&self, argument: &'t Node, within: &mut Vec<&'t str>) -> Result<(bool, bool), Error> {
        let (mut all, mut any) = (true, false);
        for condition in argument.items()? {
            let holds = self.holds(condition, within)?;
            (all, any) = (all && holds, any || holds);
        }
        Ok((all, any))
    }
}
