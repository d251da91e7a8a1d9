//! All SQL of Manara: one writer, group commit, and no state change without an audit leaf.
//!
//! ```text
//!  Store::write(job) ─▶ queue ─▶ writer thread: Tx ─ rows + leaf ─▶ COMMIT (fsync) ─▶ answer
//!  Store::read(f)    ─▶ one of a few read-only connections: Reader, a consistent snapshot
//!  Store::watch()    ─▶ has anybody, this process or another, committed since?
//!  Store::verify()   ─▶ every leaf, checkpoint and row, and what does not agree
//! ```
//! Promises:
//! - What [`Store::write`] answered is on disk, whatever happens next.
//! - Every row of state is covered by a leaf of the audit log (`manara_audit`), written in the same
//!   commit; [`Tx`] offers no other way to write.
//! - A job that fails is undone alone; the jobs it shared a commit with are not affected.
//! - Several processes may use one file.
//!
//! SQLite's types do not appear in this interface, so that another engine can stand behind it.
//!
//! | file | what |
//! |---|---|
//! | `store` `writer` `reader` | the threads and connections |
//! | `tx` `log` `tables` | rows, commitments, leaves, the log's edge |
//! | `events` `later` `cases` `outbox` `banks` `members` `access` `rules` `rulefiles` `evidence` `overview` `audit` | the operations, by noun |
//! | `verify` | the check of everything against the log |
//! | `sql` `migrations/` | the statements |
//!
//! ```
//! use manara_model::{Author, BankSettings};
//! use manara_store::{Options, Store};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let options = Options {
//!     audit_seed: [7; 32],
//!     origin: "forum.example/log".into(),
//!     max_bytes: None,
//!     readers: 2,
//! };
//! let store = Store::open(&dir.path().join("manara.db"), options)?;
//! let bank = "TVEC_TEXTS".parse()?;
//! let now = "2026-11-22T10:15:00Z".parse()?;
//! let settings = BankSettings::default();
//! store.write_blocking(move |tx| tx.create_bank(&bank, "slogans", &settings, &Author::System, now))?;
//! assert_eq!(store.read(|reader| reader.banks())?.len(), 1);
//! assert!(store.verify(&mut |_, _| ())?.findings.is_empty());
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod access;
mod audit;
mod banks;
mod cases;
mod error;
mod events;
mod evidence;
mod labels;
mod later;
mod log;
mod members;
mod open;
mod outbox;
mod overview;
mod progress;
mod reader;
mod replay;
mod rulefiles;
mod rules;
mod sets;
mod sql;
mod stops;
mod store;
mod tables;
mod tallies;
mod tx;
mod verify;
mod writer;

pub use access::{ApiKey, NewApiKey, NewReviewer, NewSession, Reviewer, Role, Session};
pub use audit::StoredLeaf;
pub use banks::{BankChange, BankCursor, Imported};
pub use cases::{CaseDetail, CaseFilter, CaseStage, QueueSummary, TrailEntry};
pub use error::{OpenError, StoreError};
pub use events::{ConflictingEvent, NewEvent, RecentEvent, RecentRow, Recorded, StoredEvent};
pub use evidence::{PREVIEW_BYTES_MAX, Preview};
pub use labels::EntityLabel;
pub use later::Later;
pub use members::{MemberChange, MemberHits, standing_opinions};
pub use open::version_of;
pub use outbox::{Attempt, Delivery, DeliveryState, Lease, OutboxItem, ReceiverCounts};
pub use overview::{Strike, Totals};
pub use reader::Reader;
pub use replay::LogRow;
pub use rulefiles::{
    NewProposal, NewRuleFile, Proposal, ProposalState, RULE_FILE_BYTES_MAX, RuleFileVersion,
    rule_text_sha256,
};
pub use rules::{RuleText, RuleVersion};
pub use sets::{KeptSet, SetItem};
pub use stops::{NewStop, RuleStop};
pub use store::{Options, Store, Watch};
pub use tallies::Tally;
pub use tx::{Committed, Tx};
pub use verify::{Finding, VerifyReport, verify_file};
