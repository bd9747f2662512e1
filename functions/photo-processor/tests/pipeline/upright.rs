//! However the camera was held, up is up.

use image::RgbImage;
use photo_processor::pipeline::{Processed, VariantName, process};
use tintype_core::post::ContentType;
use tintype_testphoto::{Exif, jpeg};

use crate::{files, is_close, pixels, variant};

const RED: [u8; 3] = [210, 40, 40];
const GREEN: [u8; 3] = [40, 160, 60];
const BLUE: [u8; 3] = [40, 60, 200];
const GREY: [u8; 3] = [128, 128, 128];

/// The scene: red above left, green above right, blue below left, grey below right.
fn scene(x: u32, y: u32, (width, height): (u32, u32)) -> [u8; 3] {
    match (x < width / 2, y < height / 2) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => GREY,
    }
}

/// The scene as a camera stores it that writes this orientation: EXIF 2.32 says which side of the scene row 0 and column 0 are.
fn stored(orientation: u8, (width, height): (u32, u32)) -> RgbImage {
    let (columns, rows) = if orientation >= 5 { (height, width) } else { (width, height) };
    RgbImage::from_fn(columns, rows, |column, row| {
        let (x, y) = match orientation {
            1 => (column, row),
            2 => (width - 1 - column, row),
            3 => (width - 1 - column, height - 1 - row),
            4 => (column, height - 1 - row),
            5 => (row, column),
            6 => (width - 1 - row, column),
            7 => (width - 1 - row, height - 1 - column),
            8 => (row, height - 1 - column),
            _ => unreachable!("EXIF has eight orientations"),
        };
        image::Rgb(scene(x, y, (width, height)))
    })
}

fn assert_upright(processed: &Processed, size: (u32, u32), case: &str) {
    assert_eq!((processed.width, processed.height), size, "{case}");
    for variant in &processed.variants {
        let picture = pixels(variant);
        let (width, height) = picture.dimensions();
        for (x, y) in [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)] {
            let wanted = scene(x, y, (width, height));
            assert!(is_close(*picture.get_pixel(x, y), wanted), "{case}: {} at {x}, {y}", variant.name.as_str());
        }
    }
}

#[test]
fn all_eight_orientations_come_out_upright() {
    // Not reduced, and reduced before it is turned.
    for size in [(400, 300), (1800, 1200), (1200, 1800)] {
        for orientation in 1..=8 {
            let exif = Exif { orientation: Some(orientation), gps: None };
            let processed = process(&jpeg(&stored(orientation, size), exif), ContentType::Jpeg).expect("a photograph");
            assert_upright(&processed, size, &format!("orientation {orientation} of {size:?}"));
        }
    }
}

#[test]
fn png_and_webp_can_lie_on_their_side_too() {
    let (size, exif) = ((400, 300), Exif { orientation: Some(6), gps: None });
    let lying = stored(6, size);
    let png = process(&files::png(&lying.clone().into(), exif), ContentType::Png).expect("a photograph");
    assert_upright(&png, size, "PNG");
    let webp = process(&files::webp(&lying, exif), ContentType::WebP).expect("a photograph");
    assert_upright(&webp, size, "WebP");
}

#[test]
fn an_orientation_that_exif_does_not_know_means_none() {
    let exif = Exif { orientation: Some(9), gps: None };
    let processed = process(&jpeg(&stored(1, (400, 300)), exif), ContentType::Jpeg).expect("a photograph");
    assert_upright(&processed, (400, 300), "orientation 9");
}

#[test]
fn widths_are_those_of_the_upright_photograph() {
    let exif = Exif { orientation: Some(6), gps: None };
    let processed = process(&jpeg(&stored(6, (1200, 1600)), exif), ContentType::Jpeg).expect("a photograph");
    let w640 = variant(&processed, VariantName::W640);
    assert_eq!((w640.width, w640.height), (640, 853));
}
