//! Every kind of JPEG, PNG and WebP shows what it showed, and says nothing more.

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use photo_processor::pipeline::{VariantName, process};
use tintype_core::post::ContentType;
use tintype_testphoto::{Exif, photograph};

use crate::{files, is_close, pixels, variant};

/// The colour in the middle of the largest variant of a photograph below 320 pixels, and of all its variants.
fn assert_shows(bytes: &[u8], format: ContentType, colour: [u8; 3], case: &str) {
    let processed = process(bytes, format).unwrap_or_else(|rejection| panic!("{case}: {rejection:?}"));
    for variant in &processed.variants {
        let picture = pixels(variant);
        let middle = *picture.get_pixel(picture.width() / 2, picture.height() / 2);
        assert!(is_close(middle, colour), "{case}: {} is {middle:?}, not {colour:?}", variant.name.as_str());
    }
}

fn jpeg_of(samples: &[u8], colours: ColorType, set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    set(&mut encoder);
    encoder.encode(samples, 161, 121, colours).expect("it can be encoded");
    bytes
}

#[test]
fn jpegs_of_all_colour_models_and_subsamplings() {
    let rgb = [180, 90, 30].repeat(161 * 121);
    for sampling in
        [SamplingFactor::R_4_4_4, SamplingFactor::R_4_4_0, SamplingFactor::R_4_2_2, SamplingFactor::R_4_2_0, SamplingFactor::R_4_1_1]
    {
        for (progressive, separate_scans) in [(false, false), (true, false), (false, true)] {
            let bytes = jpeg_of(&rgb, ColorType::Rgb, |encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                // To know how often each symbol occurs, the encoder writes one component after the other.
                encoder.set_optimized_huffman_tables(separate_scans);
            });
            let case = format!("{sampling:?}, progressive: {progressive}, separate scans: {separate_scans}");
            assert_shows(&bytes, ContentType::Jpeg, [180, 90, 30], &case);
        }
    }
    let grey = jpeg_of(&[77].repeat(161 * 121), ColorType::Luma, |_| {});
    assert_shows(&grey, ContentType::Jpeg, [77, 77, 77], "greyscale");
    // A quarter of cyan taken away from white, and no black.
    let ink = [64, 0, 0, 0].repeat(161 * 121);
    for colours in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        assert_shows(&jpeg_of(&ink, colours, |_| {}), ContentType::Jpeg, [191, 255, 255], &format!("{colours:?}"));
    }
}

#[test]
fn pngs_of_all_depths() {
    fn of<P: image::Pixel>(pixel: P) -> ImageBuffer<P, Vec<P::Subpixel>> {
        ImageBuffer::from_pixel(161, 121, pixel)
    }
    let cases: [(DynamicImage, [u8; 3]); 8] = [
        (of(Luma([77u8])).into(), [77; 3]),
        (of(Luma([77u16 * 257])).into(), [77; 3]),
        (of(LumaA([0u8, 51])).into(), [204; 3]),
        (of(LumaA([0u16, 51 * 257])).into(), [204; 3]),
        (of(Rgb([180u8, 90, 30])).into(), [180, 90, 30]),
        (of(Rgb([180u16 * 257, 90 * 257, 30 * 257])).into(), [180, 90, 30]),
        (of(Rgba([255u8, 0, 0, 128])).into(), [255, 127, 127]),
        (of(Rgba([u16::MAX, 0, 0, 128 * 257])).into(), [255, 127, 127]),
    ];
    for (image, colour) in cases {
        assert_shows(&files::png(&image, Exif::default()), ContentType::Png, colour, &format!("{:?}", image.color()));
    }
}

#[test]
fn what_is_transparent_is_white_and_has_no_dark_fringe() {
    // White on the left, transparent black on the right: whoever reduces without minding alpha makes the border grey.
    let image = RgbaImage::from_fn(2001, 400, |x, _| if x < 1000 { Rgba([255; 4]) } else { Rgba([0; 4]) });
    let processed = process(&files::png(&image.into(), Exif::default()), ContentType::Png).expect("a photograph");
    for variant in &processed.variants {
        let darkest = pixels(variant).iter().copied().min();
        assert!(darkest >= Some(252), "{}: {darkest:?}", variant.name.as_str());
    }
}

#[test]
fn lossy_webp_with_alpha() {
    let processed = process(include_bytes!("lossy-alpha.webp"), ContentType::WebP).expect("a photograph");
    let picture = pixels(variant(&processed, VariantName::W320));
    assert_eq!(picture.dimensions(), (160, 120));
    assert!(is_close(*picture.get_pixel(40, 60), [200, 60, 40]));
    assert!(is_close(*picture.get_pixel(120, 60), [255, 255, 255]));
}

#[test]
fn of_an_animation_the_first_picture_is_shown() {
    assert_shows(include_bytes!("animated.webp"), ContentType::WebP, [30, 90, 200], "animated WebP");
}

#[test]
fn variants_are_the_photograph() {
    let photo = photograph(5, 320, 240);
    let bytes = files::png(&photo.clone().into(), Exif::default());
    let processed = process(&bytes, ContentType::Png).expect("a photograph");
    let shown = pixels(variant(&processed, VariantName::W320));
    let error: u64 = shown.iter().zip(photo.iter()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    let mean_square = error / shown.len() as u64;
    assert!(mean_square < 25, "a peak signal to noise ratio below 34 dB: {mean_square}");
}

/// The markers of a JPEG's segments, to the start of its entropy-coded data.
fn segments(jpeg: &[u8]) -> Vec<u8> {
    let mut markers = Vec::new();
    let mut rest = &jpeg[2..];
    while let [0xFF, marker, high, low, ..] = rest {
        markers.push(*marker);
        if *marker == 0xDA {
            break;
        }
        rest = &rest[2 + usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    markers
}

#[test]
fn nothing_but_pixels_is_in_the_variants() {
    const START_OF_SCAN: u8 = 0xDA;
    for (name, format, bytes) in files::one_of_each() {
        let processed = process(&bytes, format).unwrap_or_else(|rejection| panic!("{name}: {rejection:?}"));
        for variant in &processed.variants {
            let markers = segments(&variant.bytes);
            assert_eq!(markers.last(), Some(&START_OF_SCAN));
            // APP0 is JFIF's header; APP1 to APP15 and COM would be metadata.
            let metadata = markers.iter().any(|marker| matches!(marker, 0xE1..=0xEF | 0xFE));
            assert!(!metadata, "{name}: {} has segments {markers:02X?}", variant.name.as_str());
            assert!(!variant.bytes.windows(4).any(|four| four == b"Exif"), "{name}");
        }
    }
}
