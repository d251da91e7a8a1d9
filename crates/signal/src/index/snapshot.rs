//! An index as bytes that can be mapped into memory and searched as they are.
//!
//! ```text
//! header     magic, version, length of all, counts, and per segment: hashes, members, and a checksum
//!            of its arrays and of its removals; last, a checksum of the header
//! recent     hashes, then keys
//! segments   each: the arrays, then a bit per member for removals
//! ```
//!
//! Everything begins at a multiple of 64 bytes, in the byte order of the machine that wrote it: a
//! snapshot spares a machine building its own index and is not meant for exchange. Every byte counts
//! into one of the checksums, which find accidents; they are no proof against somebody who means to
//! deceive, so keep snapshots where only the server may write.

use super::memory::Lent;
use super::pdq::{Gone, Part, PdqIndex, Recent};
use super::ring::Words;
use super::segment::{ENTRIES_MAX, Layout, Segment};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

const MAGIC: u64 = u64::from_le_bytes(*b"PDQindex");
/// Goes up when the meaning of any byte changes.
const VERSION: u64 = 1;
/// Words in a line of 64 bytes, to which all is padded.
const LINE: usize = 8;
/// Words of the header before the segments'.
const HEADER: usize = 6;
/// Words of the header about one segment.
const PER_SEGMENT: usize = 4;

/// Why a snapshot is of no use: the index must be built from its entries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The bytes do not begin as a snapshot does.
    #[error("this is not a PDQ index snapshot")]
    NotASnapshot,
    /// It was written by a machine with the other byte order.
    #[error("the snapshot was written on a machine with another byte order")]
    ByteOrder,
    /// It was written by another version of this crate.
    #[error("the snapshot has format {found}, this version reads format {VERSION}")]
    Version {
        /// The format's number in the snapshot.
        found: u64,
    },
    /// It is shorter or longer than it says.
    #[error("the snapshot should have {expected} bytes and has {found}: was it written in full?")]
    Length {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the snapshot is damaged: the checksum of its {part} does not match")]
    Damaged {
        /// What is damaged.
        part: &'static str,
    },
    /// The bytes were lent at an address that is not a multiple of 8.
    #[error(
        "the snapshot does not begin at a multiple of 8 bytes in memory: map it or copy it there"
    )]
    Unaligned,
}

fn checksum(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

fn checksum_of(words: &[u64]) -> u64 {
    checksum(bytemuck::cast_slice(words))
}

fn padded(mut words: Vec<u64>) -> Vec<u64> {
    words.resize(words.len().next_multiple_of(LINE), 0);
    words
}

impl PdqIndex {
    /// Writes all that is in the index, for [`PdqIndex::from_snapshot`].
    ///
    /// ```
    /// # use manara_signal::{Pdq, index::PdqIndex};
    /// # use std::sync::Arc;
    /// let index = PdqIndex::from_entries([(1, Pdq([0; 32])), (2, Pdq([1; 32]))]);
    /// let mut bytes = Vec::new();
    /// index.write_snapshot(&mut bytes)?;
    ///
    /// // A server would map the file. Bytes must lie at a multiple of 8; these are moved there.
    /// let bytes = Arc::new(Aligned::from(bytes));
    /// let index = PdqIndex::from_snapshot(bytes)?;
    /// assert_eq!(index.len(), 2);
    /// # struct Aligned(Vec<u64>, usize);
    /// # impl From<Vec<u8>> for Aligned {
    /// #     fn from(bytes: Vec<u8>) -> Self {
    /// #         Self(bytes.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect(), bytes.len())
    /// #     }
    /// # }
    /// # impl AsRef<[u8]> for Aligned {
    /// #     fn as_ref(&self) -> &[u8] { &bytemuck::cast_slice(&self.0)[..self.1] }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_snapshot(&self, mut out: impl Write) -> io::Result<()> {
        let recent = recent_words(self.recent());
        let removals: Vec<Vec<u64>> = self
            .parts()
            .iter()
            .map(|part| padded(part.gone.bits.clone()))
            .collect();
        let mut header = vec![
            MAGIC,
            VERSION,
            0,
            self.parts().len() as u64,
            self.recent().keys.len() as u64,
            checksum_of(&recent),
        ];
        let mut len = recent.len() * 8;
        for (part, removals) in self.parts().iter().zip(&removals) {
            let layout = part.segment.layout();
            let bytes = part.segment.bytes();
            header.push(layout.hashes() as u64);
            header.push(layout.members() as u64);
            header.push(checksum(bytes));
            header.push(checksum_of(removals));
            len += bytes.len() + removals.len() * 8;
        }
        // One word is left for the checksum.
        header.push(0);
        let mut header = padded(header);
        header.pop();
        len += (header.len() + 1) * 8;
        header[2] = len as u64;
        header.push(checksum_of(&header));
        out.write_all(bytemuck::cast_slice(&header))?;
        out.write_all(bytemuck::cast_slice(&recent))?;
        for (part, removals) in self.parts().iter().zip(&removals) {
            out.write_all(part.segment.bytes())?;
            out.write_all(bytemuck::cast_slice(removals))?;
        }
        out.flush()
    }

    /// The index that was written, searching the bytes where they lie. All of them are read once, to
    /// see that they are those that were written; a snapshot that was not written in full, or was
    /// changed since, is refused. The bytes must not change while the index is in use.
    pub fn from_snapshot(bytes: Lent) -> Result<Self, SnapshotError> {
        let lent = bytes.clone();
        let mut reader = Reader {
            bytes: (*lent).as_ref(),
            at: 0,
        };
        let header = reader.header()?;
        let [_, _, _, _, recent, recent_sum] = header[..HEADER] else {
            return Err(SnapshotError::NotASnapshot);
        };
        let count = usize::try_from(recent).unwrap_or(usize::MAX);
        let words = reader.words(count.saturating_mul(5), recent_sum, "newest hashes")?;
        let recent = recent_of(count, words);
        let mut parts = Vec::new();
        for segment in header[HEADER..].as_chunks::<PER_SEGMENT>().0 {
            let [hashes, members, arrays_sum, removals_sum] = *segment;
            if hashes > members || members > ENTRIES_MAX as u64 {
                return Err(SnapshotError::Damaged { part: "header" });
            }
            let layout = Layout::new(hashes as usize, members as usize);
            let range = reader.section(layout.len, arrays_sum, "arrays")?;
            let removals =
                reader.words((members as usize).div_ceil(64), removals_sum, "removals")?;
            let bits = removals.to_vec();
            let count = bits.iter().map(|word| word.count_ones() as usize).sum();
            parts.push(Part {
                segment: Arc::new(Segment::lent(layout, bytes.clone(), range.start)),
                gone: Gone { bits, count },
            });
        }
        reader.at_end()?;
        Ok(Self::from_parts(parts, recent))
    }
}

/// Goes through a snapshot from start to end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn length(&self, expected: u64) -> SnapshotError {
        SnapshotError::Length {
            expected,
            found: self.bytes.len() as u64,
        }
    }

    /// The words of the header, with those of all segments and no others.
    fn header(&mut self) -> Result<&'a [u64], SnapshotError> {
        let whole = self.bytes.len() / 8 * 8;
        let words = self.bytes.get(..whole).unwrap_or_default();
        let words: &[u64] =
            bytemuck::try_cast_slice(words).map_err(|_| SnapshotError::Unaligned)?;
        match words.first() {
            Some(&MAGIC) => {}
            Some(magic) if magic.swap_bytes() == MAGIC => return Err(SnapshotError::ByteOrder),
            _ => return Err(SnapshotError::NotASnapshot),
        }
        let Some(&[_, version, len, segments, ..]) = words.get(..HEADER) else {
            return Err(self.length(8 * HEADER as u64));
        };
        if version != VERSION {
            return Err(SnapshotError::Version { found: version });
        }
        if len != self.bytes.len() as u64 {
            return Err(self.length(len));
        }
        let damaged = SnapshotError::Damaged { part: "header" };
        let segments = usize::try_from(segments).map_err(|_| damaged)?;
        let used = segments.saturating_mul(PER_SEGMENT).saturating_add(HEADER);
        // More words than there are bytes cannot be; then rounding up cannot overflow either.
        let all = (used.min(words.len()) + 1).next_multiple_of(LINE);
        let (Some(header), Some(about)) = (words.get(..all), words.get(..used)) else {
            return Err(damaged);
        };
        match header.split_last() {
            Some((sum, rest)) if *sum == checksum_of(rest) => {}
            _ => return Err(damaged),
        }
        self.at = all * 8;
        Ok(about)
    }

    /// Where the next section of `len` bytes lies, if its checksum is `sum`.
    fn section(
        &mut self,
        len: usize,
        sum: u64,
        part: &'static str,
    ) -> Result<Range<usize>, SnapshotError> {
        let range = self.at..self.at.saturating_add(len);
        let bytes = self.bytes.get(range.clone());
        let bytes = bytes.ok_or_else(|| self.length(range.end as u64))?;
        if checksum(bytes) != sum {
            return Err(SnapshotError::Damaged { part });
        }
        self.at = range.end;
        Ok(range)
    }

    /// The next section of `count` words, padded to whole lines.
    fn words(
        &mut self,
        count: usize,
        sum: u64,
        part: &'static str,
    ) -> Result<&'a [u64], SnapshotError> {
        let padded = count.checked_next_multiple_of(LINE).unwrap_or(usize::MAX);
        let range = self.section(padded.saturating_mul(8), sum, part)?;
        let words: &[u64] = bytemuck::try_cast_slice(self.bytes.get(range).unwrap_or_default())
            .map_err(|_| SnapshotError::Unaligned)?;
        Ok(words.get(..count).unwrap_or_default())
    }

    fn at_end(&self) -> Result<(), SnapshotError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.length(self.at as u64))
        }
    }
}

fn recent_words(recent: &Recent) -> Vec<u64> {
    let mut words: Vec<u64> = recent.entries().flat_map(|(hash, _)| hash).collect();
    words.extend_from_slice(&recent.keys);
    padded(words)
}

fn recent_of(count: usize, words: &[u64]) -> Recent {
    let mut recent = Recent::default();
    let (hashes, keys): (&[u64], &[u64]) = words.split_at(words.len().min(4 * count));
    for (hash, key) in hashes.as_chunks::<4>().0.iter().zip(keys) {
        recent.push(Words::from(*hash), *key);
    }
    recent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pdq;
    use crate::index::PdqHit;

    /// Bytes at a multiple of 8, as a mapped file has them.
    struct Aligned {
        words: Vec<u64>,
        len: usize,
    }

    impl Aligned {
        fn new(bytes: &[u8]) -> Arc<Self> {
            let mut words = vec![0_u64; bytes.len().div_ceil(8)];
            bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
            let len = bytes.len();
            Arc::new(Self { words, len })
        }
    }

    impl AsRef<[u8]> for Aligned {
        fn as_ref(&self) -> &[u8] {
            &bytemuck::cast_slice(&self.words)[..self.len]
        }
    }

    fn hash(key: u64) -> Pdq {
        let mut bytes = [0; 32];
        for (k, chunk) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
            *chunk = (key + k).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        }
        Pdq(bytes)
    }

    /// Two segments, with removals and copies, and newest hashes.
    fn index(size: u64) -> PdqIndex {
        let mut index = PdqIndex::from_entries((0..size).map(|key| (key, hash(key / 2))));
        (2 * size..2 * size + 4100).for_each(|key| index.insert(key, hash(key)));
        (0..size)
            .step_by(7)
            .for_each(|key| assert!(index.remove(key)));
        index
    }

    fn snapshot(index: &PdqIndex) -> Vec<u8> {
        let mut bytes = Vec::new();
        index.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    fn hits(index: &PdqIndex, hash: &Pdq) -> Vec<PdqHit> {
        let mut hits = Vec::new();
        index.query(hash, 31, &mut hits);
        hits
    }

    #[test]
    fn what_is_read_answers_and_changes_as_what_was_written() {
        for size in [0, 1, 30, 40_000] {
            let mut before = index(size);
            let mut after = PdqIndex::from_snapshot(Aligned::new(&snapshot(&before))).unwrap();
            assert_eq!(after.len(), before.len());
            for index in [&mut before, &mut after] {
                index.insert(5, hash(1_000_000));
                assert!(index.remove(2 * size + 3));
            }
            for key in (0..3 * size + 4100).chain([1_000_000]) {
                assert_eq!(hits(&before, &hash(key)), hits(&after, &hash(key)));
            }
            while let Some(work) = after.work() {
                after.install(&mut work.run());
            }
            assert_eq!(after.len(), before.len());
            assert_eq!(
                hits(&before, &hash(2 * size + 9)),
                hits(&after, &hash(2 * size + 9))
            );
            assert_eq!(hits(&after, &hash(2 * size + 9)).len(), 1);
        }
    }

    /// A small one with each kind of section, so that every byte can be tried.
    fn small() -> Vec<u8> {
        let mut index = PdqIndex::from_entries((0..9).map(|key| (key, hash(key))));
        assert!(index.remove(4));
        index.insert(10, hash(10));
        snapshot(&index)
    }

    #[test]
    fn a_snapshot_cut_anywhere_is_refused() {
        let whole = small();
        assert!(PdqIndex::from_snapshot(Aligned::new(&whole)).is_ok());
        for len in 0..whole.len() {
            let cut = PdqIndex::from_snapshot(Aligned::new(&whole[..len]));
            assert!(cut.is_err(), "{len} bytes");
        }
        for more in [1, 8, 64] {
            let longer = [&whole[..], &vec![0; more]].concat();
            assert!(
                PdqIndex::from_snapshot(Aligned::new(&longer)).is_err(),
                "{more} more"
            );
        }
    }

    #[test]
    fn a_snapshot_with_any_bit_flipped_is_refused() {
        let mut bytes = small();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let read = PdqIndex::from_snapshot(Aligned::new(&bytes));
                assert!(read.is_err(), "bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
            }
        }
        assert!(PdqIndex::from_snapshot(Aligned::new(&bytes)).is_ok());
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = small();
            change(&mut bytes);
            PdqIndex::from_snapshot(Aligned::new(&bytes)).unwrap_err()
        };
        let len = small().len() as u64;
        assert_eq!(refused(&|b| b[0] = b'p'), SnapshotError::NotASnapshot);
        assert_eq!(refused(&|b| b[..8].reverse()), SnapshotError::ByteOrder);
        assert_eq!(
            refused(&|b| b[8..16].copy_from_slice(&2_u64.to_ne_bytes())),
            SnapshotError::Version { found: 2 }
        );
        let (expected, found) = (len, len - 64);
        assert_eq!(
            refused(&|b| b.truncate(b.len() - 64)),
            SnapshotError::Length { expected, found }
        );
        let part = "removals";
        assert_eq!(
            refused(&|b| b.last_mut().into_iter().for_each(|b| *b ^= 1)),
            SnapshotError::Damaged { part }
        );
    }
}
