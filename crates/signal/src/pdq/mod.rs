//! PDQ: a 256-bit fingerprint of how an image looks, after Meta's reference implementation.
//!
//! Two copies of an image that were re-compressed, resized or lightly edited differ in few bits;
//! unrelated images differ in about 128. Up to 31 bits apart counts as a match. The quality, 0 to
//! 100, says how much structure the image has; below 50 the hash says little and matches too much.
//!
//! ```text
//! RGB ── luma ── box blur twice per axis, keep 64x64 ──┬── gradients ── quality
//!        (blur)                                        └── DCT 16x16 ── bits above the median
//! ```
//!
//! Hash and quality are bit for bit those of the PyPI package `pdqhash`, which wraps the reference
//! and hashes at full size. The reference's own command line first shrinks images over 512 pixels
//! and then differs by up to a dozen bits: [`PdqForm`] names the two. Floating-point sums round, so the order of additions is
//! part of the algorithm; the modules below change where the work is done, never that order.
//! Source: "PDQ" in the `ThreatExchange` repository, hashing/pdq.

mod blur;
mod rows;
mod simd;
mod transform;

pub use rows::{REFERENCE_SIDE, RowHasher};
#[doc(hidden)]
pub use simd::Level;

use crate::hex::hex_newtype;
use std::fmt;
use thiserror::Error;

hex_newtype! {
    /// A PDQ hash: 256 bits, written as 64 hexadecimal digits with bit 255 first, as the reference
    /// prints it.
    ///
    /// ```
    /// use manara_signal::Pdq;
    /// let a = Pdq::from_hex(&"0f".repeat(32))?;
    /// let b = Pdq::from_hex(&"0e".repeat(32))?;
    /// assert_eq!(a.distance(&b), 32);
    /// # Ok::<(), manara_signal::HexError>(())
    /// ```
    Pdq, 32
}

impl Pdq {
    /// Number of bits in a hash, and so the largest distance.
    pub const BITS: u32 = 256;

    /// In how many bits two hashes differ, 0 to 256.
    pub fn distance(&self, other: &Self) -> u32 {
        let words = |hash: &Self| hash.words();
        words(self)
            .iter()
            .zip(words(other))
            .map(|(a, b)| (a ^ b).count_ones())
            .sum()
    }

    /// The hash as four words, bit 255 first.
    pub(crate) fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.chunks_exact(8)) {
            *word = bytes
                .iter()
                .fold(0, |high, &byte| (high << 8) | u64::from(byte));
        }
        words
    }
}

/// A hash with the quality of the image it was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PdqHash {
    /// The fingerprint.
    pub hash: Pdq,
    /// How much structure the image has, 0 to 100; below 50 do not match on it.
    pub quality: u8,
}

/// Why pixels could not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PdqError {
    /// The image has no pixels.
    #[error("an image of {width}x{height} pixels has nothing to hash")]
    Empty {
        /// Width that was given.
        width: usize,
        /// Height that was given.
        height: usize,
    },
    /// The image has more than 2^30 pixels.
    #[error("an image of {width}x{height} pixels is larger than the 2^30 pixels that are hashed")]
    TooLarge {
        /// Width that was given.
        width: usize,
        /// Height that was given.
        height: usize,
    },
    /// The buffer is not `width * height * 3` bytes, or the rows are too few, too many or not whole.
    #[error(
        "{found} bytes given for {width}x{height} RGB pixels: tight rows of 3 bytes a pixel are expected"
    )]
    Length {
        /// Width that was given.
        width: usize,
        /// Height that was given.
        height: usize,
        /// Length of the buffer.
        found: usize,
    },
}

/// The eight ways to turn and mirror an image, in the order of [`dihedral_rgb`].
///
/// The transform is of the image: the hash at `Rotate90` is that of the image turned by 90 degrees
/// counter-clockwise, up to rounding. Comparing all eight with a bank finds mirrored and turned copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dihedral {
    /// As it is.
    Original,
    /// Turned a quarter counter-clockwise.
    Rotate90,
    /// Turned by half.
    Rotate180,
    /// Turned a quarter clockwise.
    Rotate270,
    /// Top and bottom exchanged.
    FlipX,
    /// Left and right exchanged.
    FlipY,
    /// Mirrored on the diagonal from top left.
    FlipPlus,
    /// Mirrored on the diagonal from top right.
    FlipMinus,
}

impl Dihedral {
    /// All forms, in order.
    pub const ALL: [Self; 8] = [
        Self::Original,
        Self::Rotate90,
        Self::Rotate180,
        Self::Rotate270,
        Self::FlipX,
        Self::FlipY,
        Self::FlipPlus,
        Self::FlipMinus,
    ];

    /// The names of all forms, in order.
    pub const NAMES: [&str; 8] = [
        "original",
        "rotate90",
        "rotate180",
        "rotate270",
        "flip_x",
        "flip_y",
        "flip_plus",
        "flip_minus",
    ];

    /// The name of this form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Rotate90 => "rotate90",
            Self::Rotate180 => "rotate180",
            Self::Rotate270 => "rotate270",
            Self::FlipX => "flip_x",
            Self::FlipY => "flip_y",
            Self::FlipPlus => "flip_plus",
            Self::FlipMinus => "flip_minus",
        }
    }
}

impl fmt::Display for Dihedral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Side of the square that the image is shrunk to before the transform.
const SIDE: usize = 64;

/// Luminance shrunk to 64 rows of 64.
type Thumbnail = [[f32; SIDE]; SIDE];

/// Which pixels of an image are hashed. The two differ, by up to a dozen bits, for larger images only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum PdqForm {
    /// All of them, as PyPI `pdqhash`, threatexchange and HMA do.
    #[default]
    Full,
    /// An image wider or higher than 512 pixels is first made 512x512 by picking the nearest pixels
    /// (so that the shorter side may grow), as Meta's command-line tools do.
    ///
    /// The condition and the size are those of the reference's `pdqio.cpp`; the pixel picked,
    /// `floor(i * side / 512)`, is the one that its image library, `CImg`, picks
    /// (`tests/vectors/check_reference512_pixels.cpp`). From there on it is the form above.
    Reference512,
}

impl PdqForm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Full, Self::Reference512];

    /// Its name in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reference512 => "reference-512",
        }
    }
}

impl fmt::Display for PdqForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Hashes an image given as tight rows of 8-bit RGB pixels, at its full size.
///
/// An image under 5 pixels wide or high has the zero hash and quality 0, as in the reference.
/// Memory used is a hundredth of the image's; time is proportional to the pixels. To hash part of an
/// image, or one that is not in memory as a whole, see [`RowHasher`].
///
/// ```
/// use manara_signal::pdq::hash_rgb;
/// let pixels: Vec<u8> = (0..200 * 100 * 3_u64).map(|i| (i * i / 7 % 256) as u8).collect();
/// let one = hash_rgb(&pixels, 200, 100)?;
/// assert!(one.quality > 50);
/// assert!(hash_rgb(&pixels, 200, 101).is_err());
/// # Ok::<(), manara_signal::pdq::PdqError>(())
/// ```
pub fn hash_rgb(pixels: &[u8], width: usize, height: usize) -> Result<PdqHash, PdqError> {
    hash_rgb_as(PdqForm::Full, pixels, width, height)
}

/// [`hash_rgb`] in a chosen form.
///
/// ```
/// use manara_signal::pdq::{PdqForm, hash_rgb, hash_rgb_as};
/// let pixels: Vec<u8> = (0..700 * 400 * 3_u64).map(|i| (i / 2100 * (i % 2100) / 400 % 256) as u8).collect();
/// let full = hash_rgb(&pixels, 700, 400)?;
/// let picked = hash_rgb_as(PdqForm::Reference512, &pixels, 700, 400)?;
/// assert!(picked.hash.distance(&full.hash) < 31);
/// # Ok::<(), manara_signal::pdq::PdqError>(())
/// ```
pub fn hash_rgb_as(
    form: PdqForm,
    pixels: &[u8],
    width: usize,
    height: usize,
) -> Result<PdqHash, PdqError> {
    whole(form, pixels, width, height)?.finish()
}

fn hash_thumbnail(thumbnail: &Thumbnail) -> PdqHash {
    let hash = transform::bits(&transform::dct(thumbnail));
    PdqHash {
        hash,
        quality: transform::quality(thumbnail),
    }
}

/// Hashes the eight dihedral forms of an image at the price of little more than one.
///
/// In the order of [`Dihedral::ALL`]; all have the quality of the original. The first is
/// [`hash_rgb`]'s, the others are the reference's `compute_dihedral`. (For an image of exactly
/// 64x64 the reference's dihedral function also rounds once more before the first, which can
/// matter in a near tie; `hash_rgb`'s answer stands for the original here.)
///
/// ```
/// use manara_signal::pdq::{Dihedral, dihedral_rgb, hash_rgb};
/// let pixels: Vec<u8> = (0..90 * 70 * 3_u64).map(|i| (i * i / 5 % 256) as u8).collect();
/// let mirrored: Vec<u8> = pixels.chunks(90 * 3).flat_map(|row| row.rchunks(3)).flatten().copied().collect();
/// let forms = dihedral_rgb(&pixels, 90, 70)?;
/// let seen = hash_rgb(&mirrored, 90, 70)?;
/// assert!(forms[Dihedral::FlipY as usize].hash.distance(&seen.hash) < 10);
/// # Ok::<(), manara_signal::pdq::PdqError>(())
/// ```
pub fn dihedral_rgb(pixels: &[u8], width: usize, height: usize) -> Result<[PdqHash; 8], PdqError> {
    dihedral_rgb_as(PdqForm::Full, pixels, width, height)
}

/// [`dihedral_rgb`] in a chosen form.
pub fn dihedral_rgb_as(
    form: PdqForm,
    pixels: &[u8],
    width: usize,
    height: usize,
) -> Result<[PdqHash; 8], PdqError> {
    whole(form, pixels, width, height)?.finish_dihedral()
}

/// A hasher that has been given all of an image.
fn whole(form: PdqForm, pixels: &[u8], width: usize, height: usize) -> Result<RowHasher, PdqError> {
    check_size(pixels, width, height)?;
    let mut hasher = RowHasher::new(form, width, height)?;
    hasher.push(pixels)?;
    Ok(hasher)
}

fn check_size(pixels: &[u8], width: usize, height: usize) -> Result<(), PdqError> {
    if width == 0 || height == 0 {
        return Err(PdqError::Empty { width, height });
    }
    let expected = width
        .checked_mul(height)
        .and_then(|area| area.checked_mul(3));
    if expected != Some(pixels.len()) {
        return Err(PdqError::Length {
            width,
            height,
            found: pixels.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(len: usize, width: usize, height: usize, message: &str) {
        let pixels = vec![0; len];
        assert_eq!(
            hash_rgb(&pixels, width, height).unwrap_err().to_string(),
            message
        );
        assert_eq!(
            dihedral_rgb(&pixels, width, height)
                .unwrap_err()
                .to_string(),
            message
        );
    }

    #[test]
    fn a_buffer_of_another_size_is_refused() {
        check_refused(0, 0, 7, "an image of 0x7 pixels has nothing to hash");
        let length = "5 bytes given for 1x2 RGB pixels: tight rows of 3 bytes a pixel are expected";
        check_refused(5, 1, 2, length);
        let huge = usize::MAX;
        let length = format!(
            "3 bytes given for {huge}x{huge} RGB pixels: tight rows of 3 bytes a pixel are expected"
        );
        check_refused(3, huge, huge, &length);
    }

    #[test]
    fn an_image_too_small_to_hash_is_zero() {
        let zero = PdqHash {
            hash: Pdq([0; 32]),
            quality: 0,
        };
        assert_eq!(hash_rgb(&[9; 4 * 300 * 3], 300, 4), Ok(zero));
        assert_eq!(dihedral_rgb(&[9; 4 * 300 * 3], 4, 300), Ok([zero; 8]));
    }

    #[test]
    fn names_are_in_order() {
        assert_eq!(Dihedral::ALL.map(Dihedral::name), Dihedral::NAMES);
    }

    #[test]
    fn distance_counts_differing_bits() {
        let zero = Pdq([0; 32]);
        assert_eq!(zero.distance(&Pdq([255; 32])), 256);
        let mut one_bit = [0; 32];
        one_bit[31] = 1;
        assert_eq!(zero.distance(&Pdq(one_bit)), 1);
        assert_eq!(Pdq(one_bit).words(), [0, 0, 0, 1]);
    }
}
