//! From a 32-bit tag to the members it stands for, ordered by their length.
//!
//! Most tags have one member, which lies in the table itself. A tag of many has a sorted list, and
//! one of very many a tree, so that a bank made of one template can still be changed.

use hashbrown::HashTable;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// One member under a tag: its length (17 bits), a place in it (13 bits) and its slot (31 bits).
/// The order is that of lengths first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting(u64);

/// Slots that a [`Posting`] can name.
pub(crate) const SLOTS_MAX: u32 = 1 << 31;
const PLACE_BITS: u32 = 13;
const SLOT_BITS: u32 = 31;
const LENGTH_SHIFT: u32 = PLACE_BITS + SLOT_BITS;

impl Posting {
    pub(crate) fn new(length: u32, place: u32, slot: u32) -> Self {
        Self(
            u64::from(length) << LENGTH_SHIFT
                | u64::from(place & ((1 << PLACE_BITS) - 1)) << SLOT_BITS
                | u64::from(slot & (SLOTS_MAX - 1)),
        )
    }
    pub(crate) fn length(self) -> u32 {
        (self.0 >> LENGTH_SHIFT) as u32
    }
    pub(crate) fn place(self) -> u32 {
        (self.0 >> SLOT_BITS) as u32 & ((1 << PLACE_BITS) - 1)
    }
    pub(crate) fn slot(self) -> u32 {
        self.0 as u32 & (SLOTS_MAX - 1)
    }
}

/// Marks an entry whose other bits are the number of a list.
const LIST: u64 = 1 << 63;
/// Members from which on a list is a tree.
const TREE: usize = 4096;

/// An entry of the table, as three words so that it takes 12 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    high: u32,
    low: u32,
}

impl Entry {
    fn value(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
    fn set(&mut self, value: u64) {
        (self.high, self.low) = ((value >> 32) as u32, value as u32);
    }
}

#[derive(Debug)]
enum List {
    Few(Vec<Posting>),
    Many(BTreeSet<Posting>),
}

/// What stands under a tag.
#[derive(Clone, Copy)]
pub(crate) enum Members<'p> {
    One(Posting),
    Few(&'p [Posting]),
    Many(&'p BTreeSet<Posting>),
}

impl Members<'_> {
    /// Hands over those that have a length in the range.
    #[inline]
    pub(crate) fn each(self, lengths: &RangeInclusive<u32>, then: impl FnMut(Posting)) {
        let from = Posting::new(*lengths.start(), 0, 0);
        let is_short = |posting: &Posting| posting.length() <= *lengths.end();
        match self {
            Self::One(posting) => Some(posting)
                .filter(|posting| *posting >= from && is_short(posting))
                .into_iter()
                .for_each(then),
            Self::Few(list) => {
                let start = list.partition_point(|posting| *posting < from);
                let rest = list.get(start..).unwrap_or_default().iter().copied();
                rest.take_while(is_short).for_each(then);
            }
            Self::Many(tree) => tree
                .range(from..)
                .copied()
                .take_while(is_short)
                .for_each(then),
        }
    }
}

/// Members by tag.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    filter: Filter,
    table: HashTable<Entry>,
    lists: Vec<List>,
    free: Vec<u32>,
}

/// Tags are hashes already; this fills the upper bits, which the table looks at first.
#[inline]
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Postings {
    pub(crate) fn insert(&mut self, tag: u32, posting: Posting) {
        let Some(entry) = self.table.find_mut(spread(tag), |entry| entry.tag == tag) else {
            let mut entry = Entry {
                tag,
                high: 0,
                low: 0,
            };
            entry.set(posting.0);
            self.table
                .insert_unique(spread(tag), entry, |entry| spread(entry.tag));
            if !self.filter.insert(tag) {
                self.filter = Filter::of(&self.table);
            }
            return;
        };
        let value = entry.value();
        if value & LIST == 0 {
            let (a, b) = (posting.min(Posting(value)), posting.max(Posting(value)));
            let list = List::Few(vec![a, b]);
            let number = if let Some(number) = self.free.pop() {
                self.lists[number as usize] = list;
                number
            } else {
                self.lists.push(list);
                self.lists.len() as u32 - 1
            };
            entry.set(LIST | u64::from(number));
        } else if let Some(list) = self.lists.get_mut((value & !LIST) as usize) {
            list.insert(posting);
        }
    }

    pub(crate) fn remove(&mut self, tag: u32, posting: Posting) {
        let Ok(mut found) = self.table.find_entry(spread(tag), |entry| entry.tag == tag) else {
            return;
        };
        let value = found.get().value();
        if value & LIST == 0 {
            if value == posting.0 {
                found.remove();
            }
            return;
        }
        let number = (value & !LIST) as u32;
        let Some(list) = self.lists.get_mut(number as usize) else {
            return;
        };
        if let Some(last) = list.remove(posting) {
            found.get_mut().set(last.0);
            *list = List::Few(Vec::new());
            self.free.push(number);
        }
    }

    /// Drops tags that certainly have no member, and few others are left.
    pub(crate) fn retain_known<T: Copy>(&self, tagged: &mut Vec<(u32, T)>) {
        // No branch depends on what is found, so that the processor waits for many words at once.
        let mut kept = 0;
        for at in 0..tagged.len() {
            let each = tagged[at];
            tagged[kept] = each;
            kept += usize::from(self.filter.contains(each.0));
        }
        tagged.truncate(kept);
    }

    /// What stands under each tag, with what came with it. One table is gone through for all tags before
    /// the next, so that the processor waits for many at once here too.
    pub(crate) fn known<T: Copy>(
        &self,
        tagged: impl Iterator<Item = (u32, T)>,
    ) -> Vec<(Members<'_>, T)> {
        let find = |(tag, with): (u32, T)| {
            let entry = self.table.find(spread(tag), |entry| entry.tag == tag)?;
            Some((entry.value(), with))
        };
        let values: Vec<(u64, T)> = tagged.filter_map(find).collect();
        let members = |(value, with): (u64, T)| {
            if value & LIST == 0 {
                return Some((Members::One(Posting(value)), with));
            }
            let members = match self.lists.get((value & !LIST) as usize)? {
                List::Few(list) => Members::Few(list),
                List::Many(tree) => Members::Many(tree),
            };
            Some((members, with))
        };
        values.into_iter().filter_map(members).collect()
    }

    /// Bytes on the heap, near enough.
    pub(crate) fn bytes(&self) -> usize {
        let lists = self.lists.iter().map(|list| match list {
            List::Few(list) => list.capacity() * 8,
            List::Many(tree) => tree.len() * 12,
        });
        let tables = self.table.allocation_size() + self.filter.words.capacity() * 8;
        tables + self.lists.capacity() * 32 + lists.sum::<usize>()
    }
}

/// One bit for each tag that was ever in the table since the filter was made.
#[derive(Debug, Default)]
struct Filter {
    words: Vec<u64>,
    /// Tags that may still be added.
    room: usize,
}

impl Filter {
    /// A filter with 16 to 32 bits for each tag, and room until they are 8.
    fn of(table: &HashTable<Entry>) -> Self {
        let words = (table.len() / 2 + 16).next_power_of_two();
        let mut filter = Self {
            words: vec![0; words],
            room: words * 8,
        };
        for entry in table {
            filter.insert(entry.tag);
        }
        filter
    }

    /// Notes a tag, unless the filter is full.
    fn insert(&mut self, tag: u32) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        let at = self.word(tag);
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << (tag % 64);
        }
        true
    }

    #[inline]
    fn contains(&self, tag: u32) -> bool {
        let word = self.words.get(self.word(tag));
        word.is_some_and(|word| word >> (tag % 64) & 1 == 1)
    }

    #[inline]
    fn word(&self, tag: u32) -> usize {
        (spread(tag) >> 20) as usize & self.words.len().wrapping_sub(1)
    }
}

impl List {
    fn insert(&mut self, posting: Posting) {
        match self {
            Self::Few(list) if list.len() < TREE => {
                if let Err(at) = list.binary_search(&posting) {
                    list.insert(at, posting);
                }
            }
            Self::Few(list) => {
                let mut tree: BTreeSet<_> = list.drain(..).collect();
                tree.insert(posting);
                *self = Self::Many(tree);
            }
            Self::Many(tree) => {
                tree.insert(posting);
            }
        }
    }

    /// Takes a member out; the last one, if only one is left.
    fn remove(&mut self, posting: Posting) -> Option<Posting> {
        match self {
            Self::Few(list) => {
                if let Ok(at) = list.binary_search(&posting) {
                    list.remove(at);
                }
            }
            Self::Many(tree) => {
                tree.remove(&posting);
                if tree.len() < TREE / 2 {
                    *self = Self::Few(tree.iter().copied().collect());
                }
            }
        }
        match self {
            Self::Few(list) if list.len() == 1 => list.first().copied(),
            _ => None,
        }
    }
}
