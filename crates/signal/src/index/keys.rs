//! From a key to the slot where its entry lies, in a table of four-byte slots.

use hashbrown::HashTable;

/// Spreads a key over 64 bits (the finaliser of MurmurHash3). Keys come from the operator's own
/// bank and not from what is looked up, so a fixed function will do.
pub(crate) fn spread(key: u64) -> u64 {
    let key = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let key = (key ^ (key >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ (key >> 33)
}

/// The slots of all keys. The keys themselves lie with the entries, in `keys[slot]`.
#[derive(Clone, Default)]
pub(crate) struct KeySlots(HashTable<u32>);

impl KeySlots {
    /// Notes the slot of a key that is not in yet; `keys[slot]` must already be that key.
    pub(crate) fn insert(&mut self, slot: u32, keys: &[u64]) {
        self.0
            .insert_unique(spread(key_at(keys, slot)), slot, |slot| {
                spread(key_at(keys, *slot))
            });
    }

    pub(crate) fn remove(&mut self, key: u64, keys: &[u64]) -> Option<u32> {
        let found = self
            .0
            .find_entry(spread(key), |slot| key_at(keys, *slot) == key);
        found.ok().map(|entry| entry.remove().0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn key_at(keys: &[u64], slot: u32) -> u64 {
    keys.get(slot as usize).copied().unwrap_or_default()
}
