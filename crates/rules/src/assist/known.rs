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
    /// Its number among the other files; `None` for the text itself.
    pub(super) source: Option<usize>,
    /// As written.
    pub(super) text: String,
}

impl Known {
    /// Everything named in the text and in the other files, but for the token that is being written.
    pub(super) fn of(read: &Read<'_>, around: &Around<'_>, written: Option<usize>) -> Self {
        let mut known = Self::default();
        known.banks.extend(around.banks.iter().cloned());
        known.sets.extend(around.sets.iter().cloned());
        known.take(read, None, written);
        let mut room = OTHERS_BYTES_MAX;
        for (number, source) in around.other_sources.iter().enumerate() {
            let Some(left) = room.checked_sub(source.text.len()) else {
                break;
            };
            room = left;
            if let Some(read) = Read::of(&source.text) {
                known.take(&read, Some(number), None);
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

    fn take(&mut self, read: &Read<'_>, source: Option<usize>, written: Option<usize>) {
        let items = read.items();
        let declared = items.iter().filter_map(|item| declared(read, item, source));
        self.declared.extend(declared);
        let named = Named { read, written };
        for at in 0..read.len() {
            match read.token(at) {
                Token::Word => self.take_word(&named, at),
                // A find that a test asserts: `"bank": "…"`.
                Token::Colon if at > 0 && matches!(read.text_of(at - 1), "\"bank\"" | "'bank'") => {
                    self.banks.extend(named.text(at + 1));
                }
                _ => {}
            }
        }
    }

    fn take_word(&mut self, named: &Named<'_, '_>, at: usize) {
        let read = named.read;
        let called = read.token(at + 1) == Token::OpenParen;
        let argument = || named.text(at + 2);
        let is_given = || read.previous_word(at) == "given";
        match read.word(at) {
            "bank" if called => self.banks.extend(argument()),
            "set" if called => self.sets.extend(argument()),
            "set" if is_given() => self.sets.extend(named.text(at + 1)),
            "hasLabel" if called => self.labels.extend(argument()),
            "members" => self.banks.extend(named.text(at + 1)),
            "policy" => self.policies.extend(named.name(at + 1)),
            "label" if is_given() => self.labels.extend(named.text(at + 2)),
            "label" if called => self.labels.extend(named.first_text(at + 2)),
            "enqueue" if called => self.queues.extend(named.first_text(at + 2)),
            "refer" | "notify" if called => self.receivers.extend(named.first_text(at + 2)),
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
        source,
        text: span.of(read.text).to_owned(),
    })
}

/// The names a text uses.
struct Named<'a, 't> {
    read: &'a Read<'t>,
    /// The token that is being written.
    written: Option<usize>,
}

impl Named<'_, '_> {
    /// The name that is this text.
    fn text(&self, at: usize) -> Option<String> {
        let is_written = self.written == Some(at);
        let value = if is_written {
            None
        } else {
            self.read.value_of(at)
        };
        value.filter(|name| is_name(name))
    }

    /// The name that begins here, with quotes or without.
    fn name(&self, at: usize) -> Option<String> {
        let is_written = self.written == Some(at);
        let name = if is_written { None } else { self.read.name(at) };
        name.map(|name| name.node).filter(|name| is_name(name))
    }

    /// The first text among an effect's arguments, with or without a target before it.
    fn first_text(&self, at: usize) -> Option<String> {
        let read = self.read;
        let has_target = read.token(at) == Token::Word && read.token(at + 1) == Token::Comma;
        self.text(if has_target { at + 2 } else { at })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && !name.contains(|c: char| c.is_control() || c == '$')
}
