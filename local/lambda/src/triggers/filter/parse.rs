//! Reads event patterns.

use serde_json::Value;

use super::{Comparison, Field, Pattern, Rule, Text};

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {}: {problem}", if path.is_empty() { "the top" } else { path })]
pub struct PatternError {
    /// Field names with dots between them.
    path: String,
    problem: String,
}

/// The field whose patterns are alternatives.
const OR: &str = "$or";

pub(super) fn error(path: &str, problem: &str) -> PatternError {
    PatternError { path: path.to_owned(), problem: problem.to_owned() }
}

pub(super) fn object(pattern: &Value, path: &str) -> Result<Pattern, PatternError> {
    let Value::Object(entries) = pattern else {
        return Err(error(path, "a pattern is an object"));
    };
    if entries.is_empty() {
        return Err(error(path, "a pattern has at least one field"));
    }
    let mut parsed = Pattern { fields: Vec::new(), alternatives: None };
    for (name, entry) in entries {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if name == OR {
            parsed.alternatives = Some(alternatives(entry, &path)?);
        } else {
            parsed.fields.push((name.clone(), field(entry, &path)?));
        }
    }
    Ok(parsed)
}

fn alternatives(patterns: &Value, path: &str) -> Result<Vec<Pattern>, PatternError> {
    match patterns {
        Value::Array(patterns) if patterns.len() > 1 => patterns.iter().map(|pattern| object(pattern, path)).collect(),
        _ => Err(error(path, "\"$or\" takes a list of two patterns or more")),
    }
}

fn field(field: &Value, path: &str) -> Result<Field, PatternError> {
    match field {
        Value::Array(rules) if rules.is_empty() => Err(error(path, "the list of rules is empty")),
        Value::Array(rules) => rules.iter().map(|rule| parse_rule(rule, path)).collect::<Result<_, _>>().map(Field::AnyOf),
        pattern => object(pattern, path).map(Field::Object),
    }
}

fn parse_rule(rule: &Value, path: &str) -> Result<Rule, PatternError> {
    let operators = match rule {
        Value::Object(operators) => operators,
        Value::Array(_) => return Err(error(path, "a rule is a value or an operator, not a list")),
        value => return Ok(Rule::Equals(value.clone())),
    };
    let mut operators = operators.iter();
    let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
        return Err(error(path, "a rule has one operator"));
    };
    match operator.as_str() {
        "exists" => operand.as_bool().map(Rule::Exists),
        "numeric" => return numeric(operand).ok_or_else(|| error(path, "\"numeric\" takes \"=\" or a range, as in [\">\", 0, \"<=\", 5]")),
        "anything-but" => return anything_but(operand, path),
        "prefix" | "suffix" | "equals-ignore-case" => operand.as_str().and_then(|text| condition(operator, text)).map(Rule::Text),
        _ => return Err(error(path, &format!("the operator \"{operator}\" is not supported"))),
    }
    .ok_or_else(|| error(path, &format!("\"{operator}\" does not take this operand")))
}

/// What only texts fulfil.
fn condition(operator: &str, text: &str) -> Option<Text> {
    match operator {
        "prefix" => Some(Text::Prefix(text.to_owned())),
        "suffix" => Some(Text::Suffix(text.to_owned())),
        "equals-ignore-case" => Some(Text::IgnoreCase(text.to_lowercase())),
        _ => None,
    }
}

/// Texts and numbers, or a condition that takes one text or several, none of them empty.
fn anything_but(operand: &Value, path: &str) -> Result<Rule, PatternError> {
    let refused = || error(path, "\"anything-but\" takes texts, numbers, or one of \"prefix\", \"suffix\", \"equals-ignore-case\"");
    let several = |operand: &Value| match operand {
        Value::Array(operands) => operands.clone(),
        one => vec![one.clone()],
    };
    if let Value::Object(conditions) = operand {
        let mut conditions = conditions.iter();
        let (Some((operator, texts)), None) = (conditions.next(), conditions.next()) else { return Err(refused()) };
        let texts = several(texts);
        let conditions = texts
            .iter()
            .map(|text| text.as_str().filter(|text| !text.is_empty()).and_then(|text| condition(operator, text)))
            .collect::<Option<Vec<_>>>();
        return conditions.filter(|conditions| !conditions.is_empty()).map(Rule::AnythingButText).ok_or_else(refused);
    }
    let others = several(operand);
    let known = !others.is_empty() && others.iter().all(|other| other.is_string() || other.is_number());
    if known { Ok(Rule::AnythingBut(others)) } else { Err(refused()) }
}

fn numeric(terms: &Value) -> Option<Rule> {
    let comparisons = terms.as_array()?.chunks(2).map(|term| match term {
        [Value::String(comparison), Value::Number(bound)] => Some((comparison_of(comparison)?, bound.as_f64()?)),
        _ => None,
    });
    let comparisons = comparisons.collect::<Option<Vec<_>>>()?;
    let is_low = |comparison| matches!(comparison, Comparison::Greater | Comparison::AtLeast);
    let is_high = |comparison| matches!(comparison, Comparison::Less | Comparison::AtMost);
    match comparisons.as_slice() {
        [_] => {}
        [(low, from), (high, to)] if is_low(*low) && is_high(*high) && from < to => {}
        _ => return None,
    }
    Some(Rule::Numeric(comparisons))
}

fn comparison_of(text: &str) -> Option<Comparison> {
    Some(match text {
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        "=" => Comparison::Equal,
        ">=" => Comparison::AtLeast,
        ">" => Comparison::Greater,
        _ => return None,
    })
}
