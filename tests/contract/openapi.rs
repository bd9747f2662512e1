//! The published description of the API: current, complete, and the same everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};
use tintype_template::Machine;

use crate::harness::{Caller, host::root};

fn checked_in() -> String {
    fs::read_to_string(root().join("docs/openapi.json")).expect("docs/openapi.json")
}

fn document() -> Value {
    serde_json::from_str(&checked_in()).expect("JSON")
}

#[test]
fn the_description_that_is_checked_in_is_what_the_code_says() {
    let current = checked_in() == tintype_local::openapi::document();
    assert!(current, "docs/openapi.json is old: write it anew with `cargo run -- openapi > docs/openapi.json`");
}

#[tokio::test]
async fn the_api_publishes_the_description_that_is_checked_in() {
    let answer = Caller::nobody().get("/openapi.json").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.text == checked_in(), "another description is published");
    assert_eq!(answer["openapi"], "3.1.0");
}

#[test]
fn every_route_of_the_template_is_described_and_every_described_one_is_routed() {
    let template = fs::read_to_string(root().join("template.yaml")).expect("template.yaml");
    let machine = Machine {
        account_id: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        stack_name: "tintype".to_owned(),
        aws_endpoint: "http://127.0.0.1:4566".to_owned(),
    };
    let parameters = BTreeMap::from([("AwsEndpointUrl".to_owned(), machine.aws_endpoint.clone())]);
    let api = tintype_template::read(&template, &parameters, &machine).expect("the template can be read").api;
    // What has no route of its own is answered, not described.
    let routed = api.routes.iter().filter(|route| route.path != "/{proxy+}");
    let routed: BTreeSet<_> = routed.map(|route| (route.path.clone(), route.method.clone(), route.authorized)).collect();
    assert_eq!(described(), routed);
}

/// Path, method, and whether a token is demanded.
fn described() -> BTreeSet<(String, String, bool)> {
    let document = document();
    let operations = document["paths"].as_object().expect("paths").iter().flat_map(|(path, methods)| {
        methods.as_object().expect("methods").iter().map(|(method, operation)| {
            let demanded = operation["security"].as_array().is_some_and(|ways| ways.iter().all(|way| *way != json!({})));
            (path.clone(), method.to_uppercase(), demanded)
        })
    });
    operations.collect()
}

#[test]
fn every_operation_says_what_it_does_and_answers_problems_as_problems() {
    let document = document();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let name = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} has a summary");
            for (status, answer) in operation["responses"].as_object().expect("responses") {
                let types: Vec<&String> = answer["content"].as_object().map_or_else(Vec::new, |content| content.keys().collect());
                if status.starts_with('4') || status.starts_with('5') {
                    assert_eq!(types, ["application/problem+json"], "{name} {status}");
                }
            }
        }
    }
}
