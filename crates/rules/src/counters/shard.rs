//! Shards: the keys of a counter in parts, so that no addition waits for all of them to move; what
//! is forgotten when there are too many; and the way back.

use super::codec::{DecodeError, Reader, put_number, put_signed, sure};
use super::table::{Keyed, Table};
use super::window::Window;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// What a counter keeps for one key.
pub(super) trait Cells: Clone {
    /// What an event adds.
    type Input;
    /// The cells of a key with its first event.
    fn first(place: Place, input: Self::Input, window: Window) -> Self;
    /// Adds an event, when need be after going on to a newer bucket.
    fn add(&mut self, place: Place, input: Self::Input, window: Window);
    /// How much is lost when the key is forgotten.
    fn weight(&self, newest: i64, window: Window) -> u64;
    /// Memory beside the entry.
    fn heap_bytes(&self) -> usize;
    /// Uses less memory for the same content where that is possible.
    fn tidy(&mut self, newest: i64, window: Window);
    /// The content, the same whatever form it is kept in.
    fn encode(&self, newest: i64, window: Window, out: &mut Vec<u8>);
    fn decode(newest: i64, window: Window, bytes: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Where an event belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The key's newest bucket up to now.
    pub(super) before: i64,
    /// The key's newest bucket with this event.
    pub(super) newest: i64,
    /// How many buckets before `newest` the event is.
    pub(super) age: u8,
    pub(super) at_ms: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Entry<C> {
    pub(super) key: u64,
    pub(super) newest: i64,
    pub(super) cells: C,
}

impl<C> Keyed for Entry<C> {
    fn key(&self) -> u64 {
        self.key
    }
}

impl<C: Cells> Entry<C> {
    /// A key with its first event.
    fn begun(key: u64, newest: i64, at_ms: i64, input: C::Input, window: Window) -> Self {
        let place = Place {
            before: newest,
            newest,
            age: 0,
            at_ms,
        };
        let cells = C::first(place, input, window);
        Self { key, newest, cells }
    }
}

/// When an event counts, and what the clock says, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct When {
    pub(super) at_ms: i64,
    pub(super) now_ms: i64,
}

/// What happened to a counter since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Keys put out that could still have been read, because there was no more room.
    pub evicted: u64,
    /// The most one of them had: events, values, or the sum. Counts may be too low by so much.
    pub largest_lost: u64,
    /// Events that came later than is allowed and were not counted.
    pub dropped_late: u64,
}

/// Entries looked at to find one that may go.
const SAMPLED: usize = 8;
/// Keys in a shard before there are more shards.
const SHARD_KEYS: usize = 1_024;
const SHARD_BITS_MAX: u32 = 10;

#[derive(Debug, Clone)]
pub(super) struct Shards<C> {
    pub(super) window: Window,
    shards: Vec<Shard<C>>,
    /// The leading bits of a key that say which shard it is in.
    bits: u32,
    shard_keys_max: usize,
    pub(super) stats: Stats,
    next_swept: usize,
}

#[derive(Debug, Clone)]
struct Shard<C> {
    table: Table<Entry<C>>,
    heap_bytes: usize,
    turn: Turn,
}

/// Where eviction has come to.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// The key from which on the next entries are looked at.
    hand: u64,
    /// The bucket as of which expired entries were last looked for.
    purged: i64,
}

/// What was before, of all that one transaction changed.
#[derive(Debug, Clone)]
pub(super) struct Log<C> {
    seen: HashSet<u64, BuildHasherDefault<KeyAsHash>>,
    entries: Vec<(u64, Option<Entry<C>>)>,
    turns: Vec<(usize, Turn)>,
    stats: Option<Stats>,
}

/// Keys are hashes already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyAsHash(u64);

impl Hasher for KeyAsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Self {
            seen: HashSet::default(),
            entries: Vec::new(),
            turns: Vec::new(),
            stats: None,
        }
    }
}

impl<C: Cells> Log<C> {
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.entries.clear();
        self.turns.clear();
        self.stats = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.stats.is_none()
    }

    fn changes(&mut self, key: u64, before: Option<&Entry<C>>) {
        if self.seen.insert(key) {
            self.entries.push((key, before.cloned()));
        }
    }

    fn takes(&mut self, entry: Entry<C>) {
        if self.seen.insert(entry.key) {
            self.entries.push((entry.key, Some(entry)));
        }
    }

    fn notes(&mut self, stats: Stats) {
        self.stats.get_or_insert(stats);
    }
}

impl<C: Cells> Shards<C> {
    pub(super) fn new(window: Window, keys_max: usize) -> Self {
        let keys_max = keys_max.max(1);
        let bits = (keys_max / SHARD_KEYS).max(1).ilog2().min(SHARD_BITS_MAX);
        let shard_keys_max = keys_max.div_ceil(1 << bits);
        let shard = |_| Shard::new(Table::new(shard_keys_max, bits));
        Self {
            window,
            shards: (0..1_usize << bits).map(shard).collect(),
            bits,
            shard_keys_max,
            stats: Stats::default(),
            next_swept: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.table.len()).sum()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let shard = |shard: &Shard<C>| shard.heap_bytes + shard.table.memory_bytes();
        self.shards.iter().map(shard).sum::<usize>()
            + self.shards.capacity() * size_of::<Shard<C>>()
    }

    pub(super) fn get(&self, key: u64) -> Option<&Entry<C>> {
        self.shards.get(self.shard_of(key))?.table.get(key)
    }

    /// Whether something is where the key would be, with one look into memory.
    pub(super) fn touch(&self, key: u64) -> bool {
        let shard = self.shards.get(self.shard_of(key));
        shard.is_some_and(|shard| shard.table.touch(key))
    }

    pub(super) fn add(
        &mut self,
        key: u64,
        when: When,
        input: C::Input,
        mut log: Option<&mut Log<C>>,
    ) {
        let (window, at) = (self.window, self.shard_of(key));
        let (at_ms, bucket) = (when.at_ms, window.bucket_of(when.at_ms));
        let Some(shard) = self.shards.get_mut(at) else {
            return;
        };
        let found = shard.table.find(key);
        let Some(entry) = found.ok().and_then(|found| shard.table.at_mut(found)) else {
            let before = log.as_deref_mut();
            let room = shard.table.len() < self.shard_keys_max;
            let slot = match found {
                Err(slot) if room => slot,
                _ => {
                    shard.make_room(at, bucket, window, &mut self.stats, before);
                    shard.table.find(key).unwrap_or_else(|slot| slot)
                }
            };
            if let Some(log) = log {
                log.changes(key, None);
            }
            shard.begin(slot, key, bucket, at_ms, input, window);
            return;
        };
        if window.is_ahead(entry.newest, when.now_ms) {
            if let Some(log) = log {
                log.changes(key, Some(entry));
            }
            shard.heap_bytes -= entry.cells.heap_bytes();
            *entry = Entry::begun(key, bucket, at_ms, input, window);
            shard.heap_bytes += entry.cells.heap_bytes();
            return;
        }
        let newest = entry.newest.max(bucket);
        let Some(age) = window.age(newest, bucket) else {
            if let Some(log) = log {
                log.notes(self.stats);
            }
            self.stats.dropped_late += 1;
            return;
        };
        if let Some(log) = log {
            log.changes(key, Some(entry));
        }
        let place = Place {
            before: entry.newest,
            newest,
            age,
            at_ms,
        };
        let heap_before = entry.cells.heap_bytes();
        entry.newest = newest;
        entry.cells.add(place, input, window);
        let heap_bytes = entry.cells.heap_bytes();
        shard.heap_bytes = shard.heap_bytes - heap_before + heap_bytes;
    }

    /// Puts back what the log remembers.
    pub(super) fn undo(&mut self, log: Log<C>) {
        for (key, before) in log.entries {
            let at = self.shard_of(key);
            let Some(shard) = self.shards.get_mut(at) else {
                continue;
            };
            shard.remove(key);
            if let Some(entry) = before {
                shard.insert(entry);
            }
        }
        // Of several notes of one shard the first is what was before.
        for (at, turn) in log.turns.into_iter().rev() {
            if let Some(shard) = self.shards.get_mut(at) {
                shard.turn = turn;
            }
        }
        self.stats = log.stats.unwrap_or(self.stats);
    }

    /// Takes expired entries out of the next so many shards and says how many they were.
    pub(super) fn sweep(&mut self, now_ms: i64, shards: usize) -> usize {
        let (window, bucket) = (self.window, self.window.bucket_of(now_ms));
        let mut swept = 0;
        for _ in 0..shards.min(self.shards.len()) {
            if let Some(shard) = self.shards.get_mut(self.next_swept) {
                swept += shard.sweep(bucket, window);
            }
            self.next_swept = (self.next_swept + 1) % self.shards.len().max(1);
        }
        swept
    }

    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn encode_shard(&self, at: usize, out: &mut Vec<u8>) {
        let Some(shard) = self.shards.get(at) else {
            return;
        };
        out.extend(shard.turn.hand.to_le_bytes());
        put_signed(out, shard.turn.purged);
        put_number(out, shard.table.len() as u64);
        for entry in shard.table.iter() {
            out.extend(entry.key.to_le_bytes());
            put_signed(out, entry.newest);
            entry.cells.encode(entry.newest, self.window, out);
        }
    }

    pub(super) fn decode_shards(&mut self, bytes: &mut Reader<'_>) -> Result<(), DecodeError> {
        for at in 0..self.shards.len() {
            let shard = self.decode_shard(at, bytes)?;
            if let Some(place) = self.shards.get_mut(at) {
                *place = shard;
            }
        }
        Ok(())
    }

    fn decode_shard(&self, at: usize, bytes: &mut Reader<'_>) -> Result<Shard<C>, DecodeError> {
        let (hand, purged) = (bytes.word()?, bytes.signed()?);
        let count = bytes.count(10)?;
        sure(
            count <= self.shard_keys_max,
            "there are more keys than are allowed",
        )?;
        let buckets = self.window.bucket_of(i64::MIN)..=self.window.bucket_of(i64::MAX);
        let mut entries: Vec<Entry<C>> = Vec::with_capacity(count);
        for _ in 0..count {
            let (key, newest) = (bytes.word()?, bytes.signed()?);
            let follows = entries.last().is_none_or(|last| last.key < key);
            sure(follows && self.shard_of(key) == at, "keys are out of order")?;
            sure(buckets.contains(&newest), "a time is out of range")?;
            let cells = C::decode(newest, self.window, bytes)?;
            entries.push(Entry { key, newest, cells });
        }
        let heap_bytes = entries.iter().map(|entry| entry.cells.heap_bytes()).sum();
        Ok(Shard {
            table: Table::from_sorted(entries, self.shard_keys_max, self.bits),
            heap_bytes,
            turn: Turn { hand, purged },
        })
    }

    fn shard_of(&self, key: u64) -> usize {
        key.checked_shr(u64::BITS - self.bits).unwrap_or(0) as usize
    }
}

impl<C: Cells> Shard<C> {
    fn new(table: Table<Entry<C>>) -> Self {
        let turn = Turn {
            hand: 0,
            purged: i64::MIN,
        };
        Self {
            table,
            heap_bytes: 0,
            turn,
        }
    }

    fn begin(
        &mut self,
        slot: usize,
        key: u64,
        newest: i64,
        at_ms: i64,
        input: C::Input,
        window: Window,
    ) {
        let entry: Entry<C> = Entry::begun(key, newest, at_ms, input, window);
        self.heap_bytes += entry.cells.heap_bytes();
        self.table.insert_at(slot, entry);
    }

    fn insert(&mut self, entry: Entry<C>) {
        self.heap_bytes += entry.cells.heap_bytes();
        self.table.insert(entry);
    }

    fn remove(&mut self, key: u64) -> Option<Entry<C>> {
        let removed = self.table.remove(key)?;
        self.heap_bytes -= removed.cells.heap_bytes();
        Some(removed)
    }

    /// Makes room for one entry: expired ones go first, then the least of a few.
    fn make_room(
        &mut self,
        at: usize,
        bucket: i64,
        window: Window,
        stats: &mut Stats,
        mut log: Option<&mut Log<C>>,
    ) {
        if let Some(log) = log.as_deref_mut() {
            log.turns.push((at, self.turn));
            log.notes(*stats);
        }
        // All entries of a full shard are looked at once in a bucket, so an addition pays for a few.
        if bucket > self.turn.purged {
            self.turn.purged = bucket;
            let purged = self.purge(bucket, window, |entry| {
                if let Some(log) = log.as_deref_mut() {
                    log.takes(entry);
                }
            });
            if purged > 0 {
                return;
            }
        }
        let Some(victim) = self.least_of_a_few(window).and_then(|key| self.remove(key)) else {
            return;
        };
        if !window.expired(victim.newest, bucket) {
            stats.evicted += 1;
            stats.largest_lost = stats
                .largest_lost
                .max(victim.cells.weight(victim.newest, window));
        }
        if let Some(log) = log {
            log.takes(victim);
        }
    }

    /// Of the next few entries from the hand on, in the order of keys: the one with the least, of
    /// several the one that has been quiet for longest. Chosen by content alone.
    fn least_of_a_few(&mut self, window: Window) -> Option<u64> {
        let (mut least, mut last) = (None, None);
        let sample = self.table.from(self.turn.hand).chain(self.table.iter());
        for entry in sample.take(SAMPLED.min(self.table.len())) {
            let rank = (
                entry.cells.weight(entry.newest, window),
                entry.newest,
                entry.key,
            );
            last = Some(entry.key);
            if least.is_none_or(|least| rank < least) {
                least = Some(rank);
            }
        }
        self.turn.hand = last?.wrapping_add(1);
        least.map(|(_, _, key)| key)
    }

    fn purge(&mut self, bucket: i64, window: Window, mut taken: impl FnMut(Entry<C>)) -> usize {
        let (mut purged, mut heap_bytes) = (0, 0);
        let expired = |entry: &Entry<C>| window.expired(entry.newest, bucket);
        self.table.drain_where(expired, |entry| {
            purged += 1;
            heap_bytes += entry.cells.heap_bytes();
            taken(entry);
        });
        self.heap_bytes -= heap_bytes;
        purged
    }

    fn sweep(&mut self, bucket: i64, window: Window) -> usize {
        let swept = self.purge(bucket, window, drop);
        self.table.shrink();
        let mut heap_bytes = 0;
        for entry in self.table.iter_mut() {
            entry.cells.tidy(entry.newest, window);
            heap_bytes += entry.cells.heap_bytes();
        }
        self.heap_bytes = heap_bytes;
        swept
    }
}

/// What a block of memory takes with the allocator's own words: glibc's rule, 8 bytes and multiples of 16.
pub(super) fn heap_block(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    (bytes + 8).next_multiple_of(16).max(32)
}
