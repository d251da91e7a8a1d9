//! What happens to a picture as it is passed around: re-compressed, cut, framed, marked.

use super::canvas::{Canvas, grey, hsv};
use super::prng::Prng;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, ImageResult, RgbImage};

/// One way in which a copy differs from its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Alteration {
    /// JPEG again, at a quality from 30 to 80.
    Recompressed,
    /// 40 % to 200 % of its width and height, the proportions kept.
    Resized,
    /// A block of writing or a round mark in one corner.
    Watermarked,
    /// Left and right exchanged.
    Mirrored,
    /// 3 % to 15 % of its width and height cut off.
    Cropped,
    /// Bars above and below, or left and right.
    Letterboxed,
    /// Brighter or darker, with a little more or less contrast.
    Relit,
    /// Inside the picture of a phone's screen: a status line, a name, buttons.
    Screenshot,
}

/// The quality at which everything is first written.
pub(crate) const JPEG_QUALITY: u8 = 90;

/// Applies the alteration, drawing its strength from `prng`, and encodes the outcome.
pub(crate) fn altered(
    original: &RgbImage,
    alteration: Alteration,
    prng: &mut Prng,
) -> ImageResult<Vec<u8>> {
    let picture = match alteration {
        Alteration::Recompressed => return jpeg(original, prng.int(30..81) as u8),
        Alteration::Resized => resized(original, prng.real(0.4..2.0)),
        Alteration::Watermarked => watermarked(original, prng),
        Alteration::Mirrored => imageops::flip_horizontal(original),
        Alteration::Cropped => cropped(original, prng),
        Alteration::Letterboxed => letterboxed(original, prng),
        Alteration::Relit => relit(original, prng),
        Alteration::Screenshot => screenshot(original, prng),
    };
    jpeg(&picture, prng.int(70..91) as u8)
}

pub(crate) fn jpeg(image: &RgbImage, quality: u8) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image)?;
    Ok(bytes)
}

pub(crate) fn png(image: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, PngFilter::Up).write_image(
        image.as_raw(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

fn resized(image: &RgbImage, factor: f32) -> RgbImage {
    let side = |px: u32| ((px as f32 * factor).round() as u32).max(1);
    imageops::resize(
        image,
        side(image.width()),
        side(image.height()),
        FilterType::Triangle,
    )
}

fn watermarked(image: &RgbImage, prng: &mut Prng) -> RgbImage {
    let mut canvas = Canvas::from_image(image);
    let (x, y) = (prng.pick(&[0.03, 0.72]), prng.pick(&[0.04, 0.86]));
    if prng.chance(0.5) {
        canvas.rectangle((*x, *y), 0.25, 0.1, grey(0.1));
        canvas.writing((x + 0.02, y + 0.02), (0.21, 0.07), 1, grey(0.95), prng);
    } else {
        let centre = (x + 0.12, y + 0.05);
        canvas.disc(
            centre,
            prng.real(0.05..0.09),
            hsv(prng.real(0.0..1.0), 0.7, 0.9),
        );
        canvas.ring(centre, 0.045, 0.012, grey(0.98));
    }
    canvas.into_image()
}

fn cropped(image: &RgbImage, prng: &mut Prng) -> RgbImage {
    let (width, height) = image.dimensions();
    let share = prng.real(0.03..0.15);
    let (left, top) = (prng.real(0.0..share), prng.real(0.0..share));
    let part = |px: u32, share: f32| (px as f32 * share) as u32;
    let kept = (
        part(width, 1.0 - share).max(1),
        part(height, 1.0 - share).max(1),
    );
    imageops::crop_imm(image, part(width, left), part(height, top), kept.0, kept.1).to_image()
}

fn letterboxed(image: &RgbImage, prng: &mut Prng) -> RgbImage {
    let (width, height) = image.dimensions();
    let share = prng.real(0.08..0.3);
    let bar = |px: u32| (px as f32 * share / 2.0) as u32;
    let (across, down) = if prng.chance(0.5) {
        (bar(width), 0)
    } else {
        (0, bar(height))
    };
    let mut framed = Canvas::new(width + across * 2, height + down * 2, grey(0.0)).into_image();
    imageops::replace(&mut framed, image, i64::from(across), i64::from(down));
    framed
}

fn relit(image: &RgbImage, prng: &mut Prng) -> RgbImage {
    let mut canvas = Canvas::from_image(image);
    let light = prng.real(15.0..50.0) * if prng.chance(0.5) { 1.0 } else { -1.0 };
    canvas.relight(light, prng.real(0.8..1.2));
    canvas.into_image()
}

fn screenshot(image: &RgbImage, prng: &mut Prng) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = prng.int(0..(width / 30).max(1).into()) as u32;
    let (above, below) = (
        (height as f32 * prng.real(0.05..0.2)) as u32,
        (height as f32 * prng.real(0.05..0.25)) as u32,
    );
    let page = grey(if prng.chance(0.5) { 0.08 } else { 0.96 });
    let ink = grey(if page[0] > 128.0 { 0.2 } else { 0.85 });
    let mut canvas = Canvas::new(width + side * 2, above + height + below, page);
    let (top, bottom) = (
        above as f32 / canvas.height_px() as f32,
        (above + height) as f32 / canvas.height_px() as f32,
    );
    canvas.disc(
        (0.07, top * 0.5),
        top * 0.3,
        hsv(prng.real(0.0..1.0), 0.5, 0.6),
    );
    canvas.writing((0.14, top * 0.3), (0.4, top * 0.4), 1, ink, prng);
    for button in 0..4 {
        let centre = (0.1 + button as f32 * 0.25, f32::midpoint(1.0, bottom));
        canvas.ring(centre, (1.0 - bottom) * 0.25, 0.008, ink);
    }
    let mut framed = canvas.into_image();
    imageops::replace(&mut framed, image, i64::from(side), i64::from(above));
    framed
}

#[cfg(test)]
mod tests {
    use super::super::drawing::{Subject, draw};
    use super::*;

    #[test]
    fn every_alteration_changes_the_picture_and_still_decodes() {
        use Alteration::{
            Cropped, Letterboxed, Mirrored, Recompressed, Relit, Resized, Screenshot, Watermarked,
        };
        let original = draw(Subject::Banner, 1);
        for alteration in [
            Recompressed,
            Resized,
            Watermarked,
            Mirrored,
            Cropped,
            Letterboxed,
            Relit,
            Screenshot,
        ] {
            let bytes = altered(&original, alteration, &mut Prng::new(9)).unwrap();
            assert_eq!(
                bytes,
                altered(&original, alteration, &mut Prng::new(9)).unwrap(),
                "{alteration:?}"
            );
            let copy = image::load_from_memory(&bytes).unwrap().to_rgb8();
            let same_size = copy.dimensions() == original.dimensions();
            let keeps_size = matches!(alteration, Recompressed | Watermarked | Mirrored | Relit);
            assert_eq!(
                same_size,
                keeps_size,
                "{alteration:?} {:?}",
                copy.dimensions()
            );
            assert_ne!(copy, original, "{alteration:?}");
        }
    }

    #[test]
    fn png_keeps_every_pixel() {
        let original = draw(Subject::Meal, 2);
        assert_eq!(
            image::load_from_memory(&png(&original).unwrap())
                .unwrap()
                .to_rgb8(),
            original
        );
    }
}
