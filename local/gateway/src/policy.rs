//! The IAM policy that an authorizer answers with: does it allow this method?

use serde_json::Value;

/// The statements of a policy document about one action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Statement {
    allow: bool,
    resources: Vec<String>,
}

/// What a policy says of one action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Allowed, and nowhere denied.
    Allow,
    /// No statement speaks of it.
    ImplicitDeny,
    /// A `Deny` speaks of it: that wins over every `Allow`.
    ExplicitDeny,
}

impl Policy {
    /// Reads what a document says of `action`. `None` for anything that cannot be evaluated in full (`Condition`, `NotAction`, a
    /// misspelt effect): a policy half understood must not let anyone in.
    pub(crate) fn parse(document: &Value, action: &str) -> Option<Self> {
        let statements = one_or_more(document.get("Statement")?).map(|statement| Statement::parse(statement, action));
        Some(Self { statements: statements.collect::<Option<Vec<_>>>()? })
    }

    /// Whether the action is allowed on `resource`.
    pub(crate) fn decide(&self, resource: &str) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in &self.statements {
            if !statement.resources.iter().any(|pattern| wildcard_match(pattern, resource)) {
                continue;
            }
            if !statement.allow {
                return Decision::ExplicitDeny;
            }
            decision = Decision::Allow;
        }
        decision
    }
}

impl Statement {
    /// About `action`: a statement about others speaks of no resource.
    fn parse(statement: &Value, action: &str) -> Option<Self> {
        let known = ["Sid", "Effect", "Action", "Resource"];
        let fields = statement.as_object()?;
        if fields.keys().any(|field| !known.contains(&field.as_str())) {
            return None;
        }
        let allow = match fields.get("Effect")?.as_str()? {
            "Allow" => true,
            "Deny" => false,
            _ => return None,
        };
        let resources = strings(fields.get("Resource")?)?;
        // Actions are case-insensitive, resources are not.
        let action = action.to_lowercase();
        let is_about = strings(fields.get("Action")?)?.iter().any(|pattern| wildcard_match(&pattern.to_lowercase(), &action));
        Some(Self { allow, resources: if is_about { resources } else { Vec::new() } })
    }
}

fn one_or_more(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice).iter()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    one_or_more(value).map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Whether the whole text matches: `*` is any run of characters, `?` is any one.
///
/// Goes back to the last `*` alone, so that a policy of many stars costs pattern x text and not more.
fn wildcard_match(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What follows the last star, and the text that it has not swallowed yet.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (left, wanted) = (pattern.clone(), pattern.next());
        if wanted == Some('*') {
            star = Some((pattern.clone(), text.clone()));
            continue;
        }
        let Some(c) = text.next() else { return left.clone().all(|c| c == '*') };
        if wanted.is_some_and(|wanted| wanted == '?' || wanted == c) {
            continue;
        }
        let Some((after, unswallowed)) = &mut star else { return false };
        unswallowed.next();
        (pattern, text) = (after.clone(), unswallowed.clone());
    }
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
