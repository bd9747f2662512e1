//! Photographs that nobody took: painted for the demo and the tests, with the EXIF that a telephone writes.
//!
//! [`photograph`] paints a landscape, another for every seed and the same one every time; [`jpeg`] makes a file of it.

mod exif;
mod landscape;

pub use exif::Exif;
pub use landscape::photograph;

use image::RgbImage;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder};

/// As a camera of middling ambition saves it.
const QUALITY: u8 = 88;

/// A JPEG file of `image`, with an EXIF segment if `exif` says anything.
///
/// # Panics
///
/// If a side is 0 or above 65,535 pixels: JPEG can't hold that.
pub fn jpeg(image: &RgbImage, exif: Exif) -> Vec<u8> {
    let side = |pixels: u32| u16::try_from(pixels).expect("a JPEG has at most 65,535 pixels a side");
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if exif != Exif::default() {
        encoder.add_exif_metadata(&exif.to_tiff()).expect("it is shorter than a segment");
    }
    encoder
        .encode(image.as_raw(), side(image.width()), side(image.height()), ColorType::Rgb)
        .expect("memory takes every byte, and the pixels fill the frame");
    bytes
}
