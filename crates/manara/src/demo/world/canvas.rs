//! A small rasteriser: enough shapes, gradients and texture to draw the demo's invented pictures.
//!
//! Places and sizes are fractions of the picture: `x` of its width, `y` of its height, radii and
//! line widths of its shorter side. So one drawing can be made at any size.

use super::prng::{Prng, mix};
use image::RgbImage;

/// Red, green, blue, each 0 to 255.
pub(crate) type Colour = [f32; 3];
/// A place on the picture, as fractions of its width and height.
pub(crate) type Point = (f32, f32);

/// Cells of texture are this many pixels wide: PDQ looks at 64 × 64 points, so finer is lost anyway.
const TEXTURE_CELL_PX: usize = 4;

/// Hue 0 to 1 around the circle, saturation and value 0 to 1.
pub(crate) fn hsv(hue: f32, saturation: f32, value: f32) -> Colour {
    [5.0, 3.0, 1.0].map(|n: f32| {
        let k = (n + hue.rem_euclid(1.0) * 6.0) % 6.0;
        255.0 * (value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}

pub(crate) fn grey(value: f32) -> Colour {
    [255.0 * value; 3]
}

pub(crate) fn blend(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| from[i] + (to[i] - from[i]) * share)
}

/// A picture being drawn.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Canvas {
    pub(crate) fn new(width: u32, height: u32, colour: Colour) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            pixels: vec![colour; width * height],
        }
    }

    pub(crate) fn from_image(image: &RgbImage) -> Self {
        let pixels = image.pixels().map(|p| p.0.map(f32::from)).collect();
        Self {
            width: image.width() as usize,
            height: image.height() as usize,
            pixels,
        }
    }

    pub(crate) fn into_image(self) -> RgbImage {
        let (width, height) = (self.width_px(), self.height_px());
        // A float cast saturates, so values out of range become 0 or 255; adding a half rounds.
        let bytes = self
            .pixels
            .iter()
            .flatten()
            .map(|value| (value + 0.5) as u8)
            .collect();
        // The buffer is as long as the picture has channels, so the empty picture is never taken.
        RgbImage::from_raw(width, height, bytes).unwrap_or_default()
    }

    /// Width over height.
    pub(crate) fn aspect(&self) -> f32 {
        self.width as f32 / self.height as f32
    }

    pub(crate) fn width_px(&self) -> u32 {
        self.width as u32
    }

    pub(crate) fn height_px(&self) -> u32 {
        self.height as u32
    }

    fn shorter(&self) -> f32 {
        self.width.min(self.height) as f32
    }

    fn to_px(&self, (x, y): Point) -> Point {
        (x * self.width as f32, y * self.height as f32)
    }

    fn mix_at(&mut self, x: usize, y: usize, colour: Colour, share: f32) {
        let at = y * self.width + x;
        self.pixels[at] = blend(self.pixels[at], colour, share.clamp(0.0, 1.0));
    }

    /// Two colours across the whole picture; `angle` in turns, 0 from left to right, 0.25 downwards.
    pub(crate) fn gradient(&mut self, from: Colour, to: Colour, angle: f32) {
        let (sin, cos) = (angle * std::f32::consts::TAU).sin_cos();
        let reach = f32::midpoint(sin.abs(), cos.abs());
        for y in 0..self.height {
            for x in 0..self.width {
                let (u, v) = (
                    x as f32 / self.width as f32 - 0.5,
                    y as f32 / self.height as f32 - 0.5,
                );
                self.pixels[y * self.width + x] =
                    blend(from, to, (u * cos + v * sin) / reach / 2.0 + 0.5);
            }
        }
    }

    /// Fills a polygon, one pixel row at a time, inside by the even-odd rule.
    pub(crate) fn polygon(&mut self, corners: &[Point], colour: Colour) {
        let corners: Vec<Point> = corners.iter().map(|c| self.to_px(*c)).collect();
        let rows = corners.iter().map(|c| c.1);
        let top = rows.clone().fold(f32::MAX, f32::min).max(0.0) as usize;
        let bottom = (rows.fold(0.0, f32::max).ceil() as usize).min(self.height);
        let mut crossings = Vec::new();
        for y in top..bottom {
            crossings.clear();
            let middle = y as f32 + 0.5;
            for (a, b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
                if (a.1 <= middle) != (b.1 <= middle) {
                    crossings.push(a.0 + (middle - a.1) / (b.1 - a.1) * (b.0 - a.0));
                }
            }
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.span(y, pair[0], pair[1], colour);
            }
        }
    }

    /// Part of a row, its ends as strong as the pixels there are covered.
    fn span(&mut self, y: usize, from: f32, to: f32, colour: Colour) {
        let (from, to) = (from.max(0.0), to.min(self.width as f32));
        if from >= to {
            return;
        }
        for x in from as usize..(to.ceil() as usize).min(self.width) {
            let left = x as f32;
            self.mix_at(x, y, colour, (left + 1.0).min(to) - left.max(from));
        }
    }

    pub(crate) fn rectangle(&mut self, (x, y): Point, width: f32, height: f32, colour: Colour) {
        self.polygon(
            &[
                (x, y),
                (x + width, y),
                (x + width, y + height),
                (x, y + height),
            ],
            colour,
        );
    }

    /// A straight stroke, `width` of the shorter side wide.
    pub(crate) fn line(&mut self, from: Point, to: Point, width: f32, colour: Colour) {
        let (a, b) = (self.to_px(from), self.to_px(to));
        let length = (b.0 - a.0).hypot(b.1 - a.1).max(f32::EPSILON);
        let half = width * self.shorter() / 2.0 / length;
        let across = (
            (a.1 - b.1) * half / self.width as f32,
            (b.0 - a.0) * half / self.height as f32,
        );
        let beside = |p: Point, side: f32| (p.0 + across.0 * side, p.1 + across.1 * side);
        self.polygon(
            &[
                beside(from, 1.0),
                beside(to, 1.0),
                beside(to, -1.0),
                beside(from, -1.0),
            ],
            colour,
        );
    }

    pub(crate) fn disc(&mut self, centre: Point, radius: f32, colour: Colour) {
        self.glow(
            centre,
            radius,
            colour,
            1.0,
            1.5 / (radius * self.shorter()).max(1.5),
        );
    }

    /// A round spot; `soft` is the outer part of its radius over which it fades, 0 to 1.
    pub(crate) fn glow(
        &mut self,
        centre: Point,
        radius: f32,
        colour: Colour,
        strength: f32,
        soft: f32,
    ) {
        let (cx, cy) = self.to_px(centre);
        let r = radius * self.shorter();
        let rows =
            ((cy - r).max(0.0) as usize)..((cy + r + 1.0).clamp(0.0, self.height as f32) as usize);
        let columns =
            ((cx - r).max(0.0) as usize)..((cx + r + 1.0).clamp(0.0, self.width as f32) as usize);
        for y in rows {
            for x in columns.clone() {
                let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy) / r;
                if distance < 1.0 {
                    self.mix_at(
                        x,
                        y,
                        colour,
                        strength * (1.0 - distance) / soft.max(f32::EPSILON),
                    );
                }
            }
        }
    }

    pub(crate) fn ring(&mut self, centre: Point, radius: f32, width: f32, colour: Colour) {
        const SIDES: usize = 48;
        let at = |i: usize| self.around(centre, radius, i as f32 / SIDES as f32);
        let corners: Vec<Point> = (0..=SIDES).map(at).collect();
        for pair in corners.windows(2) {
            self.line(pair[0], pair[1], width, colour);
        }
    }

    /// The place `radius` from `centre` at `turn` of a full circle.
    pub(crate) fn around(&self, centre: Point, radius: f32, turn: f32) -> Point {
        let (sin, cos) = (turn * std::f32::consts::TAU).sin_cos();
        let r = radius * self.shorter();
        (
            centre.0 + cos * r / self.width as f32,
            centre.1 + sin * r / self.height as f32,
        )
    }

    /// Fills everything below a wavering line: hills, water, crowds. `rough` counts its swells.
    pub(crate) fn ridge(&mut self, base: f32, swell: f32, rough: f32, colour: Colour, seed: u64) {
        for x in 0..self.width {
            let u = x as f32 / self.width as f32 * rough;
            let rise = noise(seed, u, 0.5) + noise(seed ^ 1, u * 2.7, 0.5) / 3.0 - 0.66;
            let top = ((base - rise * swell) * self.height as f32).clamp(0.0, self.height as f32)
                as usize;
            for y in top..self.height {
                let depth = (y - top) as f32 / self.height as f32;
                self.mix_at(x, y, blend(colour, [0.0; 3], depth * 0.5), 1.0);
            }
        }
    }

    /// Clouds of light and shade over the whole picture; `scale` counts them across its width.
    pub(crate) fn texture(&mut self, scale: f32, strength: f32, seed: u64) {
        let columns = self.width.div_ceil(TEXTURE_CELL_PX) + 1;
        let rows = self.height.div_ceil(TEXTURE_CELL_PX) + 1;
        let step = scale * TEXTURE_CELL_PX as f32 / self.width as f32;
        let coarse: Vec<f32> = (0..rows * columns)
            .map(|i| {
                clouds(
                    seed,
                    (i % columns) as f32 * step,
                    (i / columns) as f32 * step,
                ) - 0.5
            })
            .collect();
        for y in 0..self.height {
            for x in 0..self.width {
                let (cx, cy) = (x / TEXTURE_CELL_PX, y / TEXTURE_CELL_PX);
                let (u, v) = (
                    (x % TEXTURE_CELL_PX) as f32 / TEXTURE_CELL_PX as f32,
                    (y % TEXTURE_CELL_PX) as f32 / TEXTURE_CELL_PX as f32,
                );
                let at = |dx: usize, dy: usize| coarse[(cy + dy) * columns + cx + dx];
                let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
                let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
                let light = (upper + (lower - upper) * v) * strength * 255.0;
                let pixel = &mut self.pixels[y * self.width + x];
                *pixel = pixel.map(|c| c + light);
            }
        }
    }

    /// Sensor-like noise of up to `strength` steps of 255 on each pixel.
    pub(crate) fn grain(&mut self, strength: f32, prng: &mut Prng) {
        for pixel in &mut self.pixels {
            let light = prng.real(-strength..strength);
            *pixel = pixel.map(|c| c + light);
        }
    }

    /// Rows of bars that look like lines of writing. No letters: the pictures say nothing.
    pub(crate) fn writing(
        &mut self,
        (left, top): Point,
        size: (f32, f32),
        rows: usize,
        colour: Colour,
        prng: &mut Prng,
    ) {
        let pitch = size.1 / rows.max(1) as f32;
        for row in 0..rows {
            let end = left + size.0 * prng.real(0.7..1.0);
            let mut x = left;
            while x < end {
                let word = prng.real(0.03..0.14).min(end - x);
                let y = top + row as f32 * pitch;
                self.rectangle(
                    (x, y + pitch * prng.real(0.0..0.12)),
                    word,
                    pitch * 0.55,
                    colour,
                );
                x += word + 0.018;
            }
        }
    }

    /// Another picture, stretched over the rectangle at `corner` by its nearest pixels.
    pub(crate) fn paste(&mut self, part: &Self, corner: Point, size: (f32, f32)) {
        let (left, top) = self.to_px(corner);
        let (width, height) = self.to_px(size);
        for y in 0..self.height {
            let v = (y as f32 + 0.5 - top) / height;
            for x in 0..self.width {
                let u = (x as f32 + 0.5 - left) / width;
                if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                    let (px, py) = (
                        (u * part.width as f32) as usize,
                        (v * part.height as f32) as usize,
                    );
                    self.pixels[y * self.width + x] = part.pixels[py * part.width + px];
                }
            }
        }
    }

    /// Brighter or darker by `light` steps of 255, and `contrast` times as far from middle grey.
    pub(crate) fn relight(&mut self, light: f32, contrast: f32) {
        for pixel in &mut self.pixels {
            *pixel = pixel.map(|c| (c - 128.0) * contrast + 128.0 + light);
        }
    }
}

/// A number in 0..1 for each whole place.
fn lattice(seed: u64, x: i64, y: i64) -> f32 {
    let place = (x as u64).wrapping_mul(0x9E37_79B9) ^ (y as u64).wrapping_mul(0x85EB_CA6B_0000);
    (mix(seed ^ place) >> 40) as f32 / (1u32 << 24) as f32
}

/// Smooth value noise, 0 to 1.
fn noise(seed: u64, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - left), smooth(y - top));
    let at = |dx, dy| lattice(seed, left as i64 + dx, top as i64 + dy);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    upper + (lower - upper) * v
}

/// Three octaves of value noise, 0 to 1.
fn clouds(seed: u64, x: f32, y: f32) -> f32 {
    (noise(seed, x, y) * 4.0
        + noise(seed ^ 2, x * 2.1, y * 2.1) * 2.0
        + noise(seed ^ 3, x * 4.3, y * 4.3))
        / 7.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(draw: impl FnOnce(&mut Canvas), lit: &[(u32, u32)], dark: &[(u32, u32)]) {
        let mut canvas = Canvas::new(40, 20, [0.0; 3]);
        draw(&mut canvas);
        let image = canvas.into_image();
        assert_eq!(image.dimensions(), (40, 20));
        for (x, y) in lit {
            assert_eq!(image.get_pixel(*x, *y).0, [255; 3], "at {x},{y}");
        }
        for (x, y) in dark {
            assert_eq!(image.get_pixel(*x, *y).0, [0; 3], "at {x},{y}");
        }
    }

    #[test]
    fn shapes_cover_what_they_should() {
        let white = grey(1.0);
        check(
            |c| c.rectangle((0.25, 0.5), 0.5, 0.25, white),
            &[(10, 10), (29, 14)],
            &[(9, 10), (30, 14), (20, 15)],
        );
        check(
            |c| c.disc((0.5, 0.5), 0.25, white),
            &[(20, 10), (17, 10)],
            &[(20, 4), (14, 10), (26, 10)],
        );
        check(
            |c| c.line((0.0, 0.5), (1.0, 0.5), 0.2, white),
            &[(0, 9), (39, 10)],
            &[(20, 7), (20, 12)],
        );
    }

    #[test]
    fn shapes_off_the_picture_are_cut_and_not_a_crash() {
        let white = grey(1.0);
        check(
            |c| c.rectangle((-5.0, -5.0), 10.0, 10.0, white),
            &[(0, 0), (39, 19)],
            &[],
        );
        check(|c| c.disc((3.0, -3.0), 0.5, white), &[], &[(39, 0)]);
        check(
            |c| c.line((-2.0, 2.0), (-1.0, 3.0), 0.1, white),
            &[],
            &[(0, 19)],
        );
        check(|c| c.polygon(&[], white), &[], &[(0, 0)]);
    }

    #[test]
    fn colours_are_where_they_belong_on_the_circle() {
        let rounded = |h| hsv(h, 1.0, 1.0).map(|c| c.round() as u8);
        assert_eq!(rounded(0.0), [255, 0, 0]);
        assert_eq!(rounded(1.0 / 3.0), [0, 255, 0]);
        assert_eq!(rounded(2.0 / 3.0), [0, 0, 255]);
    }
}
