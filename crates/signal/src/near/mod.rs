//! Near-duplicate texts: which known texts is this one almost the same as?
//!
//! | type | for | finds | answers |
//! |---|---|---|---|
//! | [`RawText`], [`EditIndex`] | posts, bios, descriptions; HMA's `raw_text` | the same text with at most one letter in twenty changed, added or left out | exactly |
//! | [`Shingles`], [`ShingleIndex`] | posts reworded, put in another order, with something added | texts that share seven tenths of their six-letter pieces | what it finds is exact; of texts at its limit it may miss one in 500 |
//! | [`Tlsh`], [`TlshIndex`] | long texts, hashes exchanged with others; ThreatExchange's `text_tlsh` | texts of one kind and make, from 50 bytes on | exactly, by looking at all |
//!
//! All indexes are live: keys come and go, and the next lookup sees it. Equal texts lie in memory
//! once. `docs/text-near.md` says what each finds and misses, and what it costs.
//!
//! ```
//! use manara_signal::near::{EditIndex, RawText};
//!
//! let mut index = EditIndex::new();
//! index.insert(7, &RawText::parse("Rise at dawn, all of you, and carry the grey banner home!")?);
//!
//! let mut hits = Vec::new();
//! let post = RawText::parse("RISE at dawn, all of you and carry the gray banner home")?;
//! index.query(&post, EditIndex::DISTANCE, &mut hits);
//! assert_eq!((hits[0].key, hits[0].edits, hits[0].distance), (7, 1, 3));
//! # Ok::<(), manara_signal::near::RawTextError>(())
//! ```

mod edit;
mod holders;
mod myers;
mod postings;
mod raw;
mod shingle;
mod similar;
mod tlsh;

pub use edit::{EditHit, EditIndex};
pub use raw::{LETTERS_MAX, RawText, RawTextError};
pub use shingle::{
    Overlap, SHINGLE_LETTERS_MAX, SHINGLES_MIN, SKETCH, ShingleHit, ShingleIndex, Shingles,
    ShinglesError,
};
pub use similar::{SimilarText, SimilarTextError};
pub use tlsh::{TLSH_MIN, Tlsh, TlshError, TlshHit, TlshIndex};
