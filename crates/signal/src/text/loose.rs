//! The aggressive level's view of a word: letters, digits and symbols in classes, so that one hash
//! stands for every way to read a word, and the check that a word of the text really is one way to
//! write a word of a phrase.
//!
//! `b4nn3r` has many readings. Instead of going through them, text and phrase are both written with
//! one letter for each class (`a` for a, 4 and @), repeated letters once, and compared by hash; what
//! the hash finds is then compared letter by letter.

use super::words::{ELONGATED, WordHash, stretches};

/// The letter that stands for all that may be meant by `c`; nothing if `c` may be left out.
pub(super) fn class(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        // `1` and `!` stand for either, so the two letters are one class.
        'l' | '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '6' | '9' => 'g',
        '2' => 'z',
        'ء' => return None,
        _ => merged(c),
    })
}

/// Letters of Persian and Urdu, and carriers of a hamza, as the Arabic letter next to them.
fn merged(c: char) -> char {
    match c {
        'گ' => 'ك',
        'پ' => 'ب',
        'چ' => 'ج',
        'ژ' => 'ز',
        'ؤ' => 'و',
        'ئ' => 'ي',
        _ => c,
    }
}

/// What stands for a letter inside a word, besides digits.
pub(super) fn is_leet_symbol(c: char) -> bool {
    matches!(c, '@' | '$' | '!' | '|' | '+' | '€')
}

/// Whether `written` is a digit or symbol that may stand for the letter.
fn is_leet(written: char, letter: char) -> bool {
    !written.is_alphabetic() && letter.is_ascii_alphabetic() && class(written) == class(letter)
}

/// The hash of a word's classes.
pub(super) fn loose_hash(chars: impl Iterator<Item = char>) -> u64 {
    let mut hash = WordHash::new();
    chars.filter_map(class).for_each(|c| hash.push(c));
    hash.finish()
}

/// What it takes to read a word of the text as a word of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spelling {
    /// Digits and symbols that stand for letters.
    pub(super) leet: u32,
    /// Letters of Persian or Urdu, or with or without hamza.
    pub(super) merged: bool,
    /// A letter stands twice that should stand once, or the other way.
    pub(super) repeated: bool,
}

/// How `text` spells `phrase`, if it does.
pub(super) fn spelling(text: &[char], phrase: &[char]) -> Option<Spelling> {
    let mut said = Spelling::default();
    let mut leet = Leet::default();
    let (mut at, mut to) = (0, 0);
    while let (Some(first), Some(wanted)) = (next_class(text, at), next_class(phrase, to)) {
        if first != wanted {
            return None;
        }
        let (run, wanted) = (run(text, at, first), run(phrase, to, wanted));
        said.merged |= !same_run(run, wanted, &mut said, &mut leet)?;
        at += run.len();
        to += wanted.len();
    }
    let rest = text.get(at..)?.iter().chain(phrase.get(to..)?);
    for c in rest {
        if class(*c).is_some() {
            return None;
        }
        said.merged = true;
    }
    if !leet.is_likely() {
        return None;
    }
    said.leet = leet.count();
    Some(said)
}

fn next_class(chars: &[char], at: usize) -> Option<char> {
    chars.get(at..)?.iter().find_map(|c| class(*c))
}

/// The characters from `at` on that belong to one class, what may be left out among them included.
fn run(chars: &[char], at: usize, wanted: char) -> &[char] {
    let rest = chars.get(at..).unwrap_or_default();
    let len = rest
        .iter()
        .take_while(|c| class(**c).is_none_or(|class| class == wanted))
        .count();
    rest.get(..len).unwrap_or_default()
}

/// Whether one run spells another and does so in the same letters; nothing if it does not.
fn same_run(text: &[char], phrase: &[char], said: &mut Spelling, leet: &mut Leet) -> Option<bool> {
    if text == phrase {
        for c in text {
            leet.letter(*c);
        }
        return Some(true);
    }
    let kept = |chars: &[char]| {
        let kept = chars.iter().copied().filter(|c| class(*c).is_some());
        kept.collect::<Vec<char>>()
    };
    let whole = text.len() + phrase.len();
    let (text, phrase) = (kept(text), kept(phrase));
    let none_dropped = text.len() + phrase.len() == whole;
    if text.len() == phrase.len() {
        let mut same = true;
        for (c, wanted) in text.iter().zip(&phrase) {
            same &= stands_for(*c, *wanted, leet)?;
        }
        return Some(same && none_dropped);
    }
    // One letter of the text for two of the phrase is a word of its own more often than a trick.
    let (repeats, wants) = (text.len(), phrase.len());
    let letter = phrase.first().copied().filter(|c| stretches(*c))?;
    if repeats < 2 || phrase.iter().any(|c| *c != letter) {
        return None;
    }
    said.repeated |= repeats < ELONGATED && wants < ELONGATED;
    let mut same = true;
    for c in text {
        same &= stands_for(c, letter, leet)?;
    }
    Some(same && none_dropped)
}

/// Whether a character is the letter itself; nothing if it cannot stand for it.
fn stands_for(c: char, letter: char, leet: &mut Leet) -> Option<bool> {
    if c == letter {
        leet.letter(c);
        Some(true)
    } else if is_leet(c, letter) {
        leet.substitute(c);
        Some(true)
    } else if merged(c) == merged(letter) {
        leet.letter(c);
        Some(false)
    } else {
        None
    }
}

/// Where digits and symbols stand for letters in a word, which tells tricks from names and numbers.
#[derive(Debug, Default)]
struct Leet {
    letters: u32,
    /// Digits before the first letter.
    leading: u32,
    /// Symbols before the first letter.
    leading_symbols: u32,
    /// Between letters.
    inner: u32,
    /// After the last letter.
    trailing: u32,
    /// Symbols that no punctuation is, after the last letter.
    trailing_symbols: u32,
}

/// Letters that must be left of a word with digits before them (`5logan`, not `5am`).
const AFTER_DIGITS_MIN: u32 = 4;
/// Letters that must be left of a word with a symbol at its edge.
const BESIDE_SYMBOL_MIN: u32 = 3;
/// Letters that must be left of any word.
const LEFT_MIN: u32 = 2;

impl Leet {
    fn letter(&mut self, c: char) {
        if !c.is_alphabetic() {
            return;
        }
        self.letters += 1;
        self.inner += std::mem::take(&mut self.trailing);
        self.inner += std::mem::take(&mut self.trailing_symbols);
    }

    fn substitute(&mut self, c: char) {
        let symbol = matches!(c, '@' | '$' | '€');
        *match (self.letters, symbol) {
            (0, false) => &mut self.leading,
            (0, true) => &mut self.leading_symbols,
            (_, false) => &mut self.trailing,
            (_, true) => &mut self.trailing_symbols,
        } += 1;
    }

    fn count(&self) -> u32 {
        self.leading + self.leading_symbols + self.inner + self.trailing + self.trailing_symbols
    }

    fn is_likely(&self) -> bool {
        let symbols = self.leading_symbols + self.trailing_symbols;
        self.count() == 0
            || self.letters >= LEFT_MIN
                && (self.inner > 0
                    || symbols > 0 && self.letters >= BESIDE_SYMBOL_MIN
                    || self.leading > 0 && self.letters >= AFTER_DIGITS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, phrase: &str, expect: &str) {
        let chars = |text: &str| text.chars().collect::<Vec<char>>();
        let said = spelling(&chars(text), &chars(phrase));
        let said = said.map_or_else(String::new, |s| {
            let merged = if s.merged { " merged" } else { "" };
            let repeated = if s.repeated { " repeated" } else { "" };
            format!("{}{merged}{repeated}", s.leet)
        });
        assert_eq!(said, expect, "{text} for {phrase}");
        if !expect.is_empty() {
            assert_eq!(loose_hash(text.chars()), loose_hash(phrase.chars()));
        }
    }

    #[test]
    fn digits_and_symbols_stand_for_letters() {
        check("banner", "banner", "0");
        check("b4nn3r", "banner", "2");
        check("b@nner", "banner", "1");
        check("$logan", "slogan", "1");
        check("5logan", "slogan", "1");
        check("h1ll", "hill", "1");
        check("hi1l", "hill", "1");
        check("hi11", "hill", "");
        check("b1ll5", "bills", "2");
        check("ba|l", "bail", "1");
        check("ba|l", "ball", "1");
        check("ba!l", "bail", "1");
        check("covid19", "covid19", "0");
        check("c0vid19", "covid19", "1");
        check("covidig", "covid19", "");
        check("6r3y", "grey", "2");
        check("9r3y", "grey", "2");
    }

    #[test]
    fn numbers_and_names_are_not_letters() {
        check("5am", "sam", "");
        check("1st", "ist", "");
        check("team5", "teams", "");
        check("4x4", "axa", "");
        check("h1", "hi", "");
        check("1337", "leet", "");
        check("hel!", "hell", "");
        check("@nd", "and", "");
        check("10000", "loooo", "");
        check("bil", "bii", "");
    }

    #[test]
    fn repeated_letters() {
        check("greyy", "grey", "0 repeated");
        check("bannerr", "banner", "0 repeated");
        check("baner", "banner", "");
        check("baaanner", "banner", "0");
        check("b44nner", "banner", "2 repeated");
        check("1000", "100", "");
        check("illl", "ill", "");
    }

    #[test]
    fn letters_of_neighbouring_languages() {
        check("پرچم", "برجم", "0 merged");
        check("گرگ", "كرك", "0 merged");
        check("شيء", "شي", "0 merged");
        check("رئيس", "رييس", "0 merged");
        check("راي", "رايه", "");
        check("ءا", "ا", "0 merged");
    }
}
