//! A text that is compared as a whole: only its letters and digits count.

use crate::text::TEXT_MAX;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most letters and digits that are compared. Only texts full of ligatures that stand for several
/// words, such as `ﷺ`, have more in [`TEXT_MAX`] bytes.
pub const LETTERS_MAX: usize = 65_536;

/// Why a text cannot be a signal of the type `raw_text`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RawTextError {
    /// Over [`TEXT_MAX`] bytes.
    #[error(
        "a raw_text signal has at most {TEXT_MAX} bytes, this has {found}: give the part that is characteristic"
    )]
    Length {
        /// Bytes that were given.
        found: usize,
    },
    /// Over [`LETTERS_MAX`] letters, once ligatures are spelt out.
    #[error(
        "a raw_text signal has at most {LETTERS_MAX} letters with its ligatures spelt out, this has more: give the part that is characteristic"
    )]
    Letters,
    /// No letter or digit.
    #[error(
        "nothing is left of this raw_text signal without spaces, punctuation and marks: give a text with letters or digits"
    )]
    Empty,
}

/// A text and what is compared of it. Two are equal when they were written alike.
///
/// What is compared are its letters and digits, after compatibility decomposition (NFKD) and in
/// lower case: no spaces, punctuation, emoji, accents, Arabic vowel signs or tatweel. This is
/// `raw_text` of HMA (`normalize_string` of `threatexchange`) on all of Unicode.
///
/// ```
/// use manara_signal::near::RawText;
/// assert_eq!(RawText::parse("Who's  THERE? É")?.normalised(), "whostheree");
/// assert_eq!(RawText::parse("الرَّمَـــادُ")?.normalised(), "الرماد");
/// assert!(RawText::parse("🙂 …").is_err());
/// # Ok::<(), manara_signal::near::RawTextError>(())
/// ```
#[derive(Clone)]
pub struct RawText {
    original: Box<str>,
    normalised: Box<str>,
    letters: u32,
}

impl RawText {
    /// Reads a signal as typed.
    pub fn parse(text: &str) -> Result<Self, RawTextError> {
        if text.len() > TEXT_MAX {
            return Err(RawTextError::Length { found: text.len() });
        }
        let read = Self::of_content(text)?;
        if read.letters as usize == LETTERS_MAX && letters_of(text).1 as usize > LETTERS_MAX {
            return Err(RawTextError::Letters);
        }
        Ok(read)
    }

    /// Reads a post to be looked up: of a longer one, the first [`TEXT_MAX`] bytes and
    /// [`LETTERS_MAX`] letters.
    pub fn of_content(text: &str) -> Result<Self, RawTextError> {
        let original = text
            .get(..text.floor_char_boundary(TEXT_MAX))
            .unwrap_or_default();
        let (mut normalised, mut letters) = letters_of(original);
        if letters as usize > LETTERS_MAX {
            normalised = normalised.chars().take(LETTERS_MAX).collect();
            letters = LETTERS_MAX as u32;
        }
        if letters == 0 {
            return Err(RawTextError::Empty);
        }
        Ok(Self {
            original: original.into(),
            normalised: normalised.into(),
            letters,
        })
    }

    /// As it was written.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// What is compared.
    pub fn normalised(&self) -> &str {
        &self.normalised
    }

    /// Number of letters and digits that are compared.
    pub fn letters(&self) -> u32 {
        self.letters
    }
}

impl PartialEq for RawText {
    fn eq(&self, other: &Self) -> bool {
        self.original == other.original
    }
}

impl Eq for RawText {}

impl Hash for RawText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original.hash(state);
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawText").field(&self.original).finish()
    }
}

/// The letters and digits, and how many they are.
fn letters_of(text: &str) -> (String, u32) {
    let table: &[u16] = &TABLE;
    let mut letters = String::with_capacity(text.len());
    let mut count = 0;
    for c in text.chars() {
        match table.get(c as usize) {
            Some(&DROPPED) => {}
            Some(&letter) if letter != SEVERAL => {
                letters.push(char::from_u32(u32::from(letter)).unwrap_or(c));
                count += 1;
            }
            _ => {
                for letter in letters_of_char(c) {
                    letters.push(letter);
                    count += 1;
                }
            }
        }
    }
    (letters, count)
}

/// The letters and digits that a character stands for. As marks are dropped, their order does not
/// matter, so no character depends on its neighbours.
fn letters_of_char(c: char) -> impl Iterator<Item = char> {
    let decomposed = std::iter::once(c).nfkd();
    let lower = decomposed.flat_map(char::to_lowercase);
    lower.filter(|c| c.is_alphanumeric() && !is_combining_mark(*c) && *c != TATWEEL)
}

const TATWEEL: char = '\u{640}';
const DROPPED: u16 = 0;
const SEVERAL: u16 = 0xffff;

/// What each character of the Basic Multilingual Plane becomes, made at the first use.
static TABLE: LazyLock<Box<[u16]>> = LazyLock::new(|| (0..=0xffff).map(entry).collect());

fn entry(code: u32) -> u16 {
    let Some(c) = char::from_u32(code) else {
        return DROPPED;
    };
    let mut letters = letters_of_char(c);
    match (letters.next(), letters.next()) {
        (None, _) => DROPPED,
        (Some(letter), None) => u16::try_from(u32::from(letter)).unwrap_or(SEVERAL),
        _ => SEVERAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let read = RawText::parse(text).unwrap();
        assert_eq!(read.normalised(), expect);
        assert_eq!(read.letters() as usize, expect.chars().count());
    }

    #[test]
    fn letters_and_digits_are_kept() {
        check("The quick, brown_fox! 42", "thequickbrownfox42");
        check("w000000t", "w000000t");
        check("Ünïcödé ﬁ ℌ ½", "unicodefih12");
        check("СТРОЙ ёлка", "строиелка");
        check("رَايَةُ الرَّمَـــادِ آمين", "رايةالرمادامين");
        check("灰色の旗", "灰色の旗");
        check("a\u{200b}\u{202e}b", "ab");
        check("𝐆𝐫𝐞𝐲", "grey");
        check("हिन्दी", "हनद");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let refused = |text: &str| RawText::parse(text).unwrap_err();
        assert_eq!(refused(""), RawTextError::Empty);
        assert_eq!(refused(" …\u{64e}"), RawTextError::Empty);
        assert_eq!(
            refused(&"a".repeat(TEXT_MAX + 1)),
            RawTextError::Length {
                found: TEXT_MAX + 1
            }
        );
        assert_eq!(refused(&"ﷺ".repeat(20_000)), RawTextError::Letters);
        let content = RawText::of_content(&"ﷺ".repeat(30_000)).unwrap();
        assert_eq!(content.letters() as usize, LETTERS_MAX);
    }

    proptest! {
        // Against the definition: decompose the whole text, lower it, keep letters and digits.
        #[test]
        fn one_character_at_a_time_is_the_whole_text_at_once(text: String) {
            let expect: String = text
                .nfkd()
                .flat_map(char::to_lowercase)
                .filter(|c| c.is_alphanumeric() && !is_combining_mark(*c) && *c != TATWEEL)
                .collect();
            let read = RawText::parse(&text);
            let normalised = read.as_ref().map_or("", |read| read.normalised());
            prop_assert_eq!(normalised, expect);
        }
    }
}
