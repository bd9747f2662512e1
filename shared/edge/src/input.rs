//! What a request says, on its way to becoming a type.
//!
//! Serde's own errors are written for programmers: they name Rust's types and repeat what was sent, and a derived struct takes an array
//! for an object. Here an object is an object, and whatever does not fit is told by where it stands and what it must be.

mod error;
pub(crate) mod json;

use std::collections::HashSet;

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Number;
use serde_path_to_error::Segment;

pub(crate) use error::Error;
use error::{TWICE, must_be, out_of_range};

/// A JSON value, or a query.
#[derive(Debug)]
pub(crate) enum Input {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// The value of a query parameter: a text, or what a text can stand for.
    Parameter(String),
    Array(Vec<Input>),
    /// In the order of the text, with repetitions: so that these are noticed.
    Object(Vec<(String, Input)>),
}

/// Why an input is not of the type that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The names and indices that lead to what is wrong.
    pub(crate) path: Vec<String>,
    /// What it must be: nothing of the program's inside, and nothing of what was sent.
    pub(crate) detail: String,
}

impl Input {
    /// A query's parameters.
    pub(crate) fn from_query(parameters: Vec<(String, String)>) -> Self {
        Self::Object(parameters.into_iter().map(|(name, value)| (name, Self::Parameter(value))).collect())
    }

    /// This as a `T`.
    pub(crate) fn fit<T: DeserializeOwned>(self) -> Result<T, Misfit> {
        if let Some(path) = self.repeated_name() {
            return Err(Misfit { path, detail: TWICE.to_owned() });
        }
        serde_path_to_error::deserialize(self).map_err(|error| {
            let mut path: Vec<String> = error.path().iter().filter_map(name).collect();
            let Error { field, detail } = error.into_inner();
            path.extend(field.map(str::to_owned));
            Misfit { path, detail }
        })
    }

    /// The path to a name that an object has twice. Readers differ in which of the two they take (RFC 8259 §4), so that one that checks
    /// and one that acts may see different things: nothing of ours takes either.
    fn repeated_name(&self) -> Option<Vec<String>> {
        let within = |name: &str, value: &Self| {
            let rest = value.repeated_name()?;
            Some([vec![name.to_owned()], rest].concat())
        };
        match self {
            Self::Array(items) => items.iter().enumerate().find_map(|(index, item)| within(&index.to_string(), item)),
            Self::Object(entries) => {
                let mut names = HashSet::new();
                let repeated = entries.iter().find(|(name, _)| !names.insert(name));
                repeated.map(|(name, _)| vec![name.clone()]).or_else(|| entries.iter().find_map(|(name, value)| within(name, value)))
            }
            _ => None,
        }
    }

    /// A number, if it is one or stands for one.
    fn into_number(self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Parameter(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
    }
}

fn name(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(key.clone()),
        Segment::Unknown => None,
    }
}

/// Whole numbers of any size: the visitor knows its own bounds.
macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.into_number().ok_or_else(|| must_be("a whole number"))?;
            match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(natural), _, _) => visitor.visit_u64(natural),
                (_, Some(negative), _) => visitor.visit_i64(negative),
                (_, _, Some(real)) if real.fract() == 0.0 => Err(out_of_range()),
                _ => Err(must_be("a whole number")),
            }
        }
    )*};
}

macro_rules! real_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_f64(self.into_number().and_then(|number| number.as_f64()).ok_or_else(|| must_be("a number"))?)
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Self::Text(text) | Self::Parameter(text) => visitor.visit_string(text),
                _ => Err(must_be("a string")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Input {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => number.deserialize_any(visitor).map_err(de::Error::custom),
            Self::Text(text) | Self::Parameter(text) => visitor.visit_string(text),
            array @ Self::Array(_) => array.deserialize_seq(visitor),
            object @ Self::Object(_) => object.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self, Self::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = match self {
            Self::Bool(value) => Some(value),
            Self::Parameter(text) => text.parse().ok(),
            _ => None,
        };
        visitor.visit_bool(value.ok_or_else(|| must_be("true or false"))?)
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    real_numbers! { deserialize_f32 deserialize_f64 }
    texts! { deserialize_char deserialize_str deserialize_string }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) | Self::Parameter(text) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(must_be("a string")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self::Array(items) = self else { return Err(must_be("an array")) };
        visitor.visit_seq(SeqDeserializer::new(items.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self::Object(entries) = self else { return Err(must_be("an object")) };
        visitor.visit_map(MapDeserializer::new(entries.into_iter()))
    }

    /// An object and nothing else: a derived visitor would take an array, field by field.
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any }
}

impl IntoDeserializer<'_, Error> for Input {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fmt;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Thing {
        text: String,
        size: Option<u8>,
        offset: i64,
        ratio: f64,
        is_round: bool,
        colour: Colour,
        parts: Vec<Part>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        weight: u32,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Colour {
        #[default]
        Red,
        DarkBlue,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Only {
        #[serde(rename = "this")]
        This,
    }

    fn json<T: DeserializeOwned>(text: &str) -> Result<T, Misfit> {
        json::read(text.as_bytes()).unwrap().fit()
    }

    fn query(pairs: &[(&str, &str)]) -> Result<Thing, Misfit> {
        Input::from_query(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).fit()
    }

    #[track_caller]
    fn assert_misfit<T: fmt::Debug>(result: Result<T, Misfit>, path: &str, detail: &str) {
        let misfit = result.unwrap_err();
        assert_eq!((misfit.path.join("/").as_str(), misfit.detail.as_str()), (path, detail));
    }

    #[test]
    fn what_fits_is_taken() {
        let text =
            r#"{"text": "a", "size": 255, "offset": -1, "ratio": 2, "is_round": true, "colour": "dark-blue", "parts": [{"weight": 7}]}"#;
        let thing = Thing {
            text: "a".to_owned(),
            size: Some(255),
            offset: -1,
            ratio: 2.0,
            is_round: true,
            colour: Colour::DarkBlue,
            parts: vec![Part { weight: 7 }],
        };
        assert_eq!(json(text), Ok(thing));
        assert_eq!(json(r#"{"size": null}"#), Ok(Thing::default()));
        assert_eq!(json(r#""this""#), Ok(Only::This));
    }

    #[test]
    fn an_object_is_an_object_at_every_depth() {
        for text in ["5", "null", "\"text\"", "[]", "[\"a\", 1]"] {
            assert_misfit(json::<Thing>(text), "", "must be an object");
        }
        assert_misfit(json::<Thing>(r#"{"parts": [[7]]}"#), "parts/0", "must be an object");
        assert_misfit(json::<Thing>(r#"{"parts": {}}"#), "parts", "must be an array");
    }

    #[test]
    fn another_type_is_told_what_it_must_be_and_never_repeated() {
        for (text, path, detail) in [
            (r#"{"text": 12345678}"#, "text", "must be a string"),
            (r#"{"text": null}"#, "text", "must be a string"),
            (r#"{"size": "many"}"#, "size", "must be a whole number"),
            (r#"{"size": "7"}"#, "size", "must be a whole number"),
            (r#"{"size": 1.5}"#, "size", "must be a whole number"),
            (r#"{"size": 256}"#, "size", "is out of range"),
            (r#"{"size": -1}"#, "size", "is out of range"),
            (r#"{"offset": 99999999999999999999}"#, "offset", "is out of range"),
            (r#"{"ratio": "half"}"#, "ratio", "must be a number"),
            (r#"{"is_round": 1}"#, "is_round", "must be true or false"),
            (r#"{"colour": 1}"#, "colour", "must be a string"),
            (r#"{"colour": "green"}"#, "colour", "must be one of red, dark-blue"),
            (r#"{"parts": [{"weight": 1}, {"weight": "two"}]}"#, "parts/1/weight", "must be a whole number"),
        ] {
            assert_misfit(json::<Thing>(text), path, detail);
        }
        assert_misfit(json::<Only>(r#""that""#), "", "must be this");
    }

    #[test]
    fn a_field_that_is_missing_unknown_or_there_twice_is_named_itself() {
        assert_misfit(json::<Thing>(r#"{"parts": [{}]}"#), "parts/0/weight", "is required");
        assert_misfit(json::<Thing>(r#"{"parts": [{"weight": 1, "a/b": 2}]}"#), "parts/0/a/b", "is not known");
        assert_misfit(json::<Thing>(r#"{"text": "a", "text": "b"}"#), "text", "must be given once only");
    }

    #[test]
    fn a_parameter_is_what_its_text_stands_for() {
        let pairs = [("text", "7"), ("size", "7"), ("offset", "-7"), ("ratio", "0.5"), ("is_round", "true"), ("colour", "red")];
        let thing = Thing { text: "7".to_owned(), size: Some(7), offset: -7, ratio: 0.5, is_round: true, ..Thing::default() };
        assert_eq!(query(&pairs), Ok(thing));
        for (name, value, detail) in [
            ("size", "many", "must be a whole number"),
            ("size", "", "must be a whole number"),
            ("size", "1.5", "must be a whole number"),
            ("size", "-1", "is out of range"),
            ("is_round", "yes", "must be true or false"),
            ("colour", "green", "must be one of red, dark-blue"),
            ("parts", "1", "must be an array"),
            ("page", "2", "is not known"),
        ] {
            assert_misfit(query(&[(name, value)]), name, detail);
        }
        assert_misfit(query(&[("size", "1"), ("size", "2")]), "size", "must be given once only");
    }
}
