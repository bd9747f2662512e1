//! `cargo lambda watch` knows no template: its routes stand in Cargo.toml, and must be those of the gateway.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::host;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// `[workspace.metadata.lambda.watch.router]`, as Cargo reads it: method and path, and the binary that answers.
fn routes_of_watch() -> BTreeSet<(String, String)> {
    let cargo =
        Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(ROOT).output();
    let cargo = cargo.expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let workspace: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let router = workspace["metadata"]["lambda"]["watch"]["router"].as_object().expect("a router").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let of_path = |(path, functions): (String, Value)| {
        let functions = functions.as_array().expect("methods").clone();
        functions.into_iter().map(move |it| (format!("{} {path}", text(&it["method"])), text(&it["function"])))
    };
    router.into_iter().flat_map(of_path).collect()
}

#[test]
fn cargo_lambda_watch_has_the_gateways_routes() {
    let aws = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4566);
    let deployment = host::read_template(&Path::new(ROOT).join("template.yaml"), aws).unwrap();
    let binary = |name: &str| deployment.functions.iter().find(|function| function.name == name).unwrap().binary.clone();
    let api = &deployment.api;
    // It answers by itself what has no route.
    let routes: BTreeSet<_> = api
        .routes
        .iter()
        .filter(|it| it.path != "/{proxy+}")
        .map(|it| (format!("{} /{}{}", it.method, api.stage, it.path), binary(&it.function)))
        .collect();
    assert!(!routes.is_empty());
    assert_eq!(routes_of_watch(), routes);
}
