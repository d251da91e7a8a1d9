//! Phrases that are looked for inside words too: anywhere in the letters of a text.
//!
//! A phrase is a path of stretches of letters in a trie: the first has eight letters (four or fewer of
//! a phrase under eight), each further one eight, the last what remains. The hash of any stretch of
//! a text comes from two sums over the text up to its ends (Karp and Rabin 1987), and a bit for each
//! first stretch tells of almost every place of a text that no phrase begins there. So an answer
//! takes much the same time however many phrases there are, and phrases come and go one by one.

use super::trie::{Child, ROOT, Trie};

/// Phrases by their letters.
pub(super) struct Substrings {
    trie: Trie,
    /// How many phrases begin with a stretch of so many letters.
    begin: [u32; STRETCH + 1],
}

/// Letters of a stretch, unless fewer are left.
const STRETCH: usize = 8;
/// Letters of the first stretch of a phrase that has fewer than eight.
const SHORT: usize = 4;

/// The letters of a text as [`Substrings::find`] needs them.
pub(super) struct Letters {
    /// Of all letters before each, and at the end of all.
    sums: Vec<u64>,
}

/// What a sum is multiplied by before the next letter is added: a random odd number.
const BASE: u64 = 0xa3d5_8f6b_21c9_74e7;
/// The base to the power of each length of a stretch.
const POWERS: [u64; STRETCH + 1] = powers();
/// No letter; it follows the text so that each of its letters begins a whole stretch.
const NO_LETTER: u32 = u32::MAX;

const fn powers() -> [u64; STRETCH + 1] {
    let mut powers = [1_u64; STRETCH + 1];
    let mut at = 1;
    while at <= STRETCH {
        powers[at] = powers[at - 1].wrapping_mul(BASE);
        at += 1;
    }
    powers
}

impl Letters {
    /// No letters yet, and room for so many.
    pub(super) fn with_capacity(letters: usize) -> Self {
        let mut sums = Vec::with_capacity(letters + STRETCH + 1);
        sums.push(0);
        Self { sums }
    }

    #[inline]
    pub(super) fn push(&mut self, letter: char) {
        self.push_code(letter as u32);
    }

    #[inline]
    fn push_code(&mut self, code: u32) {
        let sum = self.sums.last().copied().unwrap_or_default();
        let with = sum.wrapping_mul(BASE).wrapping_add(u64::from(code));
        self.sums.push(with);
    }

    /// So many letters were pushed.
    pub(super) fn len(&self) -> usize {
        self.sums.len() - 1
    }

    /// Says that no more letters follow.
    pub(super) fn end(&mut self) {
        for _ in 0..STRETCH {
            self.push_code(NO_LETTER);
        }
    }

    /// The hash of so many letters from a place on, at most eight.
    #[inline]
    fn hash(&self, at: usize, letters: usize) -> Option<u64> {
        let (before, after) = (self.sums.get(at)?, self.sums.get(at + letters)?);
        Some(between(*before, *after, letters))
    }
}

/// The hash of the letters between two sums.
#[inline]
fn between(before: u64, after: u64, letters: usize) -> u64 {
    after.wrapping_sub(before.wrapping_mul(POWERS[letters]))
}

/// How many letters the first stretch of a phrase of so many has.
const fn first_of(letters: usize) -> usize {
    match letters {
        STRETCH.. => STRETCH,
        SHORT.. => SHORT,
        fewer => fewer,
    }
}

impl Default for Substrings {
    fn default() -> Self {
        Self {
            trie: Trie::new(),
            begin: [0; STRETCH + 1],
        }
    }
}

impl Substrings {
    pub(super) fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }

    /// Adds a phrase, as its words with one space between; gives what [`remove`](Self::remove) asks for.
    pub(super) fn insert(&mut self, member: u32, text: &str) -> u32 {
        let mut letters = Letters::with_capacity(text.len());
        text.chars().for_each(|letter| letters.push(letter));
        let count = letters.len();
        let first = first_of(count);
        self.begin[first] += 1;
        let rest = (first..count)
            .step_by(STRETCH)
            .map(|at| (at, STRETCH.min(count - at)));
        let stretches = std::iter::once((0, first)).chain(rest);
        let hashes = stretches.filter_map(|(at, length)| letters.hash(at, length));
        self.trie.insert(hashes, member)
    }

    pub(super) fn remove(&mut self, node: u32, member: u32, text: &str) {
        self.begin[first_of(text.chars().count())] -= 1;
        self.trie.remove(node, member);
    }

    /// Calls `found` with each phrase that may be in the text, and the letter where it begins.
    pub(super) fn find(&self, letters: &Letters, mut found: impl FnMut(u32, usize)) {
        let mut at = 0;
        while let Some(next) = self.next(letters, at) {
            self.find_at(letters, next, &mut found);
            at = next + 1;
        }
    }

    /// The next letter with which a phrase may begin.
    #[inline(never)]
    fn next(&self, letters: &Letters, from: usize) -> Option<usize> {
        let begin = self.trie.first();
        let has_short = self.begin[SHORT] > 0;
        let has_shorter = self.begin[..SHORT].iter().any(|count| *count > 0);
        let mut stretches = letters.sums.get(from..)?.windows(STRETCH + 1);
        let next = stretches.position(|sums| {
            let may_begin = |length: usize| begin.may_have(between(sums[0], sums[length], length));
            may_begin(STRETCH)
                || has_short && may_begin(SHORT)
                || has_shorter && (1..SHORT).any(may_begin)
        })?;
        Some(from + next)
    }

    fn find_at(&self, letters: &Letters, at: usize, found: &mut impl FnMut(u32, usize)) {
        for first in (1..=SHORT).chain([STRETCH]) {
            if self.begin[first] > 0
                && self.may_go_on(letters, at, first)
                && let Some(child) = self.along(ROOT, letters, at, first)
            {
                self.follow(letters, at, at + first, child, found);
            }
        }
    }

    /// Whether the first stretch may be a whole phrase, or go on as the letters do.
    fn may_go_on(&self, letters: &Letters, at: usize, first: usize) -> bool {
        let Some(begin) = letters.hash(at, first) else {
            return false;
        };
        let goes_on = |rest: usize| {
            let rest = letters.hash(at + first, rest);
            rest.is_some_and(|rest| self.trie.may_begin_with(begin, rest))
        };
        // What begins with fewer letters ends within the next stretch.
        let longest = if first == STRETCH {
            STRETCH
        } else {
            STRETCH - 1 - first
        };
        self.trie.may_begin(begin) && (self.trie.may_be_alone(begin) || (1..=longest).any(goes_on))
    }

    /// Reports what ends along the letters from a place on, and here.
    fn follow(
        &self,
        letters: &Letters,
        begin: usize,
        mut at: usize,
        mut child: Child,
        found: &mut impl FnMut(u32, usize),
    ) {
        let mut ends = |child: Child| {
            if child.has_ends {
                self.trie
                    .ends(child.node)
                    .for_each(|member| found(member, begin));
            }
        };
        ends(child);
        while child.goes_on {
            for rest in 1..STRETCH {
                if let Some(last) = self.along(child.node, letters, at, rest) {
                    ends(last);
                }
            }
            let Some(next) = self.along(child.node, letters, at, STRETCH) else {
                return;
            };
            ends(next);
            (at, child) = (at + STRETCH, next);
        }
    }

    #[inline]
    fn along(&self, node: u32, letters: &Letters, at: usize, length: usize) -> Option<Child> {
        self.trie.child(node, letters.hash(at, length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn found(substrings: &Substrings, text: &str) -> BTreeSet<(u32, usize)> {
        let mut found = BTreeSet::new();
        let mut letters = Letters::with_capacity(text.len());
        text.chars().for_each(|letter| letters.push(letter));
        letters.end();
        substrings.find(&letters, |member, at| {
            assert!(found.insert((member, at)), "{member} at {at} twice");
        });
        found
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let mut substrings = Substrings::default();
        let nodes: Vec<u32> = (0..1000)
            .map(|member| substrings.insert(member, &format!("a word {member}x")))
            .collect();
        assert_eq!(found(&substrings, "say a word 17x"), [(17, 4)].into());
        for (member, node) in (0..).zip(nodes) {
            substrings.remove(node, member, &format!("a word {member}x"));
        }
        assert!(substrings.is_empty());
        substrings.insert(0, "other");
        assert_eq!(found(&substrings, "a word 7x other"), [(0, 10)].into());
    }

    proptest! {
        #[test]
        fn as_searching_each_phrase(
            changes in proptest::collection::vec((0..9_u32, "[ab]{1,3}|[ab]{7,9}|[a]{0,20}b", any::<bool>()), 0..40),
            text in "[ab]{0,30}",
        ) {
            let (mut substrings, mut own) = (Substrings::default(), BTreeMap::<u32, (u32, String)>::new());
            for (member, pattern, stays) in changes {
                if let Some((node, old)) = own.remove(&member) {
                    substrings.remove(node, member, &old);
                }
                if stays {
                    own.insert(member, (substrings.insert(member, &pattern), pattern));
                }
            }
            let mut expect = BTreeSet::new();
            for (member, (_, pattern)) in &own {
                expect.extend((0..text.len()).filter(|at| text[*at..].starts_with(pattern)).map(|at| (*member, at)));
            }
            prop_assert_eq!(found(&substrings, &text), expect);
        }
    }
}
