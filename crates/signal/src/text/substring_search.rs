//! Looks for phrases inside words: in the words of the text with one space between, as the
//! automaton has the phrases.

use super::index::{Member, PhraseHit};
use super::key::Evasions;
use super::search::Search;
use super::term::Level;
use super::words::{ELONGATED, Stretch, Word, stretches};
use std::ops::Range;

/// The words of a text with one space between, and the way back to the plain key.
#[derive(Default)]
struct Hay {
    text: String,
    /// Begin of each word in it, begin in the plain key, and index of the word.
    words: Vec<(u32, u32, u32)>,
    /// Offset in the plain key of each byte, where elongations were shortened.
    bytes: Vec<u32>,
}

/// Adds the hits of phrases that may stand inside words.
pub(super) fn find(search: &mut Search<'_, '_>) {
    let hay = Hay::new(search, None);
    find_in(search, &hay);
    if search.text.evasions.elongation > 0 {
        // `bannnner` may be short for one letter or for two.
        for kept in [1, 2] {
            let hay = Hay::new(search, Some(kept));
            find_in(search, &hay);
        }
    }
    find_in_spaced(search);
}

impl Hay {
    fn new(search: &Search<'_, '_>, kept: Option<usize>) -> Self {
        let mut hay = Self::default();
        let plain = search.text.plain();
        hay.text.reserve(plain.text().len());
        for (number, word) in (0..).zip(search.text.words()) {
            hay.words
                .push((hay.text.len() as u32, word.plain.0, number));
            match kept {
                None => hay.text.push_str(plain.slice(word.plain)),
                Some(kept) => hay.push_shortened(plain.slice(word.plain), word.plain.0, kept),
            }
            hay.text.push(' ');
            if kept.is_some() {
                hay.bytes.push(word.plain.1);
            }
        }
        hay
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
            for _ in 0..shortened {
                self.text.push(c);
            }
            let bytes = shortened * c.len_utf8();
            self.bytes.extend(std::iter::repeat_n(at, bytes));
            rest = rest.get(run * c.len_utf8()..).unwrap_or_default();
        }
    }

    /// The stretch of the plain key, and the words, that a stretch of it stands for.
    fn way_back(&self, hit: &Range<usize>) -> Option<(Stretch, Range<u32>)> {
        let (start, end) = (hit.start as u32, hit.end as u32);
        let word_at = |at: u32| {
            let after = self.words.partition_point(|(begin, ..)| *begin <= at);
            self.words.get(after.checked_sub(1)?)
        };
        let (first, last) = (word_at(start)?, word_at(end.checked_sub(1)?)?);
        let plain = if self.bytes.is_empty() {
            (start - first.0 + first.1, end - last.0 + last.1)
        } else {
            (*self.bytes.get(hit.start)?, *self.bytes.get(hit.end)?)
        };
        Some((plain, first.2..last.2 + 1))
    }
}

fn find_in(search: &mut Search<'_, '_>, hay: &Hay) {
    let index = search.index;
    index.substrings.find(&hay.text, |members, range| {
        let Some((plain, words)) = hay.way_back(&range) else {
            return;
        };
        let original = search
            .text
            .plain()
            .original_span(plain.0 as usize, plain.1 as usize);
        for &member in members {
            hit(search, member, &original, words.clone());
        }
    });
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

/// Looks into letters set apart, read together.
fn find_in_spaced(search: &mut Search<'_, '_>) {
    let (index, text) = (search.index, search.text);
    for group in text.spaced() {
        let letters = text.buffered(group.text);
        index.substrings.find(letters, |members, range| {
            let before = |at: usize| {
                letters
                    .get(..at)
                    .map_or(0, |text| text.chars().count() as u32)
            };
            let first = search.word(group.from + before(range.start));
            let last = search.word((group.from + before(range.end)).saturating_sub(1));
            let (Some(first), Some(last)) = (first, last) else {
                return;
            };
            let original = first.original.0 as usize..last.original.1 as usize;
            for &member in members {
                if let Some((key, member)) = search.wanted(member)
                    && member.level() >= Level::Folded
                {
                    let evasions = search.text.evasions_in(&original, false);
                    add(
                        search,
                        key,
                        member,
                        Level::Folded,
                        original.clone(),
                        evasions,
                    );
                }
            }
        });
    }
}
