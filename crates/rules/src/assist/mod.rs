//! The language service: completion, hover, outline and definitions, for editors and the console.
//!
//! It answers about text that is being written, so nothing here asks for it to be in order: tokens
//! are read, the items they make are found, and only the expression before a dot goes through the
//! parser and the checker. Whatever the text and the offset, there is an answer, if an empty one.
//!
//! ```text
//!   text, offset ─▶ read (tokens, items, cursor) ─▶ place (what may stand here) ─▶ complete
//!   other files ──▶ known (names declared and used)          │                  ─▶ hover, definition
//!   schema ───────────────▶ types (what is before the dot) ──┘
//!   words, library, schema: what everything means
//! ```
//!
//! Offsets and ranges are in bytes; [`Offsets`] turns them into UTF-16 units, and [`answer`] does so
//! for a whole question, for editors in a browser.

mod complete;
mod declared;
mod hover;
mod known;
mod offsets;
mod place;
mod question;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use complete::complete;
pub use declared::{definition, outline};
pub use hover::hover;
pub use offsets::Offsets;
pub use question::{Question, answer};
pub use words::{WordDoc, WordPlace, words};

use crate::diagnostic::Source;
use crate::schema::Schema;
use serde::Serialize;
use std::ops::Range;

/// Most completions of one answer.
pub const COMPLETIONS_MAX: usize = 200;

/// What is known besides the text that is being written.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The event types and attributes there are.
    pub schema: &'a Schema,
    /// The banks there are; those that rules name are known without.
    pub banks: &'a [String],
    /// The sets there are; likewise.
    pub sets: &'a [String],
    /// The other files of the set, without the one that is being written.
    pub other_sources: &'a [Source],
}

/// One thing that may be written at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// What the author chooses by.
    pub label: String,
    /// What it is.
    pub kind: CompletionKind,
    /// Its type or signature; may be empty.
    pub detail: String,
    /// What it means, in Markdown; may be empty.
    pub doc: String,
    /// What is written, with places to fill in as `${1:name}`. A dollar sign stands for nothing else.
    pub insert: String,
    /// What it replaces, in bytes.
    pub replace: Range<usize>,
}

/// What a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletionKind {
    /// A word of the language: `and`, `when`, `rule`.
    Keyword,
    /// A field of the event, or an attribute.
    Field,
    /// A function or method.
    Function,
    /// A counter.
    Counter,
    /// A name a macro has bound.
    Variable,
    /// A bank's name.
    Bank,
    /// A set's name.
    Set,
    /// A lexicon's name.
    Lexicon,
    /// An event type.
    EventType,
    /// An effect.
    Effect,
    /// A named argument.
    Argument,
    /// A policy's name.
    Policy,
    /// A label's name.
    Label,
    /// A queue's name.
    Queue,
    /// The name of a receiver of referrals or messages.
    Receiver,
    /// A rule's name.
    Rule,
    /// A value: a mode, a level, a language, a duration.
    Value,
    /// Several lines to begin from.
    Snippet,
}

impl Completion {
    /// What is written where places cannot be filled in: each holds its example.
    ///
    /// ```
    /// use manara_rules::assist::{Around, complete};
    /// let schema = manara_rules::Schema::builtin();
    /// let around = Around { schema: &schema, banks: &[], sets: &[], other_sources: &[] };
    /// let found = complete("rule r { when h", 15, &around);
    /// assert_eq!((found[0].insert.as_str(), found[0].plain().as_str()), ("has(${1:field})", "has(field)"));
    /// ```
    pub fn plain(&self) -> String {
        let mut out = String::with_capacity(self.insert.len());
        let mut rest = self.insert.as_str();
        while let Some((before, place)) = rest.split_once("${") {
            out.push_str(before);
            let (place, after) = place.split_once('}').unwrap_or((place, ""));
            out.push_str(place.split_once(':').map_or("", |(_, example)| example));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// What something in the text is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hover {
    /// What it is about, in bytes.
    pub range: Range<usize>,
    /// What to show.
    pub markdown: String,
}

/// A rule, counter, lexicon or test of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// Its name; of a test, what it says.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// All of it, in bytes.
    pub range: Range<usize>,
    /// Its name, in bytes; within `range`.
    pub name_range: Range<usize>,
}

/// What a [`Symbol`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SymbolKind {
    /// A rule.
    Rule,
    /// A counter.
    Counter,
    /// A lexicon.
    Lexicon,
    /// A test.
    Test,
}

/// Where something is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// The [`Source::name`] of one of the other files; `None`: the text that was asked about.
    pub source: Option<String>,
    /// Its name there, in bytes.
    pub range: Range<usize>,
}
