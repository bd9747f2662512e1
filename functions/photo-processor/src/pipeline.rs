//! What happens to a photograph: bytes in, upright variants without metadata out. No cloud in it.
//!
//! ```text
//! bytes ─▶ format: is it what was announced? ─▶ decode: limits from the header, then pixels
//!       ─▶ variants: one large reduction, upright, on white, then each size from the next larger ─▶ encode: JPEG, blurhash
//! ```
//!
//! [`process`] takes seconds of CPU for the largest photographs: call it where blocking is allowed (`spawn_blocking`). No decoder of
//! hostile bytes can be proved free of panics, so the caller turns a panic (`JoinError::is_panic`) into [`Rejection::Damaged`]:
//! the bytes are as unusable as any others that can't be decoded.

mod decode;
mod encode;
mod format;
mod rejection;
mod variants;

pub use decode::{MAX_PIXELS, MAX_SIDE, MIN_SIDE};
pub use rejection::Rejection;
pub use variants::{Size, VariantName, sizes};

use tintype_core::post::ContentType;

use variants::Frame;

/// What became of a photograph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// Of the upright original, pixels.
    pub width: u32,
    /// Of the upright original, pixels.
    pub height: u32,
    /// 4 by 3 components, so always 28 characters (<https://blurha.sh>).
    pub blurhash: String,
    /// Smallest first.
    pub variants: Vec<Encoded>,
}

/// One size of a photograph, as a JPEG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Which size.
    pub name: VariantName,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The picture of a person, as JPEG files: square, whatever the original's shape, and of these sizes, whatever its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portrait {
    /// 150 by 150 pixels.
    pub small: Vec<u8>,
    /// 400 by 400 pixels.
    pub large: Vec<u8>,
}

/// Makes the picture of a person from a photograph, from its middle, or says why that can't be.
pub fn portrait(bytes: &[u8], declared: ContentType) -> Result<Portrait, Rejection> {
    format::check(bytes, declared)?;
    let [small, large] = variants::squares(decode::decode(bytes, declared)?, [150, 400]);
    Ok(Portrait { small: encode::jpeg(&small), large: encode::jpeg(&large) })
}

/// Makes all that is shown of a photograph, or says why that can't be.
///
/// `declared` is what the upload's ticket says the bytes are.
pub fn process(bytes: &[u8], declared: ContentType) -> Result<Processed, Rejection> {
    format::check(bytes, declared)?;
    let original = decode::decode(bytes, declared)?;
    let Size { width, height } = original.upright_size();
    let frames = variants::reduce(original);
    let blurhash = encode::blurhash(&frames);
    let encoded = |Frame { name, pixels }: &Frame| Encoded {
        name: *name,
        width: pixels.width(),
        height: pixels.height(),
        bytes: encode::jpeg(pixels),
    };
    let variants = frames.iter().map(encoded).collect();
    Ok(Processed { width, height, blurhash, variants })
}
