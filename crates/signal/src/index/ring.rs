//! The ring index: sixteen tables over a fixed set of PDQ hashes, exact for radius 0 to 31.
//!
//! A hash is cut into 16 chunks of 16 bits. If two hashes differ in at most `r` bits, then going
//! round the ring of chunks there is a start from which every stretch of `l` chunks differs in at
//! most `r l / 16` bits (the cycle lemma). For `r = 31` that is: some chunk differs in at most 1
//! bit, and it and the next together in at most 3. So table `i` is bucketed by chunk `i` and keeps,
//! for each hash, only the 2 bytes of chunk `i + 1`: 17 buckets are looked at (the chunk and its 16
//! one-bit neighbours), and the 2 bytes discard almost all that lies in them. What is left, some
//! 16 of a million, is compared in full.
//!
//! Real hashes are not random: neighbouring frequencies go together. [`sheared`] therefore deals
//! every row and column of the 16x16 bits out over all chunks, so that no chunk is nearly constant.

/// A hash as the index keeps it: four words, chunk `i` in bits `16 (i % 4)` of word `i / 4`.
pub(super) type Words = [u64; 4];

const CHUNKS: usize = 16;
const BUCKETS: usize = 1 << 16;

/// The largest radius a ring answers.
pub(super) const RADIUS_MAX: u32 = 31;

/// Rearranges bits so that chunk `c` has bit `i` of row `(i + c) mod 16`. Distances stay the same.
pub(super) fn sheared(words: Words) -> Words {
    let mut rows: [u16; CHUNKS] = std::array::from_fn(|i| chunk(&words, i));
    // Bit column `i` must move by `i` rows: by 1, 2, 4 and 8 for the binary digits of `i`.
    for (shift, moving) in [(1, 0xaaaa), (2, 0xcccc), (4, 0xf0f0), (8, 0xff00_u16)] {
        rows = std::array::from_fn(|c| (rows[c] & !moving) | (rows[(c + shift) % CHUNKS] & moving));
    }
    let word = |w: usize| (0..4).fold(0, |word, i| word | (u64::from(rows[4 * w + i]) << (16 * i)));
    std::array::from_fn(word)
}

#[inline]
fn chunk(words: &Words, i: usize) -> u16 {
    (words[i / 4 % 4] >> (16 * (i % 4))) as u16
}

/// In how many bits two hashes differ.
#[inline]
pub(super) fn distance(a: &Words, b: &Words) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The bounds of the cycle lemma for one chunk and for two neighbours.
#[derive(Clone, Copy)]
struct Bounds {
    one: u32,
    two: u32,
}

impl Bounds {
    fn new(radius: u32) -> Self {
        Self {
            one: radius / CHUNKS as u32,
            two: 2 * radius / CHUNKS as u32,
        }
    }

    /// Whether table `i` shows this pair of hashes, whose difference is given.
    fn show(self, difference: &Words, i: usize) -> bool {
        let here = chunk(difference, i).count_ones();
        here <= self.one && here + chunk(difference, (i + 1) % CHUNKS).count_ones() <= self.two
    }
}

/// One bucketing of all hashes.
struct Table {
    /// Bucket `b` is `starts[b]..starts[b + 1]`.
    starts: Vec<u32>,
    /// The following chunk of each hash, bucket by bucket.
    nexts: Vec<u16>,
    /// The slot of each hash, in step with `nexts`.
    slots: Vec<u32>,
}

impl Table {
    /// A counting sort of the slots by chunk `i`.
    fn build(i: usize, slots: &[u32], hashes: &[Words]) -> Self {
        let hash = |slot: u32| hashes.get(slot as usize).unwrap_or(&[0; 4]);
        let mut starts = vec![0_u32; BUCKETS + 1];
        for slot in slots {
            starts[usize::from(chunk(hash(*slot), i)) + 1] += 1;
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        let mut ends = starts.clone();
        // A block more, so that the last bucket can be read in whole blocks.
        let (mut sorted, mut nexts) = (vec![0; slots.len()], vec![0; slots.len() + BLOCK]);
        for &slot in slots {
            let hash = hash(slot);
            let end = &mut ends[usize::from(chunk(hash, i))];
            let at = *end as usize;
            *end += 1;
            sorted[at] = slot;
            nexts[at] = chunk(hash, (i + 1) % CHUNKS);
        }
        Self {
            starts,
            nexts,
            slots: sorted,
        }
    }

    /// Calls `survivor` with the slots that lie near enough to `here` in this chunk and to `next` in
    /// the following one.
    fn probe(&self, bounds: Bounds, here: u16, next: u16, mut survivor: impl FnMut(u32)) {
        if bounds.one == 0 {
            let bucket = self.bucket(here);
            return match bounds.two {
                0 => self.scan::<0>(bucket, next, survivor),
                _ => self.scan::<1>(bucket, next, survivor),
            };
        }
        let buckets: [(u32, u32); 17] =
            std::array::from_fn(|bit| self.bucket(here ^ (1_u32 << bit >> 1) as u16));
        // The buckets lie far apart in memory: to ask for all before reading any lets the waits overlap.
        let touched = buckets
            .iter()
            .map(|(start, _)| self.nexts.get(*start as usize).copied().unwrap_or_default());
        std::hint::black_box(touched.fold(0, u16::wrapping_add));
        let [exact, flipped @ ..] = buckets;
        if bounds.two == 3 {
            self.scan::<3>(exact, next, &mut survivor);
            for bucket in flipped {
                self.scan::<2>(bucket, next, &mut survivor);
            }
        } else {
            self.scan::<2>(exact, next, &mut survivor);
            for bucket in flipped {
                self.scan::<1>(bucket, next, &mut survivor);
            }
        }
    }

    /// Where a bucket lies.
    #[inline]
    fn bucket(&self, bucket: u16) -> (u32, u32) {
        let at = usize::from(bucket);
        (self.starts[at], self.starts[at + 1])
    }

    /// Calls `survivor` with each slot of `start..end` whose following chunk differs from `next` in
    /// at most `BITS` bits.
    #[inline]
    fn scan<const BITS: u32>(
        &self,
        (start, end): (u32, u32),
        next: u16,
        mut survivor: impl FnMut(u32),
    ) {
        let (start, len) = (start as usize, (end - start) as usize);
        // Whole blocks, reading on into the next bucket: cheaper than fewer, one by one.
        let blocks = self
            .nexts
            .get(start..start + len.next_multiple_of(BLOCK))
            .unwrap_or_default();
        for (block, at) in blocks
            .as_chunks::<BLOCK>()
            .0
            .iter()
            .zip((0..).step_by(BLOCK))
        {
            // Most blocks have no survivor: one test for eight, which the compiler makes one vector.
            if block
                .iter()
                .fold(false, |any, c| any | within::<BITS>(c ^ next))
            {
                for (c, k) in block.iter().zip(at..len) {
                    if within::<BITS>(c ^ next) {
                        survivor(self.slots[start + k]);
                    }
                }
            }
        }
    }
}

/// Following chunks compared together.
const BLOCK: usize = 8;

/// Whether at most `BITS` bits are set: taking the lowest one away so many times leaves none. This
/// is shorter than counting on processors without an instruction for it.
#[inline]
fn within<const BITS: u32>(bits: u16) -> bool {
    (0..BITS).fold(bits, |bits, _| bits & bits.wrapping_sub(1)) == 0
}

/// A fixed set of hashes, by slot.
pub(super) struct Ring {
    tables: Vec<Table>,
    len: usize,
}

impl Ring {
    /// Indexes the hashes at `slots`.
    pub(super) fn build(slots: &[u32], hashes: &[Words]) -> Self {
        let tables = (0..CHUNKS)
            .map(|i| Table::build(i, slots, hashes))
            .collect();
        Self {
            tables,
            len: slots.len(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All slots in the ring.
    pub(super) fn slots(&self) -> &[u32] {
        self.tables.first().map_or(&[], |table| &table.slots)
    }

    /// Calls `hit` once with each slot at most `radius` (up to [`RADIUS_MAX`]) away, and its distance.
    pub(super) fn query(
        &self,
        query: &Words,
        radius: u32,
        hashes: &[Words],
        mut hit: impl FnMut(u32, u32),
    ) {
        let bounds = Bounds::new(radius.min(RADIUS_MAX));
        for (i, table) in self.tables.iter().enumerate() {
            let next = chunk(query, (i + 1) % CHUNKS);
            let compare = |slot: u32| {
                let Some(hash) = hashes.get(slot as usize) else {
                    return;
                };
                let difference: Words = std::array::from_fn(|w| query[w] ^ hash[w]);
                let distance = distance(query, hash);
                // Several tables may show one hash; the first that does reports it.
                if distance <= radius && !(0..i).any(|earlier| bounds.show(&difference, earlier)) {
                    hit(slot, distance);
                }
            };
            table.probe(bounds, chunk(query, i), next, compare);
        }
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

    proptest! {
        #[test]
        fn shearing_keeps_distances(a: [u64; 4], b: [u64; 4]) {
            prop_assert_eq!(distance(&a, &b), distance(&sheared(a), &sheared(b)));
        }

        // The proof in small: whatever the spread of the differing bits, some table shows the pair.
        #[test]
        fn some_table_shows_every_pair_in_the_radius(
            bits in proptest::collection::vec(0_usize..256, 0..=31),
            slack in 0_u32..4,
        ) {
            let mut difference = [0_u64; 4];
            for bit in bits {
                difference[bit / 64] |= 1 << (bit % 64);
            }
            let distance = distance(&difference, &[0; 4]);
            let bounds = Bounds::new((distance + slack).min(RADIUS_MAX));
            prop_assert!((0..CHUNKS).any(|i| bounds.show(&difference, i)));
        }
    }
}
