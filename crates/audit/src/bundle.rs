//! The proof one can hand out: that a leaf is in the log, checkable offline (C2SP `tlog-proof@v1`).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>            optional: here, the leaf itself
//! index 4711
//! <base64 hash>             from the leaf's sibling up to the root's child
//! …
//!
//! <the checkpoint's signed note, verbatim>
//! ```
//! With `extra` holding the leaf, the file, the row and salt it commits to and the log's public
//! key are all an appellant, a court or an auditor needs. `extra` is not authenticated by itself;
//! [`Bundle::verify_leaf`] believes it only because its hash is in the tree.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::checkpoint::{Checkpoint, CheckpointError, open_checkpoint, parse_decimal};
use crate::leaf::{Leaf, LeafError, MAX_LEAF_BYTES};
use crate::note::VerifyingKey;
use crate::proof::{ProofError, verify_inclusion};
use crate::tree::{Hash, leaf_hash};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// An inclusion proof in the largest log has one hash per level.
const MAX_HASHES: usize = 64;

/// A leaf's place in the log, with the proof and the signed checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The leaf's index.
    pub index: u64,
    /// The inclusion proof, leaf end first (see [`inclusion_proof`](crate::inclusion_proof)).
    pub proof: Vec<Hash>,
    /// The checkpoint as a signed note.
    pub checkpoint: String,
    /// The encoded leaf, if it is to travel along; at most 65,535 bytes.
    pub extra: Option<Vec<u8>>,
}

/// Why a proof file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A line is not what stands there in a proof file.
    #[error("line {line} of the proof is not {expected}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// The leaf was asked for and is not in the file.
    #[error("the proof carries no leaf (no `extra` line); give the leaf separately")]
    NoLeaf,
    /// The leaf in the file does not decode.
    #[error("the leaf in the proof: {0}")]
    Leaf(#[from] LeafError),
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The leaf is not where the proof says, or is another one.
    #[error("the leaf is not in the log at this index: {0}")]
    Proof(#[from] ProofError),
}

impl Bundle {
    /// The text of the `.tlog-proof` file.
    pub fn encode(&self) -> String {
        let extra = self
            .extra
            .as_ref()
            .map(|data| format!("extra {}\n", STANDARD.encode(data)));
        let proof: String = self
            .proof
            .iter()
            .map(|hash| hash.to_base64() + "\n")
            .collect();
        let (extra, index) = (extra.unwrap_or_default(), self.index);
        format!(
            "{HEADER}\n{extra}index {index}\n{proof}\n{}",
            self.checkpoint
        )
    }

    /// Reads a `.tlog-proof` file. Nothing is checked but its form.
    pub fn decode(text: &str) -> Result<Self, BundleError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(BundleError::Line {
            line: 1,
            expected: "a proof, an empty line, a checkpoint",
        })?;
        let mut lines = head.split('\n').zip(1..).peekable();
        let header = lines.next().filter(|(text, _)| *text == HEADER);
        header.ok_or(BundleError::Line {
            line: 1,
            expected: "`c2sp.org/tlog-proof@v1`",
        })?;
        let extra = match lines.next_if(|(text, _)| text.starts_with("extra ")) {
            Some((text, line)) => Some(parse_extra(text, line)?),
            None => None,
        };
        let line = if extra.is_some() { 3 } else { 2 };
        let index = lines
            .next()
            .and_then(|(text, _)| parse_decimal(text.strip_prefix("index ")?));
        let index = index.ok_or(BundleError::Line {
            line,
            expected: "`index <decimal>`",
        })?;
        let mut proof = Vec::new();
        for (text, line) in lines {
            let hash = Hash::from_base64(text)
                .ok()
                .filter(|_| proof.len() < MAX_HASHES);
            let expected = "a hash in base64 (at most 64 of them)";
            proof.push(hash.ok_or(BundleError::Line { line, expected })?);
        }
        Ok(Self {
            index,
            proof,
            checkpoint: checkpoint.into(),
            extra,
        })
    }

    /// Checks that `leaf` stands at [`Bundle::index`] of the log `key` signs for, and gives the
    /// checkpoint that says so.
    pub fn verify(&self, leaf: Hash, key: &VerifyingKey) -> Result<Checkpoint, BundleError> {
        let checkpoint = open_checkpoint(&self.checkpoint, key)?;
        verify_inclusion(
            leaf,
            self.index,
            checkpoint.size,
            &self.proof,
            checkpoint.root,
        )?;
        Ok(checkpoint)
    }

    /// [`Bundle::verify`] for the leaf that travels along in `extra`; gives it, decoded.
    pub fn verify_leaf(&self, key: &VerifyingKey) -> Result<(Leaf, Checkpoint), BundleError> {
        let data = self.extra.as_deref().ok_or(BundleError::NoLeaf)?;
        let checkpoint = self.verify(leaf_hash(data), key)?;
        Ok((Leaf::decode(data)?, checkpoint))
    }
}

fn parse_extra(text: &str, line: usize) -> Result<Vec<u8>, BundleError> {
    let expected = "`extra <base64>` (at most 65,535 bytes)";
    let encoded = text
        .strip_prefix("extra ")
        .filter(|text| text.len() <= 2 * MAX_LEAF_BYTES);
    let data = encoded.and_then(|text| STANDARD.decode(text).ok());
    data.filter(|data| data.len() <= MAX_LEAF_BYTES)
        .ok_or(BundleError::Line { line, expected })
}
