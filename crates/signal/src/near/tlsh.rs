//! TLSH: a hash of a long text that is near the hash of another of the same kind and make.
//!
//! The hash is Trend Micro's (Oliver, Cheng and Chen, "TLSH – A Locality Sensitive Hash", 2013) with
//! 128 buckets and a checksum of one byte, taken of the text's bytes as they are; so do `py-tlsh`
//! and the `text_tlsh` type of ThreatExchange. Distances leave the text's length out (`diffxlen`).

use super::holders::Holders;
use hashbrown::HashTable;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use tlsh2::TlshBuilder128_1;

/// Fewest bytes of a text that is hashed: the least the algorithm takes. Under 256 bytes matches say little.
pub const TLSH_MIN: usize = 50;

/// Why there is no TLSH hash.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlshError {
    /// Fewer than [`TLSH_MIN`] bytes.
    #[error(
        "a TLSH hash needs a text of at least {TLSH_MIN} bytes, this has {found}: use raw_text for short texts"
    )]
    TooShort {
        /// Bytes that were given.
        found: usize,
    },
    /// Too few different letters next to each other.
    #[error("this text repeats itself too much for a TLSH hash: use raw_text")]
    TooUniform,
    /// Not `T1` and 70 hexadecimal digits in capitals.
    #[error(
        "a TLSH hash is `T1` and 70 hexadecimal digits 0-9 A-F, this is not: check that it was copied whole"
    )]
    Malformed,
}

/// A TLSH hash: its 35 bytes in the order in which they are written.
///
/// ```
/// use manara_signal::near::Tlsh;
/// let hash: Tlsh = "T1DFB092A1724AC2C0D3CA48452291EA04A5B75EB903A6E7577A54118FFA8148E98F9426".parse()?;
/// assert_eq!(hash.distance(&hash), 0);
/// assert_eq!(hash.to_string().len(), 72);
/// # Ok::<(), manara_signal::near::TlshError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tlsh(pub [u8; 35]);

impl Tlsh {
    /// The hash of a text.
    pub fn of(text: &str) -> Result<Self, TlshError> {
        if text.len() < TLSH_MIN {
            return Err(TlshError::TooShort { found: text.len() });
        }
        let hash = TlshBuilder128_1::build_from(text.as_bytes()).ok_or(TlshError::TooUniform)?;
        let digits = hash.hash();
        std::str::from_utf8(&digits)
            .map_err(|_| TlshError::Malformed)?
            .parse()
    }

    /// The distance without regard to length, from 0 to some 800: related texts are within 30.
    pub fn distance(&self, other: &Self) -> u32 {
        Code::of(self).distance(&Code::of(other))
    }
}

impl FromStr for Tlsh {
    type Err = TlshError;

    fn from_str(text: &str) -> Result<Self, TlshError> {
        let digits = text.strip_prefix("T1").ok_or(TlshError::Malformed)?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return Err(TlshError::Malformed);
        };
        let pairs: &[[u8; 2]; 35] = pairs.try_into().map_err(|_| TlshError::Malformed)?;
        let mut bytes = [0; 35];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, TlshError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(TlshError::Malformed),
    }
}

impl fmt::Display for Tlsh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("T1")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Tlsh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlsh({self})")
    }
}

/// A hash laid out to be compared: the upper and lower bits of its 128 buckets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code {
    upper: [u64; 2],
    lower: [u64; 2],
    checksum: u8,
    ratios: u8,
}

impl Code {
    fn of(hash: &Tlsh) -> Self {
        let [checksum, _, ratios, buckets @ ..] = hash.0;
        let (mut upper, mut lower) = ([0; 2], [0; 2]);
        for (at, byte) in buckets.iter().enumerate() {
            for pair in 0..4 {
                let place = at * 4 + pair;
                let bits = u64::from(byte >> (2 * pair));
                upper[place / 64] |= (bits >> 1 & 1) << (place % 64);
                lower[place / 64] |= (bits & 1) << (place % 64);
            }
        }
        Self {
            upper,
            lower,
            checksum,
            ratios,
        }
    }

    #[inline]
    fn distance(&self, other: &Self) -> u32 {
        self.header(other) + self.buckets(other)
    }

    /// What checksum and ratios of quartiles add.
    #[inline]
    fn header(&self, other: &Self) -> u32 {
        let first = ratio(self.ratios >> 4, other.ratios >> 4);
        let second = ratio(self.ratios & 15, other.ratios & 15);
        first + second + u32::from(self.checksum != other.checksum)
    }

    /// Buckets differ by 0 to 3 quartiles, of which 3 count as 6.
    #[inline]
    fn buckets(&self, other: &Self) -> u32 {
        let mut distance = 0;
        for word in 0..2 {
            let upper = self.upper[word] ^ other.upper[word];
            let lower = self.lower[word] ^ other.lower[word];
            // Both bits differ by 3 when they are alike in either hash, and by 1 when not.
            let three = upper & lower & !(self.upper[word] ^ self.lower[word]);
            distance +=
                lower.count_ones() + 2 * (upper & !lower).count_ones() + 5 * three.count_ones();
        }
        distance
    }
}

/// The distance of two ratios on a circle of sixteen.
#[inline]
fn ratio(a: u8, b: u8) -> u32 {
    let apart = u32::from(a.abs_diff(b));
    match apart.min(16 - apart) {
        apart @ 0..=1 => apart,
        apart => (apart - 1) * 12,
    }
}

/// A member near the hash that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlshHit {
    /// The member's key.
    pub key: u64,
    /// The distance, without regard to length.
    pub distance: u32,
}

/// Known hashes by key. A lookup is exact and compares with every different hash; a member takes
/// some 90 bytes.
#[derive(Default)]
pub struct TlshIndex {
    hashes: Vec<Tlsh>,
    /// Laid out to be compared; nothing for a free slot.
    codes: Vec<Code>,
    /// Slots by hash.
    by_hash: HashTable<u32>,
    holders: Holders,
    /// The slot of each holder's group; see [`Self::remove`].
    free: Vec<u32>,
}

impl fmt::Debug for TlshIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlshIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl TlshIndex {
    /// ThreatExchange's threshold: a confident match.
    pub const DISTANCE: u32 = 30;
    /// Worth a look by a person.
    pub const DISTANCE_REVIEW: u32 = 70;
    /// The widest lookup.
    pub const DISTANCE_MAX: u32 = 100;

    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a hash under a key, in place of the hash that had it.
    pub fn insert(&mut self, key: u64, hash: &Tlsh) {
        self.remove(key);
        let Self { hashes, .. } = self;
        let same = |slot: &u32| hashes.get(*slot as usize) == Some(hash);
        let slot = match self.by_hash.find(spread(hash), same) {
            Some(slot) => *slot,
            None => self.add(hash),
        };
        self.holders.insert(key, slot);
    }

    fn add(&mut self, hash: &Tlsh) -> u32 {
        let slot = self.free.pop().unwrap_or(self.hashes.len() as u32);
        if slot as usize == self.hashes.len() {
            self.hashes.push(*hash);
            self.codes.push(Code::of(hash));
        } else {
            self.hashes[slot as usize] = *hash;
            self.codes[slot as usize] = Code::of(hash);
        }
        let hashes = &self.hashes;
        self.by_hash.insert_unique(spread(hash), slot, |slot| {
            hashes.get(*slot as usize).map_or(0, spread)
        });
        slot
    }

    /// Takes the key's hash out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some((slot, last)) = self.holders.remove(key) else {
            return false;
        };
        // A slot without keys is compared until it is used again, and answers nothing.
        if last && let Some(hash) = self.hashes.get(slot as usize) {
            if let Ok(entry) = self
                .by_hash
                .find_entry(spread(hash), |other| *other == slot)
            {
                entry.remove();
            }
            self.free.push(slot);
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
        let hashes = self.hashes.capacity() * 35 + self.codes.capacity() * size_of::<Code>();
        hashes + self.by_hash.allocation_size() + self.holders.bytes()
    }

    /// Appends all members within a distance, by ascending key. A distance over
    /// [`Self::DISTANCE_MAX`] is taken as that.
    pub fn query(&self, hash: &Tlsh, distance_max: u32, out: &mut Vec<TlshHit>) {
        let distance_max = distance_max.min(Self::DISTANCE_MAX);
        let start = out.len();
        let wanted = Code::of(hash);
        for (code, slot) in self.codes.iter().zip(0..) {
            let header = wanted.header(code);
            if header > distance_max {
                continue;
            }
            let distance = header + wanted.buckets(code);
            if distance <= distance_max {
                let keys = self.holders.of(slot);
                out.extend(keys.map(|key| TlshHit { key, distance }));
            }
        }
        if let Some(new) = out.get_mut(start..) {
            new.sort_unstable_by_key(|hit| hit.key);
        }
    }
}

fn spread(hash: &Tlsh) -> u64 {
    rapidhash::v3::rapidhash_v3(&hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, TlshError>) {
        let hash = Tlsh::of(text).map(|hash| hash.to_string());
        assert_eq!(hash, expect.map(str::to_owned));
    }

    // The example of the documentation of ThreatExchange's `text_tlsh`.
    #[test]
    fn the_vector_of_threatexchange() {
        check(
            "A minimum string length must be 256 bytes! That's so much text this means it's not super useful for finding short text!",
            Ok("T1DFB092A1724AC2C0D3CA48452291EA04A5B75EB903A6E7577A54118FFA8148E98F9426"),
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        check("short", Err(TlshError::TooShort { found: 5 }));
        check(&"a".repeat(1000), Err(TlshError::TooUniform));
        for malformed in [
            "",
            "T1",
            "T1zz",
            "é1DFB0",
            &"A".repeat(72),
            &format!("T1{}", "a".repeat(70)),
        ] {
            assert_eq!(malformed.parse::<Tlsh>(), Err(TlshError::Malformed));
        }
    }

    // Made with `py-tlsh` 5.0.0 by `make_near_vectors.py`.
    #[test]
    fn as_py_tlsh_hashes_and_compares() {
        let vectors = include_str!("../../tests/vectors/tlsh.ndjson");
        let mut before: Option<Tlsh> = None;
        for line in vectors.lines() {
            let vector: serde_json::Value = serde_json::from_str(line).unwrap();
            let expect = vector["tlsh"].as_str().unwrap();
            let Ok(hash) = Tlsh::of(vector["text"].as_str().unwrap()) else {
                assert_eq!(expect, "TNULL", "{line}");
                continue;
            };
            assert_eq!(hash.to_string(), expect);
            assert_eq!(expect.parse(), Ok(hash));
            if let Some(before) = before {
                assert_eq!(
                    u64::from(hash.distance(&before)),
                    vector["diffxlen"].as_u64().unwrap()
                );
            }
            before = Some(hash);
        }
        assert_eq!(vectors.lines().count(), 300);
    }

    fn hash() -> impl Strategy<Value = Tlsh> {
        let near = (any::<u8>(), 0..35_usize).prop_map(|(byte, at)| {
            let mut bytes = [0x55; 35];
            bytes[at] = byte;
            Tlsh(bytes)
        });
        prop_oneof![3 => near, 1 => any::<[u8; 32]>().prop_map(|rest| {
            let mut bytes = [0; 35];
            bytes[3..].copy_from_slice(&rest);
            Tlsh(bytes)
        })]
    }

    proptest! {
        #[test]
        fn as_tlsh2_compares(a in hash(), b in hash()) {
            let [left, right] = [a, b].map(|hash| hash.to_string().parse::<tlsh2::Tlsh128_1>().unwrap());
            prop_assert_eq!(a.distance(&b) as i32, left.diff(&right, false));
        }

        #[test]
        fn as_comparing_with_all_would_answer(
            steps in proptest::collection::vec((0_u64..20, proptest::option::weighted(0.7, hash())), 0..60),
            wanted in hash(),
            distance_max in 0_u32..120,
        ) {
            let (mut index, mut members) = (TlshIndex::new(), BTreeMap::new());
            for (key, hash) in steps {
                if let Some(hash) = hash {
                    index.insert(key, &hash);
                    members.insert(key, hash);
                } else {
                    prop_assert_eq!(index.remove(key), members.remove(&key).is_some());
                }
            }
            prop_assert_eq!(index.len(), members.len());
            let mut hits = Vec::new();
            index.query(&wanted, distance_max, &mut hits);
            let expect: Vec<TlshHit> = members
                .iter()
                .map(|(key, hash)| TlshHit { key: *key, distance: wanted.distance(hash) })
                .filter(|hit| hit.distance <= distance_max.min(100))
                .collect();
            prop_assert_eq!(hits, expect);
        }
    }
}
