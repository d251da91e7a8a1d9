//! Texts within a few edits, found exactly and without looking at all of them.
//!
//! A member of `n` letters that may differ in `k = n/20` of them is cut into more than `k` pieces,
//! so that at least one piece (of a long text, several) must stand in every text that is near. Of
//! each piece one gram of ten or thirteen letters, chosen by its hash alone, is filed under its hash.
//! A query files nothing: it looks its own grams up, at every place, or, where pieces are longer,
//! at those that the same choice would take. Members of the right length, with enough of their
//! pieces at about the right places, are compared: first by how often letters occur, then letter
//! by letter. (Pigeonhole as in Pass-Join, Li et al. 2011; choice of grams as in winnowing,
//! Schleimer et al. 2003.)
//!
//! Lookups wider than one edit in twenty have no such guarantee. They look at every member of the
//! right length, which is linear.

use super::holders::Holders;
use super::myers::Pattern;
use super::postings::{Posting, Postings};
use super::raw::RawText;
use crate::index::exact::Arena;
use hashbrown::HashTable;
use std::fmt;
use std::ops::RangeInclusive;

/// A member near the text that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditHit {
    /// The member's key.
    pub key: u64,
    /// Letters to change, add or leave out to make one of the other.
    pub edits: u32,
    /// The member's letters.
    pub length: u32,
    /// `edits` in percent of `length`, rounded up.
    pub distance: u32,
}

/// Known texts by key, for lookups of texts that are almost the same.
///
/// A lookup up to [`Self::DISTANCE`] takes time in proportion to the length of what is looked up
/// and the members that share pieces with it. A wider one, up to [`Self::DISTANCE_MAX`], looks at
/// all members whose length would do. A member of 300 letters takes 800 to 1,100 bytes.
pub struct EditIndex {
    /// Normalised texts by slot.
    texts: Arena,
    lengths: Vec<u32>,
    bags: Vec<Bag>,
    by_text: HashTable<u32>,
    free: Vec<u32>,
    holders: Holders,
    grams: Postings,
}

impl fmt::Debug for EditIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Default for EditIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl EditIndex {
    /// Percent of a member's length up to which lookups are quick, and HMA's threshold.
    pub const DISTANCE: u32 = 5;
    /// The widest lookup, in percent of a member's length.
    pub const DISTANCE_MAX: u32 = 30;

    /// An empty index.
    pub fn new() -> Self {
        Self {
            texts: Arena::default(),
            lengths: Vec::new(),
            bags: Vec::new(),
            by_text: HashTable::new(),
            free: Vec::new(),
            holders: Holders::default(),
            grams: Postings::default(),
        }
    }

    /// Adds a text under a key, in place of the text that had it.
    pub fn insert(&mut self, key: u64, text: &RawText) {
        self.remove(key);
        let slot = match self.slot_of(text.normalised()) {
            Some(slot) => slot,
            None => self.add(text),
        };
        self.holders.insert(key, slot);
    }

    /// Takes the key's text out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some((slot, last)) = self.holders.remove(key) else {
            return false;
        };
        if last {
            self.discard(slot);
        }
        true
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap, near enough.
    pub fn memory_bytes(&self) -> usize {
        let slots = self.lengths.capacity() * 4 + self.bags.capacity() * size_of::<Bag>();
        let tables = self.by_text.allocation_size() + self.grams.bytes();
        self.texts.bytes() + slots + tables + self.holders.bytes()
    }

    /// Appends all members within a distance, in percent of their length, by ascending key.
    /// A distance over [`Self::DISTANCE_MAX`] is taken as that.
    ///
    /// ```
    /// use manara_signal::near::{EditIndex, RawText};
    /// let mut index = EditIndex::new();
    /// index.insert(1, &RawText::parse(&"a".repeat(20))?);
    /// index.insert(2, &RawText::parse(&"a".repeat(19))?);
    /// let mut hits = Vec::new();
    /// index.query(&RawText::parse(&("a".repeat(19) + "b"))?, 5, &mut hits);
    /// assert_eq!(hits.len(), 1); // One edit is 5 % of twenty letters, and over 5 % of nineteen.
    /// # Ok::<(), manara_signal::near::RawTextError>(())
    /// ```
    pub fn query(&self, text: &RawText, distance_max_percent: u32, out: &mut Vec<EditHit>) {
        let percent = distance_max_percent.min(Self::DISTANCE_MAX);
        let letters: Vec<char> = text.normalised().chars().collect();
        let lengths = lengths_near(letters.len() as u32, percent);
        let start = out.len();
        if *lengths.start() < EXACT_BELOW && percent <= Self::DISTANCE {
            self.equal(text, out);
        }
        let candidates = if percent <= Self::DISTANCE {
            self.sharing_pieces(&letters, &lengths, percent)
        } else {
            self.of_lengths(&lengths)
        };
        self.compare(&letters, candidates, percent, out);
        if let Some(new) = out.get_mut(start..) {
            new.sort_unstable_by_key(|hit| hit.key);
        }
    }

    /// The member of the very same letters, where none of another text can be near.
    fn equal(&self, text: &RawText, out: &mut Vec<EditHit>) {
        if text.letters() < EXACT_BELOW
            && let Some(slot) = self.slot_of(text.normalised())
        {
            self.report(slot, 0, out);
        }
    }

    fn of_lengths(&self, lengths: &RangeInclusive<u32>) -> Vec<u32> {
        let slots = self.lengths.iter().zip(0..);
        slots
            .filter(|(length, _)| lengths.contains(length))
            .map(|(_, slot)| slot)
            .collect()
    }

    /// Slots of which as many pieces stand in the text as must if the distance is kept.
    fn sharing_pieces(
        &self,
        letters: &[char],
        lengths: &RangeInclusive<u32>,
        percent: u32,
    ) -> Vec<u32> {
        let mut shared = Vec::new();
        for class in [&SHORT, &LONG] {
            let first = class.lengths.start().max(lengths.start());
            let last = class.lengths.end().min(lengths.end());
            if first <= last {
                self.shared_pieces(letters, class, &(*first..=*last), &mut shared);
            }
        }
        shared.sort_unstable();
        let runs = shared.chunk_by(|a, b| a == b);
        runs.filter_map(|run| {
            let slot = *run.first()?;
            let length = self.length(slot);
            let needed = pieces(length) - edits_max(length, percent);
            (run.len() as u32 >= needed).then_some(slot)
        })
        .collect()
    }

    /// Appends a slot for each of its pieces that stand at about the same place in the text.
    fn shared_pieces(
        &self,
        letters: &[char],
        class: &Class,
        lengths: &RangeInclusive<u32>,
        shared: &mut Vec<u32>,
    ) {
        let mut found: Vec<(u32, u32)> = Vec::with_capacity(letters.len());
        class.each_gram(letters, |tag, at| found.push((tag, at)));
        self.grams.retain_known(&mut found);
        // A gram that stands in the text many times is looked up once.
        found.sort_unstable();
        let reach = lengths.end() / 20;
        let slack = (class.window - class.gram) as u32;
        let grams = found.chunk_by(|a, b| a.0 == b.0).filter_map(|places| {
            let (first, last) = (places.first()?, places.last()?);
            Some((first.0, (first.1, last.1)))
        });
        for (members, (first, last)) in self.grams.known(grams) {
            members.each(lengths, |posting| {
                let start = piece_start(posting.length(), posting.place());
                if first <= start + slack + reach && start <= last + reach {
                    shared.push(posting.slot());
                }
            });
        }
    }

    fn compare(
        &self,
        letters: &[char],
        candidates: Vec<u32>,
        percent: u32,
        out: &mut Vec<EditHit>,
    ) {
        if candidates.is_empty() {
            return;
        }
        let bag = bag(letters);
        let mut pattern = None;
        let mut other: Vec<char> = Vec::new();
        for slot in candidates {
            let limit = edits_max(self.length(slot), percent);
            let member = self.bags.get(slot as usize);
            if member.is_none_or(|member| least_edits(&bag, member) > limit) {
                continue;
            }
            other.clear();
            other.extend(self.text(slot).chars());
            let pattern = pattern.get_or_insert_with(|| Pattern::new(letters));
            if let Some(edits) = pattern.distance(&other, limit) {
                self.report(slot, edits, out);
            }
        }
    }

    fn report(&self, slot: u32, edits: u32, out: &mut Vec<EditHit>) {
        let length = self.length(slot);
        let distance = (100 * edits).div_ceil(length.max(1));
        out.extend(self.holders.of(slot).map(|key| EditHit {
            key,
            edits,
            length,
            distance,
        }));
    }

    fn length(&self, slot: u32) -> u32 {
        self.lengths.get(slot as usize).copied().unwrap_or_default()
    }

    fn text(&self, slot: u32) -> &str {
        std::str::from_utf8(self.texts.get(slot as usize)).unwrap_or_default()
    }

    fn slot_of(&self, text: &str) -> Option<u32> {
        let same = |slot: &u32| self.texts.get(*slot as usize) == text.as_bytes();
        self.by_text.find(hash(text.as_bytes()), same).copied()
    }

    fn add(&mut self, text: &RawText) -> u32 {
        let slot = self.free.pop().unwrap_or(self.lengths.len() as u32);
        let at = slot as usize;
        let letters: Vec<char> = text.normalised().chars().collect();
        self.lengths.resize(self.lengths.len().max(at + 1), 0);
        self.bags
            .resize(self.bags.len().max(at + 1), Bag::default());
        self.lengths[at] = text.letters();
        self.bags[at] = bag(&letters);
        self.texts.put(at, text.normalised().as_bytes());
        let Self { texts, by_text, .. } = self;
        by_text.insert_unique(hash(text.normalised().as_bytes()), slot, |slot| {
            hash(texts.get(*slot as usize))
        });
        each_piece(&letters, |tag, place| {
            self.grams
                .insert(tag, Posting::new(text.letters(), place, slot));
        });
        slot
    }

    fn discard(&mut self, slot: u32) {
        let letters: Vec<char> = self.text(slot).chars().collect();
        each_piece(&letters, |tag, place| {
            self.grams
                .remove(tag, Posting::new(letters.len() as u32, place, slot));
        });
        let text = hash(self.texts.get(slot as usize));
        if let Ok(entry) = self.by_text.find_entry(text, |other| *other == slot) {
            entry.remove();
        }
        self.texts.drop(slot as usize);
        // A length of 0 is not within any distance of a text.
        self.lengths[slot as usize] = 0;
        self.free.push(slot);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

/// Edits that a member of `length` letters may be away.
fn edits_max(length: u32, percent: u32) -> u32 {
    length * percent / 100
}

/// Lengths of the members that a text of `length` letters can be near.
fn lengths_near(length: u32, percent: u32) -> RangeInclusive<u32> {
    (100 * length).div_ceil(100 + percent)..=100 * length / (100 - percent)
}

/// Members with fewer letters allow no edit at [`EditIndex::DISTANCE`].
const EXACT_BELOW: u32 = 20;

/// How members of some lengths are filed. All grams of a piece's first `window` letters are
/// weighed, and the one with the least hash is filed.
struct Class {
    lengths: RangeInclusive<u32>,
    gram: usize,
    window: usize,
    seed: u64,
}

/// Two or three pieces of at least ten letters.
const SHORT: Class = Class {
    lengths: EXACT_BELOW..=59,
    gram: 10,
    window: 10,
    seed: 0x51_7c_c1_b7_27_22_0a_95,
};

/// Pieces of at least fifteen letters.
const LONG: Class = Class {
    lengths: 60..=u32::MAX,
    gram: 13,
    window: 15,
    seed: 0x2545_f491_4f6c_dd1d,
};

/// Pieces of a member: one more than the edits at [`EditIndex::DISTANCE`], or, if that is more,
/// as many as have fifteen letters. The surplus is the number of pieces that a near text shares
/// beyond the first.
fn pieces(length: u32) -> u32 {
    (length / 20 + 1).max(length / 15)
}

/// Where a piece begins.
fn piece_start(length: u32, place: u32) -> u32 {
    (u64::from(place) * u64::from(length) / u64::from(pieces(length))) as u32
}

/// Hands over the tag and number of each piece under which a member is filed.
fn each_piece(letters: &[char], mut then: impl FnMut(u32, u32)) {
    let length = letters.len() as u32;
    let class = if SHORT.lengths.contains(&length) {
        &SHORT
    } else if LONG.lengths.contains(&length) {
        &LONG
    } else {
        return;
    };
    for place in 0..pieces(length) {
        let start = piece_start(length, place) as usize;
        let window = letters.get(start..start + class.window);
        class.each_gram(window.unwrap_or_default(), |tag, _| then(tag, place));
    }
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Class {
    /// Hands over the tag and place of each gram with the least hash of some window.
    #[inline]
    fn each_gram(&self, letters: &[char], mut then: impl FnMut(u32, u32)) {
        let gone = (0..self.gram).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        let code = |c: &char| u64::from(u32::from(*c));
        let (before, rest) = letters.split_at(letters.len().min(self.gram - 1));
        let mut rolling = before.iter().fold(0_u64, |rolling, c| {
            rolling.wrapping_mul(BASE).wrapping_add(code(c))
        });
        let leaving = std::iter::once(0).chain(letters.iter().map(code));
        // The grams of a window, the latest first; at most three.
        let (mut second, mut third) = ((u64::MAX, 0), (u64::MAX, 0));
        let weighed = self.window - self.gram + 1;
        let mut chosen = u32::MAX;
        for ((at, c), leaving) in (0_u32..).zip(rest).zip(leaving) {
            rolling = rolling
                .wrapping_mul(BASE)
                .wrapping_add(code(c))
                .wrapping_sub(leaving.wrapping_mul(gone));
            let gram = (mix(rolling ^ self.seed), at);
            let least = if weighed == 1 {
                gram
            } else {
                gram.min(second).min(third)
            };
            (second, third) = (gram, second);
            if at as usize + 1 >= weighed && least.1 != chosen {
                chosen = least.1;
                then((least.0 >> 32) as u32, chosen);
            }
        }
    }
}

/// The finaliser of `SplitMix64`.
#[inline]
pub(super) fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// How often letters occur, in groups of letters, up to 255 times.
type Bag = [u8; 32];

fn bag(letters: &[char]) -> Bag {
    let mut bag = Bag::default();
    for c in letters {
        let count = &mut bag[*c as usize % 32];
        *count = count.saturating_add(1);
    }
    bag
}

/// Edits that the letters alone make necessary: one edit adds one letter, takes one away, or both.
fn least_edits(a: &Bag, b: &Bag) -> u32 {
    let differences = |a: &Bag, b: &Bag| -> u32 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| u32::from(a.saturating_sub(*b))).sum()
    };
    differences(a, b).max(differences(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn raw(text: &str) -> RawText {
        RawText::parse(text).unwrap()
    }

    fn brute(members: &BTreeMap<u64, String>, text: &str, percent: u32) -> Vec<EditHit> {
        let hits = members.iter().filter_map(|(key, member)| {
            let length = member.chars().count() as u32;
            let edits = strsim::levenshtein(member, text) as u32;
            let distance = (f64::from(100 * edits) / f64::from(length)).ceil() as u32;
            (edits * 100 <= percent * length).then_some(EditHit {
                key: *key,
                edits,
                length,
                distance,
            })
        });
        hits.collect()
    }

    #[track_caller]
    fn check(members: &[&str], text: &str, percent: u32, keys: &[u64]) {
        let mut index = EditIndex::new();
        for (member, key) in members.iter().zip(0..) {
            index.insert(key, &raw(member));
        }
        let mut hits = Vec::new();
        index.query(&raw(text), percent, &mut hits);
        assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), keys);
    }

    // The cases of `test_raw_text.py` of `threatexchange`, made up anew.
    #[test]
    fn one_in_twenty() {
        let a = |count: usize| "a".repeat(count);
        check(&[&a(19)], &(a(18) + "b"), 5, &[]);
        check(&[&a(20)], &(a(19) + "b"), 5, &[0]);
        check(&[&a(20)], &a(19), 5, &[0]);
        check(&[&a(20)], &a(21), 5, &[0]);
        check(&[&a(19)], &a(20), 5, &[]);
        check(&[&a(20)], &a(18), 5, &[]);
        check(&["a"], "A!", 5, &[0]);
        check(&["grey banner"], "Grey-Banner!", 0, &[0]);
        check(&["grey banner"], "grey manner", 9, &[]);
        check(&["grey banner"], "grey manner", 10, &[0]);
        check(&["grey banner"], "gray manner", 30, &[0]);
    }

    #[test]
    fn distances_over_the_widest_are_the_widest() {
        check(&["abcdefghij"], "abcdefgxyz", 1000, &[0]);
        check(&["abcdefghij"], "abcdefwxyz", 1000, &[]);
    }

    #[test]
    fn many_equal_and_almost_equal_members() {
        let mut index = EditIndex::new();
        let text = "Carry the grey banner to the hill above the river before the sun is up again";
        for key in 0..20_000 {
            index.insert(key, &raw(text));
            index.insert(100_000 + key, &raw(&format!("{text} {key}")));
        }
        let mut hits = Vec::new();
        index.query(&raw(text), 5, &mut hits);
        assert_eq!(hits.len(), 20_000 + 1_000);
        for key in 0..20_000 {
            assert!(index.remove(key) && index.remove(100_000 + key));
        }
        assert!(index.is_empty());
        hits.clear();
        index.query(&raw(text), 30, &mut hits);
        assert_eq!(hits, []);
    }

    #[test]
    fn the_longest_texts() {
        let numbers: Vec<String> = (0_u32..8_192)
            .map(|at| format!("{:08x}", at.wrapping_mul(2_654_435_761)))
            .collect();
        let long = numbers.concat();
        let mut other: Vec<u8> = long.clone().into_bytes();
        for at in (0..other.len()).step_by(21) {
            other[at] = b'z';
        }
        let other = String::from_utf8(other).unwrap();
        check(&[&long, "short"], &other, 5, &[0]);
        check(&[&long], &other, 4, &[]);
        let same = "a".repeat(65_536);
        check(&[&same, &long], &same, 5, &[0]);
        check(&[&same, &long], &same[..63_000], 5, &[0]);
        check(&[&same, &long], &same[..62_000], 5, &[]);
    }

    /// A text, and how it is changed.
    fn near_texts() -> impl Strategy<Value = (String, String)> {
        let text = prop_oneof![
            "[ab]{1,130}",
            "[a-z]{15,70}",
            "[a-zب-غ]{40,400}",
            "(abcab){1,40}"
        ];
        let change = (any::<prop::sample::Index>(), "[abzب]{0,2}");
        (text, proptest::collection::vec(change, 0..20)).prop_map(|(text, changes)| {
            let mut letters: Vec<char> = text.chars().collect();
            for (at, put) in changes {
                let at = at.index(letters.len().max(1)).min(letters.len());
                let end = (at + 1).min(letters.len());
                letters.splice(at..end, put.chars());
            }
            letters.push('a');
            (text, letters.into_iter().collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn as_comparing_with_all_would_answer(
            pairs in proptest::collection::vec(near_texts(), 1..12),
            removed in proptest::collection::vec(0_u64..24, 0..6),
            percent in prop_oneof![3 => 0_u32..=5, 1 => 6_u32..=30],
        ) {
            let (mut index, mut members) = (EditIndex::new(), BTreeMap::new());
            for ((a, b), key) in pairs.iter().zip(0..) {
                for (text, key) in [(a, 2 * key), (b, 2 * key + 1)] {
                    index.insert(key, &raw(text));
                    members.insert(key, text.clone());
                }
            }
            for key in removed {
                prop_assert_eq!(index.remove(key), members.remove(&key).is_some());
            }
            prop_assert_eq!(index.len(), members.len());
            for text in pairs.iter().flat_map(|(a, b)| [a, b]) {
                let mut hits = Vec::new();
                index.query(&raw(text), percent, &mut hits);
                prop_assert_eq!(hits, brute(&members, text, percent));
            }
        }
    }
}
