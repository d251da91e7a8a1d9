//! Hashing an image whose rows arrive one after another, as a decoder gives them.

use super::blur::{Blur, STRIP, luma_of};
use super::simd::Level;
use super::{Dihedral, PdqError, PdqForm, PdqHash, SIDE, Thumbnail, hash_thumbnail, transform};
use crate::pdq::Pdq;

/// An image smaller than this in either direction has the zero hash and quality 0.
const SIDE_MIN: usize = 5;

/// Side of the square that [`PdqForm::Reference512`] picks; up to it the two forms agree.
pub const REFERENCE_SIDE: usize = 512;

/// Bounds what is reserved for an image of which nothing has been seen but its size.
const PIXELS_MAX: usize = 1 << 30;

/// Hashes an image as its rows come in, so that it need not be in memory as a whole.
///
/// Rows are of 8-bit RGB pixels without gaps. What is kept is about one row in a hundred.
///
/// ```
/// use manara_signal::pdq::{PdqForm, RowHasher, hash_rgb};
/// let pixels: Vec<u8> = (0..200 * 100 * 3_u64).map(|i| (i * i / 7 % 256) as u8).collect();
/// let mut hasher = RowHasher::new(PdqForm::Full, 200, 100)?;
/// for rows in pixels.chunks(200 * 3 * 8) {
///     hasher.push(rows)?;
/// }
/// assert_eq!(hasher.finish()?, hash_rgb(&pixels, 200, 100)?);
/// # Ok::<(), manara_signal::pdq::PdqError>(())
/// ```
pub struct RowHasher {
    width: usize,
    height: usize,
    /// Bytes taken so far.
    taken: usize,
    pick: Option<Pick>,
    image: Image,
}

/// Picks the nearest pixels: place `i` of 512 shows pixel `floor(i * side / 512)`.
struct Pick {
    /// Rows of the square given so far.
    given: usize,
    row: Vec<u8>,
}

/// The image that is hashed: as given, or as picked from it.
enum Image {
    TooSmall,
    Blurred(Box<Blurred>),
}

struct Blurred {
    level: Level,
    blur: Blur,
    strip_bytes: usize,
    /// Rows of an incomplete strip.
    waiting: Vec<u8>,
    /// The reference takes an image of exactly 64x64 as already shrunk.
    unblurred: Option<Vec<f32>>,
}

impl RowHasher {
    /// For an image of this size, of at most 2^30 pixels.
    pub fn new(form: PdqForm, width: usize, height: usize) -> Result<Self, PdqError> {
        Self::at_level(Level::best(), form, width, height)
    }

    /// With chosen instructions, for tests and benchmarks.
    #[doc(hidden)]
    pub fn at_level(
        level: Level,
        form: PdqForm,
        width: usize,
        height: usize,
    ) -> Result<Self, PdqError> {
        if width == 0 || height == 0 {
            return Err(PdqError::Empty { width, height });
        }
        if width
            .checked_mul(height)
            .is_none_or(|area| area > PIXELS_MAX)
        {
            return Err(PdqError::TooLarge { width, height });
        }
        let picks = form == PdqForm::Reference512 && width.max(height) > REFERENCE_SIDE;
        let pick = picks.then(|| Pick {
            given: 0,
            row: Vec::with_capacity(3 * REFERENCE_SIDE),
        });
        let size = if picks {
            (REFERENCE_SIDE, REFERENCE_SIDE)
        } else {
            (width, height)
        };
        Ok(Self {
            width,
            height,
            taken: 0,
            pick,
            image: Image::new(level, size),
        })
    }

    /// Takes the next rows, any number of whole ones. After an error nothing was taken.
    pub fn push(&mut self, rows: &[u8]) -> Result<(), PdqError> {
        let stride = 3 * self.width;
        let taken = self.taken + rows.len();
        if !rows.len().is_multiple_of(stride) || taken > stride * self.height {
            return Err(self.length(taken));
        }
        match &mut self.pick {
            None => self.image.push(rows),
            Some(pick) => {
                for (row, at) in rows.chunks_exact(stride).zip(self.taken / stride..) {
                    pick.push(row, at, self.height, &mut self.image);
                }
            }
        }
        self.taken = taken;
        Ok(())
    }

    /// The hash of the whole image.
    pub fn finish(self) -> Result<PdqHash, PdqError> {
        self.check_whole()?;
        Ok(match self.image {
            Image::TooSmall => ZERO,
            Image::Blurred(mut image) => {
                let blurred = *image.thumbnail();
                hash_thumbnail(&image.unblurred().unwrap_or(blurred))
            }
        })
    }

    /// The hashes of the whole image's eight forms, in the order of [`Dihedral::ALL`].
    pub fn finish_dihedral(self) -> Result<[PdqHash; 8], PdqError> {
        self.check_whole()?;
        Ok(match self.image {
            Image::TooSmall => [ZERO; 8],
            Image::Blurred(mut image) => {
                let mut forms = dihedral_thumbnail(image.thumbnail());
                if let Some(unblurred) = image.unblurred() {
                    forms[0] = hash_thumbnail(&unblurred);
                }
                forms
            }
        })
    }

    fn check_whole(&self) -> Result<(), PdqError> {
        if self.taken == 3 * self.width * self.height {
            Ok(())
        } else {
            Err(self.length(self.taken))
        }
    }

    fn length(&self, found: usize) -> PdqError {
        PdqError::Length {
            width: self.width,
            height: self.height,
            found,
        }
    }
}

const ZERO: PdqHash = PdqHash {
    hash: Pdq([0; 32]),
    quality: 0,
};

fn dihedral_thumbnail(thumbnail: &Thumbnail) -> [PdqHash; 8] {
    let coefficients = transform::dct(thumbnail);
    let quality = transform::quality(thumbnail);
    Dihedral::ALL.map(|form| PdqHash {
        hash: transform::bits(&transform::turned(&coefficients, form)),
        quality,
    })
}

impl Pick {
    /// Hands on the row at `at` of `height` as often as it shows in the square, which may be never.
    fn push(&mut self, row: &[u8], at: usize, height: usize, image: &mut Image) {
        if self.given * height / REFERENCE_SIDE != at {
            return;
        }
        let (pixels, _) = row.as_chunks::<3>();
        let picked =
            (0..REFERENCE_SIDE).filter_map(|i| pixels.get(i * pixels.len() / REFERENCE_SIDE));
        self.row.clear();
        self.row.extend(picked.flatten());
        while self.given < REFERENCE_SIDE && self.given * height / REFERENCE_SIDE == at {
            image.push(&self.row);
            self.given += 1;
        }
    }
}

impl Image {
    fn new(level: Level, (width, height): (usize, usize)) -> Self {
        if width.min(height) < SIDE_MIN {
            return Self::TooSmall;
        }
        Self::Blurred(Box::new(Blurred {
            level,
            blur: Blur::new(width, height),
            strip_bytes: 3 * width * STRIP,
            waiting: Vec::new(),
            unblurred: ((width, height) == (SIDE, SIDE)).then(Vec::new),
        }))
    }

    fn push(&mut self, rows: &[u8]) {
        if let Self::Blurred(image) = self {
            image.push(rows);
        }
    }
}

impl Blurred {
    fn push(&mut self, mut rows: &[u8]) {
        if let Some(unblurred) = &mut self.unblurred {
            let luma = |rgb: &[u8; 3]| luma_of(u32::from_le_bytes([rgb[0], rgb[1], rgb[2], 0]));
            unblurred.extend(rows.as_chunks().0.iter().map(luma));
        }
        if !self.waiting.is_empty() {
            let missing = self.strip_bytes - self.waiting.len();
            let (first, rest) = rows.split_at(missing.min(rows.len()));
            self.waiting.extend_from_slice(first);
            rows = rest;
            if self.waiting.len() < self.strip_bytes {
                return;
            }
            self.level.strip(&mut self.blur, &self.waiting);
            self.waiting.clear();
        }
        let strips = rows.chunks_exact(self.strip_bytes);
        self.waiting.extend_from_slice(strips.remainder());
        for strip in strips {
            self.level.strip(&mut self.blur, strip);
        }
    }

    /// After the last row.
    fn thumbnail(&mut self) -> &Thumbnail {
        while !self.blur.is_done() {
            self.level.strip(&mut self.blur, &self.waiting);
            self.waiting.clear();
        }
        self.blur.thumbnail()
    }

    fn unblurred(&self) -> Option<Thumbnail> {
        let rows = self.unblurred.as_ref()?.as_chunks().0;
        rows.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{hash_rgb, hash_rgb_as};
    use super::*;
    use proptest::prelude::*;

    /// Coarse patches with some noise, so that nothing about the hash is trivial.
    fn picture(width: usize, height: usize, seed: usize) -> Vec<u8> {
        let value = |x: usize, y: usize, c: usize| {
            let patch = (x * 7 / width + 1) * (y * 5 / height + 2) * (seed % 97 + c + 1);
            patch * 31 + (x * 31 + y * 17 + x * y + seed) % 23
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        places
            .flat_map(|(x, y)| [0, 1, 2].map(|c| value(x, y, c) as u8))
            .collect()
    }

    #[track_caller]
    fn check_levels(width: usize, height: usize, seed: usize) {
        let pixels = picture(width, height, seed);
        let mut found = Level::available().map(|level| {
            let hasher = || {
                let hasher = RowHasher::at_level(level, PdqForm::Full, width, height);
                let mut hasher = hasher.unwrap();
                hasher.push(&pixels).unwrap();
                hasher
            };
            let thumbnail = match hasher().image {
                Image::TooSmall => Vec::new(),
                Image::Blurred(mut image) => image.thumbnail().as_flattened().to_vec(),
            };
            let bits: Vec<u32> = thumbnail.into_iter().map(f32::to_bits).collect();
            (level, bits, hasher().finish().unwrap())
        });
        let (first, bits, hash) = found.next().unwrap();
        for other in found {
            let name = format!("{width}x{height}, {first:?} and {:?}", other.0);
            assert!(bits == other.1, "the blurs of {name} differ");
            assert_eq!(hash, other.2, "{name}");
        }
    }

    #[test]
    fn the_portable_level_is_everywhere_and_comes_last() {
        let names: Vec<&str> = Level::available().map(Level::name).collect();
        assert_eq!(names.last(), Some(&"portable"));
    }

    #[test]
    fn every_level_gives_the_same_bits_for_large_images() {
        for (width, height) in [(1500, 1100), (4000, 33), (33, 4000), (2049, 513), (5, 3000)] {
            check_levels(width, height, width + 3 * height);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn every_level_gives_the_same_bits(
            width in 1..700_usize,
            height in 1..700_usize,
            seed in 0..1_000_000_usize,
        ) {
            check_levels(width, height, seed);
        }

        #[test]
        fn it_does_not_matter_how_many_rows_come_at_once(
            width in 1..300_usize,
            counts in prop::collection::vec(0..40_usize, 1..20),
            form in prop::sample::select(PdqForm::ALL.to_vec()),
        ) {
            let height = counts.iter().sum::<usize>().max(1);
            let pixels = picture(width, height, 5);
            let mut hasher = RowHasher::new(form, width, height).unwrap();
            let mut rest = pixels.as_slice();
            for count in counts {
                let (rows, after) = rest.split_at(rest.len().min(3 * width * count));
                hasher.push(rows).unwrap();
                rest = after;
            }
            hasher.push(rest).unwrap();
            prop_assert_eq!(hasher.finish(), hash_rgb_as(form, &pixels, width, height));
        }

        #[test]
        fn the_reference_form_hashes_the_nearest_pixels(
            width in 500..900_usize,
            height in 1..900_usize,
        ) {
            let pixels = picture(width, height, 9);
            let at = |x: usize, y: usize| &pixels[3 * (y * width + x)..][..3];
            let picked: Vec<u8> = (0..512)
                .flat_map(|y| (0..512).map(move |x| (x * width / 512, y * height / 512)))
                .flat_map(|(x, y)| at(x, y))
                .copied()
                .collect();
            let expected = if width.max(height) > 512 {
                hash_rgb(&picked, 512, 512)
            } else {
                hash_rgb(&pixels, width, height)
            };
            prop_assert_eq!(hash_rgb_as(PdqForm::Reference512, &pixels, width, height), expected);
        }
    }

    #[test]
    fn rows_too_many_too_few_or_not_whole_are_refused() {
        let refused = |found| PdqError::Length {
            width: 10,
            height: 8,
            found,
        };
        for form in PdqForm::ALL {
            let mut hasher = RowHasher::new(form, 10, 8).unwrap();
            assert_eq!(hasher.push(&[7; 31]), Err(refused(31)));
            assert_eq!(hasher.push(&[7; 30 * 7]), Ok(()));
            assert_eq!(hasher.push(&[7; 60]), Err(refused(30 * 9)));
            assert_eq!(hasher.finish(), Err(refused(30 * 7)));
            let hasher = RowHasher::new(form, 10, 8).unwrap();
            assert_eq!(hasher.finish_dihedral(), Err(refused(0)));
        }
    }

    #[test]
    fn a_size_alone_cannot_ask_for_much_memory() {
        for (width, height) in [(usize::MAX, 2), (1 << 20, 1 << 20), (1 << 31, 1)] {
            let found = RowHasher::new(PdqForm::Full, width, height).err();
            assert_eq!(found, Some(PdqError::TooLarge { width, height }));
        }
    }
}
