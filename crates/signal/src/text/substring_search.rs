//! Looks for phrases inside words: in the words of the text with one space between, as the phrases
//! have it.

use super::index::{Member, PhraseHit};
use super::key::Evasions;
use super::normalise::Normalised;
use super::search::Search;
use super::substring::Letters;
use super::term::Level;
use super::words::{ELONGATED, Spaced, Stretch, Word, stretches};
use std::ops::Range;

/// The words of a text with one space between, letter by letter.
struct Hay<'t> {
    text: &'t Normalised,
    letters: Letters,
    /// How many letters elongations are shortened to.
    kept: Option<usize>,
    words: Vec<HayWord>,
}

#[derive(Clone, Copy)]
struct HayWord {
    /// Its first letter.
    begin: u32,
    /// In the plain key.
    plain: Stretch,
    /// Whether the next word is read together with it.
    joined: bool,
}

/// Adds the hits of phrases that may stand inside words.
pub(super) fn find(search: &mut Search<'_, '_>) {
    let text = search.text;
    find_spelt(search, &[]);
    if !text.spaced().is_empty() {
        find_spelt(search, text.spaced());
    }
}

/// Looks for phrases with these letters set apart read together.
fn find_spelt(search: &mut Search<'_, '_>, joined: &[Spaced]) {
    let hay = Hay::new(search.text, joined, None);
    find_in(search, &hay);
    if search.text.evasions.elongation > 0 {
        // `bannnner` may be short for one letter or for two.
        for kept in [1, 2] {
            let hay = Hay::new(search.text, joined, Some(kept));
            find_in(search, &hay);
        }
    }
}

impl<'t> Hay<'t> {
    fn new(text: &'t Normalised, joined: &[Spaced], kept: Option<usize>) -> Self {
        let (words, letters) = (text.words(), text.plain().text().len());
        let mut hay = Self {
            text,
            letters: Letters::with_capacity(letters + words.len()),
            kept,
            words: Vec::with_capacity(words.len()),
        };
        let mut groups = joined.iter().peekable();
        let mut last_joined = 0;
        for (number, word) in (0..).zip(words) {
            if let Some(group) = groups.next_if(|group| group.from == number) {
                let letters = text.buffered(group.text).chars().count();
                last_joined = number + letters.saturating_sub(1) as u32;
            }
            let word = HayWord {
                begin: hay.letters.len() as u32,
                plain: word.plain,
                joined: number < last_joined,
            };
            hay.words.push(word);
            each_letter(text, word, kept, |letter, _| hay.letters.push(letter));
        }
        hay.letters.end();
        hay
    }

    /// The word that a letter is of.
    fn word_at(&self, letter: usize) -> Option<usize> {
        let after = self
            .words
            .partition_point(|word| word.begin as usize <= letter);
        after.checked_sub(1)
    }

    /// The stretch of the plain key, and the words, that a phrase has if it really begins at this letter.
    fn way_back(&self, phrase: &str, begin: usize) -> Option<(Stretch, Range<u32>)> {
        let length = phrase.chars().count();
        let (first, last) = (self.word_at(begin)?, self.word_at(begin + length - 1)?);
        let skipped = begin - self.words.get(first)?.begin as usize;
        let mut letters = Vec::with_capacity(skipped + length + 1);
        // The letter after the last one says where that ends, and may be of the next word.
        for word in self.words.get(first..)?.iter().take(last + 2 - first) {
            each_letter(self.text, *word, self.kept, |letter, at| {
                letters.push((letter, at));
            });
        }
        let (phrase_letters, after) = letters.get(skipped..)?.split_at_checked(length)?;
        let (start, end) = (phrase_letters.first()?.1, after.first()?.1);
        // After letters read together the next one begins beyond what parts them.
        let end = end.min(self.words.get(last)?.plain.1);
        let same = phrase_letters
            .iter()
            .map(|letter| letter.0)
            .eq(phrase.chars());
        same.then_some(((start, end), first as u32..last as u32 + 1))
    }
}

/// Calls `each` with the letters of a word, and a space if the next word is another, and where they
/// begin in the plain key.
#[inline]
fn each_letter(
    text: &Normalised,
    word: HayWord,
    kept: Option<usize>,
    mut each: impl FnMut(char, u32),
) {
    let letters = text.plain().slice(word.plain);
    match kept {
        None => letters
            .char_indices()
            .for_each(|(at, letter)| each(letter, word.plain.0 + at as u32)),
        Some(kept) => each_shortened(letters, word.plain.0, kept, &mut each),
    }
    if !word.joined {
        each(' ', word.plain.1);
    }
}

/// The same of a word's letters with its elongations shortened to so many.
fn each_shortened(word: &str, plain: u32, kept: usize, each: &mut impl FnMut(char, u32)) {
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let run = rest.chars().take_while(|next| *next == c).count();
        let at = plain + (word.len() - rest.len()) as u32;
        let is_elongated = run >= ELONGATED && stretches(c);
        (0..if is_elongated { kept } else { run }).for_each(|_| each(c, at));
        rest = rest.get(run * c.len_utf8()..).unwrap_or_default();
    }
}

fn find_in(search: &mut Search<'_, '_>, hay: &Hay<'_>) {
    let index = search.index;
    index.substrings.find(&hay.letters, |member, begin| {
        // What only has the same hashes is passed over.
        let _ = hit_in(search, hay, member, begin);
    });
}

/// Adds a hit, if the phrase really begins at this letter.
fn hit_in(search: &mut Search<'_, '_>, hay: &Hay<'_>, member: u32, begin: usize) -> Option<()> {
    let (_, phrase) = search.wanted(member)?;
    let (plain, words) = hay.way_back(&phrase.folded, begin)?;
    let text = search.text.plain();
    let original = text.original_span(plain.0 as usize, plain.1 as usize);
    hit(search, member, &original, words);
    Some(())
}

fn hit(search: &mut Search<'_, '_>, member: u32, original: &Range<usize>, words: Range<u32>) {
    let Some((key, member)) = search.wanted(member) else {
        return;
    };
    let words = words.filter_map(|at| search.word(at));
    let level = if is_strict(search, member, words) {
        Level::Strict
    } else {
        Level::Folded
    };
    if level <= member.level() {
        let evasions = search.text.evasions_in(original, level == Level::Strict);
        add(search, key, member, level, original.clone(), evasions);
    }
}

fn add(
    search: &mut Search<'_, '_>,
    key: u64,
    member: &Member,
    level: Level,
    original: Range<usize>,
    evasions: Evasions,
) {
    let read = (level > Level::Strict).then(|| member.folded.to_string());
    let hit = PhraseHit {
        key,
        level,
        original,
        evasions,
        read,
    };
    search.add(member, hit);
}

/// Whether the phrase is in the strict forms of the words where it was found.
fn is_strict<'t>(
    search: &Search<'_, 't>,
    member: &Member,
    words: impl Iterator<Item = &'t Word>,
) -> bool {
    let strict: Vec<&str> = words
        .map(|word| search.text.strict.slice(word.strict))
        .collect();
    strict.join(" ").contains(member.strict())
}
