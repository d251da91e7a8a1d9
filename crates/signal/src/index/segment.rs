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

impl Segment {
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

/// An entry on its way into a segment: the words of its hash, then its key, later the key's place.
type Record = [u64; 5];

/// Entries that are to become a segment. They wait in the memory where its tables will be, and are
/// sorted there: memory that the system has yet to give costs more than all that is done with it.
pub(super) struct Filling {
    layout: Layout,
    memory: Memory,
}

impl Filling {
    /// Takes up to `count` entries, at most [`ENTRIES_MAX`].
    pub(super) fn take(count: usize, entries: &mut impl Iterator<Item = Entry>) -> Self {
        let count = count.min(ENTRIES_MAX);
        let layout = Layout::new(count, count);
        let memory = Memory::zeroed(layout.len);
        let mut filling = Self { layout, memory };
        let mut filled = 0;
        for (record, ([a, b, c, d], key)) in filling.arrays().records.iter_mut().zip(entries) {
            *record = [a, b, c, d, key];
            filled += 1;
        }
        if filled < count {
            let fewer: Vec<Entry> = filling.entries().take(filled).collect();
            return Self::take(filled, &mut fewer.into_iter());
        }
        filling
    }

    /// The entries, in the order in which they came.
    pub(super) fn entries(&mut self) -> impl Iterator<Item = Entry> + '_ {
        let records = self.arrays().records.iter();
        records.map(|[a, b, c, d, key]| ([*a, *b, *c, *d], *key))
    }

    /// Builds the segment. If two entries have the same key, gives them back as they were: which of
    /// them is to stay, only the caller knows.
    pub(super) fn build(mut self) -> Result<Segment, Self> {
        let key_bits = self.layout.key_bits;
        let mut arrays = self.arrays();
        if arrays.place_keys(key_bits).is_err() {
            return Err(self);
        }
        let layout = Layout::new(arrays.sort(), self.layout.members());
        let mut memory = moved(self.memory, &self.layout, &layout);
        let mut rest = Rest::of(memory.bytes_mut());
        ring::build(
            layout.shape,
            rest.take(&layout.hashes),
            rest.take(&layout.starts),
            rest.take(&layout.prints),
            rest.take(&layout.slots),
        );
        Ok(Segment { layout, memory })
    }

    fn arrays(&mut self) -> Arrays<'_> {
        let layout = &self.layout;
        let mut rest = Rest::of(self.memory.bytes_mut());
        let (hashes, firsts) = (rest.take(&layout.hashes), rest.take(&layout.firsts));
        let (members, key_starts) = (rest.take(&layout.members), rest.take(&layout.key_starts));
        let keys: &mut [u64] = rest.take(&layout.keys);
        // Fingerprints and slots of a hash take more room than two records.
        let room: &mut [u64] = rest.take(&(layout.prints.start..layout.len));
        let (room, records) = room.split_at_mut(room.len().saturating_sub(5 * keys.len()));
        Arrays {
            hashes,
            firsts,
            members,
            key_starts,
            keys,
            room,
            records: records.as_chunks_mut().0,
        }
    }
}

/// Two entries have the same key.
struct SameKeys;

/// Into how many shares entries are dealt before each share is sorted. Sorting all at once would wait
/// for memory at every entry; a share fits into the processor's cache, and so many can be dealt to.
const SHARES: usize = 1 << 8;

/// For the sizes of the shares, where each begins.
fn starts_of(counts: &[u32; SHARES]) -> [usize; SHARES] {
    let mut before = 0;
    counts.map(|count| {
        before += count as usize;
        before - count as usize
    })
}

/// A segment's arrays while its tables are not there yet.
struct Arrays<'a> {
    hashes: &'a mut [Words],
    firsts: &'a mut [u32],
    members: &'a mut [u32],
    key_starts: &'a mut [u32],
    keys: &'a mut [u64],
    /// Room for as many records again.
    room: &'a mut [u64],
    records: &'a mut [Record],
}

impl Arrays<'_> {
    /// Puts the keys into their buckets, and notes in the records where.
    fn place_keys(&mut self, bits: u32) -> Result<(), SameKeys> {
        let lower = bits.saturating_sub(SHARES.ilog2());
        let mut counts = [0_u32; SHARES];
        for [.., key] in &*self.records {
            counts[key_bucket(*key, bits) >> lower] += 1;
        }
        let mut ends = starts_of(&counts);
        let (dealt, _) = self.room.as_chunks_mut::<2>();
        for (at, [.., key]) in (0..).zip(&*self.records) {
            let end = &mut ends[key_bucket(*key, bits) >> lower];
            dealt[*end] = [*key, at];
            *end += 1;
        }
        let mut left = &*dealt;
        let mut ends = Vec::with_capacity(1 << lower);
        for (share, count) in counts.iter().take(1 << (bits - lower)).enumerate() {
            let (dealt, after) = left.split_at(*count as usize);
            left = after;
            // The share's buckets, and the first after them: it begins where these end.
            let starts = &mut self.key_starts[share << lower..=(share + 1) << lower];
            let bucket = |key: u64| key_bucket(key, bits) & ((1 << lower) - 1);
            for [key, _] in dealt {
                starts[bucket(*key) + 1] += 1;
            }
            ends.clear();
            for at in 0..1 << lower {
                ends.push(starts[at]);
                starts[at + 1] += starts[at];
            }
            for [key, at] in dealt {
                let end = &mut ends[bucket(*key)];
                self.keys[*end as usize] = *key;
                self.records[*at as usize][4] = u64::from(*end);
                *end += 1;
            }
            for bucket in starts.windows(2) {
                let keys = &self.keys[bucket[0] as usize..bucket[1] as usize];
                if (1..keys.len()).any(|at| keys[..at].contains(&keys[at])) {
                    return self.give_keys_back();
                }
            }
        }
        Ok(())
    }

    /// Undoes what was noted in the records.
    fn give_keys_back(&mut self) -> Result<(), SameKeys> {
        let (dealt, _) = self.room.as_chunks::<2>();
        for [key, at] in &dealt[..self.records.len()] {
            self.records[*at as usize][4] = *key;
        }
        Err(SameKeys)
    }

    /// Sorts the hashes and notes the members of each; how many different ones there are.
    fn sort(&mut self) -> usize {
        let share_of = |record: &Record| (record[0] >> (64 - SHARES.ilog2())) as usize;
        let mut counts = [0_u32; SHARES];
        for record in &*self.records {
            counts[share_of(record)] += 1;
        }
        let mut ends = starts_of(&counts);
        let (dealt, _) = self.room.as_chunks_mut::<5>();
        for record in &*self.records {
            let end = &mut ends[share_of(record)];
            dealt[*end] = *record;
            *end += 1;
        }
        let mut left = &*dealt;
        let (mut slots, mut members) = (0, 0);
        let mut order = Vec::new();
        for count in counts {
            let (dealt, after) = left.split_at(count as usize);
            left = after;
            sort_share(dealt, &mut order);
            for at in &order {
                let [a, b, c, d, place] = dealt[*at as usize];
                let hash = [a, b, c, d];
                if slots == 0 || self.hashes[slots - 1] != hash {
                    self.hashes[slots] = hash;
                    slots += 1;
                }
                self.members[members] = place as u32;
                members += 1;
                self.firsts[slots] = members as u32;
            }
        }
        slots
    }
}

/// The order in which the hashes of a share ascend; equal ones stay as they are.
fn sort_share(dealt: &[Record], order: &mut Vec<u64>) {
    // What follows the share's bits in a hash, with the place instead of its last bits.
    let places = (1_u64 << dealt.len().max(2).next_power_of_two().ilog2()) - 1;
    let first = |record: &Record| record[0] << SHARES.ilog2() & !places;
    order.clear();
    order.extend((0..).zip(dealt).map(|(at, record)| first(record) | at));
    order.sort_unstable();
    for same in order.chunk_by_mut(|a, b| a & !places == b & !places) {
        if same.len() > 1 {
            same.sort_unstable_by_key(|at| (&dealt[(at & places) as usize][..4], *at));
        }
    }
    for at in order {
        *at &= places;
    }
}

/// Moves all but the tables to where they lie in another layout, with as many members and no more
/// hashes: within the memory, or to other memory if much would be left over.
fn moved(mut memory: Memory, from: &Layout, to: &Layout) -> Memory {
    if from.len == to.len {
        return memory;
    }
    let arrays = [
        (&from.hashes, &to.hashes),
        (&from.firsts, &to.firsts),
        (&from.members, &to.members),
        (&from.key_starts, &to.key_starts),
        (&from.keys, &to.keys),
    ];
    if 16 * to.len >= 15 * from.len {
        let bytes = memory.bytes_mut();
        for (from, to) in arrays {
            bytes.copy_within(from.start..from.start + to.len(), to.start);
        }
        bytes[to.starts.clone()].fill(0);
        return memory;
    }
    let mut fewer = Memory::zeroed(to.len);
    let (old, new) = (memory.bytes(), fewer.bytes_mut());
    for (from, to) in arrays {
        new[to.clone()].copy_from_slice(&old[from.start..from.start + to.len()]);
    }
    fewer
}

/// Memory that is cut into arrays from its start on.
struct Rest<'a> {
    bytes: &'a mut [u8],
    /// Where they begin in the whole.
    at: usize,
}

impl<'a> Rest<'a> {
    fn of(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The array in a range of the whole, after those taken before.
    fn take<T: Pod>(&mut self, range: &Range<usize>) -> &'a mut [T] {
        let bytes = std::mem::take(&mut self.bytes);
        let (_, bytes) = bytes.split_at_mut(range.start - self.at);
        let (bytes, after) = bytes.split_at_mut(range.len());
        (self.bytes, self.at) = (after, range.end);
        bytemuck::try_cast_slice_mut(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: u64) -> Words {
        std::array::from_fn(|w| spread(4 * seed + w as u64 + 1))
    }

    /// Every array is what its description says, for these entries.
    #[track_caller]
    fn check(entries: &[Entry]) {
        let mut filling = Filling::take(entries.len(), &mut entries.iter().copied());
        assert!(filling.entries().eq(entries.iter().copied()));
        let segment = filling.build().ok().unwrap();
        assert_eq!(segment.members(), entries.len());

        let (view, mut kept) = (segment.view(), Vec::new());
        for (hash, key, place) in view.entries() {
            assert_eq!(segment.place(key), Some(place));
            kept.push((hash, key));
        }
        let mut sorted = entries.to_vec();
        sorted.sort_unstable();
        kept.sort_unstable();
        assert_eq!(kept, sorted);
        assert_eq!(segment.place(u64::MAX), None);

        let Ring {
            shape,
            hashes,
            starts,
            prints,
            slots,
        } = view.ring;
        assert!(hashes.is_sorted_by(|a, b| a < b));
        let room = shape.all_prints() / ring::CHUNKS;
        for i in 0..ring::CHUNKS {
            let buckets = 1 << shape.bits;
            let starts = &starts[i * (buckets + 1)..][..=buckets];
            assert_eq!(
                (starts[0], starts[1 << shape.bits]),
                (0, hashes.len() as u32)
            );
            let mut seen = vec![false; hashes.len()];
            for (bucket, ends) in starts.windows(2).enumerate() {
                for at in ends[0] as usize..ends[1] as usize {
                    let slot = match i.checked_sub(1) {
                        Some(before) => slots[before * hashes.len() + at] as usize,
                        None => at,
                    };
                    let chunk = |i| ring::chunk(&hashes[slot], i % ring::CHUNKS);
                    assert_eq!(usize::from(chunk(i)) >> (16 - shape.bits), bucket);
                    assert_eq!(prints[i * room + at], chunk(i + 1));
                    assert!(!std::mem::replace(&mut seen[slot], true));
                }
            }
            assert!(seen.iter().all(|seen| *seen), "table {i}");
        }
        assert!(segment.memory() <= 160 * entries.len() + (1 << 14));
    }

    /// Sizes at which the number of shares, of buckets, or of keys to a bucket changes, and odd ones.
    #[test]
    fn every_size_is_sorted_into_its_tables() {
        let turns = [1 << 8, 1 << 10, 1 << 12, 1 << 13, 1 << 16].map(|turn| [turn - 1, turn]);
        let sizes = (0..70).chain(turns.into_iter().flatten());
        for size in sizes.chain([1 << 13 | 1, 99_991]) {
            let entries: Vec<Entry> = (0..size).map(|key| (words(key), 7 * key)).collect();
            check(&entries);
        }
    }

    #[test]
    fn copies_are_stored_once_whether_few_or_many() {
        for different in [1, 2, 1000, 9_200, 9_400, 9_999] {
            let hash = |key: u64| words(key % different);
            let entries: Vec<Entry> = (0..10_000).map(|key| (hash(key), key)).collect();
            check(&entries);
            let filling = Filling::take(10_000, &mut entries.iter().copied());
            let segment = filling.build().ok().unwrap();
            assert_eq!(segment.view().ring.hashes.len(), different as usize);
        }
    }

    #[test]
    fn hashes_that_begin_alike_are_sorted_too() {
        for equal in [8, 16, 40, 56, 64, 130, 192, 250] {
            let hash = |key| {
                let (mut hash, like) = (words(key), words(0));
                for (w, word) in hash.iter_mut().enumerate() {
                    let equal = (equal as u32).saturating_sub(64 * w as u32);
                    let mask = u64::MAX.checked_shr(equal).unwrap_or(0);
                    *word = (like[w] & !mask) | (*word & mask);
                }
                hash
            };
            let entries: Vec<Entry> = (0..5000).map(|key| (hash(key), key)).collect();
            check(&entries);
        }
    }

    #[test]
    fn fewer_entries_than_announced_take_no_more_room() {
        let entries: Vec<Entry> = (0..5000).map(|key| (words(key), key)).collect();
        let mut filling = Filling::take(9000, &mut entries.iter().copied());
        assert!(filling.entries().eq(entries.iter().copied()));
        assert_eq!(filling.build().ok().unwrap().members(), 5000);
    }

    #[test]
    fn entries_with_one_key_are_given_back_as_they_were() {
        for twice in [1, 7, 4999] {
            let key = |at: u64| if at == twice { 0 } else { at };
            let entries: Vec<Entry> = (0..5000).map(|at| (words(at), key(at))).collect();
            let filling = Filling::take(5000, &mut entries.iter().copied());
            let mut given_back = filling.build().err().unwrap();
            assert!(given_back.entries().eq(entries.iter().copied()));
        }
    }
}
