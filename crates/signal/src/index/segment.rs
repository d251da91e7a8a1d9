//! A fixed set of hashes and keys in one stretch of memory, which a snapshot writes as it is.
//!
//! Each different hash is stored once, with all its keys:
//!
//! ```text
//! hashes     in ascending order; the place of one is its slot
//! firsts     where a slot's members begin; they end where the next one's begin
//! members    for each member, where its key lies in `keys`
//! key_starts where each bucket of keys begins
//! keys       by bucket, so that a key is found by looking at a few neighbours
//! starts, prints, slots   the tables of the ring
//! ```

use super::keys::spread;
use super::memory::{ALIGN, Lent, Memory};
use super::ring::{self, Ring, Shape, Words};
use bytemuck::Pod;
use std::ops::Range;

/// A hash and its key.
pub(super) type Entry = (Words, u64);

/// Most entries in one segment. Merging needs room for a second copy of what is merged, so this
/// also bounds how much memory is needed for a while.
pub(super) const ENTRIES_MAX: usize = 1 << 25;

/// Where a segment's arrays lie in its memory.
#[derive(Clone)]
pub(super) struct Layout {
    shape: Shape,
    key_bits: u32,
    hashes: Range<usize>,
    firsts: Range<usize>,
    members: Range<usize>,
    key_starts: Range<usize>,
    keys: Range<usize>,
    starts: Range<usize>,
    prints: Range<usize>,
    slots: Range<usize>,
    pub(super) len: usize,
}

impl Layout {
    /// For so many hashes and members, up to [`ENTRIES_MAX`].
    pub(super) fn new(hashes: usize, members: usize) -> Self {
        let shape = Shape::new(hashes);
        // Four keys to a bucket, or some more.
        let key_bits = members.max(1).ilog2().saturating_sub(2);
        let mut len = 0_usize;
        let mut next = |count: usize, size: usize| {
            let start = len;
            len = (start + count * size).next_multiple_of(ALIGN);
            start..start + count * size
        };
        Self {
            shape,
            key_bits,
            hashes: next(hashes, 32),
            firsts: next(hashes + 1, 4),
            members: next(members, 4),
            key_starts: next((1 << key_bits) + 1, 4),
            keys: next(members, 8),
            starts: next(shape.all_starts(), 4),
            prints: next(shape.all_prints(), 2),
            slots: next(shape.all_slots(), 4),
            len,
        }
    }

    pub(super) fn hashes(&self) -> usize {
        self.shape.hashes
    }

    pub(super) fn members(&self) -> usize {
        self.members.len() / 4
    }
}

/// The bucket of a key.
fn key_bucket(key: u64, bits: u32) -> usize {
    (spread(key) >> 32 >> (32 - bits)) as usize
}

/// One of the arrays. If the memory is lent and its owner took it back, there is nothing in it.
fn array<'a, T: Pod>(bytes: &'a [u8], range: &Range<usize>) -> &'a [T] {
    let bytes = bytes.get(range.clone()).unwrap_or_default();
    bytemuck::try_cast_slice(bytes).unwrap_or_default()
}

pub(super) struct Segment {
    layout: Layout,
    memory: Memory,
}

/// Entries with the same key: which of them is to stay, only the caller knows.
#[derive(Debug)]
pub(super) struct SameKeys;

impl Segment {
    /// Builds a segment of at most [`ENTRIES_MAX`] entries.
    pub(super) fn build(entries: &[Entry]) -> Result<Self, SameKeys> {
        let sorted = sorted(entries);
        let hashes = sorted.chunk_by(|a, b| a.0 == b.0).count();
        let layout = Layout::new(hashes, sorted.len());
        let mut memory = Memory::zeroed(layout.len);
        let mut arrays = ArraysMut::new(&layout, memory.bytes_mut());
        let mut member = 0;
        for (slot, same) in sorted.chunk_by(|a, b| a.0 == b.0).enumerate() {
            arrays.hashes[slot] = same[0].0;
            member += same.len() as u32;
            arrays.firsts[slot + 1] = member;
        }
        arrays.place_keys(layout.key_bits, &sorted)?;
        drop(sorted);
        let ArraysMut {
            hashes,
            starts,
            prints,
            slots,
            ..
        } = arrays;
        ring::build(layout.shape, hashes, starts, prints, slots);
        Ok(Self { layout, memory })
    }

    /// A segment that was written by [`Segment::bytes`] before. The memory must be of the layout's
    /// length and aligned to 8 bytes.
    pub(super) fn lent(layout: Layout, bytes: Lent, start: usize) -> Self {
        let range = start..start + layout.len;
        Self {
            layout,
            memory: Memory::Lent { bytes, range },
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All arrays.
    pub(super) fn bytes(&self) -> &[u8] {
        let bytes = self.memory.bytes();
        bytes.get(..self.layout.len).unwrap_or_default()
    }

    /// Bytes allocated or lent.
    pub(super) fn memory(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn members(&self) -> usize {
        self.layout.members()
    }

    /// Where a key lies, if it is in.
    pub(super) fn place(&self, key: u64) -> Option<u32> {
        let bytes = self.bytes();
        let starts: &[u32] = array(bytes, &self.layout.key_starts);
        let bucket = key_bucket(key, self.layout.key_bits);
        let (start, end) = (*starts.get(bucket)?, *starts.get(bucket + 1)?);
        let keys: &[u64] = array(bytes, &self.layout.keys);
        let keys = keys.get(start as usize..end as usize)?;
        let at = keys.iter().position(|other| *other == key)?;
        Some(start + at as u32)
    }

    /// All keys, each at its place.
    pub(super) fn keys(&self) -> &[u64] {
        array(self.bytes(), &self.layout.keys)
    }

    /// What is looked at to find hashes and their members.
    #[inline]
    pub(super) fn view(&self) -> View<'_> {
        let (bytes, layout) = (self.bytes(), &self.layout);
        View {
            firsts: array(bytes, &layout.firsts),
            members: array(bytes, &layout.members),
            keys: array(bytes, &layout.keys),
            ring: Ring {
                shape: layout.shape,
                hashes: array(bytes, &layout.hashes),
                starts: array(bytes, &layout.starts),
                prints: array(bytes, &layout.prints),
                slots: array(bytes, &layout.slots),
            },
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    firsts: &'a [u32],
    members: &'a [u32],
    keys: &'a [u64],
    pub(super) ring: Ring<'a>,
}

impl<'a> View<'a> {
    /// Key and place of each member that has the hash in a slot.
    #[inline]
    pub(super) fn members(&self, slot: u32) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        let (slot, keys) = (slot as usize, self.keys);
        let range = match self.firsts.get(slot..slot + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        };
        let places = self.members.get(range).unwrap_or_default();
        places
            .iter()
            .filter_map(move |place| Some((*keys.get(*place as usize)?, *place)))
    }

    /// All hashes, with keys and places.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Words, u64, u32)> + use<'a> {
        let view = *self;
        (0..).zip(self.ring.hashes).flat_map(move |(slot, hash)| {
            view.members(slot)
                .map(move |(key, place)| (*hash, key, place))
        })
    }
}

/// The arrays while they are filled.
struct ArraysMut<'a> {
    hashes: &'a mut [Words],
    firsts: &'a mut [u32],
    members: &'a mut [u32],
    key_starts: &'a mut [u32],
    keys: &'a mut [u64],
    starts: &'a mut [u32],
    prints: &'a mut [u16],
    slots: &'a mut [u32],
}

impl<'a> ArraysMut<'a> {
    fn new(layout: &Layout, bytes: &'a mut [u8]) -> Self {
        let mut rest = Rest(bytes);
        Self {
            hashes: rest.take(&layout.hashes),
            firsts: rest.take(&layout.firsts),
            members: rest.take(&layout.members),
            key_starts: rest.take(&layout.key_starts),
            keys: rest.take(&layout.keys),
            starts: rest.take(&layout.starts),
            prints: rest.take(&layout.prints),
            slots: rest.take(&layout.slots),
        }
    }

    /// Deals the keys into their buckets.
    fn place_keys(&mut self, bits: u32, sorted: &[Entry]) -> Result<(), SameKeys> {
        for (_, key) in sorted {
            self.key_starts[key_bucket(*key, bits) + 1] += 1;
        }
        let mut before = 0;
        for start in &mut *self.key_starts {
            before += *start;
            *start = before;
        }
        let mut ends = self.key_starts.to_vec();
        for (member, (_, key)) in self.members.iter_mut().zip(sorted) {
            let end = &mut ends[key_bucket(*key, bits)];
            *member = *end;
            self.keys[*end as usize] = *key;
            *end += 1;
        }
        for bucket in self.key_starts.windows(2) {
            let keys = &self.keys[bucket[0] as usize..bucket[1] as usize];
            if (1..keys.len()).any(|at| keys[..at].contains(&keys[at])) {
                return Err(SameKeys);
            }
        }
        Ok(())
    }
}

/// Memory that is not yet cut into arrays.
struct Rest<'a>(&'a mut [u8]);

impl<'a> Rest<'a> {
    /// The array at the start; the next one begins where its range does.
    fn take<T: Pod>(&mut self, range: &Range<usize>) -> &'a mut [T] {
        let bytes = std::mem::take(&mut self.0);
        let padded = range.len().next_multiple_of(ALIGN).min(bytes.len());
        let (bytes, after) = bytes.split_at_mut(padded);
        self.0 = after;
        let bytes = bytes.get_mut(..range.len()).unwrap_or_default();
        bytemuck::try_cast_slice_mut(bytes).unwrap_or_default()
    }
}

/// The entries in ascending order: first dealt out by their first chunk, then each deal sorted.
fn sorted(entries: &[Entry]) -> Vec<Entry> {
    if entries.len() < 1 << 14 {
        let mut sorted = entries.to_vec();
        sorted.sort_unstable();
        return sorted;
    }
    let mut ends = vec![0_usize; 1 << 16];
    for (hash, _) in entries {
        ends[usize::from(ring::chunk(hash, 0))] += 1;
    }
    let mut before = 0;
    for end in &mut ends {
        before += std::mem::replace(end, before);
    }
    let mut sorted = vec![([0; 4], 0); entries.len()];
    for entry in entries {
        let end = &mut ends[usize::from(ring::chunk(&entry.0, 0))];
        sorted[*end] = *entry;
        *end += 1;
    }
    let mut start = 0;
    for end in ends {
        sorted[start..end].sort_unstable();
        start = end;
    }
    sorted
}
