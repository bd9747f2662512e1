//! From bytes to pixels, within limits that the header must keep before any pixel is decoded.
//!
//! A file must be there to its end, as its container marks it. Decoders are lenient here: of a file cut short they make a picture
//! whose lower part is grey, and nobody wants that published. What follows the end is not looked at: telephones append previews,
//! depth maps and videos.

mod jpeg;

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, Limits,
    codecs::{png::PngDecoder, webp::WebPDecoder},
    metadata::Orientation,
};
use tintype_core::post::ContentType;

use super::{Rejection, Size};

/// The largest photograph: 50 megapixels.
pub const MAX_PIXELS: u64 = 50_000_000;
/// The longest side, in pixels: what JPEG, the format of the variants, can hold.
pub const MAX_SIDE: u32 = 65_535;
/// The shortest side, in pixels.
pub const MIN_SIDE: u32 = 100;
/// What the decoders of `image` may allocate: enough for [`MAX_PIXELS`] of four channels of 16 bits, and some working memory.
const MAX_ALLOCATION: u64 = 512 * 1024 * 1024;

/// A photograph as it is stored: on its side, perhaps.
pub(super) struct Original {
    pub(super) pixels: DynamicImage,
    /// What makes it upright.
    pub(super) orientation: Orientation,
}

impl Original {
    pub(super) fn upright_size(&self) -> Size {
        let stored = Size { width: self.pixels.width(), height: self.pixels.height() };
        if lies_on_its_side(self.orientation) { stored.turned() } else { stored }
    }
}

/// Whether an orientation exchanges width and height: 5 to 8 in EXIF.
pub(super) fn lies_on_its_side(orientation: Orientation) -> bool {
    orientation.to_exif() >= 5
}

/// The pixels of a file that begins with the signature of `format`.
pub(super) fn decode(bytes: &[u8], format: ContentType) -> Result<Original, Rejection> {
    match format {
        ContentType::Jpeg => jpeg::decode(bytes),
        ContentType::Png => {
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits()).map_err(Rejection::damaged)?;
            decode_with(decoder, png_is_whole(bytes))
        }
        ContentType::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(Rejection::damaged)?;
            decode_with(decoder, webp_is_whole(bytes))
        }
    }
}

fn decode_with(mut decoder: impl ImageDecoder, is_whole: bool) -> Result<Original, Rejection> {
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    check_whole(is_whole)?;

    // `from_decoder` knows no limits: the frame's own memory is taken from them here.
    let mut limits = limits();
    limits.reserve(decoder.total_bytes()).map_err(Rejection::damaged)?;
    decoder.set_limits(limits).map_err(Rejection::damaged)?;
    let orientation = decoder.orientation().map_err(Rejection::damaged)?;
    let pixels = DynamicImage::from_decoder(decoder).map_err(Rejection::damaged)?;
    Ok(Original { pixels, orientation })
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOCATION);
    limits
}

fn check_size(width: u32, height: u32) -> Result<(), Rejection> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width.max(height) > MAX_SIDE {
        return Err(Rejection::TooManyPixels { width, height });
    }
    if width.min(height) < MIN_SIDE {
        return Err(Rejection::TooSmall { width, height });
    }
    Ok(())
}

fn check_whole(is_whole: bool) -> Result<(), Rejection> {
    if is_whole { Ok(()) } else { Err(Rejection::damaged("it ends before its end marker")) }
}

/// Goes from chunk to chunk (length, name, data, checksum) to the last, which is empty.
fn png_is_whole(bytes: &[u8]) -> bool {
    let mut chunks = &bytes[8..];
    while let Some(([a, b, c, d, name @ ..], rest)) = chunks.split_first_chunk::<12>() {
        if name.starts_with(b"IEND") {
            return true;
        }
        chunks = rest.get(u32::from_be_bytes([*a, *b, *c, *d]) as usize..).unwrap_or_default();
    }
    false
}

/// RIFF says at the start how much follows.
fn webp_is_whole(bytes: &[u8]) -> bool {
    let [_, _, _, _, a, b, c, d, payload @ ..] = bytes else { return false };
    payload.len() >= u32::from_le_bytes([*a, *b, *c, *d]) as usize
}
