//! The phrases that other phrases need, or must not have, nearby.

use super::index::PhraseIndex;
use super::normalise::Normalised;
use super::phrase::Phrase;
use super::search::Search;
use std::collections::HashMap;
use std::ops::Range;

/// Phrases of conditions, each once however many terms name it.
#[derive(Default)]
pub(super) struct Context {
    index: Option<Box<PhraseIndex>>,
    /// Number and count of uses, by what was typed.
    numbers: HashMap<Box<str>, (u32, u32)>,
    /// What was typed, by number.
    phrases: Vec<Box<str>>,
    free: Vec<u32>,
}

impl Context {
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Adds phrases; gives their numbers.
    pub(super) fn insert(&mut self, phrases: &[Phrase]) -> Vec<u32> {
        phrases.iter().map(|phrase| self.add(phrase)).collect()
    }

    fn add(&mut self, phrase: &Phrase) -> u32 {
        if let Some((number, uses)) = self.numbers.get_mut(phrase.original()) {
            *uses += 1;
            return *number;
        }
        let typed: Box<str> = phrase.original().into();
        let number = self.free.pop().unwrap_or(self.phrases.len() as u32);
        match self.phrases.get_mut(number as usize) {
            Some(old) => old.clone_from(&typed),
            None => self.phrases.push(typed.clone()),
        }
        self.numbers.insert(typed, (number, 1));
        let index = self.index.get_or_insert_default();
        index.insert(u64::from(number), phrase);
        number
    }

    pub(super) fn remove(&mut self, numbers: &[u32]) {
        for &number in numbers {
            let Some(typed) = self.phrases.get(number as usize) else {
                continue;
            };
            let Some((_, uses)) = self.numbers.get_mut(typed) else {
                continue;
            };
            *uses -= 1;
            if *uses == 0 {
                self.numbers.remove(typed);
                self.free.push(number);
                if let Some(index) = &mut self.index {
                    index.remove(u64::from(number));
                }
            }
        }
    }

    /// Where its phrases stand in a text.
    pub(super) fn places(&self, text: &Normalised) -> Places {
        let mut places = Places::default();
        if let Some(index) = &self.index {
            // Every occurrence: of a thousand, the one that counts may be the last.
            for hit in Search::unlimited(index, text).hits() {
                let words = words_of(text, &hit.original);
                let of_phrase = places.0.entry(hit.key as u32).or_default();
                of_phrase.longest = of_phrase.longest.max(words.end - words.start);
                of_phrase.words.push(words);
            }
        }
        places
    }
}

/// The words that a stretch of the original touches.
pub(super) fn words_of(text: &Normalised, original: &Range<usize>) -> Range<usize> {
    let words = text.words();
    let from = words.partition_point(|word| word.original.1 as usize <= original.start);
    let to = words.partition_point(|word| (word.original.0 as usize) < original.end);
    from..to.max(from)
}

/// Where phrases of the context stand in one text, by number.
#[derive(Default)]
pub(super) struct Places(HashMap<u32, PlacesOfOne>);

#[derive(Default)]
struct PlacesOfOne {
    /// By first word.
    words: Vec<Range<usize>>,
    /// Most words of one of them.
    longest: usize,
}

impl Places {
    /// Whether a phrase stands within so many words of a place.
    pub(super) fn is_near(&self, phrase: u32, place: &Range<usize>, within: usize) -> bool {
        let Some(places) = self.0.get(&phrase) else {
            return false;
        };
        let from = place.start.saturating_sub(within + places.longest);
        let first = places.words.partition_point(|words| words.start < from);
        let rest = places.words.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(|words| words.start <= place.end + within)
            .any(|words| words.end + within >= place.start)
    }
}
