//! Keys: what is counted by, as 64 bits nobody outside can steer.

use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;

/// One subject of a counter: an account, a space, a pair of both.
///
/// 64 bits of a keyed hash: two of 10,000,000 keys are the same with a probability of
/// 10⁷ · 10⁷ / 2⁶⁵, three in a million; then both count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u64);

impl Key {
    /// A key from a hash made elsewhere. All 64 bits must be spread evenly and not be for others to
    /// choose: keys that are close together make every addition slow, though never wrong.
    pub fn from_hash(hash: u64) -> Self {
        Self(hash)
    }
}

/// Makes keys and values from text with a secret, so that nobody can make two subjects collide.
///
/// [SipHash-1-3](https://www.aumasson.jp/siphash/siphash.pdf) over the parts, each after its length:
/// `["ab", "c"]` and `["a", "bc"]` are different. The secret must stay the same as long as snapshots
/// are read back.
///
/// ```
/// use manara_rules::counters::KeyHasher;
///
/// let hasher = KeyHasher::new([7; 16]);
/// assert_eq!(hasher.key(&[b"account", b"a-19"]), hasher.key(&[b"account", b"a-19"]));
/// assert_ne!(hasher.key(&[b"account", b"a-19"]), hasher.key(&[b"accounta", b"-19"]));
/// ```
#[derive(Clone)]
pub struct KeyHasher(SipHasher13);

impl KeyHasher {
    /// A hasher with this secret of 16 random bytes.
    pub fn new(secret: [u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(&secret))
    }

    /// The key of a subject made of these parts.
    pub fn key(&self, parts: &[&[u8]]) -> Key {
        Key(self.hash(0, parts))
    }

    /// A value for [`Input::Distinct`](super::Input::Distinct); never related to a key of the same text.
    pub fn value(&self, parts: &[&[u8]]) -> u64 {
        self.hash(1, parts)
    }

    fn hash(&self, purpose: u8, parts: &[&[u8]]) -> u64 {
        let mut hasher = self.0;
        hasher.write(&[purpose]);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish()
    }
}

impl fmt::Debug for KeyHasher {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_purpose_and_secret_all_count() {
        let hasher = KeyHasher::new([1; 16]);
        let all = [
            hasher.key(&[b"ab", b"c"]).0,
            hasher.key(&[b"a", b"bc"]).0,
            hasher.key(&[b"abc"]).0,
            hasher.key(&[b"abc", b""]).0,
            hasher.key(&[]).0,
            hasher.value(&[b"abc"]),
            KeyHasher::new([2; 16]).key(&[b"abc"]).0,
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
    }

    #[test]
    fn keys_stay_the_same_between_versions() {
        // A snapshot read by another version must find its keys again. The figure is SipHash-1-3 of
        // the bytes 00, 08 00 00 00 00 00 00 00, "a-000019", as CPython 3.11 computes
        // it: `PYTHONHASHSEED=0 python3 -c 'print(hash(…) % 2**64)'`.
        let hasher = KeyHasher::new([0; 16]);
        assert_eq!(hasher.key(&[b"a-000019"]).0, 17_738_848_491_208_288_305);
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert_eq!(format!("{:?}", KeyHasher::new([9; 16])), "KeyHasher");
    }
}
