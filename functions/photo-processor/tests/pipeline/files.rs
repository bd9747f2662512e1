//! Files of every accepted kind.

use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbImage, codecs::png::PngEncoder, codecs::webp::WebPEncoder};
use jpeg_encoder::{ColorType, Encoder};
use tintype_core::post::ContentType;
use tintype_testphoto::{Exif, jpeg, photograph};

/// The same photograph of 400 x 300 pixels in every way that we can write.
pub(crate) fn one_of_each() -> Vec<(&'static str, ContentType, Vec<u8>)> {
    let photo = photograph(3, 400, 300);
    let exif = Exif { orientation: Some(1), gps: Some((52.37, 4.89)) };
    vec![
        ("JPEG", ContentType::Jpeg, jpeg(&photo, exif)),
        ("progressive JPEG", ContentType::Jpeg, jpeg_with(&photo, |encoder| encoder.set_progressive(true))),
        ("JPEG with restarts", ContentType::Jpeg, jpeg_with(&photo, |encoder| encoder.set_restart_interval(7))),
        ("JPEG with a thumbnail", ContentType::Jpeg, jpeg_with_thumbnail(&photo)),
        ("PNG", ContentType::Png, png(&photo.clone().into(), exif)),
        ("WebP", ContentType::WebP, webp(&photo, exif)),
    ]
}

pub(crate) fn jpeg_with(photo: &RgbImage, set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 85);
    set(&mut encoder);
    encoder.encode(photo.as_raw(), side(photo.width()), side(photo.height()), ColorType::Rgb).expect("it can be encoded");
    bytes
}

/// A whole JPEG file, with its end marker, lies in a segment of another, as cameras write it.
fn jpeg_with_thumbnail(photo: &RgbImage) -> Vec<u8> {
    let thumbnail = jpeg(&photograph(3, 80, 60), Exif::default());
    jpeg_with(photo, |encoder| encoder.add_app_segment(2, thumbnail).expect("it is shorter than a segment"))
}

pub(crate) fn png(image: &DynamicImage, exif: Exif) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.to_tiff()).expect("PNG has a place for it");
    encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into()).expect("it can be encoded");
    bytes
}

pub(crate) fn webp(image: &RgbImage, exif: Exif) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_exif_metadata(exif.to_tiff()).expect("WebP has a place for it");
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).expect("it can be encoded");
    bytes
}

pub(crate) fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).expect("a JPEG's side")
}
