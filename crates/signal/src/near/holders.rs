//! Which keys hold which value: equal values lie in one slot, however many keys have them.

use crate::index::keys::KeySlots;

const NONE: u32 = u32::MAX;

/// Keys by the slot of their value, and the other way round.
///
/// A list in which one value is repeated a hundred thousand times costs a lookup no more than
/// one in which it stands once, other than that all of its keys are answered.
#[derive(Default)]
pub(crate) struct Holders {
    keys: Vec<u64>,
    links: Vec<Links>,
    by_key: KeySlots,
    free: Vec<u32>,
    /// By slot: the first entry of its chain.
    first: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Links {
    slot: u32,
    next: u32,
    previous: u32,
}

impl Holders {
    /// Adds a key, which must not be in, to those of a slot.
    pub(crate) fn insert(&mut self, key: u64, slot: u32) {
        let entry = self.free.pop().unwrap_or(self.keys.len() as u32);
        let at = slot as usize;
        self.first.resize(self.first.len().max(at + 1), NONE);
        let next = std::mem::replace(&mut self.first[at], entry);
        if let Some(next) = self.links.get_mut(next as usize) {
            next.previous = entry;
        }
        let links = Links {
            slot,
            next,
            previous: NONE,
        };
        if entry as usize == self.keys.len() {
            self.keys.push(key);
            self.links.push(links);
        } else {
            self.keys[entry as usize] = key;
            self.links[entry as usize] = links;
        }
        self.by_key.insert(entry, &self.keys);
    }

    /// Takes a key out: the slot it was in, and whether no key is left there.
    pub(crate) fn remove(&mut self, key: u64) -> Option<(u32, bool)> {
        let entry = self.by_key.remove(key, &self.keys)?;
        let Links {
            slot,
            next,
            previous,
        } = *self.links.get(entry as usize)?;
        if let Some(next) = self.links.get_mut(next as usize) {
            next.previous = previous;
        }
        let before = match self.links.get_mut(previous as usize) {
            Some(before) => Some(&mut before.next),
            None => self.first.get_mut(slot as usize),
        };
        if let Some(before) = before {
            *before = next;
        }
        self.free.push(entry);
        Some((slot, next == NONE && previous == NONE))
    }

    /// The keys of a slot, in no order.
    pub(crate) fn of(&self, slot: u32) -> impl Iterator<Item = u64> + '_ {
        let mut entry = self.first.get(slot as usize).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let key = *self.keys.get(entry as usize)?;
            entry = self.links.get(entry as usize)?.next;
            Some(key)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.capacity() * 8
            + self.links.capacity() * 12
            + self.first.capacity() * 4
            + self.by_key.len() * 7
    }
}
