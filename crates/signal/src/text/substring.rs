//! Phrases that are looked for inside words too: an automaton over letters (Aho and Corasick 1975).
//!
//! An automaton cannot be changed, only built. So there are several generations, each at most half
//! of the one before it: new phrases go into a new small one, which takes in those before it that it
//! has outgrown. Each is built when it is first needed. A phrase that is removed stays in its
//! automaton, without an owner, until the next merge.

use daachorse::CharwiseDoubleArrayAhoCorasick;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Phrases by their letters.
#[derive(Default)]
pub(super) struct Substrings {
    patterns: Vec<Pattern>,
    free: Vec<u32>,
    by_text: HashMap<Box<str>, u32>,
    generations: Vec<Generation>,
    members: usize,
}

/// The letters of one or more phrases.
#[derive(Default)]
struct Pattern {
    text: Box<str>,
    members: Vec<u32>,
}

#[derive(Default)]
struct Generation {
    patterns: Vec<u32>,
    automaton: OnceLock<Option<CharwiseDoubleArrayAhoCorasick<u32>>>,
}

impl Substrings {
    pub(super) fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Adds a phrase, as its words with one space between.
    pub(super) fn insert(&mut self, member: u32, text: &str) {
        self.members += 1;
        if let Some(pattern) = self.pattern_mut(text) {
            pattern.members.push(member);
            return;
        }
        let pattern = Pattern {
            text: text.into(),
            members: vec![member],
        };
        let number = self.free.pop().unwrap_or(self.patterns.len() as u32);
        match self.patterns.get_mut(number as usize) {
            Some(old) => *old = pattern,
            None => self.patterns.push(pattern),
        }
        self.by_text.insert(text.into(), number);
        self.add(number);
    }

    pub(super) fn remove(&mut self, member: u32, text: &str) {
        if let Some(pattern) = self.pattern_mut(text) {
            pattern.members.retain(|other| *other != member);
            self.members -= 1;
        }
    }

    fn pattern_mut(&mut self, text: &str) -> Option<&mut Pattern> {
        let number = *self.by_text.get(text)?;
        self.patterns.get_mut(number as usize)
    }

    /// Puts a pattern into the newest generation, or a new one if that is built.
    fn add(&mut self, number: u32) {
        if let Some(last) = self.generations.last_mut()
            && last.automaton.get().is_none()
        {
            last.patterns.push(number);
            return;
        }
        let mut patterns = vec![number];
        while let Some(last) = self
            .generations
            .pop_if(|last| last.patterns.len() <= 2 * patterns.len())
        {
            patterns.extend(last.patterns);
        }
        patterns.retain(|number| !self.forget(*number));
        self.generations.push(Generation {
            patterns,
            automaton: OnceLock::new(),
        });
    }

    /// Forgets a pattern that no phrase has any more; whether that was so.
    fn forget(&mut self, number: u32) -> bool {
        let Some(pattern) = self.patterns.get_mut(number as usize) else {
            return true;
        };
        if !pattern.members.is_empty() {
            return false;
        }
        self.by_text.remove(&std::mem::take(&mut pattern.text));
        self.free.push(number);
        true
    }

    /// Builds what is not built.
    pub(super) fn prepare(&self) {
        for generation in &self.generations {
            self.automaton(generation);
        }
    }

    fn automaton<'g>(
        &self,
        generation: &'g Generation,
    ) -> Option<&'g CharwiseDoubleArrayAhoCorasick<u32>> {
        let build = || {
            let patterns = generation.patterns.iter().filter_map(|number| {
                let pattern = self.patterns.get(*number as usize)?;
                Some((&*pattern.text, *number))
            });
            // Refused are empty and repeated patterns, which there are none of, and more of them
            // than four bytes can count.
            CharwiseDoubleArrayAhoCorasick::with_values(patterns).ok()
        };
        generation.automaton.get_or_init(build).as_ref()
    }

    /// Calls `found` with the phrases of each pattern in the text, and where in it that is.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(&[u32], Range<usize>)) {
        for generation in &self.generations {
            let Some(automaton) = self.automaton(generation) else {
                continue;
            };
            for hit in automaton.find_overlapping_iter(text) {
                if let Some(pattern) = self.patterns.get(hit.value() as usize)
                    && !pattern.members.is_empty()
                {
                    found(&pattern.members, hit.start()..hit.end());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn found(substrings: &Substrings, text: &str) -> BTreeSet<(u32, usize)> {
        let mut found = BTreeSet::new();
        substrings.find(text, |members, range| {
            found.extend(members.iter().map(|member| (*member, range.start)));
        });
        found
    }

    #[test]
    fn generations_stay_few() {
        let mut substrings = Substrings::default();
        for member in 0..1000 {
            substrings.insert(member, &format!("word{member}x"));
            substrings.prepare();
        }
        assert!(substrings.generations.len() <= 10);
        for member in 0..1000 {
            substrings.remove(member, &format!("word{member}x"));
        }
        assert!(substrings.is_empty());
        substrings.insert(0, "other");
        assert_eq!(found(&substrings, "word7x other"), [(0, 7)].into());
    }

    proptest! {
        #[test]
        fn as_searching_each_phrase(changes in proptest::collection::vec((0..9_u32, "[ab]{1,3}", any::<bool>()), 0..40), text in "[ab]{0,12}") {
            let (mut substrings, mut own) = (Substrings::default(), std::collections::BTreeMap::new());
            for (member, pattern, look) in changes {
                if let Some(old) = own.insert(member, pattern.clone()) {
                    substrings.remove(member, &old);
                }
                substrings.insert(member, &pattern);
                if look {
                    substrings.prepare();
                }
            }
            let mut expect = BTreeSet::new();
            for (member, pattern) in &own {
                expect.extend((0..text.len()).filter(|at| text[*at..].starts_with(pattern)).map(|at| (*member, at)));
            }
            prop_assert_eq!(found(&substrings, &text), expect);
        }
    }
}
