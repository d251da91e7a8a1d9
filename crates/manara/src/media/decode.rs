//! Bytes of an image file to pixels, and from pixels to signals, previews and thumbnails.
//!
//! These are pure functions. They are meant to run inside the worker (`manara media-worker`), whose
//! limits catch what the checks here do not; nothing else of Manara decodes media.
//!
//! **Which pixels are hashed.** Those that Pillow's `Image.open(file).convert("RGB")` gives, because
//! the hash lists in circulation were made that way:
//!
//! * alpha is dropped, not blended; palettes are looked up; grey is tripled; 16-bit samples keep
//!   their high byte;
//! * CMYK becomes RGB by the plain formula, without a colour profile, and is taken as stored inverted;
//! * of an animated image the first frame; the EXIF orientation is *not* applied.
//!
//! Beside that hash, and named so that they are never taken for it: the picture as displayed, which is
//! one of the hash's dihedral forms; without bars at its edges ([`bars`]); further frames of an
//! animation ([`key_frames`]).
//!
//! One difference is deliberate: Pillow clips 16-bit grey at 255, which turns such an image white and
//! would let any picture through; here it keeps its high byte like every other 16-bit image.
//!
//! **Which pixels are shown.** In previews and thumbnails the orientation is applied and transparency
//! is laid on white, as a browser would show it.
//!
//! **Truncated files.** What could be read is kept beside the error ([`Picture::incomplete`]): browsers
//! show it, so cutting the last bytes off a known image must not hide it.

use super::bars;
use super::container::{self, Format, GifFrame};
use super::key_frames::{self, Look};
use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::LimitErrorKind;
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageError, RgbImage};
use manara_signal::pdq::{self, Dihedral, PdqError, PdqForm, PdqHash};
use std::io::Cursor;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Longest side of a preview, in pixels.
pub(super) const PREVIEW_SIDE_MAX: u32 = 768;
/// Most bytes of a preview.
pub(super) const PREVIEW_BYTES_MAX: usize = 512 * 1024;
/// Longest side of a thumbnail, in pixels.
pub(super) const THUMBNAIL_SIDE_MAX: u32 = 96;
/// Most bytes of a thumbnail.
pub(super) const THUMBNAIL_BYTES_MAX: usize = 32 * 1024;
/// Scans a progressive JPEG may have; each costs a pass over the whole picture.
const JPEG_SCANS_MAX: usize = 100;
/// How much of a decoder's own words is passed on, in bytes.
const DETAIL_BYTES_MAX: usize = 160;

/// What one image may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_field_names,
    reason = "the qualifier comes last, as in all names of limits"
)]
pub(crate) struct Limits {
    /// Most pixels.
    pub(crate) pixels_max: u64,
    /// Longest side, in pixels.
    pub(crate) side_max: u32,
    /// Most bytes a decoder may ask for at a time.
    pub(crate) alloc_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels_max: 50_000_000,
            side_max: 12_000,
            alloc_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// What is hashed beside the picture as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extra {
    /// The picture without the bars at its edges, or the page around it, if it has some.
    pub(crate) without_bars: bool,
    /// The picture as Meta's command-line tools hash it, if that is another.
    pub(crate) reference_512: bool,
    /// Most further frames of an animation.
    pub(crate) key_frames_max: u8,
}

impl Extra {
    /// Nothing.
    pub(crate) const NONE: Self = Self {
        without_bars: false,
        reference_512: false,
        key_frames_max: 0,
    };
}

/// A form of a picture that has a hash of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    WithoutBars,
    /// [`pdq::PdqForm::Reference512`].
    Reference512,
    /// This frame of the animation, counted from 0.
    Frame(u32),
}

/// Its name in the evidence.
impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WithoutBars => f.write_str("without_bars"),
            Self::Reference512 => f.write_str("reference_512"),
            Self::Frame(number) => write!(f, "frame_{number}"),
        }
    }
}

/// Why a file gives no pixels, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// No bytes at all.
    #[error("an empty file")]
    Empty,
    /// Another format, whose name is known.
    #[error("{0}, not an image Manara reads (JPEG, PNG, GIF, WebP, BMP, HEIC, AVIF)")]
    Other(&'static str),
    /// Another format.
    #[error("not an image Manara reads (JPEG, PNG, GIF, WebP, BMP, HEIC, AVIF)")]
    NotAnImage,
    /// The header says the image has no pixels.
    #[error("{width}×{height} px: there is nothing to see")]
    NoPixels { width: u32, height: u32 },
    /// More pixels than [`Limits::pixels_max`].
    #[error("{width}×{height} px is over the limit of {} megapixels", pixels_max / 1_000_000)]
    TooManyPixels {
        width: u32,
        height: u32,
        pixels_max: u64,
    },
    /// A longer side than [`Limits::side_max`].
    #[error("{width}×{height} px is over the limit of {side_max} px a side")]
    TooLong {
        width: u32,
        height: u32,
        side_max: u32,
    },
    /// More memory than [`Limits::alloc_bytes_max`].
    #[error("decoding it takes more memory than the limit of {} MiB", alloc_bytes_max / 1_048_576)]
    TooMuchMemory { alloc_bytes_max: u64 },
    /// The file ends before the image does.
    #[error("truncated: the file ends before the image does")]
    Truncated,
    /// The first frame could be read and hashed, one after it could not.
    #[error("a later frame of the animation cannot be read")]
    LaterFrame,
    /// The file breaks its format's rules.
    #[error("a damaged {format}: {detail}")]
    Damaged {
        format: &'static str,
        detail: String,
    },
    /// The file uses a part of its format that the decoder lacks.
    #[error("a {format} of a kind Manara does not read: {detail}")]
    Unsupported {
        format: &'static str,
        detail: String,
    },
    /// The preview would not fit, even at the lowest quality.
    #[error("its preview would be larger than {bytes_max} bytes")]
    Encoding { bytes_max: usize },
}

/// Decoded pixels: 8 bits a sample, `channels` samples a pixel (grey, grey and alpha, RGB, RGBA).
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// How many frames the file holds; the pixels are those of the first.
    pub(super) frames: u32,
    /// How the picture is to be turned for showing.
    pub(super) orientation: Orientation,
    /// Why some of the pixels are missing, if some are.
    pub(super) incomplete: Option<Problem>,
    channels: usize,
    samples: Vec<u8>,
}

/// A picture that the server's side has had decoded elsewhere: what its RGB samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    /// How many frames the file holds.
    pub(super) frames: u32,
    /// How the picture is to be turned for showing.
    pub(super) orientation: Orientation,
}

/// What can be compared in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signs {
    /// Width in pixels, as stored.
    pub(super) width: u32,
    /// Height in pixels, as stored.
    pub(super) height: u32,
    /// How many frames the file holds.
    pub(super) frames: u32,
    /// Whether the file ends before the image does.
    pub(super) truncated: bool,
    /// Whether a frame after the first could not be read.
    pub(super) lacks_frames: bool,
    /// How the stored picture is turned for display.
    pub(super) displayed: Dihedral,
    /// The PDQ hash of the first frame in all dihedral forms, in the order of `pdq::Dihedral`.
    pub(super) pdq: [PdqHash; 8],
    /// The hashes of its other forms.
    pub(super) extra: Vec<(Form, PdqHash)>,
}

/// Hashes an image. See the module for which pixels are taken.
pub(super) fn sign(bytes: &[u8], limits: &Limits, extra: Extra) -> Result<Signs, Problem> {
    let (mut signs, first) = sign_picture(picture(bytes, limits)?, extra)?;
    if let Some(first) = first {
        let file = (format_of(bytes)?, bytes);
        let (size, max) = ((signs.width, signs.height), extra.key_frames_max);
        let found = key_frames::key_frames(file, limits, size, signs.frames, max, first);
        signs.extra.extend(found.hashes);
        signs.lacks_frames = found.broken;
    }
    Ok(signs)
}

/// Hashes pixels that came without a file. Of an animation they are all there is of it.
pub(super) fn sign_pixels(
    pixels: Pixels,
    rgb: &[u8],
    limits: &Limits,
    extra: Extra,
) -> Result<Signs, Problem> {
    let (mut signs, first) = sign_picture(Picture::of_pixels(pixels, rgb, limits)?, extra)?;
    signs.lacks_frames = first.is_some();
    Ok(signs)
}

/// Hashes the picture; gives its looks when further frames are to be compared with it.
fn sign_picture(picture: Picture, extra: Extra) -> Result<(Signs, Option<Look>), Problem> {
    let (width, height, frames) = (picture.width, picture.height, picture.frames);
    let (columns, rows) = (width as usize, height as usize);
    let displayed = as_dihedral(picture.orientation);
    let truncated = picture.incomplete.is_some();
    let rgb = picture.into_rgb();
    let mut signs = Signs {
        width,
        height,
        frames,
        truncated,
        lacks_frames: false,
        displayed,
        pdq: pdq::dihedral_rgb(&rgb, columns, rows)?,
        extra: Vec::new(),
    };
    // A picture of that size or smaller has the same hash in both forms.
    if extra.reference_512 && columns.max(rows) > pdq::REFERENCE_SIDE {
        let hash = pdq::hash_rgb_as(PdqForm::Reference512, &rgb, columns, rows)?;
        signs.extra.push((Form::Reference512, hash));
    }
    if extra.without_bars {
        for inside in bars::inside(&rgb, columns, rows) {
            let cut = inside.cut(&rgb, columns);
            let hash = pdq::hash_rgb(&cut, inside.columns.len(), inside.rows.len())?;
            signs.extra.push((Form::WithoutBars, hash));
        }
    }
    let wants_more = extra.key_frames_max > 0 && frames > 1 && !truncated;
    let first = wants_more.then(|| Look::of(&rgb, columns, rows, 3));
    Ok((signs, first))
}

/// The eight values of EXIF's orientation (CIPA DC-008, tag 274) are the eight dihedral forms.
fn as_dihedral(orientation: Orientation) -> Dihedral {
    match orientation {
        Orientation::NoTransforms => Dihedral::Original,
        Orientation::FlipHorizontal => Dihedral::FlipY,
        Orientation::Rotate180 => Dihedral::Rotate180,
        Orientation::FlipVertical => Dihedral::FlipX,
        Orientation::Rotate90FlipH => Dihedral::FlipPlus,
        // The dihedral names turn counter-clockwise, EXIF's clockwise.
        Orientation::Rotate90 => Dihedral::Rotate270,
        Orientation::Rotate270FlipH => Dihedral::FlipMinus,
        Orientation::Rotate270 => Dihedral::Rotate90,
    }
}

impl From<PdqError> for Problem {
    fn from(error: PdqError) -> Self {
        Self::Damaged {
            format: "picture",
            detail: error.to_string(),
        }
    }
}

/// A JPEG of the image as it would be shown, at most [`PREVIEW_SIDE_MAX`] pixels a side.
///
/// It is encoded from pixels, so nothing of the upload reaches the reviewer's browser: no metadata, no
/// second image, no bytes chosen by the uploader.
pub(super) fn preview(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Problem> {
    preview_of(picture(bytes, limits)?)
}

/// See [`preview`].
pub(super) fn preview_of(picture: Picture) -> Result<Vec<u8>, Problem> {
    let shown = picture.into_shown(PREVIEW_SIDE_MAX).into_rgb8();
    jpeg_within(
        PREVIEW_BYTES_MAX,
        shown.as_raw(),
        shown.dimensions(),
        ExtendedColorType::Rgb8,
    )
}

/// A small, grey and blurred JPEG: enough to tell items of a report apart, too little to be seen.
pub(super) fn thumbnail(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Problem> {
    thumbnail_of(picture(bytes, limits)?)
}

/// See [`thumbnail`].
pub(super) fn thumbnail_of(picture: Picture) -> Result<Vec<u8>, Problem> {
    let grey = picture.into_shown(THUMBNAIL_SIDE_MAX).into_luma8();
    let (width, height) = grey.dimensions();
    let blurred = imageops::blur(&grey, (width.max(height) as f32 / 36.0).max(1.0));
    jpeg_within(
        THUMBNAIL_BYTES_MAX,
        blurred.as_raw(),
        (width, height),
        ExtendedColorType::L8,
    )
}

/// Encodes at the best quality that keeps within `bytes_max`; noise compresses badly.
fn jpeg_within(
    bytes_max: usize,
    samples: &[u8],
    (width, height): (u32, u32),
    colour: ExtendedColorType,
) -> Result<Vec<u8>, Problem> {
    for quality in [82, 60, 30, 10] {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, quality)
            .encode(samples, width, height, colour)
            .map_err(|error| Problem::Damaged {
                format: "preview",
                detail: brief(&error),
            })?;
        if jpeg.len() <= bytes_max {
            return Ok(jpeg);
        }
    }
    Err(Problem::Encoding { bytes_max })
}

/// Decodes the first frame.
pub(super) fn picture(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    let format = format_of(bytes)?;
    let mut picture = match format {
        Format::Jpeg => jpeg(bytes, limits)?,
        Format::Png => {
            let read = PngDecoder::with_limits(Cursor::new(bytes), only_memory(limits));
            raster(format, read, limits)?
        }
        Format::Gif => {
            let mut picture = raster(format, GifDecoder::new(Cursor::new(bytes)), limits)?;
            picture.paint_behind(container::gif_first_frame(bytes));
            picture
        }
        Format::WebP => raster(format, WebPDecoder::new(Cursor::new(bytes)), limits)?,
        Format::Bmp => raster(format, BmpDecoder::new(Cursor::new(bytes)), limits)?,
    };
    picture.frames = container::frames(format, bytes);
    Ok(picture)
}

/// The file's format, or what it is instead.
pub(super) fn format_of(bytes: &[u8]) -> Result<Format, Problem> {
    if bytes.is_empty() {
        return Err(Problem::Empty);
    }
    Format::of(bytes)
        .ok_or_else(|| container::known_as(bytes).map_or(Problem::NotAnImage, Problem::Other))
}

/// Refuses what is too large, from the header alone and before anything is allocated for it.
pub(super) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), Problem> {
    if width == 0 || height == 0 {
        return Err(Problem::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.pixels_max {
        return Err(Problem::TooManyPixels {
            width,
            height,
            pixels_max: limits.pixels_max,
        });
    }
    if width.max(height) > limits.side_max {
        return Err(Problem::TooLong {
            width,
            height,
            side_max: limits.side_max,
        });
    }
    Ok(())
}

fn only_memory(limits: &Limits) -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(limits.alloc_bytes_max);
    memory
}

pub(super) fn strict(limits: &Limits) -> image::Limits {
    let mut strict = only_memory(limits);
    strict.max_image_width = Some(limits.side_max);
    strict.max_image_height = Some(limits.side_max);
    strict
}

/// Decodes with one of the `image` crate's decoders.
fn raster<D: ImageDecoder>(
    format: Format,
    decoder: Result<D, ImageError>,
    limits: &Limits,
) -> Result<Picture, Problem> {
    let wrong = |error: &ImageError| problem_of(format, error, limits);
    let mut decoder = decoder.map_err(|e| wrong(&e))?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    decoder.set_limits(strict(limits)).map_err(|e| wrong(&e))?;
    let colour = decoder.color_type();
    if decoder.total_bytes() > limits.alloc_bytes_max {
        return Err(Problem::TooMuchMemory {
            alloc_bytes_max: limits.alloc_bytes_max,
        });
    }
    // A picture without readable orientation is shown as stored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut samples = vec![0; decoder.total_bytes() as usize];
    let incomplete = match decoder.read_image(&mut samples).map_err(|e| wrong(&e)) {
        Ok(()) => None,
        Err(Problem::Truncated) => Some(Problem::Truncated),
        Err(problem) => return Err(problem),
    };
    let (samples, channels) = to_8_bits(samples, colour).ok_or_else(|| Problem::Unsupported {
        format: format.name(),
        detail: format!("{colour:?} samples"),
    })?;
    Ok(Picture {
        width,
        height,
        frames: 1,
        orientation,
        incomplete,
        channels,
        samples,
    })
}

/// Samples of 16 bits keep their high byte, as in Pillow.
fn to_8_bits(samples: Vec<u8>, colour: ColorType) -> Option<(Vec<u8>, usize)> {
    let channels = usize::from(colour.channel_count());
    match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            Some((samples, channels))
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let (pairs, _) = samples.as_chunks::<2>();
            Some((
                pairs
                    .iter()
                    .map(|pair| (u16::from_ne_bytes(*pair) >> 8) as u8)
                    .collect(),
                channels,
            ))
        }
        _ => None,
    }
}

/// Decodes a JPEG, strictly at first; a file that breaks the rules is read as browsers and Pillow do.
fn jpeg(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    match jpeg_in_mode(bytes, true, limits) {
        Err(Problem::Damaged { .. } | Problem::Truncated) => {
            let ends = container::jpeg_ends(bytes);
            let mut lenient = jpeg_in_mode(bytes, false, limits)
                .map_err(|problem| if ends { problem } else { truncated(problem) })?;
            lenient.incomplete = (!ends).then_some(Problem::Truncated);
            Ok(lenient)
        }
        strict => strict,
    }
}

/// Damage in a file that has no end is most likely the missing rest.
fn truncated(problem: Problem) -> Problem {
    if matches!(problem, Problem::Damaged { .. }) {
        Problem::Truncated
    } else {
        problem
    }
}

fn jpeg_in_mode(bytes: &[u8], strict: bool, limits: &Limits) -> Result<Picture, Problem> {
    let wrong = |error: DecodeErrors| jpeg_problem_of(&error);
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(JPEG_SCANS_MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(wrong)?;
    let (width, height) = decoder.dimensions().unwrap_or((0, 0));
    let (width, height) = (width as u32, height as u32);
    check_size(width, height, limits)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    // The decoder takes CMYK as stored inverted, as Adobe does, and so does Pillow.
    let (wanted, channels) = match stored {
        ColorSpace::Luma => (ColorSpace::Luma, 1),
        ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK => {
            (ColorSpace::RGB, 3)
        }
        other => {
            return Err(Problem::Unsupported {
                format: "JPEG",
                detail: format!("{other:?} colours"),
            });
        }
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let mut samples = vec![0; width as usize * height as usize * channels];
    decoder.decode_into(&mut samples).map_err(wrong)?;
    Ok(Picture {
        width,
        height,
        frames: 1,
        orientation,
        incomplete: None,
        channels,
        samples,
    })
}

/// `a * b / 255`, rounded.
fn times_over_255(a: u32, b: u32) -> u32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}

fn jpeg_problem_of(error: &DecodeErrors) -> Problem {
    match error {
        DecodeErrors::ExhaustedData => Problem::Truncated,
        DecodeErrors::Unsupported(kind) => Problem::Unsupported {
            format: "JPEG",
            detail: brief(&format_args!("{kind:?}")),
        },
        error => Problem::Damaged {
            format: "JPEG",
            detail: brief(&format_args!("{error:?}")),
        },
    }
}

fn problem_of(format: Format, error: &ImageError, limits: &Limits) -> Problem {
    let format = format.name();
    match error {
        ImageError::Limits(limit) if limit.kind() == LimitErrorKind::InsufficientMemory => {
            Problem::TooMuchMemory {
                alloc_bytes_max: limits.alloc_bytes_max,
            }
        }
        ImageError::Unsupported(_) => Problem::Unsupported {
            format,
            detail: brief(error),
        },
        error if ends_early(error) => Problem::Truncated,
        error => Problem::Damaged {
            format,
            detail: brief(error),
        },
    }
}

/// Whether the file ended where the decoder wanted more of it.
fn ends_early(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = match error.downcast_ref::<ImageError>() {
            Some(ImageError::IoError(io)) => Some(io),
            _ => error.downcast_ref::<std::io::Error>(),
        };
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A decoder's own words, on one line and cut to a length that fits a table.
pub(super) fn brief(error: &impl std::fmt::Display) -> String {
    let mut text: String = error
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Picture {
    /// A picture from its RGB samples.
    pub(super) fn of_pixels(pixels: Pixels, rgb: &[u8], limits: &Limits) -> Result<Self, Problem> {
        let (width, height) = (pixels.width, pixels.height);
        check_size(width, height, limits)?;
        if rgb.len() as u64 != u64::from(width) * u64::from(height) * 3 {
            return Err(Problem::Damaged {
                format: "picture",
                detail: "as many samples as it has no place for".to_owned(),
            });
        }
        Ok(Self {
            width,
            height,
            frames: pixels.frames,
            orientation: pixels.orientation,
            incomplete: None,
            channels: 3,
            samples: rgb.to_vec(),
        })
    }

    /// Gives the canvas around a GIF's first frame the colour that Pillow gives it; it stays transparent.
    fn paint_behind(&mut self, frame: Option<GifFrame>) {
        let Some(frame) = frame.filter(|_| self.channels == 4) else {
            return;
        };
        let rows = frame.top..frame.top + frame.height;
        let columns = frame.left..frame.left + frame.width;
        let width = self.width as usize;
        if rows.contains(&0)
            && columns.contains(&0)
            && rows.end >= self.height as usize
            && columns.end >= width
        {
            return;
        }
        for (at, pixel) in self.samples.chunks_exact_mut(4).enumerate() {
            if !(rows.contains(&(at / width)) && columns.contains(&(at % width))) {
                pixel[..3].copy_from_slice(&frame.behind);
            }
        }
    }

    /// The samples as RGB, alpha dropped.
    pub(super) fn into_rgb(self) -> Vec<u8> {
        let pixels = self.samples.len() / self.channels.max(1);
        if self.channels == 3 {
            return self.samples;
        }
        let mut rgb = Vec::with_capacity(pixels * 3);
        for pixel in self.samples.chunks_exact(self.channels.max(1)) {
            match pixel {
                [grey] | [grey, _] => rgb.extend([grey; 3]),
                [r, g, b, ..] => rgb.extend([r, g, b]),
                [] => {}
            }
        }
        rgb
    }

    /// The picture as a browser would show it, shrunk to `side_max` pixels a side.
    fn into_shown(self, side_max: u32) -> DynamicImage {
        let (width, height, orientation) = (self.width, self.height, self.orientation);
        let rgb = if matches!(self.channels, 2 | 4) {
            self.on_white()
        } else {
            self.into_rgb()
        };
        // The buffer has exactly the size that decoding announced; were it not so, nothing is shown.
        let full = RgbImage::from_raw(width, height, rgb).unwrap_or_default();
        let mut shown = DynamicImage::ImageRgb8(shrink(full, side_max));
        shown.apply_orientation(orientation);
        shown
    }

    fn on_white(&self) -> Vec<u8> {
        let mut rgb = Vec::with_capacity(self.samples.len() / self.channels.max(1) * 3);
        for pixel in self.samples.chunks_exact(self.channels.max(1)) {
            if let [colours @ .., alpha] = pixel {
                let alpha = u32::from(*alpha);
                let blend = |c: &u8| 255 - times_over_255(u32::from(255 - c), alpha) as u8;
                match colours {
                    [grey] => rgb.extend([blend(grey); 3]),
                    colours => rgb.extend(colours.iter().map(blend)),
                }
            }
        }
        rgb
    }
}

/// Shrinks to at most `side_max` pixels a side; smaller pictures keep their size.
fn shrink(full: RgbImage, side_max: u32) -> RgbImage {
    let (width, height) = full.dimensions();
    let longest = width.max(height);
    if longest <= side_max {
        return full;
    }
    let scaled =
        |side: u32, to: u32| (u64::from(side) * u64::from(to) / u64::from(longest)).max(1) as u32;
    // First averages over whole boxes, which is fast, then a filter over what little is left.
    let twice = side_max * 2;
    let near = if longest > twice {
        imageops::thumbnail(&full, scaled(width, twice), scaled(height, twice))
    } else {
        full
    };
    imageops::resize(
        &near,
        scaled(width, side_max),
        scaled(height, side_max),
        FilterType::Triangle,
    )
}

#[cfg(test)]
mod tests;
