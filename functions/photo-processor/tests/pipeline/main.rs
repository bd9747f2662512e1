//! The pipeline, from files to files: what comes out of good photographs, and that nothing bad gets through.

mod files;
mod formats;
mod refusals;
mod sizes;
mod upright;

use photo_processor::pipeline::{Encoded, Processed, VariantName};

fn variant(processed: &Processed, name: VariantName) -> &Encoded {
    processed.variants.iter().find(|variant| variant.name == name).unwrap_or_else(|| panic!("no {}", name.as_str()))
}

/// The variant's pixels, by a reader that the pipeline doesn't write with.
fn pixels(variant: &Encoded) -> image::RgbImage {
    image::load_from_memory_with_format(&variant.bytes, image::ImageFormat::Jpeg).expect("a variant is a JPEG").into_rgb8()
}

/// Whether a pixel has this colour, as far as JPEG keeps colours.
fn is_close(pixel: image::Rgb<u8>, colour: [u8; 3]) -> bool {
    pixel.0.iter().zip(colour).all(|(channel, wanted)| channel.abs_diff(wanted) <= 12)
}
