//! The words of a normalised text, and the other readings of some of them.
//!
//! A word is a run of letters, digits and their marks; an ideograph, a letter of a script without
//! spaces, or an emoji is a word of its own. A [`Reading`] spans one word or several and gives them
//! another text: what a word says if its letters are imitations, what letters set apart spell.

use super::chars::script;

/// A stretch of a text, `start..end` in bytes.
pub(super) type Stretch = (u32, u32);

/// One word of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) strict: Stretch,
    /// In the plain key, which has all folds but elongation and spacing.
    pub(super) plain: Stretch,
    pub(super) original: Stretch,
    /// Of the plain text; see [`word_hash`].
    pub(super) hash: u64,
    /// Scripts of its letters, as a set; 0 for digits and emoji.
    pub(super) scripts: u8,
    /// One letter or digit, of a script with spaces: may be part of a spaced-out word.
    pub(super) single: bool,
}

/// Why a reading is not simply what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// A word of mixed scripts, read in the other of them.
    Mixed,
    /// A word of one script, every letter of which looks like one of another script.
    Whole(u8),
    /// Letters set apart, read together.
    Joined,
}

/// Another way to read the words from `from` up to `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Its text, in the buffer of readings.
    pub(super) text: Stretch,
    pub(super) hash: u64,
    pub(super) manner: Manner,
}

/// Letters set apart, evenly, so that the words in them cannot be told: words `from..to`, whose
/// letters are `text` in the buffer of readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spaced {
    pub(super) from: u32,
    pub(super) text: Stretch,
}

/// A hash of letters in which repeated ones count once, so that it is the same for a word and its
/// elongations; digits count each. What it finds is compared in full by [`same_word`].
///
/// Each letter is multiplied by a number for its place and added, so that a processor need not wait
/// for one letter's multiplication to begin the next (multilinear hashing: Lemire and Kaser 2014).
#[derive(Debug, Clone, Copy)]
pub(super) struct WordHash {
    state: u64,
    last: u32,
    /// Letters that counted.
    pub(super) len: u32,
}

/// Numbers for the places of letters; those of long words are used again.
const PLACES: usize = 64;
static FACTORS: [u64; PLACES] = factors();

/// Random odd numbers (`SplitMix64`: Steele, Lea and Flood 2014).
const fn factors() -> [u64; PLACES] {
    let mut factors = [0; PLACES];
    let mut state = 0_u64;
    let mut at = 0;
    while at < PLACES {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        factors[at] = (z ^ (z >> 31)) | 1;
        at += 1;
    }
    factors
}

impl WordHash {
    pub(super) const fn new() -> Self {
        Self {
            state: 0,
            last: 0,
            len: 0,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, c: char) {
        self.push_code(c as u32, stretches(c));
    }

    /// The same for the number of a character.
    #[inline]
    pub(super) fn push_code(&mut self, code: u32, stretches: bool) {
        let counts = code != self.last;
        let factor = FACTORS[self.len as usize % PLACES];
        let added = u64::from(code).wrapping_mul(factor);
        self.state = self.state.wrapping_add(if counts { added } else { 0 });
        self.len += u32::from(counts);
        // No character has this number, so the next one counts.
        self.last = if stretches { code } else { u32::MAX };
    }

    #[inline]
    pub(super) const fn finish(self) -> u64 {
        // Without its length a word would be the same as with zeros after it.
        let all = self.state ^ (self.len as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        all ^ (all >> 32)
    }
}

pub(super) fn word_hash(word: &str) -> u64 {
    let mut hash = WordHash::new();
    word.chars().for_each(|c| hash.push(c));
    hash.finish()
}

/// Whether people write a character many times for emphasis; a digit repeated is another number.
#[inline]
pub(super) fn stretches(c: char) -> bool {
    !c.is_ascii_digit()
}

/// Fewest repetitions that count as emphasis and not as spelling.
pub(super) const ELONGATED: usize = 3;

/// Whether a word of the text is this word of a phrase: the same letters in the same numbers, except
/// that three or more of a letter in either stand for any number of it.
pub(super) fn same_word(
    text: impl Iterator<Item = char>,
    phrase: impl Iterator<Item = char>,
) -> bool {
    let (mut text, mut phrase) = (Repeats(text.peekable()), Repeats(phrase.peekable()));
    loop {
        return match (text.next(), phrase.next()) {
            (None, None) => true,
            (Some((a, n)), Some((b, m)))
                if a == b && (n == m || stretches(a) && (n >= ELONGATED || m >= ELONGATED)) =>
            {
                continue;
            }
            _ => false,
        };
    }
}

/// Characters with the number of their repetitions.
struct Repeats<I: Iterator<Item = char>>(std::iter::Peekable<I>);

impl<I: Iterator<Item = char>> Iterator for Repeats<I> {
    type Item = (char, usize);
    fn next(&mut self) -> Option<Self::Item> {
        let c = self.0.next()?;
        let mut count = 1;
        while self.0.next_if_eq(&c).is_some() {
            count += 1;
        }
        Some((c, count))
    }
}

/// Particles written together with the word after them: and, then, with, like, to, will.
const PROCLITICS: [char; 6] = ['و', 'ف', 'ب', 'ك', 'ل', 'س'];
/// Pronouns and endings written together with the word before them, in folded spelling.
const ENCLITICS: [&str; 11] = [
    "ها", "هم", "هن", "كم", "نا", "ات", "ون", "ين", "ه", "ك", "ي",
];
/// Whether a word that begins and ends with these letters may have particles.
#[inline]
pub(super) fn may_have_particles(first: char, last: char) -> bool {
    let ends = matches!(last, 'ا' | 'م' | 'ن' | 'ت' | 'ه' | 'ك' | 'ي');
    ends || PROCLITICS.contains(&first)
}

/// Letters that must be left for a word without its particle to be a word.
const STEM_MIN: usize = 3;

/// What an Arabic word may say without the particles at its start: the bytes cut off and the rest.
/// For `لل…` the article's alef, which writing drops after `ل`, is put back by the second item.
pub(super) fn without_proclitics(
    word: &str,
    scripts: u8,
) -> impl Iterator<Item = (usize, &'static str, &str)> {
    let arabic = scripts == script::ARABIC;
    let strip = |word: &'_ str| {
        word.chars()
            .next()
            .filter(|c| PROCLITICS.contains(c))
            .map(char::len_utf8)
    };
    let one = strip(word)
        .filter(|_| arabic)
        .and_then(|cut| Some((cut, "", word.get(cut..)?)));
    let two = one.and_then(|(cut, _, rest)| {
        let and = word.starts_with(['و', 'ف']);
        let more = strip(rest).filter(|_| and && !rest.starts_with(['و', 'ف']))?;
        Some((cut + more, "", rest.get(more..)?))
    });
    let for_the = word
        .strip_prefix("لل")
        .filter(|_| arabic)
        .map(|rest| (2, "ال", rest));
    [one, two, for_the]
        .into_iter()
        .flatten()
        .filter(|(_, _, rest)| rest.chars().count() >= STEM_MIN)
}

/// What an Arabic word may say without the pronoun or ending at its end.
pub(super) fn without_enclitics(word: &str, scripts: u8) -> impl Iterator<Item = &str> {
    let endings: &[&str] = if scripts == script::ARABIC {
        &ENCLITICS
    } else {
        &[]
    };
    let stems = endings
        .iter()
        .filter_map(|ending| word.strip_suffix(ending));
    stems.filter(|stem| stem.chars().count() >= STEM_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, phrase: &str, expect: bool) {
        assert_eq!(
            same_word(text.chars(), phrase.chars()),
            expect,
            "{text} for {phrase}"
        );
        if expect {
            assert_eq!(word_hash(text), word_hash(phrase));
        }
    }

    #[test]
    fn repeated_letters() {
        check("banner", "banner", true);
        check("bannnner", "banner", true);
        check("bannerrrr", "banner", true);
        check("baner", "banner", false);
        check("bbanner", "banner", false);
        check("boooot", "boot", true);
        check("boooot", "bot", true);
        check("boot", "bot", false);
        check("1000", "100", false);
        check("haaa", "ha", true);
        check("ha", "haaa", true);
        check("", "", true);
        check("a", "", false);
    }

    #[test]
    fn particles_begin_and_end_with_their_letters() {
        for ending in ENCLITICS {
            assert!(may_have_particles('ا', ending.chars().last().unwrap()));
        }
        assert!(PROCLITICS.iter().all(|c| may_have_particles(*c, 'ر')));
        assert!(!may_have_particles('ا', 'ر'));
    }

    #[test]
    fn particles() {
        let stems = |word: &'static str| {
            let stems = without_proclitics(word, script::ARABIC);
            stems
                .map(|(_, put_back, rest)| format!("{put_back}{rest}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(stems("ورايه"), ["رايه"]);
        assert_eq!(stems("وبرايه"), ["برايه", "رايه"]);
        assert_eq!(stems("للرايه"), ["لرايه", "الرايه"]);
        assert_eq!(stems("ولد"), [""; 0]);
        assert_eq!(stems("رايه"), [""; 0]);
        let ends: Vec<&str> = without_enclitics("رمادهم", script::ARABIC).collect();
        assert_eq!(ends, ["رماد"]);
    }
}
