//! What a name sounds like, as far as Arabic and Latin letters agree on it.
//!
//! Both are reduced to consonants, with what stands between them kept for a second look:
//!
//! | consonant | Arabic | Latin |
//! |---|---|---|
//! | `b` | ب پ | b p |
//! | `t` | ت ث ط | t th, 6 |
//! | `k` | ج غ ق ك گ | c g gh j dj k q ck, 8 |
//! | `h` | ح ه | h, 7 |
//! | `x` | خ | kh, 5 |
//! | `d` | د ذ ض | d dh |
//! | `r` `l` `m` `n` | ر ل م ن | r l m n |
//! | `z` | ز ژ ظ | z zh |
//! | `s` | س ش ص چ | s sh ch, 9 |
//! | `f` | ف | f ph v |
//! | (none) | ء ع ؤ ئ ا و ي | vowels, w, y, 2, 3 |
//!
//! Names are looked up by these classes, and then compared letter by letter: `sh` is ش but not س, `q` is ق
//! but not ج ([`fits`]). A long vowel written in Arabic must stand in the Latin name too (ا as a or e, و as o, u or w, ي as
//! i, e or y), and a Latin w or y in the Arabic one. The article is left out with its assimilated
//! forms (`al-ramad`, `ar-ramad`), and so is the ending ة with its t or h (`raya`, `rayah`, `rayat`). For names run
//! together there is a second reading with the article's `l`, and a third with it assimilated.
//! Sources of the table: ISO 233, ALA-LC and the spellings of Arabic chat.

use super::fold::Glyph;

/// What may stand, or must stand, between two consonants.
mod vowel {
    pub(super) const A: u8 = 1;
    pub(super) const W: u8 = 2;
    pub(super) const Y: u8 = 4;
    /// A Latin `w`, `y`: consonants that Arabic writes.
    pub(super) const HARD_W: u8 = 8;
    pub(super) const HARD_Y: u8 = 16;
}

/// One reading of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sounds {
    /// Classes of consonants, see the table.
    pub(super) consonants: String,
    /// What stands before the first consonant.
    lead: Gap,
    /// Of each consonant, the letter it is written with (Latin digraphs as one, see [`latin_sound`])
    /// and what stands after it.
    letters: Vec<(char, Gap)>,
    /// Arabic only: consonants and long vowels.
    units: usize,
}

/// What stands between two consonants: vowels that are written there, or must be; Arabic only, what
/// may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Gap {
    vowels: u8,
    allowed: u8,
}

impl Gap {
    /// Whether what stands here in Arabic may be said as what stands there in Latin.
    fn said_as(self, latin: Self) -> bool {
        let hard = |bit: u8, vowel: u8| latin.vowels & bit == 0 || self.allowed & vowel > 0;
        self.vowels & !latin.vowels == 0
            && hard(vowel::HARD_W, vowel::W)
            && hard(vowel::HARD_Y, vowel::Y)
    }
}

/// In which letters a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Arabic,
    Latin,
}

/// The readings of a name written in Arabic or in Latin letters only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) writing: Writing,
    pub(super) readings: Vec<Sounds>,
}

/// Fewest consonants, and consonants and long vowels together, that a name is compared by.
const CONSONANTS_MIN: usize = 4;
const UNITS_MIN: usize = 6;

impl Sounds {
    /// Whether there is enough of it to look up.
    pub(super) fn tells(&self) -> bool {
        self.consonants.len() >= CONSONANTS_MIN
    }

    /// Whether an Arabic name (`self`) may be said as a Latin one.
    pub(super) fn said_as(&self, latin: &Self) -> bool {
        let mut pairs = self.letters.iter().zip(&latin.letters);
        self.tells()
            && self.units >= UNITS_MIN
            && self.consonants == latin.consonants
            && self.lead.said_as(latin.lead)
            && pairs.all(|((a, gap), (l, other))| fits(*a, *l) && gap.said_as(*other))
    }

    fn consonant(&mut self, class: char, letter: char) {
        self.consonants.push(class);
        self.letters.push((letter, Gap::default()));
        self.units += 1;
    }

    fn vowel(&mut self, needed: u8, allowed: u8) {
        let gap = self
            .letters
            .last_mut()
            .map_or(&mut self.lead, |(_, gap)| gap);
        gap.vowels |= needed;
        gap.allowed |= needed | allowed;
        self.units += usize::from(needed > 0);
    }

    /// Drops the t or h with which a Latin word just read ends, as the Arabic ending ة does; whether
    /// there was one.
    fn drop_ending(&mut self, from: usize) -> bool {
        let ends = match self.letters.get(from..).unwrap_or_default() {
            [.., (_, before), ('t' | 'h', after)] => {
                before.vowels & vowel::A > 0
                    && before.vowels & vowel::HARD_Y == 0
                    && after.vowels == 0
            }
            _ => false,
        };
        if ends {
            self.consonants.pop();
            self.letters.pop();
            self.units -= 1;
        }
        ends
    }
}

/// The readings of a name's words.
pub(super) fn spoken(words: &[Vec<Glyph>]) -> Option<Spoken> {
    let mut letters = words
        .iter()
        .flatten()
        .filter(|g| !g.folded.is_ascii() || g.folded.is_ascii_alphabetic());
    let writing = match letters.clone().next()?.folded {
        'a'..='z' => Writing::Latin,
        c if is_arabic(c) => Writing::Arabic,
        _ => return None,
    };
    let same = |glyph: &Glyph| match writing {
        Writing::Latin => glyph.folded.is_ascii(),
        Writing::Arabic => is_arabic(glyph.folded),
    };
    if !letters.all(same) {
        return None;
    }
    let mut readings: Vec<Sounds> = Vec::with_capacity(4);
    let mut add = |sounds: Sounds| {
        if sounds.tells() && !readings.contains(&sounds) {
            readings.push(sounds);
        }
    };
    match writing {
        Writing::Arabic => {
            for style in [Style::WordByWord, Style::Together, Style::Assimilated] {
                add(arabic(words, style));
            }
        }
        Writing::Latin => {
            let words: Vec<Vec<char>> = words.iter().map(|word| latin_letters(word)).collect();
            let mut both = |words: &[Vec<char>]| {
                let (sounds, dropped) = latin(words, true);
                add(sounds);
                if dropped {
                    add(latin(words, false).0);
                }
            };
            both(&words);
            if words.len() > 1 {
                both(&[words.concat()]);
            }
        }
    }
    (!readings.is_empty()).then_some(Spoken { writing, readings })
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}')
}

/// How the words of an Arabic name are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    WordByWord,
    Together,
    Assimilated,
}

fn arabic(words: &[Vec<Glyph>], style: Style) -> Sounds {
    let mut out = Sounds::default();
    for (at, word) in words.iter().enumerate() {
        let last = at + 1 == words.len();
        let rest = match word.as_slice() {
            [alef, lam, rest @ ..]
                if (alef.folded, lam.folded) == ('ا', 'ل') && rest.len() >= 2 =>
            {
                let sun = rest.first().is_some_and(|g| is_sun_letter(g.folded));
                if style == Style::Together || style == Style::Assimilated && !sun {
                    out.consonant('l', 'ل');
                }
                rest
            }
            all => all,
        };
        arabic_word(&mut out, rest, style == Style::WordByWord || last);
    }
    out
}

/// Letters to which the `l` of the article is assimilated.
fn is_sun_letter(c: char) -> bool {
    "تثدذرزسشصضطظلن".contains(c)
}

fn arabic_word(out: &mut Sounds, word: &[Glyph], alone: bool) {
    let mut before = '\0';
    for (at, glyph) in word.iter().enumerate() {
        let (first, last) = (at == 0, at + 1 == word.len());
        match glyph.folded {
            'ا' if first || glyph.typed != 'ا' => out.vowel(0, 0),
            'ا' => out.vowel(vowel::A, 0),
            'و' => out.vowel(vowel::W, 0),
            'ي' if last => out.vowel(0, vowel::Y),
            'ي' => out.vowel(vowel::Y, 0),
            'ؤ' => out.vowel(0, vowel::W),
            'ئ' => out.vowel(0, vowel::Y),
            // Said as t before another word, and not at all at the end.
            'ه' if last => {
                if !alone && glyph.typed == 'ة' {
                    out.consonant('t', 'ت');
                }
            }
            'ل' if before == 'ل' => {}
            c => {
                if let Some(class) = arabic_consonant(c) {
                    out.consonant(class, c);
                }
            }
        }
        before = glyph.folded;
    }
}

fn arabic_consonant(c: char) -> Option<char> {
    Some(match c {
        'ب' | 'پ' => 'b',
        'ت' | 'ث' | 'ط' | 'ٹ' => 't',
        'ج' | 'غ' | 'ق' | 'ك' | 'گ' => 'k',
        'ح' | 'ه' => 'h',
        'خ' => 'x',
        'د' | 'ذ' | 'ض' | 'ڈ' => 'd',
        'ر' | 'ڑ' => 'r',
        'ز' | 'ژ' | 'ظ' => 'z',
        'س' | 'ش' | 'ص' | 'چ' => 's',
        'ف' | 'ڤ' => 'f',
        'ل' => 'l',
        'م' => 'm',
        'ن' | 'ں' => 'n',
        _ => return None,
    })
}

/// The letters of a Latin word; digits that are no Arabic sounds, by their shape.
fn latin_letters(word: &[Glyph]) -> Vec<char> {
    let read = |glyph: &Glyph| match glyph.folded {
        '0' => 'o',
        '1' | '!' => 'i',
        '4' | '@' => 'a',
        '$' => 's',
        '€' => 'e',
        c => c,
    };
    word.iter().map(read).collect()
}

/// One reading of a Latin name, and whether an ending was dropped.
fn latin(words: &[Vec<char>], drop_endings: bool) -> (Sounds, bool) {
    let (mut out, mut dropped) = (Sounds::default(), false);
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map(Vec::as_slice);
        if is_article(word, next.unwrap_or_default()) {
            continue;
        }
        let from = out.consonants.len();
        latin_word(&mut out, without_article(word));
        if drop_endings {
            dropped |= out.drop_ending(from);
        }
    }
    (out, dropped)
}

/// Whether a word is the article of the next: `al`, `el`, or `ar` before r.
fn is_article(word: &[char], next: &[char]) -> bool {
    match word {
        ['a' | 'e' | 'u' | 'i', 'l'] => !next.is_empty(),
        ['a' | 'e' | 'u' | 'i', rest @ ..] if (1..=2).contains(&rest.len()) => {
            is_sun_sound(rest) && next.starts_with(rest)
        }
        _ => false,
    }
}

fn is_sun_sound(letters: &[char]) -> bool {
    matches!(
        letters,
        ['t' | 'd' | 'r' | 'z' | 's' | 'n'] | ['t' | 'd' | 's', 'h']
    )
}

/// A word without the article at its start, if enough is left of it.
fn without_article(word: &[char]) -> &[char] {
    let rest = match word {
        ['a' | 'e' | 'u', 'l', rest @ ..] => rest,
        ['a' | 'e' | 'u', one, 'h', two, 'h', ..] if one == two && is_sun_sound(&[*one, 'h']) => {
            word.get(3..).unwrap_or_default()
        }
        ['a' | 'e' | 'u', one, two, ..] if one == two && is_sun_sound(&[*one]) => {
            word.get(2..).unwrap_or_default()
        }
        _ => return word,
    };
    if rest.len() >= 3 { rest } else { word }
}

fn latin_word(out: &mut Sounds, word: &[char]) {
    use vowel::{A, HARD_W, HARD_Y, W, Y};
    let mut rest = word;
    let mut before: &[char] = &[];
    while let Some(c) = rest.first() {
        let len = match rest {
            ['t' | 's' | 'k' | 'g' | 'd' | 'c' | 'p' | 'z', 'h', ..]
            | ['d', 'j', ..]
            | ['c', 'k', ..] => 2,
            _ => 1,
        };
        let sound = rest.get(..len).unwrap_or_default();
        rest = rest.get(len..).unwrap_or_default();
        match c {
            'a' => out.vowel(A, 0),
            'e' => out.vowel(A | Y, 0),
            'i' => out.vowel(Y, 0),
            'o' | 'u' => out.vowel(W, 0),
            'w' => out.vowel(W | HARD_W, 0),
            'y' => out.vowel(Y | HARD_Y, 0),
            // Doubled letters are one sound.
            _ if sound == before => {}
            'x' if !matches!(sound, ['x', _]) => {
                out.consonant('k', 'k');
                out.consonant('s', 's');
            }
            _ => {
                if let Some(class) = latin_consonant(sound) {
                    out.consonant(class, latin_sound(sound));
                }
            }
        }
        before = sound;
    }
}

/// A Latin consonant as one character: Greek letters for kh, gh, th and dh.
fn latin_sound(sound: &[char]) -> char {
    match sound {
        ['k', 'h'] | ['5'] => 'χ',
        ['g', 'h'] => 'γ',
        ['t', 'h'] => 'θ',
        ['d', 'h'] => 'δ',
        ['s', 'h'] => 'š',
        ['c', 'h'] => 'č',
        ['d', 'j'] => 'j',
        ['p', 'h'] | ['v'] => 'f',
        ['6'] => 't',
        ['7'] => 'h',
        [first, ..] => *first,
        [] => ' ',
    }
}

/// Whether an Arabic letter is written so in Latin letters, as [`latin_sound`] gives them.
fn fits(arabic: char, latin: char) -> bool {
    let written = match arabic {
        'ب' => "b",
        'پ' => "pb",
        'ت' | 'ط' | 'ٹ' => "t",
        'ث' => "θts",
        'ج' => "jgc",
        'غ' => "γg8",
        'ق' => "qkg8",
        'ك' => "kcq",
        'گ' => "g",
        'ح' | 'ه' => "h",
        'خ' => "χ",
        'د' | 'ڈ' => "d",
        'ذ' | 'ض' => "dδ",
        'س' => "s",
        'ص' => "s9",
        'ش' => "šč",
        'چ' => "č",
        _ => return true,
    };
    written.contains(latin)
}

fn latin_consonant(sound: &[char]) -> Option<char> {
    Some(match sound {
        ['b' | 'p'] => 'b',
        ['t', ..] | ['6'] => 't',
        ['k', 'h'] | ['5'] => 'x',
        ['z', ..] => 'z',
        ['c', 'h'] | ['s', ..] | ['9'] => 's',
        ['d', 'j'] | ['c' | 'g' | 'j' | 'k' | 'q', ..] | ['8'] => 'k',
        ['d', ..] => 'd',
        ['h' | '7'] => 'h',
        ['p', 'h'] | ['f' | 'v'] => 'f',
        [c @ ('r' | 'l' | 'm' | 'n')] => *c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::super::stem::stems;
    use super::*;

    fn readings(name: &str) -> Vec<Sounds> {
        let stems = stems(&fold(name));
        let spoken = stems.iter().filter_map(|stem| spoken(&stem.words));
        spoken.flat_map(|spoken| spoken.readings).collect()
    }

    #[track_caller]
    fn check(arabic: &str, latin: &str, expect: bool) {
        let (a, b) = (readings(arabic), readings(latin));
        let said = a.iter().any(|a| b.iter().any(|b| a.said_as(b)));
        let shown = |all: &[Sounds]| all.iter().map(|s| s.consonants.clone()).collect::<Vec<_>>();
        assert_eq!(
            said,
            expect,
            "{arabic} {:?}, {latin} {:?}",
            shown(&a),
            shown(&b)
        );
    }

    #[test]
    fn the_same_name_in_both_writings() {
        check("راية الرماد", "rayat_alramad", true);
        check("راية الرماد", "rayat_al_ramad", true);
        check("راية الرماد", "Rayat ar-Ramad", true);
        check("راية الرماد", "raya_arramad", true);
        check("راية الرماد", "rayatalramad", true);
        check("راية الرماد", "rayatarramad", true);
        check("راية الرماد", "RaiatElRamad", true);
        check("راية الرماد", "r4yat_4lramad", true);
        check("شمس الخريف", "shams_alkharif", true);
        check("شمس الخريف", "shams_al5arif", true);
        check("عبد الرحيق", "3abd_alra7iq", true);
        check("گلستان پاییز", "golestan_paiiz", true);
    }

    #[test]
    fn names_that_only_resemble_each_other() {
        check("راية الرماد", "rare_moody", false);
        check("راية الرماد", "rayat_alramal", false);
        check("راية الرماد", "error_made", false);
        check("راية الرماد", "riwayat_ramad", false);
        check("رماد", "ramad", false); // Too short to tell.
    }
}
