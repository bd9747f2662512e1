//! The intrinsic functions: which node is one, and what it means in a scope.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Machine,
    error::{Error, Place},
    resources::Identity,
    sub::{Piece, pieces},
    yaml::{Node, Value},
};

/// A function as it is written: short (`!Sub text`) or long (`Fn::Sub: text`).
pub(crate) struct Call<'t> {
    /// The long name, for example `Fn::Sub` or `Ref`.
    pub(crate) name: Cow<'t, str>,
    pub(crate) argument: &'t Node,
}

/// The function that `node` calls, if it is one.
pub(crate) fn call(node: &Node) -> Result<Option<Call<'_>>, Error> {
    match &node.value {
        Value::Tagged(tag, argument) => {
            let name = match tag.as_str() {
                "Ref" | "Condition" => Cow::Borrowed(tag.as_str()),
                _ => Cow::Owned(format!("Fn::{tag}")),
            };
            Ok(Some(Call { name, argument }))
        }
        Value::Map(entries) => {
            let function = entries.iter().find(|(key, value)| match key.as_str() {
                "Ref" => true,
                // A policy's statement has a key of this name too, which holds a map.
                "Condition" => entries.len() == 1 && matches!(value.value, Value::Text(_)),
                _ => key.starts_with("Fn::"),
            });
            match function {
                Some((name, _)) if entries.len() > 1 => Err(node.error(format!("{name} stands alone in its map"))),
                Some((name, argument)) => Ok(Some(Call { name: Cow::Borrowed(name), argument })),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// A function that has a value.
pub(crate) enum Intrinsic<'t> {
    Ref(&'t str),
    GetAtt { resource: String, attribute: String },
    Sub { pieces: Vec<Piece>, variables: &'t [(String, Node)] },
    If { condition: &'t str, then: &'t Node, otherwise: &'t Node },
    Join { separator: &'t str, items: &'t Node },
}

impl<'t> Intrinsic<'t> {
    /// Reads `node`; `None` if it is a plain value.
    pub(crate) fn of(node: &'t Node) -> Result<Option<Self>, Error> {
        let Some(Call { name, argument }) = call(node)? else { return Ok(None) };
        let intrinsic = match &*name {
            "Ref" => Self::Ref(argument.name()?),
            "Fn::GetAtt" => Self::get_att(argument)?,
            "Fn::Sub" => Self::sub(argument)?,
            "Fn::If" => match argument.items()? {
                [condition, then, otherwise] => Self::If { condition: condition.name()?, then, otherwise },
                _ => return Err(argument.error("Fn::If takes a condition and two values")),
            },
            "Fn::Join" => match argument.items()? {
                [separator, items] => Self::Join { separator: separator.name()?, items },
                _ => return Err(argument.error("Fn::Join takes a separator and a list")),
            },
            "Condition" | "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => {
                return Err(node.error(format!("{name} belongs under Conditions")));
            }
            _ => return Err(node.error(format!("the intrinsic function {name} is not known to the local host"))),
        };
        Ok(Some(intrinsic))
    }

    /// `Resource.Attribute`, or a list of the two.
    fn get_att(argument: &Node) -> Result<Self, Error> {
        let parts = match &argument.value {
            Value::Text(text) => text.split_once('.'),
            Value::List(items) => match items.as_slice() {
                [resource, attribute] => Some((resource.name()?, attribute.name()?)),
                _ => None,
            },
            _ => None,
        };
        let (resource, attribute) = parts.ok_or_else(|| argument.error("Fn::GetAtt takes a resource and an attribute"))?;
        Ok(Self::GetAtt { resource: resource.to_owned(), attribute: attribute.to_owned() })
    }

    /// A text, or a list of a text and the variables that it has besides the template's names.
    fn sub(argument: &'t Node) -> Result<Self, Error> {
        let (text, variables) = match &argument.value {
            Value::List(items) => match items.as_slice() {
                [text, variables] => (text, variables.entries()?),
                _ => return Err(argument.error("Fn::Sub takes a text, or a text and a map")),
            },
            _ => (argument, [].as_slice()),
        };
        let pieces = pieces(text.name()?).map_err(|reason| text.error(reason))?;
        Ok(Self::Sub { pieces, variables })
    }
}

/// What a variable of `Fn::Sub` names, if not one of its own variables: `Name`, or `Resource.Attribute`.
pub(crate) fn attribute_of(variable: &str) -> Option<(&str, &str)> {
    variable.split_once('.')
}

/// What the names in a template mean.
#[derive(Default)]
pub(crate) struct Scope {
    /// Parameters and pseudo parameters.
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) conditions: BTreeMap<String, bool>,
    /// All resources; `None` for one that this machine has nothing of.
    pub(crate) resources: BTreeMap<String, Option<Identity>>,
}

/// The pseudo parameter that takes a property away.
pub(crate) const NO_VALUE: &str = "AWS::NoValue";

impl Scope {
    /// The pseudo parameters, and nothing else yet.
    pub(crate) fn of_machine(machine: &Machine) -> Scope {
        let Machine { account_id, region, stack_name, .. } = machine;
        let pseudo = [
            ("AWS::AccountId", account_id.clone()),
            ("AWS::Partition", "aws".to_owned()),
            ("AWS::Region", region.clone()),
            ("AWS::StackId", format!("arn:aws:cloudformation:{region}:{account_id}:stack/{stack_name}/local")),
            ("AWS::StackName", stack_name.clone()),
            ("AWS::URLSuffix", "amazonaws.com".to_owned()),
        ];
        let values = pseudo.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Scope { values, ..Scope::default() }
    }

    /// `node` without intrinsic functions at its top; below it they stay. `None` is `AWS::NoValue`.
    pub(crate) fn shallow(&self, node: &Node) -> Result<Option<Node>, Error> {
        let Some(intrinsic) = Intrinsic::of(node)? else { return Ok(Some(node.clone())) };
        let text = match intrinsic {
            Intrinsic::If { condition, then, otherwise } => {
                let holds = self.conditions.get(condition).ok_or_else(|| node.error(format!("{condition} is no condition")))?;
                return self.shallow(if *holds { then } else { otherwise });
            }
            Intrinsic::Ref(NO_VALUE) => return Ok(None),
            Intrinsic::Ref(name) => self.reference(name, &node.place)?.to_owned(),
            Intrinsic::GetAtt { resource, attribute } => self.attribute(&resource, &attribute, &node.place)?.to_owned(),
            Intrinsic::Sub { pieces, variables } => self.substitute(&pieces, variables, &node.place)?,
            Intrinsic::Join { separator, items } => self.texts(items)?.join(separator),
        };
        Ok(Some(Node { place: node.place.clone(), value: Value::Text(text) }))
    }

    /// The text that `node` is.
    pub(crate) fn text(&self, node: &Node) -> Result<String, Error> {
        self.shallow(node)?.ok_or_else(|| node.error("a text belongs here"))?.text()
    }

    /// The list of texts that `node` is.
    pub(crate) fn texts(&self, node: &Node) -> Result<Vec<String>, Error> {
        let list = self.shallow(node)?.ok_or_else(|| node.error("a list belongs here"))?;
        let mut texts = Vec::new();
        for item in list.items()? {
            if let Some(item) = self.shallow(item)? {
                texts.push(item.text()?);
            }
        }
        Ok(texts)
    }

    fn reference(&self, name: &str, place: &Place) -> Result<&str, Error> {
        match self.values.get(name) {
            Some(value) => Ok(value),
            None => self.attribute(name, Identity::REF, place),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str, place: &Place) -> Result<&str, Error> {
        let identity = self.resources.get(resource).ok_or_else(|| place.error(format!("{resource} is no name that may stand here")))?;
        let identity = identity.as_ref().ok_or_else(|| place.error(format!("{resource} is not there on the local host")))?;
        identity.attribute(attribute, place)
    }

    fn substitute(&self, pieces: &[Piece], variables: &[(String, Node)], place: &Place) -> Result<String, Error> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable(name) => match variables.iter().find(|(known, _)| known == name) {
                    Some((_, value)) => text.push_str(&self.text(value)?),
                    None => text.push_str(match attribute_of(name) {
                        Some((resource, attribute)) => self.attribute(resource, attribute, place)?,
                        None => self.reference(name, place)?,
                    }),
                },
            }
        }
        Ok(text)
    }
}
