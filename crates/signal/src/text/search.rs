//! One search: a text, an index, and the hits so far.

use super::context::{Places, words_of};
use super::filter::{Filter, Seen};
use super::index::{Ending, Member, PhraseHit, PhraseIndex, member_of};
use super::normalise::Normalised;
use super::substring_search;
use super::term::Level;
use super::trie::{Child, ROOT};
use super::words::{
    Manner, Reading, Stretch, Word, WordHash, same_word, without_enclitics, without_proclitics,
    word_hash,
};
use super::{aggressive, chars};
use std::collections::HashSet;
use std::ops::Range;

/// Up to here every occurrence is reported; after it only the first of each further phrase.
pub(super) const OCCURRENCES_MAX: usize = 1024;
/// Fewest letters for a phrase of several words to be found as one word anywhere: `to get her` is not
/// `together`.
const COMPOUND_MIN: usize = 10;

/// What one word of a phrase was found in.
#[derive(Clone, Copy)]
struct Step<'t> {
    /// A prefix that writing dropped, and the text.
    text: (&'static str, &'t str),
    how: How,
    /// The word of the text where it begins.
    at: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    AsWritten,
    Read(Manner),
    /// Without particles: this many bytes cut off at the start, and at the end.
    Bare(u32, u32),
}

impl<'t> Step<'t> {
    fn is(&self, word: &str) -> bool {
        // Almost always it is the very word.
        self.text == ("", word) || same_word(self.chars(), word.chars())
    }

    fn chars(&self) -> impl Iterator<Item = char> + use<'t> {
        self.text.0.chars().chain(self.text.1.chars())
    }
}

/// A search under way.
pub(super) struct Search<'i, 't> {
    pub(super) index: &'i PhraseIndex,
    pub(super) text: &'t Normalised,
    steps: Vec<Step<'t>>,
    hits: Vec<PhraseHit>,
    occurrences_max: usize,
    /// Keys with a hit, once there are many.
    seen: HashSet<u64>,
    /// Where the phrases of conditions stand, once one was asked for.
    places: Option<Places>,
}

impl<'i, 't> Search<'i, 't> {
    pub(super) fn new(index: &'i PhraseIndex, text: &'t Normalised) -> Self {
        Self {
            index,
            text,
            steps: Vec::new(),
            hits: Vec::new(),
            occurrences_max: OCCURRENCES_MAX,
            seen: HashSet::new(),
            places: None,
        }
    }

    /// A search that reports every occurrence of every phrase, however many there are.
    pub(super) fn unlimited(index: &'i PhraseIndex, text: &'t Normalised) -> Self {
        Self {
            occurrences_max: usize::MAX,
            ..Self::new(index, text)
        }
    }

    /// All hits, in order.
    pub(super) fn hits(mut self) -> Vec<PhraseHit> {
        if !self.index.trie.is_empty() {
            self.words();
            self.spaced();
        }
        self.rest()
    }

    pub(super) fn word(&self, at: u32) -> Option<&'t Word> {
        self.text.words().get(at as usize)
    }

    pub(super) fn plain(&self, stretch: Stretch) -> &'t str {
        self.text.plain().slice(stretch)
    }

    /// All hits, looked for from every word, whatever the filter says.
    #[cfg(test)]
    pub(super) fn hits_unfiltered(mut self) -> Vec<PhraseHit> {
        for at in 0..self.text.words().len() as u32 {
            self.follow(at, at, ROOT);
        }
        self.spaced();
        self.rest()
    }

    fn rest(mut self) -> Vec<PhraseHit> {
        if !self.index.substrings.is_empty() {
            substring_search::find(&mut self);
        }
        if !self.index.loose.is_empty() {
            aggressive::find(&mut self);
        }
        self.finish()
    }

    /// Follows the trie from each word where a phrase may begin.
    fn words(&mut self) {
        let mut filter = Filter::new(&self.index.trie);
        let mut with_readings = self.text.words_with_readings().peekable();
        let mut may_before = false;
        for (at, word) in (0..).zip(self.text.words()) {
            let may = filter.next(Seen {
                hash: word.hash,
                arabic: (word.scripts == chars::script::ARABIC).then(|| self.plain(word.plain)),
                imitated: None,
            });
            let mut is_read = false;
            while with_readings.next_if_eq(&at).is_some() {
                is_read = true;
            }
            if may_before || may.before || is_read {
                self.begin_before(at);
            }
            may_before = may.here || is_read;
        }
        if may_before {
            self.begin_before(self.text.words().len() as u32);
        }
    }

    fn begin_before(&mut self, at: u32) {
        if let Some(first) = at.checked_sub(1) {
            self.follow(first, first, ROOT);
        }
    }

    /// Follows the trie from `node` along the readings of the text from word `at` on. Goes no deeper
    /// than the longest phrase has words.
    fn follow(&mut self, first: u32, at: u32, node: u32) {
        let Some(word) = self.word(at) else { return };
        if let Some(child) = self.index.trie.child(node, word.hash) {
            self.step(
                (first, at + 1),
                child,
                ("", self.plain(word.plain)),
                How::AsWritten,
            );
        }
        if self.text.has_readings() {
            for reading in self.text.readings_at(at) {
                self.reading(first, node, reading);
            }
        }
        if word.scripts == chars::script::ARABIC {
            self.particles(first, at, node, word);
        }
    }

    fn reading(&mut self, first: u32, node: u32, reading: &Reading) {
        if let Some(child) = self.index.trie.child(node, reading.hash) {
            let text = self.text.buffered(reading.text);
            self.step(
                (first, reading.to),
                child,
                ("", text),
                How::Read(reading.manner),
            );
        }
    }

    /// The readings of an Arabic word that begins or ends a phrase with particles attached.
    fn particles(&mut self, first: u32, at: u32, node: u32, word: &Word) {
        let plain = self.plain(word.plain);
        if first == at {
            for (cut, put_back, rest) in without_proclitics(plain, word.scripts) {
                let mut hash = WordHash::new();
                put_back
                    .chars()
                    .chain(rest.chars())
                    .for_each(|c| hash.push(c));
                if let Some(child) = self.index.trie.child(node, hash.finish()) {
                    self.step(
                        (first, at + 1),
                        child,
                        (put_back, rest),
                        How::Bare(cut as u32, 0),
                    );
                }
            }
        } else {
            for stem in without_enclitics(plain, word.scripts) {
                if let Some(child) = self.index.trie.child(node, word_hash(stem)) {
                    let cut = (plain.len() - stem.len()) as u32;
                    // Only the last word carries such an ending, so the path stops here.
                    self.steps.push(Step {
                        text: ("", stem),
                        how: How::Bare(0, cut),
                        at,
                    });
                    self.arrive((first, at + 1), child.node);
                    self.steps.pop();
                }
            }
        }
    }

    fn step(
        &mut self,
        (first, to): (u32, u32),
        child: Child,
        text: (&'static str, &'t str),
        how: How,
    ) {
        let at = self.steps.last().map_or(first, |_| to - 1);
        self.steps.push(Step { text, how, at });
        if child.has_ends {
            self.arrive((first, to), child.node);
        }
        if child.goes_on {
            self.follow(first, to, child.node);
        }
        self.steps.pop();
    }

    /// Reports the phrases that end at the node where the steps lead.
    fn arrive(&mut self, (first, to): (u32, u32), node: u32) {
        let index = self.index;
        for (at, ending) in index.trie.ends(node).map(member_of) {
            if let Some((key, member)) = self.wanted(at)
                && self.is_said(member, ending, first, to)
            {
                let level = if self.is_strict(member, first, to) {
                    Level::Strict
                } else {
                    Level::Folded
                };
                self.hit(key, member, level, ending, first, to);
            }
        }
    }

    /// The key and phrase of a member, if a hit of it still adds something.
    pub(super) fn wanted(&self, member: u32) -> Option<(u64, &'i Member)> {
        let key = *self.index.keys.get(member as usize)?;
        let member = self.index.members.get(member as usize)?;
        let wanted = self.hits.len() < self.occurrences_max || !self.seen.contains(&key);
        wanted.then_some((key, member))
    }

    /// Whether the steps so far really are the phrase, and the readings among them are likely.
    fn is_said(&self, member: &Member, ending: Ending, first: u32, to: u32) -> bool {
        let several = member.folded.contains(' ');
        let bare = self
            .steps
            .iter()
            .any(|step| matches!(step.how, How::Bare(..)));
        if bare && (!several || ending == Ending::Spaceless) {
            return false;
        }
        let same = match ending {
            Ending::Words => {
                let mut words = member.folded.split(' ');
                let all = self
                    .steps
                    .iter()
                    .all(|s| words.next().is_some_and(|w| s.is(w)));
                all && words.next().is_none()
            }
            Ending::Spaceless => match self.steps.as_slice() {
                [step] if self.may_be_compound(*step) => {
                    same_word(step.chars(), member.folded.chars().filter(|c| *c != ' '))
                }
                _ => false,
            },
        };
        same && self.imitations_are_likely(first, to)
    }

    /// Whether one word may be several written together: set apart letters may; else it has to be
    /// a tag or handle, or longer than most words.
    fn may_be_compound(&self, step: Step<'_>) -> bool {
        if step.how == How::Read(Manner::Joined) {
            return true;
        }
        let tag = self.word(step.at).is_some_and(|word| {
            let before = self
                .text
                .strict()
                .get(..word.strict.0 as usize)
                .unwrap_or_default();
            before.ends_with(['#', '@'])
        });
        tag || step.chars().count() >= COMPOUND_MIN
    }

    /// A word of one script all of whose letters look like those of another is mostly just a word.
    /// It is read as an imitation if other words of the phrase are in the script that is imitated
    /// or are imitations too; a word alone, if it stands among words of that script.
    fn imitations_are_likely(&self, first: u32, to: u32) -> bool {
        let imitated = self.steps.iter().find_map(|step| match step.how {
            How::Read(Manner::Whole(target)) => Some(target),
            _ => None,
        });
        let Some(target) = imitated else { return true };
        if self.steps.len() > 1 {
            return true;
        }
        let own = self.word(first).map_or(0, |word| word.scripts);
        let before = first.checked_sub(1).and_then(|at| self.word(at));
        let around: Vec<u8> = [before, self.word(to)]
            .into_iter()
            .flatten()
            .map(|word| word.scripts)
            .collect();
        around.contains(&target) && !around.contains(&own)
    }

    /// Whether the words are the phrase as typed, in the strict key.
    fn is_strict(&self, member: &Member, first: u32, to: u32) -> bool {
        let words = self
            .text
            .words()
            .get(first as usize..to as usize)
            .unwrap_or_default();
        member
            .strict()
            .split(' ')
            .eq(words.iter().map(|word| self.text.strict.slice(word.strict)))
    }

    fn hit(
        &mut self,
        key: u64,
        member: &Member,
        level: Level,
        ending: Ending,
        first: u32,
        to: u32,
    ) {
        if level > member.level() {
            return;
        }
        let (Some(first), Some(last)) = (
            self.word(first),
            to.checked_sub(1).and_then(|at| self.word(at)),
        ) else {
            return;
        };
        let mut original = first.original.0 as usize..last.original.1 as usize;
        let plain = self.text.plain();
        if let Some(Step {
            how: How::Bare(cut, _),
            ..
        }) = self.steps.first()
        {
            original.start = plain
                .original_span((first.plain.0 + cut) as usize, first.plain.1 as usize)
                .start;
        }
        if let Some(Step {
            how: How::Bare(_, cut),
            ..
        }) = self.steps.last()
        {
            original.end = plain
                .original_span(last.plain.0 as usize, (last.plain.1 - cut) as usize)
                .end;
        }
        let mut evasions = self.text.evasions_in(&original, level == Level::Strict);
        if level == Level::Folded {
            let joined = self
                .steps
                .iter()
                .any(|step| step.how == How::Read(Manner::Joined));
            evasions.spacing += u32::from(ending == Ending::Spaceless && !joined);
            let imitations = self
                .steps
                .iter()
                .filter(|s| matches!(s.how, How::Read(Manner::Whole(_))));
            evasions.look_alikes += imitations
                .map(|step| step.text.1.chars().count() as u32)
                .sum::<u32>();
        }
        let read = (level > Level::Strict).then(|| member.folded.to_string());
        let hit = PhraseHit {
            key,
            level,
            original,
            evasions,
            read,
        };
        self.add(member, hit);
    }

    /// Adds a hit, if it is in the company that its phrase asks for.
    pub(super) fn add(&mut self, member: &Member, hit: PhraseHit) {
        if !self.is_in_company(member, &hit.original) {
            return;
        }
        if self.hits.len() >= self.occurrences_max {
            self.seen.insert(hit.key);
        }
        self.hits.push(hit);
        if self.hits.len() == self.occurrences_max {
            self.seen = self.hits.iter().map(|hit| hit.key).collect();
        }
    }

    fn is_in_company(&mut self, member: &Member, original: &Range<usize>) -> bool {
        let Some(term) = member.term.as_ref() else {
            return true;
        };
        if term.near.is_empty() && term.not_near.is_empty() {
            return true;
        }
        let (text, context) = (self.text, &self.index.context);
        let places = self.places.get_or_insert_with(|| context.places(text));
        let words = words_of(text, original);
        let is_near = |phrase: &u32| places.is_near(*phrase, &words, term.within as usize);
        (term.near.is_empty() || term.near.iter().any(is_near))
            && !term.not_near.iter().any(is_near)
    }

    /// Looks for phrases of several words anywhere in letters set apart, since `g r e y b a n n e r`
    /// does not show where its words end.
    fn spaced(&mut self) {
        let longest = self
            .index
            .spaceless
            .iter()
            .rposition(|count| *count > 0)
            .unwrap_or(0);
        for group in self.text.spaced().iter().filter(|_| longest > 0) {
            let letters = self.text.buffered(group.text);
            for (word, (start, _)) in (group.from..).zip(letters.char_indices()) {
                self.spaced_from(
                    word,
                    letters.get(start..).unwrap_or_default(),
                    longest as u32,
                );
            }
        }
    }

    fn spaced_from(&mut self, first: u32, letters: &'t str, longest: u32) {
        let mut hash = WordHash::new();
        for (to, (at, c)) in (first + 1..).zip(letters.char_indices()) {
            hash.push(c);
            // The second bound is for letters that repeat and so do not count for the first.
            if hash.len > longest || to - first > 2 * longest {
                break;
            }
            let known = self
                .index
                .spaceless
                .get(hash.len as usize)
                .is_some_and(|count| *count > 0);
            if known && let Some(child) = self.index.trie.child(ROOT, hash.finish()) {
                let text = letters.get(..at + c.len_utf8()).unwrap_or_default();
                let index = self.index;
                self.steps.push(Step {
                    text: ("", text),
                    how: How::Read(Manner::Joined),
                    at: first,
                });
                for (at, ending) in index.trie.ends(child.node).map(member_of) {
                    if ending == Ending::Spaceless
                        && let Some((key, member)) = self.wanted(at)
                        && self.is_said(member, ending, first, to)
                    {
                        self.hit(key, member, Level::Folded, ending, first, to);
                    }
                }
                self.steps.pop();
            }
        }
    }

    /// Orders the hits and drops those that say again what another says: the same phrase at the
    /// same place, or in another reading where it is found as written.
    fn finish(mut self) -> Vec<PhraseHit> {
        if self.hits.len() < 2 {
            return self.hits;
        }
        let order = |hit: &PhraseHit| (hit.key, hit.original.start, hit.level, hit.original.end);
        self.hits.sort_unstable_by_key(order);
        let mut kept: Vec<PhraseHit> = Vec::with_capacity(self.hits.len());
        for hit in self.hits {
            let again = kept.last().is_some_and(|last| {
                let within =
                    |a: &Range<usize>, b: &Range<usize>| b.start <= a.start && a.end <= b.end;
                let nested =
                    within(&hit.original, &last.original) || within(&last.original, &hit.original);
                last.key == hit.key
                    && (hit.original == last.original || nested && hit.level > last.level)
            });
            if !again {
                kept.push(hit);
            }
        }
        kept.sort_by_key(|hit| (hit.original.start, hit.original.end, hit.key));
        kept
    }
}
