//! Collects all that is wrong with a request, so that its sender need not find out one by one.

use std::fmt::Display;

use crate::problem::{FieldError, Problem};

/// What was found so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes that the field at `pointer` is wrong.
    pub fn reject(&mut self, pointer: impl Into<String>, detail: impl Display) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// Notes it unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Display) {
        if !holds {
            self.reject(pointer, detail);
        }
    }

    /// The value of a field, if it is right.
    pub fn keep<T>(&mut self, pointer: impl Into<String>, value: Result<T, impl Display>) -> Option<T> {
        value.map_err(|error| self.reject(pointer, error)).ok()
    }

    /// Ok if nothing was found.
    pub fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// What was found, where it is known that something was.
    pub fn into_problem(self) -> Problem {
        Problem::invalid(self.0)
    }
}
