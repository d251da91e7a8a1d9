//! Bars: what a player, a story app or a phone's screen puts around a picture, and its removal.
//!
//! A line of pixels is part of a bar when enough of it has the colour of the image's outermost line on
//! that side. What is enough has no one answer: the noise of a JPEG asks for a wide tolerance, a night
//! sky beside a black bar for a narrow one, and the page around a picture in a screenshot bears writing
//! and buttons. So there are up to three ways to cut, and each that gives something else is compared.
//! Bars thinner than 2 % of their side are left; a picture that is flat all over has none.

use std::borrow::Cow;
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

/// How thick the bars are above, below, left and right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Thick {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

/// Finds the bars of an RGB picture, in every way that gives something else; none when it has none.
/// Cuts within 1 % of each other have nearly the same hash, and count as one.
pub(super) fn inside(rgb: &[u8], width: usize, height: usize) -> Vec<Inside> {
    let pixels = Pixels { rgb, width, height };
    let mut found: Vec<Inside> = Vec::new();
    // What is flat by the strictest measure is flat by the others, so they go on from there.
    let clean = pixels.bars(&CLEAN, Thick::default());
    let noisy = pixels.bars(&NOISY, clean);
    let ways = [
        pixels.between(noisy),
        pixels.between(clean),
        pixels.on_a_page(clean),
    ];
    for way in ways.into_iter().flatten() {
        if !found.iter().any(|known| pixels.is_same(known, &way)) {
            found.push(way);
        }
    }
    found
}

impl Pixels<'_> {
    fn is_same(&self, one: &Inside, other: &Inside) -> bool {
        let near = |one: &Range<usize>, other: &Range<usize>, side: usize| {
            let off = side / 100;
            one.start.abs_diff(other.start) <= off && one.end.abs_diff(other.end) <= off
        };
        near(&one.columns, &other.columns, self.width) && near(&one.rows, &other.rows, self.height)
    }

    /// The bars on all sides; `known` of them are flat.
    fn bars(&self, flat: &Flatness, known: Thick) -> Thick {
        let all = 0..self.height;
        Thick {
            top: bar(flat, known.top, |y| self.row(y), self.height),
            bottom: bar(
                flat,
                known.bottom,
                |y| self.row(self.height - 1 - y),
                self.height,
            ),
            // Over the whole side, corners included: the picture's own background beside black bars is no bar.
            left: self.left(flat, known.left, &all),
            right: self.right(flat, known.right, &all),
        }
    }

    fn left(&self, flat: &Flatness, known: usize, rows: &Range<usize>) -> usize {
        bar(flat, known, |x| self.column(x, rows), self.width)
    }

    fn right(&self, flat: &Flatness, known: usize, rows: &Range<usize>) -> usize {
        let from_right = |x| self.column(self.width - 1 - x, rows);
        bar(flat, known, from_right, self.width)
    }

    fn between(&self, bars: Thick) -> Option<Inside> {
        let (top, bottom) = (
            worth(bars.top, self.height),
            worth(bars.bottom, self.height),
        );
        let (left, right) = (worth(bars.left, self.width), worth(bars.right, self.width));
        let rows = left_of(self.height, top, bottom, LEFT_PARTS_MAX)?;
        let columns = left_of(self.width, left, right, LEFT_PARTS_MAX)?;
        (top + bottom + left + right > 0).then_some(Inside { columns, rows })
    }

    /// Writing and buttons are above and below the picture; beside it, the page is bare.
    fn on_a_page(&self, clean: Thick) -> Option<Inside> {
        let top = bar(&PAGE, clean.top, |y| self.row(y), self.height);
        let below = |y| self.row(self.height - 1 - y);
        let bottom = bar(&PAGE, clean.bottom, below, self.height);
        let (top, bottom) = (worth(top, self.height), worth(bottom, self.height));
        if top + bottom == 0 {
            return None;
        }
        let rows = left_of(self.height, top, bottom, LEFT_OF_PAGE_PARTS_MAX)?;
        let (left, right) = (self.left(&NOISY, 0, &rows), self.right(&NOISY, 0, &rows));
        let columns = left_of(self.width, left, right, LEFT_OF_PAGE_PARTS_MAX)?;
        Some(Inside { columns, rows })
    }

    fn row(&self, y: usize) -> Line<'_> {
        let stride = self.width * 3;
        let samples = self.rgb.get(y * stride..(y + 1) * stride);
        Line {
            samples: samples.unwrap_or_default(),
            step: 3,
        }
    }

    fn column(&self, x: usize, rows: &Range<usize>) -> Line<'_> {
        let stride = self.width * 3;
        let samples = self.rgb.get(rows.start * stride + x * 3..rows.end * stride);
        Line {
            samples: samples.unwrap_or_default(),
            step: stride,
        }
    }
}

/// How many of the first of `lines` lines are a bar, of which `known` are.
fn bar<'a>(flat: &Flatness, known: usize, line: impl Fn(usize) -> Line<'a>, lines: usize) -> usize {
    if lines == 0 {
        return 0;
    }
    let colour = line(0).mean();
    let is_flat = |at: &usize| line(*at).is_flat(colour, flat);
    known + (known..lines).take_while(is_flat).count()
}

/// A row or a column.
struct Line<'a> {
    /// From its first pixel on.
    samples: &'a [u8],
    /// From one pixel to the next.
    step: usize,
}

impl Line<'_> {
    fn pixels(&self) -> impl Iterator<Item = [u8; 3]> {
        let pixels = self.samples.chunks(self.step.max(3));
        pixels.filter_map(|pixel| pixel.first_chunk().copied())
    }

    fn mean(&self) -> [u8; 3] {
        let (mut sums, mut count) = ([0_u64; 3], 0_u64);
        for pixel in self.pixels() {
            sums.iter_mut()
                .zip(pixel)
                .for_each(|(sum, sample)| *sum += u64::from(sample));
            count += 1;
        }
        sums.map(|sum| (sum / count.max(1)) as u8)
    }

    fn is_flat(&self, colour: [u8; 3], flat: &Flatness) -> bool {
        let length = self.samples.len().div_ceil(self.step.max(3));
        let outliers_max = length / flat.pixels_per_outlier;
        let is_far = |pixel: [u8; 3]| {
            let mut far = false;
            for (sample, of_bar) in pixel.into_iter().zip(colour) {
                far |= sample.abs_diff(of_bar) > flat.sample_off_max;
            }
            far
        };
        // A stretch at a time without a branch, for most of the work is in lines that are flat.
        const STRETCH: usize = 64;
        let mut outliers = 0;
        for stretch in self.samples.chunks(STRETCH * self.step.max(3)) {
            let stretch = Line {
                samples: stretch,
                step: self.step,
            };
            outliers += stretch
                .pixels()
                .map(|pixel| usize::from(is_far(pixel)))
                .sum::<usize>();
            if outliers > outliers_max {
                return false;
            }
        }
        true
    }
}

impl Inside {
    /// The pixels inside; rows that are whole need not be copied.
    pub(super) fn cut<'a>(&self, rgb: &'a [u8], width: usize) -> Cow<'a, [u8]> {
        let stride = width * 3;
        if self.columns == (0..width) {
            let inside = rgb.get(self.rows.start * stride..self.rows.end * stride);
            return Cow::Borrowed(inside.unwrap_or_default());
        }
        let mut cut = Vec::with_capacity(self.columns.len() * self.rows.len() * 3);
        for row in rgb
            .chunks_exact(stride.max(3))
            .skip(self.rows.start)
            .take(self.rows.len())
        {
            let inside = row.get(self.columns.start * 3..self.columns.end * 3);
            cut.extend_from_slice(inside.unwrap_or_default());
        }
        Cow::Owned(cut)
    }
}

/// A bar too thin to be one counts for nothing.
fn worth(thick: usize, side: usize) -> usize {
    if thick * SIDE_PARTS_MAX >= side {
        thick
    } else {
        0
    }
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
        assert_eq!(found.cut(&framed, width).as_ref(), drawing.as_raw());

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
