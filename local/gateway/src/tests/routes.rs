//! Routing, against the tree walk that API Gateway's resources suggest; and decoding.

use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn route(method: &str, path: &str) -> Route {
    Route { method: method.to_owned(), path: path.to_owned(), function: String::new(), authorized: false }
}

fn table(routes: &[(&str, &str)]) -> RouteTable {
    RouteTable::new(routes.iter().map(|(method, path)| route(method, path)).collect(), &[], None)
}

/// Method and path of the template, and the parameters.
type Found = Result<(String, BTreeMap<String, String>), Refusal>;

fn found_in(table: &RouteTable, method: &str, path: &str) -> Found {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let matched = table.find(&method, path)?;
    let parameters = matched.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((format!("{} {}", matched.endpoint.method, matched.resource_path), parameters))
}

fn found(method: &str, path: &str) -> Found {
    let routes = [
        ("GET", "/"),
        ("GET", "/users/{username}"),
        ("GET", "/users/suggested"),
        ("PUT", "/users/{username}/follow"),
        ("DELETE", "/users/{username}/follow"),
        ("GET", "/users/{username}/followers"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/files/{path+}"),
        ("GET", "/files/index"),
    ];
    found_in(&table(&routes), method, path)
}

#[test]
fn any_stands_for_the_methods_that_a_path_has_not() {
    let table = table(&[("ANY", "/{proxy+}"), ("GET", "/me"), ("ANY", "/all"), ("GET", "/all")]);
    let endpoint = |method, path| found_in(&table, method, path).map(|(endpoint, _)| endpoint);
    assert_eq!(endpoint("GET", "/all").unwrap(), "GET /all");
    assert_eq!(endpoint("PATCH", "/all").unwrap(), "ANY /all");
    assert_eq!(endpoint("DELETE", "/wp-admin/setup.php").unwrap(), "ANY /{proxy+}");
    // What a path has no method for is left to the rest of a path, and to no other.
    assert_eq!(endpoint("PUT", "/me").unwrap(), "ANY /{proxy+}");
    assert!(endpoint("PUT", "/").is_err());
}

#[test]
fn routes_and_their_parameters() {
    let named = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let username = |value| named("username", value);
    let table = [
        ("GET", "", Ok(("GET /", BTreeMap::new()))),
        ("GET", "/", Ok(("GET /", BTreeMap::new()))),
        ("GET", "/users/ada", Ok(("GET /users/{username}", username("ada")))),
        ("GET", "/users/ada/", Ok(("GET /users/{username}", username("ada")))),
        ("GET", "/users/suggested", Ok(("GET /users/suggested", BTreeMap::new()))),
        ("GET", "/users/suggeste%64", Ok(("GET /users/suggested", BTreeMap::new()))),
        ("GET", "/users/a%2Fb", Ok(("GET /users/{username}", username("a/b")))),
        ("GET", "/users/a+b%20%C3%A9", Ok(("GET /users/{username}", username("a+b é")))),
        ("GET", "/.well-known/jwks.json", Ok(("GET /.well-known/jwks.json", BTreeMap::new()))),
        ("PUT", "/users/suggested/follow", Ok(("PUT /users/{username}/follow", username("suggested")))),
        ("GET", "/files/a", Ok(("GET /files/{path+}", named("path", "a")))),
        ("GET", "/files/a/b%20c/d/", Ok(("GET /files/{path+}", named("path", "a/b c/d")))),
        ("GET", "/files/index/a", Ok(("GET /files/{path+}", named("path", "index/a")))),
        ("GET", "/files/index", Ok(("GET /files/index", BTreeMap::new()))),
        ("GET", "/files", Err(Refusal::MissingAuthenticationToken)),
        ("POST", "/users/ada/follow", Err(Refusal::MissingAuthenticationToken)),
        ("GET", "/users/ada/follow", Err(Refusal::MissingAuthenticationToken)),
        ("HEAD", "/users/ada", Err(Refusal::MissingAuthenticationToken)),
        ("GET", "/users", Err(Refusal::MissingAuthenticationToken)),
        ("GET", "/users//followers", Err(Refusal::MissingAuthenticationToken)),
        ("GET", "/Users/ada", Err(Refusal::MissingAuthenticationToken)),
        ("GET", "/users/%", Err(Refusal::BadRequest)),
        ("GET", "/users/%4", Err(Refusal::BadRequest)),
        ("GET", "/users/%zz", Err(Refusal::BadRequest)),
        ("GET", "/users/%ff", Err(Refusal::BadRequest)),
        ("GET", "/users/../followers", Err(Refusal::BadRequest)),
        ("GET", "/files/a/%2e%2E", Err(Refusal::BadRequest)),
    ];
    for (method, path, expected) in table {
        let expected = expected.map(|(route, parameters)| (route.to_owned(), parameters));
        assert_eq!(found(method, path), expected, "{method} {path}");
    }
}

#[test]
fn a_method_has_its_own_bucket_and_no_other_has() {
    let throttle = tintype_template::deployment::Throttle { rate: 1.0, burst: 1 };
    let throttles = [MethodThrottle { method: "POST".to_owned(), path: "/users/{username}".to_owned(), throttle }];
    let routes = vec![route("GET", "/users/{username}"), route("POST", "/users/{username}"), route("POST", "/users")];
    let table = RouteTable::new(routes, &throttles, None);
    for (method, path, expected) in [("GET", "/users/a", false), ("POST", "/users/a", true), ("POST", "/users", false)] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(table.find(&method, path).unwrap().endpoint.throttle.is_some(), expected, "{method} {path}");
    }
}

/// The tree walk: at each level the static child first, then the parameter, then the rest of the path.
fn reference(templates: &BTreeSet<Vec<String>>, walked: &[String], rest: &[String]) -> Option<Vec<String>> {
    let child = |name: &str| [walked, &[name.to_owned()]].concat();
    let Some((segment, below)) = rest.split_first() else {
        return templates.get(walked).cloned();
    };
    reference(templates, &child(segment), below)
        .or_else(|| reference(templates, &child("{p}"), below))
        .or_else(|| templates.get(&child("{r+}")).cloned())
}

/// A path of a template; the rest of a path can only be its end.
fn template() -> impl Strategy<Value = Vec<String>> {
    let segment = prop_oneof![Just("a"), Just("b"), Just("{p}")];
    (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(segments, greedy)| {
        let end = greedy.then_some("{r+}");
        segments.into_iter().chain(end).map(str::to_owned).collect()
    })
}

fn path_of(segments: &[String]) -> String {
    segments.iter().fold(String::new(), |path, segment| path + "/" + segment)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn matching_agrees_with_the_tree_walk(
        templates in prop::collection::btree_set(template(), 1..12),
        request in prop::collection::vec("[abc]|%61|a%2Fb", 1..5),
        slashes in "/{0,2}",
    ) {
        let paths: Vec<_> = templates.iter().map(|segments| path_of(segments)).collect();
        let table = table(&paths.iter().map(|path| ("GET", path.as_str())).collect::<Vec<_>>());
        let decoded: Vec<String> = request.iter().map(|segment| segment.replace("%2F", "/").replace("%61", "a")).collect();

        let found = found_in(&table, "GET", &(path_of(&request) + &slashes)).ok();
        let expected = reference(&templates, &[], &decoded);
        prop_assert_eq!(found.as_ref().map(|(route, _)| route.clone()), expected.as_ref().map(|path| format!("GET {}", path_of(path))));

        // Each parameter has what stands in its place.
        let (Some((_, parameters)), Some(path)) = (found, expected) else { return Ok(()) };
        if let Some(first) = path.iter().rposition(|segment| segment == "{p}") {
            prop_assert_eq!(&parameters["p"], &decoded[first]);
        }
        if path.last().is_some_and(|last| last == "{r+}") {
            prop_assert_eq!(&parameters["r"], &decoded[path.len() - 1..].join("/"));
        }
    }

    #[test]
    fn what_was_encoded_is_decoded(text in "\\PC{1,12}") {
        prop_assume!(text != "." && text != "..");
        let path = format!("/users/{}", utf8_percent_encode(&text, NON_ALPHANUMERIC));
        let expected = if text == "suggested" { None } else { Some(&text) };
        let (_, parameters) = found("GET", &path).unwrap();
        prop_assert_eq!(parameters.get("username"), expected);
    }

    #[test]
    fn no_path_panics(path in "(/|%|[0-9a-fA-F.é]|\\PC){0,24}") {
        let _ = found("GET", &path);
    }
}
