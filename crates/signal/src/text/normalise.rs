//! From a text to its strict and folded keys, in one pass over the characters.
//!
//! Most characters are one [`Kind::Letter`] or [`Kind::Separator`] each and are looked up in a table.
//! Only where a mark follows, or a character becomes several, does the full NFKC algorithm run, on
//! just those characters. The letters of a word wait until it ends, because what a look-alike
//! stands for depends on the whole word.

use super::chars::{
    self, Entry, Kind, SIMPLE_END, Simple, SimpleKind, entry, script, simple_table,
};
use super::key::{Evasion, Evasions, Key};
use super::words::{
    ELONGATED, Manner, Reading, Spaced, Stretch, Word, WordHash, stretches, word_hash,
};
use icu_casemap::CaseMapper;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// Bytes of a text that are normalised; what follows is ignored, and said to be.
pub const TEXT_MAX: usize = 64 * 1024;

/// Marks of a script's own writing that one letter keeps in the folded key.
pub(super) const MARKS_MAX: usize = 4;

/// A text in both keys, with the words and readings that phrases are looked up in.
///
/// Made by [`normalise`].
#[derive(Debug, Clone, Default)]
pub struct Normalised {
    /// What is written, typographic variants aside.
    pub strict: Key,
    /// What it says when ways of hiding a word are undone.
    pub folded: Key,
    /// Whether the text was longer than [`TEXT_MAX`] and only its beginning was read.
    pub truncated: bool,
    /// What was undone, over the whole text.
    pub evasions: Evasions,
    /// The folded key before letters set apart were joined and elongations shortened, if it differs.
    plain: Option<Key>,
    words: Vec<Word>,
    /// Sorted by first word.
    readings: Vec<Reading>,
    spaced: Vec<Spaced>,
    /// The texts of readings and spaced letters.
    buffer: String,
    /// Where each evasion was, sorted.
    events: Vec<(u32, Evasion)>,
}

impl Normalised {
    /// The strict key as text.
    pub fn strict(&self) -> &str {
        self.strict.text()
    }

    /// The folded key as text.
    pub fn folded(&self) -> &str {
        self.folded.text()
    }

    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// The readings that begin at a word.
    pub(super) fn readings_at(&self, word: u32) -> &[Reading] {
        let start = self.readings.partition_point(|r| r.from < word);
        let end = self.readings.partition_point(|r| r.from <= word);
        self.readings.get(start..end).unwrap_or_default()
    }

    pub(super) fn has_readings(&self) -> bool {
        !self.readings.is_empty()
    }

    /// The words at which readings begin, in order.
    pub(super) fn words_with_readings(&self) -> impl Iterator<Item = u32> {
        self.readings.iter().map(|reading| reading.from)
    }

    pub(super) fn spaced(&self) -> &[Spaced] {
        &self.spaced
    }

    pub(super) fn buffered(&self, (start, end): Stretch) -> &str {
        self.buffer
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    pub(super) fn plain(&self) -> &Key {
        self.plain.as_ref().unwrap_or(&self.folded)
    }

    /// What was undone inside a stretch of the original, for the strict key only or for both.
    pub(super) fn evasions_in(&self, original: &Range<usize>, strict_only: bool) -> Evasions {
        let from = self
            .events
            .partition_point(|(at, _)| (*at as usize) < original.start);
        let inside = self
            .events
            .iter()
            .skip(from)
            .take_while(|(at, _)| (*at as usize) < original.end);
        let mut evasions = Evasions::default();
        let counted = inside.filter(|(_, evasion)| !strict_only || evasion.is_undone_in_strict());
        counted.for_each(|(_, evasion)| evasions.count(*evasion));
        evasions
    }
}

/// Normalises the first [`TEXT_MAX`] bytes of a text; see the [module](crate::text) for the steps.
///
/// ```
/// use manara_signal::text::normalise;
/// let n = normalise("Jo\u{200b}in the ｇｒｅｙ b.a.n.n.e.r!!");
/// assert_eq!(n.strict(), "join the grey b.a.n.n.e.r!!");
/// assert_eq!(n.folded(), "join the grey banner!!");
/// assert_eq!(n.evasions.to_string(), "zero width 1, styled letters 4, spacing 5");
///
/// let at = n.folded().find("grey").unwrap();
/// assert_eq!(n.folded.original_span(at, at + 4), 12..24); // Four full-width letters of three bytes.
/// ```
pub fn normalise(text: &str) -> Normalised {
    let kept = text
        .get(..text.floor_char_boundary(TEXT_MAX))
        .unwrap_or_default();
    let mut scanner = Scanner::new(kept);
    scanner.run();
    let mut normalised = scanner.finish();
    normalised.truncated = kept.len() < text.len();
    normalised
}

/// A letter of the word being read.
#[derive(Debug, Clone, Copy)]
struct Letter {
    c: char,
    latin: u8,
    script: u8,
    upper: bool,
    start: u32,
    end: u32,
}

/// An emoji that a joiner or skin tone may continue.
#[derive(Debug, Clone, Copy)]
struct OpenEmoji {
    end: u32,
    joined: bool,
    hash: WordHash,
}

struct Scanner<'t> {
    text: &'t str,
    out: Normalised,
    plain: Key,
    /// Letters of the word being read, and where it began in the strict key.
    letters: Vec<Letter>,
    strict_start: u32,
    /// The word is complete whatever follows.
    closed: bool,
    /// The emoji just read, as long as more may belong to it.
    emoji: Option<OpenEmoji>,
    scripts: u8,
    singles: usize,
    segment: String,
    table: &'static [Simple; SIMPLE_END],
    changes: Vec<(u32, Simple)>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        let mut out = Normalised::default();
        let mut plain = Key::default();
        out.strict.reserve(text.len() + 8);
        plain.reserve(text.len() + 8);
        out.words.reserve(text.len() / 5);
        Self {
            text,
            out,
            plain,
            letters: Vec::new(),
            strict_start: 0,
            closed: false,
            emoji: None,
            scripts: 0,
            singles: 0,
            segment: String::new(),
            table: simple_table(),
            changes: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut at = 0;
        while let Some(&byte) = self.text.as_bytes().get(at) {
            if self.letters.is_empty() {
                let next = self.simple(at);
                if next > at {
                    at = next;
                    continue;
                }
            }
            at = if byte < 128 {
                self.ascii(at)
            } else {
                self.wide(at)
            };
        }
        self.end_word();
    }

    /// Reads words and separators of which each character becomes one of the same length, which is
    /// almost all there is, and stops before a word or separator that has anything more to it: one
    /// of several scripts, a mark after it. Gives where it stopped.
    fn simple(&mut self, from: usize) -> usize {
        let bytes = self.text.as_bytes();
        let (strict_from, plain_from) = (self.out.strict.len(), self.plain.len());
        // The characters of the word at hand that the keys have otherwise are noted, and copied in
        // between what stays the same.
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        let mut at = from;
        let mut ascii_upper = false;
        loop {
            let word_from = at;
            let changes_before = changes.len();
            let mut hash = WordHash::new();
            let (mut scripts, mut like_latin, mut run, mut elongated) = (0, true, 0, false);
            let mut upper = false;
            let (mut last, mut letters) = ('\0', 0);
            let mut next;
            loop {
                let (simple, len) = simple_at(self.table, bytes, at);
                next = simple.kind;
                if next != SimpleKind::Letter {
                    break;
                }
                let plain = simple.plain();
                if len == 1 {
                    upper |= bytes.get(at).is_some_and(u8::is_ascii_uppercase);
                } else if simple.strict() != self.char_at_two(at) || plain != simple.strict() {
                    changes.push((at as u32, simple));
                }
                run = if plain == last { run + 1 } else { 1 };
                last = plain;
                elongated |= run == ELONGATED && stretches(plain);
                hash.push(plain);
                scripts |= simple.script;
                like_latin &= simple.latin != 0 || simple.script == 0;
                letters += 1;
                at += len;
            }
            let ended = next == SimpleKind::Separator || at >= bytes.len();
            if letters > 0 {
                if !ended || elongated || scripts.count_ones() > 1 {
                    changes.truncate(changes_before);
                    at = word_from;
                    break;
                }
                ascii_upper |= upper;
                // Both keys are as far along as the text, so offsets differ by a constant.
                let shift = |key_from: u32| {
                    (
                        key_from + (word_from - from) as u32,
                        key_from + (at - from) as u32,
                    )
                };
                if like_latin && is_imitating(scripts) {
                    self.simple_imitation(word_from, at);
                }
                self.scripts |= scripts;
                self.add_word(Word {
                    strict: shift(strict_from),
                    plain: shift(plain_from),
                    original: (word_from as u32, at as u32),
                    hash: hash.finish(),
                    scripts,
                    single: letters == 1,
                });
            }
            // A separator belongs to what follows it if that may be a mark.
            let mut here = next;
            while here == SimpleKind::Separator {
                let len = simple_at(self.table, bytes, at).1;
                here = simple_at(self.table, bytes, at + len).0.kind;
                if here == SimpleKind::Other && at + len < bytes.len() {
                    break;
                }
                at += len;
            }
            if at >= bytes.len() || here == SimpleKind::Other {
                break;
            }
        }
        if at > from {
            self.copy_simple(from, at, &changes, ascii_upper);
        }
        self.changes = changes;
        at
    }

    /// A character of two bytes.
    fn char_at_two(&self, at: usize) -> char {
        match self.text.as_bytes().get(at..at + 2) {
            Some(&[a, b]) => char::from_u32(two_bytes(a, b) as u32).unwrap_or(' '),
            _ => ' ',
        }
    }

    /// Appends the text to both keys, changed where it is.
    fn copy_simple(&mut self, from: usize, to: usize, changes: &[(u32, Simple)], upper: bool) {
        let text = self.text;
        let starts = (self.out.strict.len(), self.plain.len());
        let (mut strict_from, mut plain_from) = (from, from);
        let mut buffer = [0; 4];
        for &(at, simple) in changes {
            let (at, end) = (at as usize, at as usize + 2);
            let (strict, plain) = (simple.strict(), simple.plain());
            if strict != self.char_at_two(at) {
                let before = text.get(strict_from..at).unwrap_or_default();
                self.out.strict.push_same_length(before, strict_from as u32);
                let strict = strict.encode_utf8(&mut buffer);
                self.out.strict.push_same_length(strict, at as u32);
                strict_from = end;
            }
            if plain != self.char_at_two(at) {
                let before = text.get(plain_from..at).unwrap_or_default();
                self.plain.push_same_length(before, plain_from as u32);
                let plain = plain.encode_utf8(&mut buffer);
                self.plain.push_same_length(plain, at as u32);
                plain_from = end;
            }
        }
        let strict = text.get(strict_from..to).unwrap_or_default();
        self.out.strict.push_same_length(strict, strict_from as u32);
        let plain = text.get(plain_from..to).unwrap_or_default();
        self.plain.push_same_length(plain, plain_from as u32);
        if upper {
            self.out.strict.lower_ascii(starts.0);
            self.plain.lower_ascii(starts.1);
        }
    }

    /// The reading as Latin of a word all of whose letters look like Latin ones.
    fn simple_imitation(&mut self, from: usize, to: usize) {
        let bytes = self.text.as_bytes();
        let start = self.out.buffer.len();
        let mut at = from;
        while at < to {
            let (simple, len) = simple_at(self.table, bytes, at);
            let digit = simple.script == 0;
            let letter = if digit {
                simple.plain()
            } else {
                char::from(simple.latin)
            };
            self.out.buffer.push(letter);
            at += len;
        }
        let word = self.out.words.len() as u32;
        let manner = Manner::Whole(script::LATIN);
        self.out.add_reading(word, word + 1, start, manner);
    }

    fn event(&mut self, at: usize, evasion: Evasion) {
        self.out.events.push((at as u32, evasion));
    }

    /// Reads ASCII from `at`: words that lie between ASCII in one piece, all else by character.
    fn ascii(&mut self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let rest = bytes.get(at..).unwrap_or_default();
        let is_word = rest.first().is_some_and(u8::is_ascii_alphanumeric);
        let same = |b: &&u8| b.is_ascii() && b.is_ascii_alphanumeric() == is_word;
        let len = rest.iter().take_while(same).count();
        // The last character belongs to what follows it if that is a combining mark.
        let alone = rest.get(len).is_none_or(u8::is_ascii);
        let whole = if alone { len } else { len - 1 };
        if is_word && (!alone || !self.letters.is_empty()) {
            let mut next = at;
            while next < at + len {
                next = self.wide(next);
            }
            return next;
        }
        if whole == 0 {
            return self.wide(at);
        }
        let Some(piece) = self.text.get(at..at + whole) else {
            return at + 1;
        };
        self.end_word();
        let strict_start = self.out.strict.len();
        self.out.strict.push_ascii(piece, at as u32);
        let plain_start = self.plain.len();
        self.plain.push_ascii(piece, at as u32);
        if is_word {
            self.ascii_word(at, whole, strict_start, plain_start);
        }
        at + whole
    }

    fn ascii_word(&mut self, at: usize, len: usize, strict_start: u32, plain_start: u32) {
        let plain = (plain_start, self.plain.len());
        let (mut hash, mut run, mut last, mut letters) = (WordHash::new(), 0, '\0', false);
        for (i, c) in self.plain.slice(plain).chars().enumerate() {
            hash.push(c);
            letters |= c.is_ascii_alphabetic();
            run = if c == last { run + 1 } else { 1 };
            last = c;
            if run == ELONGATED && stretches(c) {
                self.out.events.push(((at + i) as u32, Evasion::Elongation));
            }
        }
        let scripts = if letters { script::LATIN } else { 0 };
        self.scripts |= scripts;
        self.add_word(Word {
            strict: (strict_start, self.out.strict.len()),
            plain,
            original: (at as u32, (at + len) as u32),
            hash: hash.finish(),
            scripts,
            single: len == 1,
        });
    }

    fn add_word(&mut self, word: Word) {
        self.singles += usize::from(word.single);
        self.out.words.push(word);
        self.emoji = None;
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    /// Reads one character, with the marks that attach to it.
    fn wide(&mut self, at: usize) -> usize {
        let Some(c) = self.char_at(at) else {
            return at + 1;
        };
        let end = at + c.len_utf8();
        let entry = entry(c);
        match entry.kind {
            Kind::Hidden => self.hidden(c, entry, at, end),
            Kind::Mark | Kind::Vowel | Kind::Complex => {
                return self.segment(at, self.attached(end).unwrap_or(end));
            }
            Kind::Letter | Kind::Alone | Kind::Emoji | Kind::Separator => {
                if let Some(attached) = self.attached(end) {
                    if entry.kind == Kind::Letter
                        && entry.script == script::ARABIC
                        && self.vowelled(at, entry, attached)
                    {
                        return attached;
                    }
                    return self.segment(at, attached);
                }
                if let Some(evasion) = entry.evasion {
                    self.event(at, evasion);
                }
                self.emit(entry, at, end);
            }
        }
        end
    }

    /// The end of the marks that attach to the character that ends at `from`, if there are any.
    /// Hidden characters between them do not part them.
    fn attached(&self, from: usize) -> Option<usize> {
        // The first mark is U+0300; what has a smaller first byte in UTF-8 is none, and is common.
        if self.text.as_bytes().get(from).is_none_or(|b| *b < 0xcc) {
            let soft_hyphen = self
                .text
                .get(from..)
                .is_some_and(|rest| rest.starts_with('\u{ad}'));
            if !soft_hyphen {
                return None;
            }
        }
        let (mut end, mut at) = (None, from);
        for c in self.text.get(from..)?.chars() {
            at += c.len_utf8();
            match entry(c).kind {
                Kind::Mark | Kind::Vowel => end = Some(at),
                Kind::Hidden => {}
                _ => break,
            }
        }
        end
    }

    fn hidden(&mut self, c: char, entry: Entry, at: usize, end: usize) {
        if let Some(mut emoji) = self.emoji.filter(|emoji| emoji.end as usize == at) {
            // Emoji are written with joiners, variation selectors and tags: not a disguise.
            let joins = c == chars::JOINER
                && self
                    .char_at(end)
                    .is_some_and(|next| chars::entry(next).kind == Kind::Emoji);
            if joins {
                self.out.strict.push(c, at as u32, end as u32);
                self.plain.push(c, at as u32, end as u32);
                emoji.hash.push(c);
            }
            (emoji.end, emoji.joined) = (end as u32, joins);
            self.emoji = Some(emoji);
        } else if let Some(evasion) = entry.evasion
            && !(c == '\u{feff}' && at == 0)
        {
            self.event(at, evasion);
        }
    }

    /// One character of the strict key, with what the plain key has for it.
    fn emit(&mut self, entry: Entry, at: usize, end: usize) {
        let (start32, end32) = (at as u32, end as u32);
        if self.closed || entry.kind != Kind::Letter {
            self.end_word();
        }
        match entry.kind {
            Kind::Separator => {
                self.out.strict.push(entry.strict, start32, end32);
                self.plain.push(entry.plain, start32, end32);
            }
            Kind::Emoji => self.emit_emoji(entry, start32, end32),
            _ => {
                if self.letters.is_empty() {
                    self.strict_start = self.out.strict.len();
                }
                self.out.strict.push(entry.strict, start32, end32);
                self.letters.push(Letter {
                    c: entry.plain,
                    latin: entry.latin,
                    script: entry.script,
                    upper: entry.upper,
                    start: start32,
                    end: end32,
                });
                if let Some(folding) = entry.folding {
                    self.event(at, folding);
                }
                self.closed = entry.kind == Kind::Alone;
            }
        }
    }

    fn emit_emoji(&mut self, entry: Entry, start: u32, end: u32) {
        let belongs = |emoji: &OpenEmoji| {
            emoji.end == start && (emoji.joined || chars::is_skin_tone(entry.strict))
        };
        let continued = self.emoji.filter(belongs);
        let (strict_start, plain_start) = (self.out.strict.len(), self.plain.len());
        self.out.strict.push(entry.strict, start, end);
        self.plain.push(entry.plain, start, end);
        let (strict_end, plain_end) = (self.out.strict.len(), self.plain.len());
        let mut hash = continued.map_or_else(WordHash::new, |emoji| emoji.hash);
        hash.push(entry.plain);
        match self.out.words.last_mut() {
            Some(word) if continued.is_some() => {
                word.strict.1 = strict_end;
                word.plain.1 = plain_end;
                word.original.1 = end;
                word.hash = hash.finish();
            }
            _ => self.add_word(Word {
                strict: (strict_start, strict_end),
                plain: (plain_start, plain_end),
                original: (start, end),
                hash: hash.finish(),
                scripts: 0,
                single: false,
            }),
        }
        self.emoji = Some(OpenEmoji {
            end,
            joined: false,
            hash,
        });
    }

    /// An Arabic letter with vowel signs only, by far the commonest marks: they compose with
    /// nothing, so the letter is emitted as it is and the signs in canonical order. Says `false`,
    /// having done nothing, if there is anything else.
    fn vowelled(&mut self, at: usize, letter: Entry, end: usize) -> bool {
        let base_end = at + self.char_at(at).map_or(0, char::len_utf8);
        let marks = self.text.get(base_end..end).unwrap_or_default();
        let mut sorted = ['\0'; 4];
        let mut count = 0;
        for (mark, slot) in marks.chars().zip(sorted.iter_mut()) {
            if entry(mark).kind != Kind::Vowel {
                return false;
            }
            *slot = mark;
            count += 1;
        }
        let Some(sorted) = sorted
            .get_mut(..count)
            .filter(|_| marks.chars().nth(count).is_none())
        else {
            return false;
        };
        sorted.sort_by_key(|mark| unicode_normalization::char::canonical_combining_class(*mark));
        if let Some(evasion) = letter.evasion {
            self.event(at, evasion);
        }
        self.emit(letter, at, base_end);
        if let Some(last) = self.letters.last_mut() {
            last.end = end as u32;
        }
        for &mut mark in sorted {
            self.out.strict.push(mark, base_end as u32, end as u32);
        }
        for (offset, _) in marks.char_indices() {
            self.event(base_end + offset, Evasion::Diacritic);
        }
        true
    }

    /// Runs the full algorithm on `at..end`, all of which stands for all of its result.
    fn segment(&mut self, at: usize, end: usize) -> usize {
        let mut source = std::mem::take(&mut self.segment);
        source.clear();
        let original = self.text.get(at..end).unwrap_or_default();
        let mut upper_latin = None;
        for (offset, c) in original.char_indices() {
            let entry = entry(c);
            if entry.kind == Kind::Hidden {
                self.hidden(c, entry, at + offset, at + offset + c.len_utf8());
                continue;
            }
            if let Some(evasion) = entry.evasion {
                self.event(at + offset, evasion);
            }
            if offset == 0 && entry.upper {
                upper_latin = Some(entry.latin);
            }
            match chars::isolated_mark(c).or_else(|| chars::spelt_out(c)) {
                Some(text) => source.push_str(text),
                None => source.push(c),
            }
        }
        let normal: String = source.nfkc().collect();
        let folded = CaseMapper::new().fold_string(&normal);
        let mut marks = 0;
        for (i, c) in folded.nfkc().enumerate() {
            let mut entry = entry(c);
            match entry.kind {
                Kind::Hidden => {}
                Kind::Mark | Kind::Vowel => {
                    self.mark(c, marks, at, end);
                    marks += 1;
                }
                _ => {
                    marks = 0;
                    if entry.kind == Kind::Complex {
                        // Normalised and folded, it is as simple as it gets: `ẗ`, for one.
                        entry = chars::settled(c, c);
                    }
                    if let Some(latin) = upper_latin.filter(|_| i == 0) {
                        (entry.latin, entry.upper) = (latin, true);
                    }
                    self.emit(entry, at, end);
                }
            }
        }
        self.segment = source;
        end
    }

    /// A mark after the letters emitted so far, the `nth` after the last of them.
    fn mark(&mut self, c: char, nth: usize, at: usize, end: usize) {
        self.out.strict.push(c, at as u32, end as u32);
        if chars::is_dropped_mark(c) || nth >= MARKS_MAX {
            self.event(at, Evasion::Diacritic);
        } else if let Some(last) = self.letters.last().copied() {
            self.letters.push(Letter {
                c,
                latin: 0,
                start: at as u32,
                end: end as u32,
                ..last
            });
        } else {
            self.plain.push(c, at as u32, end as u32);
        }
    }

    /// Writes out the word that has been read, if any, with its look-alikes read as what they imitate.
    fn end_word(&mut self) {
        self.closed = false;
        let (Some(first), Some(last)) = (self.letters.first(), self.letters.last()) else {
            return;
        };
        let original = (first.start, last.end);
        let written = self
            .letters
            .iter()
            .fold(0, |set, letter| set | letter.script);
        self.scripts |= written;
        let read = if written.count_ones() > 1 {
            self.unmixed(written)
        } else {
            None
        };
        let (mut hash, mut run, mut before) = (WordHash::new(), 0, '\0');
        let plain_start = self.plain.len();
        for letter in &self.letters {
            let c = read
                .and_then(|target| as_script(letter, target))
                .unwrap_or(letter.c);
            if c != letter.c {
                self.out.events.push((letter.start, Evasion::LookAlike));
            }
            self.plain.push(c, letter.start, letter.end);
            hash.push(c);
            run = if c == before { run + 1 } else { 1 };
            before = c;
            if run == ELONGATED && stretches(c) {
                self.out.events.push((letter.start, Evasion::Elongation));
            }
        }
        let scripts = read.unwrap_or(written);
        if is_imitating(written) {
            self.alternative(script::LATIN, Manner::Whole(script::LATIN));
        }
        let single = self.letters.len() == 1
            && self
                .letters
                .iter()
                .all(|letter| entry(letter.c).kind == Kind::Letter);
        self.letters.clear();
        let word = Word {
            strict: (self.strict_start, self.out.strict.len()),
            plain: (plain_start, self.plain.len()),
            original,
            hash: hash.finish(),
            scripts,
            single,
        };
        self.add_word(word);
    }

    /// For a word of several scripts, the one it is to be read in, if it can be: that of most of its
    /// letters first. Another possible one becomes a reading.
    fn unmixed(&mut self, written: u8) -> Option<u8> {
        let count = |target: u8| {
            self.letters
                .iter()
                .filter(|letter| letter.script == target)
                .count()
        };
        let mut targets: Vec<u8> = [
            script::LATIN,
            script::CYRILLIC,
            script::GREEK,
            script::ARABIC,
        ]
        .into_iter()
        .filter(|target| written & target != 0)
        .filter(|target| {
            self.letters
                .iter()
                .all(|letter| as_script(letter, *target).is_some())
        })
        .collect();
        targets.sort_by_key(|target| std::cmp::Reverse(count(*target)));
        for &other in targets.iter().skip(1) {
            self.alternative(other, Manner::Mixed);
        }
        targets.first().copied()
    }

    /// Adds the reading of the current word as one of another script, if every letter allows it.
    fn alternative(&mut self, target: u8, manner: Manner) {
        let from = self.out.words.len() as u32;
        let start = self.out.buffer.len();
        for letter in &self.letters {
            let Some(c) = as_script(letter, target) else {
                self.out.buffer.truncate(start);
                return;
            };
            self.out.buffer.push(c);
        }
        self.out.add_reading(from, from + 1, start, manner);
    }

    fn finish(mut self) -> Normalised {
        if self.scripts & script::LATIN != 0 {
            for target in [script::CYRILLIC, script::GREEK] {
                if self.scripts & target != 0 {
                    self.imitating_words(target);
                }
            }
        }
        let groups = if self.singles >= SPACED_MIN {
            self.spaced_out()
        } else {
            Vec::new()
        };
        let out = &mut self.out;
        out.readings.sort_by_key(|reading| reading.from);
        let elongated = out
            .events
            .iter()
            .any(|(_, evasion)| *evasion == Evasion::Elongation);
        if elongated || !groups.is_empty() {
            out.folded = shortened(&self.plain, &out.words, &groups);
            out.plain = Some(self.plain);
        } else {
            out.folded = self.plain;
        }
        out.events.sort_unstable();
        for (_, evasion) in &out.events {
            out.evasions.count(*evasion);
        }
        self.out
    }

    /// In a text with Cyrillic or Greek in it, a Latin word may be an imitation of one of theirs.
    fn imitating_words(&mut self, target: u8) {
        for index in 0..self.out.words.len() {
            let Some(word) = self
                .out
                .words
                .get(index)
                .filter(|word| word.scripts == script::LATIN)
            else {
                continue;
            };
            let imitated = |c: char| match c {
                '0'..='9' => Some(c),
                _ => chars::imitated(u8::try_from(c).unwrap_or(0), false, target),
            };
            let start = self.out.buffer.len();
            let text = self.plain.slice(word.plain);
            if text.chars().all(|c| imitated(c).is_some()) {
                self.out.buffer.extend(text.chars().filter_map(imitated));
                self.out
                    .add_reading(index as u32, index as u32 + 1, start, Manner::Whole(target));
            }
        }
    }

    /// Finds letters set apart and adds what they spell as readings; gives the groups joined.
    fn spaced_out(&mut self) -> Vec<(usize, usize)> {
        let mut groups = Vec::new();
        let mut from = 0;
        while from < self.out.words.len() {
            let to = self.singles_from(from);
            if to - from >= SPACED_MIN {
                self.join_groups(from, to, &mut groups);
            }
            from = to.max(from + 1);
        }
        groups
    }

    /// The end of the run of single letters from a word on, with nothing odd between them.
    fn singles_from(&self, from: usize) -> usize {
        let words = self.out.words.get(from..).unwrap_or_default();
        let singles = words.iter().take_while(|word| word.single);
        let pairs = singles
            .clone()
            .zip(words.iter().skip(1))
            .take_while(|(_, next)| next.single);
        let close = pairs.take_while(|(word, next)| self.gap(word, next).is_some());
        from + if words.first().is_some_and(|word| word.single) {
            close.count() + 1
        } else {
            0
        }
    }

    /// What parts two words, if it is what people set letters apart with: whether it has white
    /// space in it, and its length.
    fn gap(&self, word: &Word, next: &Word) -> Option<(bool, usize)> {
        let gap = self.out.strict.slice((word.strict.1, next.strict.0));
        let allowed = gap.chars().all(|c| c.is_whitespace() || GAPS.contains(c));
        let len = gap.chars().count();
        (allowed && len > 0 && len <= GAP_MAX).then(|| (gap.chars().any(char::is_whitespace), len))
    }

    /// Splits a run of single letters at its wider gaps and joins each group. Letters that have only
    /// wider gaps on both sides (`g r e y b-a-n-n-e-r`) are a run of their own, with those gaps.
    fn join_groups(&mut self, from: usize, to: usize, groups: &mut Vec<(usize, usize)>) {
        let words = self.out.words.get(from..to).unwrap_or_default();
        let gaps: Vec<_> = words
            .iter()
            .zip(words.iter().skip(1))
            .map(|(a, b)| self.gap(a, b))
            .collect();
        let Some(narrow) = gaps.iter().flatten().min().copied() else {
            return;
        };
        let wide = |gap: &Option<(bool, usize)>| {
            gap.is_none_or(|(space, len)| space && !narrow.0 || len > narrow.1)
        };
        let ends = gaps
            .iter()
            .zip(from + 1..)
            .filter(|(gap, _)| wide(gap))
            .map(|(_, at)| at)
            .chain([to]);
        let ends: Vec<usize> = ends.collect();
        let (mut start, mut left_from) = (from, from);
        for end in ends {
            if end - start > 1 {
                self.join_left(left_from, start, groups);
                self.join_group(start, end);
                groups.push((start, end));
                left_from = end;
            }
            start = end;
        }
        self.join_left(left_from, to, groups);
    }

    fn join_left(&mut self, from: usize, to: usize, groups: &mut Vec<(usize, usize)>) {
        if to - from >= SPACED_MIN {
            self.join_groups(from, to, groups);
        }
    }

    fn join_group(&mut self, start: usize, end: usize) {
        self.join(start, end);
        // `a g r e y`: a one-letter word at either side may not belong to what is spelt out.
        if end - start > SPACED_MIN {
            self.join(start + 1, end);
            self.join(start, end - 1);
        }
        let parted = self.out.words.get(start..end - 1).unwrap_or_default();
        self.out.events.extend(
            parted
                .iter()
                .map(|word| (word.original.1, Evasion::Spacing)),
        );
        let text_start = self.letters_of(start, end);
        let text = (text_start as u32, self.out.buffer.len() as u32);
        self.out.spaced.push(Spaced {
            from: start as u32,
            text,
        });
    }

    /// Appends the letters of words to the buffer of readings; gives where they begin.
    fn letters_of(&mut self, from: usize, to: usize) -> usize {
        let start = self.out.buffer.len();
        for word in self.out.words.get(from..to).unwrap_or_default() {
            self.out.buffer.push_str(self.plain.slice(word.plain));
        }
        start
    }

    fn join(&mut self, from: usize, to: usize) {
        let start = self.letters_of(from, to);
        self.out
            .add_reading(from as u32, to as u32, start, Manner::Joined);
    }
}

/// Fewest single letters in a row that are taken for a word set apart.
pub(super) const SPACED_MIN: usize = 3;
/// What letters are set apart with, besides white space.
const GAPS: &str = ".-_*|·•~+=/\\,،:'’";
/// Most characters between two letters of a word set apart.
const GAP_MAX: usize = 5;

impl Normalised {
    /// Adds a reading whose text is the buffer from `start` on.
    fn add_reading(&mut self, from: u32, to: u32, start: usize, manner: Manner) {
        let text = (start as u32, self.buffer.len() as u32);
        let hash = word_hash(self.buffered(text));
        self.readings.push(Reading {
            from,
            to,
            text,
            hash,
            manner,
        });
    }
}

/// Whether words of these scripts may be read as Latin ones, if all their letters look so.
pub(super) fn is_imitating(scripts: u8) -> bool {
    scripts != 0 && scripts & !(script::CYRILLIC | script::GREEK | script::IMITATING) == 0
}

/// The number of a character of two bytes in UTF-8.
#[inline]
pub(super) fn two_bytes(a: u8, b: u8) -> usize {
    usize::from(a & 0x1f) << 6 | usize::from(b & 0x3f)
}

/// The character at a place and its length in bytes, if it is simple.
#[inline]
fn simple_at(table: &[Simple; SIMPLE_END], bytes: &[u8], at: usize) -> (Simple, usize) {
    match bytes.get(at) {
        Some(&a) if a < 0x80 => (table[usize::from(a)], 1),
        Some(&a) if a < 0xe0 => {
            let b = bytes.get(at + 1).copied().unwrap_or(0);
            (table[two_bytes(a, b)], 2)
        }
        _ => (chars::NOT_SIMPLE, 1),
    }
}

/// The letter read as one of another script; nothing if it does not look like any of it.
fn as_script(letter: &Letter, target: u8) -> Option<char> {
    if letter.script == target || letter.script == 0 && target != script::ARABIC {
        return Some(letter.c);
    }
    match (target, letter.script) {
        (script::ARABIC, 0) => Some(match letter.c {
            '1' => 'ا',
            other => other,
        }),
        (_, script::OTHER) => None,
        (script::LATIN, _) if letter.latin != 0 => Some(char::from(letter.latin)),
        (_, _) if letter.latin != 0 => chars::imitated(letter.latin, letter.upper, target),
        _ => None,
    }
}

/// The folded key: the plain one with groups of single letters joined and elongations shortened.
fn shortened(plain: &Key, words: &[Word], groups: &[(usize, usize)]) -> Key {
    let mut joined = groups.iter().flat_map(|&(from, to)| {
        let inside = words.get(from..to).unwrap_or_default();
        inside
            .iter()
            .zip(inside.iter().skip(1))
            .map(|(word, next)| (word.plain.1, next.plain.0))
    });
    let mut key = Key::default();
    key.reserve(plain.text().len());
    let mut gap = joined.next();
    let mut rest = plain.text().char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let at = at as u32;
        while gap.is_some_and(|(_, end)| end <= at) {
            gap = joined.next();
        }
        if gap.is_some_and(|(start, _)| start <= at) {
            continue;
        }
        let mut end = at as usize + c.len_utf8();
        if stretches(c) && c.is_alphabetic() {
            let run = 1 + plain
                .text()
                .get(end..)
                .unwrap_or_default()
                .chars()
                .take_while(|next| *next == c)
                .count();
            if run >= ELONGATED {
                end = at as usize + run * c.len_utf8();
                while rest.next_if(|(next, _)| *next < end).is_some() {}
            }
        }
        let original = plain.original_span(at as usize, end);
        key.push(c, original.start as u32, original.end as u32);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, strict: &str, folded: &str, evasions: &str) {
        let n = normalise(text);
        assert_eq!(
            (n.strict(), n.folded(), n.evasions.to_string().as_str()),
            (strict, folded, evasions)
        );
    }

    #[test]
    fn strict_steps() {
        check("", "", "", "none");
        check(
            "Plain ASCII, 7 words.",
            "plain ascii, 7 words.",
            "plain ascii, 7 words.",
            "none",
        );
        check(
            "Straße ΣΊΣΥΦΟΣ",
            "strasse σίσυφοσ",
            "strasse σισυφοσ",
            "diacritics 1",
        );
        check(
            "ﷲ ﷺ",
            "الله صلى الله عليه وسلم",
            "الله صلي الله عليه وسلم",
            "presentation forms 2",
        );
        check(
            "﷼ \u{fdfd}",
            "ريال بسم الله الرحمن الرحيم",
            "ريال بسم الله الرحمن الرحيم",
            "presentation forms 2",
        );
        check("ﻻ", "لا", "لا", "presentation forms 1");
        check("٣٤ ۵۶ ７", "34 56 7", "34 56 7", "styled letters 1");
        check("e\u{301}t\u{e9}", "\u{e9}t\u{e9}", "ete", "diacritics 2");
        check(
            "a\u{200b}\u{301}",
            "\u{e1}",
            "a",
            "zero width 1, diacritics 1",
        );
        check("\u{feff}a", "a", "a", "none");
        check("م\u{200c}ی\u{202e}ر", "میر", "مير", "zero width 1, bidi 1");
        check("①½Ⅳ㎞", "11⁄2ivkm", "11⁄2ivkm", "none");
    }

    #[test]
    fn an_isolated_vowel_sign_does_not_cut_a_word() {
        check(
            "را\u{fe76}ية",
            "را\u{64e}ية",
            "رايه",
            "diacritics 1, presentation forms 1",
        );
    }

    #[test]
    fn vowel_signs_are_put_in_order() {
        let (a, b) = (
            normalise("رّ\u{64e}ا").strict().to_owned(),
            normalise("ر\u{64e}\u{651}ا").strict().to_owned(),
        );
        assert_eq!(a, b);
        check(
            "الرَّمَادُ",
            "الر\u{64e}\u{651}م\u{64e}اد\u{64f}",
            "الرماد",
            "diacritics 4",
        );
    }

    #[test]
    fn look_alikes_depend_on_the_word() {
        check("bаnnеr", "bаnnеr", "banner", "look alikes 2");
        check("кoт", "кoт", "кот", "look alikes 1");
        check("сор", "сор", "сор", "none");
        check("ΑΒΒΑ", "αββα", "αββα", "none");
        check("lلرماد", "lلرماد", "الرماد", "look alikes 1");
        check("ВАNNЕR", "ваnnеr", "banner", "look alikes 3");
        check("жbж", "жbж", "жbж", "none");
        check("łódź", "łódź", "lodz", "diacritics 2, look alikes 1");
    }

    #[test]
    fn spacing_and_elongation() {
        check("j o i n us", "j o i n us", "join us", "spacing 3");
        check("j . o . i . n", "j . o . i . n", "join", "spacing 3");
        check(
            "g.r.e.y b.a.n.n.e.r",
            "g.r.e.y b.a.n.n.e.r",
            "grey banner",
            "spacing 8",
        );
        check("g r e y b-a-n", "g r e y b-a-n", "grey ban", "spacing 5");
        check("ر ا ي ة", "ر ا ي ة", "رايه", "spacing 3");
        check("a b", "a b", "a b", "none");
        check("plan a, b", "plan a, b", "plan a, b", "none");
        check(
            "soooo gooood 10000",
            "soooo gooood 10000",
            "so god 10000",
            "elongation 2",
        );
        check("راااية", "راااية", "رايه", "elongation 1");
    }

    #[test]
    fn emoji_keep_their_joiners() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        check(family, family, family, "none");
        check("\u{2764}\u{fe0f}!", "\u{2764}!", "\u{2764}!", "none");
        assert_eq!(normalise(family).words().len(), 1);
        assert_eq!(normalise("\u{1f44d}\u{1f3ff}\u{1f3f4}").words().len(), 2);
    }

    #[track_caller]
    fn check_span(text: &str, part: &str, expect: &str) {
        let n = normalise(text);
        let at = n.folded().find(part).unwrap();
        assert_eq!(&text[n.folded.original_span(at, at + part.len())], expect);
    }

    #[test]
    fn the_way_back() {
        check_span("the G.R.E.Y banner", "grey", "G.R.E.Y");
        check_span("x الرَّمَـــاد y", "رماد", "رَّمَـــاد");
        check_span("جدا ﷲ", "الله", "ﷲ");
        check_span("bannnnner now", "ner", "nnnnner");
        check_span("Ünder", "u", "Ü");
        check_span("ｇｒｅｙ", "re", "ｒｅ");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let n = normalise(&"ب".repeat(TEXT_MAX));
        assert!(n.truncated);
        assert_eq!(n.strict().len(), TEXT_MAX);
        let n = normalise(&format!("a{}", "ب".repeat(TEXT_MAX)));
        assert_eq!(n.strict().len(), TEXT_MAX - 1);
        assert!(!normalise(&"a".repeat(TEXT_MAX)).truncated);
    }

    /// A tenth of this is ample, and quadratic time is more; on a busy machine one of three tries counts.
    #[track_caller]
    fn check_quick(what: &str, mut work: impl FnMut()) {
        let mut took = || {
            let started = std::time::Instant::now();
            work();
            started.elapsed().as_millis()
        };
        assert!((0..3).any(|_| took() < 500), "{what:?} takes long");
    }

    /// Texts of which each costs some naive algorithm quadratic time.
    #[test]
    fn no_text_takes_long() {
        let pieces = [
            "a",
            "é",
            "\u{301}",
            "\u{200b}",
            "ـ",
            "a\u{301}",
            "a ",
            "а ",
            "ا ",
            "a.",
            "a\u{301}\u{200b}",
            "ab\u{301}",
            "\u{64e}",
            "ﷺ",
            "ь",
            "aа",
            "🏳\u{200d}",
            "旗",
            "\u{1100}",
            "\u{1161}",
            "한",
            "a\u{ad}",
            "\u{fdfd}",
            "Ω",
            "ﬃ",
        ];
        for piece in pieces {
            let text = piece.repeat(TEXT_MAX / piece.len());
            check_quick(piece, || drop(normalise(&text)));
        }
        let mixed = normalise(&format!("{}é", "a".repeat(TEXT_MAX - 2)));
        assert_eq!(mixed.words().len(), 1);
    }

    // A letter that full case folding takes apart and normalisation puts together again.
    #[test]
    fn an_accent_that_case_folding_expands_is_dropped() {
        for (written, folded) in [("ẗ", "t"), ("ẖ", "h"), ("ẘ", "w"), ("ẙ", "y"), ("ǰ", "j")]
        {
            assert_eq!(normalise(written).folded(), folded);
        }
    }

    // Every character that normalisation or folding changes, after each kind that it could join.
    #[test]
    fn the_strict_key_of_every_changing_character_is_settled() {
        let settled = [Kind::Letter, Kind::Alone, Kind::Separator, Kind::Emoji];
        let changes = |c: &char| c.nfkc().ne([*c]) || !settled.contains(&entry(*c).kind);
        let mut text = String::new();
        for c in ('\u{a0}'..=char::MAX).filter(changes) {
            for before in ["", "a", "ب", "\u{300}", "\u{64e}", "\u{651}", "\u{1100}"] {
                text.clear();
                text.extend([before, c.encode_utf8(&mut [0; 4]), "\u{316}"]);
                let once = normalise(&text);
                let twice = normalise(once.strict());
                assert_eq!(twice.strict(), once.strict(), "{text:?}");
            }
        }
    }

    fn disguised() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[a-zA-Z0-9]{1,4}",
            2 => "[ا-ي]{1,4}",
            1 => "[а-яА-Я]{1,3}",
            1 => "[α-ωΑ-Ω]{1,3}",
            2 => "[ .,_*|-]{1,2}",
            1 => "[\u{200b}-\u{200f}\u{640}\u{64b}-\u{655}\u{300}-\u{310}\u{fe0f}]{1,3}",
            1 => "[ﭐ-ﷻﹰ-ﻼ！-ﾟ]{1,2}",
            1 => "[旗あア한\u{1100}\u{1161}\u{11a8}ไ🏴👨👩🇪🏿]{1,2}",
            1 => "\\PC{1,3}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Character by character, without the short way for simple words.
    fn normalise_slowly(text: &str) -> Normalised {
        static NONE: [Simple; SIMPLE_END] = [chars::NOT_SIMPLE; SIMPLE_END];
        let mut scanner = Scanner::new(text);
        scanner.table = &NONE;
        scanner.run();
        scanner.finish()
    }

    fn check_short_way(text: &str) -> Result<(), TestCaseError> {
        let (short, long) = (normalise(text), normalise_slowly(text));
        prop_assert_eq!(format!("{:?}", short), format!("{:?}", long));
        Ok(())
    }

    #[test]
    fn the_short_way_gives_the_same_for_pairs_of_characters() {
        let chars: Vec<char> = (0..0x700).step_by(13).filter_map(char::from_u32).collect();
        for a in &chars {
            for b in &chars {
                check_short_way(&format!("x{a}{b} {a} {b}{b}{b}و")).unwrap();
            }
        }
    }

    fn check_maps(text: &str) -> Result<(), TestCaseError> {
        let n = normalise(text);
        for key in [&n.strict, &n.folded, n.plain()] {
            let mut before = 0;
            for (at, c) in key.text().char_indices() {
                let span = key.original_span(at, at + c.len_utf8());
                prop_assert!(
                    text.get(span.clone()).is_some_and(|part| !part.is_empty()),
                    "{span:?} of {text:?}"
                );
                prop_assert!(span.start >= before, "{span:?} of {text:?}");
                before = span.start;
            }
        }
        for word in n.words() {
            prop_assert!(
                text.get(word.original.0 as usize..word.original.1 as usize)
                    .is_some()
            );
            prop_assert!(
                !n.strict.slice(word.strict).is_empty() && !n.plain().slice(word.plain).is_empty()
            );
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn the_short_way_gives_the_same(text in disguised(), spaced in "([a-zA-Zа-яА-Яا-ي1-9أةى،é\u{64e}]{1,5}[ .,،-]{1,2}){0,8}") {
            check_short_way(&text)?;
            check_short_way(&spaced)?;
        }

        #[test]
        fn every_character_leads_back(text in disguised()) {
            check_maps(&text)?;
        }

        #[test]
        fn every_character_of_any_text_leads_back(text: String) {
            check_maps(&text)?;
        }

        #[test]
        fn the_strict_key_of_a_strict_key_is_itself(text in disguised()) {
            let once = normalise(&text);
            let twice = normalise(once.strict());
            prop_assert_eq!(twice.strict(), once.strict());
        }

        // Against the definition: NFKC_Casefold of Unicode, which removes, folds and normalises at once.
        #[test]
        fn the_strict_key_is_nfkc_casefold_of_latin_cyrillic_and_greek(text in "[ -~À-ɏͰ-ϿЀ-ӿ\u{200b}\u{300}-\u{315}ａ-ｚﬀ-ﬆ]{0,20}") {
            let visible: String = text.chars().filter(|c| *c != '\u{200b}').collect();
            let normal: String = visible.nfkc().collect();
            let folded = CaseMapper::new().fold_string(&normal).into_owned();
            let expect: String = folded.nfkc().collect();
            prop_assert_eq!(normalise(&text).strict().to_owned(), expect);
        }
    }
}
