//! What is declared and named in the files of a set: rules, counters, lexicons, and the names of
//! banks, sets, labels, queues, receivers and policies that rules use.

use super::Around;
use super::read::{Item, ItemKind, Read};
use crate::diagnostic::Span;
use crate::lexer::Token;
use std::collections::BTreeSet;

/// Most bytes of other files that are looked through for one answer.
const OTHERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Names of all files.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) declared: Vec<Declared>,
    pub(super) banks: BTreeSet<String>,
    pub(super) sets: BTreeSet<String>,
    pub(super) labels: BTreeSet<String>,
    pub(super) queues: BTreeSet<String>,
    pub(super) receivers: BTreeSet<String>,
    pub(super) policies: BTreeSet<String>,
}

/// A rule, counter, lexicon or test.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) kind: ItemKind,
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) span: Span,
    /// Its number among the other files; `None` for the text itself.
    pub(super) source: Option<usize>,
    /// As written.
    pub(super) text: String,
}

impl Known {
    /// Everything named in the text and in the other files.
    pub(super) fn of(read: &Read<'_>, around: &Around<'_>) -> Self {
        let mut known = Self::default();
        known.banks.extend(around.banks.iter().cloned());
        known.sets.extend(around.sets.iter().cloned());
        known.take(read, None);
        let mut room = OTHERS_BYTES_MAX;
        for (number, source) in around.other_sources.iter().enumerate() {
            let Some(left) = room.checked_sub(source.text.len()) else {
                break;
            };
            room = left;
            if let Some(read) = Read::of(&source.text) {
                known.take(&read, Some(number));
            }
        }
        known
    }

    /// Those of one kind, those of the text itself first.
    pub(super) fn of_kind(&self, kind: ItemKind) -> impl Iterator<Item = &Declared> {
        self.declared.iter().filter(move |d| d.kind == kind)
    }

    pub(super) fn find(&self, kind: ItemKind, name: &str) -> Option<&Declared> {
        self.of_kind(kind).find(|declared| declared.name == name)
    }

    fn take(&mut self, read: &Read<'_>, source: Option<usize>) {
        let items = read.items();
        let declared = items.iter().filter_map(|item| declared(read, item, source));
        self.declared.extend(declared);
        for at in 0..read.len() {
            match read.token(at) {
                Token::Word => self.take_word(read, at),
                // A find that a test asserts: `"bank": "…"`.
                Token::Colon if at > 0 && matches!(read.text_of(at - 1), "\"bank\"" | "'bank'") => {
                    self.banks.extend(name_at(read, at + 1));
                }
                _ => {}
            }
        }
    }

    fn take_word(&mut self, read: &Read<'_>, at: usize) {
        let called = read.token(at + 1) == Token::OpenParen;
        let argument = || name_at(read, at + 2);
        match read.word(at) {
            "bank" if called => self.banks.extend(argument()),
            "set" if called => self.sets.extend(argument()),
            "set" if read.previous_word(at) == "given" => self.sets.extend(name_at(read, at + 1)),
            "hasLabel" if called => self.labels.extend(argument()),
            "members" => self.banks.extend(name_at(read, at + 1)),
            "policy" => {
                let name = read.name(at + 1).map(|name| name.node);
                self.policies.extend(name.filter(|name| is_name(name)));
            }
            "label" if read.previous_word(at) == "given" => {
                self.labels.extend(name_at(read, at + 2));
            }
            "label" if called => self.labels.extend(first_text(read, at + 2)),
            "enqueue" if called => self.queues.extend(first_text(read, at + 2)),
            "refer" | "notify" if called => self.receivers.extend(first_text(read, at + 2)),
            _ => {}
        }
    }
}

fn declared(read: &Read<'_>, item: &Item, source: Option<usize>) -> Option<Declared> {
    let name = read.name(item.first + 1)?;
    let span = read.item_span(item);
    Some(Declared {
        kind: item.kind,
        name: name.node,
        name_span: name.span,
        span,
        source,
        text: span.of(read.text).to_owned(),
    })
}

fn name_at(read: &Read<'_>, at: usize) -> Option<String> {
    read.value_of(at).filter(|name| is_name(name))
}

/// The first text among an effect's arguments, with or without a target before it.
fn first_text(read: &Read<'_>, at: usize) -> Option<String> {
    let has_target = read.token(at) == Token::Word && read.token(at + 1) == Token::Comma;
    name_at(read, if has_target { at + 2 } else { at })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && !name.contains(char::is_control)
}
