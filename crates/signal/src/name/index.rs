//! Known names by key: which of them may this name be a return of?
//!
//! Every member is posted under the hashes of its keys in one table; a lookup reads the buckets of
//! its own keys and compares what is in them in full. A name therefore costs some five looks into
//! the table however many members there are, and some ten more where scores are wanted that one
//! letter's difference can reach. Names of eight letters and more are posted under every stem with one
//! letter left out as well (the deletion neighbourhood of `SymSpell`).

use super::Name;
use super::keys::NameKeys;
use super::score::{Comparison, ONE_LETTER, ONE_LETTER_SCORE, Reason, compare_keys};
use super::stem::{Stem, WEIGHT_MIN, weight};
use super::translit::Writing;
use crate::index::keys::KeySlots;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

/// Most members that one lookup compares in full, those under its rarest kind of key first. A bank
/// with more names of one stem than this is searched in part.
pub const COMPARED_MAX: usize = 1024;
/// Most hits of one lookup: the best by score, and then by key.
pub const HITS_MAX: usize = 100;

/// A known name that the name looked up may be a return of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameHit {
    /// The key under which the name was inserted.
    pub key: u64,
    /// 0 to 100.
    pub score: u8,
    /// 100 less the score.
    pub distance: u8,
    /// Why not 100, or that it is. Of what is named in pairs, the first is the member's.
    pub reasons: Vec<Reason>,
}

/// Known names by key.
///
/// ```
/// use manara_signal::name::{Name, NameIndex, SCORE_DEFAULT};
///
/// let mut index = NameIndex::new();
/// index.insert(1, &Name::parse("grey_banner")?);
/// index.insert(2, &Name::parse("راية الرماد")?);
///
/// let mut hits = Vec::new();
/// index.find(&Name::parse("@gr3y.banner_backup")?, SCORE_DEFAULT, &mut hits);
/// assert_eq!((hits[0].key, hits[0].score), (1, 85));
/// assert_eq!(hits[0].reasons[0].to_string(), "digits for letters (3 for e)");
///
/// hits.clear();
/// index.find(&Name::parse("rayat_alramad")?, SCORE_DEFAULT, &mut hits);
/// assert_eq!((hits[0].key, hits[0].score), (2, 84));
///
/// hits.clear();
/// index.find(&Name::parse("grey_manner")?, SCORE_DEFAULT, &mut hits);
/// assert!(hits.is_empty());
/// # Ok::<(), manara_signal::name::NameError>(())
/// ```
#[derive(Default)]
pub struct NameIndex {
    /// The members' names by slot; empty for a free one.
    names: Vec<Box<str>>,
    keys: Vec<u64>,
    by_key: KeySlots,
    free: Vec<u32>,
    buckets: Buckets,
}

impl fmt::Debug for NameIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl NameIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name under a key, in place of the name that had it.
    pub fn insert(&mut self, key: u64, name: &Name) {
        self.remove(key);
        let slot = self.free.pop().unwrap_or(self.names.len() as u32);
        let at = slot as usize;
        if at == self.names.len() {
            self.names.push(Box::default());
            self.keys.push(0);
        }
        if let (Some(text), Some(slot_key)) = (self.names.get_mut(at), self.keys.get_mut(at)) {
            *text = name.original().into();
            *slot_key = key;
        }
        self.by_key.insert(slot, &self.keys);
        for tag in posted(name.keys()) {
            self.buckets.add(tag, slot);
        }
    }

    /// Takes the key's name out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(slot) = self.by_key.remove(key, &self.keys) else {
            return false;
        };
        let text = self.names.get_mut(slot as usize).map(std::mem::take);
        for tag in posted(&NameKeys::of(&text.unwrap_or_default())) {
            self.buckets.remove(tag, slot);
        }
        self.free.push(slot);
        true
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the members that score at least `score_min`, the best first, then by key: what
    /// [`compare`](super::compare) says of each, at most [`HITS_MAX`] of them. Where more than
    /// [`COMPARED_MAX`] members share a key with the name, those with the same letters are compared
    /// before those with the same stem, and these before those with the same sounds or one letter's
    /// difference.
    pub fn find(&self, name: &Name, score_min: u8, out: &mut Vec<NameHit>) {
        if self.is_empty() {
            return;
        }
        let candidates = self.candidates(name.keys(), score_min);
        let mut hits: Vec<NameHit> = candidates
            .into_iter()
            .filter_map(|slot| self.compared(slot, name.keys()))
            .filter(|hit| hit.score >= score_min)
            .collect();
        hits.sort_by_key(|hit| (Reverse(hit.score), hit.key));
        hits.truncate(HITS_MAX);
        out.append(&mut hits);
    }

    fn compared(&self, slot: u32, keys: &NameKeys) -> Option<NameHit> {
        let key = *self.keys.get(slot as usize)?;
        let member = NameKeys::of(self.names.get(slot as usize)?);
        let Comparison { score, reasons } = compare_keys(&member, keys)?;
        Some(NameHit {
            key,
            score,
            distance: 100_u8.saturating_sub(score),
            reasons,
        })
    }

    /// Slots of the members that share a key with a name.
    fn candidates(&self, keys: &NameKeys, score_min: u8) -> Vec<u32> {
        let mut slots = Vec::new();
        for tag in looked_up(keys, score_min <= ONE_LETTER_SCORE) {
            self.buckets.read(tag, &mut slots);
            if slots.len() > COMPARED_MAX {
                first_of_each(&mut slots);
            }
        }
        first_of_each(&mut slots);
        slots
    }
}

/// Keeps the first [`COMPARED_MAX`] different ones, in order.
fn first_of_each(slots: &mut Vec<u32>) {
    if slots.len() > 1 {
        let mut seen = std::collections::HashSet::with_capacity(slots.len());
        slots.retain(|slot| seen.len() < COMPARED_MAX && seen.insert(*slot));
    }
}

/// Kinds of keys, so that equal texts of two kinds are not mixed up.
#[derive(Clone, Copy)]
enum Kind {
    Letters = 1,
    Stem = 2,
    ArabicSounds = 3,
    LatinSounds = 4,
}

fn tag(kind: Kind, key: &str) -> u32 {
    let hash = rapidhash::v3::rapidhash_v3(key.as_bytes());
    (crate::index::keys::spread(hash.wrapping_add(kind as u64)) >> 32) as u32
}

/// The tags a member is found under, each once.
fn posted(keys: &NameKeys) -> Vec<u32> {
    let mut tags = tags(keys, true, |writing| writing);
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// The tags a name is looked up under, the likeliest to be a good match first.
fn looked_up(keys: &NameKeys, one_letter: bool) -> Vec<u32> {
    tags(keys, one_letter, |writing| match writing {
        Writing::Arabic => Writing::Latin,
        Writing::Latin => Writing::Arabic,
    })
}

fn tags(keys: &NameKeys, one_letter: bool, sounds_of: impl Fn(Writing) -> Writing) -> Vec<u32> {
    let mut tags = Vec::with_capacity(24);
    tags.push(tag(Kind::Letters, keys.folded()));
    let stems = || keys.stems().iter().map(|(stem, _)| stem);
    let compared = stems().filter(|stem| weight(&stem.letters) >= WEIGHT_MIN);
    tags.extend(compared.map(|stem| tag(Kind::Stem, &stem.key)));
    for spoken in keys
        .stems()
        .iter()
        .filter_map(|(_, spoken)| spoken.as_ref())
    {
        let kind = match sounds_of(spoken.writing) {
            Writing::Arabic => Kind::ArabicSounds,
            Writing::Latin => Kind::LatinSounds,
        };
        let sounds = spoken.readings.iter();
        tags.extend(sounds.map(|reading| tag(kind, &reading.consonants)));
    }
    if one_letter {
        for stem in stems().filter(|stem| ONE_LETTER.contains(&stem.letters.len())) {
            shortened(stem, &mut tags);
        }
    }
    tags
}

/// The tags of a stem with one letter left out.
fn shortened(stem: &Stem, tags: &mut Vec<u32>) {
    let mut without = String::with_capacity(stem.key.len());
    for (at, c) in stem.key.char_indices() {
        without.clear();
        without.push_str(stem.key.get(..at).unwrap_or_default());
        without.push_str(stem.key.get(at + c.len_utf8()..).unwrap_or_default());
        tags.push(tag(Kind::Stem, &without));
    }
}

/// Slots by tag. Two tags that are equal by accident share a bucket, which costs a comparison.
#[derive(Default)]
struct Buckets {
    /// A tag with its slot, or with [`MANY`] and the place of its slots.
    table: HashTable<(u32, u32)>,
    many: Vec<BTreeSet<u32>>,
    free: Vec<u32>,
}

/// Set in what stands for several slots.
const MANY: u32 = 1 << 31;

fn spread(tag: u32) -> u64 {
    crate::index::keys::spread(u64::from(tag))
}

impl Buckets {
    fn add(&mut self, tag: u32, slot: u32) {
        let same = |entry: &(u32, u32)| entry.0 == tag;
        match self.table.entry(spread(tag), same, |entry| spread(entry.0)) {
            Entry::Vacant(entry) => {
                entry.insert((tag, slot));
            }
            Entry::Occupied(mut entry) => {
                let held = &mut entry.get_mut().1;
                if *held & MANY == 0 {
                    let place = self.free.pop().unwrap_or(self.many.len() as u32);
                    if place as usize == self.many.len() {
                        self.many.push(BTreeSet::new());
                    }
                    let first = std::mem::replace(held, place | MANY);
                    if let Some(many) = self.many.get_mut(place as usize) {
                        many.insert(first);
                    }
                }
                if let Some(many) = self.many.get_mut((*held & !MANY) as usize) {
                    many.insert(slot);
                }
            }
        }
    }

    fn remove(&mut self, tag: u32, slot: u32) {
        let Ok(mut entry) = self.table.find_entry(spread(tag), |entry| entry.0 == tag) else {
            return;
        };
        let held = entry.get().1;
        if held & MANY == 0 {
            if held == slot {
                entry.remove();
            }
            return;
        }
        let place = held & !MANY;
        let Some(many) = self.many.get_mut(place as usize) else {
            return;
        };
        many.remove(&slot);
        if many.len() == 1 {
            entry.get_mut().1 = many.pop_first().unwrap_or_default();
            self.free.push(place);
        }
    }

    #[inline]
    fn read(&self, tag: u32, out: &mut Vec<u32>) {
        let Some((_, held)) = self.table.find(spread(tag), |entry| entry.0 == tag) else {
            return;
        };
        if held & MANY == 0 {
            out.push(*held);
        } else if let Some(many) = self.many.get((held & !MANY) as usize) {
            out.extend(many.iter().take(COMPARED_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[track_caller]
    fn check(index: &NameIndex, text: &str, score_min: u8, expect: &[(u64, u8)]) {
        let mut hits = Vec::new();
        index.find(&name(text), score_min, &mut hits);
        let found: Vec<(u64, u8)> = hits.iter().map(|hit| (hit.key, hit.score)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn a_key_has_one_name() {
        let mut index = NameIndex::new();
        index.insert(1, &name("grey_banner"));
        index.insert(1, &name("ash_lantern"));
        check(&index, "grey_banner", 1, &[]);
        check(&index, "ashlantern", 1, &[(1, 97)]);
        assert_eq!(index.len(), 1);
        assert!(index.remove(1) && !index.remove(1));
        check(&index, "ashlantern", 1, &[]);
        assert!(index.buckets.table.is_empty());
    }

    #[test]
    fn of_a_hostile_bank_the_best_are_kept() {
        let mut index = NameIndex::new();
        for key in 0..100_000 {
            index.insert(key, &name(&format!("grey_banner_{key}")));
        }
        let mut hits = Vec::new();
        index.find(&name("greybanner99999"), 80, &mut hits);
        assert_eq!(hits.len(), HITS_MAX);
        assert_eq!((hits[0].key, hits[0].score), (99_999, 97));
        for key in 0..100_000 {
            assert!(index.remove(key));
        }
        assert!(index.is_empty() && index.buckets.table.is_empty());
        assert!(index.buckets.many.iter().all(BTreeSet::is_empty));
    }

    #[test]
    fn one_letter_is_found_where_it_is_asked_for() {
        let mut index = NameIndex::new();
        index.insert(7, &name("grey_banner"));
        check(&index, "grey_baner", 80, &[(7, 86)]);
        check(&index, "grey_bnner", 80, &[]);
        check(&index, "grey_bnner", 75, &[(7, 78)]);
        check(&index, "gery_banner", 75, &[(7, 78)]);
        check(&index, "grey_manner", 75, &[]);
        check(&index, "grey_manner", 70, &[(7, 70)]);
    }

    /// Names that are near each other, of few parts.
    fn names() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "grey",
            "gr3y",
            "gery",
            "banner",
            "baner",
            "bannеr",
            "b4nner",
            "bannerl",
            "bannerI",
            "banneri",
            "راية",
            "الرماد",
            "rayat",
            "ar",
            "ramad",
            "alramad",
            "backup",
            "new",
            "17",
            "2",
            "v2",
            "II",
            "احتياطي",
            "٣",
            "l",
            "1",
        ]);
        let between = prop::sample::select(vec!["", "_", " ", "."]);
        prop::collection::vec((part, between), 1..4)
            .prop_map(|parts| parts.into_iter().flat_map(|(a, b)| [a, b]).collect())
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_comparing_all_finds(
            members in prop::collection::vec(names(), 1..40),
            removed in prop::collection::vec(any::<bool>(), 40),
            wanted in prop::collection::vec(names(), 1..10),
            score_min in 30..100_u8,
        ) {
            let (mut index, mut all) = (NameIndex::new(), BTreeMap::new());
            for (key, text) in (0..).zip(&members) {
                if let Ok(name) = Name::parse(text) {
                    index.insert(key, &name);
                    all.insert(key, name);
                }
            }
            for (key, removed) in (0..).zip(removed) {
                if removed {
                    prop_assert_eq!(index.remove(key), all.remove(&key).is_some());
                }
            }
            for wanted in wanted.iter().filter_map(|text| Name::parse(text).ok()) {
                let mut hits = Vec::new();
                index.find(&wanted, score_min, &mut hits);
                let mut expect: Vec<NameHit> = all.iter().filter_map(|(key, member)| {
                    let Comparison { score, reasons } = compare(member, &wanted)?;
                    Some(NameHit { key: *key, score, distance: 100 - score, reasons })
                }).filter(|hit| hit.score >= score_min).collect();
                expect.sort_by_key(|hit| (Reverse(hit.score), hit.key));
                prop_assert_eq!(hits, expect);
            }
        }

        #[test]
        fn any_names_agree_with_comparing(a in "\\PC{1,20}", b in "\\PC{1,20}") {
            if let (Ok(a), Ok(b)) = (Name::parse(&a), Name::parse(&b)) {
                let there = compare(&a, &b);
                prop_assert_eq!(there.as_ref().map(|c| c.score), compare(&b, &a).map(|c| c.score));
                let mut index = NameIndex::new();
                index.insert(1, &a);
                let mut hits = Vec::new();
                index.find(&b, 0, &mut hits);
                prop_assert_eq!(hits.first().map(|hit| hit.score), there.map(|c| c.score));
                prop_assert_eq!(Name::parse(a.original()), Ok(a));
            }
        }
    }
}
