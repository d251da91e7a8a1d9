//! Reading the audit log: leaves, checkpoints, and proofs that somebody else can check.

use crate::error::StoreError;
use crate::log::hash_of;
use crate::reader::{Reader, damaged, get};
use crate::sql;
use manara_audit::{Bundle, Hash, Leaf, inclusion_proof, tiles};

/// A leaf with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLeaf {
    /// Its number, from 0.
    pub seq: u64,
    /// Its bytes as hashed into the tree.
    pub data: Vec<u8>,
    /// What they say.
    pub leaf: Leaf,
}

impl Reader {
    /// The signed checkpoint over all leaves; `None` while there are none.
    pub fn last_checkpoint(&self) -> Result<Option<String>, StoreError> {
        if self.number(LOG, sql::COUNT_LEAVES_BY_EDGE, [])? == 0 {
            return Ok(None);
        }
        self.first(LOG, sql::AUDIT_STATE, [], |row| get(row, 1, LOG))
    }

    /// The leaves from `first` on, in order.
    pub fn leaves(&self, first: u64, limit: usize) -> Result<Vec<StoredLeaf>, StoreError> {
        let params = (first.min(i64::MAX as u64) as i64, limit as i64);
        self.all(LOG, sql::LEAVES, params, |row| {
            let data: Vec<u8> = get(row, 1, LOG)?;
            let leaf = Leaf::decode(&data).map_err(|error| damaged(LOG, error))?;
            Ok(StoredLeaf {
                seq: get::<i64>(row, 0, LOG)? as u64,
                data,
                leaf,
            })
        })
    }

    /// A file that proves leaf `seq` to be in the log, under the newest checkpoint; `None` when
    /// there is no such leaf. Reads the hashes of all leaves: about 0.2 s for a million.
    pub fn prove(&self, seq: u64) -> Result<Option<Bundle>, StoreError> {
        let size = self.number(LOG, sql::COUNT_LEAVES_BY_EDGE, [])?;
        let Some(checkpoint) = self.last_checkpoint()?.filter(|_| seq < size) else {
            return Ok(None);
        };
        let Some(leaf) = self.leaves(seq, 1)?.pop().filter(|leaf| leaf.seq == seq) else {
            return Ok(None);
        };
        let hashes = self.leaf_hashes(size)?;
        let node = |level: u8, index: u64| {
            let (first, width) = (
                index.checked_shl(level.into())?,
                1_u64.checked_shl(level.into())?,
            );
            let under = hashes.get(first as usize..first.checked_add(width)? as usize)?;
            Some(tiles::subtree_root(under))
        };
        let proof = inclusion_proof(seq, size, node).map_err(|error| damaged(LOG, error))?;
        Ok(Some(Bundle {
            index: seq,
            proof,
            checkpoint,
            extra: Some(leaf.data),
        }))
    }

    fn leaf_hashes(&self, size: u64) -> Result<Vec<Hash>, StoreError> {
        let hashes = self.all(LOG, sql::LEAF_HASHES, [size as i64], |row| {
            let bytes: Vec<u8> = get(row, 1, LOG)?;
            hash_of(&bytes).ok_or_else(|| damaged(LOG, "a leaf's hash has not 32 bytes"))
        })?;
        if hashes.len() as u64 == size {
            Ok(hashes)
        } else {
            Err(damaged(LOG, "leaves are missing"))
        }
    }
}

const LOG: &str = "the audit log";
