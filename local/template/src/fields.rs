//! Reads the fields of a map one by one, and refuses the map if any is left that nobody asked for: so nothing in a template is
//! silently skipped.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    error::{Error, Place},
    intrinsics::Scope,
    not_local,
    resources::{Identity, Kind},
    yaml::{Node, Value},
};

/// The fields of a map that are still to be read.
pub(crate) struct Fields<'s> {
    /// Where the map stands.
    pub(crate) place: Place,
    /// What the map is, for example `AWS::Serverless::Function.Metadata`: `not_local` lists its fields under this name.
    what: String,
    left: Vec<(String, Node)>,
    pub(crate) scope: &'s Scope,
}

/// Makes a `T` of the map `node`. Of its fields, `build` takes those that matter here; any other must be on the list `not_local`.
pub(crate) fn read<'s, T>(
    node: &Node,
    what: impl Into<String>,
    scope: &'s Scope,
    build: impl FnOnce(&mut Fields<'s>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut fields = Fields { place: node.place.clone(), what: what.into(), left: node.entries()?.to_vec(), scope };
    let built = build(&mut fields)?;
    match fields.left.iter().find(|(name, _)| !not_local::field(&fields.what, name)) {
        Some((_, unknown)) => Err(unknown.error("this property is not known to the local host")),
        None => Ok(built),
    }
}

impl<'s> Fields<'s> {
    /// The error that a field must be there and is not.
    pub(crate) fn missing(&self, name: &str) -> Error {
        self.place.error(format!("{name} is missing"))
    }

    /// Any value; its inside is still as it is written.
    pub(crate) fn node(&mut self, name: &str) -> Result<Option<Node>, Error> {
        match self.left.iter().position(|(known, _)| known == name) {
            Some(index) => self.scope.shallow(&self.left.remove(index).1),
            None => Ok(None),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.node(name)?.map(|node| node.text()).transpose()
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Error> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A text for which this machine knows one value alone.
    pub(crate) fn fixed(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match self.node(name)? {
            Some(node) if node.text()? == value => Ok(()),
            Some(node) => Err(node.error(format!("the local host knows only `{value}` here"))),
            None => Err(self.missing(name)),
        }
    }

    /// A value that is written as text or as itself, such as a number that came through a parameter.
    fn parsed<T: std::str::FromStr>(&mut self, name: &str, belongs: &str) -> Result<Option<T>, Error> {
        let Some(node) = self.node(name)? else { return Ok(None) };
        node.text()?.parse().map(Some).map_err(|_| node.error(format!("{belongs} belongs here")))
    }

    /// A whole number in the range that AWS allows.
    pub(crate) fn whole(&mut self, name: &str, allowed: RangeInclusive<u32>) -> Result<Option<u32>, Error> {
        let Some(node) = self.node(name)? else { return Ok(None) };
        let number = node.text()?.parse().map_err(|_| node.error("a whole number belongs here"))?;
        if allowed.contains(&number) {
            Ok(Some(number))
        } else {
            Err(node.error(format!("{number} is not from {} to {}", allowed.start(), allowed.end())))
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, Error> {
        self.parsed(name, "a number")
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Error> {
        self.parsed(name, "true or false")
    }

    /// A whole number of seconds in the range that AWS allows.
    pub(crate) fn seconds(&mut self, name: &str, allowed: RangeInclusive<u32>) -> Result<Option<Duration>, Error> {
        Ok(self.whole(name, allowed)?.map(|seconds| Duration::from_secs(seconds.into())))
    }

    /// A list of texts; one text alone is a list of one, as CloudFormation has it. Empty where the field is not there.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Error> {
        match self.node(name)? {
            Some(node) if matches!(node.value, Value::List(_)) => self.scope.texts(&node),
            Some(node) => Ok(vec![node.text()?]),
            None => Ok(Vec::new()),
        }
    }

    /// A map with keys of any name, values as they are written. Empty where the field is not there.
    pub(crate) fn entries(&mut self, name: &str) -> Result<Vec<(String, Node)>, Error> {
        match self.node(name)? {
            Some(node) => Ok(node.entries()?.to_vec()),
            None => Ok(Vec::new()),
        }
    }

    /// A map from any name to a text.
    pub(crate) fn named_texts<C: FromIterator<(String, String)>>(&mut self, name: &str) -> Result<C, Error> {
        let mut texts = Vec::new();
        for (key, node) in self.entries(name)? {
            if let Some(value) = self.scope.shallow(&node)? {
                texts.push((key, value.text()?));
            }
        }
        Ok(texts.into_iter().collect())
    }

    /// A map with fields of its own.
    pub(crate) fn nested<T>(&mut self, name: &str, build: impl FnOnce(&mut Fields<'s>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let Some(node) = self.node(name)? else { return Ok(None) };
        read(&node, format!("{}.{name}", self.what), self.scope, build).map(Some)
    }

    /// A list of maps with fields of their own. Empty where the field is not there.
    pub(crate) fn each<T>(&mut self, name: &str, mut build: impl FnMut(&mut Fields<'s>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let Some(node) = self.node(name)? else { return Ok(Vec::new()) };
        let mut built = Vec::new();
        for item in node.items()? {
            if let Some(item) = self.scope.shallow(item)? {
                built.push(read(&item, format!("{}.{name}", self.what), self.scope, &mut build)?);
            }
        }
        Ok(built)
    }

    /// The resource of `kind` whose attribute is this field's text.
    pub(crate) fn resource(&mut self, name: &str, kind: Kind, attribute: &str) -> Result<Option<&'s Identity>, Error> {
        let Some(node) = self.node(name)? else { return Ok(None) };
        let text = node.text()?;
        let named = self.scope.resources.values().flatten().find(|identity| identity.kind == kind && identity.has(attribute, &text));
        named.map(Some).ok_or_else(|| node.error(format!("this is no {} of the template", kind.name())))
    }
}
