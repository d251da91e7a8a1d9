//! Where in a text a phrase may begin, told from hashes of single words and pairs alone.
//!
//! Most words of a text begin no phrase, though most of them are in one somewhere. A bit for each
//! word that is a phrase and for each pair that begins one tells almost all of them apart, at the
//! cost of a look into a small table. [`may_be`] asks this of a text before it is normalised:
//! of plain text the hashes of its words are all that is needed, and then the few words around.

use super::chars::{SIMPLE_END, Simple, SimpleKind, entry, script, simple_table};
use super::normalise::{SPACED_MIN, is_imitating, two_bytes};
use super::trie::Trie;
use super::words::{
    WordHash, may_have_particles, stretches, without_enclitics, without_proclitics, word_hash,
};
use std::ops::Range;
use std::sync::OnceLock;

/// Goes through the words of a text.
pub(super) struct Filter<'i> {
    trie: &'i Trie,
    /// What the word before may be read as.
    before: u64,
    imitated: Option<u64>,
    /// The same without its particles, where such a word begins a phrase.
    bare: Vec<u64>,
}

/// A word for the filter.
#[derive(Clone, Copy)]
pub(super) struct Seen<'t> {
    pub(super) hash: u64,
    /// In plain form, if it is Arabic and may have particles.
    pub(super) arabic: Option<&'t str>,
    /// What it is if its letters are imitations.
    pub(super) imitated: Option<u64>,
}

impl Seen<'_> {
    pub(super) const fn new(hash: u64) -> Self {
        Self {
            hash,
            arabic: None,
            imitated: None,
        }
    }
}

/// Where phrases may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MayBegin {
    pub(super) before: bool,
    pub(super) here: bool,
}

impl<'i> Filter<'i> {
    pub(super) fn new(trie: &'i Trie) -> Self {
        Self {
            trie,
            before: 0,
            imitated: None,
            bare: Vec::new(),
        }
    }

    /// Whether a phrase may begin with the word before, and whether this word may be one.
    #[inline]
    pub(super) fn next(&mut self, word: Seen<'_>) -> MayBegin {
        let trie = self.trie;
        let mut said = MayBegin {
            before: trie.may_begin_with(self.before, word.hash),
            here: trie.may_be_alone(word.hash),
        };
        if word.arabic.is_some() || word.imitated.is_some() {
            self.readings(word, &mut said);
        } else if self.imitated.is_some() || !self.bare.is_empty() {
            said.before |= self.any_begins_with(word.hash);
            self.bare.clear();
        }
        self.before = word.hash;
        self.imitated = word.imitated;
        said
    }

    /// Asks the same of all readings of this word and the one before, and notes those of this one.
    fn readings(&mut self, word: Seen<'_>, said: &mut MayBegin) {
        said.before |= self.any_begins_with(word.hash);
        if let Some(imitated) = word.imitated {
            said.here |= self.trie.may_be_alone(imitated);
            said.before |= self.begins_with(imitated);
        }
        let Some(text) = word.arabic else {
            self.bare.clear();
            return;
        };
        if self.trie.may_begin(self.before) || self.imitated.is_some() || !self.bare.is_empty() {
            for stem in without_enclitics(text, script::ARABIC) {
                said.before |= self.begins_with(word_hash(stem));
            }
        }
        self.bare.clear();
        for (_, put_back, rest) in without_proclitics(text, script::ARABIC) {
            let mut hash = WordHash::new();
            let letters = put_back.chars().chain(rest.chars());
            letters.for_each(|c| hash.push(c));
            let hash = hash.finish();
            if self.trie.may_begin(hash) {
                self.bare.push(hash);
            }
        }
    }

    fn begins_with(&self, second: u64) -> bool {
        self.trie.may_begin_with(self.before, second) || self.any_begins_with(second)
    }

    fn any_begins_with(&self, second: u64) -> bool {
        let mut others = self.bare.iter().copied().chain(self.imitated);
        others.any(|first| self.trie.may_begin_with(first, second))
    }
}

/// A character as the filter needs it: the number of its plain form, and flags. Those of a word's
/// letters are put together by `or`.
#[derive(Clone, Copy)]
struct Letter(u32);

const CODE: u32 = 0x7ff;
/// A digit: repeated, it is another number.
const DIGIT: u32 = 1 << 11;
/// The script, from here on up.
const SCRIPT_SHIFT: u32 = 12;
const SCRIPTS: u32 = 0xff << SCRIPT_SHIFT;
/// Looks like no Latin letter.
const UNLIKE_LATIN: u32 = 1 << 20;
/// No letter, and not simple either.
const SEPARATOR: u32 = 1 << 30;
const OTHER: u32 = 1 << 31;

type Letters = [Letter; SIMPLE_END];

fn letters() -> &'static Letters {
    static LETTERS: OnceLock<Box<Letters>> = OnceLock::new();
    LETTERS.get_or_init(|| {
        let mut letters = Box::new([Letter(OTHER); SIMPLE_END]);
        for (letter, simple) in letters.iter_mut().zip(simple_table()) {
            *letter = Letter::new(*simple);
        }
        letters
    })
}

impl Letter {
    fn new(simple: Simple) -> Self {
        let flag = |is: bool, flag: u32| if is { flag } else { 0 };
        let plain = simple.plain();
        Self(match simple.kind {
            SimpleKind::Other => OTHER,
            SimpleKind::Separator => SEPARATOR,
            SimpleKind::Letter => {
                plain as u32
                    | flag(!stretches(plain), DIGIT)
                    | u32::from(simple.script) << SCRIPT_SHIFT
                    | flag(simple.latin == 0 && simple.script != 0, UNLIKE_LATIN)
            }
        })
    }

    /// The character at a place and its length in bytes.
    #[inline]
    fn at(letters: &Letters, bytes: &[u8], at: usize) -> (Self, usize) {
        match bytes.get(at) {
            Some(&a) if a < 0x80 => (letters[usize::from(a)], 1),
            Some(&a) if a < 0xe0 => {
                let b = bytes.get(at + 1).copied().unwrap_or(0);
                (letters[two_bytes(a, b)], 2)
            }
            _ => (Self(OTHER), 1),
        }
    }

    const fn is_letter(self) -> bool {
        self.0 < SEPARATOR
    }
}

/// Where phrases may be in a text.
pub(super) enum MayBe {
    /// Only within these parts, each of which has all that its phrases need around them.
    In(Vec<Range<usize>>),
    /// Not to be told from the text as it is: it is not simply words.
    Anywhere,
}

/// Where phrases of the trie, of so many words at most, may be in the text.
pub(super) fn may_be(trie: &Trie, words_max: usize, text: &str) -> MayBe {
    let (letters, bytes) = (letters(), text.as_bytes());
    let mut filter = Filter::new(trie);
    let mut parts = Parts::default();
    let (mut at, mut singles, mut scripts) = (0, 0, 0);
    let mut plain = String::new();
    loop {
        let from = at;
        let (mut hash, mut all) = (WordHash::new(), 0);
        let (mut here, mut len) = Letter::at(letters, bytes, at);
        while here.is_letter() {
            hash.push_code(here.0 & CODE, here.0 & DIGIT == 0);
            all |= here.0;
            at += len;
            (here, len) = Letter::at(letters, bytes, at);
        }
        if here.0 == OTHER && at < bytes.len() {
            return MayBe::Anywhere;
        }
        if at > from {
            singles = if hash.len == 1 { singles + 1 } else { 0 };
            let own = ((all & SCRIPTS) >> SCRIPT_SHIFT) as u8;
            scripts |= own;
            if own.count_ones() > 1 || singles >= SPACED_MIN || may_be_imitated(scripts) {
                return MayBe::Anywhere;
            }
            let mut word = Seen::new(hash.finish());
            let original = text.get(from..at).unwrap_or_default();
            if own == script::ARABIC {
                word.arabic = with_particles(original, &mut plain);
            } else if all & UNLIKE_LATIN == 0 && is_imitating(own) {
                word.imitated = Some(imitated_hash(original));
            }
            let may = filter.next(word);
            if may.before || may.here {
                parts.open(words_max);
            }
            parts.word(from..at);
        }
        while here.0 == SEPARATOR {
            at += len;
            (here, len) = Letter::at(letters, bytes, at);
        }
        if at >= bytes.len() {
            return MayBe::In(parts.found);
        }
    }
}

/// Parts of a text, from the word before that where a phrase may begin.
#[derive(Default)]
struct Parts {
    found: Vec<Range<usize>>,
    /// Where the last two words began; 0 before there were two.
    before: (usize, usize),
    /// Words that still belong to the last part.
    left: usize,
}

impl Parts {
    /// Begins a part, or goes on with the last, for a phrase that begins at the next word or the last.
    fn open(&mut self, words_max: usize) {
        let from = self.before.0;
        if self.found.last().is_none_or(|last| last.end <= from) {
            self.found.push(from..from);
        }
        // One word more than the phrase may have, since what stands beside a word tells about it.
        self.left = words_max + 1;
    }

    #[inline]
    fn word(&mut self, word: Range<usize>) {
        if self.left > 0 {
            self.left -= 1;
            if let Some(last) = self.found.last_mut() {
                last.end = word.end;
            }
        }
        self.before = (self.before.1, word.start);
    }
}

/// Whether Latin words may be imitations of others of the text.
fn may_be_imitated(scripts: u8) -> bool {
    scripts & script::LATIN != 0 && scripts & (script::CYRILLIC | script::GREEK) != 0
}

/// An Arabic word in plain form, if it may have particles.
fn with_particles<'p>(word: &str, plain: &'p mut String) -> Option<&'p str> {
    let (mut first, mut last) = (word.chars(), word.chars());
    let (first, last) = (entry(first.next()?).plain, entry(last.next_back()?).plain);
    if !may_have_particles(first, last) {
        return None;
    }
    plain.clear();
    plain.extend(word.chars().map(|c| entry(c).plain));
    Some(plain)
}

/// The hash of a word all of whose letters look like Latin ones, as a Latin word.
fn imitated_hash(word: &str) -> u64 {
    let mut hash = WordHash::new();
    for entry in word.chars().map(entry) {
        hash.push(match entry.script {
            0 => entry.plain,
            _ => char::from(entry.latin),
        });
    }
    hash.finish()
}
