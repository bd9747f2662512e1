//! Which method of which resource a request means.

use std::{borrow::Cow, collections::BTreeMap};

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tintype_template::deployment::{Cors, MethodThrottle, Route};

use crate::{cors::Preflight, refusal::Refusal, throttle::TokenBucket};

/// The API's resources, the most specific first.
#[derive(Debug)]
pub(crate) struct RouteTable {
    resources: Vec<Resource>,
}

/// The method that stands for all those that its path has not.
pub(crate) const ANY: &str = "ANY";

/// A path of the template and its methods.
#[derive(Debug)]
struct Resource {
    id: String,
    path: String,
    segments: Vec<Segment>,
    methods: Vec<Endpoint>,
}

#[derive(Debug)]
enum Segment {
    Static(String),
    Parameter(String),
    /// `{proxy+}`: all that is left, and at least one segment.
    Greedy(String),
}

/// A method of a resource.
#[derive(Debug)]
pub(crate) struct Endpoint {
    method: String,
    /// Whether the authorizer is asked first.
    pub(crate) authorized: bool,
    /// Its own bucket, which it has in the place of the stage's.
    pub(crate) throttle: Option<TokenBucket>,
    pub(crate) integration: Integration,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Integration {
    /// Physical name.
    Function(String),
    Preflight(Preflight),
}

/// What a request was found to mean.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    /// The method of the template.
    pub(crate) endpoint: &'a Endpoint,
    /// `requestContext.resourcePath`
    pub(crate) resource_path: &'a str,
    /// `requestContext.resourceId`
    pub(crate) resource_id: &'a str,
    /// Path parameters, decoded.
    pub(crate) parameters: BTreeMap<&'a str, String>,
    /// The segments that were matched, in the one spelling that policies are judged by.
    pub(crate) canonical_path: String,
}

/// What policies read as something else: a slash that splits nothing, a mark of an encoding, wildcards and variables; and whatever
/// no URL has as it is.
const SPELT_OUT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

impl RouteTable {
    pub(crate) fn new(routes: Vec<Route>, throttles: &[MethodThrottle], cors: Option<&Cors>) -> Self {
        let mut by_path: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
        for Route { method, path, function, authorized } in routes {
            let throttle = throttles.iter().find(|it| it.method == method && it.path == path);
            let throttle = throttle.map(|it| TokenBucket::new(it.throttle));
            let endpoint = Endpoint { method, authorized, throttle, integration: Integration::Function(function) };
            by_path.entry(path).or_default().push(endpoint);
        }
        if let Some(cors) = cors {
            for methods in by_path.values_mut() {
                add_preflight(cors, methods);
            }
        }
        let mut resources: Vec<Resource> = by_path
            .into_iter()
            .enumerate()
            .map(|(index, (path, methods))| Resource {
                id: format!("{index:06x}"),
                segments: split(&path).map(Segment::of_template).collect(),
                path,
                methods,
            })
            .collect();
        // Paths compete segment by segment from the left: a static segment comes before a parameter, and that before the rest of a path.
        resources.sort_by_key(|resource| resource.segments.iter().map(Segment::rank).collect::<Vec<_>>());
        Self { resources }
    }

    /// Finds the method for a path below the stage, as it came over the wire.
    ///
    /// The most specific resource is meant. If it has no such method, the rest of a path (`{proxy+}`) that has one is, and no other.
    pub(crate) fn find(&self, method: &Method, raw_path: &str) -> Result<Matched<'_>, Refusal> {
        let segments = split(raw_path).map(decode).collect::<Result<Vec<_>, _>>()?;
        let mut meant = self.resources.iter().filter(|resource| resource.is_meant(&segments));
        let with_endpoint = |resource| Resource::endpoint(resource, method).map(|endpoint| (resource, endpoint));
        let found = meant.next().and_then(with_endpoint).or_else(|| meant.filter(|it| it.is_greedy()).find_map(with_endpoint));
        let (resource, endpoint) = found.ok_or(Refusal::MissingAuthenticationToken)?;
        let parameters = resource.parameters(&segments);
        let canonical_path = canonical(&segments);
        Ok(Matched { endpoint, resource_path: &resource.path, resource_id: &resource.id, parameters, canonical_path })
    }
}

/// As SAM does it: a path that has a method `OPTIONS` of its own keeps it.
fn add_preflight(cors: &Cors, methods: &mut Vec<Endpoint>) {
    if methods.iter().any(|endpoint| endpoint.method == Method::OPTIONS.as_str()) {
        return;
    }
    let preflight = Preflight::new(cors, methods.iter().map(|endpoint| endpoint.method.as_str()));
    methods.push(Endpoint {
        method: Method::OPTIONS.to_string(),
        authorized: cors.authorized,
        throttle: None,
        integration: Integration::Preflight(preflight),
    });
}

impl Resource {
    fn endpoint(&self, method: &Method) -> Option<&Endpoint> {
        let of_method = |name: &str| self.methods.iter().find(|it| it.method == name);
        of_method(method.as_str()).or_else(|| of_method(ANY))
    }

    fn is_greedy(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Greedy(_)))
    }

    fn is_meant(&self, segments: &[Cow<'_, str>]) -> bool {
        let has_length = if self.is_greedy() { segments.len() >= self.segments.len() } else { segments.len() == self.segments.len() };
        has_length
            && self.segments.iter().zip(segments).all(|(segment, value)| match segment {
                Segment::Static(name) => name == value,
                Segment::Parameter(_) => !value.is_empty(),
                Segment::Greedy(_) => true,
            })
    }

    /// The parameters of a path that is this resource's.
    fn parameters(&self, segments: &[Cow<'_, str>]) -> BTreeMap<&str, String> {
        let mut parameters = BTreeMap::new();
        for (index, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Static(_) => {}
                Segment::Parameter(name) => {
                    parameters.insert(name.as_str(), segments[index].to_string());
                }
                Segment::Greedy(name) => {
                    parameters.insert(name.as_str(), segments[index..].join("/"));
                }
            }
        }
        parameters
    }
}

impl Segment {
    fn of_template(segment: &str) -> Self {
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => name.strip_suffix('+').map_or_else(|| Self::Parameter(name.to_owned()), |name| Self::Greedy(name.to_owned())),
            None => Self::Static(segment.to_owned()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Static(_) => 0,
            Self::Parameter(_) => 1,
            Self::Greedy(_) => 2,
        }
    }
}

/// The segments of a path; API Gateway ignores slashes at its end.
fn split(path: &str) -> impl Iterator<Item = &str> {
    path.trim_end_matches('/').split('/').skip(1)
}

/// The same for every spelling of a path that the routes read alike: what is denied is denied however it is written.
fn canonical(segments: &[Cow<'_, str>]) -> String {
    let spelt: Vec<Cow<'_, str>> = segments.iter().map(|segment| utf8_percent_encode(segment, SPELT_OUT).into()).collect();
    spelt.join("/")
}

/// A segment's text. A slash that was encoded stays in it: it never splits.
///
/// Dot segments are refused: URL parsers behind the gateway resolve them, and would see another path than was authorized.
fn decode(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    let text = percent_decode(raw).ok_or(Refusal::BadRequest)?;
    if text == "." || text == ".." {
        return Err(Refusal::BadRequest);
    }
    Ok(text)
}

/// Decodes percent-encoding; `None` if it is malformed or what it encodes is not UTF-8.
pub(crate) fn percent_decode(raw: &str) -> Option<Cow<'_, str>> {
    let well_formed = raw.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
#[path = "tests/routes.rs"]
mod tests;
