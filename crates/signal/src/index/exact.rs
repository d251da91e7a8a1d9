//! Equal values by key: digests, addresses, or any other signal compared for equality.
//!
//! Each type's values lie packed in slots; a hash table of slots finds a value, another a key.
//! A value found by its hash is always compared in full. Members with equal values are chained
//! behind one entry, so a list of one value repeated costs no more than any other.

use super::keys::KeySlots;
use crate::signal::{Signal, SignalType};
use hashbrown::HashTable;
use std::fmt;

/// Known values by key, for lookups by equality.
///
/// A million SHA-256 values take some 70 MB.
///
/// ```
/// use manara_signal::digest::sha256;
/// use manara_signal::{Signal, index::ExactIndex};
///
/// let mut index = ExactIndex::new();
/// index.insert(1, &Signal::Sha256(sha256(b"one")));
/// index.insert(2, &Signal::Sha256(sha256(b"two")));
///
/// let mut keys = Vec::new();
/// index.find(&Signal::Sha256(sha256(b"two")), &mut keys);
/// assert_eq!(keys, [2]);
/// ```
pub struct ExactIndex {
    types: [Values; SignalType::ALL.len()],
}

impl Default for ExactIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ExactIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl ExactIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self {
            types: SignalType::ALL.map(|ty| Values::new(width(ty))),
        }
    }

    /// Adds a value under a key, in place of the value that had it.
    pub fn insert(&mut self, key: u64, signal: &Signal) {
        self.remove(key);
        let values = &mut self.types[signal.signal_type() as usize];
        with_bytes(signal, |bytes| values.insert(key, bytes));
    }

    /// Takes the key's value out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        self.types.iter_mut().any(|values| values.remove(key))
    }

    /// Appends the keys of all equal values of the same type, in ascending order.
    pub fn find(&self, signal: &Signal, out: &mut Vec<u64>) {
        let first = out.len();
        let values = &self.types[signal.signal_type() as usize];
        with_bytes(signal, |bytes| values.find(bytes, out));
        if let Some(new) = out.get_mut(first..) {
            new.sort_unstable();
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.types.iter().map(|values| values.by_key.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of every value of a type, or none when they vary.
const fn width(ty: SignalType) -> Option<usize> {
    match ty {
        SignalType::Sha256 | SignalType::Pdq => Some(32),
        SignalType::Md5 => Some(16),
        SignalType::Text | SignalType::Url => None,
    }
}

/// The bytes by which a signal is compared.
fn with_bytes<T>(signal: &Signal, then: impl FnOnce(&[u8]) -> T) -> T {
    match signal {
        Signal::Sha256(hash) => then(&hash.0),
        Signal::Md5(hash) => then(&hash.0),
        Signal::Pdq(hash) => then(&hash.0),
        Signal::Text(phrase) => then(phrase.folded().as_bytes()),
        Signal::Url(url) => then(url.match_key().as_bytes()),
    }
}

const NONE: u32 = u32::MAX;

/// All values of one type.
pub(super) struct Values {
    store: Store,
    keys: Vec<u64>,
    /// Neighbours in the chain of slots with an equal value.
    links: Vec<Links>,
    /// The first slot of each different value.
    heads: HashTable<u32>,
    by_key: KeySlots,
    free: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Links {
    next: u32,
    previous: u32,
}

fn hash(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

impl Values {
    pub(super) fn new(width: Option<usize>) -> Self {
        let store = match width {
            Some(width) => Store::Fixed {
                width,
                bytes: Vec::new(),
            },
            None => Store::Varying(Arena::default()),
        };
        Self {
            store,
            keys: Vec::new(),
            links: Vec::new(),
            heads: HashTable::new(),
            by_key: KeySlots::default(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, key: u64, bytes: &[u8]) {
        let slot = self.free.pop().unwrap_or(self.keys.len() as u32);
        let at = slot as usize;
        if at == self.keys.len() {
            self.keys.push(key);
            self.links.push(Links {
                next: NONE,
                previous: NONE,
            });
        }
        self.keys[at] = key;
        self.links[at] = Links {
            next: NONE,
            previous: NONE,
        };
        self.store.put(at, bytes);
        self.by_key.insert(slot, &self.keys);
        let Self {
            store,
            heads,
            links,
            ..
        } = self;
        let Some(&head) = heads.find(hash(bytes), |other| store.get(*other) == bytes) else {
            heads.insert_unique(hash(bytes), slot, |other| hash(store.get(*other)));
            return;
        };
        // Second in the chain, so that the head and the table stay as they are.
        let after = std::mem::replace(&mut links[head as usize].next, slot);
        links[at] = Links {
            next: after,
            previous: head,
        };
        if let Some(after) = links.get_mut(after as usize) {
            after.previous = slot;
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> bool {
        self.remove_seen(key, |_| ())
    }

    /// Takes the key's value out and shows it; whether there was one.
    pub(super) fn remove_seen(&mut self, key: u64, see: impl FnOnce(&[u8])) -> bool {
        let Some(slot) = self.by_key.remove(key, &self.keys) else {
            return false;
        };
        see(self.store.get(slot));
        let Self {
            store,
            heads,
            links,
            ..
        } = self;
        let Links { next, previous } = links[slot as usize];
        if let Some(after) = links.get_mut(next as usize) {
            after.previous = previous;
        }
        if let Some(before) = links.get_mut(previous as usize) {
            before.next = next;
        } else if let Ok(entry) = heads.find_entry(hash(store.get(slot)), |other| *other == slot) {
            if next == NONE {
                entry.remove();
            } else {
                *entry.into_mut() = next;
            }
        }
        self.store.drop(slot as usize);
        self.free.push(slot);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn find(&self, bytes: &[u8], out: &mut Vec<u64>) {
        let head = self
            .heads
            .find(hash(bytes), |slot| self.store.get(*slot) == bytes);
        let mut slot = head.copied().unwrap_or(NONE);
        while let (Some(key), Some(links)) =
            (self.keys.get(slot as usize), self.links.get(slot as usize))
        {
            out.push(*key);
            slot = links.next;
        }
    }
}

/// The bytes of the values, by slot.
enum Store {
    Fixed { width: usize, bytes: Vec<u8> },
    Varying(Arena),
}

impl Store {
    fn get(&self, slot: u32) -> &[u8] {
        match self {
            Self::Fixed { width, bytes } => {
                let at = slot as usize * width;
                bytes.get(at..at + width).unwrap_or_default()
            }
            Self::Varying(arena) => arena.get(slot as usize),
        }
    }

    fn put(&mut self, slot: usize, value: &[u8]) {
        match self {
            Self::Fixed { width, bytes } => {
                bytes.resize(bytes.len().max((slot + 1) * *width), 0);
                for (to, from) in bytes.iter_mut().skip(slot * *width).zip(value) {
                    *to = *from;
                }
            }
            Self::Varying(arena) => arena.put(slot, value),
        }
    }

    fn drop(&mut self, slot: usize) {
        if let Self::Varying(arena) = self {
            arena.drop(slot);
        }
    }
}

/// Texts laid end to end in blocks, repacked when more than half of the bytes belong to dropped ones.
#[derive(Default)]
pub(crate) struct Arena {
    blocks: Vec<Vec<u8>>,
    spans: Vec<Span>,
    used: usize,
    dropped: usize,
}

#[derive(Clone, Copy, Default)]
struct Span {
    block: u32,
    start: u32,
    len: u32,
}

/// Bytes in a block; a longer text gets a block of its own.
const BLOCK: usize = 1 << 18;

impl Arena {
    pub(crate) fn get(&self, slot: usize) -> &[u8] {
        let Some(span) = self.spans.get(slot) else {
            return &[];
        };
        let block = self.blocks.get(span.block as usize);
        let range = span.start as usize..(span.start + span.len) as usize;
        block.and_then(|block| block.get(range)).unwrap_or_default()
    }

    pub(crate) fn put(&mut self, slot: usize, value: &[u8]) {
        let fits = |block: &Vec<u8>| block.len() + value.len() <= block.capacity();
        if !self.blocks.last().is_some_and(fits) {
            self.blocks.push(Vec::with_capacity(BLOCK.max(value.len())));
        }
        let block = self.blocks.len() - 1;
        let Some(last) = self.blocks.last_mut() else {
            return;
        };
        let span = Span {
            block: block as u32,
            start: last.len() as u32,
            len: value.len() as u32,
        };
        last.extend_from_slice(value);
        self.used += value.len();
        self.spans
            .resize(self.spans.len().max(slot + 1), Span::default());
        self.spans[slot] = span;
    }

    pub(crate) fn drop(&mut self, slot: usize) {
        let Some(span) = self.spans.get_mut(slot) else {
            return;
        };
        self.dropped += std::mem::take(span).len as usize;
        if self.dropped > BLOCK.max(self.used / 2) {
            self.repack();
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Vec::capacity).sum();
        blocks + self.spans.capacity() * size_of::<Span>()
    }

    fn repack(&mut self) {
        let mut packed = Self::default();
        for slot in 0..self.spans.len() {
            packed.put(slot, self.get(slot));
        }
        *self = packed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Md5, Sha256};
    use crate::url::CanonicalUrl;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn url(path: &str) -> Signal {
        Signal::Url(CanonicalUrl::parse(&format!("https://files.example/{path}")).unwrap())
    }

    #[track_caller]
    fn check(index: &ExactIndex, signal: &Signal, expect: &[u64]) {
        let mut keys = vec![99];
        index.find(signal, &mut keys);
        assert_eq!(keys.split_first(), Some((&99, expect)));
    }

    #[test]
    fn types_are_kept_apart() {
        let mut index = ExactIndex::new();
        index.insert(1, &Signal::Sha256(Sha256([7; 32])));
        index.insert(2, &Signal::Pdq(crate::Pdq([7; 32])));
        index.insert(3, &Signal::Md5(Md5([7; 16])));
        check(&index, &Signal::Sha256(Sha256([7; 32])), &[1]);
        check(&index, &Signal::Pdq(crate::Pdq([7; 32])), &[2]);
        check(&index, &Signal::Md5(Md5([7; 16])), &[3]);
        check(&index, &Signal::Md5(Md5([8; 16])), &[]);
    }

    #[test]
    fn a_key_has_one_value_whatever_the_type() {
        let mut index = ExactIndex::new();
        index.insert(1, &Signal::Sha256(Sha256([7; 32])));
        index.insert(1, &url("a"));
        check(&index, &Signal::Sha256(Sha256([7; 32])), &[]);
        check(&index, &url("a"), &[1]);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn dropped_texts_do_not_pile_up() {
        let mut index = ExactIndex::new();
        for round in 0..200_u64 {
            for key in 0..100 {
                index.insert(key, &url(&format!("{round}/{key}/{}", "x".repeat(200))));
            }
        }
        let Store::Varying(arena) = &index.types[SignalType::Url as usize].store else {
            unreachable!()
        };
        assert!(
            arena.blocks.len() <= 4,
            "{} blocks for 100 short texts",
            arena.blocks.len()
        );
        check(&index, &url(&format!("199/42/{}", "x".repeat(200))), &[42]);
        check(&index, &url(&format!("198/42/{}", "x".repeat(200))), &[]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u8, bool),
        Remove(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..30_u64, 0..8_u8, any::<bool>()).prop_map(|(k, v, url)| Step::Insert(k, v, url)),
            1 => (0..30_u64).prop_map(Step::Remove),
        ];
        proptest::collection::vec(step, 0..200)
    }

    fn signal(value: u8, as_url: bool) -> Signal {
        if as_url {
            url(&value.to_string())
        } else {
            Signal::Md5(Md5([value; 16]))
        }
    }

    proptest! {
        #[test]
        fn as_a_plain_map_would_answer(steps in steps()) {
            let (mut index, mut map) = (ExactIndex::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value, as_url) => {
                        index.insert(key, &signal(value, as_url));
                        map.insert(key, (value, as_url));
                    }
                    Step::Remove(key) => prop_assert_eq!(index.remove(key), map.remove(&key).is_some()),
                }
                prop_assert_eq!(index.len(), map.len());
            }
            for wanted in (0..8).flat_map(|value| [(value, true), (value, false)]) {
                let mut keys = Vec::new();
                index.find(&signal(wanted.0, wanted.1), &mut keys);
                let expect: Vec<u64> = map.iter().filter(|(_, v)| **v == wanted).map(|(k, _)| *k).collect();
                prop_assert_eq!(keys, expect);
            }
        }
    }
}
