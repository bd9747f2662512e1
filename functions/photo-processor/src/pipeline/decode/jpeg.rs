//! JPEG, through `zune-jpeg` itself: `image` uses it too, but lets damaged data pass.

use std::iter;

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{MAX_SIDE, Original, Rejection, check_size, check_whole};

/// Markers (ITU-T T.81, table B.1): a frame in the baseline and in the progressive process (the extended sequential one, SOF1, lies
/// between), the end of the image, the start of a scan.
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

const RARE: Rejection = Rejection::UnsupportedFormat("a JPEG of a rare kind (lossless, arithmetic-coded or deeper than 8 bits)");

pub(super) fn decode(bytes: &[u8]) -> Result<Original, Rejection> {
    let frame = segments(bytes).find(Segment::is_frame_header).ok_or_else(|| Rejection::damaged("no frame header"))?;
    if !matches!((frame.marker, frame.data.first()), (SOF0..=SOF2, Some(8))) {
        return Err(RARE);
    }
    let options = DecoderOptions::default().set_max_width(MAX_SIDE as usize).set_max_height(MAX_SIDE as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(rejection)?;
    let info = decoder.info().ok_or_else(|| Rejection::damaged("no frame header"))?;
    let (width, height) = (info.width.into(), info.height.into());
    check_size(width, height)?;
    check_whole(segments(bytes).any(|segment| segment.marker == EOI))?;

    let orientation = info.exif_data.and_then(|exif| Orientation::from_exif_chunk(&exif)).unwrap_or(Orientation::NoTransforms);
    let pixels = if frame.marker != SOF2 && has_separate_scans(bytes, info.components) {
        RgbImage::from_raw(width, height, decode_separate_scans(bytes)?).map(DynamicImage::from)
    } else {
        // Strict from here on: between the headers of real photographs lie stray bytes that harm nothing, but damage in the
        // entropy-coded data would be painted over in grey.
        let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
        let colours = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
        decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(colours));
        let samples = decoder.decode().map_err(rejection)?;
        if is_grey {
            GrayImage::from_raw(width, height, samples).map(DynamicImage::from)
        } else {
            RgbImage::from_raw(width, height, samples).map(DynamicImage::from)
        }
    };
    Ok(Original { pixels: pixels.ok_or_else(|| Rejection::damaged("fewer samples than pixels"))?, orientation })
}

fn rejection(error: DecodeErrors) -> Rejection {
    Rejection::damaged(format!("{error:?}"))
}

/// Whether a file has its components one after the other instead of interleaved. Of these, `zune-jpeg` shows those that are not
/// progressive in wrong colours before its version 0.5.16 (<https://github.com/etemesi254/zune-image/issues/422>).
fn has_separate_scans(bytes: &[u8], components: u8) -> bool {
    let first_scan = segments(bytes).find(|segment| segment.marker == SOS);
    first_scan.is_some_and(|scan| scan.data.first() < Some(&components))
}

/// Through `jpeg-decoder`, which is slower but gets these right.
fn decode_separate_scans(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let samples = decoder.decode().map_err(Rejection::damaged)?;
    match decoder.info().map(|info| info.pixel_format) {
        Some(jpeg_decoder::PixelFormat::RGB24) => Ok(samples),
        _ => Err(RARE),
    }
}

struct Segment<'a> {
    marker: u8,
    /// Without the length that stands before it.
    data: &'a [u8],
}

impl Segment<'_> {
    /// SOF0 to SOF15, between which stand the markers of Huffman tables, of extensions and of arithmetic conditioning.
    fn is_frame_header(&self) -> bool {
        matches!(self.marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF)
    }
}

/// The segments of a file up to its end marker, or to where it was cut. What lies inside of a segment, such as a thumbnail with
/// an end marker of its own, is passed over.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = &bytes[2..];
    iter::from_fn(move || {
        // Between segments, and in entropy-coded data: FF 00 is a data byte, FF FF is fill, and 01 and D0 to D8 stand alone.
        let is_segment = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF);
        let at = rest.windows(2).position(is_segment)?;
        let (marker, after) = (rest[at + 1], &rest[at + 2..]);
        if marker == EOI {
            rest = &[];
            return Some(Segment { marker, data: &[] });
        }
        // The length counts its own two bytes.
        let (length, _) = after.split_first_chunk::<2>()?;
        let data = after.get(2..usize::from(u16::from_be_bytes(*length)))?;
        rest = &after[2 + data.len()..];
        Some(Segment { marker, data })
    })
}
