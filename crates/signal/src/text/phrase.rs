//! A known phrase: what the analyst typed, and the words that are looked for.

use super::normalise::{Normalised, normalise};
use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;

/// Longest phrase, in bytes as typed.
pub const PHRASE_MAX: usize = 1024;
/// Most words in a phrase.
pub const WORDS_MAX: usize = 32;

/// Why a text cannot be looked for as a phrase.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PhraseError {
    /// Over [`PHRASE_MAX`] bytes.
    #[error(
        "a text signal has at most {PHRASE_MAX} bytes, this has {found}: give the words that are characteristic"
    )]
    Length {
        /// Length that was given.
        found: usize,
    },
    /// Over [`WORDS_MAX`] words.
    #[error(
        "a text signal has at most {WORDS_MAX} words, this has {found}: give the words that are characteristic"
    )]
    Words {
        /// Number of words found.
        found: usize,
        /// Byte offset of the first word too many.
        column: usize,
    },
    /// Nothing is left once invisible characters, marks and punctuation are gone.
    #[error(
        "nothing is left of this text signal without punctuation and invisible characters: give at least one word"
    )]
    Empty,
    /// A single letter or digit, which is in almost every text.
    #[error(
        "a text signal of the single letter `{letter}` would match almost every text: give a word or more"
    )]
    SingleLetter {
        /// The letter, normalised.
        letter: char,
        /// Its byte offset.
        column: usize,
    },
}

impl PhraseError {
    /// Byte offset of the mistake in the text, when it lies at one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Length { .. } => Some(PHRASE_MAX),
            Self::Words { column, .. } | Self::SingleLetter { column, .. } => Some(*column),
            Self::Empty => None,
        }
    }
}

/// A phrase to be found as whole words. Two are equal when they were typed alike.
///
/// ```
/// use manara_signal::Phrase;
/// let phrase = Phrase::parse("Rise, under the GREY banner!")?;
/// assert_eq!(phrase.original(), "Rise, under the GREY banner!");
/// assert_eq!(phrase.folded(), "rise under the grey banner");
///
/// assert_eq!(Phrase::parse("رَايَةُ الرَّمَادِ")?.folded(), "رايه الرماد");
/// assert!(Phrase::parse("\u{200b}…").is_err());
/// # Ok::<(), manara_signal::PhraseError>(())
/// ```
#[derive(Clone)]
pub struct Phrase {
    original: Box<str>,
    strict: Box<str>,
    folded: Box<str>,
}

impl Phrase {
    /// Reads a phrase as typed; punctuation and spacing between its words do not matter.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        if text.len() > PHRASE_MAX {
            return Err(PhraseError::Length { found: text.len() });
        }
        let normalised = normalise(text);
        let words = normalised.words();
        let column = |at: usize| words.get(at).map_or(0, |word| word.original.0 as usize);
        let folded = folded_words(&normalised);
        match folded.as_slice() {
            [] => return Err(PhraseError::Empty),
            [word] if let Some(letter) = single_letter(word) => {
                return Err(PhraseError::SingleLetter {
                    letter,
                    column: column(0),
                });
            }
            _ => {}
        }
        if words.len() > WORDS_MAX && folded.len() > WORDS_MAX {
            return Err(PhraseError::Words {
                found: words.len(),
                column: column(WORDS_MAX),
            });
        }
        let strict: Vec<&str> = words
            .iter()
            .map(|word| normalised.strict.slice(word.strict))
            .collect();
        Ok(Self {
            original: text.into(),
            strict: strict.join(" ").into(),
            folded: folded.join(" ").into(),
        })
    }

    /// What was typed.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The words of the strict key, with one space between.
    pub fn strict(&self) -> &str {
        &self.strict
    }

    /// The words of the folded key, elongations as typed, with one space between.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// The words in plain form; letters set apart are one word.
fn folded_words(normalised: &Normalised) -> Vec<&str> {
    let mut spaced = normalised.spaced().iter().peekable();
    let mut words = Vec::new();
    let mut covered = 0;
    for (at, word) in normalised.words().iter().enumerate() {
        if let Some(group) = spaced.next_if(|group| group.from as usize == at) {
            let letters = normalised.buffered(group.text);
            words.push(letters);
            covered = at + letters.chars().count();
        } else if at >= covered {
            words.push(normalised.plain().slice(word.plain));
        }
    }
    words
}

fn single_letter(word: &str) -> Option<char> {
    let mut chars = word.chars();
    let first = chars.next().filter(|c| c.is_alphanumeric())?;
    chars.next().is_none().then_some(first)
}

impl PartialEq for Phrase {
    fn eq(&self, other: &Self) -> bool {
        self.original == other.original
    }
}
impl Eq for Phrase {}
impl Hash for Phrase {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original.hash(state);
    }
}
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.original)
    }
}
impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrase({:?})", self.original)
    }
}
impl std::str::FromStr for Phrase {
    type Err = PhraseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, strict: &str, folded: &str) {
        let phrase = Phrase::parse(text).unwrap();
        assert_eq!((phrase.strict(), phrase.folded()), (strict, folded));
    }

    #[test]
    fn words_are_what_counts() {
        check(" Grey…banner ", "grey banner", "grey banner");
        check("رايةُ الرَّمـــاد", "رايةُ الرَّماد", "رايه الرماد");
        check("g.r.e.y banner", "g r e y banner", "grey banner");
        check("Café №7", "café no7", "cafe no7");
        check("灰色旗", "灰 色 旗", "灰 色 旗");
        check("🏴", "🏴", "🏴");
    }

    #[track_caller]
    fn check_refused(text: &str, expect: PhraseError) {
        assert_eq!(Phrase::parse(text), Err(expect));
    }

    #[test]
    fn what_would_match_everything_or_nothing_is_refused() {
        check_refused("", PhraseError::Empty);
        check_refused("  \u{200b}\u{202e}ـ…!", PhraseError::Empty);
        check_refused(
            " «و» ",
            PhraseError::SingleLetter {
                letter: 'و',
                column: 3,
            },
        );
        check_refused(
            "A",
            PhraseError::SingleLetter {
                letter: 'a',
                column: 0,
            },
        );
        check_refused(
            "ـأَ",
            PhraseError::SingleLetter {
                letter: 'ا',
                column: 2,
            },
        );
        check_refused(
            "旗",
            PhraseError::SingleLetter {
                letter: '旗',
                column: 0,
            },
        );
        check_refused(&"a".repeat(1025), PhraseError::Length { found: 1025 });
        check_refused(
            &"no ".repeat(33),
            PhraseError::Words {
                found: 33,
                column: 96,
            },
        );
    }
}
