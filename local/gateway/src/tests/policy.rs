//! Policies, against the definition.

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
        let policy = Policy::parse(&document, INVOKE).unwrap();
        assert_eq!(policy.decide(FEED), expected, "{document}");
    }
}

#[test]
fn one_statement_and_lists_are_read_alike() {
    let one = Policy::parse(&json!({"Statement": statement("Allow", INVOKE, FEED)}), INVOKE).unwrap();
    let list =
        Policy::parse(&json!({"Statement": [{"Sid": "s", "Effect": "Allow", "Action": [INVOKE], "Resource": [FEED]}]}), INVOKE).unwrap();
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
        assert_eq!(Policy::parse(&wrong, INVOKE), None, "{wrong}");
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

/// Whether it allows, its actions, its resources.
type Written = (bool, Vec<String>, Vec<String>);

fn statements() -> impl Strategy<Value = Vec<Written>> {
    let action =
        prop_oneof![Just(INVOKE), Just("*"), Just("execute-api:*"), Just("EXECUTE-API:INV?KE"), Just("s3:*"), Just("execute-api:")];
    let actions = prop::collection::vec(action.prop_map(str::to_owned), 1..3);
    let resources = prop::collection::vec("[ab/*?]{0,4}", 1..3);
    prop::collection::vec((any::<bool>(), actions, resources), 0..5)
}

fn document_of((allow, actions, resources): &Written) -> Value {
    // One may stand without a list.
    let or_one = |texts: &[String]| if let [one] = texts { json!(one) } else { json!(texts) };
    json!({"Effect": if *allow { "Allow" } else { "Deny" }, "Action": or_one(actions), "Resource": or_one(resources)})
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
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
        let policy = Policy::parse(&json!({"Statement": statements}), INVOKE).unwrap();
        prop_assert_eq!(policy.decide(FEED), Decision::ExplicitDeny);
    }

    /// Against the words of the documentation, in whatever order the statements stand.
    #[test]
    fn decisions_are_as_defined_whatever_the_order(
        (statements, shuffled) in statements().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        resource in "[ab/]{0,6}",
    ) {
        let speaks = |(_, actions, resources): &&Written| {
            let matches = |patterns: &[String], text: &str| patterns.iter().any(|it| reference(&chars(it), &chars(text)));
            let actions: Vec<_> = actions.iter().map(|action| action.to_lowercase()).collect();
            matches(&actions, &INVOKE.to_lowercase()) && matches(resources, &resource)
        };
        let speaking: Vec<_> = statements.iter().filter(speaks).collect();
        let expected = if speaking.iter().any(|(allow, ..)| !allow) {
            Decision::ExplicitDeny
        } else if speaking.is_empty() {
            Decision::ImplicitDeny
        } else {
            Decision::Allow
        };
        for written in [statements, shuffled] {
            let document = json!({"Statement": written.iter().map(document_of).collect::<Vec<_>>()});
            prop_assert_eq!(Policy::parse(&document, INVOKE).unwrap().decide(&resource), expected, "{}", document);
        }
    }
}
