//! One stretch of bytes that holds all arrays of a segment: allocated, or lent by a snapshot.

use memmap2::MmapMut;
use std::ops::Range;
use std::sync::Arc;

/// Arrays begin at multiples of this, a cache line.
pub(super) const ALIGN: usize = 64;
/// From here on memory comes from the system directly, in huge pages where it has them: lookups
/// touch some hundred places far apart, and with small pages each would cost a walk of page tables.
const HUGE_MIN: usize = 1 << 22;

/// Bytes that somebody else keeps, for example a mapped file.
pub(super) type Lent = Arc<dyn AsRef<[u8]> + Send + Sync>;

pub(super) enum Memory {
    Small { words: Vec<u64>, first: usize },
    Huge(MmapMut),
    Lent { bytes: Lent, range: Range<usize> },
}

impl Memory {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        if len >= HUGE_MIN
            && let Ok(map) = MmapMut::map_anon(len)
        {
            // Refused where the system has no huge pages: slower, and nothing else.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Self::Huge(map);
        }
        let words = vec![0; (len + ALIGN) / 8];
        let first = words.as_ptr().align_offset(ALIGN);
        Self::Small { words, first }
    }

    /// At least as many bytes as were asked for, beginning at a multiple of [`ALIGN`].
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Small { words, first } => {
                bytemuck::cast_slice(words.get(*first..).unwrap_or_default())
            }
            Self::Huge(map) => map,
            Self::Lent { bytes, range } => {
                (**bytes).as_ref().get(range.clone()).unwrap_or_default()
            }
        }
    }

    /// The bytes to be written; none when they are lent.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Small { words, first } => {
                bytemuck::cast_slice_mut(words.get_mut(*first..).unwrap_or_default())
            }
            Self::Huge(map) => map,
            Self::Lent { .. } => &mut [],
        }
    }

    /// Bytes allocated, or lent.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Small { words, .. } => 8 * words.capacity(),
            Self::Huge(map) => map.len(),
            Self::Lent { range, .. } => range.len(),
        }
    }
}
