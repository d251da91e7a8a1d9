//! Bars: what a player, a story app or a phone's screen puts around a picture, and its removal.
//!
//! A line of pixels is part of a bar when enough of it has the colour of the image's outermost line on
//! that side. What is enough has no one answer: the noise of a JPEG asks for a wide tolerance, a night
//! sky beside a black bar for a narrow one, and the page around a picture in a screenshot bears writing
//! and buttons. So there are up to three ways to cut, and each that gives something else is compared.
//! Bars thinner than 2 % of their side are left; a picture that is flat all over has none.

use std::ops::Range;

/// How far a sample may be from its bar's colour.
struct Flatness {
    sample_off_max: u8,
    /// One pixel of a line in so many may be further off, for noise and small marks.
    pixels_per_outlier: usize,
}

/// JPEG noise stays well within.
const NOISY: Flatness = Flatness {
    sample_off_max: 20,
    pixels_per_outlier: 64,
};
/// Dark parts of a picture beside black bars stay outside.
const CLEAN: Flatness = Flatness {
    sample_off_max: 8,
    pixels_per_outlier: 64,
};
/// Half of the line may be writing or buttons.
const PAGE: Flatness = Flatness {
    sample_off_max: 12,
    pixels_per_outlier: 2,
};
/// A bar is at least one part in so many of its side.
const SIDE_PARTS_MAX: usize = 50;
/// What is left between bars is at least one part in so many of the side, or there are no bars.
const LEFT_PARTS_MAX: usize = 10;
/// The same for the page of a screenshot.
const LEFT_OF_PAGE_PARTS_MAX: usize = 5;

/// The part of a picture inside its bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

/// A picture's RGB pixels, in rows.
struct Pixels<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
}

/// Finds the bars of an RGB picture, in every way that gives something else; none when it has none.
/// Cuts within 1 % of each other have nearly the same hash, and count as one.
pub(super) fn inside(rgb: &[u8], width: usize, height: usize) -> Vec<Inside> {
    let pixels = Pixels { rgb, width, height };
    let mut found: Vec<Inside> = Vec::new();
    for way in [
        pixels.within_bars(&NOISY),
        pixels.within_bars(&CLEAN),
        pixels.on_a_page(),
    ]
    .into_iter()
    .flatten()
    {
        if !found.iter().any(|known| pixels.is_same(known, &way)) {
            found.push(way);
        }
    }
    found
}

impl Pixels<'_> {
    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        let found = self.rgb.get(at..at + 3);
        found
            .and_then(|pixel| pixel.try_into().ok())
            .unwrap_or_default()
    }

    fn is_same(&self, one: &Inside, other: &Inside) -> bool {
        let near = |one: &Range<usize>, other: &Range<usize>, side: usize| {
            let off = side / 100;
            one.start.abs_diff(other.start) <= off && one.end.abs_diff(other.end) <= off
        };
        near(&one.columns, &other.columns, self.width) && near(&one.rows, &other.rows, self.height)
    }

    fn within_bars(&self, flat: &Flatness) -> Option<Inside> {
        let (top, bottom) = self.above_and_below(flat);
        let rows = left_of(self.height, top, bottom, LEFT_PARTS_MAX)?;
        // Over the whole side, corners included: the picture's own background beside black bars is no bar.
        let (left, right) = self.beside(flat, 0..self.height);
        let left = worth(left, self.width);
        let right = worth(right, self.width);
        let columns = left_of(self.width, left, right, LEFT_PARTS_MAX)?;
        (top + bottom + left + right > 0).then_some(Inside { columns, rows })
    }

    /// Writing and buttons are above and below the picture; beside it, the page is bare.
    fn on_a_page(&self) -> Option<Inside> {
        let (top, bottom) = self.above_and_below(&PAGE);
        if top + bottom == 0 {
            return None;
        }
        let rows = left_of(self.height, top, bottom, LEFT_OF_PAGE_PARTS_MAX)?;
        let (left, right) = self.beside(&NOISY, rows.clone());
        let columns = left_of(self.width, left, right, LEFT_OF_PAGE_PARTS_MAX)?;
        Some(Inside { columns, rows })
    }

    fn above_and_below(&self, flat: &Flatness) -> (usize, usize) {
        let (lines, length) = (self.height, self.width);
        let top = bar(lines, length, flat, |y, x| self.at(x, y));
        let bottom = bar(lines, length, flat, |y, x| self.at(x, lines - 1 - y));
        (worth(top, lines), worth(bottom, lines))
    }

    fn beside(&self, flat: &Flatness, rows: Range<usize>) -> (usize, usize) {
        let (lines, length, first) = (self.width, rows.len(), rows.start);
        let left = bar(lines, length, flat, |x, y| self.at(x, first + y));
        let right = bar(lines, length, flat, |x, y| {
            self.at(lines - 1 - x, first + y)
        });
        (left, right)
    }
}

impl Inside {
    /// The pixels inside.
    pub(super) fn cut(&self, rgb: &[u8], width: usize) -> Vec<u8> {
        let mut cut = Vec::with_capacity(self.columns.len() * self.rows.len() * 3);
        for row in rgb
            .chunks_exact(width.max(1) * 3)
            .skip(self.rows.start)
            .take(self.rows.len())
        {
            let inside = row.get(self.columns.start * 3..self.columns.end * 3);
            cut.extend_from_slice(inside.unwrap_or_default());
        }
        cut
    }
}

/// How many of the first of `lines` lines of `length` pixels are a bar.
fn bar(
    lines: usize,
    length: usize,
    flat: &Flatness,
    pixel: impl Fn(usize, usize) -> [u8; 3],
) -> usize {
    let colour = mean((0..length).map(|at| pixel(0, at)));
    let outliers_max = length / flat.pixels_per_outlier;
    let is_flat = |line: &usize| {
        let far = |at: &usize| is_far(pixel(*line, *at), colour, flat.sample_off_max);
        (0..length).filter(far).take(outliers_max + 1).count() <= outliers_max
    };
    (0..lines).take_while(is_flat).count()
}

/// A bar too thin to be one counts for nothing.
fn worth(thick: usize, side: usize) -> usize {
    if thick * SIDE_PARTS_MAX >= side {
        thick
    } else {
        0
    }
}

fn mean(pixels: impl Iterator<Item = [u8; 3]>) -> [u8; 3] {
    let (mut sums, mut count) = ([0_u64; 3], 0_u64);
    for pixel in pixels {
        sums.iter_mut()
            .zip(pixel)
            .for_each(|(sum, sample)| *sum += u64::from(sample));
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1)) as u8)
}

fn is_far(pixel: [u8; 3], colour: [u8; 3], sample_off_max: u8) -> bool {
    pixel
        .iter()
        .zip(colour)
        .any(|(a, b)| a.abs_diff(b) > sample_off_max)
}

/// What two bars leave of a side, if it is enough to be a picture.
fn left_of(side: usize, before: usize, after: usize, parts_max: usize) -> Option<Range<usize>> {
    let end = side.checked_sub(after).filter(|end| *end > before)?;
    ((end - before) * parts_max >= side).then_some(before..end)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{drawing, jpeg_of};
    use super::*;
    use image::{GenericImage, Rgb, RgbImage};

    /// The drawing with bars of these thicknesses (left, top, right, bottom) around it.
    fn framed(drawing: &RgbImage, bars: [u32; 4], colour: [u8; 3]) -> RgbImage {
        let [left, top, right, bottom] = bars;
        let (width, height) = drawing.dimensions();
        let size = (width + left + right, height + top + bottom);
        let mut framed = RgbImage::from_pixel(size.0, size.1, Rgb(colour));
        framed.copy_from(drawing, left, top).expect("it fits");
        framed
    }

    /// All ways to cut agree.
    #[track_caller]
    fn only(image: &RgbImage) -> Inside {
        let found = inside(image, image.width() as usize, image.height() as usize);
        let [only] = &found[..] else {
            panic!("{found:?}");
        };
        only.clone()
    }

    /// Finds exactly the bars that were put there, and in a JPEG at most a block more or less.
    #[track_caller]
    fn check(bars: [u32; 4], colour: [u8; 3]) {
        let drawing = drawing(200, 150, 5);
        let framed = framed(&drawing, bars, colour);
        let (width, height) = (framed.width() as usize, framed.height() as usize);
        let [left, top, ..] = bars.map(|bar| bar as usize);
        let found = only(&framed);
        assert_eq!(
            (&found.columns, &found.rows),
            (&(left..left + 200), &(top..top + 150))
        );
        assert_eq!(found.cut(&framed, width), *drawing.as_raw());

        let noisy = image::load_from_memory(&jpeg_of(&framed, 60))
            .expect("a JPEG")
            .into_rgb8();
        let near = |a: usize, b: usize| a.abs_diff(b) <= 16;
        let is_near = |found: &Inside| {
            near(found.columns.start, left)
                && near(found.columns.end, left + 200)
                && near(found.rows.start, top)
                && near(found.rows.end, top + 150)
        };
        let found = inside(&noisy, width, height);
        assert!(found.iter().any(is_near), "{found:?}");
    }

    #[test]
    fn bars_are_found_on_every_side_and_in_every_colour() {
        check([0, 40, 0, 40], [0, 0, 0]);
        check([50, 0, 50, 0], [0, 0, 0]);
        check([30, 40, 30, 40], [255, 255, 255]);
        check([0, 24, 0, 0], [250, 20, 200]);
        check([0, 0, 64, 0], [240, 250, 255]);
    }

    #[track_caller]
    fn check_none(image: &RgbImage) {
        let (width, height) = image.dimensions();
        assert_eq!(inside(image, width as usize, height as usize), []);
    }

    #[test]
    fn pictures_without_bars_have_none() {
        for seed in 0..20 {
            check_none(&drawing(120 + seed * 13, 90 + seed * 7, seed));
        }
    }

    #[test]
    fn a_background_beside_bars_stays() {
        let drawing = drawing(160, 150, 5);
        let with_background = framed(&drawing, [20, 0, 20, 0], [90, 160, 220]);
        let found = inside(&framed(&with_background, [0, 30, 0, 30], [0; 3]), 200, 210);
        let (columns, rows) = (0..200, 30..180);
        assert_eq!(found[0], Inside { columns, rows });
    }

    #[test]
    fn bars_under_two_percent_are_left_alone() {
        let drawing = drawing(200, 196, 5);
        check_none(&framed(&drawing, [0, 3, 0, 0], [255, 255, 255]));
        let with_four = framed(&drawing, [0, 4, 0, 0], [255, 255, 255]);
        assert_eq!(only(&with_four).rows, 4..200);
    }

    #[test]
    fn never_everything_is_removed() {
        check_none(&RgbImage::from_pixel(80, 60, Rgb([7, 7, 7])));
        check_none(&RgbImage::from_pixel(1, 1, Rgb([7, 7, 7])));
        check_none(&RgbImage::new(0, 0));
        // A thin stripe in a flat image is no picture in bars.
        check_none(&framed(&drawing(100, 8, 1), [0, 60, 0, 60], [0, 0, 0]));
        // A flat image in two colours: one is the other's bar, both are.
        check_none(&framed(
            &RgbImage::from_pixel(80, 40, Rgb([255; 3])),
            [0, 0, 0, 40],
            [0, 0, 0],
        ));
    }
}
