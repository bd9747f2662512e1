//! From pixels to files. Nothing but pixels goes in, so that no metadata can come out.

use image::DynamicImage;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::{VariantName, variants::Frame};

/// Of 100: above it files grow faster than anybody sees a difference on a telephone.
const QUALITY: u8 = 82;
/// A blurhash is made from a picture of this many pixels a side; its few waves need no more.
const BLURHASH_SIDE: u32 = 32;

pub(super) fn jpeg(pixels: &DynamicImage) -> Vec<u8> {
    let (width, height) = (pixels.width(), pixels.height());
    let side = |pixels: u32| u16::try_from(pixels).expect("decoding refuses sides that JPEG can't hold");

    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    // The encoder's own choice, the nearest pixel's colour, frays coloured edges.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder
        .encode(pixels.as_bytes(), side(width), side(height), ColorType::Rgb)
        .expect("memory takes every byte, and the pixels fill the frame");
    bytes
}

/// Of the smallest frame that shows the whole photograph. Its waves are relative to the sides, so that a square does for any shape.
pub(super) fn blurhash(frames: &[Frame]) -> String {
    let smallest = frames.iter().find(|frame| frame.name == VariantName::W320).expect("every photograph has it");
    let small = DynamicImage::from(smallest.pixels.thumbnail_exact(BLURHASH_SIDE, BLURHASH_SIDE).into_rgba8());
    blurhash::encode(4, 3, BLURHASH_SIDE, BLURHASH_SIDE, small.as_bytes()).expect("4 by 3 is within 1 to 9")
}
