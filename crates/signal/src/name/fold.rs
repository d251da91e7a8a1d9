//! From a name as typed to its letters, each with what was written for it, and its words.
//!
//! The text normaliser does the bulk of it: invisible characters, forms, case, accents, digits of
//! every script, words of mixed scripts. What is left here is what names need beyond texts: words
//! end at capitals too (`GreyBanner`), symbols stand for letters (`b@nner`), and whole words of
//! letters that look Latin are read as Latin.

use crate::text::normalise;
use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// A letter or digit of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    /// In the normaliser's folded key.
    pub(super) folded: char,
    /// What stands there, in lower case: `folded` unless it is a letter of another script, a symbol
    /// or a capital `I` in the midst of a word, which is typed for `l`.
    pub(super) written: char,
    /// The first original character, as typed.
    pub(super) typed: char,
    /// Its bytes in the original.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether it stands for three or more of the same, which is emphasis.
    pub(super) stretched: bool,
}

/// A word of a name: glyphs `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a separator stands before it, and not just a change to capitals.
    pub(super) apart: bool,
}

/// A name's letters and words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) glyphs: Vec<Glyph>,
    pub(super) words: Vec<Word>,
}

impl Folded {
    pub(super) fn word(&self, word: &Word) -> &[Glyph] {
        self.glyphs.get(word.start..word.end).unwrap_or_default()
    }

    /// What is written for [`Folded::letters`], if it differs.
    pub(super) fn written(&self) -> Option<String> {
        let glyphs = || self.glyphs.iter().filter(|g| !is_symbol(g.folded));
        let foreign = |g: &Glyph| g.written != g.folded && g.written != 'I';
        glyphs().any(foreign).then(|| {
            let write = |g: &Glyph| if foreign(g) { g.written } else { g.folded };
            glyphs().map(write).collect()
        })
    }

    /// The letters and digits, symbols that stand for letters left out as the separators are.
    pub(super) fn letters(&self) -> String {
        let glyphs = self.glyphs.iter().filter(|g| !is_symbol(g.folded));
        glyphs.map(|glyph| glyph.folded).collect()
    }
}

/// Whether a symbol is written for a letter: `b@nner`, `gro$$`.
pub(super) fn is_symbol(c: char) -> bool {
    matches!(c, '@' | '$' | '!' | '€')
}

/// Whether a character is part of a word.
pub(super) fn is_letter(c: char) -> bool {
    match c {
        '\0'..='\x7f' => c.is_ascii_alphanumeric(),
        // Most Arabic letters, without a look into a table.
        '\u{620}'..='\u{64a}' => true,
        _ => c.is_alphanumeric() || is_combining_mark(c),
    }
}

/// Takes a name apart.
pub(super) fn fold(name: &str) -> Folded {
    let normalised = normalise(name);
    let key = &normalised.folded;
    let mut out = Folded::default();
    let (mut apart, mut before) = (true, None::<Glyph>);
    let mut chars = key.text().char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let symbol = is_symbol(c) && !apart && next.is_some_and(|c| is_letter(c) || is_symbol(c));
        if !is_letter(c) && !symbol {
            apart = true;
            continue;
        }
        let span = key.original_span(at, at + c.len_utf8());
        let typed = name.get(span.clone()).and_then(|part| part.chars().next());
        let typed = typed.unwrap_or(c);
        let lower_before = before.is_some_and(|b| !apart && b.typed.is_lowercase());
        let glyph = Glyph {
            folded: c,
            written: written(c, typed, lower_before),
            typed,
            start: span.start as u32,
            end: span.end as u32,
            stretched: span.len() >= 3 * typed.len_utf8() && c.is_alphabetic(),
        };
        let begins = apart || lower_before && typed.is_uppercase();
        out.push(glyph, begins, apart);
        (apart, before) = (false, Some(glyph));
    }
    out
}

impl Folded {
    fn push(&mut self, glyph: Glyph, begins: bool, apart: bool) {
        let at = self.glyphs.len();
        self.glyphs.push(glyph);
        match self.words.last_mut() {
            Some(word) if !begins => word.end = at + 1,
            _ => self.words.push(Word {
                start: at,
                end: at + 1,
                apart,
            }),
        }
    }
}

fn written(folded: char, typed: char, lower_before: bool) -> char {
    if typed == 'I' && lower_before {
        return 'I';
    }
    if typed.is_ascii() && folded.is_ascii() || typed == folded {
        return folded;
    }
    let (a, b) = (folded.script(), typed.script());
    let told_apart = |script| !matches!(script, Script::Common | Script::Inherited);
    if a != b && told_apart(a) && told_apart(b) {
        typed.to_lowercase().next().unwrap_or(typed)
    } else {
        folded
    }
}

/// The Latin letter that a folded letter looks like, or the letter itself. Source: the table of
/// UTS #39; its small capitals count as the letters they are.
pub(super) fn latin_of(c: char) -> char {
    static TABLE: LazyLock<Vec<char>> =
        LazyLock::new(|| ('\u{370}'..'\u{590}').map(work_out).collect());
    match c {
        '\0'..'\u{370}' | '\u{590}'..'\u{10a0}' => c,
        '\u{370}'..'\u{590}' => {
            let at = (c as usize).wrapping_sub(0x370);
            TABLE.get(at).copied().unwrap_or(c)
        }
        _ => work_out(c),
    }
}

fn work_out(c: char) -> char {
    let imitating = matches!(
        c.script(),
        Script::Cyrillic
            | Script::Greek
            | Script::Armenian
            | Script::Cherokee
            | Script::Coptic
            | Script::Lisu
            | Script::Georgian
            | Script::Deseret
    );
    let upper = || c.to_uppercase().next().and_then(prototype);
    let latin = imitating.then(|| prototype(c).or_else(upper)).flatten();
    latin.unwrap_or(c)
}

/// The letter of a-z to which UTS #39 reduces a character.
fn prototype(c: char) -> Option<char> {
    static SMALL_CAPITALS: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
        let letters = "abcdefghijklmnoprstuvwyzk".chars();
        "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢĸ".chars().zip(letters).collect()
    });
    let mut buffer = [0; 4];
    let text = c.encode_utf8(&mut buffer);
    let mut chars = unicode_security::skeleton(text).filter(|c| !is_combining_mark(*c));
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii_alphabetic() => Some(one.to_ascii_lowercase()),
        (Some(one), None) => SMALL_CAPITALS.get(&one).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, words: &[&str], written: &str) {
        let folded = fold(name);
        let read = |word: &Word| folded.word(word).iter().map(|g| g.folded).collect();
        let found: Vec<String> = folded.words.iter().map(read).collect();
        assert_eq!(found, words);
        let all: String = folded.glyphs.iter().map(|g| g.written).collect();
        assert_eq!(all, written);
        for glyph in &folded.glyphs {
            assert!(name.get(glyph.start as usize..glyph.end as usize).is_some());
        }
    }

    #[test]
    fn words_end_at_separators_and_capitals() {
        check("grey_banner", &["grey", "banner"], "greybanner");
        check("GreyBanner17", &["grey", "banner17"], "greybanner17");
        check("GREY.BANNER", &["grey", "banner"], "greybanner");
        check("🏴 grey · banner 🏴", &["grey", "banner"], "greybanner");
        check("راية الرماد", &["رايه", "الرماد"], "رايهالرماد");
        check("b@nner@", &["b@nner"], "b@nner");
        check("", &[], "");
    }

    #[test]
    fn what_was_written_is_known() {
        check("bannеr", &["banner"], "bannеr");
        check("ａｌ", &["al"], "al");
        check("aIramad", &["a", "iramad"], "aIramad");
    }

    #[test]
    fn latin_letters_of_others() {
        let read = |text: &str| text.chars().map(latin_of).collect::<String>();
        assert_eq!(read("асеорхуіѕв"), "aceopxyisb");
        assert_eq!(read("ов"), "ob");
        assert_eq!(read("рамад"), "pamaд");
        assert_eq!(read("راية旗z"), "راية旗z");
    }
}
