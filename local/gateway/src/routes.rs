//! Which method of which resource a request means.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;
use tintype_template::deployment::Route;

use crate::refusal::Refusal;

/// The API's resources, the most specific first.
pub(crate) struct RouteTable {
    resources: Vec<Resource>,
}

/// A path of the template and its methods.
struct Resource {
    id: String,
    segments: Vec<Segment>,
    methods: Vec<Route>,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Static(String),
    Parameter(String),
}

/// What a request was found to mean.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    /// The method of the template.
    pub(crate) route: &'a Route,
    /// `requestContext.resourceId`
    pub(crate) resource_id: &'a str,
    /// Path parameters, decoded.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl RouteTable {
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        let mut by_path: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for route in routes {
            by_path.entry(route.path.clone()).or_default().push(route);
        }
        let mut resources: Vec<Resource> = by_path
            .into_iter()
            .enumerate()
            .map(|(index, (path, methods))| Resource {
                id: format!("{index:06x}"),
                segments: split(&path).map(Segment::of_template).collect(),
                methods,
            })
            .collect();
        // Paths of one length compete segment by segment from the left, and a static segment comes before a parameter.
        resources
            .sort_by_key(|resource| resource.segments.iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect::<Vec<_>>());
        Self { resources }
    }

    /// Finds the method for a path below the stage, as it came over the wire.
    ///
    /// The resource is chosen by the path alone: a method that only a less specific resource has is not found.
    pub(crate) fn find(&self, method: &Method, raw_path: &str) -> Result<Matched<'_>, Refusal> {
        let segments = split(raw_path).map(decode).collect::<Result<Vec<_>, _>>()?;
        let (resource, parameters) = self
            .resources
            .iter()
            .find_map(|resource| Some((resource, resource.capture(&segments)?)))
            .ok_or(Refusal::MissingAuthenticationToken)?;
        let route = resource.methods.iter().find(|route| route.method == method.as_str()).ok_or(Refusal::MissingAuthenticationToken)?;
        Ok(Matched { route, resource_id: &resource.id, parameters })
    }
}

impl Resource {
    /// The path's parameters if it is this resource's.
    fn capture(&self, segments: &[String]) -> Option<BTreeMap<String, String>> {
        if self.segments.len() != segments.len() {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (segment, value) in self.segments.iter().zip(segments) {
            match segment {
                Segment::Static(name) if name == value => {}
                Segment::Parameter(name) if !value.is_empty() => {
                    parameters.insert(name.clone(), value.clone());
                }
                Segment::Static(_) | Segment::Parameter(_) => return None,
            }
        }
        Some(parameters)
    }
}

impl Segment {
    fn of_template(segment: &str) -> Self {
        segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .map_or_else(|| Self::Static(segment.to_owned()), |name| Self::Parameter(name.to_owned()))
    }
}

/// The segments of a path; API Gateway ignores slashes at its end.
fn split(path: &str) -> impl Iterator<Item = &str> {
    path.trim_end_matches('/').split('/').skip(1)
}

/// A segment's text. A slash that was encoded stays in it: it never splits.
///
/// Dot segments are refused: URL parsers behind the gateway resolve them, and would see another path than was authorized.
fn decode(raw: &str) -> Result<String, Refusal> {
    let text = percent_decode(raw).ok_or(Refusal::BadRequest)?;
    if text == "." || text == ".." {
        return Err(Refusal::BadRequest);
    }
    Ok(text)
}

/// Decodes percent-encoding; `None` if it is malformed or what it encodes is not UTF-8.
pub(crate) fn percent_decode(raw: &str) -> Option<String> {
    let well_formed = raw.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return None;
    }
    Some(percent_decode_str(raw).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn route(method: &str, path: &str) -> Route {
        Route { method: method.to_owned(), path: path.to_owned(), function: format!("{method} {path}"), authorized: false }
    }

    fn table() -> RouteTable {
        let routes = [
            ("GET", "/"),
            ("GET", "/users/{username}"),
            ("GET", "/users/suggested"),
            ("PUT", "/users/{username}/follow"),
            ("DELETE", "/users/{username}/follow"),
            ("GET", "/users/{username}/followers"),
            ("GET", "/.well-known/jwks.json"),
        ];
        RouteTable::new(routes.iter().map(|(method, path)| route(method, path)).collect())
    }

    fn found(method: &str, path: &str) -> Result<(String, BTreeMap<String, String>), Refusal> {
        let table = table();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let matched = table.find(&method, path)?;
        Ok((matched.route.function.clone(), matched.parameters))
    }

    #[test]
    fn routes_and_their_parameters() {
        let username = |value: &str| BTreeMap::from([("username".to_owned(), value.to_owned())]);
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
            ("GET", "/users/%2e%2E", Err(Refusal::BadRequest)),
        ];
        for (method, path, expected) in table {
            let expected = expected.map(|(route, parameters)| (route.to_owned(), parameters));
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }

    /// The tree walk that API Gateway's resources suggest: at each level the static child first, then the parameter.
    fn reference(templates: &BTreeSet<Vec<String>>, walked: &[String], rest: &[String]) -> Option<Vec<String>> {
        let Some((segment, rest)) = rest.split_first() else {
            return templates.get(walked).cloned();
        };
        let below = |child: &str| reference(templates, &[walked, &[child.to_owned()]].concat(), rest);
        below(segment).or_else(|| below("{p}"))
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("{p}".to_owned())]
    }

    fn path_of(segments: &[String]) -> String {
        segments.iter().fold(String::new(), |path, segment| path + "/" + segment)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn matching_agrees_with_the_tree_walk(
            templates in prop::collection::btree_set(prop::collection::vec(segment(), 1..4), 1..12),
            request in prop::collection::vec("[abc]|a%2Fb", 1..4),
        ) {
            let table = RouteTable::new(templates.iter().map(|segments| route("GET", &path_of(segments))).collect());
            let decoded: Vec<String> = request.iter().map(|segment| segment.replace("%2F", "/")).collect();

            let found = table.find(&Method::GET, &path_of(&request)).ok().map(|matched| matched.route.path.clone());
            let expected = reference(&templates, &[], &decoded).map(|segments| path_of(&segments));
            prop_assert_eq!(found, expected);
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
}
