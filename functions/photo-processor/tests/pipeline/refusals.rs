//! What must not get through, and that it is told why.

use std::panic;

use photo_processor::pipeline::{Size, process, sizes};
use tintype_core::post::ContentType;
use tintype_testphoto::{Exif, jpeg, photograph};

use crate::files;

fn code(bytes: &[u8], format: ContentType) -> &'static str {
    process(bytes, format).map_or_else(|rejection| rejection.code(), |_| "accepted")
}

#[test]
fn a_file_that_was_cut_short_is_refused_wherever_it_was_cut() {
    for (name, format, bytes) in files::one_of_each() {
        assert_eq!(code(&bytes, format), "accepted", "{name}");
        let last = bytes.len() - 1;
        let inside = (0..40).map(|step| 12 + (last - 12) * step / 40);
        for length in inside.chain(last.saturating_sub(14)..=last) {
            assert_eq!(code(&bytes[..length], format), "truncated-or-damaged", "{name}, {length} of {} bytes", bytes.len());
        }
        for length in 0..3 {
            assert_eq!(code(&bytes[..length], format), "not-an-image", "{name}, {length} bytes");
        }
    }
}

#[test]
fn what_follows_the_end_harms_nothing() {
    for (name, format, mut bytes) in files::one_of_each() {
        bytes.extend(b"\xFF\xD8\xFF a preview, cut sh");
        assert_eq!(code(&bytes, format), "accepted", "{name}");
    }
}

#[test]
fn damage_between_a_jpegs_headers_is_forgiven_and_in_its_pixels_not() {
    let whole = jpeg(&photograph(4, 400, 300), Exif::default());
    // After the first segment, JFIF's, of 18 bytes.
    let padded = [&whole[..20], &[0; 9], &whole[20..]].concat();
    assert_eq!(code(&padded, ContentType::Jpeg), "accepted");

    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 200].fill(0xAA);
    damaged[middle + 200..middle + 202].copy_from_slice(&[0xFF, 0xC0]);
    assert_eq!(code(&damaged, ContentType::Jpeg), "truncated-or-damaged");
}

#[test]
fn a_mutated_file_never_panics_and_never_makes_anything_but_variants() {
    let mut dice = 0x5EED_u64;
    let mut roll = |end: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).expect("31 bits") % end
    };
    for (name, format, bytes) in files::one_of_each() {
        for mutation in 0..40 {
            let mut mutated = bytes.clone();
            for _ in 0..=roll(6) {
                // Every other time in the headers, where a byte means most.
                let end = if mutation % 2 == 0 { mutated.len() } else { mutated.len().min(700) };
                let at = roll(end);
                match roll(4) {
                    0 => mutated[at] ^= 1 << roll(8),
                    1 => mutated[at] = 0xFF,
                    2 => drop(mutated.drain(at..(at + 1 + roll(64)).min(mutated.len()))),
                    _ => mutated[at] = u8::try_from(roll(256)).expect("a byte"),
                }
            }
            let outcome = panic::catch_unwind(|| process(&mutated, format));
            let Ok(outcome) = outcome else { panic!("mutation {mutation} of {name} panics") };
            if let Ok(processed) = outcome {
                let wanted = sizes(Size { width: processed.width, height: processed.height });
                assert_eq!(processed.variants.len(), wanted.len(), "mutation {mutation} of {name}");
            }
        }
    }
}

#[test]
fn sizes_are_refused_by_the_header_alone() {
    // The pixels are those of a small photograph: whoever decodes before looking says that the file is damaged, or is killed.
    let photo = photograph(1, 128, 128);
    for (size, wanted) in [
        ((30_000, 30_000), "too-many-pixels"),
        ((65_535, 65_535), "too-many-pixels"),
        ((50_001, 1_000), "too-many-pixels"),
        ((1, 1), "too-small"),
        ((99, 5_000), "too-small"),
        ((5_000, 99), "too-small"),
    ] {
        assert_eq!(code(&jpeg_claiming(size, &jpeg(&photo, Exif::default())), ContentType::Jpeg), wanted, "JPEG {size:?}");
        let png = files::png(&photo.clone().into(), Exif::default());
        assert_eq!(code(&png_claiming(size, &png), ContentType::Png), wanted, "PNG {size:?}");
    }
    // A variant of it could not be a JPEG.
    let png = files::png(&photo.clone().into(), Exif::default());
    assert_eq!(code(&png_claiming((100, 70_000), &png), ContentType::Png), "too-many-pixels");
    let webp = files::webp(&photo, Exif::default());
    assert_eq!(code(&webp_claiming((16_000, 16_000), &webp), ContentType::WebP), "too-many-pixels");
    assert_eq!(code(&webp_claiming((99, 200), &webp), ContentType::WebP), "too-small");
}

#[test]
fn the_type_is_what_the_bytes_say() {
    let all = [ContentType::Jpeg, ContentType::Png, ContentType::WebP];
    for (name, format, bytes) in files::one_of_each() {
        for declared in all.into_iter().filter(|declared| *declared != format) {
            assert_eq!(code(&bytes, declared), "format-mismatch", "{name} as {declared:?}");
        }
    }
}

#[test]
fn a_jpeg_that_no_browser_shows_is_named() {
    let whole = jpeg(&photograph(1, 128, 128), Exif::default());
    // The frame header of a lossless (SOF3) and of an arithmetic-coded (SOF9) file; and 12 bits instead of 8.
    for (offset, value) in [(1, 0xC3), (1, 0xC9), (4, 12)] {
        let mut bytes = whole.clone();
        bytes[frame_header(&whole) + offset] = value;
        assert_eq!(code(&bytes, ContentType::Jpeg), "unsupported-format");
    }
}

/// Where the baseline frame header (SOF0) of a JPEG of ours begins.
fn frame_header(jpeg: &[u8]) -> usize {
    jpeg.windows(4).position(|four| four == [0xFF, 0xC0, 0, 17]).expect("it is a baseline JPEG of three components")
}

fn jpeg_claiming((width, height): (u32, u32), jpeg: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    let frame = frame_header(jpeg);
    bytes[frame + 5..frame + 7].copy_from_slice(&files::side(height).to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&files::side(width).to_be_bytes());
    bytes
}

fn png_claiming((width, height): (u32, u32), png: &[u8]) -> Vec<u8> {
    let mut bytes = png.to_vec();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Of a lossless file: the sizes less one in 14 bits each, after the signature byte 2F; and in the canvas of an extended header.
fn webp_claiming((width, height): (u32, u32), webp: &[u8]) -> Vec<u8> {
    let mut bytes = webp.to_vec();
    let chunk = |name: &[u8]| webp.windows(4).position(|four| four == name);
    let data = chunk(b"VP8L").expect("it is lossless") + 8;
    let rest = u32::from_le_bytes(bytes[data + 1..data + 5].try_into().expect("four bytes")) & !0x0FFF_FFFF;
    bytes[data + 1..data + 5].copy_from_slice(&(rest | (height - 1) << 14 | (width - 1)).to_le_bytes());
    if let Some(canvas) = chunk(b"VP8X").map(|header| header + 12) {
        bytes[canvas..canvas + 3].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
        bytes[canvas + 3..canvas + 6].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }))
}
