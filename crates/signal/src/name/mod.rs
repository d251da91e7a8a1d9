//! Handles and display names: is this account or channel one that was known under another name?
//!
//! What is suspended as `grey_banner` comes back as `grey_banner_18`, `greybanner_backup`,
//! `gr3y_b4nner`, `GreyBannеr` with a Cyrillic `е`, or in Arabic letters. [`Name`] is a name as
//! typed with the [keys](NameKeys) it is compared by, [`compare`] says how alike two are and why,
//! [`NameIndex`] finds the known names that one may be a return of, and [`SloganIndex`] phrases in
//! names, run together or not.
//!
//! ```text
//! name ── letters ──► folded key ───────────────────────────► same letters
//!            └─ less counters and added words ──► stem ─────► look-alikes, digits for letters, …
//!                                                  └ sounds ► the same in Arabic and Latin letters
//! ```
//!
//! A match is evidence for a rule or a reviewer and never proof: people share names.
//!
//! ```
//! use manara_signal::name::{Name, compare};
//! let known = Name::parse("grey_banner_17")?;
//! let found = compare(&known, &Name::parse("@GreyBannеr.backup")?).unwrap(); // A Cyrillic `е`.
//! assert_eq!(
//!     found.to_string(),
//!     "82: look-alike letters (е for e), counter differs (17, none), backup word (backup)"
//! );
//! assert_eq!(compare(&known, &Name::parse("greybanana")?), None);
//! # Ok::<(), manara_signal::name::NameError>(())
//! ```

mod fold;
mod index;
mod keys;
mod score;
mod slogan;
mod stem;
mod translit;
mod words;

pub use index::{COMPARED_MAX, HITS_MAX, NameHit, NameIndex};
pub use keys::{KeyStep, NameKeys};
pub use score::{Comparison, FURTHER, Reason, SCORE_DEFAULT};
pub use slogan::{NameText, SLOGAN_MIN, SloganHit, SloganIndex, as_text};
pub use words::{ADDED_WORDS, WordKind};

use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;

/// Most bytes of a name.
pub const NAME_MAX: usize = 256;
/// Fewest digits of a name that has nothing else.
pub const DIGITS_MIN: usize = 5;

/// A handle or display name. Two are equal when they were typed alike.
///
/// ```
/// use manara_signal::name::Name;
/// assert_eq!(Name::parse(" @Grey_Banner ")?.original(), "Grey_Banner");
/// assert_eq!(
///     Name::parse("@v2").unwrap_err().to_string(),
///     "a name of nothing but a counter (`v2`) would match too many: give the name it counts"
/// );
/// # Ok::<(), manara_signal::name::NameError>(())
/// ```
#[derive(Clone)]
pub struct Name {
    keys: Box<NameKeys>,
}

/// Why a text is not a name that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Over [`NAME_MAX`] bytes.
    #[error("a name is at most {NAME_MAX} bytes, this has {found}: give a longer text as a phrase")]
    Length {
        /// Length that was given.
        found: usize,
    },
    /// Nothing is left once separators, invisible characters and emoji are gone.
    #[error(
        "nothing is left of this name without punctuation, emoji and invisible characters: give its letters"
    )]
    Empty,
    /// One letter.
    #[error("a name of the single letter `{letter}` would match too many: give the whole name")]
    SingleLetter {
        /// The letter, normalised.
        letter: char,
    },
    /// A number, or a mark with one.
    #[error(
        "a name of nothing but a counter (`{counter}`) would match too many: give the name it counts"
    )]
    OnlyCounter {
        /// What was given.
        counter: Box<str>,
    },
    /// Nothing but words that any returning account adds.
    #[error("a name of nothing but `{word}` would match too many: give the name it was added to")]
    OnlyAddedWord {
        /// What was given.
        word: Box<str>,
    },
}

impl Name {
    /// Reads a handle, with or without its `@`, or a display name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_MAX {
            return Err(NameError::Length { found: text.len() });
        }
        let before = |c: char| c == '@' || c.is_whitespace();
        let name = text.trim_start_matches(before).trim_end();
        let keys = NameKeys::of(name);
        refuse(&keys)?;
        Ok(Self {
            keys: Box::new(keys),
        })
    }

    /// What was typed, without space around it and `@` before it.
    pub fn original(&self) -> &str {
        self.keys.text()
    }

    /// What it is compared by.
    pub fn keys(&self) -> &NameKeys {
        &self.keys
    }
}

fn refuse(keys: &NameKeys) -> Result<(), NameError> {
    let folded = keys.folded();
    let mut chars = folded.chars();
    let (first, second) = (chars.next(), chars.next());
    let digits = folded.bytes().all(|byte| byte.is_ascii_digit());
    let counter = || NameError::OnlyCounter {
        counter: keys.text().into(),
    };
    let Some(first) = first else {
        return Err(NameError::Empty);
    };
    if digits {
        return if folded.len() < DIGITS_MIN {
            Err(counter())
        } else {
            Ok(())
        };
    }
    if second.is_none() {
        return Err(NameError::SingleLetter { letter: first });
    }
    let Some((stem, _)) = keys
        .stems()
        .first()
        .filter(|(stem, _)| stem.letters.is_empty())
    else {
        return Ok(());
    };
    Err(if stem.added.is_empty() {
        counter()
    } else {
        NameError::OnlyAddedWord {
            word: keys.text().into(),
        }
    })
}

/// How alike two names are and why, or nothing when they are not. The score does not depend on the
/// order; of what a reason names in pairs, the first is of the first name.
pub fn compare(a: &Name, b: &Name) -> Option<Comparison> {
    score::compare_keys(&a.keys, &b.keys)
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.original() == other.original()
    }
}
impl Eq for Name {}
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original().hash(state);
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.original())
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:?})", self.original())
    }
}
impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
