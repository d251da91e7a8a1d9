//! Bars: the flat borders that a player or a story app puts around a picture, and their removal.
//!
//! A line of pixels is part of a bar when nearly all of it has the colour of the image's outermost
//! line on that side. Bars thinner than 2 % of their side are left; a picture that is flat all over
//! has none.

use std::ops::Range;

/// How far a sample may be from its bar's colour: JPEG noise stays well below.
const SAMPLE_OFF_MAX: u8 = 20;
/// One pixel in so many may be further off, for noise and small marks.
const PIXELS_PER_OUTLIER: usize = 64;
/// A bar is at least one part in so many of its side.
const SIDE_PARTS_MAX: usize = 50;
/// What is left is at least one part in so many of the side, or there are no bars.
const LEFT_PARTS_MAX: usize = 10;

/// The part of a picture inside its bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

/// Finds the bars of an RGB picture; `None` when it has none.
pub(super) fn inside(rgb: &[u8], width: usize, height: usize) -> Option<Inside> {
    let pixel = |x: usize, y: usize| -> [u8; 3] {
        let at = (y * width + x) * 3;
        let found = rgb.get(at..at + 3).and_then(|pixel| pixel.try_into().ok());
        found.unwrap_or_default()
    };
    let top = bar(height, width, |y, x| pixel(x, y));
    let bottom = bar(height, width, |y, x| pixel(x, height - 1 - y));
    let rows = left_of(height, top, bottom)?;
    // Over the whole side, corners included: the picture's own background beside black bars is no bar.
    let left = bar(width, height, pixel);
    let right = bar(width, height, |x, y| pixel(width - 1 - x, y));
    let columns = left_of(width, left, right)?;
    let all = top + bottom + left + right;
    (all > 0).then_some(Inside { columns, rows })
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

/// How thick the bar is that begins at line 0, of `lines` lines of `length` pixels.
fn bar(lines: usize, length: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> usize {
    let colour = mean((0..length).map(|at| pixel(0, at)));
    let outliers_max = length / PIXELS_PER_OUTLIER;
    let is_flat = |line: &usize| {
        let far = |at: &usize| is_far(pixel(*line, *at), colour);
        (0..length).filter(far).take(outliers_max + 1).count() <= outliers_max
    };
    let thick = (0..lines).take_while(is_flat).count();
    if thick * SIDE_PARTS_MAX >= lines {
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

fn is_far(pixel: [u8; 3], colour: [u8; 3]) -> bool {
    pixel
        .iter()
        .zip(colour)
        .any(|(a, b)| a.abs_diff(b) > SAMPLE_OFF_MAX)
}

/// What two bars leave of a side, if it is enough to be a picture.
fn left_of(side: usize, before: usize, after: usize) -> Option<Range<usize>> {
    let end = side.checked_sub(after).filter(|end| *end > before)?;
    ((end - before) * LEFT_PARTS_MAX >= side).then_some(before..end)
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

    /// Finds exactly the bars that were put there, and in a JPEG at most a block more or less.
    #[track_caller]
    fn check(bars: [u32; 4], colour: [u8; 3]) {
        let drawing = drawing(200, 150, 5);
        let framed = framed(&drawing, bars, colour);
        let (width, height) = (framed.width() as usize, framed.height() as usize);
        let [left, top, ..] = bars.map(|bar| bar as usize);
        let found = inside(&framed, width, height).expect("bars");
        assert_eq!(
            (&found.columns, &found.rows),
            (&(left..left + 200), &(top..top + 150))
        );
        assert_eq!(found.cut(&framed, width), *drawing.as_raw());

        let noisy = image::load_from_memory(&jpeg_of(&framed, 60))
            .expect("a JPEG")
            .into_rgb8();
        let found = inside(&noisy, width, height).expect("bars in the JPEG");
        let near = |a: usize, b: usize| a.abs_diff(b) <= 16;
        assert!(
            near(found.columns.start, left) && near(found.columns.end, left + 200),
            "{found:?}"
        );
        assert!(
            near(found.rows.start, top) && near(found.rows.end, top + 150),
            "{found:?}"
        );
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
        assert_eq!(inside(image, width as usize, height as usize), None);
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
        assert_eq!(found, Some(Inside { columns, rows }));
    }

    #[test]
    fn bars_under_two_percent_are_left_alone() {
        let drawing = drawing(200, 196, 5);
        check_none(&framed(&drawing, [0, 3, 0, 0], [255, 255, 255]));
        let with_four = framed(&drawing, [0, 4, 0, 0], [255, 255, 255]);
        assert_eq!(inside(&with_four, 200, 200).expect("a bar").rows, 4..200);
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
