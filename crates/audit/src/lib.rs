//! The tamper-evident log: append, checkpoint, prove, verify.
//!
//! Every state change of the system writes one **leaf** (who did what, when, to which records).
//! The leaves form an RFC 6962 Merkle tree; its root is signed now and then as a **checkpoint**.
//! Who holds a checkpoint can later tell whether anything before it was changed, reordered or
//! dropped, without trusting the operator. Personal data stays outside the leaves: they carry
//! salted commitments, so a row and its salt can be erased while the tree stays valid.
//!
//! ```text
//!             Leaf ── encode ──► bytes ── leaf_hash ──► Frontier::push ── root ─┐
//!  rows ── commit ──┘              │                        │                   ▼
//!                                  ▼                        ▼             Checkpoint ── sign ─► note
//!                           tile/entries/…            tile/<L>/<N>              │
//!                                  └── LogVerifier::push ── check_checkpoint ◄──┘
//! ```
//!
//! Pure: no I/O, clock or randomness; keys, salts, times and stored bytes enter as arguments.
//! Nothing here panics on input.
//!
//! Formats, so that tools we did not write can check the log: RFC 6962 §2.1 (tree and proofs),
//! RFC 8785 (canonical JSON of a leaf), C2SP `signed-note`, `tlog-checkpoint`, `tlog-tiles` and
//! `tlog-proof@v1`.
//!
//! Why the tree and the note are our own and not the crates `tlog_tiles` and `signed_note`: those
//! are ports of Go's module-checksum database, where appending goes through a reader of stored
//! nodes and opening a note goes through boxed verifiers. A log that appends one leaf per event
//! wants a frontier it can keep in memory and save in the same commit, and a verifier wants the
//! index of what differs; both are a few hundred lines. The two crates check us in the tests
//! instead (`tests/it/interop.rs`), which is worth more as a second opinion than as a dependency.
//!
//! ```
//! use manara_audit::{
//!     Author, AuthorKind, Checkpoint, Frontier, Leaf, LogVerifier, Record, SigningKey, commit,
//!     leaf_hash, open_checkpoint, sign_checkpoint,
//! };
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Append: one leaf per state change.
//! let leaf = Leaf {
//!     kind: "decision.made".into(),
//!     time: "2026-11-22T10:15:00.123456Z".into(),
//!     author: Author { kind: AuthorKind::Rules, id: "known_image@3".into() },
//!     records: vec![Record {
//!         table: "decisions".into(),
//!         key: "01J9Z3".into(),
//!         hash: commit(&[7; 16], br#"{"action":"remove"}"#),
//!     }],
//!     note: None,
//! };
//! let data = leaf.encode()?;
//! let hash = leaf_hash(&data);
//! let mut frontier = Frontier::new();
//! frontier.push(hash);
//!
//! // Sign what the log says now.
//! let key = SigningKey::from_seed([42; 32], "forum.example/log")?;
//! let note = sign_checkpoint(
//!     &Checkpoint::new("forum.example/log", frontier.size(), frontier.root()),
//!     &key,
//! )?;
//!
//! // Anybody with the public key can check the leaves against it.
//! let checkpoint = open_checkpoint(&note, &key.verifying_key())?;
//! let mut verifier = LogVerifier::new();
//! assert_eq!(verifier.push(0, &data, hash)?, leaf);
//! verifier.check_checkpoint(&checkpoint)?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]
#![warn(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice
)]

pub mod bundle;
mod checkpoint;
mod leaf;
mod note;
mod proof;
pub mod tiles;
mod tree;
pub mod verify;

pub use bundle::{Bundle, BundleError};
pub use checkpoint::{Checkpoint, CheckpointError, open_checkpoint, sign_checkpoint};
pub use leaf::{Author, AuthorKind, Leaf, LeafError, MAX_LEAF_BYTES, Record, commit, is_kind};
pub use note::{KeyError, NoteError, SigningKey, VerifyingKey};
pub use proof::{
    ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
pub use tree::{Frontier, FrontierError, Hash, HashError, MAX_SIZE, leaf_hash, node_hash};
pub use verify::{Finding, LogVerifier, Records};
