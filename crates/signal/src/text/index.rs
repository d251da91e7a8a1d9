//! Known phrases found in a text, as whole words or inside them.
//!
//! The phrases form a trie whose edges are hashes of folded words. From each word of the text the
//! trie is followed as far as the words go: one look into a hash table a word, however many phrases
//! there are. Whatever is reached is compared letter by letter before it counts.
//!
//! Which words a text has is not always certain, so several readings of a place are followed:
//! letters set apart are also one word; a word whose letters are imitations is also what it
//! imitates; an Arabic word at the start or end of a phrase of several words may carry a particle
//! (`وراية الرماد`, "and the banner of ash"); a phrase of several words may be written as one
//! (`#greybanner`). What the aggressive level adds to these is in its own module and trie, so that
//! it costs nothing where no phrase asks for it; phrases looked for inside words are in a trie of their
//! letters.

use super::context::Context;
use super::filter::{MayBe, may_be};
use super::key::Evasions;
use super::normalise::{Normalised, TEXT_MAX, normalise};
use super::phrase::Phrase;
use super::search::{OCCURRENCES_MAX, Search};
use super::substring::Substrings;
use super::term::{Level, Scope, TermError, TermOptions};
use super::trie::{NONE, Trie};
use super::words::{WordHash, word_hash};
use super::{arabizi, chars, loose};
use crate::index::keys::KeySlots;
use std::fmt;
use std::ops::Range;

/// A phrase found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhraseHit {
    /// The key under which the phrase was inserted.
    pub key: u64,
    /// At which level it was found.
    pub level: Level,
    /// The bytes of the original text in which it was found.
    pub original: Range<usize>,
    /// What was undone within these bytes.
    pub evasions: Evasions,
    /// What these bytes were read as, if that is not what the strict key has: the folded words of
    /// the phrase.
    pub read: Option<String>,
}

/// Fewest letters for a phrase of several words to be found in letters set apart without regard
/// to where its words end, or as one word after `#` or `@`.
const SPACELESS_MIN: usize = 6;
/// Longest phrase, in letters, found in the midst of letters set apart.
const SPACELESS_MAX: usize = 256;

/// Known phrases by key: a lexicon.
///
/// ```
/// use manara_signal::Phrase;
/// use manara_signal::text::{Level, PhraseIndex, TermOptions, normalise};
///
/// let mut index = PhraseIndex::new();
/// index.insert(1, &Phrase::parse("rise under the grey banner")?);
/// index.insert(2, &Phrase::parse("راية الرماد ترتفع")?);
///
/// let mut hits = Vec::new();
/// index.find(&normalise("RISE under thе g.r.e.y banner"), &mut hits); // With a Cyrillic `е`.
/// assert_eq!((hits[0].key, hits[0].level, hits[0].original.clone()), (1, Level::Folded, 0..30));
/// assert_eq!(hits[0].evasions.to_string(), "look alikes 1, spacing 3");
///
/// hits.clear();
/// index.find(&normalise("rise under the greyish banner"), &mut hits);
/// assert!(hits.is_empty());
///
/// let aggressive = TermOptions { level: Level::Aggressive, ..TermOptions::default() };
/// index.insert_with(3, &Phrase::parse("راية الرماد")?, &aggressive)?;
/// index.find(&normalise("tahta rayat el-ramad!"), &mut hits);
/// assert_eq!((hits[0].key, hits[0].original.clone()), (3, 6..20));
/// assert_eq!((hits[0].evasions.arabizi, hits[0].read.as_deref()), (2, Some("رايه الرماد")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PhraseIndex {
    /// Phrases word by word and written as one; see [`end`].
    pub(super) trie: Trie,
    pub(super) members: Vec<Member>,
    pub(super) keys: Vec<u64>,
    free_members: Vec<u32>,
    by_key: KeySlots,
    /// How many phrases are known as one word, by number of letters as [`WordHash`] counts them.
    pub(super) spaceless: Vec<u32>,
    /// The phrases looked for aggressively; see [`loose_end`].
    pub(super) loose: Trie,
    /// How many of them may be written in Latin letters.
    pub(super) arabizi: usize,
    pub(super) substrings: Substrings,
    pub(super) context: Context,
    /// Most words that a phrase has, or had.
    words_max: usize,
}

/// A phrase, and the nodes where it ends.
pub(super) struct Member {
    pub(super) folded: Box<str>,
    /// Absent if it is the folded one.
    strict: Option<Box<str>>,
    words: u32,
    spaceless: u32,
    /// Absent if it is looked for by default.
    pub(super) term: Option<Box<Term>>,
}

/// How a phrase is looked for, if not by default.
pub(super) struct Term {
    level: Level,
    pub(super) scope: Scope,
    /// Node of the trie of letters.
    inside: u32,
    /// Nodes of the aggressive trie.
    loose: u32,
    arabizi: u32,
    /// Phrases of the context, by their numbers there.
    pub(super) near: Vec<u32>,
    pub(super) not_near: Vec<u32>,
    pub(super) within: u32,
}

impl Member {
    pub(super) fn strict(&self) -> &str {
        self.strict.as_deref().unwrap_or(&self.folded)
    }

    /// The highest level at which it may be found.
    pub(super) fn level(&self) -> Level {
        self.term.as_ref().map_or(Level::Folded, |term| term.level)
    }
}

/// Whether a phrase ends at a node word by word or written as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Words,
    Spaceless,
}

/// A member and ending in one number.
fn end(member: u32, ending: Ending) -> u32 {
    member << 1 | u32::from(ending == Ending::Spaceless)
}

pub(super) fn member_of(end: u32) -> (u32, Ending) {
    let ending = if end & 1 == 1 {
        Ending::Spaceless
    } else {
        Ending::Words
    };
    (end >> 1, ending)
}

/// A member in the aggressive trie, in its own letters or in Latin ones.
fn loose_end(member: u32, is_arabizi: bool) -> u32 {
    member << 1 | u32::from(is_arabizi)
}

impl Default for PhraseIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PhraseIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhraseIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl PhraseIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self {
            trie: Trie::new(),
            members: Vec::new(),
            keys: Vec::new(),
            free_members: Vec::new(),
            by_key: KeySlots::default(),
            spaceless: vec![0; SPACELESS_MAX + 1],
            loose: Trie::new(),
            arabizi: 0,
            substrings: Substrings::default(),
            context: Context::default(),
            words_max: 0,
        }
    }

    /// Adds a phrase under a key, in place of the phrase that had it: as whole words, up to the level
    /// [`Level::Folded`].
    pub fn insert(&mut self, key: u64, phrase: &Phrase) {
        self.insert_term(key, phrase, None);
    }

    /// Adds a phrase that is looked for in its own way. If that is refused, nothing changes.
    pub fn insert_with(
        &mut self,
        key: u64,
        phrase: &Phrase,
        options: &TermOptions,
    ) -> Result<(), TermError> {
        options.check(phrase)?;
        let is_default = options.level == Level::default()
            && options.scope == Scope::default()
            && !options.has_conditions();
        self.insert_term(key, phrase, Some(options).filter(|_| !is_default));
        Ok(())
    }

    fn insert_term(&mut self, key: u64, phrase: &Phrase, options: Option<&TermOptions>) {
        self.remove(key);
        let member = self.free_members.pop().unwrap_or(self.members.len() as u32);
        let strict = (phrase.strict() != phrase.folded()).then(|| phrase.strict().into());
        let mut new = Member {
            folded: phrase.folded().into(),
            strict,
            words: NONE,
            spaceless: NONE,
            term: options.map(|options| Box::new(self.term(options))),
        };
        if options.is_some_and(|options| options.scope == Scope::Substring) {
            let node = self.substrings.insert(member, &new.folded);
            if let Some(term) = &mut new.term {
                term.inside = node;
            }
        } else {
            self.insert_words(member, &mut new);
        }
        if options.is_some_and(|options| options.level == Level::Aggressive) {
            self.insert_loose(member, &mut new);
        }
        match self.members.get_mut(member as usize) {
            Some(old) => *old = new,
            None => self.members.push(new),
        }
        match self.keys.get_mut(member as usize) {
            Some(old) => *old = key,
            None => self.keys.push(key),
        }
        self.by_key.insert(member, &self.keys);
    }

    fn term(&mut self, options: &TermOptions) -> Term {
        Term {
            level: options.level,
            scope: options.scope,
            inside: NONE,
            loose: NONE,
            arabizi: NONE,
            near: self.context.insert(&options.near),
            not_near: self.context.insert(&options.not_near),
            within: u32::from(options.within),
        }
    }

    fn insert_words(&mut self, member: u32, new: &mut Member) {
        let count = new.folded.split(' ').count();
        self.words_max = self.words_max.max(count);
        let words = new.folded.split(' ').map(word_hash);
        new.words = self.trie.insert(words, end(member, Ending::Words));
        if let Some(hash) = spaceless_hash(&new.folded) {
            if let Some(count) = self.spaceless.get_mut(hash.len as usize) {
                *count += 1;
            }
            let word = std::iter::once(hash.finish());
            new.spaceless = self.trie.insert(word, end(member, Ending::Spaceless));
        }
    }

    fn insert_loose(&mut self, member: u32, new: &mut Member) {
        let words = new.folded.split(' ').map(|w| loose::loose_hash(w.chars()));
        let node = self.loose.insert(words, loose_end(member, false));
        let latin = arabizi_hashes(&new.folded, new.strict()).map(|hashes| {
            self.arabizi += 1;
            let end = loose_end(member, true);
            self.loose.insert(hashes.into_iter(), end)
        });
        if let Some(term) = &mut new.term {
            term.loose = node;
            term.arabizi = latin.unwrap_or(NONE);
        }
    }

    /// Takes the key's phrase out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(member) = self.by_key.remove(key, &self.keys) else {
            return false;
        };
        let Some(old) = self.members.get_mut(member as usize) else {
            return false;
        };
        let (words, spaceless) = (old.words, old.spaceless);
        let (folded, term) = (std::mem::take(&mut old.folded), old.term.take());
        old.strict = None;
        self.trie.remove(words, end(member, Ending::Words));
        if let Some(hash) = spaceless_hash(&folded).filter(|_| spaceless != NONE) {
            self.trie.remove(spaceless, end(member, Ending::Spaceless));
            if let Some(count) = self.spaceless.get_mut(hash.len as usize) {
                *count -= 1;
            }
        }
        if let Some(term) = term {
            self.remove_term(member, &folded, &term);
        }
        self.free_members.push(member);
        true
    }

    fn remove_term(&mut self, member: u32, folded: &str, term: &Term) {
        self.loose.remove(term.loose, loose_end(member, false));
        self.loose.remove(term.arabizi, loose_end(member, true));
        self.arabizi -= usize::from(term.arabizi != NONE);
        if term.scope == Scope::Substring {
            self.substrings.remove(term.inside, member, folded);
        }
        self.context.remove(&term.near);
        self.context.remove(&term.not_near);
    }

    /// Number of phrases.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends what is found, by place, then by key: every occurrence of every phrase, each once. (Of
    /// a text with more than a thousand occurrences, only the first of each further phrase.)
    pub fn find(&self, text: &Normalised, out: &mut Vec<PhraseHit>) {
        if !self.is_empty() {
            out.append(&mut Search::new(self, text).hits());
        }
    }

    /// As [`find`](Self::find) of the text normalised, but mostly faster: plain text is normalised only
    /// if the hashes of its words say that a phrase may be in it, which needs no offsets and no
    /// copies. So text that is normalised already costs no more than reading it.
    ///
    /// ```
    /// # use manara_signal::Phrase;
    /// # use manara_signal::text::{PhraseIndex, normalise};
    /// # let mut index = PhraseIndex::new();
    /// # index.insert(1, &Phrase::parse("grey banner")?);
    /// let (mut hits, mut same) = (Vec::new(), Vec::new());
    /// let text = "Rise under the grey banner!";
    /// index.find_in(text, &mut hits);
    /// index.find(&normalise(text), &mut same);
    /// assert_eq!(hits, same);
    /// # Ok::<(), manara_signal::PhraseError>(())
    /// ```
    pub fn find_in(&self, text: &str, out: &mut Vec<PhraseHit>) {
        let only_words = self.substrings.is_empty() && self.loose.is_empty();
        let from = out.len();
        if only_words
            && self.context.is_empty()
            && text.len() <= TEXT_MAX
            && let MayBe::In(parts) = may_be(&self.trie, self.words_max, text)
        {
            for part in parts {
                self.find_in_part(text, part, out);
            }
            // Far from where `find` begins to leave hits out.
            if out.len() < from + OCCURRENCES_MAX / 4 {
                return;
            }
            out.truncate(from);
        }
        self.find(&normalise(text), out);
    }

    fn find_in_part(&self, text: &str, part: Range<usize>, out: &mut Vec<PhraseHit>) {
        let (from, start) = (out.len(), part.start);
        self.find(&normalise(text.get(part).unwrap_or_default()), out);
        for hit in out.iter_mut().skip(from) {
            hit.original.start += start;
            hit.original.end += start;
        }
    }

    /// Appends what is found without overlap: of the occurrences that begin first the longest, and
    /// of several equal ones that of the lowest key; then on from its end.
    pub fn find_leftmost_longest(&self, text: &Normalised, out: &mut Vec<PhraseHit>) {
        let mut all = Vec::new();
        self.find(text, &mut all);
        all.sort_by_key(|hit| {
            let Range { start, end } = hit.original;
            (start, std::cmp::Reverse(end), hit.key)
        });
        let mut free = 0;
        for hit in all {
            if hit.original.start >= free {
                free = hit.original.end;
                out.push(hit);
            }
        }
    }
}

/// The hash of a phrase of several words written as one, if it is long enough to be looked for so.
fn spaceless_hash(folded: &str) -> Option<WordHash> {
    let spaces = folded.matches(' ').count();
    let letters = folded.chars().filter(|c| *c != ' ');
    let count = letters.clone().count();
    // Words of one character each are ideographs: they are found word by word, spaces or not.
    if spaces == 0 || count < SPACELESS_MIN || count == spaces + 1 {
        return None;
    }
    let mut hash = WordHash::new();
    letters.for_each(|c| hash.push(c));
    (hash.len as usize <= SPACELESS_MAX).then_some(hash)
}

/// The words of a phrase for the aggressive trie, Arabic ones as they are in Latin letters; nothing
/// if none is Arabic or too little would speak for it.
fn arabizi_hashes(folded: &str, strict: &str) -> Option<Vec<u64>> {
    let mut total = 0;
    let mut hashes = Vec::new();
    let mut strict = strict.split(' ');
    for folded in folded.split(' ') {
        let word = without_vowel_signs(strict.next()?);
        if is_arabic(&word) {
            total += arabizi::score(&word)?;
            hashes.push(arabizi::arabic_hash(&word));
        } else {
            hashes.push(loose::loose_hash(folded.chars()));
        }
    }
    let enough = total > 0 && total + arabizi::DIGIT_SCORE >= arabizi::SCORE_MIN;
    (enough && strict.next().is_none()).then_some(hashes)
}

/// The letters of a strict word, as they are written in Latin letters.
pub(super) fn without_vowel_signs(word: &str) -> String {
    word.chars()
        .filter(|c| !chars::is_dropped_mark(*c))
        .collect()
}

pub(super) fn is_arabic(word: &str) -> bool {
    word.chars()
        .any(|c| chars::entry(c).script == chars::script::ARABIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalise;
    use proptest::prelude::*;

    fn index(phrases: &[&str]) -> PhraseIndex {
        let mut index = PhraseIndex::new();
        for (key, phrase) in (0..).zip(phrases) {
            index.insert(key, &Phrase::parse(phrase).unwrap());
        }
        index
    }

    /// What is found, as `PHRASE at level: ORIGINAL (EVASIONS)`.
    #[track_caller]
    fn check(phrases: &[&str], text: &str, expect: &[&str]) {
        let mut hits = Vec::new();
        index(phrases).find(&normalise(text), &mut hits);
        let said = |hit: &PhraseHit| {
            let phrase = phrases[hit.key as usize];
            format!(
                "{phrase} {}: {} ({})",
                hit.level,
                &text[hit.original.clone()],
                hit.evasions
            )
        };
        assert_eq!(
            hits.iter().map(said).collect::<Vec<_>>(),
            expect,
            "in {text}"
        );
    }

    #[test]
    fn a_hit_says_at_which_level_and_what_was_undone() {
        let grey = "grey banner";
        check(
            &[grey],
            "the Grey  Banner.",
            &["grey banner strict: Grey  Banner (none)"],
        );
        check(
            &[grey],
            "gr\u{200b}ey banner",
            &["grey banner strict: gr\u{200b}ey banner (zero width 1)"],
        );
        check(
            &[grey],
            "grèy banner",
            &["grey banner folded: grèy banner (diacritics 1)"],
        );
        check(
            &[grey],
            "g r e y banner",
            &["grey banner folded: g r e y banner (spacing 3)"],
        );
        check(
            &[grey],
            "a #greybanner",
            &["grey banner folded: greybanner (spacing 1)"],
        );
        check(
            &[grey],
            "grеу banner",
            &["grey banner folded: grеу banner (look alikes 2)"],
        );
        check(
            &[grey],
            "g r e y b a n n e r",
            &["grey banner folded: g r e y b a n n e r (spacing 9)"],
        );
        check(
            &[grey],
            "x g r e y b a n n e r y",
            &["grey banner folded: g r e y b a n n e r (spacing 9)"],
        );
        check(
            &[grey],
            "greyyyy banner",
            &["grey banner folded: greyyyy banner (elongation 1)"],
        );
        check(
            &["راية الرماد"],
            "وَراية الرَّمادِ!",
            &["راية الرماد folded: راية الرَّمادِ (diacritics 3)"],
        );
        check(&["راية الرماد"], "للراية الرمادهم", &[]);
        check(&["راية الرماد"], "وبراية رمادهم", &[]);
        check(
            &["راية الرماد"],
            "راية الرمادين",
            &["راية الرماد folded: راية الرماد (none)"],
        );
        check(
            &["الراية السوداء القديمة"],
            "للراية السوداء القديمة",
            &["الراية السوداء القديمة folded: لراية السوداء القديمة (none)"],
        );
    }

    #[test]
    fn overlapping_and_nested_phrases_are_all_found() {
        check(
            &["grey banner", "banner", "under the grey", "banner rises"],
            "under the grey banner rises",
            &[
                "under the grey strict: under the grey (none)",
                "grey banner strict: grey banner (none)",
                "banner strict: banner (none)",
                "banner rises strict: banner rises (none)",
            ],
        );
    }

    #[test]
    fn every_occurrence_is_found_once() {
        check(
            &["no no"],
            "no no no",
            &["no no strict: no no (none)", "no no strict: no no (none)"],
        );
        check(
            &["g r e y"],
            "g r e y grey",
            &[
                "g r e y strict: g r e y (none)",
                "g r e y folded: grey (none)",
            ],
        );
    }

    #[test]
    fn phrases_typed_differently_keep_their_levels() {
        check(
            &["café", "cafe"],
            "Café",
            &[
                "café strict: Café (none)",
                "cafe folded: Café (diacritics 1)",
            ],
        );
        check(
            &["café", "cafe"],
            "CAFE",
            &["café folded: CAFE (none)", "cafe strict: CAFE (none)"],
        );
    }

    #[test]
    fn one_word_is_not_two_unless_it_is_long_or_a_tag() {
        check(&["to get her"], "together", &[]);
        check(
            &["to get her"],
            "#together",
            &["to get her folded: together (spacing 1)"],
        );
        check(&["may be"], "m a y b e", &[]);
        check(
            &["grey banner"],
            "greybanner_17",
            &["grey banner folded: greybanner (spacing 1)"],
        );
        check(&["greybanner"], "grey banner", &[]);
    }

    #[test]
    fn ideographs_are_found_without_spaces() {
        check(
            &["灰色旗"],
            "我们的灰色旗帜",
            &["灰色旗 strict: 灰色旗 (none)"],
        );
        check(&["🏴"], "rise🏴now", &["🏴 strict: 🏴 (none)"]);
        check(&["👨\u{200d}👩"], "👨👩", &[]);
    }

    #[test]
    fn imitations_of_whole_words_need_company() {
        check(&["pope"], "роре", &[]);
        check(
            &["pope"],
            "the роре said",
            &["pope folded: роре (look alikes 4)"],
        );
        check(&["pope"], "это роре там", &[]);
        check(
            &["the pope"],
            "the роре",
            &["the pope folded: the роре (look alikes 4)"],
        );
        check(
            &["сор"],
            "это cop там",
            &["сор folded: cop (look alikes 3)"],
        );
        check(&["сор"], "a cop there", &[]);
    }

    #[test]
    fn a_text_full_of_hits_gives_each_phrase() {
        let mut phrases: Vec<String> = (0..3).map(|i| format!("w{i}")).collect();
        phrases.push("last one".to_owned());
        let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let text = format!("{}last one", "w0 w1 w2 ".repeat(5000));
        let mut hits = Vec::new();
        index(&phrases).find(&normalise(&text), &mut hits);
        let mut keys: Vec<u64> = hits.iter().map(|hit| hit.key).collect();
        assert!(hits.len() <= OCCURRENCES_MAX + phrases.len());
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys, [0, 1, 2, 3]);
    }

    #[test]
    fn no_text_takes_long_to_search() {
        let letters: Vec<String> = (b'a'..=b'z').map(|c| char::from(c).to_string()).collect();
        let mut phrases: Vec<String> = letters
            .windows(10)
            .map(|w| w.join("") + " banner")
            .collect();
        phrases.extend((2..32).map(|n| vec!["ab"; n].join(" ")));
        phrases.extend((2..32).map(|n| vec!["راية"; n].join(" ")));
        let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let index = index(&phrases);
        let pieces = [
            "a ",
            "ab ",
            "a b c d e f g h i j b a n n e r ",
            "وراية ",
            "راية ",
            "aа ",
            "b",
            "а ",
            "g.r.e.y ",
        ];
        for piece in pieces {
            let text = normalise(&piece.repeat(crate::text::TEXT_MAX / piece.len()));
            let took = || {
                let (started, mut hits) = (std::time::Instant::now(), Vec::new());
                index.find(&text, &mut hits);
                started.elapsed().as_millis()
            };
            // Quadratic time is far more; on a busy machine one of three tries counts.
            assert!((0..3).any(|_| took() < 500), "{piece:?} takes long");
        }
    }

    #[test]
    fn of_a_huge_text_the_beginning_is_searched() {
        let index = index(&["grey banner"]);
        let text = "the grey banner ".repeat(10_000_000 / 16);
        let normalised = normalise(&text);
        assert!(normalised.truncated);
        let (mut hits, mut same) = (Vec::new(), Vec::new());
        index.find(&normalised, &mut hits);
        index.find_in(&text, &mut same);
        assert_eq!(hits, same);
        assert_eq!(hits.len(), OCCURRENCES_MAX);
        assert!(hits.iter().all(|hit| hit.original.end <= TEXT_MAX));
        let late = format!("{}grey banner", "x ".repeat(TEXT_MAX / 2));
        hits.clear();
        index.find_in(&late, &mut hits);
        assert_eq!(hits, []);
    }

    #[test]
    fn a_thousand_marks_on_one_letter_are_one_letter() {
        for (letter, marks) in [
            ("e", "\u{301}"),
            ("e", "\u{301}\u{316}"),
            ("e", "\u{200b}\u{302}"),
        ] {
            let text = format!("gr{letter}{}y banner", marks.repeat(1000));
            let (mut hits, mut same) = (Vec::new(), Vec::new());
            index(&["grey banner"]).find(&normalise(&text), &mut hits);
            index(&["grey banner"]).find_in(&text, &mut same);
            assert_eq!(hits, same);
            let said: Vec<_> = hits
                .iter()
                .map(|hit| (hit.level, hit.original.clone()))
                .collect();
            assert_eq!(said, [(Level::Folded, 0..text.len())]);
            assert!(hits[0].evasions.diacritics >= 1000);
        }
        let text = format!("راي{}ة الرماد", "\u{64e}\u{651}".repeat(1000));
        let mut hits = Vec::new();
        index(&["راية الرماد"]).find_in(&text, &mut hits);
        assert_eq!((hits.len(), hits[0].evasions.diacritics), (1, 2000));
    }

    /// What is found of one phrase with options, as `LEVEL: ORIGINAL (EVASIONS)`.
    #[track_caller]
    fn check_with(options: &str, phrase: &str, text: &str, expect: &[&str]) {
        let mut index = PhraseIndex::new();
        let options: TermOptions = serde_json::from_str(options).unwrap();
        index
            .insert_with(0, &Phrase::parse(phrase).unwrap(), &options)
            .unwrap();
        let mut hits = Vec::new();
        index.find(&normalise(text), &mut hits);
        let said = hits.iter().map(|hit| {
            let original = &text[hit.original.clone()];
            format!("{}: {original} ({})", hit.level, hit.evasions)
        });
        assert_eq!(said.collect::<Vec<_>>(), expect, "{phrase} in {text}");
        assert!(index.remove(0));
        assert!(index.trie.is_empty() && index.loose.is_empty() && index.substrings.is_empty());
    }

    #[test]
    fn a_hit_above_the_level_is_not_reported() {
        let strict = r#"{"level":"strict"}"#;
        check_with(strict, "café", "Café", &["strict: Café (none)"]);
        check_with(strict, "café", "cafe c a f é", &[]);
        check_with("{}", "grey banner", "gr3y banner", &[]);
    }

    #[test]
    fn inside_words() {
        let inside = r#"{"scope":"substring"}"#;
        check_with(inside, "banner", "greybanners", &["strict: banner (none)"]);
        check_with(
            inside,
            "banner",
            "GREYBÄNNNNERS",
            &["folded: BÄNNNNER (diacritics 1, elongation 1)"],
        );
        check_with(
            inside,
            "grey banner",
            "thegrey,  bannerx",
            &["strict: grey,  banner (none)"],
        );
        check_with(
            inside,
            "الرماد",
            "والرَّمادي",
            &["folded: الرَّماد (diacritics 2)"],
        );
        check_with(inside, "灰旗", "大灰旗手", &["strict: 灰旗 (none)"]);
        check_with(
            inside,
            "banner",
            "x b a n n e r s",
            &["folded: b a n n e r (spacing 5)"],
        );
        check_with(
            inside,
            "the g r e y banner",
            "the g r e y banner! under the g-r-e-y  banners",
            &[
                "strict: the g r e y banner (none)",
                "strict: the g-r-e-y  banner (none)",
            ],
        );
        check_with(
            inside,
            "the grey banner",
            "under the g-r-e-y  banners",
            &["folded: the g-r-e-y  banner (spacing 3)"],
        );
        check_with(
            r#"{"scope":"substring","level":"strict"}"#,
            "banner",
            "bánners banners",
            &["strict: banner (none)"],
        );
    }

    #[test]
    fn company() {
        let near = r#"{"near":["join","march"],"within":2}"#;
        let said = ["strict: grey banner (none)"];
        check_with(near, "grey banner", "join the old grey banner", &said);
        check_with(near, "grey banner", "join the very old grey banner", &[]);
        check_with(near, "grey banner", "grey banner, we shall MARCH", &said);
        check_with(near, "grey banner", "grey banner", &[]);
        check_with(near, "grey banner", "grey banner m a r c h", &said);
        let far = r#"{"not_near":["museum of war"],"within":2}"#;
        check_with(far, "grey banner", "grey banner in the museum of war", &[]);
        check_with(far, "grey banner", "the museum of war: a grey banner", &[]);
        check_with(
            far,
            "grey banner",
            "grey banner. In the old museum of war",
            &said,
        );
        let both = r#"{"near":["join"],"not_near":["museum"]}"#;
        check_with(both, "grey banner", "join the grey banner", &said);
        check_with(both, "grey banner", "join the grey banner museum", &[]);
        let inside = r#"{"scope":"substring","near":["join"]}"#;
        check_with(inside, "bann", "join the banner", &["strict: bann (none)"]);
        check_with(inside, "bann", "the banner", &[]);
    }

    #[test]
    fn company_counts_though_it_is_common() {
        let text = format!("{}join the grey banner", "join x ".repeat(2000));
        let mut index = PhraseIndex::new();
        let options: TermOptions = serde_json::from_str(r#"{"not_near":["join"]}"#).unwrap();
        let phrase = Phrase::parse("grey banner").unwrap();
        index.insert_with(0, &phrase, &options).unwrap();
        let mut hits = Vec::new();
        index.find(&normalise(&text), &mut hits);
        assert_eq!(hits, []);
    }

    #[test]
    fn leftmost_and_longest() {
        let index = index(&[
            "grey",
            "grey banner",
            "banner rises",
            "rises",
            "grey banner",
        ]);
        let mut hits = Vec::new();
        let text = "the grey banner rises";
        index.find_leftmost_longest(&normalise(text), &mut hits);
        let said = hits
            .iter()
            .map(|hit| (hit.key, &text[hit.original.clone()]));
        assert_eq!(said.collect::<Vec<_>>(), [(1, "grey banner"), (3, "rises")]);
    }

    #[test]
    fn a_hit_says_what_it_was_read_as() {
        let index = index(&["Café de la Grey"]);
        let mut hits = Vec::new();
        index.find(&normalise("CAFÉ de la Grey, cafe de la g r e y"), &mut hits);
        let read: Vec<_> = hits.iter().map(|hit| hit.read.as_deref()).collect();
        assert_eq!(read, [None, Some("cafe de la grey")]);
    }

    #[test]
    fn a_refused_term_changes_nothing() {
        let mut index = index(&["grey banner"]);
        let options = TermOptions {
            within: 0,
            ..TermOptions::default()
        };
        let other = Phrase::parse("other").unwrap();
        assert!(index.insert_with(0, &other, &options).is_err());
        let mut hits = Vec::new();
        index.find(&normalise("grey banner, other"), &mut hits);
        assert_eq!(hits.len(), 1);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut index = index(&[
            "grey banner",
            "grey banner rises",
            "grey",
            "café",
            "grey banner",
        ]);
        index.insert(2, &Phrase::parse("cafe").unwrap());
        for key in [1, 0, 3, 2, 4] {
            assert!(index.remove(key));
            assert!(!index.remove(key));
        }
        assert!(index.is_empty() && index.trie.is_empty());
        assert_eq!(index.trie.nodes_in_use(), 1);
        assert!(index.spaceless.iter().all(|count| *count == 0));
    }

    #[derive(Debug, Clone)]
    enum Change {
        Insert(u64, String),
        Remove(u64),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let phrase = "(ab|ba|ét|et|راية|ورد|сор){1,1}( (ab|ba|et|راية)){0,2}";
        let change = prop_oneof![
            3 => (0..20_u64, phrase).prop_map(|(key, phrase)| Change::Insert(key, phrase)),
            1 => (0..20_u64).prop_map(Change::Remove),
        ];
        proptest::collection::vec(change, 0..60)
    }

    proptest! {
        // The word-by-word definition, for texts without anything to undo but accents.
        #[test]
        fn as_comparing_every_phrase_at_every_word(changes in changes(), text in "((ab|ba|et|ét|راية|cab) ){0,12}") {
            let (mut index, mut map) = (PhraseIndex::new(), std::collections::BTreeMap::new());
            for change in changes {
                match change {
                    Change::Insert(key, phrase) => {
                        let phrase = Phrase::parse(&phrase).unwrap();
                        index.insert(key, &phrase);
                        map.insert(key, phrase);
                    }
                    Change::Remove(key) => prop_assert_eq!(index.remove(key), map.remove(&key).is_some()),
                }
                prop_assert_eq!(index.len(), map.len());
            }
            let n = normalise(&text);
            let mut hits = Vec::new();
            index.find(&n, &mut hits);
            let mut found: Vec<_> = hits.iter().map(|h| (h.key, h.original.clone(), h.level)).collect();
            let mut expect = Vec::new();
            let words: Vec<(usize, &str)> = text.split(' ').scan(0, |at, word| {
                let start = *at;
                *at += word.len() + 1;
                Some((start, word))
            }).filter(|(_, word)| !word.is_empty()).collect();
            let fold = |word: &str| word.replace('é', "e").replace('ة', "ه");
            for (key, phrase) in &map {
                let wanted: Vec<&str> = phrase.original().split(' ').collect();
                for window in words.windows(wanted.len()) {
                    let same = |fold: &dyn Fn(&str) -> String| window.iter().zip(&wanted).all(|((_, a), b)| fold(a) == fold(b));
                    if same(&fold) {
                        let level = if same(&str::to_owned) { Level::Strict } else { Level::Folded };
                        let end = window.last().map_or(0, |(at, word)| at + word.len());
                        expect.push((*key, window[0].0..end, level));
                    }
                }
            }
            let order = |hit: &(u64, Range<usize>, Level)| (hit.0, hit.1.start, hit.1.end);
            found.sort_by_key(order);
            expect.sort_by_key(order);
            prop_assert_eq!(found, expect);
        }

        #[test]
        fn nothing_makes_it_panic(phrase: String, text: String, filler in "[a-zа-я ا-ي.\u{300}-\u{305}\u{64b}-\u{652}]{0,40}") {
            let mut index = index(&["grey banner", "راية الرماد", "g r e y"]);
            if let Ok(phrase) = Phrase::parse(&phrase) {
                index.insert(9, &phrase);
            }
            let mut hits = Vec::new();
            for text in [&text, &filler, &format!("{text}{phrase}{filler}")] {
                index.find(&normalise(text), &mut hits);
                for hit in hits.drain(..) {
                    prop_assert!(text.get(hit.original).is_some());
                }
            }
        }

        #[test]
        fn finding_in_a_text_is_finding_in_it_normalised(phrases in proptest::collection::vec("[abсо]{1,3}( [abсоور]{1,3}){0,2}|وراية الرماد(ها)?|to get her it|راية|بر راية|g r e y", 1..6), text in "((ab|b|a|сор|со|و?راية|الرماد(ها)?|لل?رماد|tooo|get|her|it|grey|cop|Aа|7|é|旗)[ .,#]){0,9}") {
            let mut index = PhraseIndex::new();
            for (key, phrase) in (0..).zip(&phrases) {
                if let Ok(phrase) = Phrase::parse(phrase) {
                    index.insert(key, &phrase);
                }
            }
            for phrase in phrases.iter().chain([&text]) {
                let text = format!("{text}{phrase}");
                let (mut hits, mut expect) = (Vec::new(), Vec::new());
                index.find_in(&text, &mut hits);
                expect.append(&mut Search::new(&index, &normalise(&text)).hits_unfiltered());
                prop_assert_eq!(hits, expect);
            }
        }

        #[test]
        fn a_phrase_is_found_in_itself(phrase: String) {
            let mut index = PhraseIndex::new();
            if let Ok(phrase) = Phrase::parse(&phrase) {
                index.insert(1, &phrase);
                let mut hits = Vec::new();
                index.find(&normalise(phrase.original()), &mut hits);
                prop_assert!(hits.iter().any(|hit| hit.level == Level::Strict), "{phrase:?} {hits:?}");
                let inside = TermOptions { scope: Scope::Substring, ..TermOptions::default() };
                if index.insert_with(1, &phrase, &inside).is_ok() {
                    hits.clear();
                    index.find(&normalise(phrase.original()), &mut hits);
                    prop_assert!(hits.iter().any(|hit| hit.level == Level::Strict), "inside {phrase:?} {hits:?}");
                }
            }
        }
    }
}
