//! `CARD_SECONDS`

use std::{env, time::Duration};

use thiserror::Error;

/// The longest [`Life`], in seconds.
const LONGEST: u64 = 10;

/// Within what time a change shows to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life(pub(super) Duration);

/// `CARD_SECONDS` is no number of seconds from 0 to 10.
#[derive(Debug, Error)]
#[error("CARD_SECONDS must be a whole number from 0 to {LONGEST}, not {0}")]
pub struct BadLife(String);

impl Life {
    /// As environment variable `CARD_SECONDS` says; ten seconds without it. 0: nothing is remembered.
    pub fn from_env() -> Result<Self, BadLife> {
        Self::of(env::var("CARD_SECONDS").ok())
    }

    pub(super) fn of(seconds: Option<String>) -> Result<Self, BadLife> {
        let Some(text) = seconds.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        match text.parse::<u64>() {
            Ok(seconds) if seconds <= LONGEST => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(BadLife(text)),
        }
    }
}

impl Default for Life {
    fn default() -> Self {
        Self(Duration::from_secs(LONGEST))
    }
}
