//! What each character is to the normaliser, worked out once per page of 256 characters.

use super::key::Evasion;
use icu_casemap::CaseMapper;
use std::sync::OnceLock;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_script::{Script, UnicodeScript};

/// How the normaliser treats a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a word; one character in both keys unless a mark follows.
    Letter,
    /// A word of its own: ideographs, kana, letters of scripts written without spaces.
    Alone,
    /// A word of its own whose invisible companions belong to it.
    Emoji,
    /// Between words.
    Separator,
    /// Attaches to the character before it, and may change it.
    Mark,
    /// An Arabic vowel sign: attaches, changes nothing, is not in the folded key.
    Vowel,
    /// Invisible: in neither key.
    Hidden,
    /// Needs the full algorithm: becomes several characters.
    Complex,
}

/// The scripts that are told apart, as a set.
pub(super) mod script {
    pub(in crate::text) const LATIN: u8 = 1;
    pub(in crate::text) const CYRILLIC: u8 = 2;
    pub(in crate::text) const GREEK: u8 = 4;
    pub(in crate::text) const ARABIC: u8 = 8;
    /// Other scripts with letters that imitate Latin ones.
    pub(in crate::text) const IMITATING: u8 = 16;
    pub(in crate::text) const OTHER: u8 = 32;
}

/// What a character becomes. Characters of kind `Mark`, `Hidden` and `Complex` use only some fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// In the strict key.
    pub(super) strict: char,
    /// In the folded key, before look-alikes.
    pub(super) plain: char,
    /// The Latin letter it looks like or is, in lower case, or 0.
    pub(super) latin: u8,
    pub(super) script: u8,
    pub(super) upper: bool,
    /// What is undone by taking `strict` for it.
    pub(super) evasion: Option<Evasion>,
    /// What is undone by taking `plain` for `strict`.
    pub(super) folding: Option<Evasion>,
}

type Page = Box<[Entry]>;
static PAGES: [OnceLock<Page>; 0x200] = [const { OnceLock::new() }; 0x200];

/// What `c` is.
#[inline]
pub(super) fn entry(c: char) -> Entry {
    let code = c as u32;
    let Some(page) = PAGES.get((code >> 8) as usize) else {
        return work_out(c);
    };
    let page = page.get_or_init(|| page_of(code >> 8));
    page.get((code & 0xff) as usize)
        .copied()
        .unwrap_or_else(|| work_out(c))
}

fn page_of(page: u32) -> Page {
    let at = |low: u32| char::from_u32((page << 8) | low).map_or(SEPARATOR, work_out);
    (0..256).map(at).collect()
}

/// What a character below U+0800 becomes, if that is one character of the same length in UTF-8 and
/// nothing more is to be noted about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) kind: SimpleKind,
    pub(super) script: u8,
    /// As in [`Entry`].
    pub(super) latin: u8,
    strict: u16,
    plain: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimpleKind {
    Letter,
    Separator,
    /// Not simple.
    Other,
}

/// What is not simple.
pub(super) const NOT_SIMPLE: Simple = Simple {
    kind: SimpleKind::Other,
    script: 0,
    latin: 0,
    strict: 0,
    plain: 0,
};

impl Simple {
    #[inline]
    pub(super) fn strict(self) -> char {
        char::from_u32(u32::from(self.strict)).unwrap_or(' ')
    }
    #[inline]
    pub(super) fn plain(self) -> char {
        char::from_u32(u32::from(self.plain)).unwrap_or(' ')
    }
}

/// Characters below this have an entry in [`simple_table`].
pub(super) const SIMPLE_END: usize = 0x800;

/// The simple characters, by number.
pub(super) fn simple_table() -> &'static [Simple; SIMPLE_END] {
    static TABLE: OnceLock<Box<[Simple; SIMPLE_END]>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Box::new([NOT_SIMPLE; SIMPLE_END]);
        for (code, simple) in (0..).zip(table.iter_mut()) {
            *simple = char::from_u32(code).map_or(NOT_SIMPLE, simple_of);
        }
        table
    })
}

fn simple_of(c: char) -> Simple {
    let entry = entry(c);
    let kind = match entry.kind {
        Kind::Letter => SimpleKind::Letter,
        Kind::Separator if entry.strict == c && entry.plain == c => SimpleKind::Separator,
        _ => SimpleKind::Other,
    };
    let len = c.len_utf8();
    let same_length = entry.strict.len_utf8() == len && entry.plain.len_utf8() == len;
    if !same_length || entry.evasion.is_some() || entry.folding.is_some() {
        return NOT_SIMPLE;
    }
    Simple {
        kind,
        script: entry.script,
        latin: entry.latin,
        strict: entry.strict as u16,
        plain: entry.plain as u16,
    }
}

const SEPARATOR: Entry = Entry {
    kind: Kind::Separator,
    strict: ' ',
    plain: ' ',
    latin: 0,
    script: 0,
    upper: false,
    evasion: None,
    folding: None,
};

pub(super) const TATWEEL: char = '\u{640}';
pub(super) const JOINER: char = '\u{200d}';

fn work_out(c: char) -> Entry {
    let blank = Entry {
        strict: c,
        plain: c,
        ..SEPARATOR
    };
    if let Some(evasion) = hidden(c) {
        return Entry {
            kind: Kind::Hidden,
            evasion: Some(evasion),
            ..blank
        };
    }
    if is_vowel_sign(c) {
        return Entry {
            kind: Kind::Vowel,
            ..blank
        };
    }
    let attaches = is_combining_mark(c) || canonical_combining_class(c) != 0;
    let quick = is_nfkc_quick(std::iter::once(c));
    let mut normal_chars = std::iter::once(c).nfkc();
    let (first, second) = (normal_chars.next(), normal_chars.next());
    // Halfwidth voicing marks, for one, are letters that become marks.
    let becomes_mark = quick != IsNormalized::Yes && first.is_some_and(|first| !is_starter(first));
    if attaches || quick == IsNormalized::Maybe || becomes_mark || isolated_mark(c).is_some() {
        return Entry {
            kind: Kind::Mark,
            evasion: form(c, c),
            ..blank
        };
    }
    // Most compatibility characters stand for one ordinary character and need no more than that.
    let normal = match (quick, first, second) {
        _ if spelt_out(c).is_some() => {
            return Entry {
                kind: Kind::Complex,
                evasion: form(c, 'a'),
                ..blank
            };
        }
        (IsNormalized::Yes, ..) => c,
        (_, Some(one), None) if is_starter(one) => one,
        _ => {
            return Entry {
                kind: Kind::Complex,
                evasion: form(c, 'a'),
                ..blank
            };
        }
    };
    let Some(strict) = case_folded(normal) else {
        return Entry {
            kind: Kind::Complex,
            ..blank
        };
    };
    let strict = digit(strict).unwrap_or(strict);
    let mut entry = settled(normal, strict);
    if !matches!(entry.kind, Kind::Separator | Kind::Emoji) {
        entry.evasion = form(c, strict);
    }
    entry
}

/// What a character is that `normal` has become by case folding and that nothing changes any more.
pub(super) fn settled(normal: char, strict: char) -> Entry {
    let kind = kind_of(strict);
    if matches!(kind, Kind::Separator | Kind::Emoji) {
        return Entry {
            kind,
            strict,
            plain: strict,
            ..SEPARATOR
        };
    }
    let plain = plain(strict);
    Entry {
        kind,
        strict,
        plain,
        latin: looks_like(normal, plain),
        script: script_of(plain),
        upper: normal.is_uppercase(),
        evasion: None,
        folding: folding(strict, plain),
    }
}

fn is_starter(c: char) -> bool {
    !is_combining_mark(c)
        && canonical_combining_class(c) == 0
        && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes
        && hidden(c).is_none()
}

/// Full case folding where it gives one normalised character.
fn case_folded(c: char) -> Option<char> {
    let mut buffer = [0; 4];
    let folded = CaseMapper::new().fold_string(c.encode_utf8(&mut buffer));
    let mut chars = folded.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one == c || is_starter(one) => Some(one),
        _ => None,
    }
}

/// What makes `c` invisible, if it is: Unicode's default ignorable code points, tatweel among them.
fn hidden(c: char) -> Option<Evasion> {
    match c {
        TATWEEL | '\u{7fa}' => Some(Evasion::Tatweel),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(Evasion::Bidi)
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Some(Evasion::ZeroWidth),
        _ => None,
    }
}

/// Vowel signs and reading marks written over Arabic letters. Madda and hamza (U+0653–0655) are not
/// here: they make other letters.
fn is_vowel_sign(c: char) -> bool {
    matches!(c,
        '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{652}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}')
}

/// Marks that the folded key drops after whatever letter they stand.
pub(super) fn is_dropped_mark(c: char) -> bool {
    is_vowel_sign(c)
        || matches!(c,
            '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{653}'..='\u{65f}'
            | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Presentation forms of lone vowel signs, which NFKC would turn into a space and the sign: a way
/// to cut a word in two. Gives the signs.
pub(super) fn isolated_mark(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{fc5e}' => "\u{64c}\u{651}",
        '\u{fc5f}' => "\u{64d}\u{651}",
        '\u{fc60}' | '\u{fcf2}' => "\u{64e}\u{651}",
        '\u{fc61}' | '\u{fcf3}' => "\u{64f}\u{651}",
        '\u{fc62}' | '\u{fcf4}' => "\u{650}\u{651}",
        '\u{fc63}' => "\u{651}\u{670}",
        '\u{fe70}' | '\u{fe71}' => "\u{64b}",
        '\u{fe72}' => "\u{64c}",
        '\u{fe74}' => "\u{64d}",
        '\u{fe76}' | '\u{fe77}' => "\u{64e}",
        '\u{fe78}' | '\u{fe79}' => "\u{64f}",
        '\u{fe7a}' | '\u{fe7b}' => "\u{650}",
        '\u{fe7c}' | '\u{fe7d}' => "\u{651}",
        '\u{fe7e}' | '\u{fe7f}' => "\u{652}",
        _ => return None,
    })
}

/// Word ligatures for which Unicode has no decomposition, or one in Persian spelling.
pub(super) fn spelt_out(c: char) -> Option<&'static str> {
    match c {
        '\u{fdfc}' => Some("ريال"),
        '\u{fdfd}' => Some("بسم الله الرحمن الرحيم"),
        _ => None,
    }
}

/// Whether writing `c` for `ordinary` is a disguise of a letter or digit.
fn form(c: char, ordinary: char) -> Option<Evasion> {
    match c {
        '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => Some(Evasion::PresentationForm),
        '\u{24b6}'..='\u{24e9}'
        | '\u{ff10}'..='\u{ff5a}'
        | '\u{1d400}'..='\u{1d7ff}'
        | '\u{1f130}'..='\u{1f189}'
            if ordinary.is_alphanumeric() =>
        {
            Some(Evasion::StyledLetter)
        }
        _ => None,
    }
}

/// What kind of word character, if any, a normalised and case-folded character is.
fn kind_of(c: char) -> Kind {
    if is_emoji(c) {
        Kind::Emoji
    } else if !c.is_alphanumeric() {
        Kind::Separator
    } else if is_unspaced(c) {
        Kind::Alone
    } else {
        Kind::Letter
    }
}

/// Pictographs and flags, by block.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{2b05}'..='\u{2b55}' | '\u{1f000}'..='\u{1faff}')
        && !c.is_alphanumeric()
        || matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Skin tones: part of the emoji before them.
pub(super) fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Scripts written without spaces, where words cannot be told by looking at characters.
fn is_unspaced(c: char) -> bool {
    matches!(
        c.script(),
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Bopomofo
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar
            | Script::Tai_Le
            | Script::New_Tai_Lue
            | Script::Tai_Tham
            | Script::Yi
    )
}

fn script_of(c: char) -> u8 {
    match c.script() {
        Script::Common | Script::Inherited | Script::Unknown => 0,
        Script::Latin => script::LATIN,
        Script::Cyrillic => script::CYRILLIC,
        Script::Greek => script::GREEK,
        Script::Arabic => script::ARABIC,
        Script::Armenian
        | Script::Cherokee
        | Script::Coptic
        | Script::Lisu
        | Script::Georgian
        | Script::Deseret => script::IMITATING,
        _ => script::OTHER,
    }
}

/// Zeros of the scripts that have digits (general category Nd): nine more follow each.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

pub(super) fn digit(c: char) -> Option<char> {
    let after = ZEROS.partition_point(|zero| *zero <= c as u32);
    let zero = ZEROS.get(after.checked_sub(1)?)?;
    char::from_digit(c as u32 - zero, 10)
}

/// The letter that the folded key has for a letter of the strict key.
fn plain(c: char) -> char {
    match c {
        '\u{622}' | '\u{623}' | '\u{625}' | '\u{671}' | '\u{672}' | '\u{673}' | '\u{675}' => 'ا',
        '\u{649}' | '\u{6cc}' | '\u{6d2}' | '\u{6d0}' => 'ي',
        '\u{629}' | '\u{6c0}' | '\u{6c1}' | '\u{6c2}' | '\u{6c3}' | '\u{6be}' | '\u{6d5}' => 'ه',
        '\u{6a9}' | '\u{6aa}' => 'ك',
        'ё' | 'ѐ' => 'е',
        'ѝ' => 'и',
        _ => match script_of(c) {
            script::LATIN => {
                let bare = unaccented(c);
                latin_letter(bare).map_or(bare, char::from)
            }
            script::GREEK => match unaccented(c) {
                // Casefolding has already made final sigma an ordinary one.
                bare if bare.is_alphabetic() => bare,
                _ => c,
            },
            _ => c,
        },
    }
}

/// The letter without its accents.
pub(super) fn unaccented(c: char) -> char {
    std::iter::once(c).nfd().next().unwrap_or(c)
}

fn folding(strict: char, plain: char) -> Option<Evasion> {
    if strict == plain || script_of(strict) == script::ARABIC {
        None
    } else if small_capital(strict).is_some() {
        Some(Evasion::StyledLetter)
    } else if unaccented(strict) != strict {
        Some(Evasion::Diacritic)
    } else {
        Some(Evasion::LookAlike)
    }
}

/// The Latin letter, 0 for none, that a letter is taken for. Case matters: `Н` looks like H, and
/// `ν` like v though `Ν` looks like N.
fn looks_like(normal: char, plain: char) -> u8 {
    if plain.is_ascii_alphabetic() {
        return plain as u8;
    }
    match script_of(plain) {
        script::LATIN | script::OTHER => 0,
        _ => latin_letter(normal)
            .or_else(|| normal.to_uppercase().next().and_then(latin_letter))
            .unwrap_or(0),
    }
}

/// The ASCII letter to which UTS #39 reduces a character, marks aside, in lower case.
fn latin_letter(c: char) -> Option<u8> {
    if c.is_ascii_alphabetic() {
        return Some(c.to_ascii_lowercase() as u8);
    }
    if let Some(letter) = small_capital(c) {
        return Some(letter);
    }
    let mut buffer = [0; 4];
    let mut prototype =
        unicode_security::skeleton(c.encode_utf8(&mut buffer)).filter(|c| !is_combining_mark(*c));
    match (prototype.next(), prototype.next()) {
        (Some(one), None) if one.is_ascii_alphabetic() => Some(one.to_ascii_lowercase() as u8),
        (Some(one), None) => small_capital(one),
        _ => None,
    }
}

/// Small capitals, to which UTS #39 reduces Cyrillic в к м н т, and which are also used as ornament.
fn small_capital(c: char) -> Option<u8> {
    const SMALL: [(char, u8); 26] = [
        ('ᴀ', b'a'),
        ('ʙ', b'b'),
        ('ᴄ', b'c'),
        ('ᴅ', b'd'),
        ('ᴇ', b'e'),
        ('ꜰ', b'f'),
        ('ɢ', b'g'),
        ('ʜ', b'h'),
        ('ɪ', b'i'),
        ('ᴊ', b'j'),
        ('ᴋ', b'k'),
        ('ĸ', b'k'),
        ('ʟ', b'l'),
        ('ᴍ', b'm'),
        ('ɴ', b'n'),
        ('ᴏ', b'o'),
        ('ᴘ', b'p'),
        ('ꞯ', b'q'),
        ('ʀ', b'r'),
        ('ꜱ', b's'),
        ('ᴛ', b't'),
        ('ᴜ', b'u'),
        ('ᴠ', b'v'),
        ('ᴡ', b'w'),
        ('ʏ', b'y'),
        ('ᴢ', b'z'),
    ];
    SMALL
        .iter()
        .find(|(small, _)| *small == c)
        .map(|(_, letter)| *letter)
}

/// The letter of `target` that a Latin letter (in lower case) imitates.
pub(super) fn imitated(latin: u8, upper: bool, target: u8) -> Option<char> {
    let letters: &[(u8, char)] = match (target, upper) {
        (script::CYRILLIC, true) => &[
            (b'a', 'а'),
            (b'b', 'в'),
            (b'c', 'с'),
            (b'e', 'е'),
            (b'h', 'н'),
            (b'i', 'і'),
            (b'j', 'ј'),
            (b'k', 'к'),
            (b'm', 'м'),
            (b'o', 'о'),
            (b'p', 'р'),
            (b's', 'ѕ'),
            (b't', 'т'),
            (b'x', 'х'),
            (b'y', 'у'),
        ],
        (script::CYRILLIC, false) => &[
            (b'a', 'а'),
            (b'c', 'с'),
            (b'e', 'е'),
            (b'i', 'і'),
            (b'j', 'ј'),
            (b'k', 'к'),
            (b'm', 'м'),
            (b'o', 'о'),
            (b'p', 'р'),
            (b's', 'ѕ'),
            (b't', 'т'),
            (b'x', 'х'),
            (b'y', 'у'),
        ],
        (script::GREEK, true) => &[
            (b'a', 'α'),
            (b'b', 'β'),
            (b'e', 'ε'),
            (b'h', 'η'),
            (b'i', 'ι'),
            (b'k', 'κ'),
            (b'm', 'μ'),
            (b'n', 'ν'),
            (b'o', 'ο'),
            (b'p', 'ρ'),
            (b't', 'τ'),
            (b'x', 'χ'),
            (b'y', 'υ'),
            (b'z', 'ζ'),
        ],
        (script::GREEK, false) => &[
            (b'a', 'α'),
            (b'i', 'ι'),
            (b'k', 'κ'),
            (b'n', 'η'),
            (b'o', 'ο'),
            (b'p', 'ρ'),
            (b't', 'τ'),
            (b'u', 'υ'),
            (b'v', 'ν'),
            (b'w', 'ω'),
            (b'x', 'χ'),
            (b'y', 'γ'),
        ],
        (script::ARABIC, _) => &[(b'l', 'ا'), (b'i', 'ا'), (b'o', 'ه')],
        _ => &[],
    };
    letters
        .iter()
        .find(|(letter, _)| *letter == latin)
        .map(|(_, imitated)| *imitated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_plain(text: &str, expect: &str) {
        assert_eq!(
            text.chars().map(|c| entry(c).plain).collect::<String>(),
            expect
        );
    }

    #[test]
    fn interchangeable_letters() {
        check_plain("أإآٱىیةہھەکڪ", "ااااييههههكك");
        check_plain("ؤئءگپچژ", "ؤئءگپچژ");
        check_plain("ÀéñøłıĐ", "aenolid");
        check_plain("ёйїў", "ейїў");
        check_plain("άΏς", "αωσ");
        check_plain("ʀɪꜱᴇ", "rise");
        check_plain("ｒ𝐢𝓼𝕖ⓡ", "riser");
        check_plain("٠٩۳७", "0937");
    }

    #[track_caller]
    fn check_latin(text: &str, expect: &str) {
        let read = |c| {
            Some(entry(c).latin)
                .filter(|l| *l != 0)
                .map_or('-', char::from)
        };
        assert_eq!(text.chars().map(read).collect::<String>(), expect);
    }

    #[test]
    fn look_alikes_of_latin() {
        check_latin("асеорхуіјѕԁһ", "aceopxyijsdh");
        check_latin("АВСЕНКМОРТХ", "abcehkmoptx");
        check_latin("вкмнт", "bkmht");
        check_latin("бжцшъыэюя", "b--w-----");
        check_latin("οαΑΒρν", "oaabpv");
        check_latin("ոսօ", "nuo");
        check_latin("שלום", "----");
    }

    #[test]
    fn the_table_of_zeros_is_sorted_and_numeric() {
        assert!(ZEROS.is_sorted());
        let digits = ZEROS
            .iter()
            .flat_map(|zero| *zero..zero + 10)
            .filter_map(char::from_u32);
        assert!(digits.clone().all(char::is_numeric));
        assert_eq!(digits.count(), 650);
    }

    #[test]
    fn kinds() {
        let kinds = |text: &str| text.chars().map(|c| entry(c).kind).collect::<Vec<_>>();
        assert_eq!(kinds("aب7"), [Kind::Letter; 3]);
        assert_eq!(kinds("旗はไ"), [Kind::Alone; 3]);
        assert_eq!(kinds("🏴⚑🇪"), [Kind::Emoji; 3]);
        assert_eq!(kinds(" _-،"), [Kind::Separator; 4]);
        assert_eq!(kinds("\u{64e}\u{651}"), [Kind::Vowel; 2]);
        assert_eq!(kinds("\u{301}\u{653}\u{fe76}"), [Kind::Mark; 3]);
        assert_eq!(kinds("ـ\u{200b}\u{200f}"), [Kind::Hidden; 3]);
        assert_eq!(kinds("ﷲßﬁ"), [Kind::Complex; 3]);
    }
}
