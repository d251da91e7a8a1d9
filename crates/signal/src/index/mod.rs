//! Indexes over many signals: which known ones match this one?
//!
//! [`PdqIndex`] finds every hash within a distance, [`ExactIndex`] equal values,
//! [`DestinationIndex`] where a link, invitation or wallet leads; phrases have their
//! own in [`crate::text::PhraseIndex`]. All are exact: what matches is found, nothing else is.
//! Entries carry a `u64` key chosen by the caller, unique in an index; inserting a key again
//! replaces its entry. Changes are seen by the next lookup.

#![expect(
    clippy::inline_always,
    reason = "what is searched with must be compiled with the instructions found at run time"
)]

pub(crate) mod exact;
pub(crate) mod keys;
mod memory;
mod pdq;
mod ring;
mod segment;
mod simd;
mod snapshot;
mod urls;

pub use exact::ExactIndex;
pub use pdq::{Done, PdqHit, PdqIndex, Work};
#[doc(hidden)]
pub use simd::Level;
pub use snapshot::SnapshotError;
pub use urls::{DestinationHit, DestinationIndex, DestinationMember, MemberKind};
