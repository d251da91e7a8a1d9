//! A hash table whose order is the order of its keys.
//!
//! Linear probing where the entries of a run stand in the order of their keys
//! ([Amble & Knuth 1974](https://doi.org/10.1093/comjnl/17.2.135)). Keys are hashes already, and a
//! key's home is its share of the whole range, so that the whole table is sorted, with gaps:
//!
//! ```text
//!   home 0   1     2     3     4     5     6     7
//!      [ 03 | .. | 2a  | 2c  | 5e  | ..  | c1  | f0 ] ff
//!                        └ home is 2          overflow ┘
//! ```
//!
//! Why not `hashbrown`: what is evicted must follow from what was added, whatever the table went
//! through (growth, undo, a snapshot), so it is chosen in the order of keys, which a table of
//! another order cannot walk. Besides, a look-up reads one place in memory, a table may be
//! four-fifths full and grows by a quarter, and a snapshot of equal content has equal bytes.

/// What is kept in a [`Table`].
pub(super) trait Keyed {
    fn key(&self) -> u64;
}

#[derive(Debug, Clone)]
pub(super) struct Table<E> {
    slots: Vec<Option<E>>,
    /// Homes; a run at the end may stand in a few slots more.
    capacity: usize,
    len: usize,
    /// The most entries there will ever be: memory is not taken for more.
    len_max: usize,
    /// The leading bits all keys of this table share.
    shared_bits: u32,
}

/// Slots after the last home, so that a run there seldom makes the memory move.
const SPARE: usize = 16;
const CAPACITY_MIN: usize = 4;

impl<E: Keyed> Table<E> {
    pub(super) fn new(len_max: usize, shared_bits: u32) -> Self {
        Self {
            slots: Vec::new(),
            capacity: 0,
            len: 0,
            len_max,
            shared_bits,
        }
    }

    /// A table of entries in the order of their keys, each key once.
    pub(super) fn from_sorted(entries: Vec<E>, len_max: usize, shared_bits: u32) -> Self {
        let mut table = Self::new(len_max, shared_bits);
        table.rebuild(room_for(entries.len()), entries.into_iter());
        table
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<E>>()
    }

    /// Where the key is, or else where an entry with it would go.
    pub(super) fn find(&self, key: u64) -> Result<usize, usize> {
        let home = self.home(key);
        let mut at = home;
        for slot in self.slots.iter().skip(home) {
            match slot {
                Some(entry) if entry.key() < key => at += 1,
                Some(entry) if entry.key() == key => return Ok(at),
                _ => break,
            }
        }
        Err(at)
    }

    pub(super) fn get(&self, key: u64) -> Option<&E> {
        let at = self.find(key).ok()?;
        self.slots.get(at)?.as_ref()
    }

    /// Whether the key's home is taken.
    pub(super) fn touch(&self, key: u64) -> bool {
        matches!(self.slots.get(self.home(key)), Some(Some(_)))
    }

    pub(super) fn at_mut(&mut self, at: usize) -> Option<&mut E> {
        self.slots.get_mut(at)?.as_mut()
    }

    /// Adds an entry, or takes the place of the one with its key, which is returned.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        match self.find(entry.key()) {
            Ok(at) => self.slots.get_mut(at)?.replace(entry),
            Err(at) => {
                self.insert_at(at, entry);
                None
            }
        }
    }

    /// Adds an entry where [`Table::find`] said it would go.
    pub(super) fn insert_at(&mut self, at: usize, entry: E) {
        if (self.len + 1) * 5 <= self.capacity * 4 {
            return self.shift_in(at, entry);
        }
        self.grow();
        if let Err(at) = self.find(entry.key()) {
            self.shift_in(at, entry);
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<E> {
        let mut at = self.find(key).ok()?;
        let removed = self.slots.get_mut(at)?.take()?;
        self.len -= 1;
        // The rest of the run moves up, up to the first that is at home.
        while let Some(Some(next)) = self.slots.get(at + 1) {
            if self.home(next.key()) > at {
                break;
            }
            self.slots.swap(at, at + 1);
            at += 1;
        }
        Some(removed)
    }

    /// All entries in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.slots.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.slots.iter_mut().flatten()
    }

    /// The entries from this key on, in order.
    pub(super) fn from(&self, key: u64) -> impl Iterator<Item = &E> {
        let (Ok(at) | Err(at)) = self.find(key);
        self.slots.iter().skip(at).flatten()
    }

    /// Takes out all entries that `goes` says, in order.
    pub(super) fn drain_where(&mut self, goes: impl Fn(&E) -> bool, mut taken: impl FnMut(E)) {
        if !self.iter().any(&goes) {
            return;
        }
        let slots = std::mem::take(&mut self.slots);
        let stays = slots.into_iter().flatten().filter_map(|entry| {
            if goes(&entry) {
                taken(entry);
                return None;
            }
            Some(entry)
        });
        self.rebuild(self.capacity, stays);
    }

    /// Gives back memory when only a small part of it is used.
    pub(super) fn shrink(&mut self) {
        if self.len * 3 < self.capacity && self.capacity > CAPACITY_MIN {
            let slots = std::mem::take(&mut self.slots);
            self.rebuild(room_for(self.len), slots.into_iter().flatten());
        }
    }

    fn home(&self, key: u64) -> usize {
        let own = u128::from(key << self.shared_bits);
        ((own * self.capacity as u128) >> 64) as usize
    }

    fn shift_in(&mut self, at: usize, entry: E) {
        self.len += 1;
        let mut carried = Some(entry);
        for slot in self.slots.iter_mut().skip(at) {
            std::mem::swap(slot, &mut carried);
            if carried.is_none() {
                return;
            }
        }
        self.slots.reserve_exact(SPARE);
        self.slots.push(carried);
    }

    fn grow(&mut self) {
        let most = room_for(self.len_max.max(self.len + 1));
        let capacity = (self.capacity + self.capacity / 4 + CAPACITY_MIN).min(most);
        let slots = std::mem::take(&mut self.slots);
        self.rebuild(capacity, slots.into_iter().flatten());
    }

    /// Puts entries, which come in order, each in the first free slot from its home on.
    fn rebuild(&mut self, capacity: usize, entries: impl Iterator<Item = E>) {
        self.capacity = capacity;
        self.len = 0;
        let mut slots = Vec::with_capacity(capacity + SPARE.min(capacity / 4 + 1));
        for entry in entries {
            let at = self.home(entry.key()).max(slots.len());
            slots.resize_with(at, || None);
            slots.push(Some(entry));
            self.len += 1;
        }
        slots.resize_with(capacity.max(slots.len()), || None);
        self.slots = slots;
    }
}

/// Homes for so many entries: one is free of five.
fn room_for(len: usize) -> usize {
    if len == 0 {
        return 0;
    }
    len.saturating_add(len / 4 + 1).max(CAPACITY_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Keyed for (u64, u32) {
        fn key(&self) -> u64 {
            self.0
        }
    }

    /// Every entry is in the first free slot from its home on, in the order of keys.
    fn well_laid(table: &Table<(u64, u32)>) -> bool {
        let mut free = 0;
        let placed = table.slots.iter().enumerate().all(|(at, slot)| {
            slot.as_ref().is_none_or(|entry| {
                let right = at == table.home(entry.key()).max(free);
                free = at + 1;
                right
            })
        });
        placed && table.iter().is_sorted() && table.iter().count() == table.len
    }

    fn keys() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..20_u64, (u64::MAX - 20)..=u64::MAX]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_sorted_map_holds(
            steps in prop::collection::vec((0..8_u8, keys(), any::<u32>()), 0..300)
        ) {
            let (mut table, mut map) = (Table::new(1_000, 0), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 => prop_assert_eq!(table.remove(key), map.remove(&key).map(|v| (key, v))),
                    1 => {
                        let mut gone = 0;
                        table.drain_where(|e: &(u64, u32)| e.1.is_multiple_of(7), |_| gone += 1);
                        let before = map.len();
                        map.retain(|_, v| !v.is_multiple_of(7));
                        prop_assert_eq!(gone, before - map.len());
                        table.shrink();
                    }
                    _ => prop_assert_eq!(table.insert((key, value)), map.insert(key, value).map(|v| (key, v))),
                }
                prop_assert!(well_laid(&table));
                prop_assert_eq!(table.get(key).map(|e| e.1), map.get(&key).copied());
            }
            let all: Vec<_> = map.into_iter().collect();
            prop_assert_eq!(table.iter().copied().collect::<Vec<_>>(), all.clone());
            prop_assert!(well_laid(&Table::from_sorted(all, 1_000, 0)));
        }
    }

    #[test]
    fn a_table_takes_no_memory_for_more_than_its_most() {
        let mut table = Table::new(4_097, 0);
        for n in 0..4_097_u64 {
            table.insert((n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0));
        }
        let slots = 4_097 * 5 / 4 + 1 + 2 * SPARE;
        assert!(table.memory_bytes() <= slots * size_of::<Option<(u64, u32)>>());
    }
}
