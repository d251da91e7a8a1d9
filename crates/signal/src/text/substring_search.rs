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

/// The words of a text with one space between, letter by letter, and the way back to the plain key.
#[derive(Default)]
struct Hay {
    /// Each letter, and where it begins in the plain key.
    letters: Vec<(char, u32)>,
    /// The letter where each word begins, and the index of the word.
    words: Vec<(u32, u32)>,
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

impl Hay {
    fn new(text: &Normalised, joined: &[Spaced], kept: Option<usize>) -> Self {
        let plain = text.plain();
        let mut hay = Self {
            letters: Vec::with_capacity(plain.text().len()),
            words: Vec::with_capacity(text.words().len()),
        };
        let mut groups = joined.iter().peekable();
        let mut last_joined = 0;
        for (number, word) in (0..).zip(text.words()) {
            hay.words.push((hay.letters.len() as u32, number));
            match kept {
                None => hay.push_letters(plain.slice(word.plain), word.plain.0),
                Some(kept) => hay.push_shortened(plain.slice(word.plain), word.plain.0, kept),
            }
            if let Some(group) = groups.next_if(|group| group.from == number) {
                let letters = text.buffered(group.text).chars().count();
                last_joined = number + letters.saturating_sub(1) as u32;
            }
            if number >= last_joined {
                hay.letters.push((' ', word.plain.1));
            }
        }
        hay
    }

    fn push_letters(&mut self, word: &str, plain: u32) {
        let letters = word.char_indices();
        self.letters
            .extend(letters.map(|(at, c)| (c, plain + at as u32)));
    }

    /// Appends a word with its elongations shortened to so many letters.
    fn push_shortened(&mut self, word: &str, plain: u32, kept: usize) {
        let mut rest = word;
        while let Some(c) = rest.chars().next() {
            let run = rest.chars().take_while(|next| *next == c).count();
            let at = plain + (word.len() - rest.len()) as u32;
            let shortened = if run >= ELONGATED && stretches(c) {
                kept
            } else {
                run
            };
            self.letters.extend(std::iter::repeat_n((c, at), shortened));
            rest = rest.get(run * c.len_utf8()..).unwrap_or_default();
        }
    }

    /// The letter after the phrase, if it is here.
    fn end_of(&self, phrase: &str, begin: usize) -> Option<usize> {
        let mut at = begin;
        for c in phrase.chars() {
            if self.letters.get(at)?.0 != c {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    /// The stretch of the plain key, and the words, that a stretch of letters stands for.
    fn way_back(&self, hit: &Range<usize>) -> Option<(Stretch, Range<u32>)> {
        let word_at = |at: usize| {
            let after = self
                .words
                .partition_point(|(begin, _)| *begin as usize <= at);
            self.words.get(after.checked_sub(1)?)
        };
        let (first, last) = (word_at(hit.start)?, word_at(hit.end.checked_sub(1)?)?);
        let plain = (self.letters.get(hit.start)?.1, self.letters.get(hit.end)?.1);
        Some((plain, first.1..last.1 + 1))
    }
}

fn find_in(search: &mut Search<'_, '_>, hay: &Hay) {
    let index = search.index;
    let letters = Letters::of(hay.letters.iter().map(|letter| letter.0));
    index.substrings.find(&letters, |member, begin| {
        hit_in(search, hay, member, begin);
    });
}

/// Adds a hit, if the phrase really begins at this letter.
fn hit_in(search: &mut Search<'_, '_>, hay: &Hay, member: u32, begin: usize) -> Option<()> {
    let (_, phrase) = search.wanted(member)?;
    let end = hay.end_of(&phrase.folded, begin)?;
    let (plain, words) = hay.way_back(&(begin..end))?;
    // After letters read together the next one begins beyond what parts them.
    let last = search.word(words.end.saturating_sub(1));
    let end = last.map_or(plain.1, |word| plain.1.min(word.plain.1));
    let text = search.text.plain();
    let original = text.original_span(plain.0 as usize, end as usize);
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
