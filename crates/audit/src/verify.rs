//! Checking a whole log: leaves in order, checkpoints on the way, rows against both.
//!
//! A root that differs says only *that* something changed. To say *what*, the store keeps each
//! leaf's hash beside its bytes, and the verifier is given both:
//!
//! | altered | named by |
//! |---|---|
//! | the bytes of a leaf, or its stored hash | [`Finding::LeafAltered`], by index |
//! | both, to agree with each other | [`Finding::RootDiffers`], by the checkpoints around it |
//! | a leaf removed | [`Finding::LeafMissing`], by index |
//! | the last leaves removed | [`Finding::LogTooShort`] |
//! | a row | [`Finding::RecordDiffers`], by table, key and leaf |
//! | a row removed, or added | [`Finding::RecordGone`], [`Finding::RecordWithoutLeaf`] |
//! | a checkpoint | [`Finding::CheckpointNotSigned`] |
//!
//! After a finding the verifier goes on, so that one run names everything it can.
//!
//! ```
//! # use manara_audit::{Checkpoint, Finding, Frontier, LogVerifier, leaf_hash};
//! # use manara_audit::{Author, AuthorKind, Leaf};
//! # let leaf = |second: u8| Leaf {
//! #     kind: "key.created".into(), time: format!("2026-11-22T10:15:{second:02}Z"),
//! #     author: Author { kind: AuthorKind::Operator, id: "root".into() },
//! #     records: vec![], note: None,
//! # };
//! # let mut log: Vec<Vec<u8>> = (0..3).map(|n| leaf(n).encode()).collect::<Result<_, _>>()?;
//! # let hashes: Vec<_> = log.iter().map(|data| leaf_hash(data)).collect();
//! # let mut frontier = Frontier::new();
//! # hashes.iter().for_each(|hash| frontier.push(*hash));
//! # let checkpoint = Checkpoint::new("forum.example/log", 3, frontier.root());
//! log[1][40] ^= 1; // somebody edits the stored bytes of leaf 1
//! let mut verifier = LogVerifier::new();
//! verifier.expect_checkpoint(checkpoint);
//! let mut findings = Vec::new();
//! for (index, (data, hash)) in log.iter().zip(&hashes).enumerate() {
//!     findings.extend(verifier.push(index as u64, data, *hash).err());
//! }
//! findings.extend(verifier.finish());
//! assert!(matches!(findings[..], [Finding::LeafAltered { index: 1, .. }]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use crate::checkpoint::{Checkpoint, CheckpointError, open_checkpoint};
use crate::leaf::{Leaf, LeafError, Record};
use crate::note::VerifyingKey;
use crate::tree::{Frontier, Hash, leaf_hash};

/// One thing wrong with a log, precise enough to look it up. Keys of rows may come from outside, so
/// the messages show their control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Leaves are not there; the next one present has index `end`.
    #[error("{} missing", leaves(*first, *end))]
    LeafMissing {
        /// The first one missing.
        first: u64,
        /// One past the last one missing.
        end: u64,
    },
    /// A leaf came again, or after a later one.
    #[error("leaf {index} is there twice or out of order: leaf {expected} was next")]
    LeafRepeated {
        /// Its index.
        index: u64,
        /// The index that was next.
        expected: u64,
    },
    /// A leaf's bytes and the hash kept beside them disagree: one of the two was altered.
    #[error(
        "leaf {index} was altered: its bytes hash to {computed}, the hash kept beside them is {stored}"
    )]
    LeafAltered {
        /// Its index.
        index: u64,
        /// The hash of the bytes.
        computed: Hash,
        /// The hash kept beside them.
        stored: Hash,
    },
    /// A leaf is intact and still no leaf: it was never written by this program.
    #[error("leaf {index} does not decode: {reason}")]
    LeafUndecodable {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        reason: LeafError,
    },
    /// The leaves are not those that were signed for. Unless altered leaves were named already, one
    /// was rewritten together with its stored hash.
    #[error(
        "root at size {size} is {computed}, checkpoint signed {signed}; the difference is in {}",
        among(*agreed, *size)
    )]
    RootDiffers {
        /// The size of the checkpoint.
        size: u64,
        /// The root of the leaves as they are.
        computed: Hash,
        /// The root in the checkpoint.
        signed: Hash,
        /// The largest size at which leaves and checkpoint still agreed; 0 if none did.
        agreed: u64,
    },
    /// Leaves before this checkpoint are missing, so its root cannot be computed.
    #[error("checkpoint at size {size} cannot be checked, leaf {missing} is missing")]
    CheckpointUncheckable {
        /// The size of the checkpoint.
        size: u64,
        /// The first leaf missing.
        missing: u64,
    },
    /// The verifier has gone past this size without having been told to compute its root.
    #[error("checkpoint at size {size} came after leaf {size} was read; give it up front")]
    CheckpointLate {
        /// The size of the checkpoint.
        size: u64,
    },
    /// Leaves at the end, which a checkpoint vouches for, are gone.
    #[error("the log ends after {size} leaves, a checkpoint was signed for {signed}")]
    LogTooShort {
        /// The leaves there are.
        size: u64,
        /// The leaves that were signed for.
        signed: u64,
    },
    /// A stored checkpoint is not one this log signed.
    #[error("checkpoint at size {size} is not signed by key {key}: {reason}")]
    CheckpointNotSigned {
        /// The size under which it is stored.
        size: u64,
        /// The key, as `name+id`.
        key: String,
        /// What is wrong with it.
        reason: CheckpointError,
    },
    /// A stored checkpoint is signed, and for another size than the one it is stored under.
    #[error("checkpoint stored for size {size} says size {signed}")]
    CheckpointMisplaced {
        /// The size under which it is stored.
        size: u64,
        /// The size it was signed for.
        signed: u64,
    },
    /// A row is not what its last leaf committed to.
    #[error(
        "record {table}/{} does not match leaf {index}: it commits to {computed}, the leaf says {logged}",
        key.escape_debug()
    )]
    RecordDiffers {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The last leaf that names it.
        index: u64,
        /// The commitment to the row as it is.
        computed: Hash,
        /// The commitment in the leaf.
        logged: Hash,
    },
    /// A row no leaf ever named.
    #[error("record {table}/{} has no leaf", key.escape_debug())]
    RecordWithoutLeaf {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
    },
    /// A row that was erased is there again.
    #[error("record {table}/{} was erased by leaf {index} and is there", key.escape_debug())]
    RecordReturned {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The leaf that says it was erased.
        index: u64,
    },
    /// A row a leaf named is not there, and no leaf says it was erased.
    #[error("record {table}/{} named by leaf {index} is gone", key.escape_debug())]
    RecordGone {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The last leaf that names it.
        index: u64,
    },
}

fn leaves(first: u64, end: u64) -> String {
    match end.saturating_sub(1) {
        last if last <= first => format!("leaf {first} is"),
        last => format!("leaves {first} to {last} are"),
    }
}

fn among(agreed: u64, size: u64) -> String {
    match size.saturating_sub(1) {
        last if last <= agreed => format!("leaf {agreed}"),
        last => format!("one of leaves {agreed} to {last}"),
    }
}

/// Reads a stored checkpoint: signed by one of `keys` (more than one after a key rotation) for the
/// `size` it is stored under.
pub fn read_checkpoint(
    size: u64,
    note: &str,
    keys: &[VerifyingKey],
) -> Result<Checkpoint, Finding> {
    let mut finding = None;
    for key in keys {
        match open_checkpoint(note, key) {
            Ok(checkpoint) if checkpoint.size == size => return Ok(checkpoint),
            Ok(checkpoint) => {
                return Err(Finding::CheckpointMisplaced {
                    size,
                    signed: checkpoint.size,
                });
            }
            Err(reason) => {
                let key = key.to_string();
                finding.get_or_insert(Finding::CheckpointNotSigned { size, key, reason });
            }
        }
    }
    Err(finding.unwrap_or_else(|| {
        let key = String::from("(no key given)");
        let reason = crate::note::NoteError::NotSignedBy(key.clone()).into();
        Finding::CheckpointNotSigned { size, key, reason }
    }))
}

/// How many readings of the altered leaves are followed at once: four altered leaves between two
/// checkpoints can be told apart, more are still named, but a root may then seem to differ too.
const MAX_READINGS: usize = 16;

/// Follows a log from its first leaf.
#[derive(Debug)]
pub struct LogVerifier {
    /// The index the next leaf has to have.
    next: u64,
    /// The tree, as the leaves' bytes have it (first). Where bytes and stored hash disagree, either
    /// may be what was signed, so both are followed until a checkpoint says which.
    readings: Vec<Frontier>,
    /// The first leaf missing; from there on no root can be computed.
    missing: Option<u64>,
    /// The largest size at which a checkpoint agreed.
    agreed: u64,
    /// Checkpoints given up front, by size.
    expected: BTreeMap<u64, Vec<Checkpoint>>,
    /// What the checkpoints passed on the way brought up.
    findings: Vec<Finding>,
}

impl Default for LogVerifier {
    fn default() -> Self {
        Self {
            next: 0,
            readings: vec![Frontier::new()],
            missing: None,
            agreed: 0,
            expected: BTreeMap::new(),
            findings: Vec::new(),
        }
    }
}

impl LogVerifier {
    /// A verifier before the first leaf.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of leaves passed, the missing ones included.
    pub fn size(&self) -> u64 {
        self.next
    }

    /// The root of the leaves as they are; `None` when one is missing.
    pub fn root(&self) -> Option<Hash> {
        let reading = self.readings.first().filter(|_| self.missing.is_none());
        reading.map(Frontier::root)
    }

    /// Registers a checkpoint to be checked when its size is reached. What comes of it is told by
    /// [`LogVerifier::take_findings`] and [`LogVerifier::finish`].
    pub fn expect_checkpoint(&mut self, checkpoint: Checkpoint) {
        if checkpoint.size > self.next {
            self.expected
                .entry(checkpoint.size)
                .or_default()
                .push(checkpoint);
        } else {
            let finding = self.check_checkpoint(&checkpoint).err();
            self.findings.extend(finding);
        }
    }

    /// Takes leaf `index`: its bytes and the leaf hash kept beside them. Gives the leaf when both
    /// agree, it decodes and no leaf before it is missing. When one is missing, this leaf has been
    /// taken nevertheless and need not be pushed again.
    pub fn push(&mut self, index: u64, data: &[u8], stored: Hash) -> Result<Leaf, Finding> {
        let expected = self.next;
        if index < expected {
            return Err(Finding::LeafRepeated { index, expected });
        }
        let gap = index > expected;
        if gap {
            self.missing.get_or_insert(expected);
            self.next = index;
            self.check_expected();
        }
        let taken = self.take(index, data, stored);
        self.check_expected();
        if gap {
            // Both findings count: the gap is returned, the leaf's own is told with the others.
            self.findings.extend(taken.err());
            return Err(Finding::LeafMissing {
                first: expected,
                end: index,
            });
        }
        taken
    }

    fn take(&mut self, index: u64, data: &[u8], stored: Hash) -> Result<Leaf, Finding> {
        self.next = index.saturating_add(1);
        let computed = leaf_hash(data);
        if self.missing.is_none() {
            self.grow(computed, stored);
        }
        if computed != stored {
            return Err(Finding::LeafAltered {
                index,
                computed,
                stored,
            });
        }
        Leaf::decode(data).map_err(|reason| Finding::LeafUndecodable { index, reason })
    }

    fn grow(&mut self, computed: Hash, stored: Hash) {
        let readings = self.readings.len();
        if computed != stored && 2 * readings <= MAX_READINGS {
            self.readings.extend_from_within(..);
        }
        for (position, reading) in self.readings.iter_mut().enumerate() {
            reading.push(if position < readings {
                computed
            } else {
                stored
            });
        }
    }

    /// Compares a checkpoint of the present size with the leaves.
    ///
    /// A leaf that was altered has been named already; when its other reading leads to the signed
    /// root, that is the whole damage, and the checkpoint holds.
    pub fn check_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Finding> {
        let (size, signed, agreed) = (checkpoint.size, checkpoint.root, self.agreed);
        if size > self.next {
            return Err(Finding::LogTooShort {
                size: self.next,
                signed: size,
            });
        }
        if size == 0 {
            let computed = Frontier::new().root();
            let differs = Finding::RootDiffers {
                size,
                computed,
                signed,
                agreed,
            };
            return if computed == signed {
                Ok(())
            } else {
                Err(differs)
            };
        }
        if let Some(missing) = self.missing.filter(|missing| *missing < size) {
            return Err(Finding::CheckpointUncheckable { size, missing });
        }
        let computed = self
            .readings
            .first()
            .filter(|reading| reading.size() == size);
        let computed = computed.ok_or(Finding::CheckpointLate { size })?.root();
        let right = self
            .readings
            .iter()
            .position(|reading| reading.root() == signed);
        let right = right.ok_or(Finding::RootDiffers {
            size,
            computed,
            signed,
            agreed,
        })?;
        self.readings.swap(0, right);
        self.readings.truncate(1);
        self.agreed = size;
        Ok(())
    }

    /// Checks the registered checkpoints the log has reached.
    fn check_expected(&mut self) {
        while let Some(entry) = self.expected.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            for checkpoint in entry.remove() {
                let finding = self.check_checkpoint(&checkpoint).err();
                self.findings.extend(finding);
            }
        }
    }

    /// What the registered checkpoints have brought up so far. Each is told once.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Ends the log here: what was not yet told, and one finding for the largest checkpoint the
    /// log is too short for.
    pub fn finish(mut self) -> Vec<Finding> {
        let last = self.expected.last_key_value().map(|(signed, _)| *signed);
        let short = last.map(|signed| Finding::LogTooShort {
            size: self.next,
            signed,
        });
        self.findings.extend(short);
        self.findings
    }
}

/// What the leaves say about rows: for each table and key, the last leaf that named it.
///
/// Feed it every record of every leaf, then show it every row, then ask what was not shown. It
/// holds one entry per row (about 150 bytes); a large database can be checked table by table.
///
/// ```
/// use manara_audit::{Finding, Hash, Record, Records};
/// let record = |key: &str| Record { table: "cases".into(), key: key.into(), hash: Hash([1; 32]) };
/// let mut records = Records::new();
/// records.logged(7, &record("c-1"));
/// records.logged(8, &record("c-2"));
/// assert_eq!(records.found("cases", "c-1", Hash([1; 32])), Ok(()));
/// let gone: Vec<String> = records.finish().map(|finding| finding.to_string()).collect();
/// assert_eq!(gone, ["record cases/c-2 named by leaf 8 is gone"]);
/// ```
#[derive(Debug, Default)]
pub struct Records {
    tables: BTreeMap<String, BTreeMap<Box<str>, Logged>>,
}

#[derive(Debug)]
struct Logged {
    index: u64,
    hash: Hash,
    found: bool,
}

impl Records {
    /// Before the first leaf.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a record of leaf `index`. Leaves come in order: the last one counts.
    pub fn logged(&mut self, index: u64, record: &Record) {
        if !self.tables.contains_key(&record.table) {
            self.tables.insert(record.table.clone(), BTreeMap::new());
        }
        let Some(rows) = self.tables.get_mut(&record.table) else {
            return;
        };
        let logged = Logged {
            index,
            hash: record.hash,
            found: false,
        };
        rows.insert(record.key.as_str().into(), logged);
    }

    /// Compares a row there is with its last leaf. `computed` is the [`commit`](crate::commit)ment
    /// to the row as it is.
    pub fn found(&mut self, table: &str, key: &str, computed: Hash) -> Result<(), Finding> {
        let logged = self
            .tables
            .get_mut(table)
            .and_then(|rows| rows.get_mut(key));
        let (table, key) = (table.to_owned(), key.to_owned());
        let Some(logged) = logged else {
            return Err(Finding::RecordWithoutLeaf { table, key });
        };
        logged.found = true;
        let index = logged.index;
        if logged.hash == Record::ERASED {
            Err(Finding::RecordReturned { table, key, index })
        } else if logged.hash == computed {
            Ok(())
        } else {
            Err(Finding::RecordDiffers {
                table,
                key,
                index,
                computed,
                logged: logged.hash,
            })
        }
    }

    /// The rows the leaves name that were not shown and not erased, by table and key.
    pub fn finish(self) -> impl Iterator<Item = Finding> {
        self.tables.into_iter().flat_map(|(table, rows)| {
            rows.into_iter()
                .filter(|(_, logged)| !logged.found && logged.hash != Record::ERASED)
                .map(move |(key, logged)| Finding::RecordGone {
                    table: table.clone(),
                    key: key.into(),
                    index: logged.index,
                })
        })
    }
}
