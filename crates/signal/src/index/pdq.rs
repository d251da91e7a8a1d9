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
        let rings: Vec<usize> = self.levels.iter().flatten().map(|level| level.ring.len()).collect();
        f.debug_struct("PdqIndex").field("len", &self.len()).field("rings", &rings).finish_non_exhaustive()
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
        let Some(level) = self.remove_slot(key) else { return false };
        if let Some(level) = level {
            self.compact(level);
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
                out.push(PdqHit { key: *key, distance });
            }
        };
        let gone = |slot: u32| self.places.get(slot as usize).is_none_or(|place| *place == Place::Gone);
        if radius > RADIUS_MAX {
            for (slot, known) in (0_u32..).zip(&self.hashes) {
                let distance = ring::distance(&query, known);
                if distance <= radius && !gone(slot) {
                    hit(slot, distance);
                }
            }
        } else {
            for &slot in &self.recent {
                let Some(known) = self.hashes.get(slot as usize) else { continue };
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
                level.ring.query(&query, radius, &self.hashes, |slot, distance| {
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

    /// Forgets a key. Gives nothing if it was not there, else the level whose ring still has its slot.
    fn remove_slot(&mut self, key: u64) -> Option<Option<usize>> {
        let slot = self.by_key.remove(key, &self.keys)?;
        match std::mem::replace(&mut self.places[slot as usize], Place::Gone) {
            Place::Level(level) => {
                let level = usize::from(level);
                if let Some(Some(ring)) = self.levels.get_mut(level) {
                    ring.gone += 1;
                }
                Some(Some(level))
            }
            Place::Recent => {
                if let Some(at) = self.recent.iter().position(|other| *other == slot) {
                    self.recent.swap_remove(at);
                }
                self.free.push(slot);
                Some(None)
            }
            Place::Gone => Some(None),
        }
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
            self.levels[level] = Some(Level { ring: Ring::build(&slots, &self.hashes), gone: 0 });
        }
    }
}
