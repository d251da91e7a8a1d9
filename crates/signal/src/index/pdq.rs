//! Every PDQ hash within a distance of a given one: exact at each radius, changeable while in use.
//!
//! New hashes wait in a short list that is searched in full. When it is long it is sealed into a
//! [`Segment`], which is searched by its [ring](super::ring) and cannot change. Segments are merged
//! into larger ones, so that a lookup asks few. A removed hash is noted beside its segment, stops
//! matching at once, and leaves when the segment is merged.
//!
//! Merging is work of seconds when there are millions of hashes, so it is done elsewhere: the
//! index hands out a [`Work`], some thread [runs](Work::run) it, and the index
//! [installs](PdqIndex::install) what came out. Meanwhile it answers and changes as ever.
//!
//! ```text
//! insert ─► recent ─ seal ─► segments ─ work ─► Work ─ run ─► Done
//!                               ▲                               │
//!                               └──────────── install ──────────┘
//! ```

use super::ring::{self, RADIUS_MAX, Words};
use super::segment::{ENTRIES_MAX, Entry, Filling, Segment};
use super::simd::{Isa, Job, Level};
use crate::pdq::Pdq;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// Newest hashes that are searched one by one, in less time than a segment of them would take.
const RECENT_MAX: usize = 4096;
/// Segments are merged when the larger is no more than so many times the smaller: each costs a
/// lookup some microseconds, which among a million hashes is much, and merging is done elsewhere.
const RATIO: usize = 256;
/// A segment is small up to so many members.
const SMALL: usize = 1 << 16;
/// With more small segments, nobody seems to ask for work, and it is done in between.
const SMALL_SEGMENTS_MAX: usize = 8;
/// The same while work is under way. Then only small segments are merged in between.
const SMALL_SEGMENTS_MAX_WORKING: usize = 32;
/// Queries of a stream that are worked on together.
const STREAM: usize = 64;
/// Queries of a bulk that are sorted together.
const BULK: usize = 1 << 14;

/// A known hash near the one looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PdqHit {
    /// The key under which the hash was inserted.
    pub key: u64,
    /// In how many bits it differs, 0 to 256.
    pub distance: u32,
}

/// Known PDQ hashes by key.
///
/// A lookup at radius 31 among 1,000,000 hashes takes some ten microseconds, and the index some
/// 145 bytes for each; equal hashes are stored once. A radius of 32 to 63 reads more of the tables
/// (up to 41 times as much); a wider one, of no use with PDQ, compares every hash.
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
///
/// An index that changes should have somebody see to its work, away from any lock:
///
/// ```
/// # use manara_signal::index::PdqIndex;
/// # use std::sync::RwLock;
/// # let index = RwLock::new(PdqIndex::new());
/// let work = index.write().unwrap().work();
/// if let Some(work) = work {
///     let mut done = work.run(); // takes its time, on this thread, with the lock free
///     index.write().unwrap().install(&mut done);
/// } // the memory of what was replaced is freed here, with the lock free again
/// ```
#[derive(Default)]
pub struct PdqIndex {
    recent: Recent,
    parts: Vec<Part>,
    under_way: Option<UnderWay>,
    level: Level,
}

/// A segment, and which of its members have been removed since.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) segment: Arc<Segment>,
    pub(super) gone: Gone,
}

/// Removed members, a bit for each place.
#[derive(Clone, Default)]
pub(super) struct Gone {
    pub(super) bits: Vec<u64>,
    pub(super) count: usize,
}

impl Gone {
    fn none(members: usize) -> Self {
        let bits = vec![0; members.div_ceil(64)];
        Self { bits, count: 0 }
    }

    #[inline]
    fn has(&self, place: u32) -> bool {
        let word = self.bits.get(place as usize / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Notes a removal; whether it was not noted yet.
    fn add(&mut self, place: u32) -> bool {
        let Some(word) = self.bits.get_mut(place as usize / 64) else {
            return false;
        };
        let bit = 1 << (place % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += usize::from(new);
        new
    }
}

impl Part {
    fn new(segment: Segment) -> Self {
        Self {
            gone: Gone::none(segment.members()),
            segment: Arc::new(segment),
        }
    }

    /// Members that have not been removed.
    fn len(&self) -> usize {
        self.segment.members().saturating_sub(self.gone.count)
    }

    /// Removes a key; whether it was there.
    fn remove(&mut self, key: u64) -> bool {
        let place = self.segment.place(key);
        place.is_some_and(|place| self.gone.add(place))
    }

    /// Whether it takes much more room than it should.
    fn is_wasteful(&self) -> bool {
        4 * self.gone.count > self.segment.members()
    }
}

/// Segments to be merged into one, away from the index.
#[must_use = "work that is dropped is handed out again, and then takes as long"]
pub struct Work {
    parts: Vec<(Arc<Segment>, Gone)>,
    token: Arc<()>,
}

/// What came out of [`Work::run`]. After [`PdqIndex::install`] it has the memory of what was
/// replaced, to be freed where it delays nobody.
#[must_use = "it does nothing until it is installed"]
pub struct Done {
    replaced: Vec<Arc<Segment>>,
    segment: Segment,
    token: Arc<()>,
}

/// What the index remembers of the work handed out.
struct UnderWay {
    token: Weak<()>,
    segments: Vec<Weak<Segment>>,
    /// Keys removed since.
    removed: Vec<u64>,
}

impl Work {
    /// Does the work: under half a microsecond a hash among millions, and half as much among fewer.
    pub fn run(self) -> Done {
        let len = |(segment, gone): &(Arc<Segment>, Gone)| segment.members() - gone.count;
        let count = self.parts.iter().map(len).sum();
        let mut entries = self.parts.iter().flat_map(|(segment, gone)| {
            let all = segment.view().entries();
            let left = all.filter(|(.., place)| !gone.has(*place));
            left.map(|(hash, key, _)| (hash, key))
        });
        let segment = build(count, &mut entries);
        drop(entries);
        Done {
            segment,
            replaced: self.parts.into_iter().map(|(segment, _)| segment).collect(),
            token: self.token,
        }
    }
}

/// Builds a segment of the next `count` entries. Of those with the same key the last stays.
fn build(count: usize, entries: &mut impl Iterator<Item = Entry>) -> Segment {
    let mut filling = Filling::take(count, entries);
    loop {
        filling = match filling.build() {
            Ok(segment) => return segment,
            Err(mut same) => {
                let last: HashMap<u64, Words> =
                    same.entries().map(|(hash, key)| (key, hash)).collect();
                let count = last.len();
                Filling::take(count, &mut last.into_iter().map(|(key, hash)| (hash, key)))
            }
        }
    }
}

impl fmt::Debug for PdqIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments: Vec<usize> = self.parts.iter().map(Part::len).collect();
        f.debug_struct("PdqIndex")
            .field("len", &self.len())
            .field("segments", &segments)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.parts.iter().map(|(segment, _)| segment.members());
        f.debug_struct("Work")
            .field("members", &members.sum::<usize>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("replaced", &self.replaced.len())
            .finish_non_exhaustive()
    }
}

impl PdqIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds an index of many hashes at once, far quicker than one by one. Of entries with the
    /// same key the last stays.
    ///
    /// It takes least memory when the entries know how many they are, as those of a `Vec` do.
    pub fn from_entries(entries: impl IntoIterator<Item = (u64, Pdq)>) -> Self {
        let entries = entries.into_iter();
        let mut left = entries.map(|(key, hash)| (ring::sheared(hash.words()), key));
        let mut index = Self::default();
        loop {
            let segment = match left.size_hint() {
                (least, Some(most)) if least == most && least > 0 => build(least, &mut left),
                _ => {
                    let some: Vec<Entry> = left.by_ref().take(ENTRIES_MAX).collect();
                    build(some.len(), &mut some.into_iter())
                }
            };
            if segment.members() == 0 {
                return index;
            }
            for earlier in &mut index.parts {
                for key in segment.keys() {
                    earlier.remove(*key);
                }
            }
            index.parts.push(Part::new(segment));
        }
    }

    pub(super) fn from_parts(parts: Vec<Part>, recent: Recent) -> Self {
        Self {
            recent,
            parts,
            under_way: None,
            level: Level::default(),
        }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Adds a hash under a key, in place of the hash that had it.
    pub fn insert(&mut self, key: u64, hash: Pdq) {
        self.remove(key);
        self.recent.push(ring::sheared(hash.words()), key);
        if self.recent.keys.len() >= RECENT_MAX {
            self.seal();
            self.merge_in_between();
        }
    }

    /// Takes the key's hash out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        if self.recent.remove(key) {
            return true;
        }
        let removed = self.parts.iter_mut().any(|part| part.remove(key));
        if removed && let Some(under_way) = &mut self.under_way {
            under_way.removed.push(key);
        }
        removed
    }

    /// Number of hashes.
    pub fn len(&self) -> usize {
        self.recent.keys.len() + self.parts.iter().map(Part::len).sum::<usize>()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index as it is now, to be looked up in or written while this one goes on changing. It
    /// shares the segments, so it is made in no time; work under way is this one's alone.
    #[must_use]
    pub fn view(&self) -> Self {
        Self {
            recent: self.recent.clone(),
            parts: self.parts.clone(),
            under_way: None,
            level: self.level,
        }
    }

    /// Bytes of memory that the index takes, with those lent by a snapshot.
    pub fn memory(&self) -> usize {
        let part =
            |part: &Part| size_of::<Part>() + part.segment.memory() + 8 * part.gone.bits.capacity();
        self.recent.keys.capacity() * size_of::<Entry>()
            + self.parts.iter().map(part).sum::<usize>()
    }

    /// Work that would make lookups quicker, if there is any and none is under way.
    ///
    /// Ask after every few changes: it is quick to say that there is nothing to do. If nobody asks,
    /// merging is done within some calls of [`PdqIndex::insert`], which then take long. Work that
    /// is dropped is handed out again.
    pub fn work(&mut self) -> Option<Work> {
        if self.is_working() {
            return None;
        }
        self.under_way = None;
        let chosen = self.choose(usize::MAX);
        let work = self.take_on(&chosen)?;
        self.under_way = Some(UnderWay {
            token: Arc::downgrade(&work.token),
            segments: work.parts.iter().map(|(s, _)| Arc::downgrade(s)).collect(),
            removed: Vec::new(),
        });
        Some(work)
    }

    /// Puts the outcome of this index's work in place: in a few microseconds, and one more for
    /// each hash removed while the work went on. The outcome of other work changes nothing.
    pub fn install(&mut self, done: &mut Done) {
        let token = Arc::downgrade(&done.token);
        let Some(under_way) = self.under_way.take_if(|it| it.token.ptr_eq(&token)) else {
            return;
        };
        self.replace(done, &under_way.removed);
    }

    /// Makes a segment of the recent hashes.
    fn seal(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        let segment = build(recent.keys.len(), &mut recent.entries());
        self.parts.push(Part::new(segment));
    }

    fn is_working(&self) -> bool {
        let under_way = self.under_way.as_ref();
        under_way.is_some_and(|it| it.token.strong_count() > 0)
    }

    /// Puts a merged segment, less some keys, in place of those it was made of.
    fn replace(&mut self, done: &mut Done, removed: &[u64]) {
        self.parts.retain(|part| {
            let mut replaced = done.replaced.iter();
            !replaced.any(|segment| Arc::ptr_eq(segment, &part.segment))
        });
        let mut new = Part::new(std::mem::replace(
            &mut done.segment,
            build(0, &mut std::iter::empty()),
        ));
        for key in removed {
            new.remove(*key);
        }
        if new.len() > 0 {
            self.parts.push(new);
        }
    }

    /// Keeps the number of small segments in bounds when nobody asks for work, or work takes long.
    fn merge_in_between(&mut self) {
        let (count_max, len_max) = if self.is_working() {
            (SMALL_SEGMENTS_MAX_WORKING, SMALL)
        } else {
            (SMALL_SEGMENTS_MAX, usize::MAX)
        };
        let small = self.free(SMALL).count();
        if small > count_max
            && let Some(work) = self.take_on(&self.choose(len_max))
        {
            self.replace(&mut work.run(), &[]);
        }
    }

    /// The places of the segments of up to `len_max` hashes on which no work is under way.
    fn free(&self, len_max: usize) -> impl Iterator<Item = usize> + '_ {
        let worked_on = self.under_way.as_ref().filter(|_| self.is_working());
        let worked_on = worked_on.map_or(&[][..], |it| &it.segments);
        let is_free = move |part: &Part| {
            let mut segments = worked_on.iter();
            part.len() <= len_max && !segments.any(|it| it.as_ptr() == Arc::as_ptr(&part.segment))
        };
        let parts = self.parts.iter().enumerate();
        parts
            .filter(move |(_, part)| is_free(part))
            .map(|(at, _)| at)
    }

    /// The places of segments of up to `len_max` hashes that should be merged, or of one that should
    /// be built anew.
    fn choose(&self, len_max: usize) -> Vec<usize> {
        let len = |at: &usize| self.parts.get(*at).map_or(0, Part::len);
        let mut places: Vec<usize> = self.free(len_max).collect();
        places.sort_by_key(len);
        let (mut count, mut sum) = (0, 0_usize);
        for len in places.iter().map(len) {
            if count > 0 && (len > RATIO * sum.max(1) || sum + len > ENTRIES_MAX) {
                break;
            }
            count += 1;
            sum += len;
        }
        if count < 2 {
            places.retain(|at| self.parts.get(*at).is_some_and(Part::is_wasteful));
            count = 1;
        }
        places.truncate(count);
        places
    }

    fn take_on(&self, places: &[usize]) -> Option<Work> {
        let parts = places.iter().filter_map(|at| self.parts.get(*at));
        let parts: Vec<_> = parts
            .map(|part| (part.segment.clone(), part.gone.clone()))
            .collect();
        let token = Arc::new(());
        (!parts.is_empty()).then_some(Work { parts, token })
    }
}

/// Looking up.
impl PdqIndex {
    /// Appends all hashes within `radius` bits, nearest first, then by key.
    pub fn query(&self, hash: &Pdq, radius: u32, out: &mut Vec<PdqHit>) {
        let first = out.len();
        let order: [(u32, u8); 16] = std::array::from_fn(|table| (0, table as u8));
        let queries = [ring::sheared(hash.words())];
        self.search(&queries, radius, &order, |_, hit| out.push(hit));
        if let Some(new) = out.get_mut(first..) {
            new.sort_unstable_by_key(|hit| (hit.distance, hit.key));
        }
    }

    /// Looks up hashes as they come, some of them at a time: while the processor waits for what one
    /// needs from memory it goes on with others. Calls `each` with the number of each hash, from 0,
    /// and all that [`PdqIndex::query`] would have found.
    pub fn query_stream(
        &self,
        hashes: impl IntoIterator<Item = Pdq>,
        radius: u32,
        mut each: impl FnMut(usize, &[PdqHit]),
    ) {
        let mut hashes = hashes.into_iter().map(|hash| ring::sheared(hash.words()));
        let tables = |query| (0..16).map(move |table| (query, table));
        let order: Vec<(u32, u8)> = (0..STREAM as u32).flat_map(tables).collect();
        let (mut queries, mut found) = (Vec::with_capacity(STREAM), Found::default());
        let mut first = 0;
        loop {
            queries.clear();
            queries.extend(hashes.by_ref().take(STREAM));
            if queries.is_empty() {
                return;
            }
            let order = order.get(..16 * queries.len()).unwrap_or_default();
            self.search(&queries, radius, order, |query, hit| {
                found.hits.push((query, hit));
            });
            found.tell(queries.len(), |query, hits| each(first + query, hits));
            first += queries.len();
        }
    }

    /// Looks up many hashes in the order that suits the index: the more there are, the less it reads
    /// for each. Calls `each` as [`PdqIndex::query_stream`] does, also in the order of the hashes.
    pub fn query_bulk(&self, hashes: &[Pdq], radius: u32, mut each: impl FnMut(usize, &[PdqHit])) {
        let mut found = Found::default();
        for (bulk, first) in hashes.chunks(BULK).zip((0..).step_by(BULK)) {
            let queries: Vec<Words> = bulk
                .iter()
                .map(|hash| ring::sheared(hash.words()))
                .collect();
            let mut order: Vec<(u32, u8)> = Vec::with_capacity(16 * queries.len());
            let mut sorted: Vec<(u16, u32)> = Vec::new();
            for table in 0..16 {
                sorted.clear();
                let chunks = queries.iter().map(|query| ring::chunk(query, table));
                sorted.extend(chunks.zip(0..));
                sorted.sort_unstable();
                order.extend(sorted.iter().map(|(_, query)| (*query, table as u8)));
            }
            self.search(&queries, radius, &order, |query, hit| {
                found.hits.push((query, hit));
            });
            found.tell(queries.len(), |query, hits| each(first + query, hits));
        }
    }

    /// Looks up with these instructions, to measure them beside others.
    #[doc(hidden)]
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    fn search(
        &self,
        queries: &[Words],
        radius: u32,
        order: &[(u32, u8)],
        hit: impl FnMut(u32, PdqHit),
    ) {
        self.level.run(Search {
            index: self,
            queries,
            radius,
            order,
            hit,
        });
    }
}

/// Hits of several queries.
#[derive(Default)]
struct Found {
    hits: Vec<(u32, PdqHit)>,
    of_one: Vec<PdqHit>,
}

impl Found {
    /// Calls `each` with every query up to `count` and its hits in order, and forgets them.
    fn tell(&mut self, count: usize, mut each: impl FnMut(usize, &[PdqHit])) {
        let Self { hits, of_one } = self;
        hits.sort_unstable_by_key(|(query, hit)| (*query, hit.distance, hit.key));
        let mut left = hits.drain(..).peekable();
        for query in 0..count {
            of_one.clear();
            while let Some((_, hit)) = left.next_if(|(of, _)| *of as usize == query) {
                of_one.push(hit);
            }
            each(query, of_one);
        }
    }
}

/// A lookup of some hashes in every part of the index.
struct Search<'a, F> {
    index: &'a PdqIndex,
    queries: &'a [Words],
    radius: u32,
    order: &'a [(u32, u8)],
    hit: F,
}

/// Comparing a hash in full costs about a quarter of looking into a bucket.
const COMPARED_PER_PROBE: usize = 4;

impl<F: FnMut(u32, PdqHit)> Job for Search<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let (radius, queries) = (self.radius, self.queries);
        for Part { segment, gone } in &self.index.parts {
            let view = segment.view();
            let ring = view.ring;
            let hit = |query, slot, distance| {
                for (key, place) in view.members(slot) {
                    if !gone.has(place) {
                        (self.hit)(query, PdqHit { key, distance });
                    }
                }
            };
            let probes = ring::probes(radius, ring.shape.bits);
            if radius > RADIUS_MAX || COMPARED_PER_PROBE * probes > ring.hashes.len() {
                compare_all(queries, ring.hashes, radius, hit);
            } else {
                ring.search(isa, queries, radius, self.order.iter().copied(), hit);
            }
        }
        for (number, query) in (0..).zip(queries) {
            self.index.recent.find(query, radius, |key, distance| {
                (self.hit)(number, PdqHit { key, distance });
            });
        }
    }
}

/// Calls `hit` with each query's number and the slot and distance of each hash in the radius.
#[inline(always)]
fn compare_all(
    queries: &[Words],
    hashes: &[Words],
    radius: u32,
    mut hit: impl FnMut(u32, u32, u32),
) {
    for (number, query) in (0..).zip(queries) {
        for (slot, hash) in (0..).zip(hashes) {
            let distance = ring::distance(query, hash);
            if distance <= radius {
                hit(number, slot, distance);
            }
        }
    }
}

/// The newest hashes, word by word, so that several are compared at once.
#[derive(Clone, Default)]
pub(super) struct Recent {
    words: [Vec<u64>; 4],
    pub(super) keys: Vec<u64>,
}

impl Recent {
    pub(super) fn push(&mut self, hash: Words, key: u64) {
        for (words, word) in self.words.iter_mut().zip(hash) {
            words.push(word);
        }
        self.keys.push(key);
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(at) = self.keys.iter().position(|other| *other == key) else {
            return false;
        };
        for words in &mut self.words {
            words.swap_remove(at);
        }
        self.keys.swap_remove(at);
        true
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let hash = |at: usize| std::array::from_fn(|w| self.words[w][at]);
        let keys = self.keys.iter().enumerate();
        keys.map(move |(at, key)| (hash(at), *key))
    }

    /// Calls `hit` with key and distance of each hash in the radius.
    #[inline(always)]
    fn find(&self, query: &Words, radius: u32, mut hit: impl FnMut(u64, u32)) {
        const TOGETHER: usize = 16;
        let firsts = self.words[0].chunks(TOGETHER);
        for (block, (a, b)) in firsts.zip(self.words[1].chunks(TOGETHER)).enumerate() {
            // Unrelated hashes differ in some 64 of the first 128 bits: half the work decides.
            let half = |(a, b): (&u64, &u64)| {
                (a ^ query[0]).count_ones() + (b ^ query[1]).count_ones() <= radius
            };
            if a.iter().zip(b).fold(false, |any, ab| any | half(ab)) {
                let first = block * TOGETHER;
                for at in first..first + a.len() {
                    let hash: Words = std::array::from_fn(|w| self.words[w][at]);
                    let distance = ring::distance(query, &hash);
                    if distance <= radius {
                        hit(self.keys[at], distance);
                    }
                }
            }
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
        // What was removed does not stay for ever.
        let members = |part: &Part| part.segment.members();
        let kept: usize = index.parts.iter().map(members).sum();
        assert!(kept < 4 * entries.len(), "{kept} members kept");
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

    #[test]
    fn however_many_entries_are_announced_all_are_in() {
        struct Announced<I>(I, (usize, Option<usize>));
        impl<I: Iterator> Iterator for Announced<I> {
            type Item = I::Item;
            fn next(&mut self) -> Option<I::Item> {
                self.0.next()
            }
            fn size_hint(&self) -> (usize, Option<usize>) {
                self.1
            }
        }
        let mut random = Random(9);
        let entries: BTreeMap<u64, Pdq> = (0..3000).map(|key| (key, random.hash())).collect();
        let query = random.changed(entries[&1500], 20);
        for said in [
            (3000, Some(3000)),
            (0, None),
            (7, Some(9000)),
            (1000, Some(1000)),
            (5000, Some(5000)),
            (0, Some(0)),
        ] {
            let all = entries.iter().map(|(key, hash)| (*key, *hash));
            let index = PdqIndex::from_entries(Announced(all, said));
            assert_eq!(index.len(), 3000, "{said:?}");
            assert_eq!(found(&index, &query, 31), brute(&entries, &query, 31));
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u8, Vec<u8>),
        Remove(u64),
        Seal,
        /// Work is asked for, and what was under way is dropped.
        Work,
        Run,
        Install,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let flips = proptest::collection::vec(any::<u8>(), 0..40);
        let step = prop_oneof![
            6 => (0..40_u64, 0..3_u8, flips).prop_map(|(k, c, b)| Step::Insert(k, c, b)),
            3 => (0..40_u64).prop_map(Step::Remove),
            2 => Just(Step::Seal),
            2 => Just(Step::Work),
            2 => Just(Step::Run),
            2 => Just(Step::Install),
        ];
        proptest::collection::vec(step, 0..120)
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
            let (mut work, mut done) = (None, None);
            for step in steps {
                match step {
                    Step::Insert(key, centre, flips) => {
                        index.insert(key, near(centre, &flips));
                        map.insert(key, near(centre, &flips));
                    }
                    Step::Remove(key) => prop_assert_eq!(index.remove(key), map.remove(&key).is_some()),
                    Step::Seal => index.seal(),
                    Step::Work => {
                        drop(work.take());
                        work = index.work();
                    }
                    Step::Run => done = work.take().map(Work::run).or(done),
                    Step::Install => if let Some(mut done) = done.take() {
                        index.install(&mut done);
                    }
                }
                let query = near(0, &flips);
                prop_assert_eq!(found(&index, &query, radius), brute(&map, &query, radius));
                prop_assert_eq!(index.len(), map.len());
            }
            drop((work, done));
            while let Some(work) = index.work() {
                index.install(&mut work.run());
            }
            prop_assert!(index.parts.len() <= 1);
            let query = near(0, &flips);
            prop_assert_eq!(found(&index, &query, radius), brute(&map, &query, radius));
        }
    }

    /// All forms of lookup on hashes as they come in banks, beside comparing with every one.
    #[track_caller]
    fn check_all_forms(entries: &BTreeMap<u64, Pdq>, queries: &[Pdq], radii: &[u32]) {
        let index = PdqIndex::from_entries(entries.iter().map(|(key, hash)| (*key, *hash)));
        for &radius in radii {
            let expected: Vec<_> = queries.iter().map(|q| brute(entries, q, radius)).collect();
            let plain = |hits: &[PdqHit]| hits.iter().map(|hit| (hit.distance, hit.key)).collect();
            let single: Vec<_> = queries.iter().map(|q| found(&index, q, radius)).collect();
            assert_eq!(single, expected, "radius {radius}");
            let mut stream: Vec<Vec<(u32, u64)>> = Vec::new();
            index.query_stream(queries.iter().copied(), radius, |query, hits| {
                assert_eq!(query, stream.len());
                stream.push(plain(hits));
            });
            assert_eq!(stream, expected, "radius {radius}");
            let mut bulk: Vec<Vec<(u32, u64)>> = Vec::new();
            index.query_bulk(queries, radius, |query, hits| {
                assert_eq!(query, bulk.len());
                bulk.push(plain(hits));
            });
            assert_eq!(bulk, expected, "radius {radius}");
        }
    }

    #[test]
    fn every_form_finds_all_at_every_distance_among_random_hashes() {
        let mut random = Random(4);
        let mut entries: BTreeMap<u64, Pdq> = (0..40_000).map(|key| (key, random.hash())).collect();
        let queries: Vec<Pdq> = (0..150).map(|_| random.hash()).collect();
        for (key, query) in (100_000..).step_by(100).zip(&queries) {
            for distance in 0..=70 {
                entries.insert(key + u64::from(distance), random.changed(*query, distance));
            }
        }
        check_all_forms(
            &entries,
            &queries,
            &[0, 7, 15, 16, 24, 31, 32, 47, 48, 63, 64],
        );
    }

    #[test]
    fn every_form_finds_all_among_near_duplicates_and_copies() {
        let mut random = Random(5);
        let mut entries = BTreeMap::new();
        for cluster in 0..60 {
            let centre = random.hash();
            for member in 0..300 {
                let bits = random.next() % 40;
                entries.insert(1000 * cluster + member, random.changed(centre, bits as u32));
            }
        }
        let copied = random.hash();
        entries.extend((100_000..110_000).map(|key| (key, copied)));
        let mut queries: Vec<Pdq> = (0..20).map(|at| entries[&(3000 * at)]).collect();
        queries.extend([
            random.changed(copied, 31),
            random.changed(copied, 32),
            random.hash(),
        ]);
        check_all_forms(&entries, &queries, &[0, 16, 31, 40, 63]);
    }

    /// Families of pictures: gratings whose angle, place and brightness change step by step.
    #[test]
    fn every_form_finds_all_among_hashes_of_pictures() {
        let mut entries = BTreeMap::new();
        for family in 0..40_u32 {
            for step in 0..25_u32 {
                let (fx, fy) = (1 + family % 7, 1 + family / 7);
                let pixel = |i: u32| {
                    let (x, y) = (i % 64, i / 64);
                    let wave = (x * fx + y * fy + step) % 64;
                    let spot = (x / 8 * 37 + y / 8 * 91 + family * 53) % 97;
                    [(wave * 2 + spot + step) as u8; 3]
                };
                let pixels: Vec<u8> = (0..64 * 64).flat_map(pixel).collect();
                let hash = crate::pdq::hash_rgb(&pixels, 64, 64).unwrap().hash;
                entries.insert(u64::from(100 * family + step), hash);
            }
        }
        let queries: Vec<Pdq> = entries.values().step_by(9).copied().collect();
        let pairs: usize = queries.iter().map(|q| brute(&entries, q, 31).len()).sum();
        assert!(
            pairs > 2 * queries.len(),
            "families should be near: {pairs} pairs"
        );
        check_all_forms(&entries, &queries, &[15, 31, 47]);
    }

    #[test]
    fn copies_are_stored_once() {
        let index = PdqIndex::from_entries((0..10_000).map(|key| (key, Pdq([7; 32]))));
        assert!(index.memory() < 30 * 10_000, "{} bytes", index.memory());
        assert_eq!(found(&index, &Pdq([7; 32]), 31).len(), 10_000);
    }

    #[test]
    fn a_hash_takes_at_most_160_bytes_however_it_came_in() {
        let mut random = Random(6);
        for count in [70_000_u64, 131_071, 131_072, 200_000] {
            let mut index = PdqIndex::from_entries((0..count).map(|key| (key, random.hash())));
            assert!(
                index.memory() <= 160 * index.len(),
                "{count}: {}",
                index.memory()
            );
            for key in count..count + 20_000 {
                index.insert(key, random.hash());
            }
            while let Some(work) = index.work() {
                index.install(&mut work.run());
            }
            let room = 160 * index.len() + RECENT_MAX * 160;
            assert!(index.memory() <= room, "{count}: {}", index.memory());
        }
    }

    #[test]
    fn changes_while_work_goes_on_are_kept() {
        let mut random = Random(7);
        let hashes: Vec<Pdq> = (0..5000).map(|_| random.hash()).collect();
        let mut index = PdqIndex::new();
        (0..).zip(&hashes).take(4000).for_each(|(key, hash)| {
            index.insert(key, *hash);
            if key % 1000 == 999 {
                index.seal();
            }
        });
        let work = index.work().unwrap();
        assert!(index.work().is_none(), "one at a time");
        for key in 0..1000 {
            assert!(index.remove(key));
            index.insert(key + 500, hashes[key as usize + 600]);
        }
        let before: Vec<_> = hashes.iter().map(|hash| found(&index, hash, 31)).collect();
        let mut done = work.run();
        index.install(&mut done);
        index.install(&mut done);
        let after: Vec<_> = hashes.iter().map(|hash| found(&index, hash, 31)).collect();
        assert_eq!(before, after);
    }

    #[test]
    fn the_outcome_of_another_index_changes_nothing() {
        let mut random = Random(8);
        let mut fill = || {
            let mut index = PdqIndex::new();
            for key in 0..3000 {
                index.insert(key, random.hash());
                if key % 1000 == 999 {
                    index.seal();
                }
            }
            index
        };
        let (mut one, mut other) = (fill(), fill());
        let mut done = one.work().unwrap().run();
        other.install(&mut done);
        assert_eq!(other.len(), 3000);
        one.install(&mut done);
        assert_eq!(one.len(), 3000);
    }
}
