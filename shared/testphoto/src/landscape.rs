//! A landscape: sky, a sun or moon, ridges one behind the other, and water that mirrors them.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};

/// Red, green and blue, 0 to 1.
type Colour = [f32; 3];

/// A time of day.
struct Light {
    zenith: Colour,
    horizon: Colour,
    disc: Colour,
    land: Colour,
}

const LIGHTS: [Light; 6] = [
    // Dawn
    Light { zenith: [0.30, 0.36, 0.62], horizon: [0.98, 0.76, 0.62], disc: [1.0, 0.93, 0.78], land: [0.20, 0.18, 0.30] },
    // Noon
    Light { zenith: [0.16, 0.42, 0.80], horizon: [0.76, 0.89, 0.97], disc: [1.0, 0.99, 0.92], land: [0.13, 0.33, 0.20] },
    // Golden hour
    Light { zenith: [0.36, 0.52, 0.72], horizon: [1.00, 0.82, 0.48], disc: [1.0, 0.95, 0.70], land: [0.33, 0.24, 0.10] },
    // Dusk
    Light { zenith: [0.17, 0.12, 0.34], horizon: [0.95, 0.42, 0.32], disc: [1.0, 0.72, 0.46], land: [0.12, 0.07, 0.17] },
    // Night
    Light { zenith: [0.02, 0.04, 0.11], horizon: [0.15, 0.23, 0.40], disc: [0.93, 0.94, 0.88], land: [0.02, 0.05, 0.09] },
    // Overcast
    Light { zenith: [0.52, 0.58, 0.62], horizon: [0.86, 0.87, 0.85], disc: [0.96, 0.95, 0.91], land: [0.21, 0.27, 0.25] },
];

/// Everything is in heights of the picture, from its upper left corner, so that discs are round.
struct Scene {
    light: &'static Light,
    /// How far the palette is shifted, so that two dawns differ.
    tint: Colour,
    disc_at: (f32, f32),
    disc_radius: f32,
    /// Farthest first.
    ridges: Vec<Ridge>,
    /// Where the water begins.
    shore: f32,
}

struct Ridge {
    /// Its crest's mean height.
    crest: f32,
    /// Swing, waves a height of the picture, phase.
    waves: [(f32, f32, f32); 4],
    colour: Colour,
}

/// Paints the landscape of `seed`.
pub fn photograph(seed: u64, width: u32, height: u32) -> RgbImage {
    let scene = Scene::new(seed, real(width) / real(height));
    let across = |x: u32| real(x) / real(height);
    // Crests are the same all the way down a column.
    let crests: Vec<Vec<f32>> = scene.ridges.iter().map(|ridge| (0..width).map(|x| ridge.crest_at(across(x))).collect()).collect();

    RgbImage::from_fn(width, height, |x, y| {
        let down = real(y) / real(height);
        let colour = if down < scene.shore {
            scene.above_water(across(x), down, |ridge| crests[ridge][x as usize])
        } else {
            scene.water(across(x), down, |ridge| crests[ridge][x as usize])
        };
        let grain = (fraction(mix(seed ^ (u64::from(x) << 32 | u64::from(y)))) - 0.5) * 0.03;
        Rgb(colour.map(|channel| to_byte(channel + grain)))
    })
}

impl Scene {
    fn new(seed: u64, aspect: f32) -> Self {
        let mut dice = Dice(seed);
        // Neighbouring seeds are at different times of the day: a demo that counts from 0 shows all of them.
        let light = &LIGHTS[usize::try_from(seed % LIGHTS.len() as u64).expect("below six")];
        let tint = [dice.between(-0.07, 0.07), dice.between(-0.05, 0.05), dice.between(-0.07, 0.07)];
        let shore = dice.between(0.62, 0.85);
        let layers = 3 + dice.below(3);
        let ridges = (0..layers).map(|layer| {
            let nearness = (real(layer) + 1.0) / real(layers);
            let swing = dice.between(0.03, 0.09);
            let mut wave = |share: f32, low: f32, high: f32| (swing * share, dice.between(low, high), dice.between(0.0, TAU));
            let waves = [wave(1.0, 0.4, 1.1), wave(0.5, 1.3, 2.6), wave(0.2, 4.0, 8.0), wave(0.07, 14.0, 30.0)];
            let haze = blend(light.horizon, light.land, 0.25 + 0.75 * nearness);
            Ridge { crest: 0.36 + (shore - 0.36) * nearness * dice.between(0.75, 0.93), waves, colour: add(haze, tint, 0.6) }
        });
        let ridges = ridges.collect();
        let disc_at = (aspect * dice.between(0.15, 0.85), dice.between(0.10, 0.34));
        Self { light, tint, disc_at, disc_radius: dice.between(0.03, 0.065), ridges, shore }
    }

    /// The sky and the land before it.
    fn above_water(&self, across: f32, down: f32, crest: impl Fn(usize) -> f32) -> Colour {
        let nearest = (0..self.ridges.len()).rev().find(|&ridge| down > crest(ridge));
        match nearest {
            Some(ridge) => {
                // Mist lies in the valleys.
                let depth = ((down - crest(ridge)) * 2.5).min(0.35);
                blend(self.ridges[ridge].colour, self.light.horizon, depth)
            }
            None => self.sky(across, down),
        }
    }

    fn sky(&self, across: f32, down: f32) -> Colour {
        let gradient = add(blend(self.light.zenith, self.light.horizon, (down / self.shore).powf(1.3)), self.tint, 1.0);
        let distance = (across - self.disc_at.0).hypot(down - self.disc_at.1);
        if distance < self.disc_radius {
            return self.light.disc;
        }
        let glow = 0.75 * (-(distance - self.disc_radius) / 0.12).exp();
        blend(gradient, self.light.disc, glow)
    }

    /// What is above, upside down, darker and rippled.
    fn water(&self, across: f32, down: f32, crest: impl Fn(usize) -> f32) -> Colour {
        let depth = down - self.shore;
        let ripple = (down * 260.0 / (1.0 + 6.0 * depth) + (across * 9.0).sin() * 1.5).sin();
        let mirrored = (self.shore - depth * 1.15 + ripple * 0.012 * (0.2 + depth * 4.0)).max(0.0);
        let reflection = self.above_water(across, mirrored, crest);
        let deep = blend(self.light.zenith, self.light.land, 0.5);
        add(blend(reflection, deep, 0.25 + 0.4 * depth), [1.0; 3], ripple * 0.025)
    }
}

impl Ridge {
    fn crest_at(&self, across: f32) -> f32 {
        self.waves.iter().map(|(swing, waves, phase)| swing * (across * waves * TAU + phase).sin()).sum::<f32>() + self.crest
    }
}

fn blend(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

fn add(colour: Colour, other: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| colour[channel] + other[channel] * share)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte's range")]
fn to_byte(channel: f32) -> u8 {
    (channel * 255.0).round().clamp(0.0, 255.0) as u8
}

#[expect(clippy::cast_precision_loss, reason = "sides of pictures and counts of ridges are far below 2^24")]
fn real(number: u32) -> f32 {
    number as f32
}

/// `SplitMix64`: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * fraction(self.next())
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).expect("below a u32")
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// 0 to 1, from the upper 24 bits.
#[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
fn fraction(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_paints_the_same_picture_every_time() {
        assert_eq!(photograph(7, 120, 90), photograph(7, 120, 90));
    }

    #[test]
    fn every_seed_paints_another_picture() {
        let pictures: Vec<RgbImage> = (0..24).map(|seed| photograph(seed, 60, 45)).collect();
        for (first, one) in pictures.iter().enumerate() {
            for (second, other) in pictures.iter().enumerate().skip(first + 1) {
                let difference: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let mean = difference / one.len() as u64;
                assert!(mean >= 8, "seeds {first} and {second} differ by {mean} of 255 only");
            }
        }
    }

    #[test]
    fn any_shape_can_be_painted() {
        for (width, height) in [(1, 1), (1, 300), (300, 1), (33, 77)] {
            assert_eq!(photograph(1, width, height).dimensions(), (width, height));
        }
    }
}
