//! Key frames: those frames of an animation that look unlike what came before, spread over it.
//!
//! ```text
//! frames ─ at most 500, at most 64 megapixels ─ unlike the last one chosen, and its turn ─► PDQ
//! ```
//! Of `n` frames the `k`-th choice of at most `max` comes at frame `k * n / max` or later, so a
//! flickering beginning does not use them up. The frame shown first is hashed as `original` and only
//! compared with here.

use super::container::Format;
use super::decode::{self, Form, Limits};
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, Frames, ImageDecoder, ImageResult};
use manara_signal::pdq::{self, PdqHash};
use std::io::Cursor;

/// Most frames that are decoded of one animation.
const FRAMES_MAX: u32 = 500;
/// Most pixels that are decoded of one animation: about a second's work.
const PIXELS_MAX: u64 = 64_000_000;
/// Of how many frames the pixels must be affordable: decoders hold three at a time, and those of larger
/// ones would not fit into the memory they may use.
const AFFORDABLE_MIN: u64 = 4;
/// A look is as many cells a side, each the mean of some of its pixels.
const CELLS: usize = 8;
/// Pixels a side that are looked at in a cell.
const POINTS: usize = 8;
/// Frames differ visibly when a cell's brightness differs by more than this, of 255.
const CELL_OFF_MAX: u8 = 24;

/// What a frame looks like from afar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look([u8; CELLS * CELLS]);

impl Look {
    /// Of tight rows of `channels` samples a pixel, RGB first.
    pub(super) fn of(samples: &[u8], width: usize, height: usize, channels: usize) -> Self {
        let brightness = |x: usize, y: usize| -> u32 {
            let at = (y * width + x) * channels;
            let rgb = samples.get(at..at + 3).unwrap_or_default();
            rgb.iter().map(|sample| u32::from(*sample)).sum::<u32>() / 3
        };
        let point = |at: usize, side: usize| at * side / (CELLS * POINTS);
        let mut sums = [0_u32; CELLS * CELLS];
        for y in 0..CELLS * POINTS {
            for x in 0..CELLS * POINTS {
                let cell = y / POINTS * CELLS + x / POINTS;
                if let Some(sum) = sums.get_mut(cell) {
                    *sum += brightness(point(x, width), point(y, height));
                }
            }
        }
        Self(sums.map(|sum| (sum / (POINTS * POINTS) as u32) as u8))
    }

    fn is_unlike(&self, other: &Self) -> bool {
        let mut cells = self.0.iter().zip(&other.0);
        cells.any(|(a, b)| a.abs_diff(*b) > CELL_OFF_MAX)
    }
}

/// What is found of an animation's frames.
#[derive(Debug, Default)]
pub(super) struct KeyFrames {
    pub(super) hashes: Vec<(Form, PdqHash)>,
    /// Whether a frame could not be read, and so those after it were not looked at.
    pub(super) broken: bool,
}

/// The hashes of at most `max` key frames of a file with this many frames.
pub(super) fn key_frames(
    (format, bytes): (Format, &[u8]),
    limits: &Limits,
    (width, height): (u32, u32),
    frames: u32,
    max: u8,
    first: Look,
) -> KeyFrames {
    let mut found = KeyFrames::default();
    let affordable = PIXELS_MAX / (u64::from(width) * u64::from(height)).max(1);
    let frames = u64::from(frames.min(FRAMES_MAX)).min(affordable);
    if frames < 2 || affordable < AFFORDABLE_MIN {
        return found;
    }
    let Ok(decoded) = decoded(format, bytes, limits) else {
        found.broken = true;
        return found;
    };
    let mut last = first;
    for (number, frame) in (0..frames).zip(decoded) {
        if found.hashes.len() >= usize::from(max) {
            break;
        }
        let Ok(frame) = frame else {
            found.broken = true;
            break;
        };
        let turn = found.hashes.len() as u64 * frames / u64::from(max);
        if number < turn {
            continue;
        }
        let (rgba, width, height) = (frame.buffer(), width as usize, height as usize);
        let look = Look::of(rgba, width, height, 4);
        if !look.is_unlike(&last) {
            continue;
        }
        let (pixels, _) = rgba.as_chunks::<4>();
        let rgb: Vec<u8> = pixels
            .iter()
            .flat_map(|[r, g, b, _]| [*r, *g, *b])
            .collect();
        let Ok(hash) = pdq::hash_rgb(&rgb, width, height) else {
            found.broken = true;
            break;
        };
        found.hashes.push((Form::Frame(number as u32), hash));
        last = look;
    }
    found
}

/// The frames in order, each on its whole canvas.
fn decoded<'a>(format: Format, bytes: &'a [u8], limits: &Limits) -> ImageResult<Frames<'a>> {
    let none = || Frames::new(Box::new(std::iter::empty()));
    let input = Cursor::new(bytes);
    let limits = decode::strict(limits);
    Ok(match format {
        Format::Gif => {
            let mut decoder = GifDecoder::new(input)?;
            decoder.set_limits(limits)?;
            decoder.into_frames()
        }
        Format::Png => {
            let mut decoder = PngDecoder::with_limits(input, limits.clone())?;
            decoder.set_limits(limits)?;
            decoder.apng()?.into_frames()
        }
        Format::WebP => {
            let mut decoder = WebPDecoder::new(input)?;
            decoder.set_limits(limits)?;
            // Frames in a file that does not call itself animated are never shown, nor decodable.
            if !decoder.has_animation() {
                return Ok(none());
            }
            decoder.into_frames()
        }
        Format::Jpeg | Format::Bmp => none(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::decode::{Extra, Signs, sign};
    use super::super::samples::{
        animation, animation_gif, animation_png, drawing, gif_of, gif_of_frames,
    };
    use super::*;
    use manara_signal::pdq::hash_rgb;

    fn signed(bytes: &[u8], key_frames_max: u8) -> Signs {
        let extra = Extra {
            without_bars: false,
            reference_512: false,
            key_frames_max,
        };
        sign(bytes, &Limits::default(), extra).expect("an image")
    }

    fn numbers(signs: &Signs) -> Vec<u32> {
        let number = |(form, _): &(Form, PdqHash)| match form {
            Form::Frame(number) => *number,
            Form::WithoutBars | Form::Reference512 => panic!("a still form"),
        };
        signs.extra.iter().map(number).collect()
    }

    #[test]
    fn frames_that_look_new_are_hashed() {
        for file in [animation_gif(12), animation_png(12)] {
            let signs = signed(&file, 8);
            assert_eq!(numbers(&signs), [3, 6, 9]);
            assert!(!signs.truncated && !signs.lacks_frames);
            for ((_, found), frame) in signs.extra.iter().zip([3, 6, 9]) {
                let whole = &animation(12)[frame];
                let expected = hash_rgb(whole, 120, 90).expect("a hash").hash;
                let bits = found.hash.distance(&expected);
                assert!(bits <= 24, "frame {frame} is {bits} bits off");
            }
        }
    }

    #[test]
    fn no_more_than_asked_for_and_spread_over_the_animation() {
        let every_frame_new: Vec<_> = (0..40).map(|seed| drawing(64, 48, seed)).collect();
        let file = gif_of(&every_frame_new);
        assert_eq!(numbers(&signed(&file, 4)), [1, 10, 20, 30]);
        assert_eq!(numbers(&signed(&file, 1)), [1]);
        assert!(numbers(&signed(&file, 0)).is_empty());
    }

    #[test]
    fn an_animation_of_one_picture_has_no_key_frames() {
        let still = drawing(64, 48, 1);
        let file = gif_of(&[still.clone(), still.clone(), still]);
        assert!(numbers(&signed(&file, 8)).is_empty());
    }

    /// A million frames are counted by walking the file; five hundred are decoded.
    #[test]
    fn a_million_frames_do_not_hurt() {
        let signs = signed(&gif_of_frames(1_000_000), 8);
        assert_eq!(signs.frames, 1_000_000);
        assert!(signs.extra.is_empty() && !signs.lacks_frames);
        // Behind the last frame that is decoded nothing is looked at.
        let mut frames = vec![drawing(32, 32, 1); FRAMES_MAX as usize];
        frames.push(drawing(32, 32, 99));
        assert!(numbers(&signed(&gif_of(&frames), 8)).is_empty());
        frames.swap(FRAMES_MAX as usize - 1, FRAMES_MAX as usize);
        assert_eq!(numbers(&signed(&gif_of(&frames), 8)), [FRAMES_MAX - 1]);
    }

    #[test]
    fn an_animation_too_large_to_decode_keeps_its_first_frame() {
        let frames = [drawing(4100, 4000, 1), drawing(4100, 4000, 2)];
        let mut file = gif_of(&frames[..1]);
        let more = gif_of(&frames[1..]);
        let _trailer = file.pop();
        let at = more.iter().position(|byte| *byte == 0x21).expect("a block");
        file.extend_from_slice(&more[at..]);
        let signs = signed(&file, 8);
        assert!(signs.frames >= 2 && signs.extra.is_empty() && !signs.lacks_frames);
    }

    #[test]
    fn a_frame_that_cannot_be_read_is_not_passed_over() {
        let mut file = animation_png(6);
        let mut fourth = file
            .windows(4)
            .enumerate()
            .filter(|(_, kind)| kind == b"fdAT");
        let (at, _) = fourth.nth(2).expect("a fourth frame");
        file[at + 20..at + 60].fill(0xff);
        let signs = signed(&file, 8);
        assert!(
            signs.lacks_frames && !signs.truncated,
            "{:?}",
            numbers(&signs)
        );
        let whole = animation_gif(6);
        let signs = signed(&whole[..whole.len() - 200], 8);
        assert!(signs.lacks_frames && !signs.truncated);
    }
}
