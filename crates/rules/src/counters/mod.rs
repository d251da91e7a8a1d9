//! Counters over sliding windows: how often, how many different, how much, and what last, for each
//! of millions of keys. No I/O and no clock: times come with the events.
//!
//! ```text
//!   event ─ parts ─▶ KeyHasher ─▶ Key ─┐
//!                                      ▼
//!   Counter { Kind, Window } ── shard ── table ── entry { key, newest bucket, cells }
//!       │ add(key, at, input, &mut Undo)                        │
//!       └ read(key, at) ◀── buckets at-N ..= at ────────────────┘
//! ```
//!
//! # What a reading says
//!
//! A [`Window`] W is cut into N = 60 buckets of W/60 (rounded up to a millisecond; N is smaller by one
//! or two where that matters). An event counts in the bucket its own time falls in. A reading at a
//! time covers the bucket of that time and the N before it: **all** of the last W, and at both ends
//! together at most one bucket more. It never says too little, and too much only by what happened in
//! W/60 (and up to 59 ms where W does not divide into whole milliseconds).
//!
//! The answer follows from the events within reach alone, in whatever order they came: a recount
//! from the log says the same. Two exceptions: sums of fractions depend on the order in their last
//! digits, and estimates of more than [`DISTINCT_EXACT_MAX`] values on the order of additions; the
//! same order gives the same answer. Events that were evicted (below) are missing, of course.
//!
//! # Late events
//!
//! Of each key M buckets more are kept, a quarter of the window or an hour
//! ([`Window::lateness`]): an event that comes so much later than the key's newest counts in its own
//! bucket, and a reading as of its time is right. A reading older than that is answered as of the oldest
//! time that still can be. An event more than N + M buckets older than the newest of its key is not
//! counted ([`Stats::dropped_late`]). Times far in the future are the caller's to refuse: one
//! of them makes everything before it old.
//!
//! # What is counted
//!
//! | [`Kind`] | reading | exact |
//! |---|---|---|
//! | `Count` | events | yes, up to 4,294,967,295 in a bucket; more are not counted |
//! | `Distinct` | different values | up to [`DISTINCT_EXACT_MAX`] within reach; above, standard error 1.9 % where the sample is full, 2.7 % where it is half full |
//! | `SumInt` | sum | yes; a reading beyond 64 bits is brought to the nearest end |
//! | `SumFloat` | sum | as floating-point sums are; stops at the largest finite number |
//! | `Last` | the newest value not later than the reading | see below |
//!
//! `Last` is to be read before the present event is added. Of two values of one millisecond the one
//! added later is the newer. One value is kept for each bucket: a *late* reading whose own bucket has
//! a later value already is answered from the buckets before.
//!
//! # When there are too many keys
//!
//! A counter holds `keys_max` keys, in up to 1,024 shards of equal size. When a shard is full, its
//! expired keys go first, then of eight keys (the next ones in the order of keys) the one with the
//! least, of equal ones the one quiet for longest: many keys with one event each cannot drive out
//! those with many. [`Stats::evicted`] says how often that happened, [`Stats::largest_lost`] the most
//! one key lost at once.
//!
//! # Going back
//!
//! Every change can be undone as long as its [`Undo`] is held: the state is then what it was, to the
//! byte of its snapshot. Undos are applied newest first.
//!
//! ```
//! use jiff::SignedDuration;
//! use manara_rules::counters::{Counter, Input, KeyHasher, Kind, Reading, Undo, Window};
//!
//! let hasher = KeyHasher::new([7; 16]);
//! let hour = Window::of(SignedDuration::from_hours(1)).unwrap();
//! let mut posts = Counter::new(Kind::Count, hour, 100_000);
//! let account = hasher.key(&[b"a-19"]);
//!
//! posts.add(account, 0, Input::Event, &mut Undo::none()).unwrap();
//! let mut undo = posts.begin();
//! posts.add(account, 60_000, Input::Event, &mut undo).unwrap();
//! assert_eq!(posts.read(account, 60_000), Reading::Count(2));
//! posts.undo(undo);
//! assert_eq!(posts.read(account, 60_000), Reading::Count(1));
//! assert_eq!(posts.read(account, 2 * 3_600_000), Reading::Count(0));
//! ```

mod codec;
mod count;
mod distinct;
mod key;
mod last;
mod shard;
mod sum;
mod table;
#[cfg(test)]
mod tests;
mod window;

pub use codec::DecodeError;
pub use distinct::DISTINCT_EXACT_MAX;
pub use key::{Key, KeyHasher};
pub use last::{TEXT_BYTES_MAX, Value};
pub use shard::Stats;
pub use window::{Window, WindowError};

use codec::{Reader, put_number};
use count::Count;
use distinct::Distinct;
use jiff::SignedDuration;
use last::Last;
use shard::{Log, Shards, When};
use sum::Sum;
use thiserror::Error;

/// What a counter keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// How many events.
    Count,
    /// How many different values.
    Distinct,
    /// The sum of whole numbers.
    SumInt,
    /// The sum of fractions.
    SumFloat,
    /// The newest value.
    Last,
}

/// What one event adds to a counter.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// To `Count`.
    Event,
    /// To `Distinct`: a value's hash from [`KeyHasher::value`].
    Distinct(u64),
    /// To `SumInt`.
    Int(i64),
    /// To `SumFloat`.
    Float(f64),
    /// To `Last`.
    Last(Value),
}

/// What a counter says of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading<'a> {
    /// Events.
    Count(u64),
    /// Different values.
    Distinct {
        /// How many.
        value: u64,
        /// Whether that is exact or an estimate.
        exact: bool,
    },
    /// A sum of whole numbers.
    SumInt(i64),
    /// A sum of fractions.
    SumFloat(f64),
    /// The newest value, if there is one.
    Last(Option<&'a Value>),
}

/// Why something was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// The input, or the undo, is for another kind of counter.
    #[error("this is not for a counter of kind {0:?}; give what its kind takes")]
    WrongKind(Kind),
    /// Infinities and NaN would spoil every later reading.
    #[error("a number to add is not finite; leave the event out of the counter")]
    NotFinite,
    /// Texts are kept, so they are bounded.
    #[error("a text to remember is longer than {TEXT_BYTES_MAX} bytes; remember its key instead")]
    TextTooLong,
}

/// One counter over all its keys.
#[derive(Debug, Clone)]
pub struct Counter {
    keys_max: usize,
    inner: Inner,
}

#[derive(Debug, Clone)]
enum Inner {
    Count(Shards<Count>),
    Distinct(Shards<Distinct>),
    SumInt(Shards<Sum<i64>>),
    SumFloat(Shards<Sum<f64>>),
    Last(Shards<Last>),
}

/// What it takes to undo additions to **one** counter: entries as they were before their first change.
///
/// Made by [`Counter::begin`] for each transaction; [`Undo::none`] where nothing will be undone.
#[derive(Debug, Clone)]
pub struct Undo(Logs);

#[derive(Debug, Clone)]
enum Logs {
    None,
    Count(Log<Count>),
    Distinct(Log<Distinct>),
    SumInt(Log<Sum<i64>>),
    SumFloat(Log<Sum<f64>>),
    Last(Log<Last>),
}

/// The same expression for whichever kind of shards there are.
macro_rules! each {
    ($inner:expr, $shards:ident => $do:expr) => {
        match $inner {
            Inner::Count($shards) => $do,
            Inner::Distinct($shards) => $do,
            Inner::SumInt($shards) => $do,
            Inner::SumFloat($shards) => $do,
            Inner::Last($shards) => $do,
        }
    };
}

impl Undo {
    /// Remembers nothing, for additions that stay whatever happens.
    pub fn none() -> Self {
        Self(Logs::None)
    }

    /// Forgets what it remembers, to be used for the next transaction of the same counter.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Logs::None => {}
            Logs::Count(log) => log.clear(),
            Logs::Distinct(log) => log.clear(),
            Logs::SumInt(log) => log.clear(),
            Logs::SumFloat(log) => log.clear(),
            Logs::Last(log) => log.clear(),
        }
    }

    /// Whether there is nothing to undo.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Logs::None => true,
            Logs::Count(log) => log.is_empty(),
            Logs::Distinct(log) => log.is_empty(),
            Logs::SumInt(log) => log.is_empty(),
            Logs::SumFloat(log) => log.is_empty(),
            Logs::Last(log) => log.is_empty(),
        }
    }
}

const MAGIC: &[u8; 4] = b"MCTR";
const VERSION: u8 = 1;

impl Counter {
    /// An empty counter for up to `keys_max` keys, one at least. Memory is taken as keys come.
    pub fn new(kind: Kind, window: Window, keys_max: usize) -> Self {
        let inner = match kind {
            Kind::Count => Inner::Count(Shards::new(window, keys_max)),
            Kind::Distinct => Inner::Distinct(Shards::new(window, keys_max)),
            Kind::SumInt => Inner::SumInt(Shards::new(window, keys_max)),
            Kind::SumFloat => Inner::SumFloat(Shards::new(window, keys_max)),
            Kind::Last => Inner::Last(Shards::new(window, keys_max)),
        };
        Self { keys_max, inner }
    }

    /// What it keeps.
    pub fn kind(&self) -> Kind {
        match &self.inner {
            Inner::Count(_) => Kind::Count,
            Inner::Distinct(_) => Kind::Distinct,
            Inner::SumInt(_) => Kind::SumInt,
            Inner::SumFloat(_) => Kind::SumFloat,
            Inner::Last(_) => Kind::Last,
        }
    }

    /// The window it counts over.
    pub fn window(&self) -> Window {
        each!(&self.inner, shards => shards.window)
    }

    /// The most keys it holds.
    pub fn keys_max(&self) -> usize {
        self.keys_max
    }

    /// An undo for the next transaction.
    pub fn begin(&self) -> Undo {
        Undo(match &self.inner {
            Inner::Count(_) => Logs::Count(Log::default()),
            Inner::Distinct(_) => Logs::Distinct(Log::default()),
            Inner::SumInt(_) => Logs::SumInt(Log::default()),
            Inner::SumFloat(_) => Logs::SumFloat(Log::default()),
            Inner::Last(_) => Logs::Last(Log::default()),
        })
    }

    /// Brings what will be needed for these keys near, so that the waits for memory overlap: before a
    /// batch of some tens of additions or readings. Changes nothing; returns how many are likely known.
    pub fn warm(&self, keys: impl IntoIterator<Item = Key>) -> usize {
        let touched = keys
            .into_iter()
            .map(|key| each!(&self.inner, shards => shards.touch(key.0)));
        touched.filter(|touched| *touched).count()
    }

    /// Adds an event of this time, in milliseconds since 1970, and notes in `undo` what was before.
    pub fn add(
        &mut self,
        key: Key,
        at_ms: i64,
        input: Input,
        undo: &mut Undo,
    ) -> Result<(), Refused> {
        self.add_by_clock(key, at_ms, i64::MAX, input, undo)
    }

    /// The same where it is known what the clock says, `now_ms`. A key whose newest event is further ahead of it
    /// than events may be late was counted by a clock that has been set back since: it begins anew.
    pub fn add_by_clock(
        &mut self,
        key: Key,
        at_ms: i64,
        now_ms: i64,
        input: Input,
        undo: &mut Undo,
    ) -> Result<(), Refused> {
        let when = When { at_ms, now_ms };
        let wrong = Refused::WrongKind(self.kind());
        macro_rules! log {
            ($log:path) => {
                match &mut undo.0 {
                    Logs::None => None,
                    $log(log) => Some(log),
                    _ => return Err(wrong),
                }
            };
        }
        match (&mut self.inner, input) {
            (Inner::Count(shards), Input::Event) => shards.add(key.0, when, (), log!(Logs::Count)),
            (Inner::Distinct(shards), Input::Distinct(hash)) => {
                shards.add(key.0, when, hash, log!(Logs::Distinct));
            }
            (Inner::SumInt(shards), Input::Int(addend)) => {
                shards.add(key.0, when, addend, log!(Logs::SumInt));
            }
            (Inner::SumFloat(shards), Input::Float(addend)) => {
                finite(addend)?;
                shards.add(key.0, when, addend, log!(Logs::SumFloat));
            }
            (Inner::Last(shards), Input::Last(value)) => {
                admissible(&value)?;
                shards.add(key.0, when, value, log!(Logs::Last));
            }
            _ => return Err(wrong),
        }
        Ok(())
    }

    /// What the window up to this time, in milliseconds since 1970, says of a key.
    pub fn read(&self, key: Key, at_ms: i64) -> Reading<'_> {
        let window = self.window();
        let bucket = window.bucket_of(at_ms);
        macro_rules! found {
            ($shards:expr, $entry:ident, $ages:ident => $read:expr, else $nothing:expr) => {{
                let entry = $shards.get(key.0);
                let found = entry.and_then(|e| Some((e, window.ages(e.newest, bucket)?)));
                found.map_or($nothing, |($entry, $ages)| $read)
            }};
        }
        match &self.inner {
            Inner::Count(shards) => Reading::Count(found!(shards, entry, ages =>
                entry.cells.read(entry.newest, ages, window), else 0)),
            Inner::Distinct(shards) => {
                let (value, exact) = found!(shards, entry, ages =>
                    entry.cells.read(entry.newest, ages, window), else (0, true));
                Reading::Distinct { value, exact }
            }
            Inner::SumInt(shards) => Reading::SumInt(found!(shards, entry, ages =>
                entry.cells.read(entry.newest, ages), else 0)),
            Inner::SumFloat(shards) => Reading::SumFloat(found!(shards, entry, ages =>
                entry.cells.read(entry.newest, ages), else 0.0)),
            Inner::Last(shards) => Reading::Last(found!(shards, entry, ages => {
                let oldest = window.end_of(entry.newest - i64::from(ages.young));
                let too_old = bucket < entry.newest - i64::from(ages.young);
                let latest_ms = if too_old { oldest } else { at_ms };
                entry.cells.read(entry.newest, ages, latest_ms, window)
            }, else None)),
        }
    }

    /// When the newest part of a key begins, in milliseconds since 1970: nothing it was given is later than
    /// that part.
    pub fn newest_ms(&self, key: Key) -> Option<i64> {
        let newest = each!(&self.inner, shards => shards.get(key.0).map(|it| it.newest))?;
        Some(self.window().start_of(newest))
    }

    /// Puts back what was before the additions that were given this undo. Of several undos the
    /// newest goes first. One that is not this counter's kind changes nothing.
    pub fn undo(&mut self, undo: Undo) {
        match (&mut self.inner, undo.0) {
            (Inner::Count(shards), Logs::Count(log)) => shards.undo(log),
            (Inner::Distinct(shards), Logs::Distinct(log)) => shards.undo(log),
            (Inner::SumInt(shards), Logs::SumInt(log)) => shards.undo(log),
            (Inner::SumFloat(shards), Logs::SumFloat(log)) => shards.undo(log),
            (Inner::Last(shards), Logs::Last(log)) => shards.undo(log),
            _ => {}
        }
    }

    /// Removes keys of which nothing can be read any more from the next `shards` shards and gives
    /// back memory; returns how many they were. Readings stay as they are. With 1,024 shards of
    /// 10,000 keys one shard takes some 50 µs, so a few at a time do not hold up anything.
    pub fn sweep(&mut self, now_ms: i64, shards: usize) -> usize {
        each!(&mut self.inner, inner => inner.sweep(now_ms, shards))
    }

    /// In how many shards the keys are.
    pub fn shards(&self) -> usize {
        each!(&self.inner, shards => shards.shards())
    }

    /// Keys held, expired ones that were not swept yet among them.
    pub fn len(&self) -> usize {
        each!(&self.inner, shards => shards.len())
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory taken, in bytes, with what the allocator adds to each block (as glibc's does).
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + each!(&self.inner, shards => shards.memory_bytes())
    }

    /// What was evicted and dropped.
    pub fn stats(&self) -> Stats {
        each!(&self.inner, shards => shards.stats)
    }

    /// Appends a snapshot: versioned, without a checksum. Equal content gives equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for part in self.parts() {
            out.extend(part);
        }
    }

    /// A snapshot in parts, one for the head and one for each shard: together what
    /// [`Counter::encode`] appends.
    pub fn parts(&self) -> impl Iterator<Item = Vec<u8>> {
        let shard = |at| {
            let mut out = Vec::new();
            each!(&self.inner, shards => shards.encode_shard(at, &mut out));
            out
        };
        std::iter::once(self.head()).chain((0..self.shards()).map(shard))
    }

    /// Reads a snapshot back. Whatever the bytes are, it ends without panic, and takes no more memory than
    /// some multiple of their number. A snapshot changed on purpose can still be one: the caller
    /// keeps a checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *MAGIC {
            return Err(DecodeError::NotACounter);
        }
        match reader.byte()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        let kind = kind_of(reader.byte()?)?;
        let window = Window::of(SignedDuration::from_millis(reader.number()?))?;
        let mut counter = Self::new(kind, window, reader.number()?);
        let stats = Stats {
            evicted: reader.number()?,
            largest_lost: reader.number()?,
            dropped_late: reader.number()?,
        };
        each!(&mut counter.inner, shards => {
            shards.stats = stats;
            shards.decode_shards(&mut reader)?;
        });
        codec::sure(reader.left() == 0, "something follows its end")?;
        Ok(counter)
    }

    fn head(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([VERSION, kind_byte(self.kind())]);
        let stats = self.stats();
        put_number(&mut out, self.window().span_ms() as u64);
        put_number(&mut out, self.keys_max as u64);
        put_number(&mut out, stats.evicted);
        put_number(&mut out, stats.largest_lost);
        put_number(&mut out, stats.dropped_late);
        out
    }
}

fn finite(number: f64) -> Result<(), Refused> {
    if number.is_finite() {
        Ok(())
    } else {
        Err(Refused::NotFinite)
    }
}

fn admissible(value: &Value) -> Result<(), Refused> {
    match value {
        Value::Float(number) => finite(*number),
        Value::Text(text) if text.len() > TEXT_BYTES_MAX => Err(Refused::TextTooLong),
        _ => Ok(()),
    }
}

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Count => 0,
        Kind::Distinct => 1,
        Kind::SumInt => 2,
        Kind::SumFloat => 3,
        Kind::Last => 4,
    }
}

fn kind_of(byte: u8) -> Result<Kind, DecodeError> {
    Ok(match byte {
        0 => Kind::Count,
        1 => Kind::Distinct,
        2 => Kind::SumInt,
        3 => Kind::SumFloat,
        4 => Kind::Last,
        other => return Err(DecodeError::Kind(other)),
    })
}
