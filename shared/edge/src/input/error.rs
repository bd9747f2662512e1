//! What serde's errors become here: what must be there instead, in words for whoever sent it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// A misfit that does not know yet where it stands.
#[derive(Debug)]
pub(crate) struct Error {
    /// The field that is meant, if the path leads only to what it stands in.
    pub(super) field: Option<&'static str>,
    pub(super) detail: String,
}

fn error(detail: impl Into<String>) -> Error {
    Error { field: None, detail: detail.into() }
}

pub(super) const TWICE: &str = "must be given once only";

pub(super) fn must_be(what: &str) -> Error {
    error(format!("must be {what}"))
}

pub(super) fn out_of_range() -> Error {
    error("is out of range")
}

impl de::Error for Error {
    /// What our own types say of a text that they don't take.
    fn custom<T: fmt::Display>(message: T) -> Self {
        error(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        error("is of another type")
    }

    fn invalid_value(unexpected: Unexpected<'_>, _: &dyn Expected) -> Self {
        match unexpected {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => out_of_range(),
            _ => error("is not valid"),
        }
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        error("has too few or too many items")
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        match expected {
            [only] => must_be(only),
            _ => must_be(&format!("one of {}", expected.join(", "))),
        }
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        error("is not known")
    }

    fn missing_field(field: &'static str) -> Self {
        Self { field: Some(field), detail: "is required".to_owned() }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self { field: Some(field), detail: TWICE.to_owned() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}
