//! Every PDQ hash within a distance of a given one: exact at each radius, changeable while in use.
//!
//! Hashes lie in slots. New ones wait in a short list that is searched in full; when it is long they
//! move into a [`Ring`], the searching structure, which cannot change. Rings come in levels, each
//! up to eight times the one below, and a level that is full is merged into the next: so a lookup
//! asks few rings, and a hash is moved a few times in all. A removed hash stops matching at once
//! and leaves its ring at the next merge, or when half of the ring is gone.

use super::keys::KeySlots;
use super::ring::{self, RADIUS_MAX, Ring, Words};
use crate::pdq::Pdq;
use std::fmt;

/// Newest hashes that are searched one by one.
const RECENT_MAX: usize = 1024;
/// Most entries for which room is made ahead on an iterator's word.
const RESERVE_MAX: usize = 1 << 26;
/// How many times larger each level of rings is.
const GROWTH: usize = 8;

/// A known hash near the one looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PdqHit {
    /// The key under which the hash was inserted.
    pub key: u64,
    /// In how many bits it differs, 0 to 256.
    pub distance: u32,
}

/// Where the hash of a slot is to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Recent,
    Level(u8),
    /// Removed, and in no ring or only still in one.
    Gone,
}

/// Known PDQ hashes by key.
///
/// With 1,000,000 hashes a lookup at radius 31 takes some tens of microseconds and the index some
/// 150 MB; [`PdqIndex::from_entries`] builds it in well under a second and a half. Radii over 31
/// are answered too, by looking at every hash.
///
/// ```
/// use manara_signal::Pdq;
/// use manara_signal::index::{PdqHit, PdqIndex};
///
/// let mut index = PdqIndex::new();
/// index.insert(7, Pdq([0x0f; 32]));
/// let mut hits = Vec::new();
/// index.query(&Pdq([0x0f; 32]), 31, &mut hits);
/// assert_eq!(hits, [PdqHit { key: 7, distance: 0 }]);
///
/// assert!(index.remove(7));
/// assert!(index.is_empty());
/// ```
#[derive(Default)]
pub struct PdqIndex {
    hashes: Vec<Words>,
    keys: Vec<u64>,
    places: Vec<Place>,
    by_key: KeySlots,
    /// Slots that no ring mentions and no key uses.
    free: Vec<u32>,
    recent: Vec<u32>,
    levels: Vec<Option<Level>>,
}

struct Level {
    ring: Ring,
    /// How many of the ring's slots have been removed.
    gone: usize,
}

impl fmt::Debug for PdqIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rings: Vec<usize> = self
            .levels
            .iter()
            .flatten()
            .map(|level| level.ring.len())
            .collect();
        f.debug_struct("PdqIndex")
            .field("len", &self.len())
            .field("rings", &rings)
            .finish_non_exhaustive()
    }
}

/// Most hashes in the ring of a level.
fn capacity(level: usize) -> usize {
    RECENT_MAX.saturating_mul(GROWTH.saturating_pow(level as u32 + 1))
}

impl PdqIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds an index of many hashes at once, far quicker than one by one. Of entries with the
    /// same key the last stays.
    pub fn from_entries(entries: impl IntoIterator<Item = (u64, Pdq)>) -> Self {
        let mut index = Self::default();
        let entries = entries.into_iter();
        let expected = entries.size_hint().0.min(RESERVE_MAX);
        index.hashes.reserve(expected);
        index.keys.reserve(expected);
        index.places.reserve(expected);
        index.by_key.reserve(expected, &[]);
        for (key, hash) in entries {
            if let Some(slot) = index.by_key.get(key, &index.keys) {
                index.hashes[slot as usize] = ring::sheared(hash.words());
            } else {
                let slot = index.place(key, &hash);
                index.recent.push(slot);
            }
        }
        if index.recent.len() > RECENT_MAX {
            index.merge();
        }
        index
    }

    /// Adds a hash under a key, in place of the hash that had it.
    pub fn insert(&mut self, key: u64, hash: Pdq) {
        self.remove(key);
        let slot = self.place(key, &hash);
        self.recent.push(slot);
        if self.recent.len() > RECENT_MAX {
            self.merge();
        }
    }

    /// Takes the key's hash out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(place) = self.remove_slot(key) else {
            return false;
        };
        if let Place::Level(level) = place {
            self.compact(usize::from(level));
        }
        true
    }

    /// Number of hashes.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all hashes within `radius` bits, nearest first, then by key.
    pub fn query(&self, hash: &Pdq, radius: u32, out: &mut Vec<PdqHit>) {
        let first = out.len();
        let query = ring::sheared(hash.words());
        let mut hit = |slot: u32, distance: u32| {
            if let Some(key) = self.keys.get(slot as usize) {
                out.push(PdqHit {
                    key: *key,
                    distance,
                });
            }
        };
        let gone = |slot: u32| {
            self.places
                .get(slot as usize)
                .is_none_or(|place| *place == Place::Gone)
        };
        if radius > RADIUS_MAX {
            for (slot, known) in (0_u32..).zip(&self.hashes) {
                let distance = ring::distance(&query, known);
                if distance <= radius && !gone(slot) {
                    hit(slot, distance);
                }
            }
        } else {
            for &slot in &self.recent {
                let Some(known) = self.hashes.get(slot as usize) else {
                    continue;
                };
                // Unrelated hashes differ in some 64 of the first 128 bits: half the work decides.
                let half = (query[0] ^ known[0]).count_ones() + (query[1] ^ known[1]).count_ones();
                if half <= radius {
                    let distance = ring::distance(&query, known);
                    if distance <= radius {
                        hit(slot, distance);
                    }
                }
            }
            for level in self.levels.iter().flatten() {
                level
                    .ring
                    .query(&query, radius, &self.hashes, |slot, distance| {
                        if !gone(slot) {
                            hit(slot, distance);
                        }
                    });
            }
        }
        if let Some(new) = out.get_mut(first..) {
            new.sort_unstable_by_key(|hit| (hit.distance, hit.key));
        }
    }

    /// Puts a hash into a slot and makes it known by key, as a recent one.
    fn place(&mut self, key: u64, hash: &Pdq) -> u32 {
        let words = ring::sheared(hash.words());
        let slot = if let Some(slot) = self.free.pop() {
            let at = slot as usize;
            self.hashes[at] = words;
            self.keys[at] = key;
            self.places[at] = Place::Recent;
            slot
        } else {
            self.hashes.push(words);
            self.keys.push(key);
            self.places.push(Place::Recent);
            (self.hashes.len() - 1) as u32
        };
        self.by_key.insert(slot, &self.keys);
        slot
    }

    /// Forgets a key. Gives where its hash was, or nothing if there is no such key.
    fn remove_slot(&mut self, key: u64) -> Option<Place> {
        let slot = self.by_key.remove(key, &self.keys)?;
        let place = std::mem::replace(&mut self.places[slot as usize], Place::Gone);
        match place {
            Place::Level(level) => {
                if let Some(Some(level)) = self.levels.get_mut(usize::from(level)) {
                    level.gone += 1;
                }
            }
            Place::Recent => {
                if let Some(at) = self.recent.iter().position(|other| *other == slot) {
                    self.recent.swap_remove(at);
                }
                self.free.push(slot);
            }
            Place::Gone => {}
        }
        Some(place)
    }

    /// Moves the recent hashes into a ring, together with all lower rings that would be too full.
    fn merge(&mut self) {
        let mut slots = std::mem::take(&mut self.recent);
        let mut level = 0;
        loop {
            if self.levels.len() <= level {
                self.levels.resize_with(level + 1, || None);
            }
            if let Some(old) = self.levels[level].take() {
                slots.extend_from_slice(old.ring.slots());
            }
            if slots.len() <= capacity(level) {
                break;
            }
            level += 1;
        }
        self.rebuild(level, slots);
    }

    /// Rebuilds a level's ring without its removed hashes once they are more than half of it.
    fn compact(&mut self, level: usize) {
        let wasteful = |level: &Level| 2 * level.gone > level.ring.len();
        if let Some(entry) = self.levels.get_mut(level)
            && let Some(old) = entry.take_if(|level| wasteful(level))
        {
            self.rebuild(level, old.ring.slots().to_vec());
        }
    }

    fn rebuild(&mut self, level: usize, mut slots: Vec<u32>) {
        let Self { places, free, .. } = self;
        slots.retain(|&slot| {
            let place = &mut places[slot as usize];
            if *place == Place::Gone {
                free.push(slot);
                return false;
            }
            *place = Place::Level(level as u8);
            true
        });
        if !slots.is_empty() {
            self.levels[level] = Some(Level {
                ring: Ring::build(&slots, &self.hashes),
                gone: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A small generator for test data (`SplitMix64`); its quality is ample and its seed is in the test.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
        fn hash(&mut self) -> Pdq {
            let mut bytes = [0; 32];
            bytes
                .as_chunks_mut::<8>()
                .0
                .iter_mut()
                .for_each(|chunk| *chunk = self.next().to_be_bytes());
            Pdq(bytes)
        }
        /// The hash with exactly `count` bits changed.
        fn changed(&mut self, hash: Pdq, count: u32) -> Pdq {
            let mut new = hash;
            while new.distance(&hash) < count {
                let bit = self.next() as usize % 256;
                new.0[bit / 8] =
                    (new.0[bit / 8] & !(1 << (bit % 8))) | (!hash.0[bit / 8] & (1 << (bit % 8)));
            }
            new
        }
    }

    fn found(index: &PdqIndex, query: &Pdq, radius: u32) -> Vec<(u32, u64)> {
        let mut hits = Vec::new();
        index.query(query, radius, &mut hits);
        hits.iter().map(|hit| (hit.distance, hit.key)).collect()
    }

    fn brute(entries: &BTreeMap<u64, Pdq>, query: &Pdq, radius: u32) -> Vec<(u32, u64)> {
        let distances = entries
            .iter()
            .map(|(key, hash)| (hash.distance(query), *key));
        let mut near: Vec<_> = distances
            .filter(|(distance, _)| *distance <= radius)
            .collect();
        near.sort_unstable();
        near
    }

    #[test]
    fn as_brute_force_at_every_radius() {
        let mut random = Random(1);
        let mut entries: BTreeMap<u64, Pdq> = (0..20_000).map(|key| (key, random.hash())).collect();
        let query = random.hash();
        for distance in 0..=256 {
            entries.insert(
                100_000 + u64::from(distance),
                random.changed(query, distance),
            );
        }
        let index = PdqIndex::from_entries(entries.iter().map(|(key, hash)| (*key, *hash)));
        assert_eq!(index.len(), entries.len());
        for radius in (0..=64).chain([100, 128, 255, 256, 257, u32::MAX]) {
            assert_eq!(
                found(&index, &query, radius),
                brute(&entries, &query, radius),
                "radius {radius}"
            );
        }
    }

    /// Differences spread so that the index's bounds are just met: 15 chunks of 2 bits and one of 1,
    /// in the index's own order of bits, turned to begin at each chunk; and all in few chunks.
    #[test]
    fn the_hardest_spreads_of_31_bits_are_found() {
        let mut random = Random(2);
        let query = random.hash();
        // Which sheared bit each bit of a hash becomes, to place differences chunk by chunk.
        let mut bit_of = [0_usize; 256];
        for bit in 0..256 {
            let mut words = [0; 4];
            words[bit / 64] = 1 << (bit % 64);
            let sheared = ring::sheared(words);
            let to = sheared.iter().position(|word| *word != 0).unwrap();
            bit_of[64 * to + sheared[to].trailing_zeros() as usize] = bit;
        }
        let flip = |bits: &[usize]| {
            let mut hash = query;
            for sheared in bits {
                let bit = bit_of[*sheared];
                hash.0[8 * (bit / 64) + 7 - bit % 64 / 8] ^= 1 << (bit % 8);
            }
            hash
        };
        let mut entries = BTreeMap::new();
        for round in 0..2000_u64 {
            let lone = round as usize % 16;
            let mut bits = Vec::new();
            for chunk in 0..16 {
                let first = random.next() as usize % 16;
                let second = (first + 1 + random.next() as usize % 15) % 16;
                bits.push(16 * chunk + first);
                bits.extend((chunk != lone).then_some(16 * chunk + second));
            }
            assert_eq!(bits.len(), 31);
            entries.insert(round, flip(&bits));
            let start = random.next() as usize % 256;
            entries.insert(
                10_000 + round,
                flip(&(0..31).map(|i| (start + i) % 256).collect::<Vec<_>>()),
            );
        }
        let index = PdqIndex::from_entries(entries.iter().map(|(key, hash)| (*key, *hash)));
        assert_eq!(found(&index, &query, 31), brute(&entries, &query, 31));
        assert_eq!(found(&index, &query, 31).len(), 4000);
        assert_eq!(found(&index, &query, 30).len(), 0);
    }

    #[test]
    fn many_equal_and_flat_hashes_are_found() {
        let entries: BTreeMap<u64, Pdq> = (0..5000)
            .map(|key| (key, Pdq([if key % 2 == 0 { 0 } else { 255 }; 32])))
            .collect();
        let index = PdqIndex::from_entries(entries.iter().map(|(key, hash)| (*key, *hash)));
        let mut query = Pdq([0; 32]);
        query.0[3] = 7;
        assert_eq!(found(&index, &query, 31), brute(&entries, &query, 31));
    }

    #[test]
    fn changes_one_by_one_over_several_levels() {
        let mut random = Random(3);
        let (mut index, mut entries) = (PdqIndex::new(), BTreeMap::new());
        let centre = random.hash();
        for step in 0..30_000_u64 {
            let key = random.next() % 12_000;
            if random.next().is_multiple_of(3) {
                assert_eq!(index.remove(key), entries.remove(&key).is_some());
            } else {
                let bits = (random.next() % 60) as u32;
                let hash = if step % 50 == 0 {
                    random.changed(centre, bits)
                } else {
                    random.hash()
                };
                index.insert(key, hash);
                entries.insert(key, hash);
            }
            assert_eq!(index.len(), entries.len());
            if step % 1009 == 0 {
                for radius in [0, 15, 16, 30, 31, 32] {
                    assert_eq!(
                        found(&index, &centre, radius),
                        brute(&entries, &centre, radius),
                        "step {step}"
                    );
                }
            }
        }
        // Slots of removed hashes are used again.
        assert!(
            index.hashes.len() < 4 * entries.len().max(1),
            "{} slots",
            index.hashes.len()
        );
        for key in entries.keys() {
            assert!(index.remove(*key));
        }
        assert!(index.is_empty() && found(&index, &centre, 256).is_empty());
    }

    #[test]
    fn of_entries_with_one_key_the_last_stays() {
        let index =
            PdqIndex::from_entries([(1, Pdq([0; 32])), (2, Pdq([1; 32])), (1, Pdq([255; 32]))]);
        assert_eq!(index.len(), 2);
        assert_eq!(found(&index, &Pdq([255; 32]), 31), [(0, 1)]);
        assert_eq!(found(&index, &Pdq([0; 32]), 31), []);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u8, Vec<u8>),
        Remove(u64),
        Merge,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..40_u64, 0..3_u8, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, c, b)| Step::Insert(k, c, b)),
            2 => (0..40_u64).prop_map(Step::Remove),
            1 => Just(Step::Merge),
        ];
        proptest::collection::vec(step, 0..80)
    }

    fn near(centre: u8, flips: &[u8]) -> Pdq {
        let mut hash = Pdq([centre.wrapping_mul(85); 32]);
        for bit in flips {
            hash.0[usize::from(bit / 8)] ^= 1 << (bit % 8);
        }
        hash
    }

    proptest! {
        #[test]
        fn as_a_plain_map_would_answer(steps in steps(), flips in proptest::collection::vec(any::<u8>(), 0..20), radius in 0_u32..70) {
            let (mut index, mut map) = (PdqIndex::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, centre, flips) => {
                        index.insert(key, near(centre, &flips));
                        map.insert(key, near(centre, &flips));
                    }
                    Step::Remove(key) => prop_assert_eq!(index.remove(key), map.remove(&key).is_some()),
                    Step::Merge => index.merge(),
                }
                let query = near(0, &flips);
                prop_assert_eq!(found(&index, &query, radius), brute(&map, &query, radius));
            }
        }
    }
}
