//! A text that is compared by its pieces, as a signal.

use super::{Shingles, ShinglesError};
use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;

/// Longest text, in bytes as typed.
const BYTES_MAX: usize = 64 * 1024;

/// Why a text cannot be a signal of the type `similar_text`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SimilarTextError {
    /// Over 64 KiB.
    #[error(
        "a similar_text signal has at most {BYTES_MAX} bytes, this has {found}: give the part that is characteristic"
    )]
    Length {
        /// Bytes that were given.
        found: usize,
    },
    /// Too little to compare.
    #[error(transparent)]
    Shingles(#[from] ShinglesError),
}

/// A text and the pieces it is compared by. Two are equal when they were written alike.
///
/// ```
/// use manara_signal::near::SimilarText;
/// let text = SimilarText::parse("At dawn we carry the grey banner up to the hill.")?;
/// assert_eq!(text.original(), "At dawn we carry the grey banner up to the hill.");
/// assert!(SimilarText::parse("grey banner").is_err());
/// # Ok::<(), manara_signal::near::SimilarTextError>(())
/// ```
#[derive(Clone)]
pub struct SimilarText {
    original: Box<str>,
    shingles: Shingles,
}

impl SimilarText {
    /// Reads a signal as typed.
    pub fn parse(text: &str) -> Result<Self, SimilarTextError> {
        if text.len() > BYTES_MAX {
            return Err(SimilarTextError::Length { found: text.len() });
        }
        Ok(Self {
            shingles: Shingles::of(text)?,
            original: text.into(),
        })
    }

    /// As it was written.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// What is compared.
    pub fn shingles(&self) -> &Shingles {
        &self.shingles
    }
}

impl PartialEq for SimilarText {
    fn eq(&self, other: &Self) -> bool {
        self.original == other.original
    }
}
impl Eq for SimilarText {}
impl Hash for SimilarText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original.hash(state);
    }
}
impl fmt::Debug for SimilarText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimilarText({:?})", self.original)
    }
}
