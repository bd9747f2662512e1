//! Why a photograph can't be published.

use thiserror::Error;
use tintype_telemetry as telemetry;

use super::{MAX_SIDE, MIN_SIDE};

/// Why a photograph can't be published: [`Rejection::code`] for programs, `Display` for the person who uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No kind of image that we have heard of.
    #[error("The file is not an image.")]
    NotAnImage,
    /// An image or a video, but of no kind that is accepted; with its article: "a GIF".
    #[error("The file is {0}. Photos can be ordinary JPEG, PNG or WebP files.")]
    UnsupportedFormat(&'static str),
    /// An accepted kind, but not the one of the ticket.
    #[error("The photo was announced as {declared}, but the file is {found}.")]
    FormatMismatch {
        /// The media type of the ticket.
        declared: &'static str,
        /// The media type of the file.
        found: &'static str,
    },
    /// The file ends too early, or makes no sense to its decoder.
    #[error("The file is incomplete or damaged, so the photo can't be shown whole.")]
    Damaged {
        /// What the decoder said: for the log, not for the person.
        cause: String,
    },
    /// Decoding it would take too long and too much memory.
    #[error("The photo is {width} x {height} pixels. It may have up to 50 megapixels, and {MAX_SIDE} pixels on a side.")]
    TooManyPixels {
        /// As the header says.
        width: u32,
        /// As the header says.
        height: u32,
    },
    /// Nobody could make out what it shows.
    #[error("The photo is {width} x {height} pixels. Each side must have at least {MIN_SIDE} pixels.")]
    TooSmall {
        /// As the header says.
        width: u32,
        /// As the header says.
        height: u32,
    },
}

impl Rejection {
    /// Stable and kebab-case: the `failure.code` of a post.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnImage => "not-an-image",
            Self::UnsupportedFormat(_) => "unsupported-format",
            Self::FormatMismatch { .. } => "format-mismatch",
            Self::Damaged { .. } => "truncated-or-damaged",
            Self::TooManyPixels { .. } => "too-many-pixels",
            Self::TooSmall { .. } => "too-small",
        }
    }

    /// Says on the current log line what is wrong, also what the person is not told.
    pub(crate) fn log(&self) {
        telemetry::field("photo.rejection", self.code());
        if let Self::Damaged { cause } = self {
            telemetry::field("photo.damage", cause.as_str());
        }
    }

    /// What can't be decoded, with the reason for the log.
    pub fn damaged(cause: impl ToString) -> Self {
        Self::Damaged { cause: cause.to_string() }
    }
}
