//! Slogans in names: `RiseUnderTheGreyBanner`, `rise_under-the.grey_banner`, `weriseunderthegreybanner17`.
//!
//! Names have no reliable ends of words. [`as_text`] gives those there are, so that a
//! [`PhraseIndex`](crate::text::PhraseIndex) finds phrases in a name as in any text. [`SloganIndex`]
//! does without them: it compares the letters of every stretch of the name, spaces left out, with
//! those of the phrases, digits inside words and look-alikes read as letters.

use super::fold::{Folded, fold};
use super::stem::{Letter, read_letters, slogan_letters, weight};
use super::{NAME_MAX, Reason};
use crate::index::keys::{KeySlots, spread};
use crate::text::{Phrase, PhraseHit, PhraseIndex, normalise};
use hashbrown::HashTable;
use std::fmt;
use std::ops::Range;

/// Fewest letters of a slogan found inside a name without regard to words; of Arabic letters, two
/// thirds as many.
pub const SLOGAN_MIN: usize = 10;
/// Longest slogan, in letters, that is looked for so: no name is longer.
const SLOGAN_MAX: usize = NAME_MAX;

/// A name with spaces between its words, which knows where each part came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameText {
    text: String,
    /// Where stretches of the text begin, in it and in the name.
    starts: Vec<(usize, usize)>,
}

/// A name as a text of words: parted at capitals, separators, and between letters and digits at a
/// word's ends.
///
/// ```
/// use manara_signal::Phrase;
/// use manara_signal::name::as_text;
/// use manara_signal::text::PhraseIndex;
///
/// let text = as_text("RiseUnder_the.greyBanner17");
/// assert_eq!(text.text(), "Rise Under the grey Banner 17");
/// let mut index = PhraseIndex::new();
/// index.insert(1, &Phrase::parse("the grey banner")?);
/// let mut hits = Vec::new();
/// text.find(&index, &mut hits);
/// assert_eq!((hits[0].key, hits[0].original.clone()), (1, 10..24)); // Bytes of the name.
/// # Ok::<(), manara_signal::PhraseError>(())
/// ```
pub fn as_text(name: &str) -> NameText {
    let mut out = NameText::default();
    let mut before: Option<char> = None;
    let mut chars = name.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let separator = matches!(c, '_' | '-' | '.' | '·' | '|');
        if before.is_some_and(|before| parts(before, c, next)) {
            out.text.push(' ');
        }
        out.starts.push((out.text.len(), at));
        out.text.push(if separator { ' ' } else { c });
        before = Some(c);
    }
    out
}

/// Whether a word ends between two characters.
fn parts(before: char, c: char, next: Option<char>) -> bool {
    let digit = |c: char| c.is_numeric();
    let capital = before.is_lowercase() && c.is_uppercase();
    // A digit between letters may stand for one: `gr3y`.
    let into = before.is_alphabetic() && digit(c) && next.is_none_or(|next| !next.is_alphabetic());
    let out_of = digit(before)
        && c.is_alphabetic()
        && next.is_some_and(|next| !digit(next))
        && c.is_uppercase();
    capital || into || out_of
}

impl NameText {
    /// The words, with one separator at least between them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the name that a stretch of the text stands for.
    pub fn original_span(&self, span: Range<usize>) -> Range<usize> {
        let from = self.starts.partition_point(|(at, _)| *at < span.start);
        let last = self
            .starts
            .partition_point(|(at, _)| *at < span.end)
            .checked_sub(1);
        let Some((at, start)) = self.starts.get(from) else {
            return 0..0;
        };
        if span.is_empty() || *at >= span.end {
            return *start..*start;
        }
        let (last_at, last_start) = last
            .and_then(|last| self.starts.get(last))
            .unwrap_or(&(0, 0));
        *start..last_start + (span.end - last_at)
    }

    /// Appends the phrases found, with the bytes of the name they stand in.
    pub fn find(&self, index: &PhraseIndex, out: &mut Vec<PhraseHit>) {
        let from = out.len();
        index.find(&normalise(&self.text), out);
        for hit in out.iter_mut().skip(from) {
            hit.original = self.original_span(hit.original.clone());
        }
    }
}

/// A slogan found in a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SloganHit {
    /// The key under which the phrase was inserted.
    pub key: u64,
    /// The bytes of the name in which it was found.
    pub original: Range<usize>,
    /// What was read otherwise than it is written; nothing when all letters are as in the phrase.
    pub reasons: Vec<Reason>,
}

/// Phrases by key, to be found in names whether or not their words are set apart there.
///
/// ```
/// use manara_signal::Phrase;
/// use manara_signal::name::SloganIndex;
/// let mut index = SloganIndex::new();
/// assert!(index.insert(1, &Phrase::parse("rise under the grey banner")?));
/// let mut hits = Vec::new();
/// index.find("xriseunderthegr3ybanner17", &mut hits);
/// assert_eq!((hits[0].key, hits[0].original.clone()), (1, 1..23));
/// assert_eq!(hits[0].reasons[0].to_string(), "digits for letters (3 for e)");
/// # Ok::<(), manara_signal::PhraseError>(())
/// ```
pub struct SloganIndex {
    slogans: Vec<Vec<Letter>>,
    keys: Vec<u64>,
    by_key: KeySlots,
    free: Vec<u32>,
    /// Slots by hash.
    table: HashTable<(u64, Vec<u32>)>,
    /// How many slogans there are of each length.
    lengths: Vec<u32>,
}

impl Default for SloganIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SloganIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SloganIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl SloganIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self {
            slogans: Vec::new(),
            keys: Vec::new(),
            by_key: KeySlots::default(),
            free: Vec::new(),
            table: HashTable::new(),
            lengths: vec![0; SLOGAN_MAX + 1],
        }
    }

    /// Adds a phrase under a key, in place of the one that had it; `false`, and nothing is added, if it
    /// is one word or has under [`SLOGAN_MIN`] letters, which would be found inside other words.
    pub fn insert(&mut self, key: u64, phrase: &Phrase) -> bool {
        self.remove(key);
        let letters = once(read_letters(phrase.folded()).into_iter());
        let telling = weight(&letters) as usize >= 2 * SLOGAN_MIN && phrase.folded().contains(' ');
        let Some(length) = self.lengths.get_mut(letters.len()).filter(|_| telling) else {
            return false;
        };
        *length += 1;
        let hash = prefix_hashes(&letters).last().copied().unwrap_or_default();
        let slot = self.free.pop().unwrap_or(self.slogans.len() as u32);
        let at = slot as usize;
        if at == self.slogans.len() {
            self.slogans.push(Vec::new());
            self.keys.push(0);
        }
        if let (Some(old), Some(old_key)) = (self.slogans.get_mut(at), self.keys.get_mut(at)) {
            (*old, *old_key) = (letters, key);
        }
        self.by_key.insert(slot, &self.keys);
        let entry = self
            .table
            .entry(spread(hash), |e| e.0 == hash, |e| spread(e.0));
        entry.or_insert((hash, Vec::new())).into_mut().1.push(slot);
        true
    }

    /// Takes the key's phrase out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(slot) = self.by_key.remove(key, &self.keys) else {
            return false;
        };
        let letters = self
            .slogans
            .get_mut(slot as usize)
            .map(std::mem::take)
            .unwrap_or_default();
        if let Some(length) = self.lengths.get_mut(letters.len()) {
            *length -= 1;
        }
        let hash = prefix_hashes(&letters).last().copied().unwrap_or_default();
        if let Ok(mut entry) = self.table.find_entry(spread(hash), |e| e.0 == hash) {
            entry.get_mut().1.retain(|other| *other != slot);
            if entry.get().1.is_empty() {
                entry.remove();
            }
        }
        self.free.push(slot);
        true
    }

    /// Number of phrases.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the slogans in a name's first [`NAME_MAX`] bytes by place, then by key, the first
    /// occurrence of each; at most [`super::HITS_MAX`].
    pub fn find(&self, name: &str, out: &mut Vec<SloganHit>) {
        let kept = name
            .get(..name.floor_char_boundary(NAME_MAX))
            .unwrap_or_default();
        let letters = Placed::of(&fold(kept));
        let hashes = prefix_hashes(&letters.letters);
        let mut hits: Vec<SloganHit> = Vec::new();
        let lengths = self
            .lengths
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        for (length, _) in lengths.take_while(|(length, _)| *length <= letters.letters.len()) {
            let shift = BASE.wrapping_pow(length as u32);
            for start in 0..=letters.letters.len() - length {
                let hash = window(&hashes, start, length, shift);
                let Some((_, slots)) = self.table.find(spread(hash), |e| e.0 == hash) else {
                    continue;
                };
                let slots = slots.iter().take(super::HITS_MAX);
                let found = slots.filter_map(|slot| self.hit(*slot, &letters, start, length));
                let new: Vec<_> = found
                    .filter(|hit| hits.iter().all(|h| h.key != hit.key))
                    .collect();
                hits.extend(new);
                hits.truncate(super::HITS_MAX);
            }
        }
        hits.sort_by_key(|hit| (hit.original.start, hit.original.end, hit.key));
        out.append(&mut hits);
    }

    fn hit(&self, slot: u32, name: &Placed, start: usize, length: usize) -> Option<SloganHit> {
        let slogan = self.slogans.get(slot as usize)?;
        let letters = name.letters.get(start..start + length)?;
        if slogan.len() != length || !slogan.iter().zip(letters).all(|(a, b)| a.same(b)) {
            return None;
        }
        let mut reasons = Vec::new();
        super::score::letters_differ(slogan, letters, &mut reasons);
        let (from, _) = *name.spans.get(start)?;
        let (_, to) = *name.spans.get(start + length - 1)?;
        Some(SloganHit {
            key: *self.keys.get(slot as usize)?,
            original: from as usize..to as usize,
            reasons,
        })
    }
}

/// The letters of a name, repeated ones once, with their bytes.
struct Placed {
    letters: Vec<Letter>,
    spans: Vec<(u32, u32)>,
}

impl Placed {
    fn of(folded: &Folded) -> Self {
        let mut out = Self {
            letters: Vec::new(),
            spans: Vec::new(),
        };
        for (letter, glyph) in slogan_letters(folded) {
            let before = out.letters.len();
            super::stem::push_once(&mut out.letters, letter);
            match out.spans.last_mut() {
                Some(last) if out.letters.len() == before => last.1 = glyph.end,
                _ => out.spans.push((glyph.start, glyph.end)),
            }
        }
        out
    }
}

fn once(letters: impl Iterator<Item = Letter>) -> Vec<Letter> {
    let mut out = Vec::new();
    letters.for_each(|letter| super::stem::push_once(&mut out, letter));
    out
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Of the first 0, 1, 2, … letters: a polynomial, so that a stretch's hash is a difference of two.
fn prefix_hashes(letters: &[Letter]) -> Vec<u64> {
    let mut hash = 0_u64;
    let after = letters.iter().map(|letter| {
        hash = hash
            .wrapping_mul(BASE)
            .wrapping_add(spread(letter.key() as u64));
        hash
    });
    std::iter::once(0).chain(after).collect()
}

fn window(hashes: &[u64], start: usize, length: usize, shift: u64) -> u64 {
    let at = |at: usize| hashes.get(at).copied().unwrap_or_default();
    at(start + length).wrapping_sub(at(start).wrapping_mul(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: &[(u64, &str)]) {
        let mut index = SloganIndex::new();
        for (key, phrase) in (1..).zip([
            "rise under the grey banner",
            "راية الرماد ترتفع",
            "the grey banner",
        ]) {
            assert!(index.insert(key, &Phrase::parse(phrase).unwrap()));
        }
        let mut hits = Vec::new();
        index.find(name, &mut hits);
        let found: Vec<(u64, &str)> = hits
            .iter()
            .map(|hit| (hit.key, &name[hit.original.clone()]))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn slogans_with_and_without_words() {
        check(
            "riseunderthegreybanner17",
            &[(1, "riseunderthegreybanner"), (3, "thegreybanner")],
        );
        check(
            "RiseUnderTheGreyBanner",
            &[(1, "RiseUnderTheGreyBanner"), (3, "TheGreyBanner")],
        );
        check(
            "rise_under-the.grey_banner",
            &[(1, "rise_under-the.grey_banner"), (3, "the.grey_banner")],
        );
        check("wefollowthegr3ybannеrnow", &[(3, "thegr3ybannеr")]);
        check("17_th3_grey_b4nner_17", &[(3, "th3_grey_b4nner")]);
        check("رايةالرمادترتفع", &[(2, "رايةالرمادترتفع")]);
        check("thegreybandana", &[]);
        check("the grey manner", &[]);
    }

    #[test]
    fn short_phrases_and_single_words_are_not_looked_for() {
        let mut index = SloganIndex::new();
        assert!(!index.insert(1, &Phrase::parse("grey").unwrap()));
        assert!(!index.insert(2, &Phrase::parse("greybannering").unwrap()));
        assert!(!index.insert(3, &Phrase::parse("to get her").unwrap()));
        assert!(index.insert(4, &Phrase::parse("the grey banner").unwrap()));
        assert!(index.remove(4) && !index.remove(4));
        assert!(index.is_empty() && index.table.is_empty());
    }

    #[track_caller]
    fn check_text(name: &str, expect: &str) {
        let text = as_text(name);
        assert_eq!(text.text(), expect);
        for (at, c) in text.text().char_indices().filter(|(_, c)| *c != ' ') {
            let span = text.original_span(at..at + c.len_utf8());
            assert_eq!(name.get(span), text.text().get(at..at + c.len_utf8()));
        }
    }

    #[test]
    fn words_of_names() {
        check_text("GreyBanner17", "Grey Banner 17");
        check_text("gr3y_b4nner", "gr3y b4nner");
        check_text("راية_الرماد٢", "راية الرماد ٢");
        check_text("", "");
    }
}
