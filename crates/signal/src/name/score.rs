//! How much one name looks like a return of another, and why.
//!
//! Names are compared along four routes: the same letters, the same stem letter by letter, the same
//! sounds, one letter's difference. The best score counts. Each reason costs what
//! [`Reason::cost`] says: the dearest of a comparison in full, every further one
//! [`FURTHER`] points, so that more reasons never score higher.

use super::keys::NameKeys;
use super::stem::{Letter, STRETCHED, Stem, WEIGHT_MIN, WEIGHT_TELLING, weight};
use super::translit::{Spoken, Writing};
use super::words::WordKind;
use std::fmt;

/// Score from which two names match unless a bank says otherwise.
pub const SCORE_DEFAULT: u8 = 80;
/// What a second or further reason takes off a score.
pub const FURTHER: u8 = 3;
/// Letters a stem has to have for a name with one letter's difference to be compared to it.
pub(super) const ONE_LETTER: std::ops::RangeInclusive<usize> = 8..=32;
/// The best score of names that differ by a letter.
pub(super) const ONE_LETTER_SCORE: u8 = 78;

/// Why two names are alike, or what keeps them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The same name, character by character.
    Identical,
    /// The same letters: case, separators, accents, invisible characters or emphasis differ.
    SameLetters,
    /// Letters of another script, or a capital `I` for an `l`: what is written, and what it looks like.
    LookAlike(Vec<(char, char)>),
    /// Digits or symbols for letters: what is written, and what it stands for.
    DigitsForLetters(Vec<(char, char)>),
    /// A letter doubled in one of them.
    Doubled(char),
    /// The same parts, put another way: the counter elsewhere, for one.
    Rearranged,
    /// Different counters, or a counter in one of them only.
    Counter(Option<Box<str>>, Option<Box<str>>),
    /// A word of the [table](super::ADDED_WORDS) in one of them.
    Added(WordKind, Box<str>),
    /// The same sounds in Arabic and in Latin letters: the Latin name, and the Arabic one.
    Transliterated(Box<str>, Box<str>),
    /// One letter more or less.
    LetterMissing(char),
    /// Two neighbouring letters swapped.
    LettersSwapped(char, char),
    /// One vowel for another.
    VowelReplaced(char, char),
    /// One letter for another, a vowel for a vowel apart.
    LetterReplaced(char, char),
    /// What is left without counters and added words is under eight letters: many names share it.
    LittleLeft(Box<str>),
}

impl Reason {
    /// What it costs when no other reason of the comparison costs more, in points.
    pub const fn cost(&self) -> u8 {
        match self {
            Self::Identical => 0,
            Self::SameLetters => 3,
            Self::LookAlike(_) => 5,
            Self::Rearranged => 6,
            Self::DigitsForLetters(_) => 7,
            Self::Counter(..) | Self::Added(..) => 12,
            Self::Doubled(_) => 14,
            Self::Transliterated(..) => 16,
            Self::LetterMissing(_) | Self::LettersSwapped(..) | Self::VowelReplaced(..) => 22,
            Self::LetterReplaced(..) => 30,
            Self::LittleLeft(_) => 32,
        }
    }
}

/// As a reviewer reads it.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical => f.write_str("the same name"),
            Self::SameLetters => f.write_str("same letters"),
            Self::LookAlike(pairs) => write!(f, "look-alike letters ({})", Pairs(pairs)),
            Self::DigitsForLetters(pairs) => write!(f, "digits for letters ({})", Pairs(pairs)),
            Self::Doubled(c) => write!(f, "letter doubled ({c})"),
            Self::Rearranged => f.write_str("the same parts, put another way"),
            Self::Counter(a, b) => {
                let shown = |counter: &Option<Box<str>>| match counter {
                    Some(counter) => counter.clone(),
                    None => "none".into(),
                };
                write!(f, "counter differs ({}, {})", shown(a), shown(b))
            }
            Self::Added(kind, word) if word.is_ascii() => write!(f, "{kind} ({word})"),
            Self::Added(kind, word) => write!(f, "{kind} («{word}»)"),
            Self::Transliterated(latin, arabic) => {
                write!(f, "transliterated ({latin} ~ {arabic})")
            }
            Self::LetterMissing(c) => write!(f, "one letter differs ({c} in one of them only)"),
            Self::LettersSwapped(a, b) => write!(f, "two letters swapped ({a}{b}, {b}{a})"),
            Self::VowelReplaced(a, b) => write!(f, "one vowel differs ({a}, {b})"),
            Self::LetterReplaced(a, b) => write!(f, "one letter differs ({a}, {b})"),
            Self::LittleLeft(stem) => write!(f, "little is left to compare ({stem})"),
        }
    }
}

struct Pairs<'p>(&'p [(char, char)]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (written, stands_for)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{written} for {stands_for}")?;
        }
        Ok(())
    }
}

/// How alike two names are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// 0 to 100.
    pub score: u8,
    /// Why not 100, or that it is.
    pub reasons: Vec<Reason>,
}

impl Comparison {
    /// The score as a distance: 100 less the score.
    pub const fn distance(&self) -> u8 {
        100_u8.saturating_sub(self.score)
    }

    fn new(reasons: Vec<Reason>) -> Self {
        let dearest = reasons.iter().map(Reason::cost).max().unwrap_or(0);
        let further = (reasons.len().saturating_sub(1)).min(20) as u8 * FURTHER;
        Self {
            score: 100_u8.saturating_sub(dearest).saturating_sub(further),
            reasons,
        }
    }
}

/// The reasons as a sentence.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.score)?;
        for (at, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// Compares two names by their keys; none when nothing speaks for a relation.
pub(super) fn compare_keys(a: &NameKeys, b: &NameKeys) -> Option<Comparison> {
    if a.text() == b.text() {
        return Some(Comparison::new(vec![Reason::Identical]));
    }
    if a.folded() == b.folded() {
        let imitated = look_alikes(a.written(), b.written());
        return Some(Comparison::new(vec![
            imitated.unwrap_or(Reason::SameLetters),
        ]));
    }
    let mut best: Option<Comparison> = None;
    let mut consider = |reasons: Option<Vec<Reason>>| {
        let Some(found) = reasons.map(Comparison::new) else {
            return;
        };
        if best.as_ref().is_none_or(|best| found.score > best.score) {
            best = Some(found);
        }
    };
    for (stem_a, spoken_a) in a.stems() {
        for (stem_b, spoken_b) in b.stems() {
            consider(same_stem(stem_a, stem_b));
            if let (Some(spoken_a), Some(spoken_b)) = (spoken_a, spoken_b) {
                consider(same_sounds((stem_a, spoken_a), (stem_b, spoken_b)));
            }
            consider(one_letter(stem_a, stem_b));
        }
    }
    best
}

/// Letters of other scripts in the place of those they look like.
fn look_alikes(a: &str, b: &str) -> Option<Reason> {
    let mut pairs = Vec::new();
    for (a, b) in a.chars().zip(b.chars()).filter(|(a, b)| a != b) {
        let pair = if a.is_ascii() { (b, a) } else { (a, b) };
        if pairs.len() < PAIRS_MAX && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    (!pairs.is_empty()).then_some(Reason::LookAlike(pairs))
}

/// The route of equal stems.
fn same_stem(a: &Stem, b: &Stem) -> Option<Vec<Reason>> {
    if a.key != b.key || weight(&a.letters) < WEIGHT_MIN {
        return None;
    }
    let same = a.letters.iter().zip(&b.letters).all(|(a, b)| a.same(b));
    if !same {
        return None;
    }
    let mut reasons = Vec::new();
    letters_differ(&a.letters, &b.letters, &mut reasons);
    parts_differ(a, b, &mut reasons);
    if reasons.is_empty() {
        let parts = !a.counters.is_empty() || !a.added.is_empty();
        reasons.push(if parts {
            Reason::Rearranged
        } else {
            Reason::SameLetters
        });
    }
    Some(reasons)
}

/// The route of equal sounds.
fn same_sounds(
    (stem_a, a): (&Stem, &Spoken),
    (stem_b, b): (&Stem, &Spoken),
) -> Option<Vec<Reason>> {
    let ((arabic, arabic_stem), (latin, latin_stem)) = match (a.writing, b.writing) {
        (Writing::Arabic, Writing::Latin) => ((a, stem_a), (b, stem_b)),
        (Writing::Latin, Writing::Arabic) => ((b, stem_b), (a, stem_a)),
        _ => return None,
    };
    let mut pairs = arabic
        .readings
        .iter()
        .flat_map(|a| latin.readings.iter().map(move |l| (a, l)));
    if !pairs.any(|(arabic, latin)| arabic.said_as(latin)) {
        return None;
    }
    let shown = |stem: &Stem, arabic: bool| -> Box<str> {
        let words = stem.words.iter().map(|word| {
            word.iter()
                .map(|g| if arabic { g.typed } else { g.folded })
                .collect::<String>()
        });
        words.collect::<Vec<_>>().join(" ").into()
    };
    let names = (shown(latin_stem, false), shown(arabic_stem, true));
    let mut reasons = vec![Reason::Transliterated(names.0, names.1)];
    parts_differ(stem_a, stem_b, &mut reasons);
    reasons.retain(|reason| !matches!(reason, Reason::LittleLeft(_)));
    Some(reasons)
}

/// The route of one letter's difference.
fn one_letter(a: &Stem, b: &Stem) -> Option<Vec<Reason>> {
    let long = |stem: &Stem| ONE_LETTER.contains(&stem.letters.len());
    if !long(a) || !long(b) || a.letters.len().abs_diff(b.letters.len()) > 1 {
        return None;
    }
    let before = a
        .letters
        .iter()
        .zip(&b.letters)
        .take_while(|(a, b)| a.same(b))
        .count();
    let (mut rest_a, mut rest_b) = (a.letters.get(before..)?, b.letters.get(before..)?);
    let mut after = 0;
    while let ([left_a @ .., last_a], [left_b @ .., last_b]) = (rest_a, rest_b) {
        if !last_a.same(last_b) {
            break;
        }
        (rest_a, rest_b, after) = (left_a, left_b, after + 1);
    }
    let reason = match (rest_a, rest_b) {
        ([one], []) | ([], [one]) => Reason::LetterMissing(one.written),
        ([one], [other]) if is_vowel(one.read) && is_vowel(other.read) => {
            Reason::VowelReplaced(one.written, other.written)
        }
        ([one], [other]) => Reason::LetterReplaced(one.written, other.written),
        ([x, y], [first, second]) if x.same(second) && y.same(first) => {
            Reason::LettersSwapped(x.written, y.written)
        }
        _ => return None,
    };
    let mut reasons = vec![reason];
    let head = |stem: &'_ Stem| {
        stem.letters
            .iter()
            .take(before)
            .copied()
            .collect::<Vec<_>>()
    };
    let tail = |stem: &'_ Stem| {
        let from = stem.letters.len() - after;
        stem.letters.iter().skip(from).copied().collect::<Vec<_>>()
    };
    let letters = |stem: &Stem| [head(stem), tail(stem)].concat();
    letters_differ(&letters(a), &letters(b), &mut reasons);
    parts_differ(a, b, &mut reasons);
    Some(reasons)
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | '|')
}

/// Most pairs of letters that a reason names.
const PAIRS_MAX: usize = 4;

/// What was written for letters that are the same when read.
pub(super) fn letters_differ(a: &[Letter], b: &[Letter], reasons: &mut Vec<Reason>) {
    let (mut looks, mut digits, mut doubled) = (Vec::new(), Vec::new(), None);
    for (a, b) in a.iter().zip(b) {
        let stretched = a.count == STRETCHED || b.count == STRETCHED;
        if a.count != b.count && !stretched && doubled.is_none() {
            doubled = Some(a.read);
        }
        // A capital `I` between small letters may be just that.
        if a.written == b.written || a.written.eq_ignore_ascii_case(&b.written) {
            continue;
        }
        let (disguise, letter) = if is_disguise(b) && !is_disguise(a) {
            (b, a)
        } else {
            (a, b)
        };
        let pair = (disguise.written, letter.written);
        let is_letter = |c: char| c.is_alphabetic();
        let pairs = if is_letter(a.written) && is_letter(b.written) {
            &mut looks
        } else {
            &mut digits
        };
        if pairs.len() < PAIRS_MAX && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    if !looks.is_empty() {
        reasons.push(Reason::LookAlike(looks));
    }
    if !digits.is_empty() {
        reasons.push(Reason::DigitsForLetters(digits));
    }
    if let Some(c) = doubled {
        reasons.push(Reason::Doubled(c));
    }
}

/// Whether a letter is not written as itself.
fn is_disguise(letter: &Letter) -> bool {
    !letter.written.is_alphabetic() || !letter.written.is_ascii() || letter.written == 'I'
}

/// Counters and added words that only one of the names has.
fn parts_differ(a: &Stem, b: &Stem, reasons: &mut Vec<Reason>) {
    let before = reasons.len();
    if a.counters != b.counters {
        let shown =
            |stem: &Stem| (!stem.counters.is_empty()).then(|| stem.counters.join(" ").into());
        reasons.push(Reason::Counter(shown(a), shown(b)));
    }
    let only = |of: &Stem, other: &Stem| -> Vec<_> {
        let words = of.added.iter().filter(|added| !other.added.contains(added));
        words.cloned().collect()
    };
    let mut added = [only(a, b), only(b, a)].concat();
    added.sort();
    added.dedup();
    let added = added
        .into_iter()
        .map(|added| Reason::Added(added.kind, added.word));
    reasons.extend(added.take(ADDED_MAX));
    let weight = weight(&a.letters).min(weight(&b.letters));
    if reasons.len() > before && weight < WEIGHT_TELLING {
        let words = a
            .words
            .iter()
            .map(|word| word.iter().map(|g| g.folded).collect::<String>());
        let stem = words.collect::<Vec<_>>().join(" ");
        reasons.push(Reason::LittleLeft(stem.into()));
    }
}

/// Most added words that are named, and counted against a score.
const ADDED_MAX: usize = 3;
