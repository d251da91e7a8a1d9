//! Known phrases found in a text, as whole words.
//!
//! The phrases form a trie whose edges are hashes of folded words. From each word of the text the
//! trie is followed as far as the words go: one look into a hash table a word, however many phrases
//! there are. Whatever is reached is compared letter by letter before it counts.
//!
//! Which words a text has is not always certain, so several readings of a place are followed:
//! letters set apart are also one word; a word whose letters are imitations is also what it
//! imitates; an Arabic word at the start or end of a phrase of several words may carry a particle
//! (`وراية الرماد`, "and the banner of ash"); a phrase of several words may be written as one
//! (`#greybanner`).

use super::key::Evasions;
use super::normalise::Normalised;
use super::phrase::Phrase;
use super::words::{
    Manner, Reading, Stretch, Word, WordHash, same_word, without_enclitics, without_proclitics,
    word_hash,
};
use crate::index::keys::KeySlots;
use hashbrown::HashTable;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// How much had to be undone for a phrase to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The words are those of the phrase in the strict key.
    Strict,
    /// They are the same in the folded key only, or in another reading.
    Folded,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Strict => "strict",
            Self::Folded => "folded",
        })
    }
}

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
}

/// Up to here every occurrence is reported; after it only the first of each further phrase.
const OCCURRENCES_MAX: usize = 1024;
/// Fewest letters for a phrase of several words to be found in letters set apart without regard
/// to where its words end, or as one word after `#` or `@`.
const SPACELESS_MIN: usize = 6;
/// Fewest letters for it to be found as one word anywhere: `to get her` is not `together`.
const COMPOUND_MIN: usize = 10;
/// Longest phrase, in letters, found in the midst of letters set apart.
const SPACELESS_MAX: usize = 256;

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;

/// Known phrases by key.
///
/// ```
/// use manara_signal::Phrase;
/// use manara_signal::text::{Level, PhraseIndex, normalise};
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
/// # Ok::<(), manara_signal::PhraseError>(())
/// ```
pub struct PhraseIndex {
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    /// Child nodes, by [`edge`].
    edges: HashTable<(u64, u32)>,
    members: Vec<Member>,
    keys: Vec<u64>,
    free_members: Vec<u32>,
    by_key: KeySlots,
    /// How many phrases are known as one word, by number of letters as [`WordHash`] counts them.
    spaceless: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Node {
    parent: u32,
    /// The key of the edge that leads here.
    edge: u64,
    children: u32,
    /// First of the phrases that end here, as an [`end`].
    ends: u32,
}

/// A phrase in the trie, where it ends and which other ends there.
struct Member {
    folded: Box<str>,
    /// Absent if it is the folded one.
    strict: Option<Box<str>>,
    words: Place,
    spaceless: Place,
}

#[derive(Clone, Copy)]
struct Place {
    node: u32,
    next: u32,
}

const NOWHERE: Place = Place {
    node: NONE,
    next: NONE,
};

/// Whether a phrase ends at a node word by word or written as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Words,
    Spaceless,
}

/// A member and ending in one number.
fn end(member: u32, ending: Ending) -> u32 {
    member << 1 | u32::from(ending == Ending::Spaceless)
}

fn member_of(end: u32) -> (u32, Ending) {
    (
        end >> 1,
        if end & 1 == 1 {
            Ending::Spaceless
        } else {
            Ending::Words
        },
    )
}

/// The key of the edge from a node along a word.
#[inline]
fn edge(node: u32, word: u64) -> u64 {
    let mixed = (word ^ u64::from(node).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
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
            nodes: vec![Node {
                parent: NONE,
                edge: 0,
                children: 0,
                ends: NONE,
            }],
            free_nodes: Vec::new(),
            edges: HashTable::new(),
            members: Vec::new(),
            keys: Vec::new(),
            free_members: Vec::new(),
            by_key: KeySlots::default(),
            spaceless: vec![0; SPACELESS_MAX + 1],
        }
    }

    /// Adds a phrase under a key, in place of the phrase that had it.
    pub fn insert(&mut self, key: u64, phrase: &Phrase) {
        self.remove(key);
        let member = self.free_members.pop().unwrap_or(self.members.len() as u32);
        let folded: Box<str> = phrase.folded().into();
        let words = self.descend(folded.split(' ').map(word_hash));
        let spaceless = spaceless_hash(&folded).map(|hash| {
            if let Some(count) = self.spaceless.get_mut(hash.len as usize) {
                *count += 1;
            }
            self.descend(std::iter::once(hash.finish()))
        });
        let words = self.end_at(words, end(member, Ending::Words));
        let spaceless = spaceless.map_or(NOWHERE, |node| {
            self.end_at(node, end(member, Ending::Spaceless))
        });
        let strict = (phrase.strict() != phrase.folded()).then(|| phrase.strict().into());
        let new = Member {
            folded,
            strict,
            words,
            spaceless,
        };
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

    /// Takes the key's phrase out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(member) = self.by_key.remove(key, &self.keys) else {
            return false;
        };
        let Some(old) = self.members.get_mut(member as usize) else {
            return false;
        };
        let (words, spaceless) = (old.words.node, old.spaceless.node);
        if let Some(hash) = spaceless_hash(&std::mem::take(&mut old.folded))
            && let Some(count) = self.spaceless.get_mut(hash.len as usize)
        {
            *count -= 1;
        }
        old.strict = None;
        self.unlink(words, end(member, Ending::Words));
        self.unlink(spaceless, end(member, Ending::Spaceless));
        self.free_members.push(member);
        true
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
        if self.is_empty() {
            return;
        }
        let mut search = Search {
            index: self,
            text,
            steps: Vec::new(),
            hits: Vec::new(),
            seen: HashSet::new(),
        };
        for at in 0..text.words().len() as u32 {
            search.follow(at, at, ROOT);
        }
        search.spaced();
        out.append(&mut search.finish());
    }

    fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    #[inline]
    fn child(&self, node: u32, word: u64) -> Option<u32> {
        let wanted = edge(node, word);
        self.edges
            .find(wanted, |(edge, _)| *edge == wanted)
            .map(|(_, child)| *child)
    }

    /// The node at the end of a path, made where it is missing.
    fn descend(&mut self, words: impl Iterator<Item = u64>) -> u32 {
        let mut at = ROOT;
        for word in words {
            at = match self.child(at, word) {
                Some(child) => child,
                None => self.add_node(at, edge(at, word)),
            };
        }
        at
    }

    fn add_node(&mut self, parent: u32, edge: u64) -> u32 {
        let node = Node {
            parent,
            edge,
            children: 0,
            ends: NONE,
        };
        let at = self.free_nodes.pop().unwrap_or(self.nodes.len() as u32);
        match self.nodes.get_mut(at as usize) {
            Some(old) => *old = node,
            None => self.nodes.push(node),
        }
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.children += 1;
        }
        self.edges
            .insert_unique(edge, (edge, at), |(edge, _)| *edge);
        at
    }

    fn end_at(&mut self, node: u32, end: u32) -> Place {
        let next = self
            .nodes
            .get_mut(node as usize)
            .map_or(NONE, |node| std::mem::replace(&mut node.ends, end));
        Place { node, next }
    }

    fn place_mut(&mut self, end: u32) -> Option<&mut Place> {
        let (member, ending) = member_of(end);
        let member = self.members.get_mut(member as usize)?;
        Some(match ending {
            Ending::Words => &mut member.words,
            Ending::Spaceless => &mut member.spaceless,
        })
    }

    /// Takes an ending out of its node, and the nodes that thereby lead nowhere out of the trie.
    fn unlink(&mut self, node: u32, end: u32) {
        let Some(next) = self
            .place_mut(end)
            .map(|place| std::mem::replace(place, NOWHERE).next)
        else {
            return;
        };
        let Some(first) = self.nodes.get(node as usize).map(|node| node.ends) else {
            return;
        };
        if first == end {
            self.nodes[node as usize].ends = next;
        } else {
            let mut before = first;
            while let Some(place) = self.place_mut(before) {
                if place.next == end {
                    place.next = next;
                    break;
                }
                before = place.next;
            }
        }
        self.prune(node);
    }

    fn prune(&mut self, mut at: u32) {
        while let Some(&Node {
            parent,
            edge,
            children: 0,
            ends: NONE,
        }) = self.nodes.get(at as usize)
        {
            if at == ROOT {
                break;
            }
            if let Ok(entry) = self.edges.find_entry(edge, |(_, child)| *child == at) {
                entry.remove();
            }
            self.free_nodes.push(at);
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                parent.children -= 1;
            }
            at = parent;
        }
    }

    /// The endings at a node.
    fn ends(&self, node: u32) -> impl Iterator<Item = (u32, &Member, Ending)> {
        let mut next = self.node(node).map_or(NONE, |node| node.ends);
        std::iter::from_fn(move || {
            let (at, ending) = member_of(next);
            let member = self.members.get(at as usize)?;
            next = match ending {
                Ending::Words => member.words.next,
                Ending::Spaceless => member.spaceless.next,
            };
            Some((at, member, ending))
        })
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

struct Search<'i, 't> {
    index: &'i PhraseIndex,
    text: &'t Normalised,
    steps: Vec<Step<'t>>,
    hits: Vec<PhraseHit>,
    /// Keys with a hit, once there are many.
    seen: HashSet<u64>,
}

impl<'t> Search<'_, 't> {
    fn word(&self, at: u32) -> Option<&'t Word> {
        self.text.words().get(at as usize)
    }

    fn plain(&self, stretch: Stretch) -> &'t str {
        self.text.plain().slice(stretch)
    }

    /// Follows the trie from `node` along the readings of the text from word `at` on. Goes no deeper
    /// than the longest phrase has words.
    fn follow(&mut self, first: u32, at: u32, node: u32) {
        let Some(word) = self.word(at) else { return };
        if let Some(child) = self.index.child(node, word.hash) {
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
        if word.scripts == super::chars::script::ARABIC {
            self.particles(first, at, node, word);
        }
    }

    fn reading(&mut self, first: u32, node: u32, reading: &Reading) {
        if let Some(child) = self.index.child(node, reading.hash) {
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
                if let Some(child) = self.index.child(node, hash.finish()) {
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
                if let Some(child) = self.index.child(node, word_hash(stem)) {
                    let cut = (plain.len() - stem.len()) as u32;
                    // Only the last word carries such an ending, so the path stops here.
                    self.arrive(
                        (first, at + 1),
                        child,
                        Step {
                            text: ("", stem),
                            how: How::Bare(0, cut),
                            at,
                        },
                    );
                    self.steps.pop();
                }
            }
        }
    }

    fn step(
        &mut self,
        (first, to): (u32, u32),
        node: u32,
        text: (&'static str, &'t str),
        how: How,
    ) {
        let at = self.steps.last().map_or(first, |_| to - 1);
        self.arrive((first, to), node, Step { text, how, at });
        if self.index.node(node).is_some_and(|node| node.children > 0) {
            self.follow(first, to, node);
        }
        self.steps.pop();
    }

    /// Adds the step that led to a node and reports the phrases that end there.
    fn arrive(&mut self, (first, to): (u32, u32), node: u32, step: Step<'t>) {
        self.steps.push(step);
        let index = self.index;
        for (at, member, ending) in index.ends(node) {
            if let Some(&key) = index.keys.get(at as usize)
                && self.is_wanted(key)
                && self.is_said(member, ending, first, to)
            {
                let level = if self.is_strict(member, first, to) {
                    Level::Strict
                } else {
                    Level::Folded
                };
                self.hit(key, level, ending, first, to);
            }
        }
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
        let strict = member.strict.as_deref().unwrap_or(&member.folded);
        strict
            .split(' ')
            .eq(words.iter().map(|word| self.text.strict.slice(word.strict)))
    }

    fn hit(&mut self, key: u64, level: Level, ending: Ending, first: u32, to: u32) {
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
        self.add(PhraseHit {
            key,
            level,
            original,
            evasions,
        });
    }

    /// Whether a hit of this key still adds something.
    fn is_wanted(&self, key: u64) -> bool {
        self.hits.len() < OCCURRENCES_MAX || !self.seen.contains(&key)
    }

    fn add(&mut self, hit: PhraseHit) {
        if self.hits.len() >= OCCURRENCES_MAX {
            self.seen.insert(hit.key);
        }
        self.hits.push(hit);
        if self.hits.len() == OCCURRENCES_MAX {
            self.seen = self.hits.iter().map(|hit| hit.key).collect();
        }
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
            if known && let Some(child) = self.index.child(ROOT, hash.finish()) {
                let text = letters.get(..at + c.len_utf8()).unwrap_or_default();
                let index = self.index;
                self.steps.push(Step {
                    text: ("", text),
                    how: How::Read(Manner::Joined),
                    at: first,
                });
                for (at, member, ending) in index.ends(child) {
                    if let Some(&key) = index.keys.get(at as usize)
                        && ending == Ending::Spaceless
                        && self.is_wanted(key)
                        && self.is_said(member, ending, first, to)
                    {
                        self.hit(key, Level::Folded, ending, first, to);
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
        assert!(index.is_empty() && index.edges.is_empty());
        assert_eq!(index.nodes.len() - index.free_nodes.len(), 1);
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
        fn a_phrase_is_found_in_itself(phrase: String) {
            let mut index = PhraseIndex::new();
            if let Ok(phrase) = Phrase::parse(&phrase) {
                index.insert(1, &phrase);
                let mut hits = Vec::new();
                index.find(&normalise(phrase.original()), &mut hits);
                prop_assert!(hits.iter().any(|hit| hit.level == Level::Strict), "{phrase:?} {hits:?}");
            }
        }
    }
}
