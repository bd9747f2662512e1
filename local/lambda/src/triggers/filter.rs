//! `FilterCriteria`: event patterns, as far as stream filters need them.
//!
//! A pattern is an object like the event; where the event has a value it has a list of rules, of
//! which one must hold: a value itself, `prefix`, `exists`, `anything-but` or `numeric`. What is not
//! in that list is refused when the mapping starts.

use serde_json::Value;

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {}: {problem}", if path.is_empty() { "the top" } else { path })]
pub struct PatternError {
    /// Field names with dots between them.
    path: String,
    problem: String,
}

/// A parsed pattern: all fields must match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<(String, Field)>);

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Object(Pattern),
    AnyOf(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Equals(Value),
    Prefix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
    AnythingButPrefix(String),
    Numeric(Vec<(Comparison, f64)>),
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
        parse_object(pattern, "")
    }

    pub(super) fn matches(&self, event: &Value) -> bool {
        self.match_fields(Some(event))
    }

    /// Also matches where the event has no such object: its fields may have to be absent.
    fn match_fields(&self, object: Option<&Value>) -> bool {
        self.0.iter().all(|(name, field)| {
            let value = object.and_then(|object| object.get(name));
            match field {
                Field::Object(pattern) => pattern.match_fields(value),
                Field::AnyOf(rules) => rules.iter().any(|rule| rule.matches(value)),
            }
        })
    }
}

impl Rule {
    /// An array matches if one of its elements does. An object is no value: nothing matches it, and
    /// it does not exist.
    fn matches(&self, value: Option<&Value>) -> bool {
        let values: &[Value] = match value {
            None | Some(Value::Object(_)) => &[],
            Some(Value::Array(elements)) => elements,
            Some(value) => std::slice::from_ref(value),
        };
        let mut values = values.iter().filter(|value| !value.is_object() && !value.is_array());
        match self {
            Self::Exists(expected) => values.next().is_some() == *expected,
            rule => values.any(|value| rule.matches_scalar(value)),
        }
    }

    fn matches_scalar(&self, value: &Value) -> bool {
        match self {
            Self::Equals(expected) => equal(value, expected),
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            Self::Exists(expected) => *expected,
            Self::AnythingBut(others) => !others.iter().any(|other| equal(value, other)),
            Self::AnythingButPrefix(prefix) => value.as_str().is_some_and(|text| !text.starts_with(prefix)),
            Self::Numeric(comparisons) => {
                value.as_f64().is_some_and(|number| comparisons.iter().all(|(comparison, bound)| comparison.holds(number, *bound)))
            }
        }
    }
}

/// Numbers are equal by value (`1` and `1.0`), everything else as it is.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => Comparison::Equal.holds(left, right),
        _ => left == right,
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

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::AtMost,
            "=" => Self::Equal,
            ">=" => Self::AtLeast,
            ">" => Self::Greater,
            _ => return None,
        })
    }
}

fn parse_object(pattern: &Value, path: &str) -> Result<Pattern, PatternError> {
    let Value::Object(fields) = pattern else {
        return Err(error(path, "a pattern is an object"));
    };
    if fields.is_empty() {
        return Err(error(path, "a pattern has at least one field"));
    }
    let fields = fields.iter().map(|(name, field)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if name.starts_with('$') {
            return Err(error(&path, "operators in place of a field are not supported"));
        }
        let field = match field {
            Value::Array(rules) if rules.is_empty() => {
                return Err(error(&path, "the list of rules is empty"));
            }
            Value::Array(rules) => {
                let rules = rules.iter().map(|rule| parse_rule(rule, &path));
                Field::AnyOf(rules.collect::<Result<_, _>>()?)
            }
            object => Field::Object(parse_object(object, &path)?),
        };
        Ok((name.clone(), field))
    });
    fields.collect::<Result<_, _>>().map(Pattern)
}

fn parse_rule(rule: &Value, path: &str) -> Result<Rule, PatternError> {
    let Value::Object(operators) = rule else {
        return if rule.is_array() {
            Err(error(path, "a rule is a value or an operator, not a list"))
        } else {
            Ok(Rule::Equals(rule.clone()))
        };
    };
    let mut operators = operators.iter();
    let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
        return Err(error(path, "a rule has one operator"));
    };
    match (operator.as_str(), operand) {
        ("prefix", Value::String(prefix)) => Ok(Rule::Prefix(prefix.clone())),
        ("exists", Value::Bool(expected)) => Ok(Rule::Exists(*expected)),
        ("anything-but", Value::Object(inner)) => match inner.iter().next() {
            Some((operator, Value::String(prefix))) if operator == "prefix" && inner.len() == 1 => {
                Ok(Rule::AnythingButPrefix(prefix.clone()))
            }
            _ => Err(error(path, "of operators, \"anything-but\" takes \"prefix\" alone")),
        },
        ("anything-but", Value::Array(others)) if !others.is_empty() && others.iter().all(is_text_or_number) => {
            Ok(Rule::AnythingBut(others.clone()))
        }
        ("anything-but", other) if is_text_or_number(other) => Ok(Rule::AnythingBut(vec![other.clone()])),
        ("numeric", Value::Array(terms)) => {
            parse_numeric(terms).ok_or_else(|| error(path, "\"numeric\" takes one or two comparisons, each with a number"))
        }
        ("prefix" | "exists" | "anything-but" | "numeric", _) => Err(error(path, &format!("\"{operator}\" does not take this operand"))),
        _ => Err(error(path, &format!("the operator \"{operator}\" is not supported"))),
    }
}

fn parse_numeric(terms: &[Value]) -> Option<Rule> {
    let comparisons = terms.chunks(2).map(|term| match term {
        [Value::String(comparison), Value::Number(bound)] => Some((Comparison::parse(comparison)?, bound.as_f64()?)),
        _ => None,
    });
    let comparisons = comparisons.collect::<Option<Vec<_>>>()?;
    matches!(comparisons.len(), 1 | 2).then_some(Rule::Numeric(comparisons))
}

fn is_text_or_number(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

fn error(path: &str, problem: &str) -> PatternError {
    PatternError { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
