//! Why a template cannot be run here.

use std::fmt;

/// A place in the template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counted from 1; 0 where there is none.
    pub(crate) line: usize,
    /// For example `Resources.PostsFunction.Properties.Timeout`; empty for the whole text.
    pub(crate) path: String,
}

impl Place {
    /// The place of an entry of the map or list here.
    pub(crate) fn entry(&self, name: impl fmt::Display, line: usize) -> Place {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Place { line, path }
    }

    /// What is wrong here.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error { place: self.clone(), message: message.into() }
    }
}

/// What is wrong in the template, and where: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    place: Place,
    message: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(formatter, "line {}: ", self.place.line)?;
        }
        if !self.place.path.is_empty() {
            write!(formatter, "{}: ", self.place.path)?;
        }
        formatter.write_str(&self.message)
    }
}
