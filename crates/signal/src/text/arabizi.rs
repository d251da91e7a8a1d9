//! Arabic in Latin letters and digits: `rayat el ramad`, `7ayat`, `3arabi`.
//!
//! Everybody writes it their own way, so there is no spelling to look up. Both sides are reduced to
//! a skeleton instead: the classes of consonants that no writer confuses (`t d s z` and all Arabic
//! letters written so are one, `k q g j kh` another), without vowels, h, w and y, doubled ones once.
//! What has the same skeleton is then aligned: each Arabic letter with one of its usual spellings,
//! short vowels anywhere, doubled consonants anywhere.
//!
//! Sources: the chat alphabet as described for the ARRIVE and BOLT corpora and in Darwish (2014),
//! "Arabizi Detection and Conversion to Arabic"; only the letter table is taken from there.

use super::words::WordHash;

/// Longest word in Latin letters that is read as Arabic, in characters.
pub(super) const LATIN_MAX: usize = 48;
/// What a phrase must score for Arabizi to be believed: see [`score`].
pub(super) const SCORE_MIN: u32 = 5;
/// What a digit in the place of a letter adds, since no other writing has it.
pub(super) const DIGIT_SCORE: u32 = 2;

/// Sets Arabizi words apart from all others in the trie.
const MARK: char = '\u{f8ff}';

/// The usual spellings of an Arabic letter.
fn spellings(letter: char) -> &'static [&'static str] {
    match letter {
        'ا' | 'أ' | 'إ' | 'آ' | 'ٱ' => {
            &["a", "e", "i", "o", "u", "2a", "2e", "2i", "2o", "2u"]
        }
        'ب' | 'پ' => &["b", "p"],
        'ت' => &["t"],
        'ث' => &["th", "s", "t"],
        'ج' | 'چ' => &["j", "g", "dj"],
        'ح' => &["7", "h"],
        'خ' => &["5", "kh", "7'", "x", "ch"],
        'د' => &["d"],
        'ذ' => &["th", "dh", "z", "d", "4"],
        'ر' => &["r"],
        'ز' | 'ژ' => &["z"],
        'س' => &["s", "c"],
        'ش' => &["sh", "ch", "4"],
        'ص' => &["s", "9"],
        'ض' => &["d", "dh", "9'"],
        'ط' => &["t", "6"],
        'ظ' => &["z", "dh", "th", "6'"],
        'ع' => &["3", "'", ""],
        'غ' => &["gh", "8", "3'", "g"],
        'ف' | 'ڤ' => &["f", "ph", "v"],
        'ق' => &["q", "8", "9", "2", "k", "g"],
        'ك' | 'ک' | 'گ' => &["k", "c", "g"],
        'ل' => &["l"],
        'م' => &["m"],
        'ن' => &["n"],
        'ه' => &["h"],
        'و' => &["w", "o", "u", "v"],
        'ؤ' => &["2", "o", "u", "w", "2o", "2u"],
        'ي' | 'ی' => &["y", "i", "e"],
        'ئ' => &["2", "y", "i", "e", "2i", "2e"],
        'ى' => &["a", "i", "e", "y"],
        'ة' => &["a", "e", "ah", "eh", "t"],
        'ء' => &["2", "'", ""],
        _ => &[],
    }
}

/// How much a letter's being there speaks for the word: what English has in every word, or what
/// need not be written, does not.
fn weight(letter: char) -> u32 {
    let weak = matches!(
        letter,
        'ا' | 'أ' | 'إ' | 'آ' | 'ٱ' | 'ع' | 'و' | 'ؤ' | 'ي' | 'ی' | 'ئ' | 'ى' | 'ة' | 'ء'
    );
    u32::from(!weak)
}

/// The score of an Arabic word: its consonants that are always written, and one for its article.
/// Nothing if it has a letter without a usual spelling.
pub(super) fn score(arabic: &str) -> Option<u32> {
    let (article, stem) = article_and_stem(arabic);
    let known = stem.chars().all(|c| !spellings(c).is_empty());
    known.then(|| stem.chars().map(weight).sum::<u32>() + u32::from(article))
}

/// Whether a word begins with the article, and what follows it.
fn article_and_stem(arabic: &str) -> (bool, &str) {
    let stem = arabic
        .strip_prefix("ال")
        .filter(|stem| stem.chars().count() >= STEM_MIN);
    (stem.is_some(), stem.unwrap_or(arabic))
}

/// Most vowels between two consonants.
const VOWELS_MAX: usize = 6;
/// Fewest letters after an article.
const STEM_MIN: usize = 3;

/// The hash of an Arabic word's skeleton.
pub(super) fn arabic_hash(arabic: &str) -> u64 {
    let (_, stem) = article_and_stem(arabic);
    let mut skeleton = Skeleton::new();
    stem.chars().for_each(|c| skeleton.push(arabic_class(c)));
    skeleton.finish()
}

/// The class of consonants an Arabic letter is in.
fn arabic_class(c: char) -> Option<char> {
    Some(match c {
        'ب' | 'پ' => 'b',
        'ت' | 'ث' | 'د' | 'ذ' | 'ز' | 'ژ' | 'س' | 'ش' | 'ص' | 'ض' | 'ط' | 'ظ' => 't',
        'ج' | 'چ' | 'خ' | 'غ' | 'ق' | 'ك' | 'ک' | 'گ' => 'k',
        'ف' | 'ڤ' => 'f',
        'ل' => 'l',
        'م' => 'm',
        'ن' => 'n',
        'ر' => 'r',
        _ => return None,
    })
}

/// Classes of consonants, doubled ones once.
#[derive(Clone, Copy)]
struct Skeleton(WordHash);

impl Skeleton {
    fn new() -> Self {
        let mut hash = WordHash::new();
        hash.push(MARK);
        Self(hash)
    }
    fn push(&mut self, class: Option<char>) {
        if let Some(class) = class {
            self.0.push(class);
        }
    }
    fn finish(self) -> u64 {
        self.0.finish()
    }
}

/// What is uncertain in the skeleton of a word in Latin letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Doubt {
    /// `9` and `c` are sounds of the throat's side, not of the teeth's; `2` is a ق and not a hamza.
    back: bool,
    /// `l` at the start is an article.
    article: bool,
    /// `t` at the end is a feminine ending.
    feminine: bool,
}

/// The hashes of the skeletons a word in Latin letters may have, at most eight; none if it is no
/// Arabizi, having `0` or `1` in it, or nothing else than digits.
pub(super) fn latin_hashes(latin: &str, out: &mut Vec<u64>) {
    out.clear();
    let letters = latin.bytes().any(|b| b.is_ascii_alphabetic());
    if !letters || latin.len() > LATIN_MAX || latin.contains(['0', '1']) {
        return;
    }
    let uncertain = latin.contains(['9', '2', 'c']);
    let article = article_end(latin).is_some();
    let feminine = latin.ends_with('t');
    for bits in 0..8 {
        let doubt = Doubt {
            back: bits & 1 != 0,
            article: bits & 2 != 0,
            feminine: bits & 4 != 0,
        };
        let possible = (uncertain || !doubt.back)
            && (article || !doubt.article)
            && (feminine || !doubt.feminine);
        if possible
            && let Some(hash) = latin_hash(latin, doubt)
            && !out.contains(&hash)
        {
            out.push(hash);
        }
    }
}

/// Where the article `al`, `el`, `il`, `ul` or `l` at the start of a word ends.
fn article_end(latin: &str) -> Option<usize> {
    let vowel = usize::from(latin.starts_with(['a', 'e', 'i', 'u']));
    latin.get(vowel..)?.starts_with('l').then_some(vowel + 1)
}

fn latin_hash(latin: &str, doubt: Doubt) -> Option<u64> {
    let from = if doubt.article {
        article_end(latin)?
    } else {
        0
    };
    let to = latin.len() - usize::from(doubt.feminine);
    let mut skeleton = Skeleton::new();
    let mut rest = latin.get(from..to)?.chars().peekable();
    while let Some(c) = rest.next() {
        let class = match c {
            'c' if rest.next_if_eq(&'h').is_some() => Some(if doubt.back { 'k' } else { 't' }),
            'p' if rest.next_if_eq(&'h').is_some() => Some('f'),
            'd' if rest.next_if_eq(&'j').is_some() => Some('k'),
            '3' | '7' if rest.next_if(|c| is_apostrophe(*c)).is_some() => Some('k'),
            '9' if rest.next_if(|c| is_apostrophe(*c)).is_some() => Some('t'),
            '9' | 'c' => Some(if doubt.back { 'k' } else { 't' }),
            '2' => doubt.back.then_some('k'),
            _ => latin_class(c),
        };
        skeleton.push(class);
    }
    Some(skeleton.finish())
}

fn latin_class(c: char) -> Option<char> {
    Some(match c {
        'b' | 'p' => 'b',
        't' | 'd' | 's' | 'z' | '4' | '6' => 't',
        'g' | 'j' | 'k' | 'q' | 'x' | '5' | '8' => 'k',
        'f' => 'f',
        'l' => 'l',
        'm' => 'm',
        'n' => 'n',
        'r' => 'r',
        _ => return None,
    })
}

/// What writes a hamza or ع, or makes another letter of the digit before it.
pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | 'ʼ' | 'ʾ' | 'ʿ')
}

/// How a word in Latin letters spells an Arabic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelt {
    pub(super) score: u32,
    /// Whether a digit stands for a letter.
    pub(super) digits: bool,
}

/// Whether the Latin letters spell the Arabic word, its article included.
pub(super) fn spells(latin: &str, arabic: &str) -> Option<Spelt> {
    let text: Vec<u8> = latin.chars().map(plain_byte).collect();
    if text.len() > LATIN_MAX {
        return None;
    }
    let (article, stem) = article_and_stem(arabic);
    let aligned = Aligner { text: &text };
    let ends = if article {
        articles(&text, stem)
            .into_iter()
            .flatten()
            .fold(0, |ends, start| ends | aligned.follow(1 << start, stem))
    } else {
        aligned.follow(1, stem)
    };
    let whole = ends >> text.len() & 1 == 1;
    whole.then(|| Spelt {
        score: score(arabic).unwrap_or(0),
        digits: text.iter().any(u8::is_ascii_digit),
    })
}

/// One byte for each character: apostrophes are one, what no Arabizi has is 0.
fn plain_byte(c: char) -> u8 {
    if is_apostrophe(c) {
        b'\''
    } else if c == ' ' || c == '-' {
        b'-'
    } else {
        u8::try_from(c)
            .ok()
            .filter(u8::is_ascii_alphanumeric)
            .unwrap_or(0)
    }
}

/// Where the stem may begin after the article: `al…`, `el-…`, `l…`, or `a` and the stem's first
/// consonant doubled (`ar-ramad`, `asshams`).
fn articles(text: &[u8], stem: &str) -> [Option<usize>; 2] {
    let vowel = usize::from(text.first().is_some_and(|b| b"aeiu".contains(b)));
    let after_gap = |at: usize| at + usize::from(text.get(at).is_some_and(|b| b"-'".contains(b)));
    let l = (text.get(vowel) == Some(&b'l')).then(|| after_gap(vowel + 1));
    let sun = stem
        .chars()
        .next()
        .filter(|c| vowel == 1 && is_sun_letter(*c));
    let doubled = sun.and_then(|letter| {
        spellings(letter).iter().find_map(|s| {
            let rest = text.get(1..)?.strip_prefix(s.as_bytes())?;
            let start = after_gap(1 + s.len());
            let again = rest.get(start - 1 - s.len()..)?;
            again.starts_with(s.as_bytes()).then_some(start)
        })
    });
    [l, doubled]
}

/// Letters before which the article's l is not spoken.
fn is_sun_letter(c: char) -> bool {
    "تثدذرزسشصضطظن".contains(c)
}

/// Aligns an Arabic word with a text, as sets of positions: bit i says that the letters so far can
/// be what is before position i.
struct Aligner<'t> {
    text: &'t [u8],
}

impl Aligner<'_> {
    fn follow(&self, from: u64, stem: &str) -> u64 {
        let (mut ends, mut first) = (from, true);
        for letter in stem.chars() {
            // No vowel before the first letter, or it would need an alef.
            let starts = if first { ends } else { self.skip_vowels(ends) };
            ends = self.doubled(self.letter(starts, letter));
            first = false;
            if ends == 0 {
                return 0;
            }
        }
        // What ends in a long vowel may be written with two letters.
        if stem.ends_with(['ا', 'ى', 'ي', 'ی', 'و', 'ة']) {
            ends |= self.advance(ends, |b| b"aeiou".contains(&b));
        }
        ends
    }

    fn letter(&self, starts: u64, letter: char) -> u64 {
        let mut ends = 0;
        for spelling in spellings(letter) {
            let mut left = starts;
            while left != 0 {
                let at = left.trailing_zeros() as usize;
                left &= left - 1;
                let here = self.text.get(at..).unwrap_or_default();
                if here.starts_with(spelling.as_bytes()) {
                    ends |= 1 << (at + spelling.len());
                }
            }
        }
        ends
    }

    /// The positions, and those after a few vowels more.
    fn skip_vowels(&self, mut ends: u64) -> u64 {
        for _ in 0..VOWELS_MAX {
            ends |= self.advance(ends, |b| b"aeiou".contains(&b));
        }
        ends
    }

    /// The positions, and those after the last consonant once more.
    fn doubled(&self, ends: u64) -> u64 {
        let mut again = 0;
        let mut left = ends;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let before = at.checked_sub(1).and_then(|before| self.text.get(before));
            if before.is_some() && before == self.text.get(at) {
                again |= 1 << (at + 1);
            }
        }
        ends | again
    }

    fn advance(&self, ends: u64, allowed: impl Fn(u8) -> bool) -> u64 {
        let mut next = 0;
        let mut left = ends;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            if self.text.get(at).is_some_and(|b| allowed(*b)) {
                next |= 1 << (at + 1);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(latin: &str, arabic: &str, expect: bool) {
        assert_eq!(
            spells(latin, arabic).is_some(),
            expect,
            "{latin} for {arabic}"
        );
        if expect && !latin.contains([' ', '-']) {
            let mut hashes = Vec::new();
            latin_hashes(latin, &mut hashes);
            assert!(
                hashes.contains(&arabic_hash(arabic)),
                "{latin} for {arabic}"
            );
        }
    }

    #[test]
    fn usual_spellings() {
        check("raya", "راية", true);
        check("rayat", "راية", true);
        check("raayah", "راية", true);
        for written in [
            "alramad", "elramad", "el ramad", "al-ramad", "ar-ramad", "arramad", "lramad",
        ] {
            check(written, "الرماد", true);
        }
        check("asshams", "الشمس", false);
        check("ash-shams", "الشمس", true);
        check("7aya", "حياة", false);
        check("7ayat", "حياة", true);
        check("3arabi", "عربي", true);
        check("5alifa", "خليفة", true);
        check("khaleefa", "خليفة", true);
        check("7'alifa", "خليفة", true);
        check("ghareeb", "غريب", true);
        check("3'arib", "غريب", true);
        check("8arib", "غريب", true);
        check("9abr", "صبر", true);
        check("9alb", "قلب", true);
        check("2alb", "قلب", true);
        check("qalb", "قلب", true);
        check("mu7ammad", "محمد", true);
        check("mohammed", "محمد", true);
        check("6ariq", "طريق", true);
        check("6areeq", "طريق", true);
        check("9'arb", "ضرب", true);
        check("dharb", "ضرب", true);
        check("thawra", "ثورة", true);
        check("shabab", "شباب", true);
        check("4abab", "شباب", true);
        check("mas2ool", "مسؤول", true);
    }

    #[test]
    fn other_words() {
        check("ramad", "الرماد", false);
        check("alramad", "رماد", false);
        check("remade", "رماد", false);
        check("arab", "رب", false);
        check("kanibal", "قنبلة", false);
        check("banter", "بنر", false);
        check("ramadan", "رماد", false);
    }

    #[test]
    fn what_speaks_for_a_word() {
        assert_eq!(score("الرماد"), Some(4));
        assert_eq!(score("راية"), Some(1));
        assert_eq!(score("رايټ"), None);
        let mut hashes = Vec::new();
        for no in ["2024", "10th", "", "1st"] {
            latin_hashes(no, &mut hashes);
            assert!(hashes.is_empty(), "{no}");
        }
    }
}
