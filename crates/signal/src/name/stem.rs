//! What is left of a name without its counters and added words, letter by letter.
//!
//! Digits stand for three things: a counter (`banner17`), a letter of the shape (`b4nn3r`), or a
//! sound of Arabic written in Latin letters (`3abd`). Inside a word they are letters; at its ends,
//! or alone, a counter. A single digit at the end of a word may be either, so such a name has
//! a second stem in which it is a letter.

use super::fold::{Folded, Glyph, Word, is_letter, latin_of};
use super::words::{WordKind, added_word, glued, is_mark, roman};

/// A letter of a stem: what it is read as, and what was written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Letter {
    /// The letter; [`UPRIGHT`] where it may be `i` or `l`.
    pub(super) read: char,
    pub(super) written: char,
    /// How often it stands there in a row, 1 or 2; [`STRETCHED`] is emphasis.
    pub(super) count: u8,
}

/// Counted for a letter written three times or more, which stands for any number of it.
pub(super) const STRETCHED: u8 = 3;

/// Read for a stroke that may be `i` or `l`: the digit 1, a capital `I` inside a word, `!`.
pub(super) const UPRIGHT: char = '|';

impl Letter {
    /// In the key, where `i` and `l` are one.
    pub(super) fn key(&self) -> char {
        match self.read {
            'i' | UPRIGHT => 'l',
            read => read,
        }
    }

    /// Whether two letters of the same key may be the same letter.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.read == other.read
            || self.key() == other.key() && (self.read == UPRIGHT || other.read == UPRIGHT)
    }
}

/// A word that was taken off a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Added {
    pub(super) word: Box<str>,
    pub(super) kind: WordKind,
}

/// A name without counters and added words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stem {
    /// Repeated letters once.
    pub(super) letters: Vec<Letter>,
    /// The keys of the letters.
    pub(super) key: String,
    /// The words that are left, as they were folded.
    pub(super) words: Vec<Vec<Glyph>>,
    /// Numbers taken off, without leading zeros, sorted.
    pub(super) counters: Vec<Box<str>>,
    /// Words taken off, sorted.
    pub(super) added: Vec<Added>,
}

/// How much a stem says, in half letters: a letter of a script without vowels is worth more, an
/// ideograph is a word.
pub(super) fn weight(letters: &[Letter]) -> u32 {
    let of = |c: char| match c {
        '0'..='9' => 1,
        '\u{590}'..='\u{8ff}' => 3,
        '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..='\u{3ffff}' => 6,
        _ => 2,
    };
    letters.iter().map(|letter| of(letter.read)).sum()
}

/// Least weight of a stem that is compared at all: four letters.
pub(super) const WEIGHT_MIN: u32 = 8;
/// Weight from which a stem tells one name from others: eight letters.
pub(super) const WEIGHT_TELLING: u32 = 16;

/// What a digit at the end of a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edges {
    Counters,
    Letters,
}

/// The stems of a name: one, and a second where a single digit at the end of a word may be a letter.
pub(super) fn stems(folded: &Folded) -> Vec<Stem> {
    let first = stem(folded, Edges::Counters);
    let edge = |word: &Word| {
        let glyphs = folded.word(word);
        let (lead, trail) = edges(glyphs);
        lead + trail < glyphs.len() && (lead == 1 || trail == 1)
    };
    let mut all = vec![first];
    if folded.words.iter().any(edge) {
        let second = stem(folded, Edges::Letters);
        if all.first().is_some_and(|first| first.key != second.key) {
            all.push(second);
        }
    }
    all
}

/// The letters of a text without separators, for tables and phrases.
pub(super) fn read_letters(text: &str) -> Vec<Letter> {
    text.chars()
        .filter(|c| is_letter(*c))
        .map(|c| letter(c, c))
        .collect()
}

/// The key of some letters, repeated ones once.
pub(super) fn key_of(letters: &[Letter]) -> String {
    let mut key = String::with_capacity(letters.len() * 2);
    let mut before: Option<Letter> = None;
    for letter in letters {
        match &before {
            Some(last) if repeats(last, letter) => {}
            _ => {
                key.push(letter.key());
                before = Some(*letter);
            }
        }
    }
    key
}

/// Whether a letter is the one before it once more. A stroke beside an `l` may be an `i`.
fn repeats(last: &Letter, letter: &Letter) -> bool {
    let counts = letter.read.is_ascii_digit() || letter.read != UPRIGHT && !is_letter(letter.read);
    last.read == letter.read && !counts
}

/// The letters of a name for a search inside it: every digit that can be a letter is one, unless
/// it stands in a number.
pub(super) fn slogan_letters(folded: &Folded) -> impl Iterator<Item = (Letter, &Glyph)> {
    let words = folded.words.iter().map(|word| folded.word(word));
    words.flat_map(|glyphs| {
        let number = glyphs.iter().all(|glyph| glyph.folded.is_ascii_digit());
        let read = move |glyph: &Glyph| {
            if number {
                letter(glyph.folded, glyph.folded)
            } else {
                glyph_letter(glyph)
            }
        };
        glyphs.iter().map(move |glyph| (read(glyph), glyph))
    })
}

fn glyph_letter(glyph: &Glyph) -> Letter {
    match leet(glyph.folded) {
        Some(read) => Letter {
            read,
            written: glyph.folded,
            count: 1,
        },
        None => Letter {
            count: if glyph.stretched { STRETCHED } else { 1 },
            ..letter(glyph.folded, glyph.written)
        },
    }
}

fn letter(folded: char, written: char) -> Letter {
    let read = match written {
        'I' => UPRIGHT,
        _ => latin_of(folded),
    };
    Letter {
        read,
        written,
        count: 1,
    }
}

/// The letter a digit or symbol is written for, if it is for any.
fn leet(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' => UPRIGHT,
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        _ => return None,
    })
}

/// A digit that is a sound in Arabic written in Latin letters, or a letter by its shape.
fn is_digit_letter(c: char) -> bool {
    leet(c).is_some() || matches!(c, '2' | '6' | '9')
}

pub(super) fn push_once(letters: &mut Vec<Letter>, letter: Letter) {
    match letters.last_mut() {
        Some(last) if repeats(last, &letter) => {
            last.count = last.count.max(letter.count).max(2);
        }
        _ => letters.push(letter),
    }
}

/// Digits at the start and at the end of a word.
fn edges(glyphs: &[Glyph]) -> (usize, usize) {
    let digit = |glyph: &&Glyph| glyph.folded.is_ascii_digit();
    let lead = glyphs.iter().take_while(digit).count();
    let trail = glyphs.iter().rev().take_while(digit).count();
    (lead, if lead == glyphs.len() { 0 } else { trail })
}

fn stem(folded: &Folded, edge: Edges) -> Stem {
    let mut out = Stem::default();
    let count = folded.words.len();
    let mut kept = Vec::new();
    for (at, word) in folded.words.iter().enumerate() {
        let glyphs = folded.word(word);
        let is_number = |at: Option<usize>| {
            let word = at.and_then(|at| folded.words.get(at));
            word.is_some_and(|word| folded.word(word).iter().all(|g| g.folded.is_ascii_digit()))
        };
        let beside_number = is_number(at.checked_sub(1)) || is_number(Some(at + 1));
        let place = Place {
            roman: word.apart && at > 0,
            last: at + 1 == count,
            beside_number,
        };
        if let Some(body) = out.take_word(glyphs, place, edge) {
            kept.extend(body.letters);
            out.words.push(body.glyphs);
        }
    }
    for letter in kept {
        push_once(&mut out.letters, letter);
    }
    out.key = out.letters.iter().map(Letter::key).collect();
    out.counters.sort();
    out.added.sort();
    out
}

/// Where in the name a word stands.
#[derive(Clone, Copy)]
struct Place {
    roman: bool,
    last: bool,
    beside_number: bool,
}

/// What is left of a word.
struct Body {
    glyphs: Vec<Glyph>,
    letters: Vec<Letter>,
}

impl Stem {
    /// Takes counters and added words off a word; gives what is left of it.
    fn take_word(&mut self, glyphs: &[Glyph], place: Place, edge: Edges) -> Option<Body> {
        let (mut lead, mut trail) = edges(glyphs);
        if lead == glyphs.len() {
            self.counter(glyphs);
            return None;
        }
        if edge == Edges::Letters {
            let is_one = |n: usize, glyph: Option<&Glyph>| {
                n == 1 && glyph.is_some_and(|g| is_digit_letter(g.folded))
            };
            lead -= usize::from(is_one(lead, glyphs.first()));
            trail -= usize::from(is_one(trail, glyphs.last()));
        }
        self.counter(glyphs.get(..lead).unwrap_or_default());
        self.counter(glyphs.get(glyphs.len() - trail..).unwrap_or_default());
        let body = glyphs.get(lead..glyphs.len() - trail).unwrap_or_default();
        let mut body = self.read(body, edge);
        let key = key_of(&body.letters);
        if (lead + trail > 0 || place.beside_number) && is_mark(&key) {
            return None;
        }
        if let Some(kind) = added_word(&key) {
            self.add(&body.glyphs, kind);
            return None;
        }
        if place.roman && lead + trail == 0 && body.glyphs.len() <= 5 {
            let word = as_typed(&body.glyphs);
            if let Some(value) = roman(&word).filter(|_| word.len() > 1 || place.last) {
                self.counters.push(value.to_string().into());
                return None;
            }
        }
        while let Some((start, end, kind)) = glued(&body.letters) {
            let len = body.glyphs.len();
            let off = if start > 0 { 0..start } else { len - end..len };
            self.add(body.glyphs.get(off).unwrap_or_default(), kind);
            let left = start..len - end;
            body.glyphs = body.glyphs.get(left.clone()).unwrap_or_default().to_vec();
            body.letters = body.letters.get(left).unwrap_or_default().to_vec();
        }
        Some(body)
    }

    fn add(&mut self, glyphs: &[Glyph], kind: WordKind) {
        let word: String = glyphs.iter().map(|glyph| glyph.folded).collect();
        self.added.push(Added {
            word: word.into(),
            kind,
        });
    }

    fn counter(&mut self, digits: &[Glyph]) {
        if !digits.is_empty() {
            let all: String = digits.iter().map(|glyph| glyph.folded).collect();
            let significant = all.trim_start_matches('0');
            let number = if significant.is_empty() {
                "0"
            } else {
                significant
            };
            self.counters.push(number.into());
        }
    }

    /// Reads the letters of a word; digits between them are letters when they can all be read so.
    fn read(&mut self, glyphs: &[Glyph], edge: Edges) -> Body {
        let mut body = Body {
            glyphs: Vec::with_capacity(glyphs.len()),
            letters: Vec::with_capacity(glyphs.len()),
        };
        let mut at = 0;
        while let Some(glyph) = glyphs.get(at) {
            let rest = glyphs.get(at..).unwrap_or_default();
            let run = rest
                .iter()
                .take_while(|g| g.folded.is_ascii_digit())
                .count();
            let digits = rest.get(..run).unwrap_or_default();
            let whole = at == 0 || at + run == glyphs.len();
            let as_letters = run <= INSIDE_MAX && digits.iter().all(|g| leet(g.folded).is_some());
            if run > 0 && !as_letters && !(run == 1 || whole && edge == Edges::Letters) {
                self.counter(digits);
                at += run;
                continue;
            }
            body.glyphs.push(*glyph);
            body.letters.push(glyph_letter(glyph));
            at += 1;
        }
        body
    }
}

/// The letters with repeated ones as often as they were typed: `III`.
fn as_typed(glyphs: &[Glyph]) -> String {
    let times = |g: &Glyph| {
        if g.typed.is_ascii() {
            (g.end - g.start).min(4)
        } else {
            1
        }
    };
    let letters = glyphs
        .iter()
        .flat_map(|g| std::iter::repeat_n(g.folded, times(g) as usize));
    letters.collect()
}

/// Most digits in a row that are letters; more are a year or another number.
const INSIDE_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    #[track_caller]
    fn check(name: &str, key: &str, counters: &[&str], added: &[&str]) {
        let stems = stems(&fold(name));
        let first = stems.first().unwrap();
        let counted: Vec<&str> = first.counters.iter().map(|c| &**c).collect();
        let words: Vec<&str> = first.added.iter().map(|a| &*a.word).collect();
        assert_eq!(
            (first.key.as_str(), counted.as_slice(), words.as_slice()),
            (key, counters, added),
            "{name}"
        );
        let length: usize = first.words.iter().map(Vec::len).sum();
        assert!(length >= first.letters.len());
    }

    #[test]
    fn counters() {
        check("grey_banner_18", "greybaner", &["18"], &[]);
        check("greybanner018", "greybaner", &["18"], &[]);
        check("18.grey.banner", "greybaner", &["18"], &[]);
        check("grey_banner_v2", "greybaner", &["2"], &[]);
        check("grey_banner_no_2", "greybaner", &["2"], &[]);
        check("grey_banner_2nd", "greybaner", &["2"], &[]);
        check("Grey Banner II", "greybaner", &["2"], &[]);
        check("grey_banner_v", "greybaner", &["5"], &[]);
        check("GreyBannerV", "greybanerv", &[], &[]);
        check("GreyBanner2024", "greybaner", &["2024"], &[]);
        check("grey2024banner", "greybaner", &["2024"], &[]);
        check("راية الرماد ٢", "رايهالرماد", &["2"], &[]);
    }

    #[test]
    fn added_words() {
        check("greybanner_backup", "greybaner", &[], &["backup"]);
        check(
            "NewGreyBannerOfficial",
            "greybaner",
            &[],
            &["new", "official"],
        );
        check("greybannerbackup17", "greybaner", &["17"], &["backup"]);
        check("راية الرماد ٢ احتياطي", "رايهالرماد", &["2"], &["احتياطي"]);
        check(
            "قناة راية الرماد الاحتياطية",
            "رايهالرماد",
            &[],
            &["الاحتياطيه", "قناه"],
        );
        check("backup", "", &[], &["backup"]);
    }

    #[test]
    fn digits_inside_words_are_letters() {
        check("gr3y_b4nn3r", "greybaner", &[], &[]);
        check("gr3y_b4nn3r_17", "greybaner", &["17"], &[]);
        check("b@nn€r", "baner", &[], &[]);
        check("f1ll", "fll", &[], &[]);
        check("gr3y_b4ckup", "grey", &[], &["b4ckup"]);
    }

    #[test]
    fn a_digit_at_the_end_may_be_a_letter() {
        let keys = |name: &str| -> Vec<String> {
            stems(&fold(name))
                .into_iter()
                .map(|stem| stem.key)
                .collect()
        };
        assert_eq!(keys("b4nner5"), ["baner", "baners"]);
        assert_eq!(keys("4lram4d"), ["lramad", "alramad"]);
        assert_eq!(keys("banner17"), ["baner"]);
    }

    #[test]
    fn look_alikes_are_read() {
        check("grеу_banner", "greybaner", &[], &[]);
        check("GreyBannеr", "greybaner", &[], &[]);
    }
}
