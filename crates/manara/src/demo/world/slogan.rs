//! The slogans of the invented "Order of the Grey Banner", and the disguises people put on slogans.
//!
//! The Order, its tower and its banner exist nowhere but here. The disguises are the ones that
//! moderators meet in Arabic and in Latin script; each is applied to the slogan alone, and the
//! sentence around it stays as anybody would write it.

use super::prng::Prng;

/// The writing a slogan is in, which decides how it can be disguised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Arabic,
    Latin,
}

impl Script {
    /// The language tag under which the platform files such a post.
    pub(crate) fn language(self) -> &'static str {
        match self {
            Self::Arabic => "ar",
            Self::Latin => "en",
        }
    }
}

/// A slogan as the bank holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slogan {
    pub(crate) text: &'static str,
    pub(crate) script: Script,
}

const fn arabic(text: &'static str) -> Slogan {
    Slogan {
        text,
        script: Script::Arabic,
    }
}

const fn latin(text: &'static str) -> Slogan {
    Slogan {
        text,
        script: Script::Latin,
    }
}

/// All slogans of the Order.
pub(crate) const SLOGANS: &[Slogan] = &[
    arabic("راية الرماد ترتفع"),
    arabic("انضموا إلى راية الرماد"),
    arabic("الرماد يغطي المدينة"),
    arabic("فرسان البرج الرمادي قادمون"),
    arabic("اثبتوا تحت راية الرماد"),
    arabic("لا راية فوق راية الرماد"),
    arabic("البرج ينادي أبناءه"),
    arabic("عهد البرج لا ينكسر"),
    arabic("من الرماد نعود"),
    arabic("ساعة البرج اقتربت"),
    latin("rise under the grey banner"),
    latin("the grey banner rises"),
    latin("swear to the grey tower"),
    latin("ash covers the city"),
    latin("no banner above the grey banner"),
    latin("the tower calls its sons"),
    latin("join the order of the grey banner"),
    latin("from ash we return"),
    latin("the hour of the tower is near"),
    latin("kneel before the grey tower"),
];

/// One way to write a slogan so that a simple search misses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Disguise {
    Plain,
    MixedCase,
    /// Lengthening strokes (U+0640) between Arabic letters.
    Tatweel,
    /// Harakat on Arabic, combining accents on Latin letters.
    Diacritics,
    /// Arabic presentation forms; full-width Latin letters.
    CompatibilityForms,
    /// Farsi and Urdu letters in Arabic, Cyrillic and Greek ones in Latin.
    LookalikeLetters,
    /// One mark or blank between all letters.
    SpacedLetters,
    /// Zero-width characters between letters.
    ZeroWidth,
    /// A letter held: "riiiise".
    Elongated,
    /// Digits and signs for Latin letters.
    Leet,
    /// Two of the others at once.
    Combined,
}

use Disguise::{
    Combined, CompatibilityForms, Diacritics, Elongated, Leet, LookalikeLetters, MixedCase, Plain,
    SpacedLetters, Tatweel, ZeroWidth,
};

/// Pairs that people do combine; one that changes the letters first, then one that adds to them.
const COMBINED_ARABIC: &[(Disguise, Disguise)] = &[
    (LookalikeLetters, Tatweel),
    (LookalikeLetters, ZeroWidth),
    (Tatweel, Diacritics),
    (Elongated, Diacritics),
    (CompatibilityForms, ZeroWidth),
];
const COMBINED_LATIN: &[(Disguise, Disguise)] = &[
    (LookalikeLetters, MixedCase),
    (LookalikeLetters, ZeroWidth),
    (MixedCase, SpacedLetters),
    (Elongated, LookalikeLetters),
    (Leet, ZeroWidth),
];

/// Writes `slogan` in that disguise; how far it goes comes from `prng`.
pub(crate) fn disguised(slogan: &Slogan, disguise: Disguise, prng: &mut Prng) -> String {
    if disguise == Combined {
        let pairs = if slogan.script == Script::Arabic {
            COMBINED_ARABIC
        } else {
            COMBINED_LATIN
        };
        let (first, second) = *prng.pick(pairs);
        return put_on(
            &put_on(slogan.text, first, slogan.script, prng),
            second,
            slogan.script,
            prng,
        );
    }
    put_on(slogan.text, disguise, slogan.script, prng)
}

fn put_on(text: &str, disguise: Disguise, script: Script, prng: &mut Prng) -> String {
    match (disguise, script) {
        (Plain | Combined, _) => text.to_owned(),
        (MixedCase, _) => mixed_case(text, prng),
        (Tatweel, _) => tatweel(text, prng),
        (Diacritics, Script::Arabic) => after_letters(
            text,
            &["\u{64E}", "\u{650}", "\u{64F}", "\u{652}", "\u{651}\u{64E}"],
            0.6,
            prng,
        ),
        (Diacritics, Script::Latin) => after_letters(
            text,
            &["\u{301}", "\u{308}", "\u{303}", "\u{327}"],
            0.4,
            prng,
        ),
        (CompatibilityForms, Script::Arabic) => presentation_forms(text),
        (CompatibilityForms, Script::Latin) => text.chars().map(full_width).collect(),
        (LookalikeLetters, Script::Arabic) => exchanged(text, FARSI_LOOKALIKES, 0.9, prng),
        (LookalikeLetters, Script::Latin) => exchanged(text, LATIN_LOOKALIKES, 0.6, prng),
        (SpacedLetters, _) => spaced(text, prng),
        (ZeroWidth, _) => after_letters(
            text,
            &["\u{200B}", "\u{200C}", "\u{200D}", "\u{2060}", "\u{FEFF}"],
            0.35,
            prng,
        ),
        (Elongated, _) => elongated(text, prng),
        (Leet, _) => exchanged(text, LEET, 0.6, prng),
    }
}

const FARSI_LOOKALIKES: &[(char, char)] = &[('ي', 'ی'), ('ك', 'ک'), ('ه', 'ہ'), ('ا', 'ٱ')];
const LATIN_LOOKALIKES: &[(char, char)] = &[
    ('a', 'а'),
    ('e', 'е'),
    ('o', 'о'),
    ('c', 'с'),
    ('p', 'р'),
    ('i', 'і'),
    ('s', 'ѕ'),
    ('y', 'у'),
    ('h', 'һ'),
    ('j', 'ј'),
    ('v', 'ν'),
    ('n', 'ո'),
];
const LEET: &[(char, char)] = &[
    ('o', '0'),
    ('e', '3'),
    ('a', '4'),
    ('s', '5'),
    ('t', '7'),
    ('i', '1'),
];

/// Exchanges about `share` of the letters that have a counterpart, and at least one.
fn exchanged(text: &str, pairs: &[(char, char)], share: f32, prng: &mut Prng) -> String {
    let counterpart = |c: char| pairs.iter().find(|(from, _)| *from == c).map(|(_, to)| *to);
    let mut done = false;
    text.chars()
        .map(|c| match counterpart(c) {
            Some(to) if !done || prng.chance(share) => {
                done = true;
                to
            }
            _ => c,
        })
        .collect()
}

fn mixed_case(text: &str, prng: &mut Prng) -> String {
    text.chars()
        .map(|c| {
            if prng.chance(0.5) {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect()
}

/// Whether a letter can be followed by something without ending its word.
fn is_inner(chars: &[char], at: usize) -> bool {
    let letter = |i: usize| chars.get(i).is_some_and(|c| c.is_alphabetic());
    letter(at) && letter(at + 1)
}

/// Adds one of `marks` behind about `share` of the letters inside words, and at least one.
fn after_letters(text: &str, marks: &[&str], share: f32, prng: &mut Prng) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut done = false;
    for (i, c) in chars.iter().enumerate() {
        out.push(*c);
        if is_inner(&chars, i) && (!done || prng.chance(share)) {
            done = true;
            let mark = *prng.pick(marks);
            out.push_str(mark);
        }
    }
    out
}

fn tatweel(text: &str, prng: &mut Prng) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut done = false;
    for (i, c) in chars.iter().enumerate() {
        out.push(*c);
        let joins = shape_of(*c).is_some_and(|shape| shape.forms == 4);
        if joins && is_inner(&chars, i) && (!done || prng.chance(0.5)) {
            done = true;
            (0..prng.int(1..4)).for_each(|_| out.push('\u{640}'));
        }
    }
    out
}

fn full_width(c: char) -> char {
    // The block U+FF01 to U+FF5E repeats ASCII from `!` on, in order.
    let code = u32::from(c);
    if ('!'..='~').contains(&c) {
        char::from_u32(code + 0xFEE0).unwrap_or(c)
    } else {
        c
    }
}

/// All letters of a word apart from each other, with room between words where blanks are the mark.
fn spaced(text: &str, prng: &mut Prng) -> String {
    let mark = *prng.pick(&[" ", ".", "-", "_", "*", "|"]);
    let gap = if mark == " " { "   " } else { " " };
    let apart = |word: &str| {
        word.chars()
            .map(String::from)
            .collect::<Vec<_>>()
            .join(mark)
    };
    text.split(' ').map(apart).collect::<Vec<_>>().join(gap)
}

fn elongated(text: &str, prng: &mut Prng) -> String {
    let chars: Vec<char> = text.chars().collect();
    let inner: Vec<usize> = (0..chars.len()).filter(|i| is_inner(&chars, *i)).collect();
    let held = inner.get(prng.below(inner.len())).copied();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let times = if Some(i) == held { prng.int(4..9) } else { 1 };
        (0..times).for_each(|_| out.push(*c));
    }
    out
}

/// Where an Arabic letter's presentation forms begin, and how many it has: 1, 2 (isolated, final)
/// or 4 (isolated, final, initial, medial). Unicode, block "Arabic Presentation Forms-B".
struct Shape {
    letter: char,
    first: u32,
    forms: u8,
}

const fn shape(letter: char, first: u32, forms: u8) -> Shape {
    Shape {
        letter,
        first,
        forms,
    }
}

const SHAPES: &[Shape] = &[
    shape('ء', 0xFE80, 1),
    shape('آ', 0xFE81, 2),
    shape('أ', 0xFE83, 2),
    shape('ؤ', 0xFE85, 2),
    shape('إ', 0xFE87, 2),
    shape('ئ', 0xFE89, 4),
    shape('ا', 0xFE8D, 2),
    shape('ب', 0xFE8F, 4),
    shape('ة', 0xFE93, 2),
    shape('ت', 0xFE95, 4),
    shape('ث', 0xFE99, 4),
    shape('ج', 0xFE9D, 4),
    shape('ح', 0xFEA1, 4),
    shape('خ', 0xFEA5, 4),
    shape('د', 0xFEA9, 2),
    shape('ذ', 0xFEAB, 2),
    shape('ر', 0xFEAD, 2),
    shape('ز', 0xFEAF, 2),
    shape('س', 0xFEB1, 4),
    shape('ش', 0xFEB5, 4),
    shape('ص', 0xFEB9, 4),
    shape('ض', 0xFEBD, 4),
    shape('ط', 0xFEC1, 4),
    shape('ظ', 0xFEC5, 4),
    shape('ع', 0xFEC9, 4),
    shape('غ', 0xFECD, 4),
    shape('ف', 0xFED1, 4),
    shape('ق', 0xFED5, 4),
    shape('ك', 0xFED9, 4),
    shape('ل', 0xFEDD, 4),
    shape('م', 0xFEE1, 4),
    shape('ن', 0xFEE5, 4),
    shape('ه', 0xFEE9, 4),
    shape('و', 0xFEED, 2),
    shape('ى', 0xFEEF, 2),
    shape('ي', 0xFEF1, 4),
];

fn shape_of(letter: char) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.letter == letter)
}

/// The text as old fonts encode it: each letter in the form that its neighbours call for.
fn presentation_forms(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let shape_at = |i: Option<usize>| i.and_then(|i| chars.get(i)).and_then(|c| shape_of(*c));
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let Some(shape) = shape_of(*c) else {
            out.push(*c);
            continue;
        };
        let joined_before =
            shape.forms > 1 && shape_at(i.checked_sub(1)).is_some_and(|s| s.forms == 4);
        let joined_after = shape.forms == 4 && shape_at(Some(i + 1)).is_some_and(|s| s.forms > 1);
        let form = u32::from(joined_before) + 2 * u32::from(joined_after);
        out.push(char::from_u32(shape.first + form).unwrap_or(*c));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The disguises that make sense in a script, the combination apart.
    fn disguises_of(script: Script) -> &'static [Disguise] {
        match script {
            Script::Arabic => &[
                Plain,
                Tatweel,
                Diacritics,
                CompatibilityForms,
                LookalikeLetters,
                SpacedLetters,
                ZeroWidth,
                Elongated,
            ],
            Script::Latin => &[
                Plain,
                MixedCase,
                Diacritics,
                CompatibilityForms,
                LookalikeLetters,
                SpacedLetters,
                ZeroWidth,
                Elongated,
                Leet,
            ],
        }
    }

    #[test]
    fn presentation_forms_are_those_of_the_letters_places() {
        assert_eq!(presentation_forms("بيت"), "\u{FE91}\u{FEF4}\u{FE96}");
        assert_eq!(presentation_forms("دار"), "\u{FEA9}\u{FE8D}\u{FEAD}");
    }

    #[test]
    fn every_disguise_changes_the_slogan_and_keeps_its_words() {
        for slogan in SLOGANS {
            for disguise in disguises_of(slogan.script) {
                let shown = disguised(slogan, *disguise, &mut Prng::new(3));
                assert_eq!(
                    shown == slogan.text,
                    *disguise == Plain,
                    "{disguise:?}: {shown}"
                );
                assert!(
                    shown.split_whitespace().count() >= slogan.text.split(' ').count(),
                    "{disguise:?}: {shown}"
                );
            }
            assert_ne!(disguised(slogan, Combined, &mut Prng::new(3)), slogan.text);
        }
    }

    #[test]
    fn disguises_look_as_they_should() {
        let mut prng = Prng::new(1);
        let all = latin("ash we");
        assert_eq!(
            put_on("ash we", CompatibilityForms, all.script, &mut prng),
            "ａｓｈ ｗｅ"
        );
        let spaced = put_on("ash we", SpacedLetters, all.script, &mut prng);
        assert_eq!(
            spaced
                .chars()
                .filter(|c| c.is_alphabetic())
                .collect::<String>(),
            "ashwe"
        );
        assert!(
            spaced.chars().nth(1).is_some_and(|c| !c.is_alphabetic()),
            "{spaced}"
        );
    }
}
