//! The ring index: sixteen tables over a fixed set of PDQ hashes, exact for radius 0 to 63.
//!
//! # Why nothing is missed
//!
//! A hash is cut into 16 chunks of 16 bits, thought of as standing in a ring. Let two hashes differ
//! in `d` bits, `d <= r`, of which `d_i` lie in chunk `i`. Say a start `i` is *good* when each
//! stretch of `l` chunks from it, for `l = 1` to `16`, differs in at most `r l / 16` bits.
//!
//! **Some start is good** (the cycle lemma). Walk round the ring, from any chunk, and note how far
//! the walk is behind its allowance: `h(k) = (d_0 + ... + d_(k-1)) - r k / 16`. Over a whole round
//! `h` changes by `d - r <= 0`. Start after the step `k` at which `h` is greatest in the first round:
//! later in that round `h` is no greater, by choice; and a round later it is at most what it was one
//! round before, so again no greater. So no stretch from there exceeds its allowance.
//!
//! Bits are whole, so from a good start chunk `i` differs in at most `one = floor(r / 16)` bits, and
//! it and the next together in at most `two = floor(2 r / 16)`: for `r = 31`, in 1 and in 3. Table
//! `i` is bucketed by chunk `i`; a lookup reads every bucket within `one` bits (17 for `r = 31`), so
//! it reads the bucket with the hash sought, for any good `i`. For each hash the bucket has the 2
//! bytes of chunk `i + 1`, its fingerprint. One that differs in more than `two` less the bits by
//! which the bucket differs is skipped, and rightly so, because it does not have a good start at
//! `i`. All others are compared in full. So every hash in the radius is found by the table of each
//! of its good starts, and there is one: recall is 1, whatever the hashes are.
//!
//! A small ring buckets by only the first bits of a chunk. That chunk then differs in at least as many
//! bits as its bucket does, so fewer hashes are skipped, and never one that was not before.
//!
//! Of a million random hashes a lookup at radius 31 reads 4,150 fingerprints and compares 16 hashes.
//!
//! Real hashes are not random: neighbouring frequencies go together. [`sheared`] therefore deals
//! every row and column of the 16x16 bits out over all chunks, so that no chunk is nearly constant.

use super::memory::Memory;
use super::simd::{self, BLOCK, Isa};
use std::sync::LazyLock;

/// A hash as the index keeps it: four words, chunk `i` in the `i`th 16 bits from the top.
pub(super) type Words = [u64; 4];

/// Chunks of a hash, and tables.
pub(super) const CHUNKS: usize = 16;

/// The largest radius for which tables are used.
pub(super) const RADIUS_MAX: u32 = 63;

/// Rearranges bits so that chunk `c` has bit `i` of row `(i + c) mod 16`. Distances stay the same.
#[inline]
pub(super) fn sheared(words: Words) -> Words {
    // Bit column `i` must move by `i` rows: by 1, 2, 4 and 8 for the binary digits of `i`.
    let up = |words: Words, rows: u32| -> Words {
        std::array::from_fn(|w| words[w] << (16 * rows) | words[(w + 1) % 4] >> (64 - 16 * rows))
    };
    let moved = |words: Words, to: Words, columns: u16| -> Words {
        let mask = u64::from(columns) * 0x0001_0001_0001_0001;
        std::array::from_fn(|w| (words[w] & !mask) | (to[w] & mask))
    };
    let words = moved(words, up(words, 1), 0xaaaa);
    let words = moved(words, up(words, 2), 0xcccc);
    let [a, b, c, d] = words;
    let words = moved(words, [b, c, d, a], 0xf0f0);
    let [a, b, c, d] = words;
    moved(words, [c, d, a, b], 0xff00)
}

#[inline(always)]
pub(super) fn chunk(words: &Words, i: usize) -> u16 {
    (words[i / 4 % 4] >> (48 - 16 * (i % 4))) as u16
}

/// In how many bits two hashes differ.
#[inline(always)]
pub(super) fn distance(a: &Words, b: &Words) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// For so many hashes, the number of bits by which they are bucketed: some 16 to a bucket.
pub(super) fn bucket_bits(hashes: usize) -> u32 {
    hashes.max(1).ilog2().saturating_sub(4).clamp(4, 16)
}

/// The bounds of the cycle lemma for one chunk and for two neighbours, with buckets of some bits.
#[derive(Clone, Copy)]
struct Bounds {
    one: u32,
    two: u32,
    /// How far a chunk is shifted to give its bucket.
    shift: u32,
}

impl Bounds {
    fn new(radius: u32, bits: u32) -> Self {
        Self {
            one: radius / CHUNKS as u32,
            two: 2 * radius / CHUNKS as u32,
            shift: 16 - bits,
        }
    }

    /// Whether table `i` shows this pair of hashes, whose difference is given.
    fn show(self, difference: &Words, i: usize) -> bool {
        let here = (chunk(difference, i) >> self.shift).count_ones();
        here <= self.one && here + chunk(difference, (i + 1) % CHUNKS).count_ones() <= self.two
    }
}

/// By how much the buckets differ that a lookup reads: all numbers of so many bits with up to 3 set,
/// those with fewer first.
fn flips(bits: u32, most: u32) -> &'static [u16] {
    static FLIPS: LazyLock<[Vec<u16>; 17]> = LazyLock::new(|| {
        std::array::from_fn(|bits| {
            let all = (0..1_u32 << bits).map(|flip| flip as u16);
            let mut few: Vec<u16> = all.filter(|flip| flip.count_ones() <= 3).collect();
            few.sort_by_key(|flip| flip.count_ones());
            few
        })
    });
    let all = FLIPS.get(bits as usize).map_or(&[][..], Vec::as_slice);
    let count = all.partition_point(|flip| flip.count_ones() <= most);
    all.get(..count).unwrap_or_default()
}

/// How many buckets a lookup at this radius reads.
pub(super) fn probes(radius: u32, bits: u32) -> usize {
    CHUNKS * flips(bits, radius / CHUNKS as u32).len()
}

/// Where each table's arrays lie in those of all tables.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) hashes: usize,
    pub(super) bits: u32,
}

impl Shape {
    pub(super) fn new(hashes: usize) -> Self {
        let bits = bucket_bits(hashes);
        Self { hashes, bits }
    }

    /// Starts of one table: one more than there are buckets.
    fn starts(self) -> usize {
        (1 << self.bits) + 1
    }

    /// Fingerprints of one table: whole blocks, each of which is one cache line.
    fn prints(self) -> usize {
        self.hashes.next_multiple_of(BLOCK)
    }

    pub(super) fn all_starts(self) -> usize {
        CHUNKS * self.starts()
    }

    pub(super) fn all_prints(self) -> usize {
        CHUNKS * self.prints()
    }

    /// The hashes are sorted, which is the order of table 0: it needs no slots.
    pub(super) fn all_slots(self) -> usize {
        (CHUNKS - 1) * self.hashes
    }
}

/// The tables over sorted hashes.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a> {
    pub(super) shape: Shape,
    /// The hashes in ascending order; a hash's place in them is its slot.
    pub(super) hashes: &'a [Words],
    /// For each table, where each bucket begins.
    pub(super) starts: &'a [u32],
    /// For each table, the following chunk of each hash, bucket by bucket.
    pub(super) prints: &'a [u16],
    /// For each table but the first, the slot of each hash, in step with `prints`.
    pub(super) slots: &'a [u32],
}

/// Sorts the hashes into all tables, whose arrays must be of the shape's lengths, with all starts 0.
///
/// A counting sort writes all over its table, and soon waits for memory at each hash. So the hashes
/// are first dealt out by the upper half of their bucket, which writes in few places at a time; a
/// share then fits into the processor's cache, where it is sorted. Several tables are dealt at once,
/// to read the hashes less often, into memory where the slots of later tables will be.
pub(super) fn build(
    shape: Shape,
    hashes: &[Words],
    starts: &mut [u32],
    prints: &mut [u16],
    mut slots: &mut [u32],
) {
    if hashes.is_empty() {
        return;
    }
    let mut tables = starts
        .chunks_exact_mut(shape.starts())
        .zip(prints.chunks_exact_mut(shape.prints()))
        .map(|(starts, prints)| {
            let (prints, padding) = prints.split_at_mut(shape.hashes);
            padding.fill(0);
            (starts, prints)
        });
    let Some((first_starts, first_prints)) = tables.next() else {
        return;
    };
    let counts = first_table(shape, hashes, first_starts, first_prints);
    let mut room_for_last = None;
    let mut first = 1;
    while first < CHUNKS {
        // What is dealt takes twice the room of slots; one slot more may be lost to alignment.
        let fitting = ((CHUNKS - 1 - first) / 3).min(TOGETHER);
        let together = fitting.max(1);
        let (sorted, later) = slots.split_at_mut(together * shape.hashes);
        let dealt = if fitting > 0 {
            bytemuck::pod_align_to_mut(later).1
        } else {
            let room = room_for_last.get_or_insert_with(|| Memory::zeroed(8 * shape.hashes));
            bytemuck::cast_slice_mut(room.bytes_mut())
        };
        let counts = counts.get(first..first + together).unwrap_or_default();
        match together {
            1 => deal::<1>(shape, first, hashes, counts, dealt),
            2 => deal::<2>(shape, first, hashes, counts, dealt),
            3 => deal::<3>(shape, first, hashes, counts, dealt),
            _ => deal::<TOGETHER>(shape, first, hashes, counts, dealt),
        }
        let dealt = dealt.chunks_exact(shape.hashes).zip(counts);
        let sorted = sorted.chunks_exact_mut(shape.hashes).zip(&mut tables);
        for ((slots, (starts, prints)), (dealt, counts)) in sorted.zip(dealt) {
            sort_shares(shape, dealt, counts, starts, prints, slots);
        }
        slots = later;
        first += together;
    }
}

/// Most tables that are dealt at once.
const TOGETHER: usize = 4;

/// For each table, how many hashes are in each share.
type Counts = [[u32; SHARES]; CHUNKS];

/// Fills table 0, which the hashes are in the order of, and counts for the others.
fn first_table(shape: Shape, hashes: &[Words], starts: &mut [u32], prints: &mut [u16]) -> Counts {
    let mut counts = [[0; SHARES]; CHUNKS];
    for (hash, print) in hashes.iter().zip(prints) {
        starts[shape.bucket(chunk(hash, 0)) + 1] += 1;
        *print = chunk(hash, 1);
        for (i, counts) in counts.iter_mut().enumerate() {
            counts[shape.share(chunk(hash, i))] += 1;
        }
    }
    let mut before = 0;
    for start in starts {
        before += *start;
        *start = before;
    }
    counts
}

/// Most shares into which a table is dealt.
const SHARES: usize = 1 << 8;

impl Shape {
    /// Of a bucket's bits, how many tell one from others of its share.
    fn lower_bits(self) -> u32 {
        self.bits.saturating_sub(SHARES.ilog2())
    }

    fn bucket(self, chunk: u16) -> usize {
        usize::from(chunk >> (16 - self.bits))
    }

    fn share(self, chunk: u16) -> usize {
        self.bucket(chunk) >> self.lower_bits()
    }
}

/// Deals the hashes out by the share of chunk `first`, each as slot, chunk and following chunk, packed;
/// after them by that of the next chunk, and so on for `N` tables.
fn deal<const N: usize>(
    shape: Shape,
    first: usize,
    hashes: &[Words],
    counts: &[[u32; SHARES]],
    dealt: &mut [u64],
) {
    let mut before = 0;
    let mut ends = [[0; SHARES]; N];
    for (end, count) in ends.iter_mut().flatten().zip(counts.iter().flatten()) {
        *end = before;
        before += *count as usize;
    }
    for (slot, hash) in (0_u64..).zip(hashes) {
        for (i, ends) in (first..).zip(&mut ends) {
            let (here, next) = (chunk(hash, i), chunk(hash, (i + 1) % CHUNKS));
            let end = &mut ends[shape.share(here)];
            dealt[*end] = slot << 32 | u64::from(here) << 16 | u64::from(next);
            *end += 1;
        }
    }
}

/// Puts each share's hashes in the order of their buckets.
fn sort_shares(
    shape: Shape,
    mut dealt: &[u64],
    counts: &[u32; SHARES],
    starts: &mut [u32],
    prints: &mut [u16],
    slots: &mut [u32],
) {
    let lower = shape.lower_bits();
    let bucket = |hash: u64| shape.bucket((hash >> 16) as u16) & ((1 << lower) - 1);
    for (share, count) in counts.iter().take(1 << (shape.bits - lower)).enumerate() {
        let (hashes, left) = dealt.split_at(*count as usize);
        dealt = left;
        // The share's buckets, and the first after them: it begins where these end.
        let starts = &mut starts[share << lower..=(share + 1) << lower];
        for hash in hashes {
            starts[bucket(*hash) + 1] += 1;
        }
        let mut ends = [0_usize; SHARES];
        for at in 0..1 << lower {
            ends[at] = starts[at] as usize;
            starts[at + 1] += starts[at];
        }
        for hash in hashes {
            let end = &mut ends[bucket(*hash)];
            prints[*end] = *hash as u16;
            slots[*end] = (hash >> 32) as u32;
            *end += 1;
        }
    }
}

/// One table to be looked at for one query.
#[derive(Clone, Copy, Default)]
struct Item {
    query: u32,
    table: u8,
    /// Which of the groups of flips.
    group: u8,
}

/// Flips looked at together: as many as radius 31 has.
const GROUP: usize = 17;

/// How many items lie between two stages. While one waits for memory, others are worked on.
const LOCATE: usize = 2;
const SCAN: usize = LOCATE + 3;
const FETCH: usize = SCAN + 1;
const VERIFY: usize = FETCH + 2;
/// Items under way: more than [`VERIFY`].
const DEPTH: usize = 16;

/// Of a bucket's fingerprints, how many cache lines are asked for ahead; the processor sees by
/// itself that one reads on.
const LINES: usize = 16;

/// The first and the last block of a range; of an empty one, some block.
#[inline(always)]
fn ends_of((start, end): (u32, u32)) -> (usize, usize) {
    let last = end.saturating_sub(1).max(start);
    (start as usize / BLOCK, last as usize / BLOCK)
}

/// Asks for the fingerprints of a bucket.
#[inline(always)]
fn ask_for(blocks: &[[u16; BLOCK]], range: (u32, u32)) {
    let (first, last) = ends_of(range);
    simd::prefetch(blocks, first);
    simd::prefetch(blocks, last);
    if last > first + 1 {
        for between in (first + 1..last).take(LINES) {
            simd::prefetch(blocks, between);
        }
    }
}

/// Calls `survivor` with the place of each fingerprint in a bucket that differs from `print` in at
/// most `most` bits.
#[inline(always)]
fn scan<I: Isa>(
    isa: I,
    blocks: &[[u16; BLOCK]],
    range: (u32, u32),
    print: u16,
    most: u32,
    mut survivor: impl FnMut(u32),
) {
    if range.0 >= range.1 {
        return;
    }
    let (first, last) = ends_of(range);
    let Some(blocks) = blocks.get(first..=last) else {
        return;
    };
    // The first and the last block have fingerprints of neighbouring buckets too.
    let after_start = u32::MAX << (range.0 % BLOCK as u32);
    let before_end = u32::MAX >> (range.1.wrapping_neg() % BLOCK as u32);
    let mut note = |block: usize, mut near: u64| {
        while near != 0 {
            survivor(((first + block) * BLOCK) as u32 + near.trailing_zeros());
            near &= near - 1;
        }
    };
    let [start, .., end] = blocks else {
        let near = blocks.first().map_or(0, |b| isa.near(b, print, most));
        return note(0, u64::from(near & after_start & before_end));
    };
    let start = isa.near(start, print, most) & after_start;
    let end = isa.near(end, print, most) & before_end;
    if let [_, between @ .., _] = blocks
        && !between.is_empty()
    {
        note(0, u64::from(start));
        for (block, at) in between.iter().zip(1..) {
            note(at, u64::from(isa.near(block, print, most)));
        }
        return note(blocks.len() - 1, u64::from(end));
    }
    note(0, u64::from(end) << 32 | u64::from(start));
}

/// A hash to be compared in full.
struct Survivor {
    query: u32,
    table: u32,
    /// Its place in the table, then its slot.
    at: u32,
}

impl Ring<'_> {
    /// Calls `hit` once with each query's number, each slot at most `radius` (up to [`RADIUS_MAX`])
    /// away, and its distance. `order` says in which order which tables are looked at for which
    /// queries: each pair once.
    #[inline(always)]
    pub(super) fn search<I: Isa>(
        &self,
        isa: I,
        queries: &[Words],
        radius: u32,
        order: impl Iterator<Item = (u32, u8)>,
        mut hit: impl FnMut(u32, u32, u32),
    ) {
        let bounds = Bounds::new(radius, self.shape.bits);
        let flips = flips(self.shape.bits, bounds.one);
        let groups = flips.len().div_ceil(GROUP) as u8;
        let mut items = order.flat_map(|(query, table)| {
            (0..groups).map(move |group| Item {
                query,
                table,
                group,
            })
        });
        let group = |item: Item| {
            let flips = flips.get(GROUP * usize::from(item.group)..);
            let flips = flips.unwrap_or_default();
            &flips[..flips.len().min(GROUP)]
        };
        let mut under_way = [Item::default(); DEPTH];
        let mut ranges = [[(0_u32, 0_u32); GROUP]; DEPTH];
        let mut survivors: Vec<Survivor> = Vec::with_capacity(64);
        // Up to where in `survivors` each item's lie, and how many have been fetched and verified.
        let mut ends = [0_usize; DEPTH];
        let (mut fetched, mut verified) = (0, 0);
        let mut last = usize::MAX;
        let mut now = 0_usize;
        loop {
            if now < last {
                if let Some(item) = items.next() {
                    under_way[now % DEPTH] = item;
                    let (starts, bucket) = self.starts_of(&queries[item.query as usize], item);
                    for flip in group(item) {
                        // Sixteen starts share a cache line.
                        if *flip == 0 || *flip > 15 {
                            simd::prefetch(starts, usize::from(bucket ^ flip));
                        }
                    }
                } else {
                    last = now;
                }
            }
            if let Some(then) = now.checked_sub(LOCATE).filter(|then| *then < last) {
                let item = under_way[then % DEPTH];
                let (starts, bucket) = self.starts_of(&queries[item.query as usize], item);
                let blocks = self.blocks(item.table);
                for (flip, range) in group(item).iter().zip(&mut ranges[then % DEPTH]) {
                    let at = usize::from(bucket ^ flip);
                    *range = match starts.get(at..at + 2) {
                        Some(&[start, end]) => (start, end),
                        _ => (0, 0),
                    };
                    ask_for(blocks, *range);
                }
            }
            if let Some(then) = now.checked_sub(SCAN).filter(|then| *then < last) {
                let item = under_way[then % DEPTH];
                let query = &queries[item.query as usize];
                let print = chunk(query, (usize::from(item.table) + 1) % CHUNKS);
                let blocks = self.blocks(item.table);
                for (flip, range) in group(item).iter().zip(&ranges[then % DEPTH]) {
                    let most = bounds.two - flip.count_ones();
                    scan(isa, blocks, *range, print, most, |at| {
                        let table = u32::from(item.table);
                        let slot = |before| before as usize * self.shape.hashes + at as usize;
                        if let Some(before) = table.checked_sub(1) {
                            simd::prefetch(self.slots, slot(before));
                        }
                        survivors.push(Survivor {
                            query: item.query,
                            table,
                            at,
                        });
                    });
                }
                ends[then % DEPTH] = survivors.len();
            }
            if let Some(then) = now.checked_sub(FETCH).filter(|then| *then < last) {
                let end = ends[then % DEPTH];
                for survivor in &mut survivors[fetched..end] {
                    survivor.at = self.slot(survivor.table, survivor.at);
                    simd::prefetch(self.hashes, survivor.at as usize);
                }
                fetched = end;
            }
            if let Some(then) = now.checked_sub(VERIFY) {
                if then >= last {
                    break;
                }
                let end = ends[then % DEPTH];
                for survivor in &survivors[verified..end] {
                    let Some(hash) = self.hashes.get(survivor.at as usize) else {
                        continue;
                    };
                    let query = &queries[survivor.query as usize];
                    let distance = distance(query, hash);
                    if distance <= radius {
                        let difference: Words = std::array::from_fn(|w| query[w] ^ hash[w]);
                        // Several tables may show one hash; the first of them reports it.
                        let mut earlier = 0..survivor.table as usize;
                        if !earlier.any(|i| bounds.show(&difference, i)) {
                            hit(survivor.query, survivor.at, distance);
                        }
                    }
                }
                verified = end;
                if verified > 4096 {
                    survivors.drain(..verified);
                    for end in &mut ends {
                        *end = end.saturating_sub(verified);
                    }
                    fetched -= verified;
                    verified = 0;
                }
            }
            now += 1;
        }
    }

    /// Where the buckets of the item's table begin, and which of them the query would be in.
    #[inline(always)]
    fn starts_of(&self, query: &Words, item: Item) -> (&[u32], u16) {
        let table = usize::from(item.table);
        let first = table * self.shape.starts();
        let starts = self.starts.get(first..first + self.shape.starts());
        let bucket = chunk(query, table) >> (16 - self.shape.bits);
        (starts.unwrap_or_default(), bucket)
    }

    /// A table's fingerprints.
    #[inline(always)]
    fn blocks(&self, table: u8) -> &[[u16; BLOCK]] {
        let blocks = self.shape.prints() / BLOCK;
        let (all, _) = self.prints.as_chunks();
        let first = usize::from(table) * blocks;
        all.get(first..first + blocks).unwrap_or_default()
    }

    #[inline(always)]
    fn slot(&self, table: u32, place: u32) -> u32 {
        let Some(before) = table.checked_sub(1) else {
            return place;
        };
        let at = before as usize * self.shape.hashes + place as usize;
        self.slots.get(at).copied().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shearing_deals_rows_and_columns_over_all_chunks() {
        for row in 0..16 {
            let mut words = [0; 4];
            words[row / 4] = 0xffff << (16 * (row % 4));
            let sheared = sheared(words);
            assert!(
                (0..16).all(|i| chunk(&sheared, i).is_power_of_two()),
                "row {row}"
            );
        }
    }

    #[test]
    fn the_buckets_read_are_all_within_the_bound() {
        assert_eq!(probes(31, 16), 16 * 17);
        assert_eq!(probes(15, 16), 16);
        assert_eq!(probes(63, 16), 16 * 697);
        assert_eq!(flips(4, 1), [0, 1, 2, 4, 8]);
        assert_eq!(flips(4, 3).len(), 15);
    }

    proptest! {
        #[test]
        fn shearing_keeps_distances(a: [u64; 4], b: [u64; 4]) {
            prop_assert_eq!(distance(&a, &b), distance(&sheared(a), &sheared(b)));
        }

        // The proof in small: whatever the spread of the differing bits, some table shows the pair.
        #[test]
        fn some_table_shows_every_pair_in_the_radius(
            differing in proptest::collection::vec(0_usize..256, 0..=63),
            slack in 0_u32..4,
            bits in 4_u32..=16,
        ) {
            let mut difference = [0_u64; 4];
            for bit in differing {
                difference[bit / 64] |= 1 << (bit % 64);
            }
            let distance = distance(&difference, &[0; 4]);
            let bounds = Bounds::new((distance + slack).min(RADIUS_MAX), bits);
            prop_assert!((0..CHUNKS).any(|i| bounds.show(&difference, i)));
        }
    }
}
