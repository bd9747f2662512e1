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
        (json!(""), json!(""), true),
        (json!(""), json!("a"), false),
        (json!(300), json!(300), true),
        (json!(300), json!(300.0), false),
        (json!(null), json!("null"), false),
        (json!("1"), json!(1), false),
        (json!(null), json!(null), true),
        (json!(true), json!(false), false),
        (json!({ "prefix": "POST#" }), json!("POST#1"), true),
        (json!({ "prefix": "POST#" }), json!("USER#1"), false),
        (json!({ "prefix": "1" }), json!(12), false),
        (json!({ "suffix": ".jpg" }), json!("a.jpg"), true),
        (json!({ "suffix": ".jpg" }), json!("a.JPG"), false),
        (json!({ "equals-ignore-case": "Alice" }), json!("aLICE"), true),
        (json!({ "equals-ignore-case": "Ä" }), json!("ä"), true),
        (json!({ "equals-ignore-case": "Alice" }), json!("Alic"), false),
        (json!({ "anything-but": { "suffix": ["a", "b"] } }), json!("ca"), false),
        (json!({ "anything-but": { "suffix": ["a", "b"] } }), json!("ac"), true),
        (json!({ "anything-but": { "equals-ignore-case": ["A", "b"] } }), json!("B"), false),
        (json!({ "anything-but": { "equals-ignore-case": "A" } }), json!("b"), true),
        (json!({ "anything-but": { "prefix": "a" } }), json!(1), false),
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
        (json!({ "numeric": ["=", 300] }), json!(3.0e2), true),
        (json!({ "numeric": ["<", 0] }), json!(-0.5), true),
        (json!({ "numeric": ["=", 1] }), json!("1"), false),
        (json!("c"), json!(["a", ["b", "c"]]), true),
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
fn of_alternatives_one_is_enough_beside_the_other_fields() {
    let pattern = json!({ "kind": ["post"], "$or": [{ "place": ["here"] }, { "age": [{ "numeric": ["<", 5] }] }] });
    for (event, expected) in [
        (json!({ "kind": "post", "place": "here" }), true),
        (json!({ "kind": "post", "age": 4 }), true),
        (json!({ "kind": "post", "place": "there", "age": 5 }), false),
        (json!({ "kind": "user", "place": "here" }), false),
    ] {
        assert_eq!(matches(pattern.clone(), event.clone()), expected, "{event}");
    }
    assert!(matches(json!({ "a": { "$or": [{ "b": [1] }, { "c": [1] }] } }), json!({ "a": { "c": 1 } })));
}

#[test]
fn of_a_list_of_objects_one_must_have_all() {
    let pattern = json!({ "L": { "S": ["x"], "T": ["y"] } });
    assert!(matches(pattern.clone(), json!({ "L": [{ "S": "a" }, { "S": "x", "T": "y" }] })));
    assert!(!matches(pattern.clone(), json!({ "L": [{ "S": "x" }, { "T": "y" }] })));
    assert!(!matches(pattern, json!({ "L": [] })));
    let without = json!({ "L": { "S": [{ "exists": false }] } });
    assert!(!matches(without.clone(), json!({ "L": [{ "S": "x" }, { "T": "y" }] })), "it exists in one of them");
    assert!(matches(without, json!({ "L": [{ "T": "y" }] })));
}

#[test]
fn a_queues_messages_are_filtered_by_their_bodies() {
    let parse = |pattern: Value| BodyPattern::parse(&pattern).unwrap();
    let json_pattern = parse(json!({ "body": { "kind": ["loud"], "$or": [{ "a": [1] }, { "b": [1] }] } }));
    assert!(json_pattern.matches(r#"{"kind": "loud", "b": 1}"#));
    assert!(!json_pattern.matches(r#"{"kind": "loud"}"#));
    assert!(!json_pattern.matches("loud"));
    assert!(!parse(json!({ "body": { "kind": [{ "exists": false }] } })).matches("plain"), "no text passes a pattern for JSON");
    let text_pattern = parse(json!({ "body": [{ "prefix": "Result: " }] }));
    assert!(text_pattern.matches("Result: 1"));
    assert!(!text_pattern.matches("result: 1"));
    assert!(!parse(json!({ "body": [{ "exists": true }] })).matches(r#"{"kind": "loud"}"#), "no JSON passes a pattern for texts");
    for pattern in [
        json!({ "attributes": { "SenderId": ["x"] } }),
        json!({ "body": ["x"], "messageId": ["y"] }),
        json!({ "$or": [{ "body": ["x"] }, { "body": ["y"] }] }),
    ] {
        let error = BodyPattern::parse(&pattern).unwrap_err().to_string();
        assert_eq!(error, "at the top: the filter of a queue has the field \"body\" and no other", "{pattern}");
    }
}

const BUT: &str = "at a: \"anything-but\" takes texts, numbers, or one of \"prefix\", \"suffix\", \"equals-ignore-case\"";
const NUMERIC: &str = "at a: \"numeric\" takes \"=\" or a range, as in [\">\", 0, \"<=\", 5]";

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
        (json!({ "a": [{ "cidr": "10.0.0.0/8" }] }), "at a: the operator \"cidr\" is not supported"),
        (json!({ "a": [{ "anything-but": { "prefix": "" } }] }), BUT),
        (json!({ "a": [{ "prefix": { "equals-ignore-case": "x" } }] }), "at a: \"prefix\" does not take this operand"),
        (json!({ "a": [{ "suffix": 1 }] }), "at a: \"suffix\" does not take this operand"),
        (json!({ "a": [{ "equals-ignore-case": ["x"] }] }), "at a: \"equals-ignore-case\" does not take this operand"),
        (json!({ "a": [{ "exists": "yes" }] }), "at a: \"exists\" does not take this operand"),
        (json!({ "a": [{ "anything-but": [] }] }), BUT),
        (json!({ "a": [{ "anything-but": null }] }), BUT),
        (json!({ "a": [{ "anything-but": { "prefix": [] } }] }), BUT),
        (json!({ "a": [{ "anything-but": { "wildcard": "*" } }] }), BUT),
        (json!({ "a": [{ "numeric": ["~", 1] }] }), NUMERIC),
        (json!({ "a": [{ "numeric": [] }] }), NUMERIC),
        (json!({ "a": [{ "numeric": ["<", 5, ">", 1] }] }), NUMERIC),
        (json!({ "a": [{ "numeric": [">", 5, "<", 5] }] }), NUMERIC),
        (json!({ "a": [{ "numeric": [">", "1"] }] }), NUMERIC),
        (json!({ "$or": [{ "a": [1] }] }), "at $or: \"$or\" takes a list of two patterns or more"),
        (json!({ "a": { "$or": [{ "b": [1] }, {}] } }), "at a.$or: a pattern has at least one field"),
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
        prop_assume!(other.is_string() || other.is_number());
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
    fn a_text_has_its_own_beginnings_as_prefixes(text in "[a-zé]{0,6}", other in "[a-zé]{1,3}") {
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
    fn numbers_are_compared_as_numbers(value in -10i32..10, low in -10i32..10, wide in 1i32..10) {
        let high = low + wide;
        let event = json!({ "x": value });
        prop_assert_eq!(
            matches(json!({ "x": [{ "numeric": [">=", low, "<", high] }] }), event),
            low <= value && value < high
        );
    }
}

/// A rule on some leaf, with the rules that the reference knows.
fn rule() -> impl Strategy<Value = Value> {
    let text = || "[aAb]{1,2}".prop_map(Value::from);
    prop_oneof![
        2 => scalar(),
        1 => any::<bool>().prop_map(|exists| json!({ "exists": exists })),
        1 => text().prop_map(|text| json!({ "prefix": text })),
        1 => text().prop_map(|text| json!({ "suffix": text })),
        1 => text().prop_map(|text| json!({ "equals-ignore-case": text })),
        1 => text().prop_map(|text| json!({ "anything-but": [text, 1] })),
        1 => text().prop_map(|text| json!({ "anything-but": { "suffix": [text] } })),
        1 => (-5..5, 1..5).prop_map(|(low, wide)| json!({ "numeric": [">", low, "<=", low + wide] })),
    ]
}

fn pattern() -> impl Strategy<Value = Value> {
    let rules = || proptest::collection::vec(rule(), 1..3).prop_map(Value::from);
    let fields = |inner: BoxedStrategy<Value>| {
        proptest::collection::btree_map("[ab]", inner, 1..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    let flat = fields(rules().boxed());
    flat.prop_recursive(1, 4, 2, move |inner| {
        let alternatives = proptest::collection::vec(inner.clone(), 2..4);
        (fields(prop_oneof![rules(), inner].boxed()), proptest::option::of(alternatives)).prop_map(|(mut pattern, alternatives)| {
            if let Some(alternatives) = alternatives {
                pattern["$or"] = alternatives.into();
            }
            pattern
        })
    })
}

/// What a pattern means, read off its JSON, for events without lists.
fn reference(pattern: &Value, event: &Value, path: &str) -> bool {
    pattern.as_object().unwrap().iter().all(|(name, inner)| match inner {
        Value::Array(patterns) if name == "$or" => patterns.iter().any(|pattern| reference(pattern, event, path)),
        Value::Array(rules) => {
            let leaf = event.pointer(&format!("{path}/{name}")).filter(|value| !value.is_object());
            rules.iter().any(|rule| fulfils(leaf, rule))
        }
        pattern => reference(pattern, event, &format!("{path}/{name}")),
    })
}

fn fulfils(leaf: Option<&Value>, rule: &Value) -> bool {
    if rule["exists"].is_boolean() {
        return rule["exists"] == leaf.is_some();
    }
    let Some(leaf) = leaf else { return false };
    let text = leaf.as_str();
    if let Some(prefix) = rule["prefix"].as_str() {
        text.is_some_and(|text| text.starts_with(prefix))
    } else if let Some(suffix) = rule["suffix"].as_str() {
        text.is_some_and(|text| text.ends_with(suffix))
    } else if let Some(other) = rule["equals-ignore-case"].as_str() {
        text.is_some_and(|text| text.eq_ignore_ascii_case(other))
    } else if let Some(others) = rule["anything-but"].as_array() {
        others.iter().all(|other| other != leaf)
    } else if let Some(suffix) = rule["anything-but"]["suffix"][0].as_str() {
        text.is_some_and(|text| !text.ends_with(suffix))
    } else if let Some(range) = rule["numeric"].as_array() {
        leaf.as_i64().is_some_and(|number| number > range[1].as_i64().unwrap() && number <= range[3].as_i64().unwrap())
    } else {
        leaf == rule
    }
}

/// Objects of the fields that patterns speak of.
fn small_event() -> impl Strategy<Value = Value> {
    let value = prop_oneof![1 => scalar(), 3 => "[aAb]{1,2}".prop_map(Value::from)];
    let object = |inner: BoxedStrategy<Value>| {
        proptest::collection::btree_map("[ab]", inner, 1..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    object(value.prop_recursive(1, 4, 2, move |inner| object(inner.boxed())).boxed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn patterns_mean_what_their_json_says(pattern in pattern(), event in small_event()) {
        prop_assert_eq!(matches(pattern.clone(), event.clone()), reference(&pattern, &event, ""));
    }
}
