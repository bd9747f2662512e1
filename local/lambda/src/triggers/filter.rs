//! `FilterCriteria`: event patterns, with all the operators that Lambda documents for event source mappings.
//!
//! A pattern is an object like the event; where the event has a value it has a list of rules, of
//! which one must hold. What Lambda does not document is refused when the mapping starts.

mod parse;

use serde_json::Value;

pub use self::parse::PatternError;

/// A parsed pattern: all fields must match, and of each group of alternatives (`$or`) one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    fields: Vec<(String, Field)>,
    alternatives: Option<Vec<Pattern>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Object(Pattern),
    AnyOf(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Exists(bool),
    Equals(Value),
    AnythingBut(Vec<Value>),
    Text(Text),
    AnythingButText(Vec<Text>),
    Numeric(Vec<(Comparison, f64)>),
}

/// A condition that only texts fulfil.
#[derive(Debug, Clone, PartialEq)]
enum Text {
    Prefix(String),
    Suffix(String),
    /// In lower case.
    IgnoreCase(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

impl Pattern {
    pub(super) fn parse(pattern: &Value) -> Result<Self, PatternError> {
        parse::object(pattern, "")
    }

    pub(super) fn matches(&self, event: &Value) -> bool {
        let event = spread(event);
        self.match_any(&event, &event)
    }

    /// Whether one of these objects matches. Where there is none the fields may have to be absent: not here alone, but in
    /// all objects at this place of the event.
    fn match_any(&self, objects: &[&Value], everywhere: &[&Value]) -> bool {
        match objects {
            [] => self.match_one(None, everywhere),
            objects => objects.iter().any(|object| self.match_one(Some(object), everywhere)),
        }
    }

    fn match_one(&self, object: Option<&Value>, everywhere: &[&Value]) -> bool {
        let fields = self.fields.iter().all(|(name, field)| {
            let here = object.and_then(|object| object.get(name)).map(spread).unwrap_or_default();
            let everywhere: Vec<_> = everywhere.iter().filter_map(|object| object.get(name)).flat_map(spread).collect();
            match field {
                Field::Object(pattern) => pattern.match_any(&here, &everywhere),
                Field::AnyOf(rules) => rules.iter().any(|rule| rule.holds_for_one(&here, &everywhere)),
            }
        });
        fields && self.alternatives.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.match_one(object, everywhere)))
    }
}

/// A list is its elements.
fn spread(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(spread).collect(),
        value => vec![value],
    }
}

impl Rule {
    /// An object is no value: nothing matches it, and it does not exist.
    fn holds_for_one(&self, here: &[&Value], everywhere: &[&Value]) -> bool {
        let is_value = |value: &&&Value| !value.is_object();
        match self {
            Self::Exists(false) => !everywhere.iter().any(|value| is_value(&value)),
            rule => here.iter().filter(is_value).any(|value| rule.holds(value)),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Exists(expected) => *expected,
            // Lambda compares numbers as they are written: 300 and 300.0 are different ones.
            Self::Equals(expected) => value == expected,
            Self::AnythingBut(others) => !others.contains(value),
            Self::Text(condition) => value.as_str().is_some_and(|text| condition.holds(text)),
            Self::AnythingButText(conditions) => {
                value.as_str().is_some_and(|text| !conditions.iter().any(|condition| condition.holds(text)))
            }
            Self::Numeric(comparisons) => {
                value.as_f64().is_some_and(|number| comparisons.iter().all(|(comparison, bound)| comparison.holds(number, *bound)))
            }
        }
    }
}

impl Text {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::IgnoreCase(other) => text.to_lowercase() == *other,
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "both sides were written by someone, not computed")]
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::AtMost => number <= bound,
            Self::Equal => number == bound,
            Self::AtLeast => number >= bound,
            Self::Greater => number > bound,
        }
    }
}

/// A pattern for messages of a queue, of which Lambda looks at the body alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BodyPattern(Field);

impl BodyPattern {
    pub(super) fn parse(pattern: &Value) -> Result<Self, PatternError> {
        let parsed = Pattern::parse(pattern)?;
        let body = parsed.fields.into_iter().next().filter(|(name, _)| name == "body");
        match (body, parsed.alternatives, pattern.as_object().map(serde_json::Map::len)) {
            (Some((_, body)), None, Some(1)) => Ok(Self(body)),
            _ => Err(parse::error("", "the filter of a queue has the field \"body\" and no other")),
        }
    }

    /// A pattern for JSON lets no plain text pass, and one for plain text no JSON.
    pub(super) fn matches(&self, body: &str) -> bool {
        let json = serde_json::from_str(body).ok().filter(|json: &Value| json.is_object() || json.is_array());
        match (&self.0, json) {
            (Field::Object(pattern), Some(json)) => pattern.matches(&json),
            (Field::AnyOf(rules), None) => {
                let body = Value::from(body);
                rules.iter().any(|rule| rule.holds_for_one(&[&body], &[&body]))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
