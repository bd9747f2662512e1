use proptest::prelude::*;
use serde_json::json;

use super::*;

fn matches(pattern: Value, event: Value) -> bool {
    Pattern::parse(&pattern).unwrap().matches(&event)
}

/// The event of a record whose new image has these attributes.
fn record(new_image: Value) -> Value {
    json!({
        "eventName": "MODIFY",
        "dynamodb": { "Keys": { "pk": { "S": "POST#1" } }, "NewImage": new_image },
    })
}

#[test]
fn only_records_that_speak_pass() {
    let speaks = json!({ "dynamodb": { "NewImage": { "event_id": { "S": [{ "exists": true }] } } } });
    assert!(matches(speaks.clone(), record(json!({ "event_id": { "S": "1" } }))));
    assert!(!matches(speaks.clone(), record(json!({ "other": { "S": "1" } }))));
    assert!(!matches(speaks.clone(), record(json!({ "event_id": { "N": "1" } }))));
    assert!(!matches(speaks, json!({ "dynamodb": { "OldImage": { "event_id": { "S": "1" } } } })));
}

#[test]
fn every_operator_does_what_it_says() {
    for (rule, value, expected) in [
        (json!("INSERT"), json!("INSERT"), true),
        (json!("INSERT"), json!("insert"), false),
        (json!(1), json!(1.0), true),
        (json!("1"), json!(1), false),
        (json!(null), json!(null), true),
        (json!(true), json!(false), false),
        (json!({ "prefix": "POST#" }), json!("POST#1"), true),
        (json!({ "prefix": "POST#" }), json!("USER#1"), false),
        (json!({ "prefix": "1" }), json!(12), false),
        (json!({ "exists": true }), json!(null), true),
        (json!({ "exists": false }), json!(null), false),
        (json!({ "exists": true }), json!({ "deeper": 1 }), false),
        (json!({ "exists": true }), json!([]), false),
        (json!({ "anything-but": "a" }), json!("b"), true),
        (json!({ "anything-but": ["a", 1] }), json!(1), false),
        (json!({ "anything-but": { "prefix": "a" } }), json!("ab"), false),
        (json!({ "anything-but": { "prefix": "a" } }), json!("ba"), true),
        (json!({ "numeric": [">", 1, "<=", 3] }), json!(3), true),
        (json!({ "numeric": [">", 1, "<=", 3] }), json!(1), false),
        (json!({ "numeric": ["=", 1] }), json!("1"), false),
        (json!("b"), json!(["a", "b"]), true),
        (json!("c"), json!(["a", "b"]), false),
    ] {
        let (pattern, event) = (json!({ "x": [rule] }), json!({ "x": value }));
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{pattern} on {event}");
    }
    assert!(matches(json!({ "x": { "y": [{ "exists": false }] } }), json!({})));
    assert!(!matches(json!({ "x": [{ "anything-but": "a" }] }), json!({})));
}

#[test]
fn what_is_not_supported_is_refused_with_its_place() {
    for (pattern, expected) in [
        (json!([]), "at the top: a pattern is an object"),
        (json!({}), "at the top: a pattern has at least one field"),
        (json!({ "a": {} }), "at a: a pattern has at least one field"),
        (json!({ "a": "INSERT" }), "at a: a pattern is an object"),
        (json!({ "a": { "b": [] } }), "at a.b: the list of rules is empty"),
        (json!({ "a": [["x"]] }), "at a: a rule is a value or an operator, not a list"),
        (json!({ "a": [{}] }), "at a: a rule has one operator"),
        (json!({ "a": [{ "wildcard": "*" }] }), "at a: the operator \"wildcard\" is not supported"),
        (json!({ "a": [{ "exists": "yes" }] }), "at a: \"exists\" does not take this operand"),
        (json!({ "a": [{ "anything-but": [] }] }), "at a: \"anything-but\" does not take this operand"),
        (json!({ "a": [{ "numeric": ["~", 1] }] }), "at a: \"numeric\" takes one or two comparisons, each with a number"),
        (json!({ "$or": [{ "a": [1] }] }), "at $or: operators in place of a field are not supported"),
    ] {
        assert_eq!(Pattern::parse(&pattern).unwrap_err().to_string(), expected, "{pattern}");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (-5i32..5).prop_map(Value::from), "[ab]{0,3}".prop_map(Value::from),]
}

fn json_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc$]{1,2}|exists|prefix|numeric|anything-but", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An event with at least one value, and no lists, so that it can be turned into a pattern.
fn event() -> impl Strategy<Value = Value> {
    let leaf = scalar().prop_recursive(3, 16, 3, |inner| {
        proptest::collection::btree_map("[abc]{1,2}", inner, 1..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    });
    proptest::collection::btree_map("[abc]{1,2}", leaf, 1..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// The pattern that has a rule for each value of an event.
fn pattern_of(event: &Value, rule: &impl Fn(&Value) -> Value) -> Value {
    match event {
        Value::Object(fields) => Value::Object(fields.iter().map(|(name, value)| (name.clone(), pattern_of(value, rule))).collect()),
        value => json!([rule(value)]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_pattern_and_no_event_makes_it_panic(pattern in json_value(), event in json_value()) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&event);
        }
    }

    #[test]
    fn an_event_matches_the_pattern_of_its_own_values(event in event()) {
        prop_assert!(matches(pattern_of(&event, &Value::clone), event.clone()));
        let exists = pattern_of(&event, &|_| json!({ "exists": true }));
        prop_assert!(matches(exists, event));
    }

    #[test]
    fn more_fields_in_the_event_change_nothing(event in event(), more in json_value()) {
        let pattern = pattern_of(&event, &Value::clone);
        let mut larger = event;
        larger["a field that no pattern names"] = more;
        prop_assert!(matches(pattern, larger));
    }

    #[test]
    fn a_value_either_exists_or_does_not(path in "[abc]", event in json_value()) {
        let exists = matches(json!({ &path: [{ "exists": true }] }), event.clone());
        let missing = matches(json!({ &path: [{ "exists": false }] }), event);
        prop_assert_ne!(exists, missing);
    }

    #[test]
    fn anything_but_is_the_opposite_of_equal(value in scalar(), other in scalar()) {
        prop_assume!(is_text_or_number(&other));
        let event = json!({ "x": value });
        let equal = matches(json!({ "x": [&other] }), event.clone());
        prop_assert_ne!(equal, matches(json!({ "x": [{ "anything-but": other }] }), event));
    }

    #[test]
    fn any_of_several_rules_is_enough(value in scalar(), rules in proptest::collection::vec(scalar(), 1..4)) {
        let event = json!({ "x": value });
        let one = rules.iter().any(|rule| matches(json!({ "x": [rule] }), event.clone()));
        prop_assert_eq!(matches(json!({ "x": rules }), event), one);
    }

    #[test]
    fn a_text_has_its_own_beginnings_as_prefixes(text in "[a-zé]{0,6}", other in "[a-zé]{0,3}") {
        let event = json!({ "x": &text });
        prop_assert_eq!(
            matches(json!({ "x": [{ "prefix": &other }] }), event.clone()),
            text.starts_with(&other)
        );
        prop_assert_eq!(
            matches(json!({ "x": [{ "anything-but": { "prefix": &other } }] }), event),
            !text.starts_with(&other)
        );
    }

    #[test]
    fn numbers_are_compared_as_numbers(value in -10i32..10, low in -10i32..10, high in -10i32..10) {
        let event = json!({ "x": value });
        prop_assert_eq!(
            matches(json!({ "x": [{ "numeric": [">=", low, "<", high] }] }), event),
            low <= value && value < high
        );
    }
}
