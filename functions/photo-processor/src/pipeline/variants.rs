//! The sizes of a photograph, and how they are made.
//!
//! A photograph is reduced once, to the smallest frame that all variants can be made from. That frame is turned upright and laid on
//! white, which costs a fraction of doing the same to the original and gives the same picture. Then each size is made from the next
//! larger one.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, Rgb, RgbImage};

use super::decode::{Original, lies_on_its_side};

/// A variant of a photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariantName {
    /// A square from the middle.
    Thumb,
    /// 320 pixels wide.
    W320,
    /// 640 pixels wide.
    W640,
    /// 1,080 pixels wide.
    W1080,
    /// 1,440 pixels wide.
    W1440,
}

/// The variants that show the whole photograph and their widths in pixels, smallest first.
const WIDTHS: [(VariantName, u32); 4] =
    [(VariantName::W320, 320), (VariantName::W640, 640), (VariantName::W1080, 1080), (VariantName::W1440, 1440)];
const MAX_WIDTH: u32 = WIDTHS[WIDTHS.len() - 1].1;
/// The side of [`VariantName::Thumb`], in pixels.
const THUMB_SIDE: u32 = 150;

impl VariantName {
    /// All there are, smallest first; a small photograph has fewer.
    pub const ALL: [Self; 5] = [Self::Thumb, Self::W320, Self::W640, Self::W1080, Self::W1440];

    /// As it stands in answers and, with `.jpg`, in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::W320 => "w320",
            Self::W640 => "w640",
            Self::W1080 => "w1080",
            Self::W1440 => "w1440",
        }
    }
}

/// In pixels; neither side is ever 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Size {
    /// On its side.
    pub(super) fn turned(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    /// The same shape in another width, to the nearest pixel.
    fn at_width(self, width: u32) -> Self {
        let (from, to, height) = (u64::from(self.width), u64::from(width), u64::from(self.height));
        let height = (height * to + from / 2) / from;
        // No wider than it was, so no higher: it fits.
        Self { width, height: u32::try_from(height).unwrap_or(u32::MAX).max(1) }
    }

    fn shorter_side(self) -> u32 {
        self.width.min(self.height)
    }
}

/// The variants of a photograph whose upright original has this size, smallest first.
///
/// Nothing is enlarged. The first size that is at least as wide as the original is made at the original's width, so that no
/// resolution is lost below the largest; wider ones would repeat it and are left out. An original of 800 pixels has `w320`, `w640`
/// and, 800 wide, `w1080`. `thumb` has the original's shorter side if that is below 150.
pub fn sizes(original: Size) -> Vec<(VariantName, Size)> {
    let side = THUMB_SIDE.min(original.shorter_side());
    let mut sizes = vec![(VariantName::Thumb, Size { width: side, height: side })];
    for (name, width) in WIDTHS {
        sizes.push((name, original.at_width(width.min(original.width))));
        if width >= original.width {
            break;
        }
    }
    sizes
}

/// A variant's pixels: upright, opaque, 8 bits.
pub(super) struct Frame {
    pub(super) name: VariantName,
    pub(super) pixels: DynamicImage,
}

/// All variants of a photograph, smallest first.
pub(super) fn reduce(original: Original) -> Vec<Frame> {
    let sizes = sizes(original.upright_size());
    let mut resizer = Resizer::new();
    let base = base(original, MAX_WIDTH, THUMB_SIDE, &mut resizer);

    let mut frames: Vec<Frame> = Vec::with_capacity(sizes.len());
    for &(name, size) in sizes.iter().rev() {
        // The smallest that is large enough: for `thumb` of a wide panorama that may be the base.
        let source = frames.iter().rev().map(|frame| &frame.pixels).find(|pixels| covers(pixels, size)).unwrap_or(&base);
        frames.push(Frame { name, pixels: resize(source, size, &mut resizer) });
    }
    frames.reverse();
    frames
}

/// Squares from the middle of a photograph, of these sides in pixels, smallest first. A small photograph is enlarged: where a square is
/// shown, it is shown in its size.
pub(super) fn squares<const N: usize>(original: Original, sides: [u32; N]) -> [DynamicImage; N] {
    let largest = sides.last().copied().unwrap_or(1);
    let mut resizer = Resizer::new();
    let base = base(original, largest, largest, &mut resizer);
    sides.map(|side| resize(&base, Size { width: side, height: side }, &mut resizer))
}

/// The smallest frame that all variants can be made from, upright and opaque: as wide as the widest and, where that leaves a panorama too
/// low for the largest `square`, as high as that.
fn base(original: Original, widest: u32, square: u32, resizer: &mut Resizer) -> DynamicImage {
    let upright = original.upright_size();
    let wide_enough_for_square = (u64::from(square) * u64::from(upright.width)).div_ceil(upright.height.into());
    let width = upright.width.min(widest.max(u32::try_from(wide_enough_for_square).unwrap_or(u32::MAX)));
    let size = upright.at_width(width);
    let stored = if lies_on_its_side(original.orientation) { size.turned() } else { size };

    let mut base = if width == upright.width { original.pixels } else { resize(&original.pixels, stored, resizer) };
    base.apply_orientation(original.orientation);
    on_white(base).into()
}

fn covers(source: &DynamicImage, size: Size) -> bool {
    source.width() >= size.width && source.height() >= size.height
}

/// Brings to `size`; what another shape leaves over is cut off evenly on both sides.
fn resize(source: &DynamicImage, size: Size, resizer: &mut Resizer) -> DynamicImage {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).fit_into_destination(None);
    let mut reduced = DynamicImage::new(size.width, size.height, source.color());
    resizer.resize(source, &mut reduced, &options).expect("source and target have the same kind of pixels");
    reduced
}

/// As 8-bit RGB; what is transparent shows white.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut opaque = RgbImage::new(image.width(), image.height());
    for (below, above) in opaque.pixels_mut().zip(image.pixels()) {
        let [red, green, blue, alpha] = above.0;
        *below = Rgb([red, green, blue].map(|channel| over_white(channel, alpha)));
    }
    opaque
}

fn over_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    let mixed = (channel * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).expect("the mean of two bytes is a byte")
}
