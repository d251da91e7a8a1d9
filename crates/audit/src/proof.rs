//! Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2; checked as RFC 9162 §2.1.3 and
//! §2.1.4 spell it out).
//!
//! The prover asks for complete subtrees by `(level, index)`: the subtree over leaves
//! `index << level .. (index + 1) << level`. Where they come from (rows, tiles, a file) is the
//! caller's. A proof has at most about 2·log₂(size) hashes and asks for about as many nodes.

use crate::tree::{Hash, MAX_SIZE, empty_root, node_hash};

/// Why a proof cannot be made, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in a tree of that size.
    #[error("leaf {index} is not in a log of {size} leaves")]
    IndexBeyondTree {
        /// The leaf asked for.
        index: u64,
        /// The size of the tree, in leaves.
        size: u64,
    },
    /// The earlier tree is larger than the later one.
    #[error("the earlier size {old} is larger than the later size {new}")]
    SizesReversed {
        /// The earlier size.
        old: u64,
        /// The later size.
        new: u64,
    },
    /// A size above [`MAX_SIZE`].
    #[error("{0} leaves are more than any log has (at most {MAX_SIZE})")]
    TooLarge(u64),
    /// The caller's store lacks a node the proof needs.
    #[error("the node over leaves {first}..{end} is missing (level {level}, index {index})")]
    NodeMissing {
        /// Its height above the leaves.
        level: u8,
        /// Its position in that level.
        index: u64,
        /// The first leaf under it.
        first: u64,
        /// One past the last leaf under it.
        end: u64,
    },
    /// The proof has too many or too few hashes for these sizes.
    #[error("a proof of {0} hashes does not fit these sizes")]
    WrongLength(usize),
    /// The proof leads to another root than the later (or only) one given.
    #[error("the proof leads to root {found}, expected {expected}")]
    RootDiffers {
        /// The root that was trusted.
        expected: Hash,
        /// The root the proof leads to.
        found: Hash,
    },
    /// The consistency proof leads to another earlier root than the one given.
    #[error("the proof leads to earlier root {found}, expected {expected}")]
    OldRootDiffers {
        /// The earlier root that was trusted.
        expected: Hash,
        /// The earlier root the proof leads to.
        found: Hash,
    },
}

/// The hashes that lead from leaf `index` to the root of the first `size` leaves, leaf end first.
///
/// ```
/// use manara_audit::{Hash, inclusion_proof, leaf_hash, node_hash, verify_inclusion};
/// let leaves: Vec<Hash> = ["a", "b", "c"].map(|data| leaf_hash(data.as_bytes())).to_vec();
/// let pair = node_hash(leaves[0], leaves[1]);
/// let proof = inclusion_proof(2, 3, |level, index| match (level, index) {
///     (0, index) => leaves.get(index as usize).copied(),
///     (1, 0) => Some(pair),
///     _ => None,
/// })?;
/// assert_eq!(proof, [pair]);
/// verify_inclusion(leaves[2], 2, 3, &proof, node_hash(pair, leaves[2]))?;
/// # Ok::<(), manara_audit::ProofError>(())
/// ```
pub fn inclusion_proof(
    index: u64,
    size: u64,
    mut node: impl FnMut(u8, u64) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    check_index(index, size)?;
    let mut proof = Vec::new();
    let (mut first, mut end) = (0, size);
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            proof.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(range_root(first, middle, &mut node)?);
            first = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that `leaf` is entry `index` of the `size` leaves under `root`.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: Hash,
) -> Result<(), ProofError> {
    check_index(index, size)?;
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength(proof.len()));
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(*sibling, hash);
            skip_missing_siblings(&mut position, &mut last);
        } else {
            hash = node_hash(hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength(proof.len()));
    }
    expect_root(hash, root)
}

/// The hashes that show the first `old` leaves to be a prefix of the first `new` ones. Empty when
/// the sizes are equal or the earlier log was empty.
pub fn consistency_proof(
    old: u64,
    new: u64,
    mut node: impl FnMut(u8, u64) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    check_sizes(old, new)?;
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut first, mut end) = (0, new);
    while end != old {
        let middle = first + split(end - first);
        if old <= middle {
            proof.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(range_root(first, middle, &mut node)?);
            first = middle;
        }
    }
    // The subtree the walk ends at is the whole earlier log only if it starts at leaf 0; then the
    // verifier knows its hash already.
    if first != 0 {
        proof.push(range_root(first, end, &mut node)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the `old` leaves under `old_root` are a prefix of the `new` leaves under `new_root`.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: Hash,
    new_root: Hash,
) -> Result<(), ProofError> {
    check_sizes(old, new)?;
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength(proof.len()));
        }
        let known = if old == 0 { empty_root() } else { new_root };
        return expect_old_root(known, old_root);
    }
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let wrong_length = || ProofError::WrongLength(proof.len());
    let (start, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(wrong_length)?;
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (start, start);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length());
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(*sibling, old_hash);
            new_hash = node_hash(*sibling, new_hash);
            skip_missing_siblings(&mut position, &mut last);
        } else {
            new_hash = node_hash(new_hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length());
    }
    expect_old_root(old_hash, old_root)?;
    expect_root(new_hash, new_root)
}

/// At the right edge a subtree without sibling rises unchanged; skip those levels.
fn skip_missing_siblings(position: &mut u64, last: &mut u64) {
    while *position & 1 == 0 && *position != 0 {
        *position >>= 1;
        *last >>= 1;
    }
}

/// The root over leaves `first..end`, where `first` is a multiple of the width rounded up to a
/// power of two, as all ranges of the RFC's recursion are.
fn range_root(
    first: u64,
    end: u64,
    node: &mut impl FnMut(u8, u64) -> Option<Hash>,
) -> Result<Hash, ProofError> {
    let mut complete = Vec::new();
    let mut at = first;
    while at < end {
        let level = (end - at).ilog2() as u8;
        let (index, next) = (at >> level, at + (1 << level));
        complete.push(node(level, index).ok_or(ProofError::NodeMissing {
            level,
            index,
            first: at,
            end: next,
        })?);
        at = next;
    }
    let folded = complete
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(left, right));
    Ok(folded.unwrap_or_else(empty_root))
}

/// The largest power of two below `width`, for a width of at least 2 (RFC 6962 §2.1).
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

fn check_index(index: u64, size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE {
        return Err(ProofError::TooLarge(size));
    }
    if index >= size {
        return Err(ProofError::IndexBeyondTree { index, size });
    }
    Ok(())
}

fn check_sizes(old: u64, new: u64) -> Result<(), ProofError> {
    if new > MAX_SIZE {
        return Err(ProofError::TooLarge(new));
    }
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    Ok(())
}

fn expect_root(found: Hash, expected: Hash) -> Result<(), ProofError> {
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::RootDiffers { expected, found })
    }
}

fn expect_old_root(found: Hash, expected: Hash) -> Result<(), ProofError> {
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::OldRootDiffers { expected, found })
    }
}
