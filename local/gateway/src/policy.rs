//! The IAM policy that an authorizer answers with: does it allow this method?

use serde_json::Value;

/// A policy document, as far as authorizers write them: `Effect`, `Action`, `Resource`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Statement {
    allow: bool,
    actions: Vec<String>,
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
    /// Reads a document. `None` for anything that cannot be evaluated in full (`Condition`, `NotAction`, a misspelt effect):
    /// a policy half understood must not let anyone in.
    pub(crate) fn parse(document: &Value) -> Option<Self> {
        let statements = one_or_more(document.get("Statement")?).map(Statement::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { statements })
    }

    /// Whether `action` on `resource` is allowed.
    pub(crate) fn decide(&self, action: &str, resource: &str) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in &self.statements {
            if !statement.speaks_of(action, resource) {
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
    fn parse(statement: &Value) -> Option<Self> {
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
        Some(Self {
            allow,
            actions: strings(fields.get("Action")?)?.iter().map(|action| action.to_lowercase()).collect(),
            resources: strings(fields.get("Resource")?)?,
        })
    }

    fn speaks_of(&self, action: &str, resource: &str) -> bool {
        // Actions are case-insensitive, resources are not.
        let action = action.to_lowercase();
        self.actions.iter().any(|pattern| wildcard_match(pattern, &action))
            && self.resources.iter().any(|pattern| wildcard_match(pattern, resource))
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
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and up to where it has swallowed the text.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, swallowed)) = star else { return false };
                star = Some((at, swallowed + 1));
                p = at + 1;
                t = swallowed + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const INVOKE: &str = "execute-api:Invoke";
    const FEED: &str = "arn:aws:execute-api:us-east-1:000000000000:api/v1/GET/feed";

    fn statement(effect: &str, action: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": action, "Resource": resource})
    }

    #[test]
    fn decisions() {
        let stage = "arn:aws:execute-api:us-east-1:000000000000:api/v1/*";
        let table = [
            (vec![], Decision::ImplicitDeny),
            (vec![statement("Allow", INVOKE, stage)], Decision::Allow),
            (vec![statement("Allow", INVOKE, FEED)], Decision::Allow),
            (vec![statement("Allow", "*", "*")], Decision::Allow),
            (vec![statement("Allow", "execute-api:*", stage)], Decision::Allow),
            (vec![statement("Allow", "EXECUTE-API:invoke", stage)], Decision::Allow),
            (vec![statement("Allow", INVOKE, "arn:aws:execute-api:us-east-?:*:api/v1/GET/feed")], Decision::Allow),
            (vec![statement("Allow", "s3:GetObject", "*")], Decision::ImplicitDeny),
            (vec![statement("Allow", INVOKE, "arn:aws:execute-api:us-east-1:000000000000:api/v1/POST/*")], Decision::ImplicitDeny),
            (vec![statement("Allow", INVOKE, &FEED.to_uppercase())], Decision::ImplicitDeny),
            (vec![statement("Allow", INVOKE, &FEED[..FEED.len() - 1])], Decision::ImplicitDeny),
            (vec![statement("Deny", INVOKE, FEED), statement("Allow", "*", "*")], Decision::ExplicitDeny),
            (vec![statement("Allow", "*", "*"), statement("Deny", INVOKE, FEED)], Decision::ExplicitDeny),
            (vec![statement("Deny", INVOKE, "*/POST/*"), statement("Allow", "*", "*")], Decision::Allow),
        ];
        for (statements, expected) in table {
            let document = json!({"Version": "2012-10-17", "Statement": statements});
            let policy = Policy::parse(&document).unwrap();
            assert_eq!(policy.decide(INVOKE, FEED), expected, "{document}");
        }
    }

    #[test]
    fn one_statement_and_lists_are_read_alike() {
        let one = Policy::parse(&json!({"Statement": statement("Allow", INVOKE, FEED)})).unwrap();
        let list = Policy::parse(&json!({"Statement": [{"Sid": "s", "Effect": "Allow", "Action": [INVOKE], "Resource": [FEED]}]})).unwrap();
        assert_eq!(one, list);
    }

    #[test]
    fn a_policy_half_understood_is_none() {
        let condition = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {}}});
        let inverse = json!({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"});
        for wrong in [
            json!({"Statement": condition}),
            json!({"Statement": inverse}),
            json!({"Statement": statement("allow", "*", "*")}),
            json!({"Statement": {"Effect": "Allow", "Action": "*"}}),
            json!({"Statement": {"Effect": "Allow", "Action": 1, "Resource": "*"}}),
            json!({"Statement": "Allow"}),
            json!({}),
            json!(null),
        ] {
            assert_eq!(Policy::parse(&wrong), None, "{wrong}");
        }
    }

    /// The definition, word for word and exponential.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|taken| reference(rest, &text[taken..])),
            (Some((&p, p_rest)), Some((&t, t_rest))) => (p == '?' || p == t) && reference(p_rest, t_rest),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn wildcards_match_as_defined(pattern in "[ab*?é]{0,8}", text in "[abé]{0,8}") {
            let expected = reference(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(wildcard_match(&pattern, &text), expected);
        }

        #[test]
        fn a_deny_that_matches_always_wins(before in 0_usize..4, after in 0_usize..4, exact in any::<bool>()) {
            let allow = statement("Allow", "*", "*");
            let mut statements = vec![allow.clone(); before];
            statements.push(statement("Deny", INVOKE, if exact { FEED } else { "*" }));
            statements.extend(vec![allow; after]);
            let policy = Policy::parse(&json!({"Statement": statements})).unwrap();
            prop_assert_eq!(policy.decide(INVOKE, FEED), Decision::ExplicitDeny);
        }
    }
}
