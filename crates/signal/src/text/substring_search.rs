//! Looks for phrases inside words: in the words of the text with one space between, as the
//! automaton has the phrases.

use super::index::{Member, PhraseHit};
use super::key::Evasions;
use super::normalise::Normalised;
use super::search::Search;
use super::term::Level;
use super::words::{ELONGATED, Spaced, Stretch, Word, stretches};
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
        let mut hay = Self::default();
        let plain = text.plain();
        hay.text.reserve(plain.text().len());
        let mut groups = joined.iter().peekable();
        let mut last_joined = 0;
        for (number, word) in (0..).zip(text.words()) {
            hay.words
                .push((hay.text.len() as u32, word.plain.0, number));
            match kept {
                None => hay.text.push_str(plain.slice(word.plain)),
                Some(kept) => hay.push_shortened(plain.slice(word.plain), word.plain.0, kept),
            }
            if let Some(group) = groups.next_if(|group| group.from == number) {
                let letters = text.buffered(group.text).chars().count();
                last_joined = number + letters.saturating_sub(1) as u32;
            }
            if number < last_joined {
                continue;
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
        // After letters read together the next one begins beyond what parts them.
        let last = search.word(words.end.saturating_sub(1));
        let end = last.map_or(plain.1, |word| plain.1.min(word.plain.1));
        let original = search
            .text
            .plain()
            .original_span(plain.0 as usize, end as usize);
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
