//! The Merkle tree of RFC 6962 §2.1: hashes, and the frontier that grows it leaf by leaf.
//!
//! A tree of `n` leaves is a row of complete subtrees, one per set bit of `n`, largest first.
//! Keeping only their roots (the frontier, or "compact range") is enough to append a leaf and to
//! know the root, in at most 62 hashes of memory however long the log is.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The largest tree this crate handles, in leaves. Far beyond any real log; it keeps all index
/// arithmetic inside `u64`, and inside `i64` for verifiers written in Go.
pub const MAX_SIZE: u64 = 1 << 62;

/// A SHA-256 value: a leaf hash, a node, a root or a commitment. 32 bytes, shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// Why text is not a [`struct@Hash`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not 64 lower-case hex digits.
    #[error("a hash in hex is 64 digits of 0-9 and a-f")]
    Hex,
    /// Not the standard base64, with padding, of 32 bytes.
    #[error("a hash in base64 is 44 characters of standard base64 ending in `=`")]
    Base64,
}

impl Hash {
    /// The 64 lower-case hex digits, as ASCII bytes.
    pub fn hex_bytes(&self) -> [u8; 64] {
        let mut out = [0; 64];
        for (pair, byte) in out.chunks_exact_mut(2).zip(self.0) {
            if let [high, low] = pair {
                *high = hex_digit(byte >> 4);
                *low = hex_digit(byte & 15);
            }
        }
        out
    }

    /// Reads 64 lower-case hex digits. Upper case is refused, so that a hash has one spelling.
    pub fn from_hex(text: &str) -> Result<Self, HashError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| HashError::Hex)?;
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else {
                return Err(HashError::Hex);
            };
            *byte = (nibble(high)? << 4) | nibble(low)?;
        }
        Ok(Self(out))
    }

    /// Standard base64 with padding (44 characters), as checkpoints and proofs write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Hash::to_base64`] writes, and nothing else.
    pub fn from_base64(text: &str) -> Result<Self, HashError> {
        if text.len() != 44 {
            return Err(HashError::Base64);
        }
        let bytes = STANDARD.decode(text).map_err(|_| HashError::Base64)?;
        bytes.try_into().map(Self).map_err(|_| HashError::Base64)
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

fn nibble(digit: u8) -> Result<u8, HashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(HashError::Hex),
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// SHA-256(`0x00` ‖ data), the hash of a leaf (RFC 6962 §2.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([0])
            .chain_update(data)
            .finalize()
            .into(),
    )
}

/// SHA-256(`0x01` ‖ left ‖ right), the hash of an inner node (RFC 6962 §2.1).
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    let mut input = [1; 65];
    let (left_half, right_half) = input[1..].split_at_mut(32);
    left_half.copy_from_slice(&left.0);
    right_half.copy_from_slice(&right.0);
    Hash(Sha256::digest(input).into())
}

/// The root of the empty tree: SHA-256 of nothing.
pub(crate) fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Why bytes are not a [`Frontier`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// Fewer than the eight bytes of the size.
    #[error("a frontier starts with its size in 8 bytes, here are only {0}")]
    NoSize(usize),
    /// The size is above [`MAX_SIZE`].
    #[error("a frontier of {0} leaves is larger than any log (at most {MAX_SIZE})")]
    TooLarge(u64),
    /// The number of hashes does not fit the size.
    #[error("a frontier of {size} leaves takes {expected} bytes, here are {found}")]
    Length {
        /// The size it claims, in leaves.
        size: u64,
        /// The bytes such a frontier takes.
        expected: usize,
        /// The bytes given.
        found: usize,
    },
}

/// The right edge of the tree: its size and the roots of its complete subtrees.
///
/// ```
/// use manara_audit::{Frontier, leaf_hash};
/// let mut frontier = Frontier::new();
/// for data in ["a", "b", "c"] {
///     frontier.push(leaf_hash(data.as_bytes()));
/// }
/// let reopened = Frontier::decode(&frontier.encode())?;
/// assert_eq!((reopened.size(), reopened.root()), (3, frontier.root()));
/// # Ok::<(), manara_audit::FrontierError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One root per set bit of `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of leaves pushed.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, given its [`leaf_hash`]. One node hash per push, on average.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| ());
    }

    /// Appends a leaf and shows every subtree this completes, from the leaf upwards, as
    /// `(level, index, hash)`: the subtree over leaves `index << level .. (index + 1) << level`.
    /// Whoever stores them can later answer the questions of the proof functions directly.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        let (mut hash, mut level, mut index) = (leaf, 0, self.size);
        completed(level, index, hash);
        while index & 1 == 1 {
            // One peak exists per set bit of the size, so this never runs dry.
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(left, hash);
            level += 1;
            index >>= 1;
            completed(level, index, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over all leaves pushed; SHA-256 of nothing for the empty log.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(*left, right)),
        }
    }

    /// The stored form: the size (8 bytes, big-endian), then one hash per set bit of the size,
    /// the largest subtree first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.peaks.len());
        out.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            out.extend_from_slice(&peak.0);
        }
        out
    }

    /// Reads what [`Frontier::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, hashes) = bytes
            .split_first_chunk()
            .ok_or(FrontierError::NoSize(bytes.len()))?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge(size));
        }
        let expected = 8 + 32 * size.count_ones() as usize;
        if bytes.len() != expected {
            return Err(FrontierError::Length {
                size,
                expected,
                found: bytes.len(),
            });
        }
        let (chunks, _) = hashes.as_chunks();
        Ok(Self {
            size,
            peaks: chunks.iter().map(|chunk| Hash(*chunk)).collect(),
        })
    }
}
