//! Lexicons: lists of phrases written in a rule file, which the rules of every file of the set may
//! ask about.
//!
//! ```text
//! lexicon shop_words level folded { "buy now", "cheap watches" }
//! ```

use crate::ast;
use crate::diagnostic::Problems;
use crate::env::{Shared, insert_at};
use crate::lexer::shown;
use crate::library;
use manara_model::Name;
use manara_signal::Phrase;
use manara_signal::text::{Level, PhraseIndex};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// Most phrases in the lexicons of all files.
const PHRASES_MAX: usize = 10_000;
/// Most lexicons of all files.
const LEXICONS_MAX: usize = 1_000;

/// The lexicons of a rule set by name, and how many phrases they have.
#[derive(Debug, Default)]
pub(crate) struct Lexicons {
    by_name: BTreeMap<String, Known>,
    phrases: usize,
}

/// A lexicon that rules may ask about.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its number in [`Shared::lexicons`].
    pub(crate) number: usize,
    /// Over its level and phrases: a rule that asks it is another rule once they change.
    pub(crate) hash: [u8; 32],
}

impl Lexicons {
    pub(crate) fn get(&self, name: &str) -> Option<&Known> {
        self.by_name.get(name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// Takes in the lexicon of one file, reporting what is wrong with it.
    pub(crate) fn add(
        &mut self,
        lexicon: &ast::Lexicon,
        shared: &mut Shared,
        problems: &mut Problems<'_>,
    ) {
        let name = &lexicon.name;
        if let Err(problem) = name.node.parse::<Name>() {
            problems.refused(name.span, "as the lexicon's name, ", &problem);
        }
        if self.by_name.contains_key(&name.node) {
            let message = format!("lexicon `{}` exists already", shown(&name.node));
            let hint = "rename one of the two, or join them";
            return problems.error_hint(name.span, message, hint);
        }
        if lexicon.phrases.is_empty() {
            let hint = "write phrases in quotes between the braces";
            return problems.error_hint(name.span, "this lexicon has no phrases", hint);
        }
        if self.by_name.len() >= LEXICONS_MAX {
            let message = format!("more than {LEXICONS_MAX} lexicons");
            return problems.error_hint(name.span, message, "join some, or use a bank");
        }
        let before = self.phrases;
        self.phrases = before.saturating_add(lexicon.phrases.len());
        if self.phrases > PHRASES_MAX {
            let first_over = lexicon.phrases.get(PHRASES_MAX.saturating_sub(before));
            let span = first_over.map_or(name.span, |phrase| phrase.span);
            let message = format!("more than {PHRASES_MAX} phrases in all lexicons");
            return problems.error_hint(span, message, "keep them in a bank");
        }
        let level = level_of(lexicon, problems);
        let index = index_of(lexicon, level, problems);
        shared.lexicons.push(index);
        let phrases = lexicon.phrases.iter().map(|it| it.node.clone()).collect();
        shared.lexicon_texts.push((name.node.clone(), phrases));
        let known = Known {
            number: shared.lexicons.len() - 1,
            hash: hash_of(lexicon, level),
        };
        self.by_name.insert(name.node.clone(), known);
    }
}

fn level_of(lexicon: &ast::Lexicon, problems: &mut Problems<'_>) -> Level {
    let Some(level) = &lexicon.level else {
        return Level::default();
    };
    library::level(&level.node).unwrap_or_else(|refused| {
        problems.error_hint(level.span, refused.message, refused.hint);
        Level::default()
    })
}

fn index_of(lexicon: &ast::Lexicon, level: Level, problems: &mut Problems<'_>) -> PhraseIndex {
    let mut index = PhraseIndex::new();
    let mut seen: HashSet<String> = HashSet::new();
    for (number, written) in lexicon.phrases.iter().enumerate() {
        let phrase = match Phrase::parse(&written.node) {
            Ok(phrase) => phrase,
            Err(problem) => {
                let message = format!("this is not a phrase that can be looked for: {problem}");
                let hint = "write whole words, as they would be typed";
                problems.error_hint(written.span, message, hint);
                continue;
            }
        };
        let key = match level {
            Level::Strict => phrase.strict(),
            _ => phrase.folded(),
        };
        if !seen.insert(key.to_owned()) {
            let message = format!("`{}` is in this lexicon already", shown(&written.node));
            let hint = "leave one out: letters that are read alike count as the same";
            problems.error_hint(written.span, message, hint);
            continue;
        }
        if let Err(problem) = insert_at(&mut index, number as u64, &phrase, level) {
            problems.refused(written.span, "", &problem.to_string());
        }
    }
    index
}

/// SHA-256 over the level and the phrases, each with its length before it.
fn hash_of(lexicon: &ast::Lexicon, level: Level) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([level as u8]);
    for phrase in &lexicon.phrases {
        hasher.update((phrase.node.len() as u64).to_le_bytes());
        hasher.update(&phrase.node);
    }
    hasher.finalize().into()
}
