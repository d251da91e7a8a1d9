//! Text: what it says once its disguise is off, and which known phrases are in it.
//!
//! [`normalise`] gives two keys of a text, each with a map back to the original bytes:
//!
//! | step (in this order) | strict | folded |
//! |---|---|---|
//! | first 64 KiB, at a character boundary; the rest is reported as truncated | ✓ | ✓ |
//! | characters nobody sees removed (zero-width, direction marks, variation selectors, tags; kept: the joiner inside an emoji) | ✓ | ✓ |
//! | NFKC: presentation forms, ligatures, full-width, mathematical and circled letters become plain ones; `ﷲ` `ﷺ` `﷼` `﷽` are spelt out | ✓ | ✓ |
//! | full case folding | ✓ | ✓ |
//! | tatweel removed | ✓ | ✓ |
//! | digits of every script become `0`–`9` | ✓ | ✓ |
//! | Arabic vowel signs and Hebrew points removed; accents of Latin and Greek letters removed; combining accents stacked on letters of any script removed (`й` `ї` `ў` stay letters, `ё` becomes `е`) | | ✓ |
//! | letters that writers interchange: alef forms → `ا`, `ى` `ی` `ے` → `ي`, `ة` `ہ` `ھ` `ە` → `ه`, `ک` `ڪ` → `ك`; `ø` `ł` `ı` and small capitals → their plain letter | | ✓ |
//! | look-alikes: in a word that mixes scripts, letters are read as those of the script they imitate | | ✓ |
//! | spacing tricks: three or more single letters set apart (`j o i n`, `g.r.e.y`) are joined | | ✓ |
//! | elongation: a letter repeated three times or more stands once (`bannnner`) | | ✓ |
//!
//! Waw and yeh with hamza, Persian `گ پ چ ژ` and bare hamza keep their identity, as do Cyrillic and
//! Greek words that could be read as Latin ones: the Russian word `сор` is not `cop`. Such a word is
//! read as Latin only by [`PhraseIndex`], and only where its neighbours say so; see there. Letters
//! replaced by digits (`gr3y`) and Arabic in Latin letters stay in both keys: the index reads them for
//! phrases that are looked for at [`Level::Aggressive`].
//!
//! [`explain`] shows a text after each of these steps. [`PhraseIndex`] then finds known phrases, as whole
//! words or, where asked, inside them. Sources: UAX #15 (NFKC), UTS #39
//! (confusables), CAMeL Tools' and Lucene's lists of interchangeable Arabic letters.

mod aggressive;
mod arabizi;
mod chars;
mod context;
mod explain;
mod filter;
mod index;
mod key;
mod loose;
mod normalise;
mod phrase;
mod search;
mod substring;
mod substring_search;
mod term;
mod trie;
mod words;

pub use explain::{EXPLAINED_MAX, NormalisationStep, explain};
pub use index::{PhraseHit, PhraseIndex};
pub use key::{Evasions, Key};
pub use normalise::{Normalised, TEXT_MAX, normalise};
pub use phrase::{PHRASE_MAX, Phrase, PhraseError, WORDS_MAX};
pub use term::{
    CONTEXT_MAX, Level, SUBSTRING_MIN, Scope, TermError, TermOptions, UnknownName, WITHIN_MAX,
};
