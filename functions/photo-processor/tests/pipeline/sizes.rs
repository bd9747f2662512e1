//! Which variants there are, and how large.

use image::{DynamicImage, Rgb, RgbImage};
use photo_processor::pipeline::{MAX_PIXELS, MAX_SIDE, MIN_SIDE, Size, VariantName, process, sizes};
use proptest::prelude::*;
use tintype_core::post::ContentType;
use tintype_testphoto::{Exif, jpeg, photograph};

use crate::{files, is_close, pixels, variant};

fn legal_size() -> impl Strategy<Value = Size> {
    let legal = |(width, height): &(u32, u32)| u64::from(*width) * u64::from(*height) <= MAX_PIXELS;
    // Small ones often: there the rules meet.
    let side = || prop_oneof![MIN_SIDE..2_000, MIN_SIDE..=MAX_SIDE];
    (side(), side()).prop_filter("at most 50 megapixels", legal).prop_map(|(width, height)| Size { width, height })
}

proptest! {
    #[test]
    fn every_photograph_gets_its_sizes_and_is_never_enlarged(original in legal_size()) {
        let sizes = sizes(original);
        let (thumb, whole) = sizes.split_first().expect("there is always a thumb");
        let side = 150.min(original.width).min(original.height);
        prop_assert_eq!(*thumb, (VariantName::Thumb, Size { width: side, height: side }));

        prop_assert_eq!(whole[0].0, VariantName::W320);
        prop_assert_eq!(whole.last().map(|(_, size)| size.width), Some(original.width.min(1440)), "resolution is lost");
        prop_assert!(whole.windows(2).all(|pair| pair[0].1.width < pair[1].1.width), "a width is repeated");
        for (name, size) in whole {
            let nominal = name.as_str()[1..].parse().expect("its name is its width");
            prop_assert_eq!(size.width, original.width.min(nominal));
            prop_assert!((1..=original.height).contains(&size.height));
            let exact = f64::from(original.height) * f64::from(size.width) / f64::from(original.width);
            prop_assert!((f64::from(size.height) - exact).abs() <= 0.5 || (size.height == 1 && exact < 1.0));
        }
    }
}

#[test]
fn the_files_have_the_sizes_that_the_rule_says() {
    let shapes = [
        (100, 100),
        (149, 400),
        (150, 150),
        (319, 240),
        (320, 240),
        (321, 240),
        (800, 600),
        (1440, 1080),
        (1441, 1081),
        (3000, 2000),
        (1999, 3001),
        (6000, 600),
        (20_000, 101),
        (101, 20_000),
        (65_535, 100),
        (100, 65_535),
    ];
    for (width, height) in shapes {
        let processed = process(&jpeg(&photograph(1, width, height), Exif::default()), ContentType::Jpeg)
            .unwrap_or_else(|rejection| panic!("{width} x {height}: {rejection}"));
        assert_eq!((processed.width, processed.height), (width, height));
        assert_eq!(processed.blurhash.len(), 28);
        let made: Vec<_> = processed.variants.iter().map(|variant| (variant.name, pixels(variant).dimensions())).collect();
        let said: Vec<_> = processed.variants.iter().map(|variant| (variant.name, (variant.width, variant.height))).collect();
        let ruled: Vec<_> = sizes(Size { width, height }).iter().map(|(name, size)| (*name, (size.width, size.height))).collect();
        assert_eq!(made, ruled, "{width} x {height}");
        assert_eq!(said, ruled, "{width} x {height}");
    }
}

#[test]
fn the_sizes_of_a_photograph_between_two_widths() {
    let names_and_widths: Vec<_> =
        sizes(Size { width: 800, height: 600 }).iter().map(|(name, size)| (name.as_str(), size.width, size.height)).collect();
    assert_eq!(names_and_widths, [("thumb", 150, 150), ("w320", 320, 240), ("w640", 640, 480), ("w1080", 800, 600)]);
}

#[test]
fn a_thumb_is_cut_from_the_middle() {
    const SIDES: [u8; 3] = [200, 60, 40];
    const MIDDLE: [u8; 3] = [40, 80, 190];
    // The middle square is blue, the rest red; the panorama's smaller variants are lower than a thumb.
    for (width, height) in [(900, 300), (300, 900), (6000, 600), (1200, 160)] {
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        let photo = RgbImage::from_fn(width, height, |x, y| {
            let inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
            Rgb(if inside { MIDDLE } else { SIDES })
        });
        let processed = process(&files::png(&photo.into(), Exif::default()), ContentType::Png).expect("a photograph");
        let thumb = pixels(variant(&processed, VariantName::Thumb));
        assert_eq!(thumb.dimensions(), (150, 150));
        for at in [5, 75, 144] {
            assert!(is_close(*thumb.get_pixel(at, 75), MIDDLE) && is_close(*thumb.get_pixel(75, at), MIDDLE), "{width} x {height}");
        }
    }
}

#[test]
fn photographs_of_the_largest_and_smallest_size_are_accepted() {
    let largest = RgbImage::from_pixel(10_000, 5_000, Rgb([90, 120, 150]));
    let processed = process(&jpeg(&largest, Exif::default()), ContentType::Jpeg).expect("50 megapixels");
    assert!(is_close(*pixels(variant(&processed, VariantName::W1440)).get_pixel(700, 300), [90, 120, 150]));
    let smallest = DynamicImage::from(photograph(2, 100, 100));
    assert!(process(&files::png(&smallest, Exif::default()), ContentType::Png).is_ok());
}
