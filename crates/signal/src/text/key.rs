//! A normalised text with its way back to the original, and the counts of what was undone.

use std::fmt;
use std::ops::Range;

/// A normalised text that knows which original bytes each part came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    text: String,
    /// Sorted by `key`; the first begins at 0.
    runs: Vec<Run>,
}

/// A stretch of the key and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    key: u32,
    start: u32,
    /// Byte for byte from `start` when absent; else all of the run stands for `start..end`.
    end: Option<u32>,
}

impl Key {
    /// The normalised text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The original bytes that `start..end` of the key stand for. Offsets past the end count as the
    /// end; what was removed between the two is part of the span, what was removed around it is not.
    pub fn original_span(&self, start: usize, end: usize) -> Range<usize> {
        let (start, end) = (start.min(self.text.len()), end.min(self.text.len()));
        let begin = self.run_at(start).map_or(0, |run| match run.end {
            None => run.start as usize + (start - run.key as usize),
            Some(_) => run.start as usize,
        });
        if end <= start {
            return begin..begin;
        }
        let last = self.run_at(end - 1);
        let finish = last.map_or(begin, |run| match run.end {
            None => run.start as usize + (end - run.key as usize),
            Some(end) => end as usize,
        });
        begin..finish.max(begin)
    }

    fn run_at(&self, at: usize) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.key as usize <= at);
        self.runs.get(after.checked_sub(1)?)
    }

    pub(super) fn len(&self) -> u32 {
        self.text.len() as u32
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    pub(super) fn slice(&self, (start, end): (u32, u32)) -> &str {
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Appends a character that stands for `start..end` of the original.
    pub(super) fn push(&mut self, c: char, start: u32, end: u32) {
        let whole = end - start != c.len_utf8() as u32;
        self.note(start, whole.then_some(end));
        self.text.push(c);
    }

    /// Appends ASCII in lower case; the original bytes begin at `start` and are as many.
    pub(super) fn push_ascii(&mut self, ascii: &str, start: u32) {
        self.note(start, None);
        let from = self.text.len();
        self.text.push_str(ascii);
        if let Some(new) = self.text.get_mut(from..) {
            new.make_ascii_lowercase();
        }
    }

    /// Appends text of which each byte stands for one of the original, from `start` on.
    pub(super) fn push_same_length(&mut self, text: &str, start: u32) {
        self.note(start, None);
        self.text.push_str(text);
    }

    /// Puts ASCII from `from` on in lower case.
    pub(super) fn lower_ascii(&mut self, from: u32) {
        if let Some(new) = self.text.get_mut(from as usize..) {
            new.make_ascii_lowercase();
        }
    }

    fn note(&mut self, start: u32, end: Option<u32>) {
        let key = self.len();
        let goes_on = self.runs.last().is_some_and(|last| match (last.end, end) {
            (None, None) => last.start + (key - last.key) == start,
            (Some(_), Some(_)) => (last.start, last.end) == (start, end),
            _ => false,
        });
        if !goes_on {
            self.runs.push(Run { key, start, end });
        }
    }
}

/// What somebody did to a text, knowingly or not, that normalisation undid.
///
/// Each count is of places in the original. A few are ordinary: vowel signs in careful Arabic,
/// joiners in Persian, accents in French. Many in one short text are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Evasions {
    /// Invisible characters, direction marks apart.
    pub zero_width: u32,
    /// Invisible marks of writing direction.
    pub bidi: u32,
    /// Tatweel (kashida), which stretches an Arabic word.
    pub tatweel: u32,
    /// Vowel signs and accents removed for the folded key.
    pub diacritics: u32,
    /// Arabic letters in a presentation form, which keyboards do not type.
    pub presentation_forms: u32,
    /// Full-width, mathematical, circled and small-capital letters.
    pub styled_letters: u32,
    /// Letters of another script in the place of those they look like.
    pub look_alikes: u32,
    /// Places where single letters were set apart, or words run together.
    pub spacing: u32,
    /// Letters repeated three times or more.
    pub elongation: u32,
    /// Digits and symbols in the place of Latin letters (`gr3y`). Counted in hits only, since what a
    /// digit stands for shows only beside the word that is looked for.
    pub leet: u32,
    /// Arabic words written in Latin letters and digits. Counted in hits only.
    pub arabizi: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evasion {
    ZeroWidth,
    Bidi,
    Tatweel,
    Diacritic,
    PresentationForm,
    StyledLetter,
    LookAlike,
    Spacing,
    Elongation,
}

impl Evasion {
    /// Whether the strict key undoes it already.
    pub(super) fn is_undone_in_strict(self) -> bool {
        use Evasion::{Bidi, PresentationForm, StyledLetter, Tatweel, ZeroWidth};
        matches!(
            self,
            ZeroWidth | Bidi | Tatweel | PresentationForm | StyledLetter
        )
    }
}

impl Evasions {
    /// The counts by name, in the order of declaration.
    pub fn counts(&self) -> [(&'static str, u32); 11] {
        [
            ("zero_width", self.zero_width),
            ("bidi", self.bidi),
            ("tatweel", self.tatweel),
            ("diacritics", self.diacritics),
            ("presentation_forms", self.presentation_forms),
            ("styled_letters", self.styled_letters),
            ("look_alikes", self.look_alikes),
            ("spacing", self.spacing),
            ("elongation", self.elongation),
            ("leet", self.leet),
            ("arabizi", self.arabizi),
        ]
    }

    /// Sum of all counts.
    pub fn total(&self) -> u32 {
        self.counts()
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    pub(super) fn count(&mut self, evasion: Evasion) {
        let count = match evasion {
            Evasion::ZeroWidth => &mut self.zero_width,
            Evasion::Bidi => &mut self.bidi,
            Evasion::Tatweel => &mut self.tatweel,
            Evasion::Diacritic => &mut self.diacritics,
            Evasion::PresentationForm => &mut self.presentation_forms,
            Evasion::StyledLetter => &mut self.styled_letters,
            Evasion::LookAlike => &mut self.look_alikes,
            Evasion::Spacing => &mut self.spacing,
            Evasion::Elongation => &mut self.elongation,
        };
        *count = count.saturating_add(1);
    }
}

/// As a reviewer reads it: `tatweel 3, spacing 2`, or `none`.
impl fmt::Display for Evasions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (name, count) in self.counts().into_iter().filter(|(_, count)| *count > 0) {
            let comma = if std::mem::take(&mut first) { "" } else { ", " };
            write!(f, "{comma}{} {count}", name.replace('_', " "))?;
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back() {
        let mut key = Key::default();
        key.push_ascii("Ab", 0);
        key.push('ا', 5, 7); // Three bytes were removed before it.
        for c in ['ل', 'ل', 'ه'] {
            key.push(c, 7, 10);
        }
        assert_eq!(key.text(), "abالله");
        assert_eq!(key.original_span(0, 2), 0..2);
        assert_eq!(key.original_span(1, 4), 1..7);
        assert_eq!(key.original_span(4, 6), 7..10);
        assert_eq!(key.original_span(0, 99), 0..10);
        assert_eq!(key.original_span(2, 2), 5..5);
        assert_eq!(Key::default().original_span(3, 4), 0..0);
    }

    #[test]
    fn evasions_read_as_a_sentence() {
        let mut evasions = Evasions::default();
        assert_eq!(evasions.to_string(), "none");
        evasions.count(Evasion::Spacing);
        evasions.count(Evasion::Spacing);
        evasions.count(Evasion::ZeroWidth);
        assert_eq!(evasions.to_string(), "zero width 1, spacing 2");
        assert_eq!(evasions.total(), 3);
    }
}
