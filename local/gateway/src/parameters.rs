//! What an event has by name with one value or several: headers, and parameters of the query.

use std::{borrow::Cow, collections::BTreeMap};

use http::{
    HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use serde::{Serialize, Serializer};

use crate::call::Call;

/// Values by name, in their order.
pub(crate) type Parameters<'a> = BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>;

/// As `headers` and `queryStringParameters` have them: the last value of each.
pub(crate) struct Last<'a>(pub(crate) &'a Parameters<'a>);

/// As the maps of several values have them.
pub(crate) struct All<'a>(pub(crate) &'a Parameters<'a>);

impl Serialize for Last<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter_map(|(name, values)| Some((name, values.last()?))))
    }
}

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

/// Headers between the client and the gateway alone: functions never see them.
const HOP_BY_HOP: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// The client's headers as functions get them, with what the gateway adds.
pub(crate) fn forwarded_headers(call: &Call) -> Parameters<'_> {
    let mut headers = Parameters::new();
    for name in call.headers.keys().filter(|name| !HOP_BY_HOP.contains(name)) {
        let values = call.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        headers.insert(title_case(name).into(), values);
    }
    let mut hops = headers.remove("X-Forwarded-For").unwrap_or_default();
    hops.push((&call.source_ip).into());
    let mut add = |name: &'static str, value: String| headers.insert(name.into(), vec![value.into()]);
    add("X-Forwarded-For", hops.join(", "));
    add("X-Forwarded-Port", call.port.to_string());
    add("X-Forwarded-Proto", "http".to_owned());
    add("X-Amzn-Trace-Id", format!("Root={}", call.trace_id));
    headers
}

/// `x-amzn-trace-id` as `X-Amzn-Trace-Id`: HTTP's names have no case, but functions in other languages look for this one.
fn title_case(name: &HeaderName) -> String {
    let mut at_start = true;
    name.as_str()
        .chars()
        .map(|c| {
            let cased = if at_start { c.to_ascii_uppercase() } else { c };
            at_start = c == '-';
            cased
        })
        .collect()
}

/// Query parameters, decoded. What is malformed is taken as it stands; a semicolon separates as `&` does.
pub(crate) fn query_parameters(query: &str) -> Parameters<'_> {
    let mut parameters = Parameters::new();
    for pairs in query.split(';') {
        for (name, value) in url::form_urlencoded::parse(pairs.as_bytes()) {
            parameters.entry(name).or_default().push(value);
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Vec<(String, Vec<String>)> {
        query_parameters(query)
            .into_iter()
            .map(|(name, values)| (name.into_owned(), values.into_iter().map(Cow::into_owned).collect()))
            .collect()
    }

    #[test]
    fn queries() {
        let pair = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("b=2&a=1&b=3"), [pair("a", &["1"]), pair("b", &["2", "3"])]);
        assert_eq!(read("a=1;b=2"), [pair("a", &["1"]), pair("b", &["2"])]);
        assert_eq!(read("a&b=&=c"), [pair("", &["c"]), pair("a", &[""]), pair("b", &[""])]);
        assert_eq!(read("a=b%20c+d%C3%A9=%26%3B"), [pair("a", &["b c dé=&;"])]);
        assert_eq!(read("a=%&b=%4&c=%zz"), [pair("a", &["%"]), pair("b", &["%4"]), pair("c", &["%zz"])]);
        assert_eq!(read(""), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_was_encoded_is_decoded(pairs in prop::collection::vec(("\\PC{1,6}|[&=;%+ ]{1,3}", "\\PC{0,8}|[&=;%+ ]{0,3}"), 0..8)) {
            let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in &pairs {
                query.append_pair(name, value);
                expected.entry(name.clone()).or_default().push(value.clone());
            }
            prop_assert_eq!(read(&query.finish()), expected.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_query_panics_and_none_loses_a_parameter(query in "([&=;+]|%[0-9a-fA-F]{0,2}|%[fF][fF]|[a-z]|\\PC){0,30}") {
            let given = query.split(['&', ';']).filter(|pair| !pair.is_empty()).count();
            let read: usize = read(&query).iter().map(|(_, values)| values.len()).sum();
            prop_assert_eq!(read, given);
        }
    }
}
